//! What must not compile: adapters and handles that would leave their thread.
//!
//! The compiler's whole messages are compared only with the toolchain that they were recorded with:
//! they differ from one to the next, and a new stable one must not break the tests. That the cases
//! fail at all is checked on every toolchain, by the `compile_fail` examples in the crate's docs.

use std::process::Command;

/// Whoever changes the toolchain records again: `TRYBUILD=overwrite cargo test --test compile_fail`.
const RECORDED_WITH: &str = "rustc 1.95.0";

#[test]
fn what_would_leave_its_thread_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/compile_fail/pass_not_send_in_per_thread_local.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc runs");
    if String::from_utf8_lossy(&version.stdout).starts_with(RECORDED_WITH) {
        cases.compile_fail("tests/compile_fail/fail_*.rs");
    }
}
