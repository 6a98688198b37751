-- Format 4: sessions of people on pages.

CREATE TABLE sessions (
    -- The SHA-256 of what its owner has.
    id       BLOB PRIMARY KEY,
    user     TEXT NOT NULL REFERENCES users (id),
    -- What it ends with: an access key, or the mark of a password.
    key      TEXT REFERENCES access_keys (id),
    password TEXT,
    begun    INTEGER NOT NULL,
    used     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user, used, id);
CREATE INDEX sessions_of_key ON sessions (key) WHERE key IS NOT NULL;
CREATE INDEX sessions_by_begin ON sessions (begun);
CREATE INDEX sessions_by_use ON sessions (used);
