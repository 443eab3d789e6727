//! A limit on the size of files (`ulimit -f`) is an error that the store reports, and not the end of the process.

use crate::process::{PASSWORD, Place};
use serde_json::json;

/// Blocks of 512 bytes (of 1,024 in some shells): the store has room for a few log-ins.
const BLOCKS: u32 = 600;
/// More log-ins than that.
const MANY: usize = 300;

#[tokio::test]
async fn a_file_that_may_not_grow_does_not_end_the_process() {
    let place = Place::new("[[routes]]\npath = \"/ws\"\n");
    place.add_user("alice");
    let server = place.start_under(&format!("ulimit -S -f {BLOCKS}"));
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let log_in = async || {
        let request = http.post(format!("{}auth/login", server.url)).json(&json!({"user": "alice", "pwd": PASSWORD}));
        request.send().await.expect("an answer").status().as_u16()
    };
    let mut refused = 0;
    for _ in 0..MANY {
        match log_in().await {
            200 => assert_eq!(refused, 0, "what is full does not become empty"),
            503 => refused += 1,
            other => panic!("{other}"),
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3);
    let healthy = http.get(format!("{}healthz", server.url)).send().await.expect("an answer").status();
    assert_eq!(healthy, 200);
    server.set_limit("fsize", "unlimited:");
    assert_eq!(log_in().await, 200, "the store recovers");
    server.signal("TERM");
    assert_eq!(tokio::task::spawn_blocking(|| server.wait()).await.expect("no panic"), Some(0));
}
