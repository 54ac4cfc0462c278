//! Real processes: killed at random, starved of space and descriptors, forked, traced.
//!
//! Each part runs this very test program again as its worker: `RATCHET_WORKER` says as which.
//! `RATCHET_CHAOS_ROUNDS` sets the rounds of kills; 5 unless set.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use checkpoint::{Batch, Checkpoint, Error, RunId, Saved, read, verify};

fn run() -> RunId {
    RunId::new("r").unwrap()
}

/// This program again, as a worker that runs only `worker_entry`.
fn worker(task: &str, root: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["worker_entry", "--exact", "--nocapture", "--test-threads=1"]);
    command.env("RATCHET_WORKER", task).env("RATCHET_ROOT", root);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Not a test of its own: what the workers do.
#[test]
fn worker_entry() {
    let Ok(task) = std::env::var("RATCHET_WORKER") else { return };
    let root = std::env::var_os("RATCHET_ROOT").unwrap();
    let root = Path::new(&root);
    match task.split(':').collect::<Vec<_>>().as_slice() {
        ["save", number] => save_until_killed(root, number),
        ["update", times] => {
            let checkpoint = Checkpoint::open(root, &run()).unwrap();
            for _ in 0..times.parse().unwrap() {
                checkpoint.update("n", |old: Option<u64>| Some(old.unwrap_or(0) + 1)).unwrap();
            }
        }
        ["full"] => save_until_full(root),
        ["one"] => {
            let checkpoint = Checkpoint::open(root, &run()).unwrap();
            for step in 0..5 {
                checkpoint.save("traced", &step).unwrap();
                println!("ACKNOWLEDGED {step}");
            }
        }
        ["descriptors"] => run_out_of_descriptors(root),
        ["moved"] => change_the_working_folder(root),
        other => panic!("no such worker: {other:?}"),
    }
}

/// Eight threads that save, batch, and compact; each acknowledgement is printed.
fn save_until_killed(root: &Path, number: &str) {
    let checkpoint = Checkpoint::open(root, &run()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let checkpoint = checkpoint.clone();
            scope.spawn(move || {
                for step in 0_u64.. {
                    let node = format!("{number}-{thread}");
                    let said = match step % 8 {
                        3 => {
                            let batch = Batch::new().put(&node, &step).unwrap();
                            let batch = batch.put(&format!("{node}-b"), &step).unwrap();
                            checkpoint.save_all(batch).unwrap();
                            format!("{node} {step}\n{node}-b {step}\n")
                        }
                        5 => {
                            match checkpoint.save_once(&format!("{node}-{step}"), &step).unwrap() {
                                Saved::Inserted(_) => format!("{node}-{step} {step}\n"),
                                Saved::Existing(_) => String::new(),
                            }
                        }
                        7 if step % 64 == 7 && thread == 0 => {
                            checkpoint.compact().unwrap();
                            String::new()
                        }
                        _ => {
                            checkpoint.save(&node, &step).unwrap();
                            format!("{node} {step}\n")
                        }
                    };
                    // One write: a kill leaves whole lines or none.
                    std::io::stdout().write_all(said.as_bytes()).unwrap();
                    std::io::stdout().flush().unwrap();
                }
            });
        }
    });
}

#[test]
fn nothing_acknowledged_is_lost_to_kills() {
    let rounds = std::env::var("RATCHET_CHAOS_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: u32 = rounds.unwrap_or(5);
    let root = tempfile::tempdir().unwrap();
    let mut promised: BTreeMap<String, u64> = BTreeMap::new();
    let (mut acknowledged, mut kills) = (0_u64, 0);
    for round in 0..rounds {
        let mut children: Vec<_> = (0..4)
            .map(|number| {
                let task = format!("save:{round}.{number}");
                worker(&task, root.path()).spawn().unwrap()
            })
            .collect();
        let (first, begun) = std::sync::mpsc::channel();
        let readers: Vec<_> = children
            .iter_mut()
            .map(|child| {
                let lines = BufReader::new(child.stdout.take().unwrap()).lines();
                let first = first.clone();
                std::thread::spawn(move || {
                    let acknowledged = lines.map_while(Result::ok).inspect(|line| {
                        if line.contains('-') {
                            // Nobody listens any more after the first.
                            let _ = first.send(());
                        }
                    });
                    acknowledged.collect::<Vec<_>>()
                })
            })
            .collect();
        // However slow the machine is, something is to be lost by then.
        begun.recv_timeout(Duration::from_secs(60)).unwrap();
        drop(begun);
        // Real time: the point is to be killed anywhere.
        let until = 20 + u64::from(round).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 180;
        for child in &mut children {
            std::thread::sleep(Duration::from_millis(until / 4));
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        for line in readers.into_iter().flat_map(|reader| reader.join().unwrap()) {
            // The test runner's own lines have another shape.
            let Some((node, step)) = line.rsplit_once(' ') else { continue };
            let node = node.rsplit(' ').next().unwrap();
            if let Ok(step) = step.parse::<u64>() {
                acknowledged += 1;
                let before = promised.entry(node.to_owned()).or_default();
                *before = step.max(*before);
            }
        }
        let snapshot = match round % 2 {
            0 => read(root.path(), &run()),
            _ => Checkpoint::open(root.path(), &run()).and_then(|handle| handle.load()),
        };
        let snapshot = snapshot.unwrap_or_else(|error| panic!("round {round}: {error}"));
        for (node, step) in &promised {
            let found = snapshot.get::<u64>(node).unwrap().map(|entry| entry.value);
            assert!(found >= Some(*step), "round {round}: {node}: {found:?} for {step}");
        }
        assert_eq!(snapshot.seq(), verify(root.path(), &run()).unwrap().seq);
    }
    println!("chaos: {rounds} rounds, {kills} kills, {acknowledged} acknowledgements, 0 lost");
    assert!(acknowledged > 0);
}

#[test]
fn no_update_is_lost_between_processes() {
    let root = tempfile::tempdir().unwrap();
    let children: Vec<_> =
        (0..4).map(|_| worker("update:25", root.path()).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let entry = read(root.path(), &run()).unwrap().get::<u64>("n").unwrap().unwrap();
    assert_eq!((entry.value, entry.seq.get()), (100, 100));
}

/// Saves until nothing fits, then checks that it says so and goes on when there is space again.
fn save_until_full(root: &Path) {
    let checkpoint = Checkpoint::open(root, &run()).unwrap();
    let mut saved = 0;
    let error = loop {
        match checkpoint.save(&format!("n{saved}"), &"x".repeat(1000)) {
            Ok(_) => saved += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NotWritten { .. }), "{error}");
    assert!(error.to_string().contains("make space"), "{error}");
    // A smaller one may still fit: the handle works.
    checkpoint.save("small", &saved).unwrap();
    println!("FULL {saved}");
}

fn check_full(root: &Path, child: &mut Command) {
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let saved = text.lines().find_map(|line| line.split("FULL ").nth(1)).unwrap();
    let saved: usize = saved.trim().parse().unwrap();
    let snapshot = read(root, &run()).unwrap();
    assert_eq!((snapshot.len(), snapshot.seq().get()), (saved + 1, saved as u64 + 1));
    assert!(saved > 10 && !snapshot.contains(&format!("n{saved}")));
    // With space again everything works.
    let checkpoint = Checkpoint::open(root, &run()).unwrap();
    checkpoint.save("more", &"x".repeat(1000)).unwrap();
    checkpoint.close().unwrap();
}

#[test]
fn a_file_size_limit_is_no_space() {
    let root = tempfile::tempdir().unwrap();
    let mut child = worker("full", root.path());
    let limit = libc::rlimit { rlim_cur: 60_000, rlim_max: libc::RLIM_INFINITY };
    let prepare = move || {
        // SAFETY: both calls are async-signal-safe, and `limit` outlives them.
        let failed = unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit)
        };
        if failed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: `prepare` allocates nothing and takes no locks.
    unsafe { child.pre_exec(prepare) };
    check_full(root.path(), &mut child);
}

#[test]
fn a_full_disk_is_no_space() {
    let root = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        let command = Command::new(arguments[0]).args(&arguments[1..]).arg(root.path()).output();
        command.is_ok_and(|output| output.status.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs"]) {
        println!("SKIPPED: a_full_disk_is_no_space: may not mount a tmpfs here");
        return;
    }
    let output = worker("full", root.path()).output().unwrap();
    let read = read(root.path(), &run()).map(|snapshot| snapshot.len());
    assert!(mount(&["umount"]), "the tmpfs stays mounted");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("FULL {}", read.unwrap() - 1)), "{text}");
}

/// The limit is reached, then lifted: open handles go on, new ones are refused with a typed error.
fn run_out_of_descriptors(root: &Path) {
    let checkpoint = Checkpoint::open(root, &run()).unwrap();
    checkpoint.save("a", &1).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    let error = Checkpoint::open(root, &run()).unwrap_err();
    assert!(
        matches!(error, Error::Io { .. }) && error.to_string().contains("open files"),
        "{error}"
    );
    assert!(matches!(read(root, &run()), Err(Error::Io { .. })));
    checkpoint.save("b", &2).unwrap();
    // It needs a new file: it says so, and the old log holds.
    assert!(matches!(checkpoint.compact(), Err(Error::Io { .. })));
    checkpoint.save("c", &3).unwrap();
    drop(hoard);
    checkpoint.compact().unwrap();
    println!("DESCRIPTORS {}", checkpoint.load().unwrap().len());
}

#[test]
fn a_descriptor_limit_is_an_error_and_no_more() {
    let root = tempfile::tempdir().unwrap();
    let mut child = worker("descriptors", root.path());
    let limit = libc::rlimit { rlim_cur: 40, rlim_max: 40 };
    let prepare = move || {
        // SAFETY: the call is async-signal-safe, and `limit` outlives it.
        let failed = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        if failed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: `prepare` allocates nothing and takes no locks.
    unsafe { child.pre_exec(prepare) };
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("DESCRIPTORS 3"), "{text}");
}

/// A relative root means the folder that it led to when the run was opened.
fn change_the_working_folder(root: &Path) {
    let (here, there) = (root.join("here"), root.join("there"));
    std::fs::create_dir_all(here.join("runs/r")).unwrap();
    std::fs::create_dir_all(there.join("runs/r")).unwrap();
    std::env::set_current_dir(&here).unwrap();
    let checkpoint = Checkpoint::open("runs", &run()).unwrap();
    std::env::set_current_dir(&there).unwrap();
    checkpoint.save("a", &1).unwrap();
    checkpoint.compact().unwrap();
    assert!(here.join("runs/r/checkpoint.json").exists());
    // Another folder takes its place: the log goes on in the one that was opened, and nothing is
    // written by a path that leads elsewhere now.
    std::fs::rename(here.join("runs/r"), here.join("runs/moved")).unwrap();
    std::fs::create_dir(here.join("runs/r")).unwrap();
    checkpoint.save("b", &2).unwrap();
    let error = checkpoint.clone().close().unwrap_err();
    assert!(matches!(&error, Error::Io { .. }) && error.to_string().contains("place"), "{error}");
    assert_eq!(checkpoint.load().unwrap().len(), 2);
    for stranger in [there.join("runs/r"), here.join("runs/r")] {
        assert_eq!(std::fs::read_dir(&stranger).unwrap().count(), 0, "{}", stranger.display());
    }
    println!("MOVED");
}

#[test]
fn a_run_stays_where_it_was_opened() {
    let root = tempfile::tempdir().unwrap();
    let output = worker("moved", root.path()).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("MOVED"), "{text}{why}");
}

#[test]
fn a_handle_does_not_work_in_a_forked_child() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(root.path(), &run()).unwrap();
    checkpoint.save("a", &1).unwrap();
    // SAFETY: the child of this threaded process only reads its pid, which takes no lock and
    // allocates for the error alone, and leaves without unwinding.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let forked = matches!(checkpoint.get::<i32>("a"), Err(Error::Forked { .. }))
            && matches!(checkpoint.refresh(), Err(Error::Forked { .. }));
        // SAFETY: ends the child at once, without the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!forked)) };
    }
    let mut status = 0;
    // SAFETY: `child` is our own child, `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child could use its parent's handle");
    checkpoint.save("b", &2).unwrap();
}

#[test]
fn between_the_last_write_and_the_acknowledgement_stands_a_flush() {
    let root = tempfile::tempdir().unwrap();
    Checkpoint::open(root.path(), &run()).unwrap();
    let trace = root.path().join("trace");
    let mut child = Command::new("strace");
    child.args(["-f", "-y", "-e", "trace=pwrite64,write,fdatasync,fsync", "-o"]).arg(&trace);
    let inner = worker("one", root.path());
    child.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        child.env(name, value.unwrap());
    }
    match child.stdout(Stdio::piped()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => {}
        other => {
            println!("SKIPPED: no strace here: {other:?}");
            return;
        }
    }
    let trace = std::fs::read_to_string(trace).unwrap();
    let (mut unflushed, mut acknowledged) = (true, 0);
    for line in trace.lines() {
        if line.contains("pwrite64(") && line.contains("checkpoint.log") {
            unflushed = true;
        } else if line.contains("fdatasync(") && line.contains("checkpoint.log") {
            unflushed &= !line.ends_with("= 0");
        } else if line.contains("ACKNOWLEDGED") {
            assert!(!unflushed, "acknowledged without a flush:\n{trace}");
            acknowledged += 1;
            unflushed = true;
        }
    }
    assert_eq!(acknowledged, 5, "{trace}");
    println!("strace: {acknowledged} acknowledgements, each behind a successful fdatasync");
}
