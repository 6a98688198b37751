-- Format 3: what runs by itself for a repository, and what accounts use.
--
-- All of it hangs on the repository's id, and goes when the repository does: what there may be much of goes later, as
-- its time comes, and nothing leads to it until then.

-- Whether the account has let the service act in its name.
ALTER TABLE accounts ADD COLUMN agency INTEGER NOT NULL DEFAULT 0;

-- What a repository is to be kept in step with. No id is given twice, here and in the tables that follow.
CREATE TABLE syncs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    repository   INTEGER NOT NULL REFERENCES repositories (id),
    region       TEXT NOT NULL,
    organisation TEXT NOT NULL,
    auto         INTEGER NOT NULL,
    overwrite    INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    UNIQUE (repository, region, organisation)
) STRICT;
CREATE INDEX syncs_of_repository ON syncs (repository, id);

-- Versions that were asked to go.
CREATE TABLE sync_jobs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Perhaps gone by now.
    repository    INTEGER NOT NULL,
    tag           TEXT NOT NULL,
    region        TEXT NOT NULL,
    organisation  TEXT NOT NULL,
    overwrite     INTEGER NOT NULL,
    status        TEXT NOT NULL,
    -- Perhaps gone by now, and the name of that time.
    operator      TEXT NOT NULL,
    operator_name TEXT NOT NULL,
    created       INTEGER NOT NULL,
    updated       INTEGER NOT NULL
) STRICT;
CREATE INDEX sync_jobs_of_repository ON sync_jobs (repository, id);
CREATE INDEX sync_jobs_by_time ON sync_jobs (updated, id);

-- Aging rules, of which a repository has one at most.
CREATE TABLE rules (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    repository INTEGER NOT NULL UNIQUE REFERENCES repositories (id),
    due        INTEGER NOT NULL,
    -- JSON.
    rule       TEXT NOT NULL
) STRICT;
CREATE INDEX rules_by_due ON rules (due, id);

-- What rules have cleared: with the rule as it was, because it may be another by now, or gone.
CREATE TABLE cleared (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Perhaps gone by now.
    repository INTEGER NOT NULL,
    rule_id    INTEGER NOT NULL,
    rule       TEXT NOT NULL,
    tag        TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX cleared_in_repository ON cleared (repository, seq);
CREATE INDEX cleared_by_time ON cleared (at, seq);

CREATE TABLE triggers (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Null once the trigger was removed: it stays until its deliveries have gone.
    repository   INTEGER REFERENCES repositories (id),
    name         TEXT NOT NULL,
    enabled      INTEGER NOT NULL,
    -- When it was made, or enabled last: versions from before do not fire it.
    since        INTEGER NOT NULL,
    -- What is served one delivery at a time.
    target_key   TEXT NOT NULL,
    -- Each a JSON value.
    condition    TEXT NOT NULL,
    target       TEXT NOT NULL,
    -- What messages are signed with, sealed.
    secret       BLOB,
    -- Perhaps gone by now, and the name of that time.
    creator      TEXT NOT NULL,
    creator_name TEXT NOT NULL,
    created      INTEGER NOT NULL,
    UNIQUE (repository, name)
) STRICT;
CREATE INDEX triggers_removed ON triggers (id) WHERE repository IS NULL;

CREATE TABLE deliveries (
    trigger       INTEGER NOT NULL REFERENCES triggers (id),
    -- The place of the event in the log, which may have been trimmed.
    event         INTEGER NOT NULL,
    id            TEXT NOT NULL UNIQUE,
    -- As the trigger has them; the second as long as it waits.
    target_key    TEXT NOT NULL,
    enabled       INTEGER NOT NULL,
    -- 0: waits, 1: delivered, 2: given up.
    state         INTEGER NOT NULL,
    -- From when on it may be tried, while it waits.
    due           INTEGER NOT NULL,
    -- How often it was claimed, and until when it is.
    claims        INTEGER NOT NULL,
    claimed_until INTEGER,
    attempts      INTEGER NOT NULL,
    -- When it was tried last.
    tried         INTEGER,
    tag           TEXT NOT NULL,
    digest        BLOB NOT NULL,
    at            INTEGER NOT NULL,
    detail        TEXT NOT NULL,
    PRIMARY KEY (trigger, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_waiting ON deliveries (target_key, event, trigger) WHERE state = 0 AND enabled = 1;
CREATE INDEX deliveries_claimed ON deliveries (target_key, claimed_until) WHERE claimed_until IS NOT NULL;
CREATE INDEX deliveries_settled ON deliveries (tried, event, trigger) WHERE state > 0;

-- Every target that a delivery of an enabled trigger waits for, and a time before which none can be claimed.
CREATE TABLE delivery_targets (
    target_key TEXT PRIMARY KEY,
    ready      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_targets_ready ON delivery_targets (ready, target_key);

-- What accounts used, day by day.
CREATE TABLE usage (
    account TEXT NOT NULL REFERENCES accounts (id),
    -- 0: bytes kept, 1: bytes pulled.
    kind    INTEGER NOT NULL,
    -- Counted from the first day of the first year.
    day     INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    PRIMARY KEY (account, kind, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_by_day ON usage (day);

-- How far each consumer of traces has come.
CREATE TABLE trace_cursors (
    consumer TEXT PRIMARY KEY,
    seq      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
