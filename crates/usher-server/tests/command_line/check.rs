//! `usher check` finds what `usher serve` would, and what a file that was edited in a hurry often has.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::Desk;

const CONFIG: &str = "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:8080\"\n";

fn write(desk: &Desk, name: &str, text: &str, mode: u32) {
    let path = desk.path().join(name);
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn keys_and_files_are_looked_at_by_both() {
    // req G9, N5, O5
    let signing = "[tokens]\nkey_file = \"signing.pem\"\n";
    for (name, text, mode, expected) in [
        ("signing.pem", "no key", 0o600, "tokens.key_file: the signing key signing.pem is not a PKCS#8 private key"),
        ("signing.pem", "no key", 0o644, "may be read by others (mode 0644)"),
        ("usher.db.audit-key", "short", 0o600, "audit: the audit key usher.db.audit-key is damaged"),
        ("usher.db.audit-key", "short", 0o640, "may be read by others (mode 0640)"),
        ("usher.db", "this is no database at all", 0o600, "store.url: usher.db is not a database"),
    ] {
        let desk = Desk::with(&format!("{CONFIG}{signing}"));
        write(&desk, name, text, mode);
        let check = desk.usher(&["check", "--config", "usher.toml"]);
        assert_eq!(check.code, 1, "{expected}");
        let said = check.stdout.replace(&format!("{}/", desk.path().display()), "");
        assert!(said.contains(expected), "{expected}: {said}");
        let serve = desk.usher(&["serve", "--config", "usher.toml"]);
        assert_eq!(serve.code, 1, "{expected}");
        let said = serve.stderr.replace(&format!("{}/", desk.path().display()), "");
        assert!(said.contains(expected), "serve: {expected}: {said}");
    }
}

#[test]
fn check_changes_nothing() {
    let desk = Desk::with(CONFIG);
    let files = || std::fs::read_dir(desk.path()).expect("a folder").count();
    assert_eq!(desk.usher(&["check", "--config", "usher.toml"]).code, 0);
    assert_eq!(files(), 1);
    assert_eq!(desk.add_user("alice").code, 0);
    let before = files();
    assert_eq!(desk.usher(&["check", "--config", "usher.toml"]).code, 0);
    assert_eq!(files(), before);
}

#[test]
fn a_certificate_is_looked_at_for_its_dates_and_its_key() {
    // req A1
    let config =
        "[server]\npublic_url = \"https://chat.example.com\"\ntls = { cert = \"cert.pem\", key = \"key.pem\" }\n";
    let pem =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let check = |from: i32, until: i32, other_key: bool| {
        let desk = Desk::with(config);
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["chat.example.com".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let certificate = params.self_signed(&key).expect("a certificate");
        let key = if other_key { KeyPair::generate().expect("another key") } else { key };
        write(&desk, "cert.pem", &pem("CERTIFICATE", certificate.der()), 0o644);
        write(&desk, "key.pem", &pem("PRIVATE KEY", &key.serialize_der()), 0o600);
        let done = desk.usher(&["check", "--config", "usher.toml"]);
        (done.code, done.stdout)
    };
    let (code, said) = check(2020, 2090, false);
    assert_eq!((code, said.contains("expire")), (0, false), "{said}");
    let (code, said) = check(2020, 2021, false);
    assert!(code == 1 && said.contains("cert.pem expired at 2021-01-01T00:00:00Z"), "{said}");
    let (code, said) = check(2080, 2090, false);
    assert!(code == 1 && said.contains("is not valid before 2080-01-01T00:00:00Z"), "{said}");
    let (code, said) = check(2020, 2090, true);
    assert!(code == 1 && said.contains("certificate and key cannot be used"), "{said}");
}

#[test]
fn rules_that_never_decide_and_regular_expressions_are_pointed_out() {
    // req I2
    let patterns = ["board-*", "board-1", "^lobby$", "team-.*", "room-[0-9]", "no-\\\\d", "plain"];
    let rooms = patterns.map(|pattern| format!("[[rooms]]\npattern = \"{pattern}\"\njoin = [\"any\"]\n")).concat();
    let desk = Desk::with(&format!("{CONFIG}{rooms}"));
    let done = desk.usher(&["check", "--config", "usher.toml"]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    // Of the rooms: how many files may be open is the machine's to say.
    let warnings = done.stdout.lines().filter(|line| line.starts_with("warning: ") && line.contains("rooms["));
    let warnings: Vec<&str> = warnings.collect();
    assert_eq!(warnings.len(), 5, "{warnings:#?}");
    assert!(
        warnings[0].contains("rooms[1].pattern: this rule never decides: rooms[0] (\"board-*\") comes before it"),
        "{warnings:#?}"
    );
    assert!(warnings[1..].iter().all(|line| line.contains("looks like a regular expression")), "{warnings:#?}");
}

#[test]
fn the_sockjs_endpoint_is_one_of_the_routes() {
    let desk = Desk::with(&format!("{CONFIG}[[routes]]\npath = \"/ws\"\n[sockjs]\noctoprint = {{ enabled = true }}\n"));
    let done = desk.usher(&["check", "--config", "usher.toml"]);
    assert!(
        done.stdout.contains("  route    /sockjs  SockJS with OctoPrint's conventions: cookie, "),
        "{}",
        done.stdout
    );
}

#[test]
fn a_log_filter_that_is_wrong_is_refused() {
    let desk = Desk::with(CONFIG);
    let done = desk.usher(&["serve", "--config", "usher.toml", "--log", "info,usher_axum=debugg"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("\"usher_axum=debugg\" is neither a level"), "{}", done.stderr);
    let desk = Desk::with(&format!("{CONFIG}[log]\nlevel = \"inof\"\n"));
    let done = desk.usher(&["check", "--config", "usher.toml"]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("usher.toml:5: log.level: \"inof\" is neither a level"), "{}", done.stdout);
}

#[test]
fn an_empty_list_says_so() {
    let desk = Desk::with(CONFIG);
    assert_eq!(desk.usher(&["migrate", "--config", "usher.toml"]).code, 0);
    for (args, expected) in [
        (&["user", "list"][..], "there are no users yet: `usher user add` adds one\n"),
        (&["key", "list"], "there are no API keys\n"),
        (&["key", "list", "--user", "alice"], "alice has no API keys\n"),
        (&["session", "list", "--user", "alice"], "alice has no sessions\n"),
        (&["audit", "tail"], "there are no audit records\n"),
    ] {
        let done = desk.usher(&[args, &["--config", "usher.toml"]].concat());
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", expected), "{args:?}");
    }
    assert_eq!(desk.usher(&["user", "list", "--json", "--config", "usher.toml"]).stdout, "[]\n");
}
