-- Format 2: who there is, what they may do, and what they have done.
--
-- Ids of accounts, users and projects are their texts. Whatever hangs on a repository hangs on its id, so that a name
-- that is made again inherits nothing.

-- What is known of repositories beside their content. Since it was made, a repository is listed.
-- 0: private, 1: public.
ALTER TABLE repositories ADD COLUMN visibility INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN category TEXT NOT NULL DEFAULT 'other';
-- The user who made it, perhaps gone by now, and the name of that time.
ALTER TABLE repositories ADD COLUMN creator TEXT;
ALTER TABLE repositories ADD COLUMN creator_name TEXT;
-- When it was made, a tag in it was set or removed, or something else was said of it.
ALTER TABLE repositories ADD COLUMN updated INTEGER NOT NULL DEFAULT 0;
-- Pulls of manifests, of those included that are gone.
ALTER TABLE repositories ADD COLUMN pulls INTEGER NOT NULL DEFAULT 0;
-- The first component of a name that has more: the organisation's, where there is one.
ALTER TABLE repositories ADD COLUMN organisation TEXT
    AS (CASE WHEN instr(name, '/') > 0 THEN substr(name, 1, instr(name, '/') - 1) END);
-- Last, because it is long.
ALTER TABLE repositories ADD COLUMN description TEXT NOT NULL DEFAULT '';
CREATE INDEX repositories_public ON repositories (name) WHERE listed = 1 AND visibility = 1;

UPDATE repositories SET
    updated = max(made, ifnull((SELECT max(updated) FROM tags WHERE tags.repository = repositories.id), made)),
    -- A sum that is no integer any more becomes the greatest.
    pulls = CAST((SELECT total(pulls) FROM tags WHERE tags.repository = repositories.id)
        + (SELECT total(pulls) FROM manifests WHERE manifests.repository = repositories.id) AS INTEGER);

-- When the tag was set first since it is there. Of those that were there before, the last time is known alone.
ALTER TABLE tags ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
UPDATE tags SET created = updated;

-- Counts what can change a decision.
CREATE TABLE rights (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO rights (one, version) VALUES (1, 0);

-- Who there is.
CREATE TABLE accounts (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id       TEXT PRIMARY KEY,
    account  TEXT NOT NULL REFERENCES accounts (id),
    name     TEXT NOT NULL,
    role     TEXT NOT NULL,
    -- The hash of it.
    password TEXT,
    created  INTEGER NOT NULL,
    UNIQUE (account, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX users_operators ON users (id) WHERE role = 'operator';

-- What they sign in and sign with. Secrets that have to be read again are sealed.
CREATE TABLE access_keys (
    id          TEXT PRIMARY KEY,
    user        TEXT NOT NULL REFERENCES users (id),
    description TEXT NOT NULL,
    secret      BLOB,
    created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_keys_of_user ON access_keys (user, created, id);

CREATE TABLE temporary_keys (
    id          TEXT PRIMARY KEY,
    user        TEXT NOT NULL REFERENCES users (id),
    -- The access key that it goes with.
    issued_with TEXT REFERENCES access_keys (id),
    -- The hash of it.
    secret      BLOB NOT NULL,
    expires     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX temporary_keys_of_user ON temporary_keys (user);
CREATE INDEX temporary_keys_issued ON temporary_keys (issued_with) WHERE issued_with IS NOT NULL;
CREATE INDEX temporary_keys_by_end ON temporary_keys (expires);

CREATE TABLE token_keys (
    id      TEXT PRIMARY KEY,
    secret  BLOB,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- No id is given twice.
CREATE TABLE organisations (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE,
    account      TEXT NOT NULL REFERENCES accounts (id),
    -- Perhaps gone by now, and the name of that time.
    creator      TEXT NOT NULL,
    creator_name TEXT NOT NULL,
    created      INTEGER NOT NULL
) STRICT;
CREATE INDEX organisations_of_account ON organisations (account, name);
CREATE INDEX organisations_by_creator ON organisations (creator);

-- What they may do: 1 reads, 3 edits, 7 manages.
CREATE TABLE organisation_grants (
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    user         TEXT NOT NULL REFERENCES users (id),
    level        INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    PRIMARY KEY (organisation, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX organisation_grants_of_user ON organisation_grants (user, organisation);

CREATE TABLE repository_grants (
    repository INTEGER NOT NULL REFERENCES repositories (id),
    user       TEXT NOT NULL REFERENCES users (id),
    level      INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    PRIMARY KEY (repository, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_grants_of_user ON repository_grants (user, repository);

CREATE TABLE shares (
    repository   INTEGER NOT NULL REFERENCES repositories (id),
    account      TEXT NOT NULL REFERENCES accounts (id),
    -- From when on it is over; null for never.
    deadline     INTEGER,
    description  TEXT NOT NULL,
    -- Perhaps gone by now, and the name of that time.
    creator      TEXT NOT NULL,
    creator_name TEXT NOT NULL,
    created      INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    PRIMARY KEY (repository, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX shares_with_account ON shares (account, repository);

-- The trail: added to, and trimmed. By names and ids of that time, because it outlives what it tells of.
CREATE TABLE traces (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    account       TEXT NOT NULL,
    -- What traces are looked for by.
    at            INTEGER NOT NULL,
    user          TEXT,
    user_name     TEXT,
    operation     TEXT NOT NULL,
    code          INTEGER NOT NULL,
    resource_id   TEXT NOT NULL,
    resource_name TEXT NOT NULL,
    -- The rest.
    account_name  TEXT NOT NULL,
    project       TEXT NOT NULL,
    organisation  TEXT,
    reason        TEXT NOT NULL,
    -- Each a JSON value.
    origin        TEXT NOT NULL,
    change        TEXT NOT NULL
) STRICT;
CREATE INDEX traces_of_account ON traces (account, seq);
CREATE INDEX traces_by_time ON traces (at);
