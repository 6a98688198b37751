//! From one machine to several: a registry in SQLite, and its bytes, copied into an empty database and another store.
//!
//! Bytes first, each by itself: where they have come to is noted in a table of its own, `moving`, so that a copy that
//! was broken off goes on where it stopped. Then all facts in one transaction, which drops that table again. As long as
//! it is there, the database is no registry's, and is not opened as one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::join;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tokio::sync::mpsc;

use swr_core::RepositoryName;
use swr_core::caller::Caller;
use swr_core::commit::StoredBlob;
use swr_core::digest::Digest;
use swr_core::ports::{AppendError, BlobStore, FinishError, StoreError, StoreErrorKind, UploadStore};
use swr_core::upload::{Upload, UploadId};

use super::columns::{Sql, escaped};
use super::connections::{Failure, Locks, Transaction};
use super::event_log::NewEntries;
use super::{PostgresOptions, PostgresStore, refused};
use crate::sqlite::{Source, digest_in};
use crate::upload_sessions::UploadSessions;

/// A copy of a registry, on its way from an SQLite database into a PostgreSQL one.
///
/// ```no_run
/// # async fn example(
/// #     files: swr_storage::FilesystemBlobs,
/// #     bucket: impl Fn(std::sync::Arc<dyn swr_storage::UploadSessions>) -> swr_storage::BucketBlobs,
/// # ) -> Result<(), swr_core::ports::StoreError> {
/// use chrono::Utc;
/// use swr_storage::postgres::{Move, PostgresOptions};
///
/// let to = PostgresOptions::new("postgres://swr@db.example/registry");
/// let moving = Move::begin("registry/registry.db", false, to).await?;
/// let bucket = bucket(moving.sessions());
/// let moved = moving.run(&files, &bucket, Utc::now(), &mut |blob| println!("{}", blob.digest)).await?;
/// println!("{} repositories", moved.repositories);
/// # Ok(())
/// # }
/// ```
pub struct Move {
    source: Source,
    store: Arc<PostgresStore>,
}

impl fmt::Debug for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Move").field("source", &self.source).field("store", &self.store).finish()
    }
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// Repositories, of those included that nothing but an upload was in yet.
    pub repositories: u64,
    /// Their manifests.
    pub manifests: u64,
    /// Their tags.
    pub tags: u64,
    /// The blobs that they hold.
    pub blobs: u64,
    /// The bytes of those.
    pub bytes: u64,
    /// Entries of the log of events.
    pub events: u64,
    /// Links that stay behind, because their content is known to be damaged: whoever pushes it again mends it.
    pub damaged_links: u64,
}

const BEGIN: &str = "move.begin";
const BLOB: &str = "move.blob";
const FACTS: &str = "move.facts";

/// How long a statement may take that concerns a whole table.
pub(super) const PATIENCE: Duration = Duration::from_secs(3600);

/// How many blobs are asked for at once.
const BLOBS: u32 = 256;

/// How much of a table is on its way at once, in bytes, a row more or less.
const CHUNK_BYTES: usize = 1 << 20;

const MOVING: &str = "
    CREATE TABLE IF NOT EXISTS moving (
        digest   BYTEA PRIMARY KEY,
        location TEXT COLLATE \"C\" NOT NULL
    )";

/// Whether there is anything, apart from what a copy that was broken off has left.
const USED: &str = "
    SELECT 1 FROM log
    WHERE events > 0 OR traces > 0 OR EXISTS (SELECT FROM repositories) OR EXISTS (SELECT FROM accounts)";

const IS_MOVED: &str = "SELECT 1 FROM moving WHERE digest = $1";

const NOTE_MOVED: &str =
    "INSERT INTO moving (digest, location) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";

impl Move {
    /// Opens the SQLite database at `from` to copy it to the PostgreSQL one of `to`, which holds nothing, or what an
    /// earlier copy has left that was broken off.
    ///
    /// Where a store has the first one open, it is copied only if `beside_a_store` says that nothing is written there:
    /// what is changed while it is copied may be in the copy or not.
    pub async fn begin(
        from: impl AsRef<Path>,
        beside_a_store: bool,
        to: PostgresOptions,
    ) -> Result<Self, StoreError> {
        let source = Source::open(from.as_ref(), beside_a_store).await?;
        let to = PostgresOptions { statement_timeout: to.statement_timeout.max(PATIENCE), ..to };
        let store = PostgresStore::connect(to).await?;
        let begun = async {
            let transaction = store.pool.begin(&Locks::alone(&store.pool)).await?;
            if transaction.exists(USED, &[]).await? {
                return Ok(false);
            }
            transaction.batch(MOVING).await?;
            transaction.end(&NewEntries::default()).await?;
            Ok(true)
        };
        match begun.await.map_err(|failure: Failure| failure.of(BEGIN))? {
            true => Ok(Self { source, store: Arc::new(store) }),
            false => Err(refused("the database is a registry's already; a copy needs an empty one")),
        }
    }

    /// Where a store of bytes that is copied to remembers its uploads.
    pub fn sessions(&self) -> Arc<dyn UploadSessions> {
        Arc::clone(&self.store) as _
    }

    /// Copies what `from` has to `to`, and then the facts; `now` is when. `follow` is told of each blob that has come.
    /// Whatever comes is read to the end and has to have its digest.
    ///
    /// An error leaves what was copied so far, and [`begin`](Self::begin) goes on from there.
    pub async fn run(
        &self,
        from: &dyn BlobStore,
        to: &(impl BlobStore + UploadStore),
        now: DateTime<Utc>,
        follow: &mut (dyn FnMut(&StoredBlob) + Send),
    ) -> Result<Moved, StoreError> {
        loop {
            let mut after = None;
            loop {
                let blobs = self.source.blobs(after, BLOBS).await?;
                let Some(last) = blobs.last() else { break };
                after = Some(last.digest);
                for blob in &blobs {
                    if !self.is_moved(&blob.digest).await? && self.copy(blob, from, to, now).await? {
                        follow(blob);
                    }
                }
            }
            // Something may have come where the source is in use.
            if let Some(moved) = self.copy_facts(now).await? {
                return Ok(moved);
            }
        }
    }

    async fn is_moved(&self, digest: &Digest) -> Result<bool, StoreError> {
        let asked = async { self.store.pool.session().await?.exists(IS_MOVED, &[&Sql(digest)]).await };
        asked.await.map_err(|failure| failure.of(BLOB))
    }

    /// Copies a blob. Says whether it came; where it is gone by now, the facts do not name it any more.
    async fn copy(
        &self,
        blob: &StoredBlob,
        from: &dyn BlobStore,
        to: &(impl BlobStore + UploadStore),
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let failed = |why: String| StoreError::new(StoreErrorKind::Corrupt, BLOB, why);
        let Some(body) = from.read(&blob.location, 0..blob.size).await? else {
            return match self.source.names(blob).await? {
                true => Err(failed(format!("blob {} is not at {}", blob.digest, blob.location))),
                false => Ok(false),
            };
        };
        let repository = RepositoryName::parse("swr/move").map_err(|error| failed(error.to_string()))?;
        let upload = Upload {
            id: UploadId::random(),
            repository,
            owner: Caller::Anonymous,
            algorithm: blob.digest.algorithm(),
            begun: now,
            offset: 0,
        };
        to.begin(&upload).await?;
        let appended = to.append(&upload.id, 0, body, now).await;
        let finished = match appended {
            Ok(length) if length == blob.size => to.finish(&upload.id, &blob.digest).await,
            Ok(length) => {
                return Err(failed(format!("blob {} has {length} bytes, not {}", blob.digest, blob.size)));
            }
            Err(AppendError::Store(error)) => return Err(error),
            Err(other) => return Err(StoreError::new(StoreErrorKind::Unavailable, BLOB, other)),
        };
        let stored = match finished {
            Ok(stored) => stored,
            Err(FinishError::Store(error)) => return Err(error),
            Err(FinishError::DigestMismatch { .. }) => {
                return Err(failed(format!("what is stored as blob {} is something else", blob.digest)));
            }
            Err(other) => return Err(StoreError::new(StoreErrorKind::Unavailable, BLOB, other)),
        };
        let noted = async {
            let session = self.store.pool.session().await?;
            session.execute(NOTE_MOVED, &[&Sql(&blob.digest), &Sql(&stored.location)]).await
        };
        if noted.await.map_err(|failure| failure.of(BLOB))? == 0 {
            // Another copy was faster.
            to.delete(&stored.location).await?;
        }
        to.forget(&upload.id).await?;
        Ok(true)
    }

    /// Copies all facts, as of one instant; `None` where they name content that has not come yet.
    async fn copy_facts(&self, now: DateTime<Utc>) -> Result<Option<Moved>, StoreError> {
        let (sender, receiver) = mpsc::channel(2);
        let reading = self.source.read(FACTS, move |connection| read_facts(connection, &sender));
        let writing = self.write_facts(receiver, now);
        let (read, written) = join(reading, writing).await;
        // What stops the reader stops the writer too, which cannot say why.
        read?;
        written.map_err(|failure| failure.of(FACTS))
    }

    async fn write_facts(
        &self,
        mut facts: mpsc::Receiver<Facts>,
        now: DateTime<Utc>,
    ) -> Result<Option<Moved>, Failure> {
        let transaction = self.store.pool.begin(&Locks::alone(&self.store.pool)).await?;
        transaction.batch(ARRIVING).await?;
        let mut moved = Moved::default();
        while let Some(next) = facts.recv().await {
            match next {
                Facts::Table(table, rows) => {
                    let statement = format!("COPY {} ({}) FROM STDIN", table.to, table.columns);
                    let copied = transaction.copy(&statement, rows).await?;
                    match table.to {
                        "repositories" => moved.repositories = copied,
                        "manifests" => moved.manifests = copied,
                        "tags" => moved.tags = copied,
                        "events" => moved.events = copied,
                        _ => {}
                    }
                }
                Facts::Counts(counts) => return end(transaction, counts, moved, now).await,
            }
        }
        // The reader has failed.
        Err(Failure::Silent)
    }
}

/// What is put together before it is kept.
const ARRIVING: &str = "
    CREATE TEMPORARY TABLE arriving (digest BYTEA PRIMARY KEY, size BIGINT NOT NULL, made BIGINT NOT NULL)
        ON COMMIT DROP;
    CREATE TEMPORARY TABLE arriving_links (
        repository BIGINT NOT NULL, digest BYTEA NOT NULL, renewed BIGINT NOT NULL, named BOOLEAN NOT NULL)
        ON COMMIT DROP";

const IS_UNMOVED: &str = "
    SELECT 1 FROM arriving
    WHERE NOT EXISTS (SELECT 1 FROM moving WHERE moving.digest = arriving.digest) LIMIT 1";

/// Content by where it has come to. What came and is not named any more goes.
const SETTLE: &str = "
    INSERT INTO blobs (digest, size, location, made)
    SELECT digest, size, location, made FROM arriving JOIN moving USING (digest);
    INSERT INTO links SELECT * FROM arriving_links;";

const LEAVE: &str = "
    INSERT INTO garbage (location, listed_at)
    SELECT location, $1::bigint FROM moving
    WHERE NOT EXISTS (SELECT 1 FROM arriving WHERE arriving.digest = moving.digest)";

const BYTES: &str = "SELECT count(*), coalesce(sum(size), 0)::bigint FROM arriving";

/// Sees that everything has come, and keeps it.
async fn end(
    transaction: Transaction<'_>,
    counts: Counts,
    mut moved: Moved,
    now: DateTime<Utc>,
) -> Result<Option<Moved>, Failure> {
    if transaction.exists(IS_UNMOVED, &[]).await? {
        return Ok(None);
    }
    transaction.batch(SETTLE).await?;
    transaction.execute(LEAVE, &[&now.timestamp_micros()]).await?;
    if let Some(row) = transaction.query_opt(BYTES, &[]).await? {
        moved.blobs = row.try_get::<_, i64>(0)?.unsigned_abs();
        moved.bytes = row.try_get::<_, i64>(1)?.unsigned_abs();
    }
    moved.damaged_links = counts.damaged_links;
    for (table, expected) in counts.rows {
        let counted = transaction.query_opt(&format!("SELECT count(*) FROM {table}"), &[]).await?;
        let counted: i64 = counted.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
        if counted != expected {
            return Err(Failure::Damaged(super::columns::Damaged("row for each that was copied")));
        }
    }
    for (table, column, last) in counts.ids {
        let statement = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), greatest({last}, 1), {last} > 0)"
        );
        transaction.query(&statement, &[]).await?;
    }
    let [events, traces, rights] = [counts.events, counts.traces, counts.rights];
    transaction
        .batch(&format!(
            "UPDATE log SET events = {events}, traces = {traces};
             UPDATE rights SET version = {rights};
             DROP TABLE moving"
        ))
        .await?;
    transaction.end(&NewEntries::default()).await?;
    Ok(Some(moved))
}

// What is read.

/// What comes from the source, in order.
enum Facts {
    /// The rows of a table, as `COPY` reads them.
    Table(&'static Table, mpsc::Receiver<Bytes>),
    /// The end.
    Counts(Counts),
}

#[derive(Default)]
struct Counts {
    rows: Vec<(&'static str, i64)>,
    /// The last id that was given of each table that gives them.
    ids: Vec<(&'static str, &'static str, i64)>,
    events: i64,
    traces: i64,
    rights: i64,
    damaged_links: u64,
}

/// A table, and what its rows are read from.
pub(super) struct Table {
    pub(super) to: &'static str,
    pub(super) columns: &'static str,
    pub(super) from: &'static str,
    /// The expressions, where they are not the columns.
    pub(super) of: &'static str,
}

pub(super) const fn table(to: &'static str, columns: &'static str) -> Table {
    Table { to, columns, from: to, of: columns }
}

/// What refers comes after what it refers to. What only the source knows stays there: its garbage, its leases, the
/// uploads that are under way, and the sessions of people, who sign in again.
pub(super) const TABLES: &[Table] = &[
    Table {
        of: "id, name, made, listed, vacant, visibility, category, creator, creator_name, updated, pulls, description",
        ..table(
            "repositories",
            "id, name, made, listed, vacant, public, category, creator, creator_name, updated, pulls, description",
        )
    },
    table(
        "manifests",
        "id, repository, digest, media_type, artifact_type, size, subject, unused_since, pulls, pulled",
    ),
    table("manifest_contents", "manifest, annotations, bytes"),
    table("manifest_references", "repository, digest, kind, manifest, size"),
    table("tags", "repository, name, manifest, created, updated, pulls, pulled"),
    Table { from: "blobs WHERE quarantined = 0 AND unlinked = 0", ..table("arriving", "digest, size, made") },
    Table {
        from: "links WHERE digest IN (SELECT digest FROM blobs WHERE quarantined = 0)",
        ..table("arriving_links", "repository, digest, renewed, named")
    },
    table("events", "seq, repository, at, actor, origin, event"),
    table("cursors", "consumer, seq"),
    table("accounts", "id, name, project, created, agency"),
    table("users", "id, account, name, role, password, created"),
    Table {
        of: "id, user, description, secret, created",
        ..table("access_keys", "id, holder, description, secret, created")
    },
    Table {
        of: "id, user, issued_with, secret, expires",
        ..table("temporary_keys", "id, holder, issued_with, secret, expires")
    },
    table("token_keys", "id, secret, created"),
    table("organisations", "id, name, account, creator, creator_name, created"),
    Table {
        of: "organisation, user, level, created",
        ..table("organisation_grants", "organisation, holder, level, created")
    },
    Table {
        of: "repository, user, level, created",
        ..table("repository_grants", "repository, holder, level, created")
    },
    table("shares", "repository, account, deadline, description, creator, creator_name, created, updated"),
    Table {
        of: "seq, id, account, account_name, project, at, user, user_name, operation, code, reason, resource_id, \
             resource_name, organisation, origin, change",
        ..table(
            "traces",
            "seq, id, account, account_name, project, at, actor, actor_name, operation, code, reason, resource_id, \
             resource_name, organisation, origin, change",
        )
    },
    table("trace_cursors", "consumer, seq"),
    table("syncs", "id, repository, region, organisation, auto, overwrite, created, updated"),
    table(
        "sync_jobs",
        "id, repository, tag, region, organisation, overwrite, status, operator, operator_name, created, updated",
    ),
    table("rules", "id, repository, due, rule"),
    table("cleared", "seq, repository, rule_id, rule, tag, at"),
    table(
        "triggers",
        "id, repository, name, enabled, since, target_key, condition, target, secret, creator, creator_name, created",
    ),
    table(
        "deliveries",
        "trigger, event, id, target_key, enabled, state, due, claims, claimed_until, attempts, tried, tag, digest, \
         at, detail",
    ),
    table("delivery_targets", "target_key, ready"),
    table("usage", "account, kind, day, bytes"),
];

/// The tables that give ids, and the columns of those.
pub(super) const GIVEN: &[(&str, &str)] = &[
    ("repositories", "id"),
    ("manifests", "id"),
    ("organisations", "id"),
    ("syncs", "id"),
    ("sync_jobs", "id"),
    ("rules", "id"),
    ("cleared", "seq"),
    ("triggers", "id"),
];

fn failure(error: rusqlite::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Other, FACTS, error)
}

/// Reads every table as of one instant, and what has to be so in the end.
fn read_facts(connection: &Connection, facts: &mpsc::Sender<Facts>) -> Result<(), StoreError> {
    let number = |statement: &str| -> Result<i64, StoreError> {
        connection.query_row(statement, [], |row| row.get(0)).map_err(failure)
    };
    let mut counts = Counts::default();
    for table in TABLES {
        let (sender, rows) = mpsc::channel(4);
        if facts.blocking_send(Facts::Table(table, rows)).is_err() {
            return Ok(());
        }
        read_table(connection, table, &sender)?;
        counts.rows.push((table.to, number(&format!("SELECT count(*) FROM {}", table.from))?));
    }
    for (table, column) in GIVEN {
        let last = match *table {
            "manifests" => number("SELECT ifnull(max(id), 0) FROM manifests")?,
            _ => number(&given(table))?,
        };
        counts.ids.push((table, column, last));
    }
    counts.events = number(&given("events"))?;
    counts.traces = number(&given("traces"))?;
    counts.rights = number("SELECT version FROM rights")?;
    counts.damaged_links = number(
        "SELECT count(*) FROM links WHERE digest IN (SELECT digest FROM blobs WHERE quarantined = 1)",
    )?
    .unsigned_abs();
    // Where nobody listens any more, that is for the writer to tell.
    let _: Result<(), _> = facts.blocking_send(Facts::Counts(counts));
    Ok(())
}

/// Asks for the last id that was given, also where nothing has it any more.
fn given(table: &str) -> String {
    format!("SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0)")
}

fn read_table(
    connection: &Connection,
    table: &Table,
    chunks: &mpsc::Sender<Bytes>,
) -> Result<(), StoreError> {
    // Manifests are what their digests say, as blobs are.
    let checked = if table.to == "manifest_contents" {
        ", (SELECT digest FROM manifests WHERE id = manifest)"
    } else {
        ""
    };
    let statement = format!("SELECT {}{checked} FROM {}", table.of, table.from);
    let mut statement = connection.prepare(&statement).map_err(failure)?;
    let columns = table.columns.split(',').count();
    let mut rows = statement.query([]).map_err(failure)?;
    let mut chunk = Vec::new();
    while let Some(row) = rows.next().map_err(failure)? {
        for column in 0..columns {
            if column > 0 {
                chunk.push(b'\t');
            }
            put(row.get_ref(column).map_err(failure)?, &mut chunk)?;
        }
        chunk.push(b'\n');
        if !checked.is_empty() {
            let column = |index| row.get_ref(index).map_err(failure);
            let digest = digest_in(column(columns)?).map_err(|error| failure(error.into()))?;
            let bytes = column(columns - 1)?.as_blob().map_err(|error| failure(error.into()))?;
            if digest.algorithm().digest(bytes) != digest {
                let why = format!("what is stored as manifest {digest} is something else");
                return Err(StoreError::new(StoreErrorKind::Corrupt, FACTS, why));
            }
        }
        if chunk.len() >= CHUNK_BYTES && chunks.blocking_send(std::mem::take(&mut chunk).into()).is_err() {
            return Ok(());
        }
    }
    if !chunk.is_empty() {
        let _: Result<(), _> = chunks.blocking_send(chunk.into());
    }
    Ok(())
}

/// A value as `COPY` reads it.
fn put(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), StoreError> {
    match value {
        ValueRef::Null => out.extend_from_slice(b"\\N"),
        ValueRef::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text)
                .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, FACTS, error))?;
            for byte in escaped(text).bytes() {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    b'\t' => out.extend_from_slice(b"\\t"),
                    byte => out.push(byte),
                }
            }
        }
        ValueRef::Blob(bytes) => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\\\x");
            let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            out.extend(digits.map(|digit| DIGITS[usize::from(digit)]));
        }
        ValueRef::Real(_) => {
            return Err(StoreError::new(StoreErrorKind::Corrupt, FACTS, "a number is no whole one"));
        }
    }
    Ok(())
}
