-- Sessions in the order in which they were remembered: of too many, the first ones end, whatever the wall clock said. Those that are there
-- are numbered by when they began, which is all that is known of them.
ALTER TABLE sessions ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET number = ranked.number
    FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) AS number FROM sessions) AS ranked
    WHERE ranked.id = sessions.id;
CREATE UNIQUE INDEX sessions_by_number ON sessions (number);
CREATE INDEX sessions_by_user_and_number ON sessions (user_id, number);
DROP INDEX sessions_by_user_and_age;
