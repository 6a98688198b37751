-- Format 2: who there is, what they may do, and what they have done.
--
-- Ids of accounts, users and projects are their texts. Whatever hangs on a repository hangs on its id, so that a name
-- that is made again inherits nothing.

-- What is known of repositories beside their content. Since it was made, a repository is listed.
ALTER TABLE repositories
    ADD COLUMN public BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN category TEXT COLLATE "C" NOT NULL DEFAULT 'other',
    -- The user who made it, perhaps gone by now, and the name of that time.
    ADD COLUMN creator TEXT COLLATE "C",
    ADD COLUMN creator_name TEXT COLLATE "C",
    -- When it was made, a tag in it was set or removed, or something else was said of it.
    ADD COLUMN updated BIGINT NOT NULL DEFAULT 0,
    -- Pulls of manifests, of those included that are gone.
    ADD COLUMN pulls BIGINT NOT NULL DEFAULT 0,
    -- The first component of a name that has more: the organisation's, where there is one.
    ADD COLUMN organisation TEXT COLLATE "C"
        GENERATED ALWAYS AS (CASE WHEN strpos(name, '/') > 0 THEN split_part(name, '/', 1) END) STORED,
    ADD COLUMN description TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX repositories_public ON repositories (name) WHERE listed AND public;

-- Counts what can change a decision.
CREATE TABLE rights (
    one     BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    version BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO rights (version) VALUES (0);

-- Who there is.
CREATE TABLE accounts (
    id      TEXT COLLATE "C" PRIMARY KEY,
    name    TEXT COLLATE "C" NOT NULL UNIQUE,
    project TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE users (
    id       TEXT COLLATE "C" PRIMARY KEY,
    account  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name     TEXT COLLATE "C" NOT NULL,
    role     TEXT COLLATE "C" NOT NULL,
    -- The hash of it.
    password TEXT,
    created  BIGINT NOT NULL,
    UNIQUE (account, name)
);
CREATE INDEX users_operators ON users (id) WHERE role = 'operator';

-- What they sign in and sign with. Secrets that have to be read again are sealed.
CREATE TABLE access_keys (
    id          TEXT COLLATE "C" PRIMARY KEY,
    holder      TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    description TEXT COLLATE "C" NOT NULL,
    secret      BYTEA,
    created     BIGINT NOT NULL
);
CREATE INDEX access_keys_of_user ON access_keys (holder, created, id);

CREATE TABLE temporary_keys (
    id          TEXT COLLATE "C" PRIMARY KEY,
    holder      TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    -- The access key that it goes with.
    issued_with TEXT COLLATE "C" REFERENCES access_keys (id),
    -- The hash of it.
    secret      BYTEA NOT NULL,
    expires     BIGINT NOT NULL
);
CREATE INDEX temporary_keys_of_user ON temporary_keys (holder);
CREATE INDEX temporary_keys_issued ON temporary_keys (issued_with) WHERE issued_with IS NOT NULL;
CREATE INDEX temporary_keys_by_end ON temporary_keys (expires);

CREATE TABLE token_keys (
    id      TEXT COLLATE "C" PRIMARY KEY,
    secret  BYTEA,
    created BIGINT NOT NULL
);

-- No id is given twice.
CREATE TABLE organisations (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL UNIQUE,
    account      TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    -- Perhaps gone by now, and the name of that time.
    creator      TEXT COLLATE "C" NOT NULL,
    creator_name TEXT COLLATE "C" NOT NULL,
    created      BIGINT NOT NULL
);
CREATE INDEX organisations_of_account ON organisations (account, name);
CREATE INDEX organisations_by_creator ON organisations (creator);

-- What they may do: 1 reads, 3 edits, 7 manages.
CREATE TABLE organisation_grants (
    organisation BIGINT NOT NULL REFERENCES organisations (id),
    holder       TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    level        SMALLINT NOT NULL,
    created      BIGINT NOT NULL,
    PRIMARY KEY (organisation, holder)
);
CREATE INDEX organisation_grants_of_user ON organisation_grants (holder, organisation);

CREATE TABLE repository_grants (
    repository BIGINT NOT NULL REFERENCES repositories (id),
    holder     TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    level      SMALLINT NOT NULL,
    created    BIGINT NOT NULL,
    PRIMARY KEY (repository, holder)
);
CREATE INDEX repository_grants_of_user ON repository_grants (holder, repository);

CREATE TABLE shares (
    repository   BIGINT NOT NULL REFERENCES repositories (id),
    account      TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    -- From when on it is over; null for never.
    deadline     BIGINT,
    description  TEXT COLLATE "C" NOT NULL,
    -- Perhaps gone by now, and the name of that time.
    creator      TEXT COLLATE "C" NOT NULL,
    creator_name TEXT COLLATE "C" NOT NULL,
    created      BIGINT NOT NULL,
    updated      BIGINT NOT NULL,
    PRIMARY KEY (repository, account)
);
CREATE INDEX shares_with_account ON shares (account, repository);

-- The trail: added to, and trimmed. By names and ids of that time, because it outlives what it tells of.
CREATE TABLE traces (
    seq           BIGINT PRIMARY KEY,
    id            TEXT COLLATE "C" NOT NULL UNIQUE,
    account       TEXT COLLATE "C" NOT NULL,
    account_name  TEXT COLLATE "C" NOT NULL,
    project       TEXT COLLATE "C" NOT NULL,
    at            BIGINT NOT NULL,
    actor         TEXT COLLATE "C",
    actor_name    TEXT COLLATE "C",
    operation     TEXT COLLATE "C" NOT NULL,
    code          INTEGER NOT NULL,
    reason        TEXT COLLATE "C" NOT NULL,
    resource_id   TEXT COLLATE "C" NOT NULL,
    resource_name TEXT COLLATE "C" NOT NULL,
    organisation  TEXT COLLATE "C",
    -- Each a JSON value.
    origin        TEXT NOT NULL,
    change        TEXT NOT NULL
);
CREATE INDEX traces_of_account ON traces (account, seq);
CREATE INDEX traces_by_time ON traces (at);
