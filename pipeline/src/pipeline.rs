//! The builder: fan-outs, values, stages and joins become a graph.

use std::any::type_name;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::canonical::canonical;
use crate::digest::Digest;
use crate::engine;
use crate::error::RunError;
use crate::fault::Fault;
use crate::graph::{
    Cell, ExpandDef, Graph, Items, Live, NewItem, NodeDef, Origin, ScopeDef, SourceDef, StageDef,
    ValueDef,
};
use crate::inputs::{Inputs, Wire};
use crate::name::check_name;
use crate::node::{All, Node, Per, Root, Scope, all};
use crate::options::Options;
use crate::report::Report;
use crate::stage::Stage;
use crate::target::{Target, Value};

/// A pipeline being built: fan-outs, values and stages, joined into a graph.
///
/// Building runs nothing. [`run`](Pipeline::run), `main` and `command` do, and only the stages that
/// their target needs. Mistakes that the types cannot hold (a name used twice, a tag used twice, a
/// node of another pipeline) panic while building, at the caller's line.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) name: String,
    id: u64,
    pub(crate) graph: Graph,
}

impl Pipeline {
    /// A pipeline without stages. Its name is part of every idempotency key.
    ///
    /// # Panics
    /// If the name is none: 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or a digit,
    /// without a dot at the end.
    #[track_caller]
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        name_or_panic("pipeline", name);
        let run = ScopeDef { path: Vec::new(), name: String::new(), parent: None };
        // ORDERING: Relaxed: only that no two pipelines get the same number matters.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Pipeline {
            name: name.to_string(),
            id,
            graph: Graph { scopes: vec![run], ..Graph::default() },
        }
    }

    /// A fan-out: each item of `items` becomes one value of the node. `key` names it in records,
    /// artefacts and reports, and must be the same in every run. Items are pulled one by one, as
    /// the stages have room for them, on a thread of its own.
    ///
    /// Items are hashed, not recorded: an item that has changed runs again what lies below it.
    ///
    /// # Panics
    /// If `Tag` names a fan-out of this pipeline already.
    #[track_caller]
    pub fn items<Tag: 'static, T, I, K>(
        &mut self,
        tag: Tag,
        items: I,
        key: impl Fn(&T) -> K + Send + 'static,
    ) -> Node<T, Per<Root, Tag>>
    where
        I: IntoIterator<Item = T, IntoIter: Send + 'static>,
        T: Serialize + Send + Sync + 'static,
        K: Display,
    {
        let items = items.into_iter().map(Ok::<T, Fault>);
        self.source(tag, items, key)
    }

    /// [`items`](Pipeline::items) of results: an error ends the run, loudly, after what is in
    /// flight was recorded.
    ///
    /// # Panics
    /// As of [`items`](Pipeline::items).
    #[track_caller]
    pub fn try_items<Tag: 'static, T, E, I, K>(
        &mut self,
        tag: Tag,
        items: I,
        key: impl Fn(&T) -> K + Send + 'static,
    ) -> Node<T, Per<Root, Tag>>
    where
        I: IntoIterator<Item = Result<T, E>, IntoIter: Send + 'static>,
        T: Serialize + Send + Sync + 'static,
        E: Into<Fault> + 'static,
        K: Display,
    {
        let items = items.into_iter().map(|item| item.map_err(Into::into));
        self.source(tag, items, key)
    }

    /// A setting as an input: hashed like any other, where a captured variable is not.
    ///
    /// # Panics
    /// If the name is none, or a stage or value has it, or the value cannot be written as JSON.
    #[track_caller]
    pub fn value<T: Serialize + Send + Sync + 'static>(
        &mut self,
        name: &str,
        value: T,
    ) -> Node<T, Root> {
        name_or_panic("value", name);
        self.unused_or_panic(name);
        let cell = match Cell::of(value) {
            Ok(cell) => cell,
            Err(error) => panic!("pipeline: the value `{name}` cannot be hashed: {error}"),
        };
        let origin = Origin::Value(self.graph.values.len());
        let node = self.node(0, name, origin);
        self.graph.values.push(ValueDef { node: node.id, cell });
        node
    }

    /// Fans out further: each element of the node's list becomes an item of `Tag` inside the node's
    /// own scope. Runs nothing itself; `key` must be unique inside one list.
    ///
    /// # Panics
    /// If `Tag` names a fan-out inside that scope already, or the node is another pipeline's.
    #[track_caller]
    pub fn expand<Tag: 'static, T: Value, S: Scope, K: Display>(
        &mut self,
        _tag: Tag,
        list: Node<Vec<T>, S>,
        key: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Node<T, Per<S, Tag>> {
        self.own_or_panic("the list of an expand", list.pipeline);
        let scope = self.fan_out::<S, Tag>();
        let name = self.graph.scopes[scope].name.clone();
        let origin = Origin::Expand(self.graph.expands.len());
        let node = self.node(scope, &name, origin);
        let key = Arc::new(key);
        let open = move |list: Live| -> Result<Items, Fault> {
            let wrong =
                |_| Fault::fatal("the engine handed an expand something else than its list");
            let list = list.downcast::<Vec<T>>().map_err(wrong)?;
            let key = Arc::clone(&key);
            Ok(Box::new((0..list.len()).map(move |n| element(&list[n], &*key))))
        };
        self.graph.expands.push(ExpandDef { from: list.id, to: node.id, open: Box::new(open) });
        node
    }

    /// A stage that runs once per item of its first input. The others may be of the same fan-out,
    /// of one around it (one value for all its items), or `all(node)`.
    ///
    /// # Panics
    /// If the name is none or is taken, or an input belongs to another pipeline.
    #[track_caller]
    pub fn each<I: Inputs>(&mut self, name: &str, inputs: I) -> Stage<'_, I> {
        name_or_panic("stage", name);
        self.unused_or_panic(name);
        for wire in inputs.wires() {
            self.own_or_panic(&format!("an input of stage `{name}`"), wire.pipeline);
        }
        Stage::new(self, name, inputs)
    }

    /// A stage over a whole fan-out: `each(name, all(node))`.
    ///
    /// # Panics
    /// As of [`each`](Pipeline::each).
    #[track_caller]
    pub fn collect<T: DeserializeOwned + 'static, S: Scope, Tag: 'static>(
        &mut self,
        name: &str,
        node: Node<T, Per<S, Tag>>,
    ) -> Stage<'_, All<T, Per<S, Tag>>> {
        self.each(name, all(node))
    }

    /// Ends a stage's description.
    #[track_caller]
    pub(crate) fn add_stage<O: Value, S: Scope>(&mut self, mut def: StageDef) -> Node<O, S> {
        self.unused_or_panic(&def.name);
        def.scope = self.scope::<S>();
        let origin = Origin::Stage(self.graph.stages.len());
        let node = self.node(def.scope, &def.name.clone(), origin);
        def.node = node.id;
        self.graph.stages.push(def);
        node
    }

    /// Runs what `target` needs and blocks until that is done, fails, or is stopped.
    ///
    /// A run is a folder, `<root>/<run>`. Steps whose results it holds, made of the same inputs, do
    /// not run again: a run that was killed, stopped or halted continues where it was. One process
    /// works on a run at a time.
    ///
    /// # Errors
    /// [`RunError`], when the run could not begin or not go on. A step that fails is no error: it
    /// is in the report, which then has no output.
    ///
    /// # Panics
    /// If the target is another pipeline's node.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value)] // a target is `Copy`: `p.run(film, ..)` reads best
    pub fn run<R: Target>(
        self,
        target: R,
        options: &Options,
    ) -> Result<Report<R::Output>, RunError> {
        let wires = self.target(target.wires());
        let mut report = engine::run(&self.name, self.graph, &wires, options)?;
        let output = match report.output.take() {
            None => None,
            Some(_) if !options.only.is_empty() => None,
            Some(found) => {
                let opened = R::open(&mut found.into_iter());
                Some(opened.map_err(|fault| RunError::Output { cause: fault.to_string() })?)
            }
        };
        Ok(report.map(output))
    }

    /// The wires of a run's target, if they are this pipeline's.
    #[track_caller]
    pub(crate) fn target(&self, wires: Vec<Wire>) -> Vec<Wire> {
        for wire in &wires {
            self.own_or_panic("the run's target", wire.pipeline);
        }
        wires
    }

    #[track_caller]
    fn source<Tag: 'static, T, K>(
        &mut self,
        _tag: Tag,
        items: impl Iterator<Item = Result<T, Fault>> + Send + 'static,
        key: impl Fn(&T) -> K + Send + 'static,
    ) -> Node<T, Per<Root, Tag>>
    where
        T: Serialize + Send + Sync + 'static,
        K: Display,
    {
        let scope = self.fan_out::<Root, Tag>();
        let name = self.graph.scopes[scope].name.clone();
        let origin = Origin::Source(self.graph.sources.len());
        let node = self.node(scope, &name, origin);
        let items = items.map(move |item| new_item(item?, &key));
        self.graph.sources.push(SourceDef { node: node.id, items: Box::new(items) });
        node
    }

    fn node<T, S>(&mut self, scope: usize, name: &str, origin: Origin) -> Node<T, S> {
        self.graph.nodes.push(NodeDef { scope, name: name.to_string(), origin });
        Node::new(self.graph.nodes.len() - 1, self.id)
    }

    /// A new fan-out inside `S`.
    #[track_caller]
    fn fan_out<S: Scope, Tag: 'static>(&mut self) -> usize {
        let mut path = Vec::new();
        <Per<S, Tag>>::path(&mut path);
        let tag = short::<Tag>();
        let ids: Vec<_> = path.iter().map(|(id, _)| *id).collect();
        assert!(
            self.graph.scopes.iter().all(|scope| scope.path != ids),
            "pipeline: the tag `{tag}` names a fan-out already: give each its own"
        );
        let parent = self.scope::<S>();
        let name = match &*self.graph.scopes[parent].name {
            "" => tag.to_string(),
            around => format!("{around}/{tag}"),
        };
        self.graph.scopes.push(ScopeDef { path: ids, name, parent: Some(parent) });
        self.graph.scopes.len() - 1
    }

    /// Where nodes of `S` live. A node exists only after its fan-out was added, so there is one.
    fn scope<S: Scope>(&self) -> usize {
        let mut path = Vec::new();
        S::path(&mut path);
        let ids: Vec<_> = path.iter().map(|(id, _)| *id).collect();
        self.graph.scopes.iter().position(|scope| scope.path == ids).unwrap_or_default()
    }

    #[track_caller]
    fn own_or_panic(&self, what: &str, pipeline: u64) {
        assert!(pipeline == self.id, "pipeline: {what} belongs to another pipeline");
    }

    #[track_caller]
    fn unused_or_panic(&self, name: &str) {
        let named = |node: &&NodeDef| node.name == name;
        match self.graph.nodes.iter().find(named).map(|node| node.origin) {
            Some(Origin::Stage(_)) => panic!("pipeline: there is a stage named `{name}` already"),
            Some(Origin::Value(_)) => panic!("pipeline: there is a value named `{name}` already"),
            _ => {}
        }
    }
}

/// An element of a list as an item: written and read back, since the list keeps its own.
fn element<T: Value, K: Display>(item: &T, key: &impl Fn(&T) -> K) -> Result<NewItem, Fault> {
    let key = key(item).to_string();
    let broken = |error: &dyn Display| {
        Fault::fatal(format!("the element `{key}` of a list cannot be made an item: {error}"))
    };
    let json = canonical(item).map_err(|error| broken(&error))?;
    let own: T = serde_json::from_str(&json).map_err(|error| broken(&error))?;
    let hash = Digest::of(json.as_bytes());
    Ok(NewItem { key, cell: Cell { json: Arc::from(json), hash, live: Arc::new(own) } })
}

fn new_item<T, K: Display>(item: T, key: &impl Fn(&T) -> K) -> Result<NewItem, Fault>
where
    T: Serialize + Send + Sync + 'static,
{
    let key = key(&item).to_string();
    match Cell::of(item) {
        Ok(cell) => Ok(NewItem { key, cell }),
        Err(error) => Err(Fault::fatal(format!("the item `{key}` cannot be hashed: {error}"))),
    }
}

#[track_caller]
fn name_or_panic(what: &str, name: &str) {
    if let Err(rule) = check_name(name) {
        panic!("pipeline: of a {what}: {rule}");
    }
}

/// A tag's own name, without the module that it stands in.
fn short<Tag>() -> &'static str {
    let name = type_name::<Tag>();
    name.rsplit("::").next().unwrap_or(name)
}
