-- Times are milliseconds since the Unix epoch. Secrets are here as their SHA-256 alone. What is compared is compared byte by byte.

-- Tells this file from another program's database: "Ushr".
PRAGMA application_id = 1433626738;

CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    -- Sorted, one space between two; no role contains one.
    roles         TEXT    NOT NULL,
    disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at    INTEGER NOT NULL,
    -- PHC string; without one nobody can log in with a password.
    password_hash TEXT
) STRICT, WITHOUT ROWID;

-- A session's user may be an issuer's, who is not in the table of users.
CREATE TABLE sessions (
    id           TEXT    NOT NULL PRIMARY KEY,
    user_id      TEXT    NOT NULL,
    secret_hash  BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    client_ip    TEXT,
    user_agent   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE refresh_tokens (
    secret_hash      BLOB    NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32),
    -- Whose it is stands with the session.
    session_id       TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    issued_at        INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    -- These three are there once it is spent.
    spent_at         INTEGER,
    successor_hash   BLOB CHECK (length(successor_hash) = 32),
    sealed_successor BLOB,
    CHECK ((spent_at IS NULL) = (successor_hash IS NULL) AND (spent_at IS NULL) = (sealed_successor IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);

CREATE TABLE api_keys (
    id          TEXT    NOT NULL PRIMARY KEY,
    user_id     TEXT    NOT NULL,
    secret_hash BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    label       TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    -- Null is never.
    expires_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_by_user ON api_keys (user_id);

CREATE TABLE revocations (
    -- In the order in which they were remembered.
    number         INTEGER NOT NULL PRIMARY KEY,
    kind           TEXT    NOT NULL CHECK (kind IN ('session', 'user', 'token', 'api_key')),
    -- The id of the session, user, token or key.
    target_id      TEXT    NOT NULL,
    -- Of a token that another issuer gave.
    issuer         TEXT    CHECK (issuer IS NULL OR kind = 'token'),
    -- Of a user.
    issued_before  INTEGER CHECK ((issued_before IS NULL) = (kind <> 'user')),
    except_session TEXT    CHECK (except_session IS NULL OR kind = 'user'),
    cause          TEXT    NOT NULL,
    revoked_at     INTEGER NOT NULL,
    forget_at      INTEGER NOT NULL
) STRICT;
-- What makes two the same one. A null is not equal to another, hence the values that no row has.
CREATE UNIQUE INDEX revocations_by_target ON revocations (
    kind,
    target_id,
    ifnull(issuer, ''),
    ifnull(issued_before, -1),
    ifnull(except_session, ''),
    CASE kind WHEN 'user' THEN cause ELSE '' END
);
CREATE INDEX revocations_by_end ON revocations (forget_at);
