-- The addresses that users proved their passwords from: an account that is being guessed at stays open to these.
CREATE TABLE known_addresses (
    user_id TEXT    NOT NULL,
    -- A keyed hash of user and address; the key is not in here.
    address BLOB    NOT NULL CHECK (length(address) = 32),
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_addresses_by_time ON known_addresses (seen_at);
