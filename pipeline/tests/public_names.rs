//! Every public item under its name, with the signatures and markers that users rely on.

#![allow(clippy::ignored_unit_patterns)] // what a user writes: `_` for no adapter

use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pipeline::{
    All, Artefact, BuildError, Cancel, Cost, Cx, Durability, End, Failure, Fault, Halt, Input,
    Inputs, Lead, Many, Node, Options, OrFault, Per, Pipeline, Rate, RateLimiter, Report, Root,
    RunError, RunId, Scope, Stage, StageReport, Stop, Target, Value, Within, all,
};

struct Tag;
struct Inner;
/// Neither `Send` nor `Debug` nor `Clone`: a node of it is all of them.
struct Odd(#[allow(dead_code)] *const u8);

fn shared<T: Send + Sync>() {}
fn sent<T: Send>() {}
fn plain<T: Copy + Send + Sync + Debug>() {}
fn within<A: Within<B>, B>() {}
fn scope<S: Scope>() {}
fn value<T: Value>() {}
fn lead<L: Lead<Scope = S>, S>() {}
fn input<I: Input<S>, S>() {}
fn inputs<I: Inputs<Scope = S>, S>() {}
fn target<T: Target<Output = O>, O>() {}
fn error<T: std::error::Error + Send + Sync>() {}

#[test]
fn markers() {
    plain::<Node<Odd, Per<Root, Tag>>>();
    plain::<All<Odd, Per<Root, Tag>>>();
    plain::<Halt>();
    sent::<Pipeline>();
    sent::<Fault>();
    shared::<Options>();
    shared::<Stop>();
    shared::<Artefact>();
    shared::<Report<u8>>();
    shared::<(Failure, StageReport, End)>();
    shared::<(RunId, RateLimiter<2>, Cost<2>, Cancel)>();
    error::<RunError>();
    error::<BuildError>();
}

#[test]
fn the_scopes_of_joins() {
    type Deep = Per<Per<Per<Per<Root, Tag>, Inner>, Tag>, Inner>;
    within::<Root, Root>();
    within::<Deep, Root>();
    within::<Deep, Per<Root, Tag>>();
    within::<Deep, Deep>();
    scope::<Deep>();
    value::<Artefact>();
    value::<Vec<(String, Option<f64>)>>();
}

#[test]
fn inputs_and_targets() {
    type N = Node<u8, Per<Root, Tag>>;
    lead::<Node<u8, Per<Root, Tag>>, Per<Root, Tag>>();
    lead::<All<u8, Per<Root, Tag>>, Root>();
    input::<Node<u8, Root>, Per<Root, Tag>>();
    inputs::<(N, N, N, N, N, N, N, N), Per<Root, Tag>>();
    target::<Node<u8, Root>, u8>();
    target::<All<u8, Per<Root, Tag>>, Vec<(String, u8)>>();
    target::<(Node<u8, Root>, All<u8, Per<Root, Tag>>), (u8, Vec<(String, u8)>)>();
}

/// What a closure can ask and say. Compiled, and run below.
fn everything(cx: &Cx<'_>) -> Result<Artefact, Fault> {
    let (_, _): (&str, &str) = (cx.stage(), cx.item());
    let (_, _): (u32, &str) = (cx.attempt(), cx.idempotency_key());
    let (_, _, _): (Option<Instant>, bool, bool) = (cx.deadline(), cx.in_doubt(), cx.is_stopping());
    cx.used("requests", 1);
    cx.spent_usd(0.25);
    let write = |path: &Path| Ok(std::fs::write(path, "x")?);
    let named = cx.file_named("name", "txt", write)?;
    let _: PathBuf = cx.path(&named);
    let (_, _, _): (&str, u64, String) = (named.relative_path(), named.size(), named.blake3());
    cx.file("txt", write)
}

#[test]
fn every_builder_and_option_in_one_run() {
    let root = tempfile::tempdir().unwrap();
    let limit = RateLimiter::new([("requests", Rate::per_second(1e6))]).unwrap();
    let mut p = Pipeline::new("names");
    let _unused: Node<u8, Per<Root, Inner>> = p.items(Inner, [1_u8], |n| *n);
    let n: Node<u8, Per<Root, Tag>> = p.try_items(Tag, [Ok::<_, String>(1_u8)], |n| *n);
    let setting: Node<&str, Root> = p.value("setting", "s");
    let stage: Stage<'_, _, ()> = p.each("list", (n, setting));
    let list = stage
        .version(2)
        .workers(2)
        .attempts(3)
        .backoff(Duration::ZERO, Duration::ZERO)
        .timeout(Duration::from_secs(9))
        .max_capacity_wait(Duration::from_secs(9))
        .allow_missing()
        .limit(&limit, |_| 1)
        .adapter(|| Ok(std::rc::Rc::new(7_u8)))
        .run(|seven, cx, (n, _)| {
            assert!(cx.deadline().is_some());
            Ok(vec![*n, **seven])
        });
    let inner: Node<u8, Per<Per<Root, Tag>, Inner>> = p.expand(Inner, list, |n| *n);
    let sum = p.collect("sum", inner).run(|_, _, all: Many<'_, u8>| {
        assert!(!all.is_empty() && all.len() == 2 && all.keyed().count() == 2);
        assert_eq!(all.iter().count(), 2, "`Many` is `Copy`");
        Ok(all.iter().map(u32::from).sum::<u32>())
    });
    let file = p.each("file", all(sum)).run(|_, cx, sums| {
        assert_eq!(sums.into_iter().sum::<u32>(), 8);
        everything(cx)
    });
    let options = Options::new(root.path(), RunId::new("r").unwrap())
        .stop(Stop::new())
        .halt(Halt::percent(50))
        .workers("sum", 2)
        .window(3)
        .grace(Duration::from_secs(1))
        .durability(Durability::Process);
    let report: Report<Artefact> = p.run(file, &options).unwrap();
    let _: &dyn Display = &report;
    let Report { output, end, stages, failures, spent_usd, .. } = &report;
    assert_eq!((end, stages.len(), failures.len()), (&End::Finished, 3, 0));
    assert!((spent_usd - 0.25).abs() < 1e-9);
    assert!(report.path(output.as_ref().unwrap()).starts_with(report.run_dir()));
    assert_eq!(report.failed(), 0);
}

#[test]
fn what_a_report_says_of_failures() {
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("names");
    let n = p.items(Tag, [1_u8], |n| *n);
    let bad = p.each("bad", n).run(|_, _, _| Err::<u8, _>(Fault::fatal("no")));
    let options = Options::new(root.path(), RunId::new("r").unwrap()).halt(Halt::after(1));
    let report = p.run(all(bad), &options).unwrap();
    let StageReport { name, ran, reused, failed, blocked, .. } = &report.stages[0];
    assert_eq!((&**name, *ran, *reused, *failed, *blocked), ("bad", 0, 0, 1, 0));
    let Failure { stage, item, attempts, cause, .. } = &report.failures[0];
    assert_eq!((&**stage, &**item, *attempts, &**cause), ("bad", "1", 1, "no"));
    assert!(matches!(&report.end, End::Halted { reason } if reason == "1 step failed"));
    assert_eq!(report.output, None);

    let stop = Stop::new();
    stop.stop();
    assert!(stop.is_stopped());
    let mut p = Pipeline::new("names");
    let value = p.value("value", 1_u8);
    let same = p.each("same", value).run(|_, _, n| Ok(*n));
    let report = p.run(same, &options.stop(stop)).unwrap();
    assert_eq!((report.end, report.output), (End::Stopped, None));
}

/// Every reason for which there is no report.
#[test]
fn errors_of_every_kind() {
    let name = |error: &RunError| match error {
        RunError::InUse { run: _, pid: _, host: _ } => "in use",
        RunError::NoSuchRun { run: _, root: _, known: _ } => "no such run",
        RunError::Workspace { doing: _, path: _, source: _ } => "workspace",
        RunError::Checkpoint { run: _, source: _ } => "checkpoint",
        RunError::Record { run: _, node: _, source: _ } => "record",
        RunError::Source { fan_out: _, position: _, cause: _ } => "source",
        RunError::DuplicateKey { fan_out: _, key: _, first: _, second: _ } => "duplicate key",
        RunError::OtherPipeline { run: _, found: _, wanted: _ } => "other pipeline",
        RunError::UnknownStage { name: _, known: _ } => "unknown stage",
        RunError::Workers { stage: _, source: _ } => "workers",
        RunError::Output { cause: _ } => "output",
        _ => "another",
    };
    let root = tempfile::tempdir().unwrap();
    let mut p = Pipeline::new("names");
    let value = p.value("value", 1_u8);
    let same = p.each("same", value).run(|_, _, n| Ok(*n));
    let options = Options::new(root.path(), RunId::new("r").unwrap()).only("none");
    assert_eq!(name(&p.run(same, &options).unwrap_err()), "unknown stage");
}

#[test]
fn faults_of_every_kind() {
    let faults = [
        Fault::fatal("a"),
        Fault::transient(std::io::Error::other("b")),
        Fault::rate_limited(Duration::from_secs(1)),
        Fault::rate_limited(None),
        Fault::halt(String::from("c")),
        anyhow::anyhow!("d").into(),
        Box::<dyn std::error::Error + Send + Sync>::from("e").into(),
    ];
    let texts: Vec<_> = faults.iter().map(Fault::to_string).collect();
    assert_eq!(texts[0], "a");
    assert!(texts[2].contains("1s"), "{texts:?}");
    assert!(matches!(Err::<(), _>("x").or_fatal(), Err(Fault::Fatal(_))));
    assert!(matches!(Err::<(), _>("x").or_transient(), Err(Fault::Transient(_))));
    assert!(matches!(&faults[2], Fault::RateLimited { after: Some(_) }));
    assert!(matches!(&faults[4], Fault::Halt(_)));
}

#[cfg(feature = "cli")]
#[test]
fn the_command_line() {
    use clap::{Args, FromArgMatches};
    use pipeline::cli::Command;

    let _: fn(Pipeline, Node<u8, Root>) -> ExitCode = Pipeline::main;
    let _: fn(Pipeline, Node<u8, Root>, Command) -> ExitCode = Pipeline::command;
    let _ = |p: Pipeline, target: Node<u8, Root>, command: Command| -> ExitCode {
        let finish = |_: &Report<u8>| -> Result<(), Box<dyn std::error::Error>> { Ok(()) };
        p.command_then(target, command, finish)
    };
    let parser = Command::augment_args(clap::Command::new("names"));
    let found = parser.get_matches_from(["names", "--root", "elsewhere", "status"]);
    let command = Command::from_arg_matches(&found).unwrap();
    let command = command.default_run(RunId::new("r").unwrap());
    assert_eq!((command.root(), command.is_run()), (Path::new("elsewhere"), false));
}
