-- Format 4: sessions of people on pages.

CREATE TABLE sessions (
    -- The SHA-256 of what its owner has.
    id       BYTEA PRIMARY KEY,
    holder   TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    -- What it ends with: an access key, or the mark of a password.
    key      TEXT COLLATE "C" REFERENCES access_keys (id),
    password TEXT,
    begun    BIGINT NOT NULL,
    used     BIGINT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (holder, used, id);
CREATE INDEX sessions_of_key ON sessions (key) WHERE key IS NOT NULL;
CREATE INDEX sessions_by_begin ON sessions (begun);
CREATE INDEX sessions_by_use ON sessions (used);
