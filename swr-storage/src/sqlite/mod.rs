//! Names, manifests and their history in SQLite: one file, one process, every answer on the disk.
//!
//! [`SqliteStore`] keeps the facts of a registry that runs on one machine. Commits are written by one thread,
//! as many as wait in one transaction and one flush; questions are read beside it, undisturbed, from the
//! write-ahead log (WAL mode, `synchronous = FULL`).

mod collection;
mod columns;
mod connections;
#[cfg(feature = "control")]
mod deliveries;
mod event_log;
mod leases;
mod manifest_commit;
mod manifest_reads;
#[cfg(feature = "control")]
mod metadata;
#[cfg(feature = "control")]
mod metadata_commit;
#[cfg(feature = "control")]
mod metadata_reads;
mod recent;
#[cfg(feature = "control")]
mod repository_lists;
mod reserve;
#[cfg(feature = "control")]
mod rules;
#[cfg(feature = "control")]
mod sessions;
#[cfg(all(feature = "filesystem", unix))]
mod snapshot;
#[cfg(all(feature = "control", feature = "postgres"))]
mod source;
#[cfg(feature = "control")]
mod syncs;
#[cfg(feature = "control")]
mod traces;
#[cfg(feature = "control")]
mod triggers;
mod upload_sessions;
#[cfg(feature = "control")]
mod usage;

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use swr_core::commit::{BlobLocation, Commit, CommitError, Receipt, RepositoryId, StoredBlob};
use swr_core::descriptor::Descriptor;
use swr_core::digest::Digest;
use swr_core::event::{EventSeq, RecordedEvent};
use swr_core::manifest::StoredManifest;
use swr_core::media_type::MediaType;
use swr_core::planted::is_planted;
use swr_core::ports::{
    Backlog, BlobRecord, ContentState, Fence, KeptManifest, Lease, LinkedBlob, ManifestStore, Page,
    PullCount, Released, StoreError, StoreErrorKind, TagRecord, Unused, WithBytes,
};
use swr_core::reference::Reference;
use swr_core::{RepositoryName, Tag};

#[cfg(all(feature = "control", feature = "postgres"))]
pub(crate) use source::{Source, digest_in};

use connections::{Pool, Readers, Shared, Wal, Writer, failure, on_a_thread};
use recent::Recent;
use reserve::{Reserve, fill, hold};

#[cfg(all(feature = "filesystem", unix))]
pub(crate) use snapshot::Snapshot;

/// A [`ManifestStore`] in an SQLite database.
///
/// The process that opens a database owns it: a file beside it (`…-lock`) is held for as long, and whoever
/// else opens it as a store is refused. Programs that only read it, such as a backup, may do so meanwhile.
///
/// A write is on the disk when it is answered. When the disk is full, what adds is refused as
/// [`StoreErrorKind::Full`], while questions, removals and collection go on in the room that was kept for
/// them: the log's, and that of a file of zeros beside the database (`…-reserve`).
/// Where the disk fails to keep what it was given, the store refuses every further write until it is opened
/// again.
///
/// What another program changes in the database, which it should not, may not be seen until the store writes next.
///
/// The last to drop the store awaits the writes that wait, on the thread that it runs on.
#[derive(Debug)]
pub struct SqliteStore {
    // In this order: the last writes are done before the last connection is closed.
    writer: Writer,
    readers: Arc<Readers>,
    recent: Recent,
}

/// How a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How long to wait for a program that writes to the database although it should not.
    pub busy_timeout: Duration,
    /// Connections for questions of a few microseconds; as many as there are cores unless told otherwise.
    pub readers: NonZeroUsize,
    /// How many writes may wait; one more is refused as [`StoreErrorKind::Unavailable`].
    pub writes_waiting_max: NonZeroUsize,
    /// The length that the write-ahead log has from the beginning, in bytes.
    pub wal_bytes: u64,
    /// The room that is kept for removals beside it, in bytes.
    pub reserve_bytes: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            readers: available_parallelism().unwrap_or(NonZeroUsize::MIN),
            writes_waiting_max: NonZeroUsize::MIN.saturating_add(1023),
            wal_bytes: 8 << 20,
            reserve_bytes: 16 << 20,
        }
    }
}

/// What a store looks like from outside: for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteGauges {
    /// Writes that wait.
    pub writes_waiting: usize,
    /// Writes that were kept since the store was opened.
    pub commits: u64,
    /// The transactions that they took, each with one flush to the disk.
    pub transactions: u64,
    /// How much of the write-ahead log is in use, in bytes.
    pub wal_bytes: u64,
    /// Whether the disk was full when room was wanted last.
    pub is_full: bool,
}

impl SqliteStore {
    /// Opens the database at `path`, whose folder exists, and makes it when there is none.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, SqliteOptions::default()).await
    }

    /// Opens the database at `path` as `options` say.
    pub async fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        on_a_thread(OPEN, move || open_file(path, &options)).await
    }

    /// A store that ends with the process, and with the value: for tests and for registries of an afternoon.
    /// Questions wait for the writes of the moment.
    pub async fn in_memory() -> Result<Self, StoreError> {
        on_a_thread(OPEN, || {
            let mut connection = Connection::open_in_memory().map_err(|error| failure(OPEN, error))?;
            prepare(&connection).map_err(|error| failure(OPEN, error))?;
            migrate(&mut connection)?;
            let connection = shared(connection);
            let alone = || Pool::new(Arc::clone(&connection), Vec::new());
            let readers = Arc::new(Readers::new(alone(), alone(), None));
            let queue_max = SqliteOptions::default().writes_waiting_max.get();
            let writer = Writer::start(connection, Reserve::none(), None, queue_max)
                .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, OPEN, error))?;
            Ok(Self { writer, readers, recent: Recent::new() })
        })
        .await
    }

    /// What goes on in the store.
    pub fn gauges(&self) -> SqliteGauges {
        let state = self.writer.state();
        SqliteGauges {
            writes_waiting: state.queued.load(Ordering::Relaxed),
            commits: state.commits.load(Ordering::Relaxed),
            transactions: state.transactions.load(Ordering::Relaxed),
            wal_bytes: state.wal_bytes.load(Ordering::Relaxed),
            is_full: state.is_short.load(Ordering::Relaxed),
        }
    }

    /// Reads the whole database and says what is wrong with it: nothing, if it is sound. Takes its time.
    pub async fn check(&self) -> Result<Vec<String>, StoreError> {
        let check = |connection: &Connection| match findings(connection)? {
            sound if sound.is_empty() => dangling(connection),
            findings => Ok(findings),
        };
        self.readers.scan("sqlite.check", check).await
    }
}

/// What is wrong with a database.
fn findings(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = connection.prepare("PRAGMA integrity_check")?;
    let findings: Vec<String> = findings.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(findings.into_iter().filter(|finding| finding != "ok").collect())
}

/// Which rows of a sound database name others that are not there.
fn dangling(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut dangling = connection.prepare(
        "SELECT count(*) || ' of ' || \"table\" || ' name what is not in ' || parent
         FROM pragma_foreign_key_check GROUP BY \"table\", parent",
    )?;
    dangling.query_map([], |row| row.get(0))?.collect()
}

const OPEN: &str = "sqlite.open";

/// Says of a database that it is ours: `SWR1`.
const APPLICATION_ID: i32 = 0x5357_5231;

/// From one format to the next. A step that was published does not change.
const FORMAT_STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("metadata.sql"),
    include_str!("running.sql"),
    include_str!("sessions.sql"),
];

/// At most as many frames lie in the WAL before they are moved into the database: half of what it has room for.
const WAL_FRAMES: i64 = 1000;

/// Why a database is not opened that somebody has open: the source of the error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is in use by another process, or twice by this one", .0.display())]
pub struct InUse(PathBuf);

fn open_file(path: PathBuf, options: &SqliteOptions) -> Result<SqliteStore, StoreError> {
    let lock = hold(&beside(&path, "-lock")).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => StoreError::new(StoreErrorKind::Unavailable, OPEN, InUse(path.clone())),
        _ => {
            let why = format!("{} cannot be locked: {error}", path.display());
            StoreError::new(StoreErrorKind::Unavailable, OPEN, why)
        }
    })?;
    let reserve = Reserve::new(beside(&path, "-reserve"), options.reserve_bytes);
    let opened = open_connections(&path, options).or_else(|error| {
        if error.kind() != StoreErrorKind::Full {
            return Err(error);
        }
        // On a full disk not even the file that readers share can be made.
        reserve.give();
        open_connections(&path, options)
    })?;
    let Connections { writer, points, scans, page_bytes } = opened;
    let io = |error| StoreError::new(StoreErrorKind::Unavailable, OPEN, error);
    if let Err(error) = fill(&beside(&path, "-wal"), options.wal_bytes) {
        tracing::warn!(%error, "the write-ahead log is shorter than it should be");
    }
    // A frame is a page and a header of 24 bytes.
    let frame_bytes = page_bytes + 24;
    let wal_frames = i64::try_from(options.wal_bytes / frame_bytes).unwrap_or(i64::MAX);
    let frames = if wal_frames > 0 { (wal_frames / 2).clamp(64, WAL_FRAMES) } else { WAL_FRAMES };
    let frames_max = wal_frames.max(2 * frames);
    let wal = Wal { frame_bytes, frames, frames_max, busy_timeout: options.busy_timeout };
    let readers = Arc::new(Readers::new(points, scans, Some(lock)));
    let writer = Writer::start(writer, reserve, Some(wal), options.writes_waiting_max.get()).map_err(io)?;
    // The names of all these files are on the disk before anything is answered.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(SqliteStore { writer, readers, recent: Recent::new() })
}

/// The path with something after it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

struct Connections {
    writer: Shared,
    points: Pool,
    scans: Pool,
    page_bytes: u64,
}

fn open_connections(path: &Path, options: &SqliteOptions) -> Result<Connections, StoreError> {
    let failed = |error| failure(OPEN, error);
    let connect = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(options.busy_timeout)?;
        Ok(connection)
    };
    let mut writer = connect().map_err(failed)?;
    expect_ours(&writer)?;
    write_ahead(&writer)?;
    prepare(&writer).map_err(failed)?;
    migrate(&mut writer)?;
    let page_bytes =
        writer.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0)).map_err(failed)?;
    let reader = || {
        let connection = connect()?;
        prepare(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(shared(connection))
    };
    let pool = |readers: usize| {
        let others = (1..readers).map(|_| reader()).collect::<rusqlite::Result<_>>()?;
        Ok(Pool::new(reader()?, others))
    };
    Ok(Connections {
        points: pool(options.readers.get()).map_err(failed)?,
        scans: pool(SCANS).map_err(failed)?,
        writer: shared(writer),
        page_bytes: page_bytes.into(),
    })
}

/// How many lists are read at a time.
const SCANS: usize = 2;

fn shared(connection: Connection) -> Shared {
    Arc::new(Mutex::new(connection))
}

fn refused(why: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Other, OPEN, why.into())
}

/// Refuses a database of something else, and one of a later format, before anything in it is touched.
/// Says its format; 0 for a new one.
fn expect_ours(connection: &Connection) -> Result<usize, StoreError> {
    let (tables, application, format) = connection
        .query_row(
            "SELECT (SELECT count(*) FROM sqlite_schema), application_id, user_version
             FROM pragma_application_id, pragma_user_version",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i32>(1)?, row.get::<_, i32>(2)?)),
        )
        .map_err(|error| failure(OPEN, error))?;
    if (tables, application, format) == (0, 0, 0) {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(refused("the database is not one of a registry"));
    }
    match usize::try_from(format) {
        Ok(known) if known <= FORMAT_STEPS.len() => Ok(known),
        _ => Err(refused(format!(
            "the database has format {format}, and this program knows none after {}",
            FORMAT_STEPS.len()
        ))),
    }
}

/// Switches to write-ahead logging with a flush for every transaction, and sees that it is so.
fn write_ahead(connection: &Connection) -> Result<(), StoreError> {
    let failed = |error| failure(OPEN, error);
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(refused(format!("the file system does not allow write-ahead logging (but `{mode}`)")));
    }
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    let level: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).map_err(failed)?;
    if level != 2 {
        return Err(refused(format!("the database flushes at level {level}, not FULL")));
    }
    if is_planted("unsynced commits") {
        connection.pragma_update(None, "synchronous", "off").map_err(failed)?;
    }
    Ok(())
}

/// What every connection is told.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(256);
    // Plans rest on no bound value: with indexes of a part of a table, statements would be planned anew at each use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // The log keeps the room it has, also when nobody uses it: the last connection does not remove it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch(
        "PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         -- A full disk must not stand in the way of a statement's own journal.
         PRAGMA temp_store = MEMORY;
         -- The writer moves the log, when it has answered.
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = -1;",
    )
}

/// Takes the database to the format of this program, step by step.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let format = expect_ours(connection)?;
    for (step, statements) in FORMAT_STEPS.iter().enumerate().skip(format) {
        let migrated = connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|to| {
            to.execute_batch(statements)?;
            to.pragma_update(None, "application_id", APPLICATION_ID)?;
            // There are a handful of steps.
            to.pragma_update(None, "user_version", i32::try_from(step + 1).unwrap_or(i32::MAX))?;
            to.commit()
        });
        migrated.map_err(|error| failure(OPEN, error))?;
    }
    Ok(())
}

#[async_trait]
impl ManifestStore for SqliteStore {
    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryId>, StoreError> {
        self.readers.point("manifests.repository", |connection| manifest_reads::repository(connection, name))
    }

    async fn is_listed(&self, name: &RepositoryName) -> Result<bool, StoreError> {
        self.readers.point("manifests.is_listed", |connection| manifest_reads::is_listed(connection, name))
    }

    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        bytes: WithBytes,
    ) -> Result<Option<StoredManifest>, StoreError> {
        let asked = (repository.clone(), reference.clone(), bytes);
        self.recent.manifest(self.writer.state().settled(), asked, || {
            self.readers.point("manifests.resolve", |connection| {
                manifest_reads::resolve(connection, repository, reference, bytes)
            })
        })
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Option<Vec<TagRecord>>, StoreError> {
        let (repository, page) = (repository.clone(), page.clone());
        self.readers
            .scan("manifests.tags", move |connection| manifest_reads::tags(connection, &repository, &page))
            .await
    }

    async fn tags_of(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Tag>, StoreError> {
        let (repository, digest) = (repository.clone(), *digest);
        self.readers
            .scan("manifests.tags_of", move |connection| {
                manifest_reads::tags_of(connection, &repository, &digest, limit)
            })
            .await
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        of_type: Option<&MediaType>,
        page: &Page<Digest>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let (repository, subject, of_type, page) =
            (repository.clone(), *subject, of_type.cloned(), page.clone());
        self.readers
            .scan("manifests.referrers", move |connection| {
                manifest_reads::referrers(connection, &repository, &subject, of_type.as_ref(), &page)
            })
            .await
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkedBlob>, StoreError> {
        let asked = (repository.clone(), *digest);
        self.recent.blob(self.writer.state().settled(), asked, || {
            self.readers
                .point("manifests.blob", |connection| manifest_reads::blob(connection, repository, digest))
        })
    }

    async fn manifests_naming(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Digest>, StoreError> {
        let (repository, digest) = (repository.clone(), *digest);
        self.readers
            .scan("manifests.manifests_naming", move |connection| {
                manifest_reads::manifests_naming(connection, &repository, &digest, limit)
            })
            .await
    }

    async fn repositories(&self, page: &Page<RepositoryName>) -> Result<Vec<RepositoryName>, StoreError> {
        let page = page.clone();
        self.readers
            .scan("manifests.repositories", move |connection| manifest_reads::repositories(connection, &page))
            .await
    }

    async fn holders(
        &self,
        digest: &Digest,
        near: &RepositoryName,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        let (digest, near) = (*digest, near.clone());
        self.readers
            .scan("manifests.holders", move |connection| {
                manifest_reads::holders(connection, &digest, &near, limit)
            })
            .await
    }

    async fn commit(&self, commit: Commit) -> Result<Receipt, CommitError> {
        self.writer
            .write(move |writing| manifest_commit::commit(writing, &commit))
            .await
            .map_err(|error| error.of_commit("manifests.commit"))
    }

    async fn release_unused(
        &self,
        unused: &Unused,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<Released, StoreError> {
        let (unused, fence) = (*unused, fence.clone());
        self.writer
            .write(move |writing| {
                leases::expect_held(writing.connection, &fence)?;
                collection::release_unused(writing, &unused, limit)
            })
            .await
            .map_err(|error| error.of("manifests.release_unused"))
    }

    async fn discard_unlinked(
        &self,
        before: DateTime<Utc>,
        at: DateTime<Utc>,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError> {
        let fence = fence.clone();
        self.writer
            .write(move |writing| {
                leases::expect_held(writing.connection, &fence)?;
                Ok(collection::discard_unlinked(writing.connection, before, at, limit)?)
            })
            .await
            .map_err(|error| error.of("manifests.discard_unlinked"))
    }

    async fn discard_stray(
        &self,
        stored: &StoredBlob,
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<bool, StoreError> {
        let (stored, fence) = (stored.clone(), fence.clone());
        self.writer
            .write(move |writing| {
                leases::expect_held(writing.connection, &fence)?;
                Ok(collection::discard_stray(writing.connection, &stored, at)?)
            })
            .await
            .map_err(|error| error.of("manifests.discard_stray"))
    }

    async fn garbage(
        &self,
        listed_before: DateTime<Utc>,
        page: &Page<BlobLocation>,
    ) -> Result<Vec<BlobLocation>, StoreError> {
        let page = page.clone();
        self.readers
            .scan("manifests.garbage", move |connection| {
                collection::garbage(connection, listed_before, &page)
            })
            .await
    }

    async fn forget_garbage(
        &self,
        locations: &[BlobLocation],
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        let (locations, fence) = (locations.to_vec(), fence.clone());
        self.writer
            .write(move |writing| {
                leases::expect_held(writing.connection, &fence)?;
                Ok(collection::forget_garbage(writing.connection, &locations, at)?)
            })
            .await
            .map_err(|error| error.of("manifests.forget_garbage"))
    }

    async fn trim_spent(&self, spent_before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        self.writer
            .write(move |writing| Ok(collection::trim_spent(writing.connection, spent_before, limit)?))
            .await
            .map_err(|error| error.of("manifests.trim_spent"))
    }

    async fn records(&self, page: &Page<Digest>) -> Result<Vec<BlobRecord>, StoreError> {
        let page = page.clone();
        self.readers.scan("manifests.records", move |connection| collection::records(connection, &page)).await
    }

    async fn content_state(
        &self,
        digest: &Digest,
        location: &BlobLocation,
    ) -> Result<ContentState, StoreError> {
        let (digest, location) = (*digest, location.clone());
        self.readers
            .scan("manifests.content_state", move |connection| {
                collection::content_state(connection, &digest, &location)
            })
            .await
    }

    async fn kept_manifests(
        &self,
        page: &Page<(RepositoryId, Digest)>,
    ) -> Result<Vec<KeptManifest>, StoreError> {
        let page = page.clone();
        self.readers
            .scan("manifests.kept_manifests", move |connection| collection::kept_manifests(connection, &page))
            .await
    }

    async fn quarantine(&self, digest: &Digest, location: &BlobLocation) -> Result<(), StoreError> {
        let (digest, location) = (*digest, location.clone());
        self.writer
            .write(move |writing| Ok(collection::quarantine(writing.connection, &digest, &location)?))
            .await
            .map_err(|error| error.of("manifests.quarantine"))
    }

    async fn events(&self, after: EventSeq, limit: NonZeroU32) -> Result<Vec<RecordedEvent>, StoreError> {
        self.readers
            .scan("manifests.events", move |connection| event_log::events(connection, after, limit))
            .await
    }

    async fn cursor(&self, consumer: &str) -> Result<EventSeq, StoreError> {
        self.readers.point("manifests.cursor", |connection| event_log::cursor(connection, consumer))
    }

    async fn advance(&self, consumer: &str, upto: EventSeq, fence: &Fence) -> Result<(), StoreError> {
        let (consumer, fence) = (consumer.to_owned(), fence.clone());
        self.writer
            .write(move |writing| {
                leases::expect_held(writing.connection, &fence)?;
                Ok(event_log::advance(writing.connection, &consumer, upto)?)
            })
            .await
            .map_err(|error| error.of("manifests.advance"))
    }

    async fn retain_consumers(&self, names: &[&str]) -> Result<(), StoreError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.writer
            .write(move |writing| Ok(event_log::retain_consumers(writing.connection, &names)?))
            .await
            .map_err(|error| error.of("manifests.retain_consumers"))
    }

    async fn trim_events(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        self.writer
            .write(move |writing| Ok(event_log::trim(writing.connection, before, limit)?))
            .await
            .map_err(|error| error.of("manifests.trim_events"))
    }

    async fn lease(&self, lease: &Lease<'_>) -> Result<Option<Fence>, StoreError> {
        let wish = leases::Wish::of(lease);
        self.writer
            .write(move |writing| leases::take(writing.connection, &wish))
            .await
            .map_err(|error| error.of("manifests.lease"))
    }

    async fn release_lease(&self, fence: &Fence) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.writer
            .write(move |writing| Ok(leases::release(writing.connection, &fence)?))
            .await
            .map_err(|error| error.of("manifests.release_lease"))
    }

    async fn observe_pulls(&self, counts: &[PullCount]) -> Result<(), StoreError> {
        let counts = counts.to_vec();
        self.writer
            .write(move |writing| {
                writing.claim_room()?;
                Ok(event_log::observe_pulls(writing.connection, &counts)?)
            })
            .await
            .map_err(|error| error.of("manifests.observe_pulls"))
    }

    async fn pulls(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<PullCount>, StoreError> {
        self.readers
            .point("manifests.pulls", |connection| manifest_reads::pulls(connection, repository, reference))
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.readers.scan("manifests.backlog", event_log::backlog).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        const PROBE: &str = "manifests.probe";
        self.readers.point(PROBE, event_log::newest)?;
        self.writer.probe().await.map_err(|error| error.of(PROBE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        prepare(&connection).unwrap();
        migrate(&mut connection).unwrap();
        connection
    }

    fn plan(connection: &Connection, statement: &str) -> Vec<String> {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let mut steps = plan.raw_query();
        let mut details = Vec::new();
        while let Some(step) = steps.next().unwrap() {
            details.push(step.get(3).unwrap());
        }
        details
    }

    /// All statements, and those of them that sort what they found.
    fn statements() -> (Vec<String>, Vec<String>) {
        let owned = |lists: &[&[&str]]| lists.concat().iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut statements = owned(&[
            collection::STATEMENTS,
            event_log::STATEMENTS,
            leases::STATEMENTS,
            manifest_commit::STATEMENTS,
            manifest_reads::STATEMENTS,
            upload_sessions::STATEMENTS,
        ]);
        let sorted = owned(&[collection::SORTED, manifest_reads::SORTED]);
        #[cfg(feature = "control")]
        let sorted = {
            let (composed, composed_and_sorted) = repository_lists::composed();
            statements.extend(composed);
            statements.extend(owned(&[
                metadata_commit::STATEMENTS,
                metadata_reads::STATEMENTS,
                repository_lists::STATEMENTS,
                deliveries::STATEMENTS,
                rules::STATEMENTS,
                sessions::STATEMENTS,
                syncs::STATEMENTS,
                traces::STATEMENTS,
                triggers::STATEMENTS,
                usage::STATEMENTS,
            ]));
            [sorted, composed_and_sorted, owned(&[metadata_reads::SORTED, repository_lists::SORTED])].concat()
        };
        statements.extend(sorted.iter().cloned());
        (statements, sorted)
    }

    #[test]
    fn no_statement_walks_a_table() {
        let connection = fresh();
        // Tables of a few rows, indexes that hold what was removed or operators alone and are left early, and what
        // a statement has just found.
        let harmless = [
            "SCAN cursors",
            "SCAN repositories USING INDEX repositories_removed",
            "SCAN triggers USING INDEX triggers_removed",
            "SCAN users USING COVERING INDEX users_operators",
            "SCAN token_keys",
            "SCAN wanted",
            "SCAN declaring",
            "SCAN CONSTANT ROW",
        ];
        let mut seen = 0;
        let (statements, sorted) = statements();
        for statement in &statements {
            for step in plan(&connection, statement) {
                let walks = step.starts_with("SCAN") && !step.starts_with("SCAN (subquery");
                assert!(!walks || harmless.contains(&&*step), "{step}\n{statement}");
                assert!(sorted.contains(statement) || !step.contains("TEMP B-TREE"), "{step}\n{statement}");
                seen += 1;
            }
        }
        assert!(seen > 80, "{seen} steps were looked at");
    }

    #[test]
    fn a_walk_would_be_noticed() {
        let walk = plan(&fresh(), "SELECT digest FROM manifests WHERE media_type = 'x'");
        assert_eq!(walk, ["SCAN manifests"]);
    }

    #[test]
    fn every_connection_is_told_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.db");
        let Connections { writer, points, scans, .. } =
            open_connections(&path, &SqliteOptions::default()).unwrap();
        let said = |connection: &Connection, pragma| -> String {
            let value =
                connection.pragma_query_value(None, pragma, |row| row.get::<_, rusqlite::types::Value>(0));
            match value.unwrap() {
                rusqlite::types::Value::Integer(value) => value.to_string(),
                rusqlite::types::Value::Text(value) => value,
                value => panic!("{value:?}"),
            }
        };
        let all = |connection: &Connection| {
            assert_eq!(said(connection, "foreign_keys"), "1");
            assert_eq!(said(connection, "journal_mode"), "wal");
            assert_eq!(said(connection, "wal_autocheckpoint"), "0");
            assert_eq!(said(connection, "journal_size_limit"), "-1");
            assert_eq!(said(connection, "temp_store"), "2");
            assert!(connection.db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE).unwrap());
        };
        let writer = writer.lock().unwrap();
        all(&writer);
        assert_eq!(said(&writer, "synchronous"), "2");
        assert_eq!(said(&writer, "application_id"), APPLICATION_ID.to_string());
        assert_eq!(said(&writer, "user_version"), FORMAT_STEPS.len().to_string());
        for pool in [points, scans] {
            pool.with(|connection| {
                all(connection);
                assert_eq!(said(connection, "query_only"), "1");
            });
        }
    }
}
