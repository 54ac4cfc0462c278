//! Pulls items: a thread for each fan-out, which opens one item after another as there is room.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use super::Engine;
use super::gather::{Unread, given};
use crate::error::RunError;
use crate::event::Event;
use crate::graph::{Items, Open};
use crate::index::RUN;
use crate::inputs::Given;
use crate::store::Seed;

/// Where a fan-out's items come from.
pub(super) enum Spring {
    /// An iterator, once.
    Source(Items),
    /// The lists of a node, as they become ready.
    Lists { node: usize, open: Open },
}

/// Starts the feeder of the fan-out `scope`. It ends with its items, or with the run; a source that
/// blocks may outlive the run.
pub(super) fn start(engine: &Arc<Engine>, scope: usize, spring: Spring) -> Result<(), RunError> {
    let engine = Arc::clone(engine);
    let name = engine.plan.scopes[scope].name.clone();
    let work = move || {
        let what = || format!("the source of `{}`", engine.plan.scopes[scope].name);
        engine.guard(what, || match spring {
            Spring::Source(items) => feed(&engine, scope, RUN, items),
            Spring::Lists { node, open } => feed_lists(&engine, scope, node, &open),
        });
    };
    let spawned = thread::Builder::new().name(format!("items of {name}")).spawn(work);
    spawned.map(drop).map_err(|error| RunError::Workers { stage: name, source: error.into() })
}

/// Opens the lists of a node, one after another, as they become ready.
fn feed_lists(engine: &Engine, scope: usize, node: usize, open: &Open) {
    while let Some(at) = engine.store.await_list(scope) {
        match list(engine, scope, node, at, open) {
            Ok(items) => feed(engine, scope, at, items),
            Err(error) => engine.fail(error),
        }
    }
}

/// Opens all items of one fan-out inside the item `parent`.
fn feed(engine: &Engine, scope: usize, parent: u32, mut items: Items) {
    let plan = &engine.plan.scopes[scope];
    let mut position = 0;
    while engine.store.await_room(scope) {
        position += 1;
        let broken = |cause: &str| engine.fail(source_error(engine, scope, position, cause));
        // The user's iterator and key: under no lock, and a panic there must end the run, not leave
        // it waiting for items.
        let seed = match catch_unwind(AssertUnwindSafe(|| items.next())) {
            Ok(None) => Seed::End,
            Ok(Some(Ok(item))) => Seed::Item(item),
            Ok(Some(Err(fault))) => return broken(&fault.to_string()),
            Err(_) => return broken("its source panicked"),
        };
        let last = matches!(seed, Seed::End);
        if last {
            engine.tally.closed(scope);
            engine.tell(&Event::Closed { fan_out: &plan.name });
        } else {
            engine.tally.opened(scope, &plan.stages);
            engine.tell(&Event::Opened { fan_out: &plan.name, stages: &plan.stages });
        }
        match engine.store.seed(parent, scope, seed) {
            Ok(change) => engine.drive(change),
            Err(twice) => {
                return engine.fail(RunError::DuplicateKey {
                    fan_out: plan.name.clone(),
                    key: twice.key,
                    first: u64::from(twice.first) + 1,
                    second: u64::from(twice.second) + 1,
                });
            }
        }
        if last {
            return;
        }
    }
}

/// The elements of the list that the item `at` has.
fn list(
    engine: &Engine,
    scope: usize,
    node: usize,
    at: u32,
    open: &Open,
) -> Result<Items, RunError> {
    let broken = |cause: &str| source_error(engine, scope, 0, cause);
    let need = engine.store.list(at, node).ok_or_else(|| broken("its list is not there"))?;
    match given(engine, need) {
        Ok(Given::One(live)) => open(live).map_err(|fault| broken(&fault.to_string())),
        Ok(Given::Many(_)) => Err(broken("its list is a whole fan-out")),
        Err(Unread::Error(error)) => Err(error),
        Err(Unread::Fault(fault)) => Err(broken(&fault.to_string())),
    }
}

fn source_error(engine: &Engine, scope: usize, position: u64, cause: &str) -> RunError {
    let fan_out = engine.plan.scopes[scope].name.clone();
    RunError::Source { fan_out, position, cause: cause.to_string() }
}
