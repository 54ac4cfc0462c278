//! What a stage may take in: one node, `all(node)`, or a tuple of 2 to 8 of them.

use std::any::Any;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::fault::Fault;
use crate::many::{HeldMany, Many, Members};
use crate::node::{All, Node, Per, Scope, Within};

/// One edge of the graph: which node, and whether all of its fan-out.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    pub(crate) node: usize,
    pub(crate) pipeline: u64,
    pub(crate) all: bool,
}

/// What a step is handed for one of its inputs, types erased.
#[doc(hidden)]
#[derive(Clone)]
pub enum Given {
    /// The node's one value for this step.
    One(Arc<dyn Any + Send + Sync>),
    /// All values of a fan-out, read when asked for.
    Many(Arc<dyn Members>),
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Given::One(_) => f.write_str("One"),
            Given::Many(members) => write!(f, "Many({})", members.len()),
        }
    }
}

/// One input of a stage that runs once per `S`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input of a stage that runs once per `{S}`",
    note = "inputs are nodes, `all(node)`, or a tuple of 2 to 8 of them"
)]
pub trait Input<S>: Copy + 'static {
    /// What the stage's closure is handed: `&T` of a node, [`Many<T>`] of `all(node)`.
    type Ref<'a>;
    /// What keeps that alive during the call.
    #[doc(hidden)]
    type Held: 'static;
    #[doc(hidden)]
    fn wire(&self) -> Wire;
    #[doc(hidden)]
    fn hold(given: &Given) -> Result<Self::Held, Fault>;
    #[doc(hidden)]
    fn lend(held: &Self::Held) -> Self::Ref<'_>;
    /// An input that could not be read while the closure ran.
    #[doc(hidden)]
    fn check(_: &Self::Held) -> Result<(), Fault> {
        Ok(())
    }
}

impl<T: Send + Sync + 'static, S: Within<A>, A: Scope> Input<S> for Node<T, A> {
    type Ref<'a> = &'a T;
    type Held = Arc<T>;

    fn wire(&self) -> Wire {
        Wire { node: self.id, pipeline: self.pipeline, all: false }
    }

    fn hold(given: &Given) -> Result<Arc<T>, Fault> {
        match given {
            Given::One(value) => {
                Arc::clone(value).downcast().map_err(|_| mismatch(std::any::type_name::<T>()))
            }
            Given::Many(_) => Err(mismatch(std::any::type_name::<T>())),
        }
    }

    fn lend(held: &Arc<T>) -> &T {
        held
    }
}

impl<T, S, A, Tag> Input<S> for All<T, Per<A, Tag>>
where
    T: DeserializeOwned + 'static,
    S: Within<A>,
    A: Scope,
    Tag: 'static,
{
    type Ref<'a> = Many<'a, T>;
    type Held = HeldMany;

    fn wire(&self) -> Wire {
        Wire { node: self.0.id, pipeline: self.0.pipeline, all: true }
    }

    fn hold(given: &Given) -> Result<HeldMany, Fault> {
        match given {
            Given::Many(members) => Ok(HeldMany::new(Arc::clone(members))),
            Given::One(_) => Err(mismatch(std::any::type_name::<T>())),
        }
    }

    fn lend(held: &HeldMany) -> Many<'_, T> {
        Many::new(held)
    }

    fn check(held: &HeldMany) -> Result<(), Fault> {
        held.check()
    }
}

/// The engine pairs wires and values by position, so this cannot happen; a step that says so beats
/// a thread that dies of it.
fn mismatch(wanted: &str) -> Fault {
    Fault::fatal(format!("the engine handed a step something else than the `{wanted}` it takes"))
}

/// The first input: it decides how often the stage runs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input of a stage",
    label = "expected a node, `all(node)`, or a tuple of 2 to 8 of them"
)]
pub trait Lead: Input<Self::Scope> {
    /// The scope of the stage: a node's own, or of `all(node)` the one around it.
    type Scope: Scope;
}

impl<T: Send + Sync + 'static, S: Scope> Lead for Node<T, S> {
    type Scope = S;
}

impl<T: DeserializeOwned + 'static, S: Scope, Tag: 'static> Lead for All<T, Per<S, Tag>> {
    type Scope = S;
}

/// Everything that a stage takes in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input of a stage",
    label = "expected a node, `all(node)`, or a tuple of 2 to 8 of them"
)]
pub trait Inputs: Copy + 'static {
    /// How often the stage runs: once per item of this.
    type Scope: Scope;
    /// What the stage's closure is handed: one reference, or a tuple of them.
    type Refs<'a>;
    #[doc(hidden)]
    type Held: 'static;
    #[doc(hidden)]
    fn wires(&self) -> Vec<Wire>;
    #[doc(hidden)]
    fn hold(given: &[Given]) -> Result<Self::Held, Fault>;
    #[doc(hidden)]
    fn lend(held: &Self::Held) -> Self::Refs<'_>;
    #[doc(hidden)]
    fn check(held: &Self::Held) -> Result<(), Fault>;
}

// Not `impl<H: Lead> Inputs for H`: with a second candidate the compiler stops at the tuple and
// never names the join that is wrong.
macro_rules! alone {
    ($(($($generic:tt)*) $input:ty;)+) => { $(
        impl<$($generic)*> Inputs for $input {
            type Scope = <$input as Lead>::Scope;
            type Refs<'a> = <$input as Input<<$input as Lead>::Scope>>::Ref<'a>;
            type Held = <$input as Input<<$input as Lead>::Scope>>::Held;

            fn wires(&self) -> Vec<Wire> {
                vec![Input::<<$input as Lead>::Scope>::wire(self)]
            }

            fn hold(given: &[Given]) -> Result<Self::Held, Fault> {
                <$input as Input<<$input as Lead>::Scope>>::hold(at(given, 0)?)
            }

            fn lend(held: &Self::Held) -> Self::Refs<'_> {
                <$input as Input<<$input as Lead>::Scope>>::lend(held)
            }

            fn check(held: &Self::Held) -> Result<(), Fault> {
                <$input as Input<<$input as Lead>::Scope>>::check(held)
            }
        }
    )+ };
}

alone! {
    (T: Send + Sync + 'static, S: Scope) Node<T, S>;
    (T: DeserializeOwned + 'static, S: Scope, Tag: 'static) All<T, Per<S, Tag>>;
}

macro_rules! tuples {
    ($($($input:ident $n:tt)+;)+) => { $(
        impl<Head: Lead, $($input: Input<Head::Scope>),+> Inputs for (Head, $($input),+) {
            type Scope = Head::Scope;
            type Refs<'a> = (Head::Ref<'a>, $($input::Ref<'a>),+);
            type Held = (<Head as Input<Head::Scope>>::Held, $($input::Held),+);

            fn wires(&self) -> Vec<Wire> {
                vec![self.0.wire(), $(self.$n.wire()),+]
            }

            fn hold(given: &[Given]) -> Result<Self::Held, Fault> {
                let head = <Head as Input<Head::Scope>>::hold(at(given, 0)?)?;
                Ok((head, $($input::hold(at(given, $n)?)?),+))
            }

            fn lend(held: &Self::Held) -> Self::Refs<'_> {
                (<Head as Input<Head::Scope>>::lend(&held.0), $($input::lend(&held.$n)),+)
            }

            fn check(held: &Self::Held) -> Result<(), Fault> {
                <Head as Input<Head::Scope>>::check(&held.0)?;
                $($input::check(&held.$n)?;)+
                Ok(())
            }
        }
    )+ };
}

tuples! {
    A 1;
    A 1 B 2;
    A 1 B 2 C 3;
    A 1 B 2 C 3 D 4;
    A 1 B 2 C 3 D 4 E 5;
    A 1 B 2 C 3 D 4 E 5 F 6;
    A 1 B 2 C 3 D 4 E 5 F 6 G 7;
}

fn at(given: &[Given], n: usize) -> Result<&Given, Fault> {
    given.get(n).ok_or_else(|| mismatch("inputs"))
}
