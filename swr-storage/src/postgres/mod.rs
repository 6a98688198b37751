//! Names, manifests and their history in PostgreSQL: as many processes as are wanted, one truth.
//!
//! [`PostgresStore`] keeps the facts of a registry that runs on several machines. Processes are equal and know nothing of
//! each other: what they do at the same time is put in order by the database's locks, and whatever one of them was
//! answered, the others see.

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
#[cfg(all(feature = "control", feature = "sqlite"))]
mod moving;
mod pulls;
#[cfg(feature = "control")]
mod repository_lists;
#[cfg(feature = "control")]
mod rules;
#[cfg(feature = "control")]
mod sessions;
#[cfg(all(feature = "control", feature = "filesystem", feature = "sqlite", unix))]
mod snapshot;
#[cfg(feature = "control")]
mod syncs;
mod tls;
#[cfg(feature = "control")]
mod traces;
#[cfg(feature = "control")]
mod triggers;
mod upload_sessions;
#[cfg(feature = "control")]
mod usage;

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use swr_core::commit::{BlobLocation, Commit, CommitError, Receipt, RepositoryId, StoredBlob};
use swr_core::descriptor::Descriptor;
use swr_core::digest::Digest;
use swr_core::event::{EventSeq, RecordedEvent};
use swr_core::manifest::StoredManifest;
use swr_core::media_type::MediaType;
use swr_core::ports::{
    Backlog, BlobRecord, ContentState, Fence, KeptManifest, Lease, LinkedBlob, ManifestStore, Page,
    PullCount, Released, StoreError, StoreErrorKind, TagRecord, Unused, WithBytes,
};
use swr_core::reference::Reference;
use swr_core::{RepositoryName, Tag};

#[cfg(all(feature = "control", feature = "sqlite"))]
pub use moving::{Move, Moved};
#[cfg(all(feature = "control", feature = "filesystem", feature = "sqlite", unix))]
pub(crate) use snapshot::snapshot;

use connections::{Bounds, Failure, Locks, Pool, Session, Transaction, WriteError, begun_again};
use event_log::NewEntries;
use tls::Tls;

/// A [`ManifestStore`] in a PostgreSQL database, version 14 or later, in UTF-8.
///
/// Any number of processes may have it open at once. Its tables are in the schema that the connections work in (that of
/// `search_path`, `public` unless said otherwise), which holds nothing else; several registries may share a database,
/// each in a schema of its own.
///
/// A write is on the server's disk when it is answered, and wherever its `synchronous_commit` asks for beside;
/// where a server is configured not to wait, it is told to. When the server cannot be reached, is busy or is started
/// again, the answer is [`StoreErrorKind::Unavailable`]; where a connection is lost while a write is being kept, another
/// one is asked what became of it, and only when nobody can say for several seconds is the answer that it is not known.
///
/// Opened and used on a `tokio` runtime; each connection is driven by a task of its own, which ends with the store.
pub struct PostgresStore {
    pool: Pool,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresStore").field(&self.pool).finish()
    }
}

/// How a store is opened.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// Where the database is: `postgres://user:password@host:port/database?sslmode=require`, or the same as pairs of
    /// keys and values, as libpq has them. Several hosts are tried in turn; `target_session_attrs=read-write` passes over
    /// those that follow another.
    ///
    /// `sslmode` is `disable`, `prefer` (TLS where the server offers it, unless said otherwise) or `require`.
    /// Whenever there is TLS, the server's certificate is verified.
    pub url: String,
    /// Certificates in PEM that are trusted beside those that the machine trusts.
    pub authorities: Option<Vec<u8>>,
    /// Connections at most; 16 unless told otherwise.
    pub connections_max: NonZeroUsize,
    /// How long to wait for a connection, free or new; 5 seconds unless told otherwise.
    pub connection_wait: Duration,
    /// How long a statement may take, waiting for locks included; 15 seconds unless told otherwise. A process that falls
    /// silent within a transaction loses it after the same time.
    pub statement_timeout: Duration,
}

impl PostgresOptions {
    /// Those for the database at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            authorities: None,
            connections_max: NonZeroUsize::MIN.saturating_add(15),
            connection_wait: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
        }
    }
}

/// Without the address, which has a password.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("connections_max", &self.connections_max)
            .field("connection_wait", &self.connection_wait)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}

const OPEN: &str = "postgres.open";

/// From one format to the next. A step that was published does not change.
const FORMAT_STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("metadata.sql"),
    include_str!("running.sql"),
    include_str!("sessions.sql"),
];

impl PostgresStore {
    /// Opens the database at `url` and makes its tables when there are none.
    pub async fn open(url: impl Into<String>) -> Result<Self, StoreError> {
        Self::open_with(PostgresOptions::new(url)).await
    }

    /// Opens a database as `options` say. Several processes may do so at once, also the first time.
    pub async fn open_with(options: PostgresOptions) -> Result<Self, StoreError> {
        let store = Self::connect(options).await?;
        let session = store.pool.session().await.map_err(|failure| failure.of(OPEN))?;
        expect_whole(&session).await?;
        drop(session);
        Ok(store)
    }

    /// The same, whatever is in its tables.
    async fn connect(options: PostgresOptions) -> Result<Self, StoreError> {
        let pool = Self::pool(options)?;
        settle(&pool).await?;
        Ok(Self { pool })
    }

    /// Connections as `options` say; none is made yet.
    fn pool(options: PostgresOptions) -> Result<Pool, StoreError> {
        let PostgresOptions { url, authorities, connections_max, connection_wait, statement_timeout } =
            options;
        let mut config = Config::from_str(&url).map_err(|error| refused(error.to_string()))?;
        if config.get_application_name().is_none() {
            config.application_name("swr");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(connection_wait);
        }
        config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(statement_timeout);
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => Tls::OFF,
            _ => Tls::new(authorities.as_deref()).map_err(|error| refused(error.to_string()))?,
        };
        let bounds = Bounds {
            connections_max: connections_max.get(),
            wait: connection_wait,
            statement: statement_timeout,
        };
        Ok(Pool::new(config, tls, bounds))
    }
}

fn refused(why: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Other, OPEN, why.into())
}

/// Sees that the database is one for a registry, and takes it to the format of this program.
async fn settle(pool: &Pool) -> Result<(), StoreError> {
    let failed = |failure: Failure| failure.of(OPEN);
    let session = pool.session().await.map_err(failed)?;
    let row = session.query_opt(SETTING, &[]).await.map_err(failed)?;
    let read = |failure: tokio_postgres::Error| failed(failure.into());
    let Some(row) = row else { return Err(refused("the database says nothing of itself")) };
    let (version, encoding): (i32, String) = (row.try_get(0).map_err(read)?, row.try_get(1).map_err(read)?);
    let schema: Option<i64> = row.try_get(2).map_err(read)?;
    if version < 140_000 {
        return Err(refused(format!(
            "the server's version is {}, and 14 is the first that will do",
            version / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(refused(format!("the database is in {encoding}, and not in UTF8")));
    }
    let Some(schema) = schema else { return Err(refused("there is no schema to work in")) };
    pool.is_in_schema(schema);
    drop(session);
    migrate(pool).await
}

const SETTING: &str = "
    SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'),
        (SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema())";

/// How many tables the schema has, and whether one of them is ours.
const TABLES: &str = "
    SELECT count(*), count(*) FILTER (WHERE relname = 'swr_format')
    FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relkind IN ('r', 'p')";

/// Whether there is the table that a copy keeps until it is whole.
const IS_MOVING: &str = "
    SELECT 1 FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relname = 'moving'";

async fn expect_whole(session: &Session) -> Result<(), StoreError> {
    match session.exists(IS_MOVING, &[]).await.map_err(|failure| failure.of(OPEN))? {
        true => Err(refused("a registry is being copied into the database, and has not come whole")),
        false => Ok(()),
    }
}

const FORMAT: &str = "SELECT format FROM swr_format";

/// One process at a time; the others find it done.
async fn migrate(pool: &Pool) -> Result<(), StoreError> {
    let failed = |failure: Failure| failure.of(OPEN);
    let transaction = pool.begin(&Locks::none(pool).work("migration")).await.map_err(failed)?;
    let format = format(&transaction).await?;
    if format == FORMAT_STEPS.len() {
        return Ok(());
    }
    for step in FORMAT_STEPS.iter().skip(format) {
        transaction.batch(step).await.map_err(failed)?;
    }
    let reached = format!("UPDATE swr_format SET format = {}", FORMAT_STEPS.len());
    transaction.batch(&reached).await.map_err(failed)?;
    transaction.end(&NewEntries::default()).await.map_err(failed)?;
    Ok(())
}

/// The format of the tables; 0 where there are none. Refuses those of something else, and those of a later format.
async fn format(session: &Session) -> Result<usize, StoreError> {
    let failed = |failure: Failure| failure.of(OPEN);
    let read = |failure: tokio_postgres::Error| failed(failure.into());
    let Some(row) = session.query_opt(TABLES, &[]).await.map_err(failed)? else { return Ok(0) };
    let (tables, ours): (i64, i64) = (row.try_get(0).map_err(read)?, row.try_get(1).map_err(read)?);
    match (tables, ours) {
        (0, _) => return Ok(0),
        (_, 0) => return Err(refused("the schema holds tables, and not those of a registry")),
        _ => {}
    }
    let Some(row) = session.query_opt(FORMAT, &[]).await.map_err(failed)? else {
        return Err(refused("the tables have no format"));
    };
    let format: i32 = row.try_get(0).map_err(read)?;
    match usize::try_from(format) {
        Ok(known) if known <= FORMAT_STEPS.len() => Ok(known),
        _ => Err(refused(format!(
            "the tables have format {format}, and this program knows none after {}",
            FORMAT_STEPS.len()
        ))),
    }
}

/// Asks one question.
macro_rules! ask {
    ($store:ident, $operation:literal, |$session:ident| $question:expr) => {{
        let answer = async {
            let lent = $store.pool.session().await?;
            let $session: &Session = &lent;
            $question.await
        };
        answer.await.map_err(|failure: Failure| failure.of($operation))
    }};
}

/// Asks several questions as of one instant.
macro_rules! ask_at_once {
    ($store:ident, $operation:literal, |$session:ident| $question:expr) => {{
        let answer = async {
            let snapshot = $store.pool.snapshot().await?;
            let $session: &Session = &snapshot;
            $question.await
        };
        answer.await.map_err(|failure: Failure| failure.of($operation))
    }};
}

/// Writes under locks, and perhaps a fence, without anything for the log.
macro_rules! keep {
    ($store:ident, $operation:literal, $locks:expr, $($fence:ident,)? |$transaction:ident| $write:expr) => {{
        let written = async {
            let transaction = keep!(@begin $store, $locks, $($fence)?);
            let $transaction: &Transaction<'_> = &transaction;
            let answer = $write.await?;
            transaction.end(&NewEntries::default()).await?;
            Ok(answer)
        };
        written.await.map_err(|error: WriteError| error.of($operation))
    }};
    (@begin $store:ident, $locks:expr, $fence:ident) => { $store.pool.begin_fenced(&$locks, $fence).await? };
    (@begin $store:ident, $locks:expr,) => { $store.pool.begin(&$locks).await? };
}

#[cfg(feature = "control")]
use {ask, ask_at_once, keep};

#[async_trait]
impl ManifestStore for PostgresStore {
    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryId>, StoreError> {
        ask!(self, "manifests.repository", |session| manifest_reads::repository(session, name))
    }

    async fn is_listed(&self, name: &RepositoryName) -> Result<bool, StoreError> {
        let listed = ask!(self, "manifests.is_listed", |session| manifest_reads::listed(session, name))?;
        Ok(listed.is_some())
    }

    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        bytes: WithBytes,
    ) -> Result<Option<StoredManifest>, StoreError> {
        ask!(self, "manifests.resolve", |session| manifest_reads::resolve(
            session, repository, reference, bytes
        ))
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Option<Vec<TagRecord>>, StoreError> {
        ask!(self, "manifests.tags", |session| manifest_reads::tags(session, repository, page))
    }

    async fn tags_of(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Tag>, StoreError> {
        ask!(self, "manifests.tags_of", |session| manifest_reads::tags_of(session, repository, digest, limit))
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        of_type: Option<&MediaType>,
        page: &Page<Digest>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        ask_at_once!(self, "manifests.referrers", |session| {
            manifest_reads::referrers(session, repository, subject, of_type, page)
        })
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkedBlob>, StoreError> {
        ask!(self, "manifests.blob", |session| manifest_reads::blob(session, repository, digest))
    }

    async fn manifests_naming(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Digest>, StoreError> {
        ask!(self, "manifests.manifests_naming", |session| {
            manifest_reads::manifests_naming(session, repository, digest, limit)
        })
    }

    async fn repositories(&self, page: &Page<RepositoryName>) -> Result<Vec<RepositoryName>, StoreError> {
        ask!(self, "manifests.repositories", |session| manifest_reads::repositories(session, page))
    }

    async fn holders(
        &self,
        digest: &Digest,
        near: &RepositoryName,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        ask!(self, "manifests.holders", |session| manifest_reads::holders(session, digest, near, limit))
    }

    async fn commit(&self, commit: Commit) -> Result<Receipt, CommitError> {
        let committed = begun_again(|| manifest_commit::commit(&self.pool, &commit)).await;
        committed.map_err(|error| error.of_commit("manifests.commit"))
    }

    async fn release_unused(
        &self,
        unused: &Unused,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<Released, StoreError> {
        let released = collection::release_unused(&self.pool, unused, fence, limit).await;
        released.map_err(|error| error.of("manifests.release_unused"))
    }

    async fn discard_unlinked(
        &self,
        before: DateTime<Utc>,
        at: DateTime<Utc>,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError> {
        let discarded = collection::discard_unlinked(&self.pool, before, at, fence, limit).await;
        discarded.map_err(|error| error.of("manifests.discard_unlinked"))
    }

    async fn discard_stray(
        &self,
        stored: &StoredBlob,
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<bool, StoreError> {
        let discarded = collection::discard_stray(&self.pool, stored, at, fence).await;
        discarded.map_err(|error| error.of("manifests.discard_stray"))
    }

    async fn garbage(
        &self,
        listed_before: DateTime<Utc>,
        page: &Page<BlobLocation>,
    ) -> Result<Vec<BlobLocation>, StoreError> {
        ask!(self, "manifests.garbage", |session| collection::garbage(session, listed_before, page))
    }

    async fn forget_garbage(
        &self,
        locations: &[BlobLocation],
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        keep!(self, "manifests.forget_garbage", Locks::beside_others(&self.pool), fence, |transaction| {
            collection::forget_garbage(transaction, locations, at)
        })
    }

    async fn trim_spent(&self, spent_before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        ask!(self, "manifests.trim_spent", |session| collection::trim_spent(session, spent_before, limit))
    }

    async fn records(&self, page: &Page<Digest>) -> Result<Vec<BlobRecord>, StoreError> {
        ask!(self, "manifests.records", |session| collection::records(session, page))
    }

    async fn content_state(
        &self,
        digest: &Digest,
        location: &BlobLocation,
    ) -> Result<ContentState, StoreError> {
        ask_at_once!(self, "manifests.content_state", |session| {
            collection::content_state(session, digest, location)
        })
    }

    async fn kept_manifests(
        &self,
        page: &Page<(RepositoryId, Digest)>,
    ) -> Result<Vec<KeptManifest>, StoreError> {
        ask_at_once!(self, "manifests.kept_manifests", |session| collection::kept_manifests(session, page))
    }

    async fn quarantine(&self, digest: &Digest, location: &BlobLocation) -> Result<(), StoreError> {
        let locks = Locks::beside_others(&self.pool).digest(digest);
        keep!(self, "manifests.quarantine", locks, |transaction| {
            collection::quarantine(transaction, digest, location)
        })
    }

    async fn events(&self, after: EventSeq, limit: NonZeroU32) -> Result<Vec<RecordedEvent>, StoreError> {
        ask!(self, "manifests.events", |session| event_log::events(session, after, limit))
    }

    async fn cursor(&self, consumer: &str) -> Result<EventSeq, StoreError> {
        ask!(self, "manifests.cursor", |session| event_log::cursor(session, consumer))
    }

    async fn advance(&self, consumer: &str, upto: EventSeq, fence: &Fence) -> Result<(), StoreError> {
        keep!(self, "manifests.advance", Locks::none(&self.pool), fence, |transaction| {
            event_log::advance(transaction, consumer, upto)
        })
    }

    async fn retain_consumers(&self, names: &[&str]) -> Result<(), StoreError> {
        ask!(self, "manifests.retain_consumers", |session| event_log::retain_consumers(session, names))
    }

    async fn trim_events(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        ask!(self, "manifests.trim_events", |session| event_log::trim(session, before, limit))
    }

    async fn lease(&self, lease: &Lease<'_>) -> Result<Option<Fence>, StoreError> {
        ask!(self, "manifests.lease", |session| leases::take(session, lease))
    }

    async fn release_lease(&self, fence: &Fence) -> Result<(), StoreError> {
        ask!(self, "manifests.release_lease", |session| leases::release(session, fence))
    }

    async fn observe_pulls(&self, counts: &[PullCount]) -> Result<(), StoreError> {
        pulls::observe(&self.pool, counts).await.map_err(|error| error.of("manifests.observe_pulls"))
    }

    async fn pulls(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<PullCount>, StoreError> {
        ask!(self, "manifests.pulls", |session| manifest_reads::pulls(session, repository, reference))
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        ask_at_once!(self, "manifests.backlog", |session| event_log::backlog(session))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let is_writable = ask!(self, "manifests.probe", |session| session.exists(WRITABLE, &[]))?;
        match is_writable {
            true => Ok(()),
            false => {
                let why = "the server takes no writes";
                Err(StoreError::new(StoreErrorKind::Unavailable, "manifests.probe", why))
            }
        }
    }
}

/// A server that follows another takes none.
const WRITABLE: &str = "SELECT 1 FROM log WHERE current_setting('transaction_read_only') = 'off'";
