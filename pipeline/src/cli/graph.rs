//! `graph`: stages, fan-outs and settings as a drawing, with how far the run is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::{Outcome, Place, exit};
use crate::error::RunError;
use crate::inputs::Wire;
use crate::look::{Life, Look, StageLook};
use crate::pipeline::Pipeline;
use crate::plan::Plan;
use crate::record::{FanOutRecord, StageRecord};
use crate::run_record;

#[derive(Args, Clone, Debug)]
#[group(multiple = false)]
pub(super) struct Graph {
    /// As Mermaid, which Markdown renderers draw (default)
    #[arg(long)]
    mermaid: bool,
    /// As DOT, for Graphviz
    #[arg(long)]
    dot: bool,
}

/// What is drawn.
#[derive(Default)]
struct Drawing {
    boxes: Vec<Node>,
    arrows: Vec<Arrow>,
}

struct Node {
    kind: Kind,
    lines: Vec<String>,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Stage,
    FanOut,
    Value,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    Running,
    Done,
    Failed,
}

/// From a box to a box; `all` of a fan-out is drawn thick.
struct Arrow {
    from: usize,
    to: usize,
    all: bool,
}

impl Graph {
    /// Draws the run as its last process built it, or the pipeline if there is no run yet.
    pub(super) fn go(self, pipeline: &Pipeline, target: &[Wire], place: &Place) -> Outcome {
        let drawing = match Look::at(&place.root, place.run()?) {
            Ok(look) => of_run(&look, pipeline, target)?,
            Err(RunError::NoSuchRun { .. }) => {
                let (stages, fan_outs) = built(pipeline, target);
                drawing(&stages, &fan_outs, &[], false)
            }
            Err(error) => return Err(error.into()),
        };
        let mut out = exit::out();
        write!(out, "{}", if self.dot { drawing.dot() } else { drawing.mermaid() })?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn built(pipeline: &Pipeline, target: &[Wire]) -> (Vec<StageRecord>, Vec<FanOutRecord>) {
    let plan = Plan::new(&pipeline.graph, target);
    run_record::shape(&pipeline.graph, &plan)
}

fn of_run(look: &Look, pipeline: &Pipeline, target: &[Wire]) -> Result<Drawing, RunError> {
    let counts = look.stages()?;
    let running = matches!(look.life(), Life::Running { .. });
    if let Some(record) = look.record() {
        return Ok(drawing(&record.stages, &record.fan_outs, &counts, running));
    }
    let (stages, fan_outs) = built(pipeline, target);
    Ok(drawing(&stages, &fan_outs, &counts, running))
}

fn drawing(
    stages: &[StageRecord],
    fan_outs: &[FanOutRecord],
    counts: &[StageLook],
    running: bool,
) -> Drawing {
    let mut drawing = Drawing::default();
    let mut at = BTreeMap::new();
    for fan_out in fan_outs {
        let mut lines = vec![fan_out.name.clone()];
        lines.extend(fan_out.items.map(|items| super::human::count(items, "item")));
        at.insert(&*fan_out.name, drawing.add(Kind::FanOut, lines, State::Waiting));
    }
    for stage in stages {
        let count = counts.iter().find(|count| count.name == stage.name);
        let mut lines = vec![stage.name.clone()];
        lines.extend(count.map(|count| said(count, running)));
        let state = count.map_or(State::Waiting, |count| state(count, running));
        at.insert(&*stage.name, drawing.add(Kind::Stage, lines, state));
    }
    for stage in stages {
        for input in &stage.inputs {
            let from = *at.entry(&*input.from).or_insert_with(|| {
                drawing.add(Kind::Value, vec![input.from.clone()], State::Waiting)
            });
            drawing.arrows.push(Arrow { from, to: at[&*stage.name], all: input.all });
        }
    }
    for fan_out in fan_outs {
        let list = fan_out.list.as_deref().and_then(|list| at.get(list).copied());
        if let Some(from) = list {
            drawing.arrows.push(Arrow { from, to: at[&*fan_out.name], all: false });
        }
    }
    drawing
}

/// `12 of 20 done, 1 failed, 2 in flight`.
fn said(count: &StageLook, running: bool) -> String {
    let mut said = match count.steps {
        Some(steps) => format!("{} of {steps} done", count.done),
        None => format!("{} done", count.done),
    };
    if count.failed > 0 {
        let _ = write!(said, ", {} failed", count.failed);
    }
    if count.begun > 0 {
        let how = if running { "in flight" } else { "in doubt" };
        let _ = write!(said, ", {} {how}", count.begun);
    }
    said
}

fn state(count: &StageLook, running: bool) -> State {
    if count.failed > 0 {
        State::Failed
    } else if count.steps.is_some_and(|steps| count.done >= steps) {
        State::Done
    } else if running && count.begun > 0 {
        State::Running
    } else {
        State::Waiting
    }
}

impl Drawing {
    fn add(&mut self, kind: Kind, lines: Vec<String>, state: State) -> usize {
        self.boxes.push(Node { kind, lines, state });
        self.boxes.len() - 1
    }

    fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (n, node) in self.boxes.iter().enumerate() {
            let lines: Vec<String> = node.lines.iter().map(|line| html(line)).collect();
            let label = lines.join("<br/>");
            let (open, close) = match node.kind {
                Kind::Stage => ("[\"", "\"]"),
                Kind::FanOut => ("[/\"", "\"/]"),
                Kind::Value => ("([\"", "\"])"),
            };
            let class = node.state.class().map(|class| format!(":::{class}"));
            let _ = writeln!(text, "    n{n}{open}{label}{close}{}", class.unwrap_or_default());
        }
        for Arrow { from, to, all } in &self.arrows {
            let arrow = if *all { "==>|all|" } else { "-->" };
            let _ = writeln!(text, "    n{from} {arrow} n{to}");
        }
        for state in [State::Running, State::Done, State::Failed] {
            if let (Some(class), true) = (state.class(), self.has(state)) {
                let (fill, edge) = state.colours();
                let _ =
                    writeln!(text, "    classDef {class} fill:{fill},stroke:{edge},color:#1b1b1b");
            }
        }
        text
    }

    fn dot(&self) -> String {
        let mut text = String::from(
            "digraph pipeline {\n    rankdir=LR;\n    node [fontname=\"sans-serif\"];\n",
        );
        for (n, node) in self.boxes.iter().enumerate() {
            let lines: Vec<String> = node.lines.iter().map(|line| quoted(line)).collect();
            let label = lines.join("\\n");
            let shape = match node.kind {
                Kind::Stage => "box",
                Kind::FanOut => "parallelogram",
                Kind::Value => "oval",
            };
            let (fill, edge) = node.state.colours();
            let _ = writeln!(
                text,
                "    n{n} [label=\"{label}\", shape={shape}, style=filled, fillcolor=\"{fill}\", \
                 color=\"{edge}\"];"
            );
        }
        for Arrow { from, to, all } in &self.arrows {
            let how = if *all { " [label=\"all\", penwidth=2]" } else { "" };
            let _ = writeln!(text, "    n{from} -> n{to}{how};");
        }
        text + "}\n"
    }

    fn has(&self, state: State) -> bool {
        self.boxes.iter().any(|node| node.state == state)
    }
}

impl State {
    fn class(self) -> Option<&'static str> {
        match self {
            State::Waiting => None,
            State::Running => Some("running"),
            State::Done => Some("done"),
            State::Failed => Some("failed"),
        }
    }

    /// Fill and edge: light enough for black text on white and on dark pages.
    fn colours(self) -> (&'static str, &'static str) {
        match self {
            State::Waiting => ("#f2f2f2", "#8c8c8c"),
            State::Running => ("#cfe3ff", "#2f6fd0"),
            State::Done => ("#d3f0d6", "#2e8540"),
            State::Failed => ("#ffd6d6", "#c92a2a"),
        }
    }
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
