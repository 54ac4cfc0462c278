//! The record of the run itself: written when a process begins, and when it ends.

use crate::error::RunError;
use crate::graph::{Graph, Origin};
use crate::plan::Plan;
use crate::record::{Ended, FORMAT, FanOutRecord, InputRecord, RunRecord, StageRecord, now_ms};
use crate::report::{End, Report};
use crate::store::Records;

/// The name of the record.
pub(crate) const NODE: &str = "run";

/// The run's record between begin and end.
pub(crate) struct RunLog(RunRecord);

impl RunLog {
    /// Says that this process works on the run from now on.
    ///
    /// # Errors
    /// The run belongs to another pipeline, or the checkpoint refuses.
    pub(crate) fn begin(
        records: &Records,
        pipeline: &str,
        graph: &Graph,
        plan: &Plan,
    ) -> Result<Self, RunError> {
        if let Some(old) = records.get::<RunRecord>(NODE)?
            && old.pipeline != pipeline
        {
            return Err(RunError::OtherPipeline {
                run: records.run().to_string(),
                found: old.pipeline,
                wanted: pipeline.to_string(),
            });
        }
        let (stages, fan_outs) = shape(graph, plan);
        let record = RunRecord {
            format: FORMAT,
            pipeline: pipeline.to_string(),
            pid: std::process::id(),
            began_ms: now_ms(),
            ended: None,
            stages,
            fan_outs,
        };
        records.save(NODE, &record)?;
        Ok(RunLog(record))
    }

    /// Says how it ended. What could not be recorded matters only if nothing went wrong before.
    pub(crate) fn end<T>(
        mut self,
        records: &Records,
        result: Result<(Report<T>, Vec<u64>), RunError>,
    ) -> Result<Report<T>, RunError> {
        let (how, reason) = match &result {
            Ok((report, _)) => match &report.end {
                End::Finished if report.failed() > 0 => ("failures", None),
                End::Finished => ("finished", None),
                End::Stopped => ("stopped", None),
                End::Halted { reason } => ("halted", Some(reason.clone())),
            },
            Err(error) => ("error", Some(error.to_string())),
        };
        self.0.ended = Some(Ended { at_ms: now_ms(), how: how.to_string(), reason });
        if let Ok((report, items)) = &result {
            for (fan_out, &items) in self.0.fan_outs.iter_mut().zip(items) {
                fan_out.items = Some(items).filter(|_| report.end == End::Finished);
            }
        }
        let saved = records.save(NODE, &self.0);
        let (report, _) = result?;
        saved?;
        // A look that changed nothing leaves the view for people as it is: rewriting a million
        // records would cost more than looking at them.
        let changed = report.stages.iter().any(|stage| stage.ran + stage.failed > 0);
        if changed && let Err(error) = records.checkpoint().clone().close() {
            // Every step is recorded; what failed is the view for people and the compaction.
            tracing::warn!(run = records.run(), "closing the checkpoint: {error}");
        }
        Ok(report)
    }
}

/// The stages and fan-outs that are needed.
pub(crate) fn shape(graph: &Graph, plan: &Plan) -> (Vec<StageRecord>, Vec<FanOutRecord>) {
    (plan.needed().map(|(id, _)| stage(graph, plan, id)).collect(), fan_outs(plan))
}

fn stage(graph: &Graph, plan: &Plan, id: usize) -> StageRecord {
    let (def, shape) = (&graph.stages[id], &plan.stages[id]);
    let input = |wire: &crate::inputs::Wire| InputRecord {
        from: plan.nodes[wire.node].name.clone(),
        all: wire.all,
    };
    StageRecord {
        name: def.name.clone(),
        version: def.settings.version,
        workers: def.settings.workers,
        fan_out: plan.scopes[shape.scope].name.clone(),
        inputs: shape.wires.iter().map(input).collect(),
        limits: def.gate.as_ref().map(|gate| gate.names()).unwrap_or_default(),
    }
}

fn fan_outs(plan: &Plan) -> Vec<FanOutRecord> {
    let needed = plan.scopes.iter().enumerate().skip(1).filter(|(_, s)| !s.nodes.is_empty());
    let record = |(id, scope): (usize, &crate::plan::PlanScope)| {
        let list = plan.nodes.iter().find(|node| node.expands.contains(&id));
        let stage = list.filter(|node| matches!(node.origin, Origin::Stage(_)));
        let name = stage.map(|node| node.name.clone());
        FanOutRecord { name: scope.name.clone(), list: name, items: None }
    };
    needed.map(record).collect()
}
