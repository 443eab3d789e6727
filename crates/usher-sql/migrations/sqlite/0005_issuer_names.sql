-- What another issuer's log-out names: its own session (`sid`) or its own user (`sub`). A check cannot be altered, so the table is made anew.
CREATE TABLE new_revocations (
    -- In the order in which they were remembered.
    number         INTEGER NOT NULL PRIMARY KEY,
    kind           TEXT    NOT NULL
        CHECK (kind IN ('session', 'user', 'token', 'api_key', 'issuer_session', 'issuer_subject')),
    -- The id of the session, user, token or key, or the issuer's own name for its session or user.
    target_id      TEXT    NOT NULL,
    -- Of a token that another issuer gave, and of what that issuer names itself.
    issuer         TEXT    CHECK (
        CASE
            WHEN kind = 'token' THEN 1
            WHEN kind IN ('issuer_session', 'issuer_subject') THEN issuer IS NOT NULL
            ELSE issuer IS NULL
        END
    ),
    -- Of a user.
    issued_before  INTEGER CHECK ((issued_before IS NULL) = (kind NOT IN ('user', 'issuer_subject'))),
    except_session TEXT    CHECK (except_session IS NULL OR kind = 'user'),
    cause          TEXT    NOT NULL,
    revoked_at     INTEGER NOT NULL,
    forget_at      INTEGER NOT NULL
) STRICT;
INSERT INTO new_revocations
    (number, kind, target_id, issuer, issued_before, except_session, cause, revoked_at, forget_at)
    SELECT number, kind, target_id, issuer, issued_before, except_session, cause, revoked_at, forget_at FROM revocations;
DROP TABLE revocations;
ALTER TABLE new_revocations RENAME TO revocations;
-- What makes two the same one. A null is not equal to another, hence the value that no row has.
CREATE UNIQUE INDEX revocations_by_target ON revocations (
    kind,
    target_id,
    ifnull(issuer, ''),
    CASE kind WHEN 'user' THEN cause ELSE '' END
);
CREATE INDEX revocations_by_end ON revocations (forget_at);
