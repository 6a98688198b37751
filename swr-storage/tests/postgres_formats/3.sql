-- What the history in told/mod.rs leaves in the tables of format 3.
CREATE TABLE access_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL COLLATE pg_catalog."C",
    secret bytea,
    created bigint NOT NULL
);
CREATE TABLE accounts (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    project text NOT NULL COLLATE pg_catalog."C",
    created bigint NOT NULL,
    agency boolean DEFAULT false NOT NULL
);
CREATE TABLE blobs (
    digest bytea NOT NULL,
    size bigint NOT NULL,
    location text NOT NULL COLLATE pg_catalog."C",
    made bigint NOT NULL,
    quarantined boolean DEFAULT false NOT NULL,
    unlinked boolean DEFAULT false NOT NULL
);
CREATE TABLE cleared (
    seq bigint NOT NULL,
    repository bigint NOT NULL,
    rule_id bigint NOT NULL,
    rule text NOT NULL,
    tag text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL
);
ALTER TABLE cleared ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cleared_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE cursors (
    consumer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL
);
CREATE TABLE deliveries (
    trigger bigint NOT NULL,
    event bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    target_key text NOT NULL COLLATE pg_catalog."C",
    enabled boolean NOT NULL,
    state smallint NOT NULL,
    due bigint NOT NULL,
    claims bigint NOT NULL,
    claimed_until bigint,
    attempts bigint NOT NULL,
    tried bigint,
    tag text NOT NULL COLLATE pg_catalog."C",
    digest bytea NOT NULL,
    at bigint NOT NULL,
    detail text NOT NULL
);
CREATE TABLE delivery_targets (
    target_key text NOT NULL COLLATE pg_catalog."C",
    ready bigint NOT NULL
);
CREATE TABLE events (
    seq bigint NOT NULL,
    repository text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    actor text NOT NULL,
    origin text NOT NULL,
    event text NOT NULL
);
CREATE TABLE garbage (
    location text NOT NULL COLLATE pg_catalog."C",
    listed_at bigint NOT NULL,
    spent_at bigint
);
CREATE TABLE kept (
    id bytea NOT NULL,
    events bigint NOT NULL,
    made timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE leases (
    name text NOT NULL COLLATE pg_catalog."C",
    holder text COLLATE pg_catalog."C",
    token bigint NOT NULL,
    until bigint NOT NULL
);
CREATE TABLE links (
    repository bigint NOT NULL,
    digest bytea NOT NULL,
    renewed bigint NOT NULL,
    named boolean NOT NULL
);
CREATE TABLE log (
    one boolean DEFAULT true NOT NULL,
    events bigint NOT NULL,
    traces bigint NOT NULL,
    CONSTRAINT log_one_check CHECK (one)
)
WITH (fillfactor='10');
CREATE TABLE manifest_contents (
    manifest bigint NOT NULL,
    annotations text NOT NULL,
    bytes bytea NOT NULL
);
CREATE TABLE manifest_references (
    repository bigint NOT NULL,
    digest bytea NOT NULL,
    kind smallint NOT NULL,
    manifest bigint NOT NULL,
    size bigint NOT NULL
);
CREATE TABLE manifests (
    id bigint NOT NULL,
    repository bigint NOT NULL,
    digest bytea NOT NULL,
    media_type text NOT NULL COLLATE pg_catalog."C",
    artifact_type text COLLATE pg_catalog."C",
    size bigint NOT NULL,
    subject bytea,
    unused_since bigint,
    pulls bigint DEFAULT 0 NOT NULL,
    pulled bigint
);
ALTER TABLE manifests ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME manifests_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE organisation_grants (
    organisation bigint NOT NULL,
    holder text NOT NULL COLLATE pg_catalog."C",
    level smallint NOT NULL,
    created bigint NOT NULL
);
CREATE TABLE organisations (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    account text NOT NULL COLLATE pg_catalog."C",
    creator text NOT NULL COLLATE pg_catalog."C",
    creator_name text NOT NULL COLLATE pg_catalog."C",
    created bigint NOT NULL
);
ALTER TABLE organisations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME organisations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE repositories (
    id bigint NOT NULL,
    name text COLLATE pg_catalog."C",
    made bigint NOT NULL,
    listed boolean NOT NULL,
    vacant boolean NOT NULL,
    public boolean DEFAULT false NOT NULL,
    category text DEFAULT 'other'::text NOT NULL COLLATE pg_catalog."C",
    creator text COLLATE pg_catalog."C",
    creator_name text COLLATE pg_catalog."C",
    updated bigint DEFAULT 0 NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL,
    organisation text GENERATED ALWAYS AS (
CASE
    WHEN (strpos(name, '/'::text) > 0) THEN split_part(name, '/'::text, 1)
    ELSE NULL::text
END) STORED COLLATE pg_catalog."C",
    description text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE repositories ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME repositories_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE repository_grants (
    repository bigint NOT NULL,
    holder text NOT NULL COLLATE pg_catalog."C",
    level smallint NOT NULL,
    created bigint NOT NULL
);
CREATE TABLE rights (
    one boolean DEFAULT true NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT rights_one_check CHECK (one)
)
WITH (fillfactor='10');
CREATE TABLE rules (
    id bigint NOT NULL,
    repository bigint NOT NULL,
    due bigint NOT NULL,
    rule text NOT NULL
);
ALTER TABLE rules ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rules_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE shares (
    repository bigint NOT NULL,
    account text NOT NULL COLLATE pg_catalog."C",
    deadline bigint,
    description text NOT NULL COLLATE pg_catalog."C",
    creator text NOT NULL COLLATE pg_catalog."C",
    creator_name text NOT NULL COLLATE pg_catalog."C",
    created bigint NOT NULL,
    updated bigint NOT NULL
);
CREATE TABLE swr_format (
    one boolean DEFAULT true NOT NULL,
    format integer NOT NULL,
    CONSTRAINT swr_format_one_check CHECK (one)
);
CREATE TABLE sync_jobs (
    id bigint NOT NULL,
    repository bigint NOT NULL,
    tag text NOT NULL COLLATE pg_catalog."C",
    region text NOT NULL COLLATE pg_catalog."C",
    organisation text NOT NULL COLLATE pg_catalog."C",
    overwrite boolean NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    operator text NOT NULL COLLATE pg_catalog."C",
    operator_name text NOT NULL COLLATE pg_catalog."C",
    created bigint NOT NULL,
    updated bigint NOT NULL
);
ALTER TABLE sync_jobs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME sync_jobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE syncs (
    id bigint NOT NULL,
    repository bigint NOT NULL,
    region text NOT NULL COLLATE pg_catalog."C",
    organisation text NOT NULL COLLATE pg_catalog."C",
    auto boolean NOT NULL,
    overwrite boolean NOT NULL,
    created bigint NOT NULL,
    updated bigint NOT NULL
);
ALTER TABLE syncs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME syncs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE tags (
    repository bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    manifest bigint NOT NULL,
    created bigint NOT NULL,
    updated bigint NOT NULL,
    pulls bigint DEFAULT 0 NOT NULL,
    pulled bigint
);
CREATE TABLE temporary_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    issued_with text COLLATE pg_catalog."C",
    secret bytea NOT NULL,
    expires bigint NOT NULL
);
CREATE TABLE token_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    secret bytea,
    created bigint NOT NULL
);
CREATE TABLE trace_cursors (
    consumer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL
);
CREATE TABLE traces (
    seq bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    account text NOT NULL COLLATE pg_catalog."C",
    account_name text NOT NULL COLLATE pg_catalog."C",
    project text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    actor text COLLATE pg_catalog."C",
    actor_name text COLLATE pg_catalog."C",
    operation text NOT NULL COLLATE pg_catalog."C",
    code integer NOT NULL,
    reason text NOT NULL COLLATE pg_catalog."C",
    resource_id text NOT NULL COLLATE pg_catalog."C",
    resource_name text NOT NULL COLLATE pg_catalog."C",
    organisation text COLLATE pg_catalog."C",
    origin text NOT NULL,
    change text NOT NULL
);
CREATE TABLE triggers (
    id bigint NOT NULL,
    repository bigint,
    name text NOT NULL COLLATE pg_catalog."C",
    enabled boolean NOT NULL,
    since bigint NOT NULL,
    target_key text NOT NULL COLLATE pg_catalog."C",
    condition text NOT NULL,
    target text NOT NULL,
    secret bytea,
    creator text NOT NULL COLLATE pg_catalog."C",
    creator_name text NOT NULL COLLATE pg_catalog."C",
    created bigint NOT NULL
);
ALTER TABLE triggers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME triggers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE upload_sessions (
    id text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    touched bigint NOT NULL,
    record text NOT NULL
);
CREATE TABLE usage (
    account text NOT NULL COLLATE pg_catalog."C",
    kind smallint NOT NULL,
    day integer NOT NULL,
    bytes bigint NOT NULL
);
CREATE TABLE users (
    id text NOT NULL COLLATE pg_catalog."C",
    account text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    password text,
    created bigint NOT NULL
);
INSERT INTO access_keys VALUES ('AK1', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'a key', '\x7365616c6564', 1767227460000000);
INSERT INTO accounts VALUES ('11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227400000000, false);
INSERT INTO accounts VALUES ('22222222222222222222222222222222', 'south', '22222222222222222222222222222222', 1767227400000000, false);
INSERT INTO blobs VALUES ('\x01b401f07425289b4c9b41d41821556a64ac94ac9b2ddc43235d9aee6e30d88c19', 50, 'the place of sha256:b401f07425289b4c9b41d41821556a64ac94ac9b2ddc43235d9aee6e30d88c19', 1767225660000000, false, false);
INSERT INTO blobs VALUES ('\x0189da36c00e094c2e10acc96b6c62d1c38ed1b1d4ff46b4e9b04383516bd68876', 14, 'the place of sha256:89da36c00e094c2e10acc96b6c62d1c38ed1b1d4ff46b4e9b04383516bd68876', 1767225660000000, false, false);
INSERT INTO blobs VALUES ('\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 14, 'the place of sha256:b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1767225660000000, false, false);
INSERT INTO blobs VALUES ('\x01e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00', 50, 'the place of sha256:e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00', 1767225720000000, false, false);
INSERT INTO blobs VALUES ('\x017eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924', 14, 'the place of sha256:7eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924', 1767225720000000, false, false);
INSERT INTO blobs VALUES ('\x0144136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', 2, 'the place of sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', 1767225840000000, false, false);
INSERT INTO blobs VALUES ('\x0182ebe9c9b2cb8a02775178be783e490ed2711792c1aea3807e83af28a0d6e35c', 19, 'the place of sha256:82ebe9c9b2cb8a02775178be783e490ed2711792c1aea3807e83af28a0d6e35c', 1767225840000000, false, false);
INSERT INTO blobs VALUES ('\x01f449fe583d6dc13221d0ec33cd760372bcedabcc33ed8529e922386e05d09ae8', 19, 'the place of sha256:f449fe583d6dc13221d0ec33cd760372bcedabcc33ed8529e922386e05d09ae8', 1767226200000000, false, false);
INSERT INTO cursors VALUES ('sink', 4);
INSERT INTO events VALUES (1, 'math/a', 1767225660000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:b401f07425289b4c9b41d41821556a64ac94ac9b2ddc43235d9aee6e30d88c19"}');
INSERT INTO events VALUES (2, 'math/a', 1767225660000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:89da36c00e094c2e10acc96b6c62d1c38ed1b1d4ff46b4e9b04383516bd68876"}');
INSERT INTO events VALUES (3, 'math/a', 1767225660000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06"}');
INSERT INTO events VALUES (4, 'math/a', 1767225660000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"repository_created"}');
INSERT INTO events VALUES (5, 'math/a', 1767225660000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"manifest_pushed","digest":"sha256:f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be","media_type":"application/vnd.oci.image.manifest.v1+json","size":552,"subject":null}');
INSERT INTO events VALUES (6, 'math/a', 1767225660000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"tag_set","tag":"1.0","digest":"sha256:f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be","previous":null}');
INSERT INTO events VALUES (7, 'math/a', 1767225660000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"tag_set","tag":"latest","digest":"sha256:f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be","previous":null}');
INSERT INTO events VALUES (8, 'math/a', 1767225720000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00"}');
INSERT INTO events VALUES (9, 'math/a', 1767225720000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:7eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924"}');
INSERT INTO events VALUES (10, 'math/a', 1767225720000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"manifest_pushed","digest":"sha512:1540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1","media_type":"application/vnd.oci.image.manifest.v1+json","size":552,"subject":null}');
INSERT INTO events VALUES (11, 'math/a', 1767225720000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"tag_set","tag":"1.1","digest":"sha512:1540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1","previous":null}');
INSERT INTO events VALUES (12, 'math/a', 1767225720000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"tag_set","tag":"latest","digest":"sha512:1540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1","previous":"sha256:f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be"}');
INSERT INTO events VALUES (13, 'math/a', 1767225780000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"manifest_pushed","digest":"sha256:88fabd6bb42425a3902f63c25dd04a3198cb3b6e4adb8a31f76b4b4da76eefec","media_type":"application/vnd.oci.image.index.v1+json","size":457,"subject":null}');
INSERT INTO events VALUES (14, 'math/a', 1767225780000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"tag_set","tag":"all","digest":"sha256:88fabd6bb42425a3902f63c25dd04a3198cb3b6e4adb8a31f76b4b4da76eefec","previous":null}');
INSERT INTO events VALUES (15, 'math/a', 1767225840000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}');
INSERT INTO events VALUES (16, 'math/a', 1767225840000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:82ebe9c9b2cb8a02775178be783e490ed2711792c1aea3807e83af28a0d6e35c"}');
INSERT INTO events VALUES (17, 'math/a', 1767225840000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"manifest_pushed","digest":"sha256:20dde424505b72dc65d1326dfbb8d2205798d86ba2b51d50e246f0b5d7899227","media_type":"application/vnd.oci.image.manifest.v1+json","size":625,"subject":"sha256:f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be"}');
INSERT INTO events VALUES (18, 'math/b', 1767225900000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:b401f07425289b4c9b41d41821556a64ac94ac9b2ddc43235d9aee6e30d88c19"}');
INSERT INTO events VALUES (19, 'math/b', 1767225900000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:89da36c00e094c2e10acc96b6c62d1c38ed1b1d4ff46b4e9b04383516bd68876"}');
INSERT INTO events VALUES (20, 'math/b', 1767225900000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06"}');
INSERT INTO events VALUES (21, 'math/b', 1767225900000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"repository_created"}');
INSERT INTO events VALUES (22, 'math/b', 1767225900000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"manifest_pushed","digest":"sha256:f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be","media_type":"application/vnd.oci.image.manifest.v1+json","size":552,"subject":null}');
INSERT INTO events VALUES (23, 'math/b', 1767225900000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"tag_set","tag":"1.0","digest":"sha256:f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be","previous":null}');
INSERT INTO events VALUES (24, 'math/b', 1767225960000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"tag_removed","tag":"1.0","digest":"sha256:f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be"}');
INSERT INTO events VALUES (25, 'math/gone', 1767226020000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00"}');
INSERT INTO events VALUES (26, 'math/gone', 1767226020000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:7eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924"}');
INSERT INTO events VALUES (27, 'math/gone', 1767226020000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06"}');
INSERT INTO events VALUES (28, 'math/gone', 1767226020000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"repository_created"}');
INSERT INTO events VALUES (29, 'math/gone', 1767226020000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"manifest_pushed","digest":"sha512:1540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1","media_type":"application/vnd.oci.image.manifest.v1+json","size":552,"subject":null}');
INSERT INTO events VALUES (30, 'math/gone', 1767226020000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"tag_set","tag":"1.0","digest":"sha512:1540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1","previous":null}');
INSERT INTO events VALUES (31, 'math/gone', 1767226080000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"repository_removed"}');
INSERT INTO events VALUES (32, 'alone', 1767226140000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00"}');
INSERT INTO events VALUES (33, 'alone', 1767226140000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:7eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924"}');
INSERT INTO events VALUES (34, 'alone', 1767226140000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06"}');
INSERT INTO events VALUES (35, 'alone', 1767226140000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"repository_created"}');
INSERT INTO events VALUES (36, 'alone', 1767226140000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"manifest_pushed","digest":"sha512:1540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1","media_type":"application/vnd.oci.image.manifest.v1+json","size":552,"subject":null}');
INSERT INTO events VALUES (37, 'math/hidden', 1767226200000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:f449fe583d6dc13221d0ec33cd760372bcedabcc33ed8529e922386e05d09ae8"}');
INSERT INTO events VALUES (38, 'math/b', 1767226260000000, '{"caller":{"user":"ada"}}', '{"source":"192.0.2.7","request_id":"request 1","channel":"api"}', '{"type":"blob_linked","digest":"sha256:f449fe583d6dc13221d0ec33cd760372bcedabcc33ed8529e922386e05d09ae8"}');
INSERT INTO garbage VALUES ('another place', 1767226260000000, NULL);
INSERT INTO kept VALUES ('\x7cc2e03e2d474b42a5bc6490c6eb4eee', 0, '2026-11-27 03:07:23.183504+00');
INSERT INTO kept VALUES ('\x511452cf0fe04801b8853ecd6103e71c', 3, '2026-11-27 03:07:23.220057+00');
INSERT INTO kept VALUES ('\x38aeeb5559a24c9b9be2f540424fd210', 7, '2026-11-27 03:07:23.227138+00');
INSERT INTO kept VALUES ('\xf60904f982d44d218e20fd2f887a5c5d', 9, '2026-11-27 03:07:23.232308+00');
INSERT INTO kept VALUES ('\x4d0e40e4556649c7a2b9fcbba562aca7', 12, '2026-11-27 03:07:23.234724+00');
INSERT INTO kept VALUES ('\x3714c5505eb041ee87358aa9e09c5769', 0, '2026-11-27 03:07:23.23839+00');
INSERT INTO kept VALUES ('\x383c4c417f5b461e85cab723067e7468', 14, '2026-11-27 03:07:23.239024+00');
INSERT INTO kept VALUES ('\x59506807e77d4ba8a471140212fe44fc', 16, '2026-11-27 03:07:23.241159+00');
INSERT INTO kept VALUES ('\x2be26e51a0fd45368c0375d23fb96845', 17, '2026-11-27 03:07:23.243168+00');
INSERT INTO kept VALUES ('\x5f060ce82a1248bca73c76e588d6ad24', 20, '2026-11-27 03:07:23.244651+00');
INSERT INTO kept VALUES ('\x7419049791444b9ba0d6f82164c1f1e4', 23, '2026-11-27 03:07:23.246729+00');
INSERT INTO kept VALUES ('\xb097a3bfeb20465280ae245d17853532', 24, '2026-11-27 03:07:23.248997+00');
INSERT INTO kept VALUES ('\x4be7396402924bbaad23c48b5c5228a6', 27, '2026-11-27 03:07:23.250595+00');
INSERT INTO kept VALUES ('\x860d76d2d0404de3a181cfd6edbdd64c', 30, '2026-11-27 03:07:23.252299+00');
INSERT INTO kept VALUES ('\x781b5db542154107a844cd43a6eb9889', 31, '2026-11-27 03:07:23.254423+00');
INSERT INTO kept VALUES ('\xc1352ebb4e504db7baaedf22fb54e343', 34, '2026-11-27 03:07:23.257579+00');
INSERT INTO kept VALUES ('\x1c97ea34a8d54405958ba875fd15f592', 36, '2026-11-27 03:07:23.259704+00');
INSERT INTO kept VALUES ('\xab8fbf67274a4bdbae09efa0bff95016', 37, '2026-11-27 03:07:23.261267+00');
INSERT INTO kept VALUES ('\x3ef7b420613c4b0d9adbee3090b0bc4d', 38, '2026-11-27 03:07:23.262741+00');
INSERT INTO kept VALUES ('\x6a759609c0ec432e86e27da3ba7a4dca', 0, '2026-11-27 03:07:23.264115+00');
INSERT INTO kept VALUES ('\x7e6874619b6447c392ce271a40841831', 0, '2026-11-27 03:07:23.26651+00');
INSERT INTO kept VALUES ('\x710cc636d84e416aae8d17b55235147b', 38, '2026-11-27 03:07:23.267758+00');
INSERT INTO kept VALUES ('\xdb8af5e783b64706a33bf4408c89b9b9', 38, '2026-11-27 03:07:23.271656+00');
INSERT INTO kept VALUES ('\xc39282e4115b490fbd3b918b7f8f9ffd', 38, '2026-11-27 03:07:23.281158+00');
INSERT INTO kept VALUES ('\x8721225a06ff4b56a1e881311e1db2f7', 0, '2026-11-27 03:07:23.287024+00');
INSERT INTO leases VALUES ('collection', 'one', 1, 1767285600000000);
INSERT INTO links VALUES (1, '\x0189da36c00e094c2e10acc96b6c62d1c38ed1b1d4ff46b4e9b04383516bd68876', 1767225660000000, true);
INSERT INTO links VALUES (1, '\x01b401f07425289b4c9b41d41821556a64ac94ac9b2ddc43235d9aee6e30d88c19', 1767225660000000, true);
INSERT INTO links VALUES (1, '\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1767225720000000, true);
INSERT INTO links VALUES (1, '\x017eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924', 1767225720000000, true);
INSERT INTO links VALUES (1, '\x01e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00', 1767225720000000, true);
INSERT INTO links VALUES (1, '\x0144136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', 1767225840000000, true);
INSERT INTO links VALUES (1, '\x0182ebe9c9b2cb8a02775178be783e490ed2711792c1aea3807e83af28a0d6e35c', 1767225840000000, true);
INSERT INTO links VALUES (2, '\x0189da36c00e094c2e10acc96b6c62d1c38ed1b1d4ff46b4e9b04383516bd68876', 1767225900000000, true);
INSERT INTO links VALUES (2, '\x01b401f07425289b4c9b41d41821556a64ac94ac9b2ddc43235d9aee6e30d88c19', 1767225900000000, true);
INSERT INTO links VALUES (2, '\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1767225900000000, true);
INSERT INTO links VALUES (3, '\x017eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924', 1767226020000000, true);
INSERT INTO links VALUES (3, '\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1767226020000000, true);
INSERT INTO links VALUES (3, '\x01e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00', 1767226020000000, true);
INSERT INTO links VALUES (4, '\x01e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00', 1767226140000000, true);
INSERT INTO links VALUES (4, '\x017eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924', 1767226140000000, true);
INSERT INTO links VALUES (4, '\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1767226140000000, true);
INSERT INTO links VALUES (5, '\x01f449fe583d6dc13221d0ec33cd760372bcedabcc33ed8529e922386e05d09ae8', 1767226200000000, false);
INSERT INTO links VALUES (2, '\x01f449fe583d6dc13221d0ec33cd760372bcedabcc33ed8529e922386e05d09ae8', 1767226260000000, false);
INSERT INTO log VALUES (true, 38, 15);
INSERT INTO manifest_contents VALUES (1, '{}', '\x7b22636f6e666967223a7b22646967657374223a227368613235363a62343031663037343235323839623463396234316434313832313535366136346163393461633962326464633433323335643961656536653330643838633139222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e636f6e6669672e76312b6a736f6e222c2273697a65223a35307d2c226c6179657273223a5b7b22646967657374223a227368613235363a38396461333663303065303934633265313061636339366236633632643163333865643162316434666634366234653962303433383335313662643638383736222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d2c7b22646967657374223a227368613235363a62353263303933643964633838396238656137666234383765323239623562353066346332633037303139326265306465656231363033633836393963613036222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d5d2c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e222c22736368656d6156657273696f6e223a327d');
INSERT INTO manifest_contents VALUES (2, '{}', '\x7b22636f6e666967223a7b22646967657374223a227368613235363a65323930363539396364323932656339333165633562346530396463393165623765366462303738323931656463356332386464623333613930376335663030222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e636f6e6669672e76312b6a736f6e222c2273697a65223a35307d2c226c6179657273223a5b7b22646967657374223a227368613235363a37656161306432663731666533613836633532636331663464616531613237316333313633303465633435386562376664646164376366323931326635393234222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d2c7b22646967657374223a227368613235363a62353263303933643964633838396238656137666234383765323239623562353066346332633037303139326265306465656231363033633836393963613036222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d5d2c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e222c22736368656d6156657273696f6e223a327d');
INSERT INTO manifest_contents VALUES (3, '{}', '\x7b226d616e696665737473223a5b7b22646967657374223a227368613235363a66323166313864323434376539323330313565643436393738393137383663373130336363383838353536666237636339383733313561323064326433346265222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e222c2273697a65223a3535327d2c7b22646967657374223a227368613531323a3135343063666231663334616531376330323230633236363534323736343838343062303664306165333966636363303034623066353639633663343138653533386538326331643463353636386666613166373139353633396663313164303935356231323033643663316634666362653137313761333061303133306131222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e222c2273697a65223a3535327d5d2c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e696e6465782e76312b6a736f6e222c22736368656d6156657273696f6e223a327d');
INSERT INTO manifest_contents VALUES (4, '{"key":"value"}', '\x7b22616e6e6f746174696f6e73223a7b226b6579223a2276616c7565227d2c22617274696661637454797065223a226170706c69636174696f6e2f766e642e6578616d706c65222c22636f6e666967223a7b22646967657374223a227368613235363a34343133366661333535623336373861313134366164313666376538363439653934666234666332316665373765383331306330363066363163616166663861222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e656d7074792e76312b6a736f6e222c2273697a65223a327d2c226c6179657273223a5b7b22646967657374223a227368613235363a38326562653963396232636238613032373735313738626537383365343930656432373131373932633161656133383037653833616632386130643665333563222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31397d5d2c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e222c22736368656d6156657273696f6e223a322c227375626a656374223a7b22646967657374223a227368613235363a66323166313864323434376539323330313565643436393738393137383663373130336363383838353536666237636339383733313561323064326433346265222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e222c2273697a65223a3535327d7d');
INSERT INTO manifest_contents VALUES (5, '{}', '\x7b22636f6e666967223a7b22646967657374223a227368613235363a62343031663037343235323839623463396234316434313832313535366136346163393461633962326464633433323335643961656536653330643838633139222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e636f6e6669672e76312b6a736f6e222c2273697a65223a35307d2c226c6179657273223a5b7b22646967657374223a227368613235363a38396461333663303065303934633265313061636339366236633632643163333865643162316434666634366234653962303433383335313662643638383736222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d2c7b22646967657374223a227368613235363a62353263303933643964633838396238656137666234383765323239623562353066346332633037303139326265306465656231363033633836393963613036222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d5d2c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e222c22736368656d6156657273696f6e223a327d');
INSERT INTO manifest_contents VALUES (6, '{}', '\x7b22636f6e666967223a7b22646967657374223a227368613235363a65323930363539396364323932656339333165633562346530396463393165623765366462303738323931656463356332386464623333613930376335663030222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e636f6e6669672e76312b6a736f6e222c2273697a65223a35307d2c226c6179657273223a5b7b22646967657374223a227368613235363a37656161306432663731666533613836633532636331663464616531613237316333313633303465633435386562376664646164376366323931326635393234222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d2c7b22646967657374223a227368613235363a62353263303933643964633838396238656137666234383765323239623562353066346332633037303139326265306465656231363033633836393963613036222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d5d2c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e222c22736368656d6156657273696f6e223a327d');
INSERT INTO manifest_contents VALUES (7, '{}', '\x7b22636f6e666967223a7b22646967657374223a227368613235363a65323930363539396364323932656339333165633562346530396463393165623765366462303738323931656463356332386464623333613930376335663030222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e636f6e6669672e76312b6a736f6e222c2273697a65223a35307d2c226c6179657273223a5b7b22646967657374223a227368613235363a37656161306432663731666533613836633532636331663464616531613237316333313633303465633435386562376664646164376366323931326635393234222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d2c7b22646967657374223a227368613235363a62353263303933643964633838396238656137666234383765323239623562353066346332633037303139326265306465656231363033633836393963613036222c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b677a6970222c2273697a65223a31347d5d2c226d6564696154797065223a226170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e222c22736368656d6156657273696f6e223a327d');
INSERT INTO manifest_references VALUES (1, '\x01b401f07425289b4c9b41d41821556a64ac94ac9b2ddc43235d9aee6e30d88c19', 1, 1, 50);
INSERT INTO manifest_references VALUES (1, '\x0189da36c00e094c2e10acc96b6c62d1c38ed1b1d4ff46b4e9b04383516bd68876', 1, 1, 14);
INSERT INTO manifest_references VALUES (1, '\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1, 1, 14);
INSERT INTO manifest_references VALUES (1, '\x01e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00', 1, 2, 50);
INSERT INTO manifest_references VALUES (1, '\x017eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924', 1, 2, 14);
INSERT INTO manifest_references VALUES (1, '\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1, 2, 14);
INSERT INTO manifest_references VALUES (1, '\x01f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be', 0, 3, 552);
INSERT INTO manifest_references VALUES (1, '\x021540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1', 0, 3, 552);
INSERT INTO manifest_references VALUES (1, '\x0144136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', 1, 4, 2);
INSERT INTO manifest_references VALUES (1, '\x0182ebe9c9b2cb8a02775178be783e490ed2711792c1aea3807e83af28a0d6e35c', 1, 4, 19);
INSERT INTO manifest_references VALUES (2, '\x01b401f07425289b4c9b41d41821556a64ac94ac9b2ddc43235d9aee6e30d88c19', 1, 5, 50);
INSERT INTO manifest_references VALUES (2, '\x0189da36c00e094c2e10acc96b6c62d1c38ed1b1d4ff46b4e9b04383516bd68876', 1, 5, 14);
INSERT INTO manifest_references VALUES (2, '\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1, 5, 14);
INSERT INTO manifest_references VALUES (3, '\x01e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00', 1, 6, 50);
INSERT INTO manifest_references VALUES (3, '\x017eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924', 1, 6, 14);
INSERT INTO manifest_references VALUES (3, '\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1, 6, 14);
INSERT INTO manifest_references VALUES (4, '\x01e2906599cd292ec931ec5b4e09dc91eb7e6db078291edc5c28ddb33a907c5f00', 1, 7, 50);
INSERT INTO manifest_references VALUES (4, '\x017eaa0d2f71fe3a86c52cc1f4dae1a271c316304ec458eb7fddad7cf2912f5924', 1, 7, 14);
INSERT INTO manifest_references VALUES (4, '\x01b52c093d9dc889b8ea7fb487e229b5b50f4c2c070192be0deeb1603c8699ca06', 1, 7, 14);
INSERT INTO manifests OVERRIDING SYSTEM VALUE VALUES (2, 1, '\x021540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1', 'application/vnd.oci.image.manifest.v1+json', 'application/vnd.oci.image.config.v1+json', 552, NULL, NULL, 0, NULL);
INSERT INTO manifests OVERRIDING SYSTEM VALUE VALUES (3, 1, '\x0188fabd6bb42425a3902f63c25dd04a3198cb3b6e4adb8a31f76b4b4da76eefec', 'application/vnd.oci.image.index.v1+json', NULL, 457, NULL, NULL, 0, NULL);
INSERT INTO manifests OVERRIDING SYSTEM VALUE VALUES (4, 1, '\x0120dde424505b72dc65d1326dfbb8d2205798d86ba2b51d50e246f0b5d7899227', 'application/vnd.oci.image.manifest.v1+json', 'application/vnd.example', 625, '\x01f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be', NULL, 0, NULL);
INSERT INTO manifests OVERRIDING SYSTEM VALUE VALUES (5, 2, '\x01f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be', 'application/vnd.oci.image.manifest.v1+json', 'application/vnd.oci.image.config.v1+json', 552, NULL, 1767225960000000, 0, NULL);
INSERT INTO manifests OVERRIDING SYSTEM VALUE VALUES (6, 3, '\x021540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1', 'application/vnd.oci.image.manifest.v1+json', 'application/vnd.oci.image.config.v1+json', 552, NULL, NULL, 0, NULL);
INSERT INTO manifests OVERRIDING SYSTEM VALUE VALUES (7, 4, '\x021540cfb1f34ae17c0220c2665427648840b06d0ae39fccc004b0f569c6c418e538e82c1d4c5668ffa1f7195639fc11d0955b1203d6c1f4fcbe1717a30a0130a1', 'application/vnd.oci.image.manifest.v1+json', 'application/vnd.oci.image.config.v1+json', 552, NULL, NULL, 0, NULL);
INSERT INTO manifests OVERRIDING SYSTEM VALUE VALUES (1, 1, '\x01f21f18d2447e923015ed4697891786c7103cc888556fb7cc987315a20d2d34be', 'application/vnd.oci.image.manifest.v1+json', 'application/vnd.oci.image.config.v1+json', 552, NULL, NULL, 2, 1767226800000000);
INSERT INTO organisation_grants VALUES (1, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 7, 1767227460000000);
INSERT INTO organisations OVERRIDING SYSTEM VALUE VALUES (1, 'math', '11111111111111111111111111111111', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 1767227460000000);
INSERT INTO repositories OVERRIDING SYSTEM VALUE VALUES (2, 'math/b', 1767225900000000, true, false, false, 'other', NULL, NULL, 1767225960000000, 0, DEFAULT, '');
INSERT INTO repositories OVERRIDING SYSTEM VALUE VALUES (3, NULL, 1767226020000000, false, false, false, 'other', NULL, NULL, 1767226020000000, 0, DEFAULT, '');
INSERT INTO repositories OVERRIDING SYSTEM VALUE VALUES (4, 'alone', 1767226140000000, true, false, false, 'other', NULL, NULL, 1767226140000000, 0, DEFAULT, '');
INSERT INTO repositories OVERRIDING SYSTEM VALUE VALUES (5, 'math/hidden', 1767226200000000, false, false, false, 'other', NULL, NULL, 1767226200000000, 0, DEFAULT, '');
INSERT INTO repositories OVERRIDING SYSTEM VALUE VALUES (1, 'math/a', 1767225660000000, true, false, true, 'linux', NULL, NULL, 1767227460000000, 7, DEFAULT, 'words');
INSERT INTO repository_grants VALUES (2, 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 1, 1767227460000000);
INSERT INTO rights VALUES (true, 3);
INSERT INTO rules OVERRIDING SYSTEM VALUE VALUES (1, 1, 1767228600000000, '{"limit":{"count":9},"filters":[],"only":[],"measure":"updated","keep_at_least":0,"removals_max":null}');
INSERT INTO shares VALUES (2, '22222222222222222222222222222222', 1767231540000000, 'for a while', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 1767227460000000, 1767227460000000);
INSERT INTO swr_format VALUES (true, 3);
INSERT INTO syncs OVERRIDING SYSTEM VALUE VALUES (1, 1, 'elsewhere', 'math', true, false, 1767228600000000, 1767228600000000);
INSERT INTO tags VALUES (1, '1.0', 1, 1767225660000000, 1767225660000000, 0, NULL);
INSERT INTO tags VALUES (1, '1.1', 2, 1767225720000000, 1767225720000000, 0, NULL);
INSERT INTO tags VALUES (1, 'all', 3, 1767225780000000, 1767225780000000, 0, NULL);
INSERT INTO tags VALUES (3, '1.0', 6, 1767226020000000, 1767226020000000, 0, NULL);
INSERT INTO tags VALUES (1, 'latest', 2, 1767225660000000, 1767225720000000, 5, 1767226800000000);
INSERT INTO temporary_keys VALUES ('TK1', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'AK1', '\x0707070707070707070707070707070707070707070707070707070707070707', 1767231540000000);
INSERT INTO token_keys VALUES ('KK1', '\x7365616c65642061732077656c6c', 1767227460000000);
INSERT INTO traces VALUES (1, '1af4ef7e-6fa3-4d85-b980-d9c9dbd6dfa1', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227400000000, NULL, NULL, 'createAccount', 201, '', '11111111111111111111111111111111', 'north', NULL, '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_account","value":{"id":"11111111111111111111111111111111","name":"north","project":"11111111111111111111111111111111","agency":false,"created":"2026-01-01T00:30:00Z"}}');
INSERT INTO traces VALUES (2, '2947e38f-a797-43e7-97fc-47b1d7e73dd8', '22222222222222222222222222222222', 'south', '22222222222222222222222222222222', 1767227400000000, NULL, NULL, 'createAccount', 201, '', '22222222222222222222222222222222', 'south', NULL, '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_account","value":{"id":"22222222222222222222222222222222","name":"south","project":"22222222222222222222222222222222","agency":false,"created":"2026-01-01T00:30:00Z"}}');
INSERT INTO traces VALUES (3, 'e06a5b99-6728-4cda-b04c-9cea30b111d7', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227400000000, NULL, NULL, 'createUser', 201, '', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', NULL, '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_user","value":{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","account":"11111111111111111111111111111111","name":"ada","role":"administrator","created":"2026-01-01T00:30:00Z"}}');
INSERT INTO traces VALUES (4, '866c0205-06c2-4b9f-81ce-851f6bc8f8aa', '22222222222222222222222222222222', 'south', '22222222222222222222222222222222', 1767227400000000, NULL, NULL, 'createUser', 201, '', 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 'eve', NULL, '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_user","value":{"id":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","account":"22222222222222222222222222222222","name":"eve","role":"administrator","created":"2026-01-01T00:30:00Z"}}');
INSERT INTO traces VALUES (5, '2431eda9-bdf5-459f-b658-8399f1178f2b', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227460000000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 'createAccessKey', 201, '', 'AK1', 'AK1', NULL, '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_access_key","value":{"id":"AK1","user":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","description":"a key","created":"2026-01-01T00:31:00Z"}}');
INSERT INTO traces VALUES (6, '21a4993f-ac24-40ed-be5a-4524e6d34374', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227460000000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 'createDockerConfig', 200, '', 'TK1', 'TK1', NULL, '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_temporary_key","value":{"id":"TK1","user":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","issued_with":"AK1","expires":"2026-01-01T01:39:00Z"}}');
INSERT INTO traces VALUES (7, 'eeb0ae66-573b-4f07-8e37-3a02f6fd81b0', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227460000000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 'createTokenKey', 201, '', 'KK1', 'KK1', NULL, '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_token_key","value":{"id":"KK1","created":"2026-01-01T00:31:00Z"}}');
INSERT INTO traces VALUES (8, '2e94cd4b-ae4f-4703-9af0-7eb66cc50db5', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227460000000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 'createUserNamespace', 201, '', 'math', 'math', 'math', '{"source":null,"request_id":null,"channel":"api"}', '{"change":"create_organisation","value":{"name":"math","account":"11111111111111111111111111111111","creator":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}');
INSERT INTO traces VALUES (9, '67b33b71-898a-458e-8304-0a4b8cecd27b', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227460000000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 'updateImageRepository', 201, '', 'math/a', 'math/a', 'math', '{"source":null,"request_id":null,"channel":"api"}', '{"change":"set_attributes","value":{"name":"math/a","attributes":{"visibility":"public","category":"linux","description":"words"}}}');
INSERT INTO traces VALUES (10, '2f880263-5379-4680-bdf8-c990433f3d52', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227460000000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 'createUserNamespaceAuth', 200, '', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'math', 'math', '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_grant","value":{"scope":{"organisation":"math"},"user":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","level":7,"created":"2026-01-01T00:31:00Z"}}');
INSERT INTO traces VALUES (11, '90677e9b-e47a-47b0-a9ba-055352ebea03', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227460000000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 'createUserRepositoryAuth', 201, '', 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 'math/b', 'math', '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_grant","value":{"scope":{"repository":"math/b"},"user":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","level":1,"created":"2026-01-01T00:31:00Z"}}');
INSERT INTO traces VALUES (12, 'efb1b57f-4f04-4c23-bd2c-cacafc1cfa56', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767227460000000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 'createImageRepositoryAccessDomain', 201, '', '22222222222222222222222222222222', 'math/b', 'math', '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_share","value":{"repository":"math/b","account":"22222222222222222222222222222222","deadline":{"at":"2026-01-01T01:39:00Z"},"description":"for a while","creator":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","creator_name":"ada","created":"2026-01-01T00:31:00Z","updated":"2026-01-01T00:31:00Z"}}');
INSERT INTO traces VALUES (13, '0c138cbd-8c69-4fa5-ab6b-634dea08563a', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767228600000000, NULL, NULL, 'createRetention', 201, '', 'math/a', 'math/a', 'math', '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_rule","value":{"repository":"math/a","rule":{"limit":{"count":9},"filters":[],"only":[],"measure":"updated","keep_at_least":0,"removals_max":null}}}');
INSERT INTO traces VALUES (14, '75d94762-f899-4fc2-8227-ce2440a2f0c6', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767228600000000, NULL, NULL, 'createImageSync', 200, '', 'math/a/elsewhere/math', 'math/a', 'math', '{"source":null,"request_id":null,"channel":"api"}', '{"change":"put_sync","value":{"id":0,"repository":"math/a","target":{"region":"elsewhere","organisation":"math"},"auto":true,"overwrite":false,"created":"2026-01-01T00:50:00Z","updated":"2026-01-01T00:50:00Z"}}');
INSERT INTO traces VALUES (15, 'fd14e378-8d73-46c0-829e-017615fd151f', '11111111111111111111111111111111', 'north', '11111111111111111111111111111111', 1767228600000000, NULL, NULL, 'createTrigger', 201, '', 'math/a/tell', 'tell', 'math', '{"source":null,"request_id":null,"channel":"api"}', '{"change":"create_trigger","value":{"repository":"math/a","name":"tell","rule":{"condition":"all","enabled":true},"target":{"webhook":{"url":"https://hooks.example"}},"creator":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","creator_name":"ada","created":"2026-01-01T00:50:00Z"}}');
INSERT INTO triggers OVERRIDING SYSTEM VALUE VALUES (1, 1, 'tell', true, 1767228600000000, 'https://hooks.example', '"all"', '{"webhook":{"url":"https://hooks.example"}}', NULL, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'ada', 1767228600000000);
INSERT INTO upload_sessions VALUES ('11111111111111111111111111111111', 1, 1767226860000000, 'a record');
INSERT INTO usage VALUES ('11111111111111111111111111111111', 0, 20454, 260);
INSERT INTO usage VALUES ('22222222222222222222222222222222', 0, 20454, 0);
INSERT INTO users VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '11111111111111111111111111111111', 'ada', 'administrator', '$argon2id$of-ada', 1767227400000000);
INSERT INTO users VALUES ('eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', '22222222222222222222222222222222', 'eve', 'administrator', '$argon2id$of-ada', 1767227400000000);
SELECT pg_catalog.setval('cleared_seq_seq', 1, false);
SELECT pg_catalog.setval('manifests_id_seq', 7, true);
SELECT pg_catalog.setval('organisations_id_seq', 1, true);
SELECT pg_catalog.setval('repositories_id_seq', 5, true);
SELECT pg_catalog.setval('rules_id_seq', 1, true);
SELECT pg_catalog.setval('sync_jobs_id_seq', 1, false);
SELECT pg_catalog.setval('syncs_id_seq', 1, true);
SELECT pg_catalog.setval('triggers_id_seq', 1, true);
ALTER TABLE ONLY access_keys
    ADD CONSTRAINT access_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts
    ADD CONSTRAINT accounts_name_key UNIQUE (name);
ALTER TABLE ONLY accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY blobs
    ADD CONSTRAINT blobs_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY cleared
    ADD CONSTRAINT cleared_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY cursors
    ADD CONSTRAINT cursors_pkey PRIMARY KEY (consumer);
ALTER TABLE ONLY deliveries
    ADD CONSTRAINT deliveries_id_key UNIQUE (id);
ALTER TABLE ONLY deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (trigger, event);
ALTER TABLE ONLY delivery_targets
    ADD CONSTRAINT delivery_targets_pkey PRIMARY KEY (target_key);
ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY garbage
    ADD CONSTRAINT garbage_pkey PRIMARY KEY (location);
ALTER TABLE ONLY kept
    ADD CONSTRAINT kept_pkey PRIMARY KEY (id);
ALTER TABLE ONLY leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);
ALTER TABLE ONLY links
    ADD CONSTRAINT links_pkey PRIMARY KEY (repository, digest);
ALTER TABLE ONLY log
    ADD CONSTRAINT log_pkey PRIMARY KEY (one);
ALTER TABLE ONLY manifest_contents
    ADD CONSTRAINT manifest_contents_pkey PRIMARY KEY (manifest);
ALTER TABLE ONLY manifest_references
    ADD CONSTRAINT manifest_references_pkey PRIMARY KEY (repository, digest, kind, manifest);
ALTER TABLE ONLY manifests
    ADD CONSTRAINT manifests_pkey PRIMARY KEY (id);
ALTER TABLE ONLY manifests
    ADD CONSTRAINT manifests_repository_digest_key UNIQUE (repository, digest);
ALTER TABLE ONLY organisation_grants
    ADD CONSTRAINT organisation_grants_pkey PRIMARY KEY (organisation, holder);
ALTER TABLE ONLY organisations
    ADD CONSTRAINT organisations_name_key UNIQUE (name);
ALTER TABLE ONLY organisations
    ADD CONSTRAINT organisations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY repositories
    ADD CONSTRAINT repositories_name_key UNIQUE (name);
ALTER TABLE ONLY repositories
    ADD CONSTRAINT repositories_pkey PRIMARY KEY (id);
ALTER TABLE ONLY repository_grants
    ADD CONSTRAINT repository_grants_pkey PRIMARY KEY (repository, holder);
ALTER TABLE ONLY rights
    ADD CONSTRAINT rights_pkey PRIMARY KEY (one);
ALTER TABLE ONLY rules
    ADD CONSTRAINT rules_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rules
    ADD CONSTRAINT rules_repository_key UNIQUE (repository);
ALTER TABLE ONLY shares
    ADD CONSTRAINT shares_pkey PRIMARY KEY (repository, account);
ALTER TABLE ONLY swr_format
    ADD CONSTRAINT swr_format_pkey PRIMARY KEY (one);
ALTER TABLE ONLY sync_jobs
    ADD CONSTRAINT sync_jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY syncs
    ADD CONSTRAINT syncs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY syncs
    ADD CONSTRAINT syncs_repository_region_organisation_key UNIQUE (repository, region, organisation);
ALTER TABLE ONLY tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (repository, name);
ALTER TABLE ONLY temporary_keys
    ADD CONSTRAINT temporary_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY token_keys
    ADD CONSTRAINT token_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY trace_cursors
    ADD CONSTRAINT trace_cursors_pkey PRIMARY KEY (consumer);
ALTER TABLE ONLY traces
    ADD CONSTRAINT traces_id_key UNIQUE (id);
ALTER TABLE ONLY traces
    ADD CONSTRAINT traces_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY triggers
    ADD CONSTRAINT triggers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY triggers
    ADD CONSTRAINT triggers_repository_name_key UNIQUE (repository, name);
ALTER TABLE ONLY upload_sessions
    ADD CONSTRAINT upload_sessions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY usage
    ADD CONSTRAINT usage_pkey PRIMARY KEY (account, kind, day);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_account_name_key UNIQUE (account, name);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX access_keys_of_user ON access_keys USING btree (holder, created, id);
CREATE INDEX blobs_unlinked ON blobs USING btree (made) WHERE unlinked;
CREATE INDEX cleared_by_time ON cleared USING btree (at, seq);
CREATE INDEX cleared_in_repository ON cleared USING btree (repository, seq);
CREATE INDEX deliveries_claimed ON deliveries USING btree (target_key, claimed_until) WHERE (claimed_until IS NOT NULL);
CREATE INDEX deliveries_settled ON deliveries USING btree (tried, event, trigger) WHERE (state > 0);
CREATE INDEX deliveries_waiting ON deliveries USING btree (target_key, event, trigger) WHERE ((state = 0) AND enabled);
CREATE INDEX delivery_targets_ready ON delivery_targets USING btree (ready, target_key);
CREATE INDEX events_by_time ON events USING btree (at);
CREATE INDEX garbage_spent ON garbage USING btree (spent_at) WHERE (spent_at IS NOT NULL);
CREATE INDEX garbage_waiting ON garbage USING btree (location, listed_at) WHERE (spent_at IS NULL);
CREATE INDEX kept_made ON kept USING btree (made);
CREATE INDEX links_of_blob ON links USING btree (digest);
CREATE INDEX links_unnamed ON links USING btree (renewed) WHERE (NOT named);
CREATE INDEX manifests_by_subject ON manifests USING btree (repository, subject, digest) WHERE (subject IS NOT NULL);
CREATE INDEX manifests_unused ON manifests USING btree (unused_since) WHERE (unused_since IS NOT NULL);
CREATE INDEX organisation_grants_of_user ON organisation_grants USING btree (holder, organisation);
CREATE INDEX organisations_by_creator ON organisations USING btree (creator);
CREATE INDEX organisations_of_account ON organisations USING btree (account, name);
CREATE INDEX references_of_manifest ON manifest_references USING btree (manifest);
CREATE INDEX repositories_listed ON repositories USING btree (name) WHERE listed;
CREATE INDEX repositories_public ON repositories USING btree (name) WHERE (listed AND public);
CREATE INDEX repositories_removed ON repositories USING btree (id) WHERE (name IS NULL);
CREATE INDEX repositories_vacant ON repositories USING btree (made) WHERE vacant;
CREATE INDEX repository_grants_of_user ON repository_grants USING btree (holder, repository);
CREATE INDEX rules_by_due ON rules USING btree (due, id);
CREATE INDEX shares_with_account ON shares USING btree (account, repository);
CREATE INDEX sync_jobs_by_time ON sync_jobs USING btree (updated, id);
CREATE INDEX sync_jobs_of_repository ON sync_jobs USING btree (repository, id);
CREATE INDEX syncs_of_repository ON syncs USING btree (repository, id);
CREATE INDEX tags_of_manifest ON tags USING btree (manifest, name);
CREATE INDEX temporary_keys_by_end ON temporary_keys USING btree (expires);
CREATE INDEX temporary_keys_issued ON temporary_keys USING btree (issued_with) WHERE (issued_with IS NOT NULL);
CREATE INDEX temporary_keys_of_user ON temporary_keys USING btree (holder);
CREATE INDEX traces_by_time ON traces USING btree (at);
CREATE INDEX traces_of_account ON traces USING btree (account, seq);
CREATE INDEX triggers_removed ON triggers USING btree (id) WHERE (repository IS NULL);
CREATE INDEX upload_sessions_touched ON upload_sessions USING btree (touched, id);
CREATE INDEX usage_by_day ON usage USING btree (day);
CREATE INDEX users_operators ON users USING btree (id) WHERE (role = 'operator'::text);
ALTER TABLE ONLY access_keys
    ADD CONSTRAINT access_keys_holder_fkey FOREIGN KEY (holder) REFERENCES users(id);
ALTER TABLE ONLY deliveries
    ADD CONSTRAINT deliveries_trigger_fkey FOREIGN KEY (trigger) REFERENCES triggers(id);
ALTER TABLE ONLY links
    ADD CONSTRAINT links_digest_fkey FOREIGN KEY (digest) REFERENCES blobs(digest);
ALTER TABLE ONLY links
    ADD CONSTRAINT links_repository_fkey FOREIGN KEY (repository) REFERENCES repositories(id);
ALTER TABLE ONLY manifest_contents
    ADD CONSTRAINT manifest_contents_manifest_fkey FOREIGN KEY (manifest) REFERENCES manifests(id);
ALTER TABLE ONLY manifest_references
    ADD CONSTRAINT manifest_references_manifest_fkey FOREIGN KEY (manifest) REFERENCES manifests(id);
ALTER TABLE ONLY manifests
    ADD CONSTRAINT manifests_repository_fkey FOREIGN KEY (repository) REFERENCES repositories(id);
ALTER TABLE ONLY organisation_grants
    ADD CONSTRAINT organisation_grants_holder_fkey FOREIGN KEY (holder) REFERENCES users(id);
ALTER TABLE ONLY organisation_grants
    ADD CONSTRAINT organisation_grants_organisation_fkey FOREIGN KEY (organisation) REFERENCES organisations(id);
ALTER TABLE ONLY organisations
    ADD CONSTRAINT organisations_account_fkey FOREIGN KEY (account) REFERENCES accounts(id);
ALTER TABLE ONLY repository_grants
    ADD CONSTRAINT repository_grants_holder_fkey FOREIGN KEY (holder) REFERENCES users(id);
ALTER TABLE ONLY repository_grants
    ADD CONSTRAINT repository_grants_repository_fkey FOREIGN KEY (repository) REFERENCES repositories(id);
ALTER TABLE ONLY rules
    ADD CONSTRAINT rules_repository_fkey FOREIGN KEY (repository) REFERENCES repositories(id);
ALTER TABLE ONLY shares
    ADD CONSTRAINT shares_account_fkey FOREIGN KEY (account) REFERENCES accounts(id);
ALTER TABLE ONLY shares
    ADD CONSTRAINT shares_repository_fkey FOREIGN KEY (repository) REFERENCES repositories(id);
ALTER TABLE ONLY syncs
    ADD CONSTRAINT syncs_repository_fkey FOREIGN KEY (repository) REFERENCES repositories(id);
ALTER TABLE ONLY tags
    ADD CONSTRAINT tags_manifest_fkey FOREIGN KEY (manifest) REFERENCES manifests(id);
ALTER TABLE ONLY tags
    ADD CONSTRAINT tags_repository_fkey FOREIGN KEY (repository) REFERENCES repositories(id);
ALTER TABLE ONLY temporary_keys
    ADD CONSTRAINT temporary_keys_holder_fkey FOREIGN KEY (holder) REFERENCES users(id);
ALTER TABLE ONLY temporary_keys
    ADD CONSTRAINT temporary_keys_issued_with_fkey FOREIGN KEY (issued_with) REFERENCES access_keys(id);
ALTER TABLE ONLY triggers
    ADD CONSTRAINT triggers_repository_fkey FOREIGN KEY (repository) REFERENCES repositories(id);
ALTER TABLE ONLY usage
    ADD CONSTRAINT usage_account_fkey FOREIGN KEY (account) REFERENCES accounts(id);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_account_fkey FOREIGN KEY (account) REFERENCES accounts(id);
