//! What the operations do.

use std::collections::BTreeMap;

use usher_auth::ids::{ApiKeyId, SessionId};
use usher_auth::revocation::{BlockedUser, RevocationCause, RevocationTarget};
use usher_auth::secret::{PlainToken, TokenKind};
use usher_auth::session::Session;

use super::*;

async fn code(administration: &Administration, operation: Operation) -> &'static str {
    administration.execute(operation).await.expect_err("refused").code()
}

async fn done(administration: &Administration, operation: Operation) -> usize {
    match administration.execute(operation).await.expect("done") {
        Answer::Done { connections_ended } => connections_ended,
        Answer::SessionsEnded { connections, .. } => connections,
        other => panic!("{other:?}"),
    }
}

async fn users(administration: &Administration, after: Option<&str>, limit: u32) -> Vec<UserRow> {
    let operation = Operation::ListUsers { after: after.map(user), limit };
    match administration.execute(operation).await.expect("a list") {
        Answer::Users { users } => users,
        other => panic!("{other:?}"),
    }
}

fn session(id: &str, of: &str, seen: UnixTime) -> Session {
    Session {
        id: SessionId::new(id).expect("an id"),
        user: user(of),
        secret: PlainToken::from_random(TokenKind::Session, [id.as_bytes()[0]; 32]).hashed(),
        created_at: seen,
        last_seen_at: seen,
        client_ip: Some("192.0.2.1".to_owned()),
        user_agent: None,
    }
}

#[tokio::test]
async fn users_are_added_once_and_listed_in_order() {
    // req K4
    let administration = administration();
    for id in ["bob", "alice", "carol"] {
        assert_eq!(done(&administration, add_user(id)).await, 0);
    }
    assert_eq!(code(&administration, add_user("bob")).await, "user_exists");
    assert_eq!(code(&administration, add_user("google:1")).await, "not_local");
    let rows = users(&administration, None, 2).await;
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["alice", "bob"]);
    assert_eq!(rows[0].roles.iter().map(Role::as_str).collect::<Vec<_>>(), ["admin", "user"]);
    assert_eq!(rows[0].created_at, NOW.as_seconds());
    assert_eq!(users(&administration, Some("bob"), 2).await.len(), 1);
    let (_, hash) = administration.store.user_with_password(&user("bob")).await.expect("a store").expect("bob");
    let right = administration.passwords.verify(password("correct horse battery").0, hash).await;
    assert_eq!(right, Ok(true));
}

#[tokio::test]
async fn what_may_not_be_kept_is_refused() {
    // req K4, N4
    let administration = administration();
    let with = |name: &str, secret: &str| Operation::AddUser {
        id: user("alice"),
        name: name.to_owned(),
        roles: Vec::new(),
        password: password(secret),
    };
    for (operation, expected) in [
        (with("Alice", "short"), "unacceptable_password"),
        (with("Alice", "password123"), "unacceptable_password"),
        (with("Alice\u{1b}[31m", "correct horse battery"), "invalid_text"),
        (with("", "correct horse battery"), "invalid_text"),
        (with(&"x".repeat(257), "correct horse battery"), "invalid_text"),
    ] {
        assert_eq!(code(&administration, operation).await, expected);
    }
    assert!(users(&administration, None, 10).await.is_empty());
}

#[tokio::test]
async fn disabling_ends_everything_until_it_is_lifted() {
    // req H4
    let administration = administration();
    done(&administration, add_user("alice")).await;
    administration.store.create_session(&session("one", "alice", NOW.minus(LONGEST))).await.expect("stored");
    assert_eq!(done(&administration, Operation::DisableUser { id: user("alice") }).await, 2);
    assert!(users(&administration, None, 1).await[0].disabled);
    let revocations = administration.store.revocations().await.expect("a store");
    let ended = |revocation: &Revocation| (revocation.cause, revocation.target.clone());
    let of_user = RevocationTarget::User { user: user("alice"), issued_before: NOW, except: None };
    let of_session = RevocationTarget::Session(SessionId::new("one").expect("an id"));
    let cause = RevocationCause::UserDisabled;
    assert_eq!(revocations.iter().map(ended).collect::<Vec<_>>(), [(cause, of_user), (cause, of_session)]);
    let blocked = [BlockedUser { user: user("alice"), cause }];
    assert_eq!(administration.store.blocked_users().await.expect("a store"), blocked);
    assert!(administration.store.sessions_of(&user("alice"), None, 9).await.expect("a store").is_empty());
    let add_key = Operation::AddKey { user: user("alice"), label: String::new(), lifetime_seconds: None };
    assert_eq!(code(&administration, add_key).await, "user_disabled");

    done(&administration, Operation::EnableUser { id: user("alice") }).await;
    assert!(!users(&administration, None, 1).await[0].disabled);
    assert_eq!(administration.store.blocked_users().await.expect("a store"), []);
    assert_eq!(administration.store.revocations().await.expect("a store").len(), 2, "what ended stays ended");
    for operation in [Operation::DisableUser { id: user("nobody") }, Operation::EnableUser { id: user("nobody") }] {
        assert_eq!(code(&administration, operation).await, "no_such_user");
    }
}

#[tokio::test]
async fn a_removed_user_leaves_revocations_that_do_not_meet_a_later_one_of_that_name() {
    // req H4
    let administration = administration();
    done(&administration, add_user("alice")).await;
    assert_eq!(done(&administration, Operation::RemoveUser { id: user("alice") }).await, 2);
    assert!(users(&administration, None, 1).await.is_empty());
    let revocations = administration.store.revocations().await.expect("a store");
    assert!(!revocations.is_empty());
    for revocation in revocations {
        assert_eq!(revocation.cause, RevocationCause::UserDeleted);
        assert_eq!(revocation.forget_at, NOW.plus(LONGEST + Duration::from_mins(1)));
        let RevocationTarget::User { issued_before, .. } = revocation.target else { panic!("{:?}", revocation.target) };
        // Who is added under that id in the very next moment is somebody else.
        assert_eq!(issued_before, NOW);
    }
    assert_eq!(code(&administration, Operation::RemoveUser { id: user("alice") }).await, "no_such_user");
}

#[tokio::test]
async fn another_issuers_user_is_banned_and_one_of_ours_is_not() {
    let administration = administration();
    done(&administration, add_user("alice")).await;
    let banned = async || match administration.execute(Operation::ListBanned { after: None, limit: 9 }).await {
        Ok(Answer::BannedUsers { users }) => users.into_iter().map(|row| row.id.to_string()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let ban = |id| Operation::BanUser { id: user(id) };
    assert_eq!(code(&administration, ban("alice")).await, "local_user");
    assert_eq!(done(&administration, ban("myapp:alice")).await, 2);
    assert_eq!(banned().await, ["myapp:alice"]);
    assert_eq!(code(&administration, Operation::UnbanUser { id: user("myapp:bob") }).await, "not_banned");
    done(&administration, Operation::UnbanUser { id: user("myapp:alice") }).await;
    assert!(banned().await.is_empty());
    // A command that fails has no effects.
    let before = administration.store.revocations().await.expect("a store");
    for operation in [
        Operation::DisableUser { id: user("myapp:carol") },
        Operation::RemoveUser { id: user("myapp:carol") },
        Operation::SetRoles { id: user("myapp:carol"), roles: Vec::new() },
        Operation::SetPassword { id: user("myapp:carol"), password: password("another strange phrase") },
    ] {
        assert_eq!(code(&administration, operation).await, "no_such_user");
    }
    assert_eq!(administration.store.revocations().await.expect("a store"), before);
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_the_old_one() {
    // req L5
    let administration = administration();
    done(&administration, add_user("alice")).await;
    administration.store.create_session(&session("one", "alice", NOW.minus(LONGEST))).await.expect("stored");
    let set = |text: &str| Operation::SetPassword { id: user("alice"), password: password(text) };
    assert_eq!(code(&administration, set("qwertyuiop")).await, "unacceptable_password");
    assert_eq!(done(&administration, set("another strange phrase")).await, 2);
    assert!(administration.store.sessions_of(&user("alice"), None, 9).await.expect("a store").is_empty());
    let (_, hash) = administration.store.user_with_password(&user("alice")).await.expect("a store").expect("alice");
    let old = administration.passwords.verify(password("correct horse battery").0, hash.clone()).await;
    let new = administration.passwords.verify(password("another strange phrase").0, hash).await;
    assert_eq!((old, new), (Ok(false), Ok(true)));
    let nobody = Operation::SetPassword { id: user("nobody"), password: password("another strange phrase") };
    assert_eq!(code(&administration, nobody).await, "no_such_user");
}

#[tokio::test]
async fn keys_are_shown_once_kept_hashed_and_end() {
    // req C7
    let administration = administration();
    done(&administration, add_user("alice")).await;
    let add = Operation::AddKey { user: user("alice"), label: "ci".to_owned(), lifetime_seconds: Some(60) };
    let Answer::KeyMade { id, key } = administration.execute(add).await.expect("a key") else { panic!("no key") };
    let secret = PlainToken::parse(TokenKind::ApiKey, &key.0).expect("the form of a key");
    let found = administration.store.api_key_by_secret(&secret.hashed()).await.expect("a store").expect("the key");
    assert_eq!((found.id.clone(), found.expires_at), (id.clone(), Some(NOW.plus(Duration::from_mins(1)))));
    let list = administration.execute(Operation::ListKeys { user: None }).await.expect("a list");
    assert!(!serde_json::to_string(&list).expect("plain data").contains(&*key.0));
    assert!(!format!("{list:?} {key:?}").contains(&*key.0));
    assert_eq!(done(&administration, Operation::RevokeKey { id: id.clone() }).await, 2);
    assert!(administration.store.api_key_by_secret(&secret.hashed()).await.expect("a store").is_none());
    assert_eq!(code(&administration, Operation::RevokeKey { id }).await, "no_such_key");
    let unknown = Operation::RevokeKey { id: ApiKeyId::new("key_none").expect("an id") };
    assert_eq!(code(&administration, unknown).await, "no_such_key");
    // req D8: as many as one may have, and no more.
    let another = || Operation::AddKey { user: user("alice"), label: String::new(), lifetime_seconds: None };
    for _ in 0..2 {
        administration.execute(another()).await.expect("a key");
    }
    assert_eq!(code(&administration, another()).await, "too_many_keys");
    let nobodys = Operation::AddKey { user: user("nobody"), label: String::new(), lifetime_seconds: None };
    assert_eq!(code(&administration, nobodys).await, "no_such_user");
}

#[tokio::test]
async fn sessions_are_listed_while_they_live_and_end() {
    // req J6: one whose cookie has idled out may come back by its refresh token, so it is shown; one past its limit may not.
    let mut administration = administration();
    let ago = |hours| NOW.minus(Duration::from_hours(hours));
    for (id, seen) in [("live", NOW), ("idled-out", ago(25)), ("past", ago(31 * 24))] {
        administration.store.create_session(&session(id, "alice", seen)).await.expect("stored");
    }
    let list = Operation::ListSessions { user: user("alice") };
    let Answer::Sessions { sessions } = administration.execute(list).await.expect("a list") else { panic!("no list") };
    assert_eq!(sessions.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["idled-out", "live"]);
    assert_eq!(sessions[1].expires_at, NOW.plus(Duration::from_hours(24)).as_seconds());
    let id = || SessionId::new("live").expect("an id");
    assert_eq!(done(&administration, Operation::RevokeSession { id: id(), margin_seconds: None }).await, 2);
    // Gone from the store, it may still have connections: it was ended with a margin.
    assert_eq!(done(&administration, Operation::RevokeSession { id: id(), margin_seconds: None }).await, 2);
    administration.revoker = Arc::new(super::Connections(administration.store.clone(), 0));
    let before = administration.store.revocations().await.expect("a store");
    assert_eq!(
        code(&administration, Operation::RevokeSession { id: id(), margin_seconds: None }).await,
        "no_such_session"
    );
    // A command that fails has no effects.
    assert_eq!(administration.store.revocations().await.expect("a store"), before);
    administration.revoker = Arc::new(super::Connections(administration.store.clone(), 2));
    // Users of other issuers are known to nobody beforehand.
    assert_eq!(
        done(&administration, Operation::RevokeSessionsOf { user: user("google:1"), margin_seconds: None }).await,
        2
    );
}

#[tokio::test]
async fn decisions_are_explained() {
    let administration = administration();
    done(&administration, add_user("alice")).await;
    let ask = async |who: &str, room: &str, action, roles: &[&str], claims: &[(&str, &str)]| {
        let roles = roles.iter().map(|role| Role::new(role).expect("a role")).collect();
        let claims: BTreeMap<_, _> =
            claims.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
        let operation = Operation::Explain { user: user(who), roles, claims, room: room.to_owned(), action };
        match administration.execute(operation).await {
            Ok(Answer::Explained(explained)) => Ok(explained),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.code()),
        }
    };
    let join = ask("alice", "board-1", ExplainedAction::Join, &[], &[]).await.expect("an answer");
    assert!(join.allowed && join.lines[0].contains("role:user"), "{join:?}");
    assert!(!ask("alice", "board-1", ExplainedAction::Publish, &[], &[]).await.expect("an answer").allowed);
    let theirs = ask("idp:7", "board-1", ExplainedAction::Publish, &["user"], &[("team", "blue")]).await;
    assert!(theirs.expect("an answer").allowed);
    assert!(!ask("alice", "cellar", ExplainedAction::Join, &[], &[]).await.expect("an answer").allowed);
    assert_eq!(ask("nobody", "board-1", ExplainedAction::Join, &[], &[]).await, Err("no_such_user"));
    assert_eq!(ask("alice", "a b", ExplainedAction::Join, &[], &[]).await, Err("invalid_room"));
    done(&administration, Operation::DisableUser { id: user("alice") }).await;
    let disabled = ask("alice", "board-1", ExplainedAction::Join, &[], &[]).await.expect("an answer");
    assert!(!disabled.allowed && disabled.lines.iter().any(|line| line.contains("disabled")), "{disabled:?}");
}
