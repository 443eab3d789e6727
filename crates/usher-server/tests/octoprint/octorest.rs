//! `octorest`, whose `send` forgets the array of strings: the mistake that everybody makes once, made by a client that others use.

use crate::client::{python, run, script, start};

#[tokio::test]
async fn s1_octorests_bare_object_is_taken_for_what_it_means() {
    let server = start().await;
    let (_, key) = server.db_api_key("alice", None).await;
    let mut command = python();
    command.arg(script("python/octorest_client.py")).arg(server.at("")).arg(key);
    run(command).await;
}
