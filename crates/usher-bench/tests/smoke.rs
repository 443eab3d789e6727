//! The smallest run of every measurement, against the floor and against Usher with every carrier: no number means anything.

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

/// How many figures each of these measurements gives.
async fn figures<const N: usize>(names: [&str; N]) -> Vec<usize> {
    let programs = Programs {
        usher: built("usher", ["--package", "usher-server", "--bin", "usher"]),
        floor: built("examples/floor", ["--package", "usher-bench", "--example", "floor"]),
        node: None,
        python: None,
        bench: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench"),
    };
    usher_bench::smoke(programs, &names).await.expect("all are measured")
}

#[tokio::test]
async fn connects_and_deliveries_can_be_measured() {
    // Seventeen ways into Usher and one into the floor with four metrics each, three bare verifications; for each of the two, four rates
    // of deliveries and two latencies with two quantiles.
    assert_eq!(figures(["connect", "fan-out"]).await, [18 * 4 + 3, 2 * (4 + 4)]);
}

#[tokio::test]
async fn memory_and_waiting_can_be_measured() {
    // The floor's, and three kinds of connection of ours; memory of the silent, and a good client alone and beside them.
    assert_eq!(figures(["idle", "waiting"]).await, [4, 2 * (1 + 2 * 2)]);
}

#[tokio::test]
async fn what_happens_to_many_at_once_can_be_measured() {
    // One at a time and many; of one and of all; three kinds of client with four metrics; closes and bystanders; two sizes, of the
    // floor with two costs and of ours with three.
    let counts = figures(["echo", "revoke", "storm", "expiry", "growth"]).await;
    assert_eq!(counts, [2 * 2, 4 + 2, 3 * 4, 2 + 2, 2 * (2 + 3)]);
}
