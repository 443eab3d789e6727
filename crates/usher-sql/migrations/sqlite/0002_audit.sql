-- The audit trail: each record as the line that was written, numbered along its chain.
CREATE TABLE audit_records (
    number      INTEGER NOT NULL PRIMARY KEY,
    happened_at INTEGER NOT NULL,
    line        TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_records_by_time ON audit_records (happened_at);

-- How far each chain has got; those that are kept in files have no records here.
CREATE TABLE audit_chains (
    name   TEXT    NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL,
    mac    BLOB    NOT NULL CHECK (length(mac) = 32)
) STRICT, WITHOUT ROWID;
