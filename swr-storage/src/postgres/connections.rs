//! The connections: a bounded pool, and transactions whose end is known.
//!
//! # Locks
//!
//! Whatever a write rests on, it locks first, by name, with advisory locks that end with its transaction, in one order:
//! control, repositories, digests; each kind in the order of its keys. Then it asks, each question as of now
//! (`READ COMMITTED`). Names rather than rows, because most requirements are about what is not there: a name that is
//! free, a digest without a record, a count. And locks rather than `SERIALIZABLE`, because pushes into one registry
//! touch the same pages of its indexes all the time, which that level takes for conflicts.
//!
//! - *control* is shared by all that change content, and held alone by what changes people, rights or counts of them:
//!   those happen one after the other, and beside no push. Quotas and the grounds of a push rest on this.
//! - *a repository* is held by whoever changes it, and shared by whoever mounts from it.
//! - *a digest* is held by whoever links it, unlinks it or discards its record.
//!
//! The log comes last: the row that counts it is changed in the same step that ends the transaction, so that nobody waits
//! for a program that has stopped between the two.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Deref;
#[cfg(all(feature = "control", feature = "sqlite"))]
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[cfg(all(feature = "control", feature = "sqlite"))]
use bytes::Bytes;
use futures_util::FutureExt;
#[cfg(all(feature = "control", feature = "sqlite"))]
use futures_util::SinkExt;
use futures_util::future::{join, try_join};
use tokio::runtime::Handle;
#[cfg(all(feature = "control", feature = "sqlite"))]
use tokio::sync::mpsc::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
#[cfg(all(feature = "control", feature = "filesystem", feature = "sqlite", unix))]
use tokio_postgres::RowStream;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, WasNull, WrongType};
use tokio_postgres::{Client, Config, Row, Statement};
use uuid::Uuid;

use swr_core::RepositoryName;
use swr_core::commit::{CommitError, Require};
#[cfg(feature = "control")]
use swr_core::control::change::{MetadataCommitError, MetadataRequire};
use swr_core::digest::{Algorithm, Digest};
use swr_core::event::EventSeq;
use swr_core::ports::{Fence, StoreError, StoreErrorKind};

use super::columns::{Damaged, Sql};
use super::event_log::NewEntries;
use super::leases;
use super::tls::Tls;

/// The values that a statement is given.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

// Failures.

/// Why the database gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Postgres(#[from] Arc<tokio_postgres::Error>),
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error("the database does not answer")]
    Silent,
    #[error("all connections to the database are in use")]
    Crowded,
    /// The connection went while the transaction was ending, and nobody could be asked what became of it.
    #[error("the connection to the database was lost, and whether the write was kept is not known")]
    InDoubt,
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(Arc::new(error))
    }
}

impl Failure {
    /// As the error of `operation`.
    pub(super) fn of(self, operation: &'static str) -> StoreError {
        StoreError::new(self.kind(), operation, self)
    }

    pub(super) fn kind(&self) -> StoreErrorKind {
        let error = match self {
            Self::Postgres(error) => error,
            Self::Damaged(_) => return StoreErrorKind::Corrupt,
            Self::Silent | Self::Crowded | Self::InDoubt => return StoreErrorKind::Unavailable,
        };
        let Some(code) = error.code() else {
            let source = std::error::Error::source(&**error);
            let is_damage =
                source.is_some_and(|of| of.is::<Damaged>() || of.is::<WasNull>() || of.is::<WrongType>());
            return if is_damage { StoreErrorKind::Corrupt } else { StoreErrorKind::Unavailable };
        };
        match *code {
            SqlState::DISK_FULL => return StoreErrorKind::Full,
            SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::LOCK_NOT_AVAILABLE
            // A server that follows another, which it has not replaced yet.
            | SqlState::READ_ONLY_SQL_TRANSACTION
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => return StoreErrorKind::Unavailable,
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => return StoreErrorKind::Corrupt,
            _ => {}
        }
        match code.code().get(..2) {
            // Connections, resources, and what an operator does to sessions.
            Some("08" | "53" | "57") => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Other,
        }
    }

    /// Whether the database broke off this transaction for the sake of another.
    fn is_conflict(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        matches!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED))
    }

    /// Whether the database itself said so, and the transaction is surely undone.
    fn is_answer(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.code().is_some())
    }
}

/// Why a write changed nothing.
#[derive(Debug)]
pub(super) enum WriteError {
    /// These requirements do not hold.
    Unmet(Vec<Require>),
    /// These requirements of metadata do not hold.
    #[cfg(feature = "control")]
    UnmetMetadata(Vec<MetadataRequire>),
    /// The content to be linked is gone.
    BytesGone(Digest),
    /// The lease it depends on is not held.
    Fenced,
    /// A value cannot be written down.
    Unwritable(serde_json::Error),
    /// The database failed.
    Failed(Failure),
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<tokio_postgres::Error> for WriteError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<serde_json::Error> for WriteError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unwritable(error)
    }
}

impl WriteError {
    /// As the error of `operation`.
    pub(super) fn of(self, operation: &'static str) -> StoreError {
        match self {
            Self::Fenced => StoreError::fenced(operation),
            Self::Failed(failure) => failure.of(operation),
            Self::Unwritable(error) => StoreError::new(StoreErrorKind::Other, operation, error),
            #[cfg(feature = "control")]
            Self::UnmetMetadata(_) => {
                StoreError::new(StoreErrorKind::Other, operation, "the write was refused")
            }
            Self::Unmet(_) | Self::BytesGone(_) => {
                StoreError::new(StoreErrorKind::Other, operation, "the write was refused")
            }
        }
    }

    /// As the error of a commit.
    pub(super) fn of_commit(self, operation: &'static str) -> CommitError {
        match self {
            Self::Unmet(unmet) => CommitError::Unmet(unmet),
            Self::BytesGone(digest) => CommitError::BytesGone(digest),
            other => CommitError::Store(other.of(operation)),
        }
    }

    /// As the error of a commit of metadata.
    #[cfg(feature = "control")]
    pub(super) fn of_metadata_commit(self, operation: &'static str) -> MetadataCommitError {
        match self {
            Self::UnmetMetadata(unmet) => MetadataCommitError::Unmet(unmet),
            other => MetadataCommitError::Store(other.of(operation)),
        }
    }
}

/// Writes, and begins again where the database broke the write off because it stood in another's way: that other is
/// none of ours, whose locks have one order.
pub(super) async fn begun_again<T, W: Future<Output = Result<T, WriteError>>>(
    write: impl Fn() -> W,
) -> Result<T, WriteError> {
    for _ in 0..AGAIN_MAX {
        match write().await {
            Err(WriteError::Failed(failure)) if failure.is_conflict() => {
                tracing::debug!(error = %failure, "a write is begun again");
            }
            written => return written,
        }
    }
    write().await
}

/// How often a write is begun again before its caller is told.
const AGAIN_MAX: usize = 2;

// The pool.

/// As many connections as are needed, and no more than allowed.
pub(super) struct Pool {
    config: Config,
    tls: Tls,
    bounds: Bounds,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Session>>>,
    /// Tells the locks of registries apart that share a database.
    schema: AtomicI64,
    writes: AtomicU64,
}

/// What is waited for, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connections_max: usize,
    pub(super) wait: Duration,
    pub(super) statement: Duration,
}

impl Pool {
    pub(super) fn new(config: Config, tls: Tls, bounds: Bounds) -> Self {
        Self {
            config,
            tls,
            bounds,
            permits: Arc::new(Semaphore::new(bounds.connections_max)),
            idle: Arc::default(),
            schema: AtomicI64::new(0),
            writes: AtomicU64::new(0),
        }
    }

    pub(super) fn is_in_schema(&self, id: i64) {
        self.schema.store(id, Ordering::Relaxed);
    }

    /// Connections that are in use.
    pub(super) fn in_use(&self) -> usize {
        self.bounds.connections_max - self.permits.available_permits()
    }

    /// A connection, once there is a free one.
    pub(super) async fn session(&self) -> Result<Lent<'_>, Failure> {
        let permit = match timeout(self.bounds.wait, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => return Err(Failure::Crowded),
        };
        let usable = loop {
            match locked(&self.idle).pop() {
                Some(session) if session.is_broken() => {}
                other => break other,
            }
        };
        let session = match usable {
            Some(session) => session,
            None => self.connect().await?,
        };
        Ok(Lent { session: Some(session), pool: self, permit: Some(permit) })
    }

    async fn connect(&self) -> Result<Session, Failure> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, connection) =
            timeout(self.bounds.wait, connecting).await.map_err(|_| Failure::Silent)??;
        // Ends when the client is dropped, or the connection is lost.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database has ended");
            }
        });
        let session = Session {
            client,
            statements: Mutex::default(),
            // The server gives up first, and says so.
            patience: self.bounds.statement + Duration::from_secs(2),
            in_flight: AtomicUsize::new(0),
            is_silent: AtomicBool::new(false),
        };
        let milliseconds = self.bounds.statement.as_millis();
        session
            .batch(&format!(
                "SET default_transaction_isolation = 'read committed';
                 SET statement_timeout = {milliseconds};
                 SET lock_timeout = {milliseconds};
                 SET idle_in_transaction_session_timeout = {milliseconds};
                 -- What is answered is kept.
                 SELECT set_config('synchronous_commit', 'on', false)
                 WHERE current_setting('synchronous_commit') = 'off'"
            ))
            .await?;
        Ok(session)
    }

    /// All that is read through it is as of one instant. Nothing is kept of it.
    pub(super) async fn snapshot(&self) -> Result<Transaction<'_>, Failure> {
        let lent = self.session().await?;
        let transaction = Transaction { lent, is_open: true };
        transaction.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(transaction)
    }

    /// Begins to write under these locks.
    pub(super) async fn begin(&self, locks: &Locks) -> Result<Transaction<'_>, Failure> {
        let lent = self.session().await?;
        let transaction = Transaction { lent, is_open: true };
        let (keys, shared) = locks.in_order();
        let lock = async { transaction.query(LOCK, &[&keys, &shared]).await.map(drop) };
        try_join(transaction.batch("BEGIN"), lock).await?;
        Ok(transaction)
    }

    /// Begins a write that the lease of the fence allows, which is not passed on before the write has ended.
    pub(super) async fn begin_fenced(
        &self,
        locks: &Locks,
        fence: &Fence,
    ) -> Result<Transaction<'_>, WriteError> {
        let transaction = self.begin(locks).await?;
        leases::expect_held(&transaction, fence).await?;
        Ok(transaction)
    }

    /// Whether the write of this id was kept, and the place of its last event. One that was not never will be.
    async fn was_kept(&self, id: &[u8]) -> Result<Option<i64>, Failure> {
        let session = self.connect().await?;
        // Waits for the write, if it is still about to end.
        if session.execute(CLAIM, &[&id]).await? > 0 {
            return Ok(None);
        }
        // A write that can be seen here may not be on the standbys yet that it has to be on. This one comes to them later.
        let row = session.query_opt(KEPT, &[&id]).await?;
        let newest: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
        // Less is what an earlier question left, whose own answer was lost.
        Ok(newest.filter(|newest| *newest >= 0))
    }

    /// Asks what became of a write until somebody knows, for a while.
    async fn outcome(&self, id: &[u8]) -> Result<Option<i64>, Failure> {
        let asking = async {
            for pause in OUTCOME_PAUSES {
                sleep(pause).await;
                match self.was_kept(id).await {
                    Ok(kept) => return Ok(kept),
                    Err(error) => tracing::debug!(%error, "nobody says what became of a write"),
                }
            }
            Err(Failure::InDoubt)
        };
        timeout(OUTCOME_WAIT, asking).await.unwrap_or(Err(Failure::InDoubt))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The configuration has a password.
        f.debug_struct("Pool")
            .field("bounds", &self.bounds)
            .field("in_use", &self.in_use())
            .finish_non_exhaustive()
    }
}

/// How long whoever asks is kept waiting.
const OUTCOME_WAIT: Duration = Duration::from_secs(6);

/// Long enough for a server to be started again.
const OUTCOME_PAUSES: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(2),
];

/// In the order of the rows.
const LOCK: &str = "
    SELECT CASE WHEN shared THEN pg_advisory_xact_lock_shared(key) ELSE pg_advisory_xact_lock(key) END
    FROM unnest($1::bigint[], $2::boolean[]) AS wanted (key, shared)";

/// What is in the way is there already, or about to be.
const CLAIM: &str = "INSERT INTO kept (id, events) VALUES ($1, -1) ON CONFLICT (id) DO NOTHING";

const KEPT: &str = "UPDATE kept SET made = now() WHERE id = $1 RETURNING events";

const KEEP: &str = "INSERT INTO kept (id, events) VALUES ($1, 0)";

/// One in a thousand writes removes what the thousand before have left.
const FORGET_KEPT: &str = "
    DELETE FROM kept WHERE id IN (
        SELECT id FROM kept WHERE made < now() - INTERVAL '1 hour' LIMIT 4000 FOR UPDATE SKIP LOCKED)";

/// A connection that somebody uses. Goes back into the pool, once the server has nothing to do for whoever had it.
pub(super) struct Lent<'p> {
    session: Option<Session>,
    pool: &'p Pool,
    /// There until it is given back.
    permit: Option<OwnedSemaphorePermit>,
}

impl Deref for Lent<'_> {
    type Target = Session;

    #[expect(clippy::expect_used, reason = "only dropping takes it")]
    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a connection is there until it is given back")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take().filter(|session| !session.is_broken()) else { return };
        if session.in_flight.load(Ordering::Relaxed) == 0 {
            locked(&self.pool.idle).push(session);
            return;
        }
        // Its user has left before the answer: the next one must not wait for that. It counts as in use until then.
        let Ok(runtime) = Handle::try_current() else { return };
        let (idle, permit) = (Arc::clone(&self.pool.idle), self.permit.take());
        runtime.spawn(async move {
            // Answered after everything before it.
            if session.batch("").await.is_ok() {
                session.in_flight.store(0, Ordering::Relaxed);
                locked(&idle).push(session);
            }
            drop(permit);
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection, and the statements that were prepared on it.
pub(super) struct Session {
    client: Client,
    statements: Mutex<HashMap<Box<str>, Statement>>,
    /// How long an answer may take.
    patience: Duration,
    /// Statements that were begun and whose answer has not come, those included that nobody waits for any more.
    in_flight: AtomicUsize,
    /// One took longer.
    is_silent: AtomicBool,
}

impl Session {
    fn is_broken(&self) -> bool {
        self.client.is_closed() || self.is_silent.load(Ordering::Relaxed)
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let answer = timeout(self.patience, answer).await;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        match answer {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                self.is_silent.store(true, Ordering::Relaxed);
                Err(Failure::Silent)
            }
        }
    }

    /// There are as many as this program has statements.
    async fn prepared(&self, statement: &str) -> Result<Statement, tokio_postgres::Error> {
        let known = locked(&self.statements).get(statement).cloned();
        if let Some(prepared) = known {
            return Ok(prepared);
        }
        let prepared = self.client.prepare(statement).await?;
        locked(&self.statements).insert(statement.into(), prepared.clone());
        Ok(prepared)
    }

    pub(super) async fn query(&self, statement: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        self.in_time(async {
            let statement = self.prepared(statement).await?;
            self.client.query(&statement, params).await
        })
        .await
    }

    /// The first row, if there is one.
    pub(super) async fn query_opt(
        &self,
        statement: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, Failure> {
        Ok(self.query(statement, params).await?.into_iter().next())
    }

    /// Whether there is a row.
    pub(super) async fn exists(&self, statement: &str, params: Params<'_>) -> Result<bool, Failure> {
        Ok(self.query_opt(statement, params).await?.is_some())
    }

    /// Says how many rows changed.
    pub(super) async fn execute(&self, statement: &str, params: Params<'_>) -> Result<u64, Failure> {
        self.in_time(async {
            let statement = self.prepared(statement).await?;
            self.client.execute(&statement, params).await
        })
        .await
    }

    /// Takes rows as `COPY` reads them, until there are no more and however long that takes. Says how many there were.
    #[cfg(all(feature = "control", feature = "sqlite"))]
    pub(super) async fn copy(&self, statement: &str, mut rows: Receiver<Bytes>) -> Result<u64, Failure> {
        let mut sink = pin!(self.client.copy_in(statement).await?);
        while let Some(rows) = rows.recv().await {
            sink.send(rows).await?;
        }
        Ok(sink.finish().await?)
    }

    /// The rows of a question without values as they come, however long that takes.
    #[cfg(all(feature = "control", feature = "filesystem", feature = "sqlite", unix))]
    pub(super) async fn rows(&self, statement: &str) -> Result<RowStream, Failure> {
        Ok(self.client.query_raw(statement, std::iter::empty::<&(dyn ToSql + Sync)>()).await?)
    }

    /// Statements without values.
    pub(super) async fn batch(&self, statements: &str) -> Result<(), Failure> {
        self.in_time(self.client.batch_execute(statements)).await
    }
}

/// A transaction. One that is dropped without an end changes nothing.
pub(super) struct Transaction<'p> {
    lent: Lent<'p>,
    is_open: bool,
}

impl Deref for Transaction<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.lent
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // Sent by the first poll, before anything that whoever has the connection next may send.
            let _: Option<Result<(), _>> = self.lent.client.batch_execute("ROLLBACK").now_or_never();
        }
    }
}

impl Transaction<'_> {
    /// Ends it: everything is kept, with these entries in the log. Says the place of the last event.
    ///
    /// Where the connection is lost meanwhile, another one is asked what became of it.
    pub(super) async fn end(mut self, entries: &NewEntries) -> Result<EventSeq, Failure> {
        let id = Uuid::new_v4().into_bytes();
        let id = &id[..];
        let session: &Session = &self.lent;
        // Prepared before, so that what follows goes in one piece.
        let (statement, columns) = match entries.is_empty() {
            true => (KEEP, Vec::new()),
            false => (NewEntries::STATEMENT, entries.columns()),
        };
        let statement = session.in_time(session.prepared(statement)).await?;
        let params: Vec<&(dyn ToSql + Sync)> = [&id as &(dyn ToSql + Sync)]
            .into_iter()
            .chain(columns.iter().map(|column| &**column as _))
            .collect();
        self.is_open = false;
        let (log, end) = join(
            session.in_time(session.client.query(&statement, &params)),
            session.in_time(session.client.batch_execute("COMMIT")),
        )
        .await;
        let newest = match (log, end) {
            (Ok(rows), Ok(())) => match rows.first() {
                Some(row) => row.try_get(0)?,
                None => 0,
            },
            // What failed before it ended is undone.
            (Err(failure), _) if failure.is_answer() => return Err(failure),
            (_, Err(failure)) | (Err(failure), _) => {
                session.is_silent.store(true, Ordering::Relaxed);
                match self.lent.pool.outcome(id).await? {
                    Some(newest) => newest,
                    None => return Err(failure),
                }
            }
        };
        if self.lent.pool.writes.fetch_add(1, Ordering::Relaxed) % 1000 == 999
            && let Err(error) = self.execute(FORGET_KEPT, &[]).await
        {
            tracing::warn!(%error, "the memory of old writes is not removed");
        }
        Ok(EventSeq(newest.unsigned_abs()))
    }
}

// Locks.

/// What a write locks, and whether it shares it.
#[derive(Debug)]
pub(super) struct Locks {
    schema: i64,
    keys: BTreeMap<(Kind, i64), Sharing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Control,
    Repository,
    Digest,
    Work,
}

impl Kind {
    /// The same in every process, of whatever version.
    const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Repository => "repository",
            Self::Digest => "digest",
            Self::Work => "work",
        }
    }
}

/// The stricter one is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sharing {
    Alone,
    Shared,
}

impl Locks {
    /// Of what changes content.
    pub(super) fn beside_others(pool: &Pool) -> Self {
        Self::none(pool).with(Kind::Control, "", Sharing::Shared)
    }

    /// Of what changes people, rights, or counts that others rest on: beside nothing else.
    pub(super) fn alone(pool: &Pool) -> Self {
        Self::none(pool).with(Kind::Control, "", Sharing::Alone)
    }

    pub(super) fn none(pool: &Pool) -> Self {
        Self { schema: pool.schema.load(Ordering::Relaxed), keys: BTreeMap::new() }
    }

    pub(super) fn repository(self, name: &RepositoryName) -> Self {
        self.with(Kind::Repository, name.as_str(), Sharing::Alone)
    }

    pub(super) fn shared_repository(self, name: &RepositoryName) -> Self {
        self.with(Kind::Repository, name.as_str(), Sharing::Shared)
    }

    pub(super) fn digest(self, digest: &Digest) -> Self {
        self.with(Kind::Digest, &digest.to_string(), Sharing::Alone)
    }

    /// Work that is done one at a time.
    pub(super) fn work(self, name: &str) -> Self {
        self.with(Kind::Work, name, Sharing::Alone)
    }

    fn with(mut self, kind: Kind, name: &str, sharing: Sharing) -> Self {
        let named = Algorithm::Sha256.digest(format!("{}/{}/{name}", self.schema, kind.name()).as_bytes());
        let key = named.as_bytes().first_chunk().map_or(0, |first| i64::from_be_bytes(*first));
        self.keys.entry((kind, key)).and_modify(|before| *before = sharing.min(*before)).or_insert(sharing);
        self
    }

    fn in_order(&self) -> (Vec<i64>, Vec<bool>) {
        self.keys.iter().map(|((_, key), sharing)| (*key, *sharing == Sharing::Shared)).unzip()
    }
}

/// A value for a column of many.
pub(super) fn all<'a, T>(values: impl IntoIterator<Item = &'a T>) -> Vec<Sql<&'a T>> {
    values.into_iter().map(Sql).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Locks {
        Locks { schema: 1, keys: BTreeMap::new() }
    }

    /// Where a server takes connections and says nothing, each question by itself would take as long as it may.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_six_seconds_to_hear_what_became_of_a_write() {
        let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://swr@{}/registry?sslmode=disable", mute.local_addr().unwrap());
        let hour = Duration::from_secs(3600);
        let bounds = Bounds { connections_max: 1, wait: hour, statement: hour };
        let pool = Pool::new(url.parse().unwrap(), Tls::OFF, bounds);
        let asked = tokio::time::Instant::now();
        assert!(matches!(pool.outcome(&[1; 16]).await, Err(Failure::InDoubt)));
        assert_eq!(asked.elapsed().as_secs(), 6);
    }

    #[test]
    fn locks_are_taken_in_one_order_whatever_the_order_of_the_wishes() {
        let names: Vec<RepositoryName> =
            ["a", "b", "c", "d"].iter().map(|name| name.parse().unwrap()).collect();
        let digests: Vec<Digest> = (0..4u8).map(|n| Algorithm::Sha256.digest(&[n])).collect();
        let control = none().with(Kind::Control, "", Sharing::Shared);
        let there = names.iter().fold(control, Locks::repository);
        let there = digests.iter().fold(there, Locks::digest);
        let back = digests.iter().rev().fold(none(), Locks::digest);
        let back = names.iter().rev().fold(back, Locks::repository);
        let back = back.with(Kind::Control, "", Sharing::Shared);
        assert_eq!(there.in_order(), back.in_order());
        let (keys, shared) = there.in_order();
        assert_eq!(keys.len(), 9);
        assert_eq!(shared, [true, false, false, false, false, false, false, false, false]);
        assert!(keys[1..5].is_sorted() && keys[5..].is_sorted());
    }

    #[test]
    fn what_is_wished_alone_and_shared_is_locked_alone() {
        let name = "a".parse().unwrap();
        let alone = none().repository(&name);
        assert_eq!(none().shared_repository(&name).in_order().1, [true]);
        assert_eq!(none().shared_repository(&name).repository(&name).in_order(), alone.in_order());
        assert_eq!(none().repository(&name).shared_repository(&name).in_order(), alone.in_order());
    }

    #[test]
    fn registries_that_share_a_database_share_no_locks() {
        let name = "a".parse().unwrap();
        let other = Locks { schema: 2, ..none() };
        assert_ne!(other.repository(&name).in_order().0, none().repository(&name).in_order().0);
    }
}
