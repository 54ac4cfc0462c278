//! What a stage may return, and which nodes can be a run's result.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::Fault;
use crate::inputs::Wire;
use crate::many::Members;
use crate::node::{All, Node, Per, Root};

/// What a stage may return: it is recorded, read back, and lent to the stages below.
///
/// Implemented for everything that fits; there is nothing to do but to derive serde's two traits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as a step's result",
    label = "derive `serde::Serialize` and `serde::Deserialize` on it; it must be `Send + Sync + 'static` and own its data"
)]
pub trait Value: Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// A target's value, as it was recorded.
#[doc(hidden)]
pub enum Found {
    /// The JSON of one node.
    One(Arc<str>),
    /// All of a fan-out.
    Many(Arc<dyn Members>),
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Found::One(json) => write!(f, "One({json})"),
            Found::Many(members) => write!(f, "Many({})", members.len()),
        }
    }
}

/// A node that can be a run's result: one of the run itself, `all(node)`, or a tuple of 2 to 8 of
/// those.
///
/// A node with one value per item is none:
///
/// ```compile_fail,E0277
/// # use pipeline::{Options, Pipeline, RunId};
/// # struct Slides;
/// # let mut p = Pipeline::new("x");
/// let slide = p.items(Slides, [1, 2], |n| *n);
/// p.run(slide, &Options::new("runs", RunId::new("r").unwrap()));
/// ```
#[diagnostic::on_unimplemented(
    message = "the result of a run is one value, and `{Self}` has one per item",
    label = "one value per item",
    note = "make it one with `p.collect(\"name\", node)`, or ask for all of them with `all(node)`"
)]
pub trait Target {
    /// What [`Report::output`](crate::Report::output) holds.
    type Output;
    #[doc(hidden)]
    fn wires(&self) -> Vec<Wire>;
    #[doc(hidden)]
    fn open(found: &mut dyn Iterator<Item = Found>) -> Result<Self::Output, Fault>;
}

impl<T: DeserializeOwned> Target for Node<T, Root> {
    type Output = T;

    fn wires(&self) -> Vec<Wire> {
        vec![Wire { node: self.id, pipeline: self.pipeline, all: false }]
    }

    fn open(found: &mut dyn Iterator<Item = Found>) -> Result<T, Fault> {
        match found.next() {
            Some(Found::One(json)) => read(&json),
            _ => Err(Fault::fatal("the engine has no value for the run's target")),
        }
    }
}

impl<T: DeserializeOwned, Tag: 'static> Target for All<T, Per<Root, Tag>> {
    type Output = Vec<(String, T)>;

    fn wires(&self) -> Vec<Wire> {
        vec![Wire { node: self.0.id, pipeline: self.0.pipeline, all: true }]
    }

    fn open(found: &mut dyn Iterator<Item = Found>) -> Result<Self::Output, Fault> {
        let Some(Found::Many(members)) = found.next() else {
            return Err(Fault::fatal("the engine has no values for the run's target"));
        };
        let pair = |n| {
            let key = members.key(n).unwrap_or_default().to_string();
            Ok((key, read(&members.value(n)?)?))
        };
        (0..members.len()).map(pair).collect()
    }
}

macro_rules! targets {
    ($($($target:ident)+;)+) => { $(
        impl<$($target: Target),+> Target for ($($target),+) {
            type Output = ($($target::Output),+);

            fn wires(&self) -> Vec<Wire> {
                #[allow(non_snake_case)]
                let ($($target),+) = self;
                [$($target.wires()),+].concat()
            }

            fn open(found: &mut dyn Iterator<Item = Found>) -> Result<Self::Output, Fault> {
                Ok(($($target::open(found)?),+))
            }
        }
    )+ };
}

targets! {
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, Fault> {
    serde_json::from_str(json).map_err(|error| {
        Fault::fatal(format!(
            "the recorded result does not read back ({error}): raise the `.version(..)` of the \
             stage it came from"
        ))
    })
}
