//! Nodes, and the fan-outs that they live in, told apart at compile time.

use std::any::{TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;

/// The whole run: a node of `Root` has one value.
#[derive(Debug)]
pub struct Root;

/// One for each item of the fan-out `Tag` inside `Parent`.
pub struct Per<Parent, Tag>(PhantomData<fn() -> (Parent, Tag)>);

impl<Parent, Tag> fmt::Debug for Per<Parent, Tag> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(type_name::<Self>())
    }
}

/// Where a node lives: [`Root`], or [`Per`] of another scope.
pub trait Scope: 'static {
    /// The tags from the outermost fan-out to the innermost.
    #[doc(hidden)]
    fn path(out: &mut Vec<(TypeId, &'static str)>);
}

impl Scope for Root {
    fn path(_: &mut Vec<(TypeId, &'static str)>) {}
}

impl<P: Scope, Tag: 'static> Scope for Per<P, Tag> {
    fn path(out: &mut Vec<(TypeId, &'static str)>) {
        P::path(out);
        out.push((TypeId::of::<Tag>(), type_name::<Tag>()));
    }
}

/// `Self` is `Above` or lies inside it, so a step of `Self` knows its one value of `Above`.
///
/// Two different fan-outs have no item in common:
///
/// ```compile_fail,E0277
/// # use pipeline::Pipeline;
/// # struct Slides;
/// # struct Chapters;
/// # let mut p = Pipeline::new("x");
/// let slide = p.items(Slides, [1, 2], |n| *n);
/// let chapter = p.items(Chapters, [1, 2], |n| *n);
/// p.each("clip", (slide, chapter)).run(|(), _, (slide, chapter)| Ok(slide + chapter));
/// ```
#[diagnostic::on_unimplemented(
    message = "cannot join: for one item of `{Self}` there is no single value of a node in `{Above}`",
    label = "in another fan-out than the first input, or deeper",
    note = "the first input decides how often the stage runs; every other must be of the same fan-out or of one around it",
    note = "if this one is deeper, put it first; to take all of its values, pass `all(node)`"
)]
pub trait Within<Above> {}

// No two overlap: `S = Per<S, A>` has no finite solution, and coherence knows it. So neither index
// types nor specialization are needed.
#[diagnostic::do_not_recommend]
impl<S: Scope> Within<S> for S {}
#[diagnostic::do_not_recommend]
impl<S: Scope, A> Within<S> for Per<S, A> {}
#[diagnostic::do_not_recommend]
impl<S: Scope, A, B> Within<S> for Per<Per<S, A>, B> {}
#[diagnostic::do_not_recommend]
impl<S: Scope, A, B, C> Within<S> for Per<Per<Per<S, A>, B>, C> {}
#[diagnostic::do_not_recommend]
impl<S: Scope, A, B, C, D> Within<S> for Per<Per<Per<Per<S, A>, B>, C>, D> {}

/// A promise of `T`s, one for each item of `S`. `Copy`, whatever `T` is.
pub struct Node<T, S> {
    pub(crate) id: usize,
    pub(crate) pipeline: u64,
    of: PhantomData<fn() -> (T, S)>,
}

impl<T, S> Node<T, S> {
    pub(crate) fn new(id: usize, pipeline: u64) -> Self {
        Node { id, pipeline, of: PhantomData }
    }
}

impl<T, S> Clone for Node<T, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, S> Copy for Node<T, S> {}

impl<T, S> fmt::Debug for Node<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node#{}<{}, {}>", self.id, type_name::<T>(), type_name::<S>())
    }
}

/// Every value of a node's innermost fan-out, as one input: made by [`all`].
pub struct All<T, S>(pub(crate) Node<T, S>);

impl<T, S> Clone for All<T, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, S> Copy for All<T, S> {}

impl<T, S> fmt::Debug for All<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all({:?})", self.0)
    }
}

/// Takes a whole fan-out as one input: `all(clip)` of a `Node<Clip, Per<S, Tag>>` gives a stage one
/// [`Many<Clip>`](crate::Many) for each item of `S`. As a run's result it is a `Vec<(String,
/// Clip)>`.
pub fn all<T, S, Tag>(node: Node<T, Per<S, Tag>>) -> All<T, Per<S, Tag>> {
    All(node)
}
