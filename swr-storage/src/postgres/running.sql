-- Format 3: what runs by itself for a repository, and what accounts use.
--
-- All of it hangs on the repository's id, and goes when the repository does: what there may be much of goes later, as
-- its time comes, and nothing leads to it until then.

-- Whether the account has let the service act in its name.
ALTER TABLE accounts ADD COLUMN agency BOOLEAN NOT NULL DEFAULT FALSE;

-- What a repository is to be kept in step with. No id is given twice, here and in the tables that follow.
CREATE TABLE syncs (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repository   BIGINT NOT NULL REFERENCES repositories (id),
    region       TEXT COLLATE "C" NOT NULL,
    organisation TEXT COLLATE "C" NOT NULL,
    auto         BOOLEAN NOT NULL,
    overwrite    BOOLEAN NOT NULL,
    created      BIGINT NOT NULL,
    updated      BIGINT NOT NULL,
    UNIQUE (repository, region, organisation)
);
CREATE INDEX syncs_of_repository ON syncs (repository, id);

-- Versions that were asked to go.
CREATE TABLE sync_jobs (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Perhaps gone by now.
    repository    BIGINT NOT NULL,
    tag           TEXT COLLATE "C" NOT NULL,
    region        TEXT COLLATE "C" NOT NULL,
    organisation  TEXT COLLATE "C" NOT NULL,
    overwrite     BOOLEAN NOT NULL,
    status        TEXT COLLATE "C" NOT NULL,
    -- Perhaps gone by now, and the name of that time.
    operator      TEXT COLLATE "C" NOT NULL,
    operator_name TEXT COLLATE "C" NOT NULL,
    created       BIGINT NOT NULL,
    updated       BIGINT NOT NULL
);
CREATE INDEX sync_jobs_of_repository ON sync_jobs (repository, id);
CREATE INDEX sync_jobs_by_time ON sync_jobs (updated, id);

-- Aging rules, of which a repository has one at most.
CREATE TABLE rules (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repository BIGINT NOT NULL UNIQUE REFERENCES repositories (id),
    due        BIGINT NOT NULL,
    -- JSON.
    rule       TEXT NOT NULL
);
CREATE INDEX rules_by_due ON rules (due, id);

-- What rules have cleared: with the rule as it was, because it may be another by now, or gone.
CREATE TABLE cleared (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Perhaps gone by now.
    repository BIGINT NOT NULL,
    rule_id    BIGINT NOT NULL,
    rule       TEXT NOT NULL,
    tag        TEXT COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL
);
CREATE INDEX cleared_in_repository ON cleared (repository, seq);
CREATE INDEX cleared_by_time ON cleared (at, seq);

CREATE TABLE triggers (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Null once the trigger was removed: it stays until its deliveries have gone.
    repository   BIGINT REFERENCES repositories (id),
    name         TEXT COLLATE "C" NOT NULL,
    enabled      BOOLEAN NOT NULL,
    -- When it was made, or enabled last: versions from before do not fire it.
    since        BIGINT NOT NULL,
    -- What is served one delivery at a time.
    target_key   TEXT COLLATE "C" NOT NULL,
    -- Each a JSON value.
    condition    TEXT NOT NULL,
    target       TEXT NOT NULL,
    -- What messages are signed with, sealed.
    secret       BYTEA,
    -- Perhaps gone by now, and the name of that time.
    creator      TEXT COLLATE "C" NOT NULL,
    creator_name TEXT COLLATE "C" NOT NULL,
    created      BIGINT NOT NULL,
    UNIQUE (repository, name)
);
CREATE INDEX triggers_removed ON triggers (id) WHERE repository IS NULL;

CREATE TABLE deliveries (
    trigger       BIGINT NOT NULL REFERENCES triggers (id),
    -- The place of the event in the log, which may have been trimmed.
    event         BIGINT NOT NULL,
    id            TEXT COLLATE "C" NOT NULL UNIQUE,
    -- As the trigger has them; the second as long as it waits.
    target_key    TEXT COLLATE "C" NOT NULL,
    enabled       BOOLEAN NOT NULL,
    -- 0: waits, 1: delivered, 2: given up.
    state         SMALLINT NOT NULL,
    -- From when on it may be tried, while it waits.
    due           BIGINT NOT NULL,
    -- How often it was claimed, and until when it is.
    claims        BIGINT NOT NULL,
    claimed_until BIGINT,
    attempts      BIGINT NOT NULL,
    -- When it was tried last.
    tried         BIGINT,
    tag           TEXT COLLATE "C" NOT NULL,
    digest        BYTEA NOT NULL,
    at            BIGINT NOT NULL,
    detail        TEXT NOT NULL,
    PRIMARY KEY (trigger, event)
);
CREATE INDEX deliveries_waiting ON deliveries (target_key, event, trigger) WHERE state = 0 AND enabled;
CREATE INDEX deliveries_claimed ON deliveries (target_key, claimed_until) WHERE claimed_until IS NOT NULL;
CREATE INDEX deliveries_settled ON deliveries (tried, event, trigger) WHERE state > 0;

-- Every target that a delivery of an enabled trigger waits for, and a time before which none can be claimed.
CREATE TABLE delivery_targets (
    target_key TEXT COLLATE "C" PRIMARY KEY,
    ready      BIGINT NOT NULL
);
CREATE INDEX delivery_targets_ready ON delivery_targets (ready, target_key);

-- What accounts used, day by day.
CREATE TABLE usage (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    -- 0: bytes kept, 1: bytes pulled.
    kind    SMALLINT NOT NULL,
    -- Counted from the first day of the first year.
    day     INTEGER NOT NULL,
    bytes   BIGINT NOT NULL,
    PRIMARY KEY (account, kind, day)
);
CREATE INDEX usage_by_day ON usage (day);

-- How far each consumer of traces has come.
CREATE TABLE trace_cursors (
    consumer TEXT COLLATE "C" PRIMARY KEY,
    seq      BIGINT NOT NULL
);
