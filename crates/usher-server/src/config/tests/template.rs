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

#[test]
fn what_is_commented_out_in_it_would_be_taken() {
    let is_setting = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.starts_with('[') || (line.contains(" = ") && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let mut settings = 0;
    let uncommented = default_toml().lines().fold(String::new(), |text, line| {
        let bare = line.trim_start_matches("# ");
        settings += usize::from(is_setting(bare));
        text + if is_setting(bare) { bare } else { line } + "\n"
    });
    let config = read(&uncommented, &[]).unwrap_or_else(|errors| panic!("{errors}\n{uncommented}"));
    assert_eq!(config.issuers[0].jwks_hosts, ["keys.example.com"]);
    assert_eq!(config.rooms[0].pattern, "board-*");
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
    let mut explained = true;
    for line in default_toml().lines() {
        let comment = line.starts_with('#') && !line.contains(" = ");
        let setting = line.contains(" = ") && !line.starts_with('#');
        assert!(explained || !setting, "no comment over {line}");
        explained = comment;
    }
}

#[test]
fn the_schema_closes_every_table() {
    fn check(schema: &serde_json::Value, path: &str) {
        if schema.get("properties").is_some() {
            assert_eq!(schema["additionalProperties"], false, "{path}");
        }
        match schema {
            serde_json::Value::Object(members) => members.iter().for_each(|(key, value)| check(value, &format!("{path}/{key}"))),
            serde_json::Value::Array(items) => items.iter().for_each(|value| check(value, path)),
            _ => {}
        }
    }
    let schema = Config::schema();
    check(&schema, "");
    assert!(schema["properties"]["routes"]["items"]["properties"]["path"]["description"].is_string());
}
