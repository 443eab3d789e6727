//! Which settings a reload puts in force, and which of those that changed need a restart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What [`crate::server::Server::reload`] puts in force: a key, or everything below it. What is not here needs a restart.
const IN_FORCE: [&str; 17] = [
    "routes",
    "rooms",
    "server.trusted_proxies",
    "server.client_address",
    "limits.waiting",
    "limits.anonymous",
    "limits.connections",
    "limits.message",
    "limits.messages",
    "limits.outbound",
    "limits.heartbeat",
    "sockjs.carriers",
    "sockjs.anonymous",
    "sockjs.max_age",
    "sockjs.reauth",
    "sockjs.origins",
    "sockjs.first_message",
];

/// The keys that differ from those that the server `started` with and are not in force `now`, in order.
pub(crate) fn needing_restart(started: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = started.keys().chain(now.keys()).collect();
    let changed = keys.into_iter().filter(|key| started.get(*key) != now.get(*key));
    let mut names: Vec<String> = changed.filter(|key| !is_in_force(key)).cloned().collect();
    // The listener itself counts and refuses connections by the proxies that it was started with.
    if started.get("server.trusted_proxies") != now.get("server.trusted_proxies") {
        names.push("server.trusted_proxies (for how connections are counted and which may be plain text)".to_owned());
    }
    names
}

fn is_in_force(key: &str) -> bool {
    let below = |known: &str| key.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    IN_FORCE.into_iter().any(below)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(list: &[(&str, Value)]) -> BTreeMap<String, Value> {
        list.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    #[test]
    fn what_changed_and_is_not_in_force_is_named() {
        let started = values(&[
            ("audit.sinks", json!(["store"])),
            ("limits.waiting.total", json!(10)),
            ("limits.failures.per_source", json!("60/1m")),
            ("routes", json!([])),
            ("log.level", json!("info")),
        ]);
        assert_eq!(needing_restart(&started, &started), [""; 0]);
        let now = values(&[
            ("admin.listen", json!("127.0.0.1:9090")),
            ("audit.sinks", json!(["stdout"])),
            ("limits.waiting.total", json!(20)),
            ("limits.failures.per_source", json!("6/1m")),
            ("routes", json!([1])),
        ]);
        let names = ["admin.listen", "audit.sinks", "limits.failures.per_source", "log.level"];
        assert_eq!(needing_restart(&started, &now), names);
    }

    #[test]
    fn the_proxies_of_a_listener_in_clear_are_those_it_started_with() {
        let with = |proxies: &str| {
            values(&[("server.plaintext_behind_proxy", json!(true)), ("server.trusted_proxies", json!([proxies]))])
        };
        assert_eq!(
            needing_restart(&with("10.0.0.1"), &with("10.0.0.2")),
            ["server.trusted_proxies (for how connections are counted and which may be plain text)"]
        );
    }

    #[test]
    fn every_key_in_force_is_a_key() {
        let mut config = crate::config::Config::default();
        config.sockjs = Some(crate::config::SockJs::default());
        let schema = crate::config::Config::schema().to_string();
        for known in IN_FORCE {
            let name = known.rsplit('.').next().expect("a name");
            assert!(schema.contains(&format!("\"{name}\":")), "{known}");
        }
    }
}
