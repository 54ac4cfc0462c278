//! The README's picture is what its example draws.

#[expect(dead_code, reason = "the example's own main")]
#[path = "../examples/picture.rs"]
mod picture;

#[test]
fn the_readmes_picture_is_the_examples() {
    let hint = "cargo run -p ratelimit --example picture > ratelimit/grants.svg";
    assert_eq!(picture::svg(), include_str!("../grants.svg"), "draw it anew: {hint}");
}
