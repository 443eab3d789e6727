//! `usher config default` and `usher config schema`.

use usher_auth::close_code::CloseCause;

use super::super::shape::{self, Shape};
use super::super::{Config, default_toml};
use super::*;

#[test]
fn the_default_file_is_the_default() {
    let written = read(&default_toml(), &[]).expect("the default file");
    let (written, default) = (serde_json::to_value(written), serde_json::to_value(Config::default()));
    assert_eq!(written.expect("plain data"), default.expect("plain data"));
    load(&default_toml()).expect("the default file is safe");
}

/// Whether a line sets a key or begins a table, and is no sentence.
fn is_setting(line: &str) -> bool {
    let key = line.split(" = ").next().unwrap_or_default();
    let assignment = line.contains(" = ") && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    assignment || (line.starts_with('[') && line.ends_with(']'))
}

#[test]
fn what_is_commented_out_in_it_would_be_taken() {
    let mut settings = 0;
    let uncommented = default_toml().lines().fold(String::new(), |text, line| {
        let bare = line.trim_start_matches("# ");
        settings += usize::from(is_setting(bare));
        text + if is_setting(bare) { bare } else { line } + "\n"
    });
    let config = read(&uncommented, &[]).unwrap_or_else(|errors| panic!("{errors}\n{uncommented}"));
    assert_eq!(config.issuers[0].jwks_url.as_deref(), Some("https://accounts.example.com/jwks.json"));
    assert_eq!(config.rooms[0].join, ["role:user"]);
    assert!(config.admin.is_some() && config.server.tls.is_some() && config.server.public_url.is_some());
    assert!(settings > 50, "{settings}");
}

#[test]
fn every_key_has_its_place_in_the_reading_order() {
    fn check(shape: Shape<'_>) {
        for (key, shape) in shape.entries() {
            let close_cause = CloseCause::ALL.iter().any(|cause| cause.as_str() == key);
            assert!(close_cause || shape::is_placed(key), "{key}");
            check(shape);
            shape.items().into_iter().for_each(check);
        }
    }
    check(Shape::of(&Config::schema()));
}

#[test]
fn every_key_is_explained() {
    let file = default_toml();
    let lines: Vec<&str> = file.lines().map(|line| line.trim_start_matches("# ")).collect();
    for pair in lines.windows(2).filter(|pair| is_setting(pair[1])) {
        assert!(!pair[0].is_empty() && !is_setting(pair[0]) || pair[1].starts_with('['), "no comment over {}", pair[1]);
    }
}

#[test]
fn the_schema_closes_every_table() {
    fn check(schema: &serde_json::Value, path: &str) {
        if schema.get("properties").is_some() {
            assert_eq!(schema["additionalProperties"], false, "{path}");
        }
        match schema {
            serde_json::Value::Object(members) => {
                members.iter().for_each(|(key, value)| check(value, &format!("{path}/{key}")));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|value| check(value, path)),
            _ => {}
        }
    }
    let schema = Config::schema();
    check(&schema, "");
    assert!(schema["properties"]["routes"]["items"]["properties"]["path"]["description"].is_string());
}
