//! A disk that remembers what a power loss may take, and the search for a state that breaks a
//! promise.
//!
//! [`world`] is the disk, [`files`] its face, [`states`] what a crash may leave of it,
//! [`oracle`] what must hold, [`script`] what is done to it, [`crash`] the search, [`left_out`]
//! the mutants.

mod crash;
mod files;
mod flush;
pub(crate) mod left_out;
mod oracle;
mod script;
mod states;
mod world;
