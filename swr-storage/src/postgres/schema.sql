-- Format 1: content.
--
-- Digests are bytes: one for the algorithm (1: sha256, 2: sha512), then the hash; in byte order they stand as
-- their texts do. Times are whole microseconds since 1970, UTC. Texts compare byte by byte.

-- Which format the tables have.
CREATE TABLE swr_format (
    one    BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    format INTEGER NOT NULL
);
INSERT INTO swr_format (format) VALUES (1);

-- The places of the newest event and of the newest trace. Whoever adds to the log changes this row last, so that what
-- has a greater place was kept later.
CREATE TABLE log (
    one    BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    events BIGINT NOT NULL,
    traces BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO log (events, traces) VALUES (0, 0);

-- Writes of the last hour: what is written here in the same step tells whether a write was kept whose answer was lost.
CREATE TABLE kept (
    id     BYTEA PRIMARY KEY,
    -- The place of its last event; 0 where it had none, and -1 where it will never be kept, because somebody asked first.
    events BIGINT NOT NULL,
    made   TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX kept_made ON kept (made);

-- Repositories. Everything that belongs to one hangs on its id, and no id is given twice.
CREATE TABLE repositories (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Null once the repository was removed: what hangs on the id is emptied later.
    name   TEXT COLLATE "C" UNIQUE,
    made   BIGINT NOT NULL,
    -- False: hidden, because it holds no more than blobs of a push under way.
    listed BOOLEAN NOT NULL,
    -- Whether a hidden repository has neither links nor manifests.
    vacant BOOLEAN NOT NULL
);
CREATE INDEX repositories_listed ON repositories (name) WHERE listed;
CREATE INDEX repositories_vacant ON repositories (made) WHERE vacant;
CREATE INDEX repositories_removed ON repositories (id) WHERE name IS NULL;

-- The facts of the manifests that repositories hold, narrow, because they are changed and listed.
CREATE TABLE manifests (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repository    BIGINT NOT NULL REFERENCES repositories (id),
    digest        BYTEA NOT NULL,
    media_type    TEXT COLLATE "C" NOT NULL,
    artifact_type TEXT COLLATE "C",
    size          BIGINT NOT NULL,
    -- Present or not.
    subject       BYTEA,
    -- When it lost the last tag, parent or subject that held it.
    unused_since  BIGINT,
    -- Pulls by digest, and the last of them.
    pulls         BIGINT NOT NULL DEFAULT 0,
    pulled        BIGINT,
    UNIQUE (repository, digest)
);
CREATE INDEX manifests_by_subject ON manifests (repository, subject, digest) WHERE subject IS NOT NULL;
CREATE INDEX manifests_unused ON manifests (unused_since) WHERE unused_since IS NOT NULL;

-- What is written once: the manifests, byte for byte, and their annotations as a JSON object.
CREATE TABLE manifest_contents (
    manifest    BIGINT PRIMARY KEY REFERENCES manifests (id),
    annotations TEXT NOT NULL,
    bytes       BYTEA NOT NULL
);

-- What manifests name, their subjects apart.
CREATE TABLE manifest_references (
    repository BIGINT NOT NULL,
    digest     BYTEA NOT NULL,
    -- 0: a manifest, 1: a blob, 2: a blob that may stay elsewhere.
    kind       SMALLINT NOT NULL,
    manifest   BIGINT NOT NULL REFERENCES manifests (id),
    -- As the manifest says.
    size       BIGINT NOT NULL,
    PRIMARY KEY (repository, digest, kind, manifest)
);
CREATE INDEX references_of_manifest ON manifest_references (manifest);

CREATE TABLE tags (
    repository BIGINT NOT NULL REFERENCES repositories (id),
    name       TEXT COLLATE "C" NOT NULL,
    manifest   BIGINT NOT NULL REFERENCES manifests (id),
    -- When it was set first since it is there, and when last, to whatever digest.
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    -- Pulls by this tag, and the last of them.
    pulls      BIGINT NOT NULL DEFAULT 0,
    pulled     BIGINT,
    PRIMARY KEY (repository, name)
);
CREATE INDEX tags_of_manifest ON tags (manifest, name);

-- The one place where the content of a digest is.
CREATE TABLE blobs (
    digest      BYTEA PRIMARY KEY,
    size        BIGINT NOT NULL,
    location    TEXT COLLATE "C" NOT NULL,
    made        BIGINT NOT NULL,
    -- The content is not what it should be: unknown to readers until a push brings it again.
    quarantined BOOLEAN NOT NULL DEFAULT FALSE,
    -- Whether no repository links it.
    unlinked    BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX blobs_unlinked ON blobs (made) WHERE unlinked;

-- Which repository holds which blob.
CREATE TABLE links (
    repository BIGINT NOT NULL REFERENCES repositories (id),
    digest     BYTEA NOT NULL REFERENCES blobs (digest),
    -- When it was made or renewed last.
    renewed    BIGINT NOT NULL,
    -- Whether a manifest of the repository names the blob.
    named      BOOLEAN NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX links_of_blob ON links (digest);
CREATE INDEX links_unnamed ON links (renewed) WHERE NOT named;

-- Locations that no commit may name: their content is to be deleted, or has been.
CREATE TABLE garbage (
    location  TEXT COLLATE "C" PRIMARY KEY,
    listed_at BIGINT NOT NULL,
    -- When its content had been deleted; null before.
    spent_at  BIGINT
);
CREATE INDEX garbage_waiting ON garbage (location, listed_at) WHERE spent_at IS NULL;
CREATE INDEX garbage_spent ON garbage (spent_at) WHERE spent_at IS NOT NULL;

-- The log. By name, because it outlives the repositories.
CREATE TABLE events (
    seq        BIGINT PRIMARY KEY,
    repository TEXT COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL,
    -- Each a JSON value.
    actor      TEXT NOT NULL,
    origin     TEXT NOT NULL,
    event      TEXT NOT NULL
);
CREATE INDEX events_by_time ON events (at);

-- How far each consumer of the log has come.
CREATE TABLE cursors (
    consumer TEXT COLLATE "C" PRIMARY KEY,
    seq      BIGINT NOT NULL
);

-- Work that only one may do.
CREATE TABLE leases (
    name   TEXT COLLATE "C" PRIMARY KEY,
    -- Null once it was let go.
    holder TEXT COLLATE "C",
    -- Greater with every change of holder.
    token  BIGINT NOT NULL,
    until  BIGINT NOT NULL
);

-- What stores without changing state remember of uploads.
CREATE TABLE upload_sessions (
    id      TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    touched BIGINT NOT NULL,
    record  TEXT NOT NULL
);
CREATE INDEX upload_sessions_touched ON upload_sessions (touched, id);
