//! The smallest run of two measurements, against the floor and against Usher with every carrier: no number means anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use usher_bench::Programs;

/// Where cargo put this test's binaries and examples.
fn profile() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    test.parent().and_then(Path::parent).expect("target/debug/deps/…").to_owned()
}

/// What `cargo xtask test` has built with everything else; built here if it was not.
fn built(path: &str, build: [&str; 4]) -> PathBuf {
    let program = profile().join(path);
    if !program.is_file() {
        let built = Command::new(env!("CARGO")).args(["build", "--quiet"]).args(build).status();
        assert!(built.expect("cargo").success());
    }
    program
}

#[tokio::test]
async fn the_floor_and_usher_can_be_measured() {
    let programs = Programs {
        usher: built("usher", ["--package", "usher-server", "--bin", "usher"]),
        floor: built("examples/floor", ["--package", "usher-bench", "--example", "floor"]),
        node: None,
        python: None,
        bench: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench"),
    };
    let counts = usher_bench::smoke(programs, &["connect", "fan-out"]).await.expect("both are measured");
    // Twelve ways into Usher and one into the floor with four metrics each, three bare verifications; for each of the two, four rates
    // of deliveries and two latencies with two quantiles.
    assert_eq!(counts, [13 * 4 + 3, 2 * (4 + 4)]);
}
