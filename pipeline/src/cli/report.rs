//! `report`: a run, live or dead, as one page of HTML to look at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use super::page::{Escaped, STYLE, timeline};
use super::timeline::{Kind, Row, rows, title};
use super::{Outcome, Place, exit, human};
use crate::error::RunError;
use crate::look::{Life, Look, StageLook};

/// So many items and calls are named; `failures` and `status` name all.
const NAMED: usize = 20;

pub(super) fn go(place: &Place) -> Outcome {
    let look = Look::at(&place.root, place.run()?)?;
    let page = page(&look)?;
    let mut out = exit::out();
    out.write_all(page.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn page(look: &Look) -> Result<String, RunError> {
    let counts = look.stages()?;
    let (rows, running) = (rows(look, &counts)?, matches!(look.life(), Life::Running { .. }));
    let mut page = head(look, &rows);
    let sections = [
        ("Stages", stages(&counts, &rows, running)),
        ("Timeline", timeline(&rows)),
        ("Failures", failures(&rows)),
        ("In doubt: begun, and nobody knows how they ended", doubts(look, running)?),
    ];
    for (title, html) in sections {
        if !html.is_empty() {
            let _ = write!(page, "<h2>{title}</h2>\n{html}");
        }
    }
    Ok(page + "</body>\n</html>\n")
}

fn head(look: &Look, rows: &[Row]) -> String {
    let title = title(look);
    let title = Escaped(&title);
    let mut said = vec![Escaped(&look.life().to_string()).to_string()];
    said.extend(look.record().map(|record| format!("last begun {}", date(record.began_ms))));
    if let Life::Ended(ended) = look.life() {
        said.push(format!("ended {}", date(ended.at_ms)));
    }
    let spent: f64 = rows.iter().flat_map(|row| &row.slices).map(|slice| slice.spent_usd).sum();
    if spent > 0.0 {
        said.push(format!("spent {}", human::usd(spent)));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n<p>{}</p>\n",
        said.join(" · ")
    )
}

fn date(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| format!("{ms} ms"), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// What the calls of a stage took.
#[derive(Default)]
struct Took {
    calls: Vec<Duration>,
    waited: Duration,
    spent_usd: f64,
}

impl Took {
    fn of(stage: &str, rows: &[Row]) -> Self {
        let mut took = Took::default();
        let own = rows.iter().filter(|row| row.stage == stage);
        for slice in own.flat_map(|row| &row.slices) {
            let time = Duration::from_micros(slice.end - slice.begin);
            match slice.kind {
                Kind::Wait => took.waited = took.waited.saturating_add(time),
                Kind::Running | Kind::InDoubt => {}
                _ => took.calls.push(time),
            }
            took.spent_usd += slice.spent_usd;
        }
        took.calls.sort_unstable();
        took
    }
}

fn stages(stages: &[StageLook], rows: &[Row], running: bool) -> String {
    let begun = if running { "in flight" } else { "in doubt" };
    let mut table = "<table>\n<tr>".to_string();
    for heading in [
        "stage",
        "done",
        "of",
        "failed",
        begun,
        "calls",
        "median",
        "longest",
        "waited for permits",
        "spent",
    ] {
        let _ = write!(table, "<th>{heading}</th>");
    }
    table += "</tr>\n";
    let count = |n: u64| if n == 0 { "-".to_string() } else { n.to_string() };
    let time = |time: Option<Duration>| time.map_or_else(|| "-".to_string(), human::span);
    for stage in stages {
        let took = Took::of(&stage.name, rows);
        let cells = [
            human::line(&stage.name),
            count(stage.done),
            stage.steps.map_or_else(|| "?".to_string(), |steps| steps.to_string()),
            count(stage.failed),
            count(stage.begun),
            count(took.calls.len() as u64),
            time(took.calls.get(took.calls.len() / 2).copied()),
            time(took.calls.last().copied()),
            time(Some(took.waited).filter(|waited| !waited.is_zero())),
            if took.spent_usd > 0.0 { human::usd(took.spent_usd) } else { "-".to_string() },
        ];
        table += "<tr>";
        for cell in &cells {
            let _ = write!(table, "<td>{}</td>", Escaped(cell));
        }
        table += "</tr>\n";
    }
    table + "</table>\n"
}

/// One paragraph for each cause, as `failures` has it.
fn failures(rows: &[Row]) -> String {
    let mut causes: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for row in rows {
        for slice in &row.slices {
            if let Some(cause) = &slice.cause {
                causes.entry((&row.stage, cause)).or_default().push(human::line(&slice.item));
            }
        }
    }
    let mut html = String::new();
    for ((stage, cause), mut items) in causes {
        items.sort_unstable();
        let step = human::step(stage, &human::some(&items, NAMED));
        let _ = writeln!(html, "<p>{}</p>\n<pre>{}</pre>", Escaped(&step), Escaped(cause));
    }
    html
}

fn doubts(look: &Look, running: bool) -> Result<String, RunError> {
    let calls = if running { Vec::new() } else { look.calls()? };
    let mut html = String::new();
    for call in calls.iter().take(NAMED) {
        let step = human::step(&call.stage, &call.item);
        let (step, begun) = (Escaped(&step), date(call.start.at_ms));
        let key = Escaped(&call.start.idempotency_key);
        let _ = writeln!(html, "<p>{step}, begun {begun}</p>\n<pre>idempotency key {key}</pre>");
    }
    if calls.len() > NAMED {
        let _ = writeln!(html, "<p>and {} more</p>", calls.len() - NAMED);
    }
    Ok(html)
}
