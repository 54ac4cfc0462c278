//! The command line from outside: a program as a user writes it, started as a child process.
//!
//! The program is this executable itself: with `TALK` in its environment it is the program, without
//! it runs the tests.

mod looking;
mod planning;
mod program;
mod retrying;
mod running;
mod shell;
mod traces;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if std::env::var_os("TALK").is_some() {
        return program::main();
    }
    let (looks, traces) = (looking::TESTS, traces::TESTS);
    let tests = [looks, planning::TESTS, retrying::TESTS, running::TESTS, traces].concat();
    let trials = tests.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
