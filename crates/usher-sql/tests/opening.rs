//! Opening a store: what is made, what is kept, and what is refused with advice.

mod common;

use std::fs;
use std::path::Path;

use common::{Place, url_of, whole};
use usher_auth::UnixTime;
use usher_auth::revocation::RevocationCause;
use usher_auth::secret::{PlainToken, TokenKind};
use usher_auth::session::{RefreshState, RefreshToken, Session};
use usher_auth::user::PasswordHash;
use usher_sql::{OpenError, SqlOptions, SqlStore};
use usher_store::conformance::fixtures::{
    add_api_key, api_key, at, refresh_token, revocation, secret, session, session_id, session_target, user, user_id,
};
use usher_store::{ApiKeyStore, RefreshTokenStore, RevocationStore, SessionStore, Store, UserStore};

#[tokio::test]
async fn what_is_remembered_outlives_the_process() {
    let place = Place::new();
    let store = place.open().await;
    let password = PasswordHash::from_phc("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA");
    store.create_user(&user("alice"), Some(&password)).await.expect("the store works");
    let kept = session("kept", "alice", at(0));
    store.create_session(&kept).await.expect("the store works");
    let refresh = refresh_token("refresh", &kept);
    store.create_refresh_token(&refresh).await.expect("the store works");
    add_api_key(&store, &api_key("key", "alice")).await;
    let logout = revocation(session_target("gone"), RevocationCause::Logout, at(1));
    store.revoke(&logout).await.expect("the store works");
    store.close().await;

    for _ in 0..2 {
        let store = place.open().await;
        store.check().await.expect("it can be used");
        let found = store.user_with_password(&user_id("alice")).await.expect("the store works");
        assert_eq!(found, Some((user("alice"), Some(password.clone()))));
        assert_eq!(store.session_by_secret(&kept.secret).await.expect("the store works"), Some(kept.clone()));
        assert_eq!(store.refresh_token(&secret("refresh")).await.expect("the store works"), Some(refresh.clone()));
        assert_eq!(store.api_keys(None).await.expect("the store works"), [api_key("key", "alice")]);
        assert_eq!(store.revocations().await.expect("the store works"), std::slice::from_ref(&logout));
        // Dropped without being closed: as if the process had ended.
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_alone() {
    // req J1, L4: hashes of passwords and tokens are nobody else's to read.
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let store = place.open().await;
    store.create_user(&user("alice"), None).await.expect("the store works");
    let mut names = Vec::new();
    for entry in fs::read_dir(place.directory.path()).expect("the directory is there") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("its metadata").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().expect("a name in UTF-8"));
    }
    names.sort();
    assert_eq!(names, ["usher.db", "usher.db-shm", "usher.db-wal"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_there_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.open().await.close().await;
    fs::set_permissions(&place.file, fs::Permissions::from_mode(0o640)).expect("it is ours");
    let store = place.open().await;
    store.create_user(&user("alice"), None).await.expect("the store works");
    let mode = fs::metadata(&place.file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[tokio::test]
async fn no_secret_is_in_the_file() {
    // req L4, C7, J1, D9
    let place = Place::new();
    let store = place.open().await;
    let bytes =
        |n: u8| std::array::from_fn(|i| n.wrapping_mul(37).wrapping_add(u8::try_from(i).expect("below 32") * 7));
    let cookie = PlainToken::from_random(TokenKind::Session, bytes(1));
    let first = PlainToken::from_random(TokenKind::Refresh, bytes(2));
    let second = PlainToken::from_random(TokenKind::Refresh, bytes(3));
    let key = PlainToken::from_random(TokenKind::ApiKey, bytes(4));

    let session = Session { secret: cookie.hashed(), ..session("session", "alice", at(0)) };
    store.create_session(&session).await.expect("the store works");
    let token = RefreshToken { secret: first.hashed(), ..refresh_token("first", &session) };
    store.create_refresh_token(&token).await.expect("the store works");
    let rotation = usher_store::RefreshRotation {
        presented: first.hashed(),
        family: secret("family"),
        successor: RefreshToken { secret: second.hashed(), state: RefreshState::Fresh, ..token },
        sealed_successor: b"sealed elsewhere".to_vec(),
        now: at(1),
        used_at: at(1),
        retry_window: std::time::Duration::MAX,
        forget_reuse_at: at(9999),
    };
    store.rotate_refresh_token(&rotation).await.expect("the store works");
    let api_key = usher_auth::api_key::ApiKey { secret: key.hashed(), ..api_key("key", "alice") };
    add_api_key(&store, &api_key).await;

    let while_open = dump(place.directory.path());
    store.close().await;
    let dumps = [while_open, dump(place.directory.path())];
    for (n, token) in (1..).zip([cookie, first, second, key]) {
        for dump in &dumps {
            assert!(holds(dump, token.hashed().as_bytes()), "the hash of {n} is there: this looks in the right place");
            assert!(!holds(dump, &token.reveal().as_bytes()[4..]), "secret {n}");
            assert!(!holds(dump, &bytes(n)), "the random bytes of secret {n}");
        }
    }
}

fn dump(directory: &Path) -> Vec<u8> {
    let files = fs::read_dir(directory).expect("the directory is there");
    files.flat_map(|file| fs::read(file.expect("an entry").path()).expect("a readable file")).collect()
}

fn holds(dump: &[u8], bytes: &[u8]) -> bool {
    dump.windows(bytes.len()).any(|window| window == bytes)
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let place = Place::new();
    let store = place.open().await;
    store.create_user(&user("alice"), None).await.expect("the store works");
    assert_eq!(store.migrate().await.expect("it is up to date"), 6);
    assert!(store.user(&user_id("alice")).await.expect("the store works").is_some());
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let place = Place::new();
    place.open().await.close().await;
    place
        .meddle(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (7, 'the future', TRUE, x'00', 0)",
        )
        .await;
    let error = place.try_open().await.expect_err("the future is not known");
    assert!(matches!(error, OpenError::Newer { version: 7, known: 6, .. }), "{error:?}");
    let text = whole(&error);
    assert!(text.contains(&place.file.display().to_string()) && text.contains("newer version of usher"), "{text}");
}

#[tokio::test]
async fn a_store_with_another_schema_is_refused() {
    let place = Place::new();
    place.open().await.close().await;
    place.meddle("UPDATE _sqlx_migrations SET checksum = x'00'").await;
    let error = place.try_open().await.expect_err("it is not what the migration made");
    assert!(matches!(error, OpenError::Altered { version: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_alone() {
    for statements in
        ["CREATE TABLE theirs (id INTEGER)", "PRAGMA application_id = 252006674; CREATE TABLE users (id TEXT)"]
    {
        let place = Place::new();
        place.meddle(statements).await;
        let before = fs::read(&place.file).expect("it is there");
        let error = place.try_open().await.expect_err("it is not ours");
        assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
        assert_eq!(fs::read(&place.file).expect("it is there"), before, "not a byte was changed");
        assert_eq!(fs::read_dir(place.directory.path()).expect("it is there").count(), 1);
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let place = Place::new();
    let text = "this is the text of a letter\n".repeat(200);
    fs::write(&place.file, &text).expect("the directory is writable");
    let error = place.try_open().await.expect_err("it is a letter");
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&place.file).expect("it is there"), text);
}

#[tokio::test]
async fn a_directory_in_the_files_place_is_refused() {
    let place = Place::new();
    fs::create_dir(&place.file).expect("the directory is writable");
    let error = place.try_open().await.expect_err("it is a directory");
    assert!(matches!(error, OpenError::Open { .. }), "{error:?}");
    assert!(whole(&error).contains(&place.file.display().to_string()), "{error}");
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let place = Place::new();
    let file = place.directory.path().join("missing").join("usher.db");
    let error = SqlStore::open(&url_of(&file), SqlOptions::default()).await.expect_err("there is no such directory");
    assert!(matches!(error, OpenError::Create { .. }), "{error:?}");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[tokio::test]
async fn urls_that_name_no_file_are_refused() {
    for url in
        ["usher.db", "sqlite:", "sqlite://", "sqlite://:memory:", "sqlite::memory:", "sqlite://usher.db?mode=memory"]
    {
        let error = SqlStore::open(url, SqlOptions::default()).await.expect_err("it names no file");
        assert!(matches!(error, OpenError::Url { .. }), "{url}: {error:?}");
        assert!(error.to_string().contains("sqlite://usher.db"), "it says how: {error}");
    }
}

#[tokio::test]
async fn a_password_in_an_unsupported_url_is_not_repeated() {
    // req N3
    let error = SqlStore::open("postgres://usher:hunter2@db/usher", SqlOptions::default()).await;
    let error = error.expect_err("not supported");
    assert!(matches!(error, OpenError::Scheme { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn odd_names_are_paths() {
    let place = Place::new();
    for (in_url, name) in [("a%20b%3Fc.db", "a b?c.db"), ("file:x.db", "file:x.db"), ("é'.db", "é'.db")] {
        let url = format!("sqlite://{}/{in_url}", place.directory.path().display());
        let store = SqlStore::open(&url, SqlOptions::default()).await.expect("the store opens");
        store.check().await.expect("it can be used");
        assert!(place.directory.path().join(name).is_file(), "{name}");
    }
}

#[tokio::test]
async fn the_extremes_of_time_are_kept() {
    // req H2
    let place = Place::new();
    let store = place.open().await;
    let session = session("s", "alice", UnixTime::MAX);
    store.create_session(&session).await.expect("the store works");
    store.close().await;
    let found = place.open().await.session(&session_id("s")).await.expect("the store works");
    assert_eq!(found, Some(session));
}

#[tokio::test]
async fn sessions_of_an_older_schema_are_in_the_order_in_which_they_began() {
    // req H15: schema 5 has no other order.
    let place = Place::new();
    let store = place.open().await;
    let password = PasswordHash::from_phc("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA");
    store.create_user(&user("alice"), Some(&password)).await.expect("the store works");
    for (id, began) in [("b", 5), ("c", 9), ("a", 1)] {
        store.create_session(&session(id, "alice", at(began))).await.expect("the store works");
    }
    store.close().await;
    place
        .meddle(
            "DROP INDEX sessions_by_number; DROP INDEX sessions_by_user_and_number;
             ALTER TABLE sessions DROP COLUMN number;
             CREATE INDEX sessions_by_user_and_age ON sessions (user_id, created_at);
             DELETE FROM _sqlx_migrations WHERE version = 6",
        )
        .await;
    let store = place.open().await;
    for (id, first) in [("new", "a"), ("newer", "b"), ("newest", "c")] {
        let session = session(id, "alice", at(0));
        let new = usher_store::NewSession {
            session: &session,
            refresh_token: &refresh_token(&format!("{id}-refresh"), &session),
            refresh_family: secret(&format!("{id}-family")),
            proven: (&user("alice"), &password),
            replaces: None,
            most: 3,
            revocation: usher_store::conformance::fixtures::times(at(10)),
        };
        let started = store.start_session(&new).await.expect("the store works");
        let usher_store::StartedSession::Started(revoked) = started else { panic!("alice is as she was added") };
        assert_eq!(revoked.len(), 1);
        assert_eq!(revoked[0].target, session_target(first), "{id}");
    }
}
