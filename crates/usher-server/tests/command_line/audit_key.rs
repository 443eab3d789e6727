//! A lost audit key is not replaced in silence.

use super::{Desk, Serving};

const CONFIG: &str = "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:8080\"\n\
                      [audit]\nsinks = [\"store\", \"file:audit.jsonl\"]\n";

#[test]
fn a_missing_key_beside_a_chain_is_an_error_that_says_what_to_do() {
    // req N5
    let desk = Desk::with(CONFIG);
    let usher = |args: &[&str]| desk.usher(&[args, &["--config", "usher.toml"]].concat());
    assert_eq!(desk.add_user("alice").code, 0);
    let key = desk.path().join("usher.db.audit-key");
    let kept = std::fs::read(&key).expect("the key");
    assert_eq!(usher(&["audit", "new-chain", "old.jsonl"]).code, 1, "nothing is lost");
    std::fs::remove_file(&key).expect("lost");

    for args in [&["serve"][..], &["check"], &["user", "disable", "alice"], &["audit", "verify"]] {
        let done = usher(args);
        assert_eq!(done.code, 1, "{args:?}");
        let said = done.stdout + &done.stderr;
        for expected in
            ["usher.db.audit-key is missing", "restore the file from the backup", "usher audit new-chain FILE"]
        {
            assert!(said.contains(expected), "{args:?}: {said}");
        }
        assert!(!key.exists(), "{args:?}");
    }
    std::fs::write(&key, &kept).expect("restored");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("chmod");
    assert_eq!(usher(&["audit", "verify"]).code, 0, "the backup is as good as it was");
}

#[test]
fn a_new_chain_is_begun_on_purpose_and_says_so() {
    // req N5
    let desk = Desk::with(CONFIG);
    let usher = |args: &[&str]| desk.usher(&[args, &["--config", "usher.toml"]].concat());
    assert_eq!(desk.add_user("alice").code, 0);
    assert_eq!(usher(&["user", "disable", "alice"]).code, 0);
    std::fs::remove_file(desk.path().join("usher.db.audit-key")).expect("lost");
    let done = usher(&["audit", "new-chain", "old.jsonl"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("audit.jsonl holds records of the old chain: move it away first"), "{}", done.stderr);
    std::fs::rename(desk.path().join("audit.jsonl"), desk.path().join("audit.old")).expect("moved");
    // Names at which the store or the server has a file, now or at times: what is put there would be lost.
    for name in ["usher.db.audit-key", "usher.db-journal", "./usher.db-wal", "usher.db.lock"] {
        let refused = usher(&["audit", "new-chain", name]);
        assert_eq!(refused.code, 1, "{name}");
        assert!(refused.stderr.contains("is the name of a file of the store"), "{name}: {}", refused.stderr);
    }
    let done = usher(&["audit", "new-chain", "old.jsonl"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let old = std::fs::read_to_string(desk.path().join("old.jsonl")).expect("the old records");
    let kept = old.lines().count();
    assert!(old.contains("user_created") && old.contains("\"seq\":1,"), "{old}");
    assert!(
        done.stdout.starts_with(&format!("put {kept} records that cannot be verified into old.jsonl")),
        "{}",
        done.stdout
    );
    let done = usher(&["audit", "verify"]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    let note = format!("begins with record {}; what came before was rotated or removed by age", kept + 1);
    assert!(done.stdout.contains(&note), "it does not pass for the first: {}", done.stdout);
    let tail = usher(&["audit", "tail", "--json"]).stdout;
    assert!(tail.contains("\"event\":\"sys_audit_begun\"") && tail.contains("\"reason\":\"key_missing\""), "{tail}");
    drop(Serving::start(&desk));
    assert_eq!(usher(&["audit", "new-chain", "old.jsonl"]).code, 1, "there is a key again");
}

#[test]
fn a_missing_signing_key_costs_refreshes_and_is_told() {
    // req G9
    let desk = Desk::with("[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:8080\"\n");
    drop(Serving::start(&desk));
    let key = std::fs::read_dir(desk.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "pem"))
        .expect("the signing key");
    std::fs::remove_file(&key).expect("lost");
    assert_eq!(desk.usher(&["check", "--config", "usher.toml"]).code, 0, "it is made anew");
    drop(Serving::start(&desk));
    assert!(key.exists());
}
