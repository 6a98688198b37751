-- Format 1.
--
-- Digests are blobs: a byte for the algorithm (1: sha256, 2: sha512), then the hash; in byte order they stand as
-- their texts do. Times are whole microseconds since 1970, UTC. Names, tags and locations compare byte by byte.

-- Repositories. Everything that belongs to one hangs on its id, and no id is given twice.
CREATE TABLE repositories (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Null once the repository was removed: what hangs on the id is emptied later.
    name   TEXT UNIQUE,
    made   INTEGER NOT NULL,
    -- 0: hidden, because it holds no more than blobs of a push under way.
    listed INTEGER NOT NULL,
    -- Whether a hidden repository has neither links nor manifests.
    vacant INTEGER NOT NULL
) STRICT;
CREATE INDEX repositories_listed ON repositories (name) WHERE listed = 1;
CREATE INDEX repositories_vacant ON repositories (made) WHERE vacant = 1;
CREATE INDEX repositories_removed ON repositories (id) WHERE name IS NULL;

-- The facts of the manifests that repositories hold, narrow, because they are changed and listed.
CREATE TABLE manifests (
    id            INTEGER PRIMARY KEY,
    repository    INTEGER NOT NULL REFERENCES repositories (id),
    digest        BLOB NOT NULL,
    media_type    TEXT NOT NULL,
    artifact_type TEXT,
    size          INTEGER NOT NULL,
    -- Present or not.
    subject       BLOB,
    -- When it lost the last tag, parent or subject that held it.
    unused_since  INTEGER,
    -- Pulls by digest, and the last of them.
    pulls         INTEGER NOT NULL DEFAULT 0,
    pulled        INTEGER,
    UNIQUE (repository, digest)
) STRICT;
CREATE INDEX manifests_by_subject ON manifests (repository, subject, digest) WHERE subject IS NOT NULL;
CREATE INDEX manifests_by_subject_and_type ON manifests (repository, subject, artifact_type, digest)
    WHERE subject IS NOT NULL;
CREATE INDEX manifests_unused ON manifests (unused_since) WHERE unused_since IS NOT NULL;

-- What is written once: the manifests, byte for byte, and their annotations as a JSON object.
CREATE TABLE manifest_contents (
    manifest    INTEGER PRIMARY KEY REFERENCES manifests (id),
    annotations TEXT NOT NULL,
    bytes       BLOB NOT NULL
) STRICT;

-- What manifests name, their subjects apart.
CREATE TABLE manifest_references (
    repository INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    -- 0: a manifest, 1: a blob, 2: a blob that may stay elsewhere.
    kind       INTEGER NOT NULL,
    manifest   INTEGER NOT NULL REFERENCES manifests (id),
    -- As the manifest says.
    size       INTEGER NOT NULL,
    PRIMARY KEY (repository, digest, kind, manifest)
) STRICT, WITHOUT ROWID;
CREATE INDEX references_of_manifest ON manifest_references (manifest);

CREATE TABLE tags (
    repository INTEGER NOT NULL REFERENCES repositories (id),
    name       TEXT NOT NULL,
    manifest   INTEGER NOT NULL REFERENCES manifests (id),
    -- When it was set last, to whatever digest.
    updated    INTEGER NOT NULL,
    -- Pulls by this tag, and the last of them.
    pulls      INTEGER NOT NULL DEFAULT 0,
    pulled     INTEGER,
    PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_of_manifest ON tags (manifest, name);

-- The one place where the content of a digest is.
CREATE TABLE blobs (
    digest      BLOB PRIMARY KEY,
    size        INTEGER NOT NULL,
    location    TEXT NOT NULL,
    made        INTEGER NOT NULL,
    -- The content is not what it should be: unknown to readers until a push brings it again.
    quarantined INTEGER NOT NULL DEFAULT 0,
    -- Whether no repository links it.
    unlinked    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_unlinked ON blobs (made) WHERE unlinked = 1;

-- Which repository holds which blob.
CREATE TABLE links (
    repository INTEGER NOT NULL REFERENCES repositories (id),
    digest     BLOB NOT NULL REFERENCES blobs (digest),
    -- When it was made or renewed last.
    renewed    INTEGER NOT NULL,
    -- Whether a manifest of the repository names the blob.
    named      INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_of_blob ON links (digest);
CREATE INDEX links_unnamed ON links (renewed) WHERE named = 0;

-- Locations that no commit may name: their content is to be deleted, or has been.
CREATE TABLE garbage (
    location  TEXT PRIMARY KEY,
    listed_at INTEGER NOT NULL,
    -- When its content had been deleted; null before.
    spent_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX garbage_waiting ON garbage (location, listed_at) WHERE spent_at IS NULL;
CREATE INDEX garbage_spent ON garbage (spent_at) WHERE spent_at IS NOT NULL;

-- The log. By name, because it outlives the repositories.
CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    repository TEXT NOT NULL,
    at         INTEGER NOT NULL,
    -- Each a JSON value.
    actor      TEXT NOT NULL,
    origin     TEXT NOT NULL,
    event      TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (at);

-- How far each consumer of the log has come.
CREATE TABLE cursors (
    consumer TEXT PRIMARY KEY,
    seq      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Work that only one may do.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    -- Null once it was let go.
    holder TEXT,
    -- Greater with every change of holder.
    token  INTEGER NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Room for removals on a full disk: filled with zeros and emptied again, so that the database has free pages.
CREATE TABLE reserve (zeros BLOB NOT NULL) STRICT;

-- What stores without changing state remember of uploads.
CREATE TABLE upload_sessions (
    number  INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    touched INTEGER NOT NULL,
    record  TEXT NOT NULL
) STRICT;
CREATE INDEX upload_sessions_touched ON upload_sessions (touched, id);
