//! A stage being described: options, then `run`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ratelimit::{Cost, RateLimiter};
use threadlocal::{PerThreadLocal, UseError};

use crate::canonical::canonical;
use crate::cx::Cx;
use crate::fault::Fault;
use crate::gate::{Gate, Limited};
use crate::graph::{Done, Hooks, Live, Output, Settings, StageDef, StepFn};
use crate::inputs::{Given, Inputs};
use crate::node::Node;
use crate::pipeline::Pipeline;
use crate::target::Value;

type Make<A> = Box<dyn Fn() -> Result<A, Fault> + Send + Sync>;

/// A stage being described; [`run`](Stage::run) ends it and gives its node.
///
/// `I` is what it takes in, `A` its adapter: `()` unless [`adapter`](Stage::adapter) says
/// otherwise.
#[must_use = "a stage is added by `.run(..)`"]
pub struct Stage<'p, I, A = ()> {
    pipeline: &'p mut Pipeline,
    name: String,
    inputs: I,
    settings: Settings,
    gate: Option<Arc<dyn Gate>>,
    make: Make<A>,
}

impl<I, A> fmt::Debug for Stage<'_, I, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<'p, I> Stage<'p, I> {
    pub(crate) fn new(pipeline: &'p mut Pipeline, name: &str, inputs: I) -> Self {
        Stage {
            pipeline,
            name: name.to_string(),
            inputs,
            settings: Settings::default(),
            gate: None,
            make: Box::new(|| Ok(())),
        }
    }
}

impl<'p, I, A: 'static> Stage<'p, I, A> {
    /// The version of what the stage does, 1 unless told otherwise: part of every step's cache key.
    /// Raise it when the code has changed so that recorded results are to be made again.
    pub fn version(mut self, version: u32) -> Self {
        self.settings.version = version;
        self
    }

    /// How many steps of the stage run at once, each on a thread of its own; 1 unless told
    /// otherwise.
    ///
    /// # Panics
    /// At 0: nobody would do the work.
    #[track_caller]
    pub fn workers(mut self, workers: usize) -> Self {
        assert!(workers > 0, "pipeline: stage `{}` needs at least one worker", self.name);
        self.settings.workers = workers;
        self
    }

    /// How often a step is tried before a [transient](Fault::Transient) fault is final; 5 unless
    /// told otherwise.
    ///
    /// # Panics
    /// At 0: nothing would be tried.
    #[track_caller]
    pub fn attempts(mut self, attempts: u32) -> Self {
        assert!(attempts > 0, "pipeline: stage `{}` needs at least one attempt", self.name);
        self.settings.attempts = attempts;
        self
    }

    /// The pauses between attempts: random between nothing and a bound, which begins at `first` and
    /// doubles up to `longest` ("full jitter": Brooker, "Exponential Backoff And Jitter", AWS
    /// Architecture Blog, 2015). 0.5 s and 60 s unless told otherwise. No worker sleeps meanwhile.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.settings.backoff = (first, longest);
        self
    }

    /// How long a call should take: [`Cx::deadline`] is that much after its start, for the client's
    /// own timeouts.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Halts the run when the service has refused for want of capacity for that long without
    /// answering once in between. Without it a run waits as long as it takes.
    pub fn max_capacity_wait(mut self, longest: Duration) -> Self {
        self.settings.max_capacity_wait = Some(longest);
        self
    }

    /// Lets an `all(node)` among the inputs leave out the items that failed. Without it the stage
    /// waits for all of them, and is blocked by one failure.
    pub fn allow_missing(mut self) -> Self {
        self.settings.allow_missing = true;
        self
    }

    /// Makes each step wait for a permit of `limiter`, at the cost that `cost` estimates from its
    /// inputs. The wait is in order of arrival, blocks the step's worker, and ends when the run
    /// stops. Steps whose results are recorded cost nothing.
    ///
    /// ```
    /// # use pipeline::{Pipeline, Rate, RateLimiter, Stage};
    /// # struct Texts;
    /// # let mut p = Pipeline::new("x");
    /// # let text = p.items(Texts, ["a".to_string()], |t| t.clone());
    /// let limits = [("requests", Rate::per_minute(500)), ("tokens", Rate::per_minute(200_000))];
    /// let rate = RateLimiter::new(limits).unwrap();
    /// p.each("translate", text).limit(&rate, |text| [1, text.len() as u64])
    ///     .run(|_, cx, text| {
    ///         cx.used("tokens", 17);          // what the call really took
    ///         Ok(text.to_uppercase())
    ///     });
    /// ```
    ///
    /// # Panics
    /// If the stage has a limiter: a wait at the second would hold a permit of the first.
    #[track_caller]
    pub fn limit<const N: usize, C: Into<Cost<N>> + 'static>(
        mut self,
        limiter: &RateLimiter<N>,
        cost: impl for<'a> Fn(I::Refs<'a>) -> C + Send + Sync + 'static,
    ) -> Self
    where
        I: Inputs,
    {
        assert!(
            self.gate.is_none(),
            "pipeline: stage `{}` has a limiter: put several limits into one \
             `RateLimiter::new([..])`",
            self.name
        );
        self.gate = Some(Arc::new(Limited::<I, _, C, N>::new(limiter.clone(), cost)));
        self
    }

    /// Gives each worker thread its own client, made by `make` at the thread's first step and
    /// dropped there: it need be neither `Send` nor `Sync`. It is handed to the closure as `&mut`.
    /// A call that panics loses its client; the next one makes another.
    ///
    /// A fault of `make` is a fault of the step that needed the client.
    pub fn adapter<B: 'static>(
        self,
        make: impl Fn() -> Result<B, Fault> + Send + Sync + 'static,
    ) -> Stage<'p, I, B> {
        let Stage { pipeline, name, inputs, settings, gate, .. } = self;
        Stage { pipeline, name, inputs, settings, gate, make: Box::new(make) }
    }

    /// Adds the stage: `call` makes one step's result of its adapter, what it knows of itself, and
    /// its inputs. Gives the node of the results.
    ///
    /// The closure runs on worker threads, for several items at once. Its result is recorded as
    /// canonical JSON and read back before it counts as done. Whatever it captures is in no cache
    /// key: settings come in through [`Pipeline::value`].
    ///
    /// # Panics
    /// If the pipeline has a stage of this name.
    #[track_caller]
    pub fn run<O: Value, F>(self, call: F) -> Node<O, I::Scope>
    where
        I: Inputs,
        F: for<'a> Fn(&'a mut A, &'a Cx<'a>, I::Refs<'a>) -> Result<O, Fault>
            + Send
            + Sync
            + 'static,
    {
        let adapters = PerThreadLocal::new(self.make);
        let retired = adapters.clone();
        let step = erase::<O, I, A, F>(call, adapters, self.gate.clone());
        let def = StageDef {
            node: 0,
            scope: 0,
            name: self.name,
            settings: self.settings,
            wires: self.inputs.wires(),
            gate: self.gate,
            step,
            decode: decode::<O>,
            retire: Box::new(move || retired.discard()),
        };
        self.pipeline.add_stage::<O, I::Scope>(def)
    }
}

/// Puts everything typed behind one closure.
fn erase<O: Value, I: Inputs, A: 'static, F>(
    call: F,
    adapters: PerThreadLocal<A, Fault>,
    gate: Option<Arc<dyn Gate>>,
) -> StepFn
where
    F: for<'a> Fn(&'a mut A, &'a Cx<'a>, I::Refs<'a>) -> Result<O, Fault> + Send + Sync + 'static,
{
    Box::new(move |cx: &Cx<'_>, given: &[Given], hooks: &Hooks<'_>| {
        let held = I::hold(given)?;
        // The client first: if it cannot be made, no permit is spent.
        let used = adapters.with(|adapter| {
            let permit = match &gate {
                None => None,
                Some(gate) => match gate.pass(&held as &dyn Any, hooks.cancel)? {
                    None => return Ok(None),
                    permit => permit,
                },
            };
            (hooks.begin)()?;
            let out = call(adapter, cx, I::lend(&held));
            if let Some(permit) = permit {
                permit.settle(cx);
            }
            out.map(Some)
        });
        let out = match used {
            Ok(Ok(Some(out))) => out,
            Ok(Ok(None)) => return Ok(Done::Cancelled),
            Ok(Err(fault)) | Err(UseError::Make(fault)) => return Err(fault),
            Err(UseError::Reentry) => return Err(Fault::fatal(REENTRY)),
            Err(_) => return Err(Fault::transient("the worker's thread is ending")),
        };
        I::check(&held)?;
        record(&out).map(Done::Result)
    })
}

const REENTRY: &str = "a step was run from inside another step of its own stage on one thread";

/// The result as it will be recorded, read back: what cannot be read back must not count as done.
fn record<O: Value>(out: &O) -> Result<Output, Fault> {
    let json = canonical(out)
        .map_err(|error| Fault::fatal(format!("the result cannot be recorded: {error}")))?;
    let live = decode::<O>(&json).map_err(|error| {
        Fault::fatal(format!(
            "the result was written but does not read back ({error}): the `Serialize` and \
             `Deserialize` of `{}` disagree",
            std::any::type_name::<O>()
        ))
    })?;
    Ok(Output { json, live })
}

fn decode<O: Value>(json: &str) -> Result<Live, serde_json::Error> {
    Ok(Arc::new(serde_json::from_str::<O>(json)?))
}
