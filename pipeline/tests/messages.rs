//! What does not compile, and what the compiler says then.
//!
//! Exact messages differ between compilers: they are compared with the one that they were written
//! with, and a note is printed for any other. That these joins are refused everywhere is held by the
//! `compile_fail` examples in the documentation of [`pipeline::Within`] and [`pipeline::Target`].

use std::process::Command;

const WRITTEN_WITH: &str = "rustc 1.95.";

#[test]
fn messages_of_what_does_not_compile() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    if !version.starts_with(WRITTEN_WITH) {
        println!("not compared: the messages were written with {WRITTEN_WITH}, this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
