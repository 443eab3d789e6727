-- Other issuers' users whose credentials are refused. Users of ours have a column for that.
CREATE TABLE banned_users (
    user_id   TEXT    NOT NULL PRIMARY KEY,
    banned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- That a user is disabled was a revocation without end. Now it follows from the user alone, so that a user who was disabled, removed
-- and added again is a new one. Sessions that ended when a user was disabled stay revoked by their ids.
INSERT INTO banned_users (user_id, banned_at)
    SELECT target_id, max(revoked_at) FROM revocations
    WHERE kind = 'user' AND cause = 'user_disabled' AND target_id LIKE '%:%' GROUP BY target_id;
DELETE FROM revocations WHERE kind = 'user' AND cause = 'user_disabled';

-- A user has one revocation for each cause: a later one includes an earlier one.
DROP INDEX revocations_by_target;
CREATE TABLE merged (
    number        INTEGER NOT NULL PRIMARY KEY,
    issued_before INTEGER NOT NULL,
    forget_at     INTEGER NOT NULL
) STRICT;
INSERT INTO merged (number, issued_before, forget_at)
    SELECT min(number), max(issued_before), max(forget_at) FROM revocations WHERE kind = 'user' GROUP BY target_id, cause;
DELETE FROM revocations WHERE kind = 'user' AND number NOT IN (SELECT number FROM merged);
UPDATE revocations SET
    issued_before = (SELECT merged.issued_before FROM merged WHERE merged.number = revocations.number),
    forget_at = (SELECT merged.forget_at FROM merged WHERE merged.number = revocations.number)
    WHERE kind = 'user';
DROP TABLE merged;
-- What makes two the same one. A null is not equal to another, hence the value that no row has.
CREATE UNIQUE INDEX revocations_by_target ON revocations (
    kind,
    target_id,
    ifnull(issuer, ''),
    CASE kind WHEN 'user' THEN cause ELSE '' END
);

-- The hash of what all refresh tokens of a session have in common. Null for a session from before, until its next rotation.
ALTER TABLE sessions ADD COLUMN refresh_family BLOB CHECK (length(refresh_family) = 32);
CREATE INDEX sessions_by_refresh_family ON sessions (refresh_family);

-- A user's oldest sessions are looked for when there are too many.
CREATE INDEX sessions_by_user_and_age ON sessions (user_id, created_at);
DROP INDEX sessions_by_user;

-- Written after a write has failed, to find out when writing works again.
CREATE TABLE write_probe (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    probes INTEGER NOT NULL
) STRICT;
