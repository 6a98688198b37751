//! The connections: one thread that writes, many commits at a time, and a few that read.

use std::fmt;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, ffi};
use tokio::sync::{Semaphore, oneshot};

use swr_core::commit::{CommitError, Require};
#[cfg(feature = "control")]
use swr_core::control::change::{MetadataCommitError, MetadataRequire};
use swr_core::digest::Digest;
use swr_core::planted::is_planted;
use swr_core::ports::{StoreError, StoreErrorKind};

use super::reserve::Reserve;

/// A connection that is used by one thread at a time. Never held across an await.
pub(super) type Shared = Arc<Mutex<Connection>>;

pub(super) fn locked(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A reader that panicked has changed nothing, and the writer rolls back what panicked.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

// Reading.

/// The connections that read: some for questions of a few microseconds, which are asked where the caller
/// runs, and some for lists, which are read on threads that may block.
pub(super) struct Readers {
    points: Pool,
    scans: Pool,
    /// As many as there are connections for lists, so that no thread blocks on one.
    permits: Arc<Semaphore>,
    /// Let go last.
    _lock: Option<File>,
}

/// At least one connection, taken in turn.
pub(super) struct Pool {
    first: Shared,
    others: Vec<Shared>,
    next: AtomicUsize,
}

impl Pool {
    pub(super) fn new(first: Shared, others: Vec<Shared>) -> Self {
        Self { first, others, next: AtomicUsize::new(0) }
    }

    fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// Waits only when every connection is in use.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> T) -> T {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.len();
        let in_turn = std::iter::once(&self.first).chain(&self.others).cycle().skip(turn).take(self.len());
        let mut free = in_turn.filter_map(|connection| match connection.try_lock() {
            Ok(free) => Some(free),
            Err(TryLockError::Poisoned(free)) => Some(free.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let connection = free.next().unwrap_or_else(|| locked(&self.first));
        read(&connection)
    }
}

impl Readers {
    pub(super) fn new(points: Pool, scans: Pool, lock: Option<File>) -> Self {
        let permits = Arc::new(Semaphore::new(scans.len()));
        Self { points, scans, permits, _lock: lock }
    }

    /// Asks a question of one statement that finds its answer by keys, where the caller runs.
    pub(super) fn point<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.points.with(read).map_err(|error| failure(operation, error))
    }

    /// Reads on a thread that may block. All statements of `read` see the same state.
    pub(super) async fn scan<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let readers = Arc::clone(self);
        on_a_thread(operation, move || {
            let _permit = permit;
            readers
                .scans
                .with(|connection| read(&*connection.unchecked_transaction()?))
                .map_err(|error| failure(operation, error))
        })
        .await
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("points", &self.points.len())
            .field("scans", &self.scans.len())
            .finish_non_exhaustive()
    }
}

/// Runs what blocks on a thread for it.
pub(super) async fn on_a_thread<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => match runtime.spawn_blocking(work).await {
            Ok(answer) => answer,
            Err(error) if error.is_cancelled() => {
                Err(StoreError::new(StoreErrorKind::Unavailable, operation, error))
            }
            Err(error) => Err(StoreError::new(StoreErrorKind::Other, operation, error)),
        },
        Err(_) => work(),
    }
}

// Writing.

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
    /// The disk is full, and what room there is, is kept for removals.
    NoRoom,
    /// Too many writes wait already.
    Crowded,
    /// It panicked; nothing of it is left.
    Panicked,
    /// The thread that writes is no more.
    Stopped,
    /// The database failed.
    Failed(Arc<rusqlite::Error>),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl WriteError {
    /// As the error of `operation`.
    pub(super) fn of(self, operation: &'static str) -> StoreError {
        let (kind, why) = match self {
            Self::Fenced => return StoreError::fenced(operation),
            Self::Failed(error) => return StoreError::new(kind_of(&error), operation, error),
            Self::NoRoom => (StoreErrorKind::Full, "what room is left on the disk is kept for removals"),
            Self::Crowded => (StoreErrorKind::Unavailable, "too many writes are waiting"),
            Self::Panicked => (StoreErrorKind::Other, "the write panicked"),
            Self::Stopped => (StoreErrorKind::Other, "the writing thread has ended"),
            #[cfg(feature = "control")]
            Self::UnmetMetadata(_) => (StoreErrorKind::Other, "the write was refused"),
            Self::Unmet(_) | Self::BytesGone(_) => (StoreErrorKind::Other, "the write was refused"),
        };
        StoreError::new(kind, operation, why)
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

/// A failure of the database as the error of `operation`.
pub(super) fn failure(operation: &'static str, error: rusqlite::Error) -> StoreError {
    StoreError::new(kind_of(&error), operation, error)
}

fn kind_of(error: &rusqlite::Error) -> StoreErrorKind {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match (failure.code, failure.extended_code) {
            // Growing the shared memory file fails so where a write to another file would say that it is full.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreErrorKind::Full,
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory, _) => {
                StoreErrorKind::Unavailable
            }
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Other,
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    }
}

/// Whether an error concerns every write, and not the one that met it.
fn concerns_all(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory)
    )
}

/// Whether the disk said that it could not keep what it was given. It may forget that it said so, and take
/// the next attempt for a success.
fn is_sync_failure(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    )
}

/// What a write may use.
pub(super) struct Writing<'a> {
    pub(super) connection: &'a Connection,
    is_short: bool,
}

impl Writing<'_> {
    /// To be asked before anything is added that was not there. Refused while the disk is full.
    pub(super) fn claim_room(&self) -> Result<(), WriteError> {
        if self.is_short { Err(WriteError::NoRoom) } else { Ok(()) }
    }
}

/// The way to the thread that writes. With the last of these the thread comes to its end, and is awaited.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<WriterState>,
    queue_max: usize,
}

/// What is seen of the writing thread from outside.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    pub(super) queued: AtomicUsize,
    pub(super) commits: AtomicU64,
    pub(super) transactions: AtomicU64,
    /// Twice the number of transactions that are answered for, or are about to be, and one more while the next one
    /// may be seen.
    changes: AtomicU64,
    pub(super) wal_bytes: AtomicU64,
    pub(super) is_short: AtomicBool,
    /// The last transaction failed.
    has_failed: AtomicBool,
}

impl WriterState {
    fn may_be_seen(&self) {
        self.changes.fetch_or(1, Ordering::AcqRel);
    }

    fn is_answered(&self) {
        self.may_be_seen();
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Goes up with each transaction, before anybody is told of it: whoever read before has to read anew to know.
    #[cfg(any(feature = "control", test))]
    pub(super) fn answered(&self) -> u64 {
        self.changes.load(Ordering::Acquire) / 2
    }

    /// How many transactions have been answered for, while nobody can have seen more than these.
    pub(super) fn settled(&self) -> Option<u64> {
        if is_planted("a read that outlives a write") {
            return Some(0);
        }
        let changes = self.changes.load(Ordering::Acquire);
        changes.is_multiple_of(2).then_some(changes / 2)
    }
}

/// A write that waits for its transaction. It may be applied more than once, of which one is kept.
trait Job: Send {
    fn is_awaited(&self) -> bool;
    fn apply(&mut self, writing: &Writing<'_>) -> Applied;
    /// `transaction`: whether what was applied is kept.
    fn answer(self: Box<Self>, transaction: Result<(), Arc<rusqlite::Error>>);
}

enum Applied {
    Kept,
    Undone,
    NoRoom,
    /// Nothing can be written now.
    Failed(Arc<rusqlite::Error>),
}

struct Request<W, T> {
    write: W,
    answer: Option<Result<T, WriteError>>,
    reply: oneshot::Sender<Result<T, WriteError>>,
}

impl<W, T> Job for Request<W, T>
where
    W: FnMut(&Writing<'_>) -> Result<T, WriteError> + Send,
    T: Send,
{
    fn is_awaited(&self) -> bool {
        !self.reply.is_closed()
    }

    fn apply(&mut self, writing: &Writing<'_>) -> Applied {
        let answer = catch_unwind(AssertUnwindSafe(|| (self.write)(writing)));
        let answer = answer.unwrap_or(Err(WriteError::Panicked));
        let applied = match &answer {
            Ok(_) => Applied::Kept,
            Err(WriteError::NoRoom) => Applied::NoRoom,
            Err(WriteError::Failed(error)) if concerns_all(error) => Applied::Failed(Arc::clone(error)),
            Err(_) => Applied::Undone,
        };
        self.answer = Some(answer);
        applied
    }

    fn answer(self: Box<Self>, transaction: Result<(), Arc<rusqlite::Error>>) {
        let answer = match (transaction, self.answer) {
            // What a lost transaction refused may have rested on what was lost.
            (Err(error), _) => Err(WriteError::Failed(error)),
            (Ok(()), Some(answer)) => answer,
            (Ok(()), None) => return,
        };
        // Whoever no longer waits does not need the answer.
        let _: Result<(), _> = self.reply.send(answer);
    }
}

impl Writer {
    /// Begins to write on `connection`.
    pub(super) fn start(
        connection: Shared,
        reserve: Reserve,
        wal: Option<Wal>,
        queue_max: usize,
    ) -> io::Result<Self> {
        let (sender, queue) = sync_channel(queue_max);
        let state = Arc::new(WriterState::default());
        let restart_at = wal.map_or(i64::MAX, |wal| wal.frames_max);
        let scribe =
            Scribe { connection, queue, reserve, wal, restart_at, state: Arc::clone(&state), halted: None };
        scribe.put_reserve(&locked(&scribe.connection));
        let thread = thread::Builder::new().name("sqlite-writer".into()).spawn(move || scribe.run())?;
        Ok(Self { queue: Some(sender), thread: Some(thread), state, queue_max })
    }

    /// Applies `write` whole or not at all; when it is done, it is on the disk. A caller that stops waiting
    /// leaves either.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        write: impl FnMut(&Writing<'_>) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(WriteError::Stopped)?;
        self.state.queued.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = queue.try_send(Box::new(Request { write, answer: None, reply })) {
            self.state.queued.fetch_sub(1, Ordering::Relaxed);
            return Err(match error {
                TrySendError::Full(_) => WriteError::Crowded,
                TrySendError::Disconnected(_) => WriteError::Stopped,
            });
        }
        answer.await.unwrap_or(Err(WriteError::Stopped))
    }

    /// Says whether a write would be taken now. Only where the last one failed, one is tried.
    pub(super) async fn probe(&self) -> Result<(), WriteError> {
        let state = &self.state;
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(WriteError::Stopped);
        }
        if state.queued.load(Ordering::Relaxed) >= self.queue_max {
            return Err(WriteError::Crowded);
        }
        if !state.has_failed.load(Ordering::Relaxed) && !state.is_short.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.write(|writing| {
            writing.claim_room()?;
            // The same value again: the page that it stands on is written all the same.
            let format: i64 =
                writing.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok(writing.connection.pragma_update(None, "user_version", format)?)
        })
        .await
    }

    pub(super) fn state(&self) -> &WriterState {
        &self.state
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without a sender the thread ends after what waits already.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _: Result<(), _> = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("state", &self.state).finish_non_exhaustive()
    }
}

/// When the WAL is moved into the database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wal {
    /// One frame: a page and its header.
    pub(super) frame_bytes: u64,
    /// As many frames are left to lie before they are moved.
    pub(super) frames: i64,
    /// From as many on readers are awaited for a moment, so that the WAL begins anew.
    pub(super) frames_max: i64,
    /// How long a connection waits otherwise.
    pub(super) busy_timeout: Duration,
}

/// How long the writer waits for readers when the WAL should begin anew.
const RESTART_WAIT: Duration = Duration::from_millis(50);

/// The one that writes.
struct Scribe {
    connection: Shared,
    queue: Receiver<Box<dyn Job>>,
    reserve: Reserve,
    /// None where there is no WAL.
    wal: Option<Wal>,
    /// The length at which readers are awaited next.
    restart_at: i64,
    state: Arc<WriterState>,
    /// What made it stop writing for good.
    halted: Option<Arc<rusqlite::Error>>,
}

/// A transaction takes no more writes than this, nor any after it has added so many pages or lasted so long.
const BATCH_MAX: usize = 512;
const BATCH_PAGES_MAX: i64 = 1000;
const BATCH_TIME_MAX: Duration = Duration::from_millis(20);

impl Scribe {
    fn run(mut self) {
        let connection = Arc::clone(&self.connection);
        while let Ok(first) = self.queue.recv() {
            let connection = locked(&connection);
            self.taken();
            let mut jobs = vec![first];
            let mut outcome = self.transaction(&connection, &mut jobs);
            if outcome.as_ref().is_err_and(|error| is_full(error)) && !self.is_short() {
                // Should this fail as well, the second attempt will.
                let _: rusqlite::Result<_> = self.fall_short(&connection);
                outcome = self.transaction(&connection, &mut jobs);
            }
            self.state.has_failed.store(outcome.is_err(), Ordering::Relaxed);
            // Before anybody is answered; and whatever came of it, since a failure may have left something.
            self.state.is_answered();
            for job in jobs {
                job.answer(outcome.clone());
            }
            match outcome {
                Ok(()) => self.checkpoint(&connection),
                Err(error) => self.judge(&error),
            }
        }
        // What is left in the WAL is safe there; the database is easier to carry about without it.
        if self.wal.is_some() && self.halted.is_none() {
            let _: rusqlite::Result<_> = wal_state(&locked(&connection), "PASSIVE");
        }
    }

    fn taken(&self) {
        self.state.queued.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_short(&self) -> bool {
        self.state.is_short.load(Ordering::Relaxed)
    }

    /// Applies the jobs, and those that come meanwhile, in one transaction.
    fn transaction(
        &mut self,
        connection: &Connection,
        jobs: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), Arc<rusqlite::Error>> {
        if let Some(error) = &self.halted {
            return Err(Arc::clone(error));
        }
        let began = Instant::now();
        let outcome = execute(connection, "BEGIN IMMEDIATE").and_then(|()| {
            let pages = page_count(connection)?;
            let mut kept = 0;
            let mut done = 0;
            while let Some(job) = jobs.get_mut(done) {
                kept += u64::from(self.apply(connection, job.as_mut())?);
                done += 1;
                if done == jobs.len()
                    && done < BATCH_MAX
                    && began.elapsed() < BATCH_TIME_MAX
                    && page_count(connection)? - pages < BATCH_PAGES_MAX
                    && let Ok(next) = self.queue.try_recv()
                {
                    self.taken();
                    jobs.push(next);
                }
            }
            if is_planted("early answers") {
                jobs.drain(..).for_each(|job| job.answer(Ok(())));
                thread::sleep(BATCH_TIME_MAX);
            }
            self.state.may_be_seen();
            execute(connection, "COMMIT")?;
            Ok(kept)
        });
        match outcome {
            Ok(kept) => {
                self.state.commits.fetch_add(kept, Ordering::Relaxed);
                self.state.transactions.fetch_add(u64::from(kept > 0), Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                if !connection.is_autocommit()
                    && let Err(error) = execute(connection, "ROLLBACK")
                {
                    tracing::error!(%error, "a transaction cannot be taken back");
                }
                Err(error)
            }
        }
    }

    /// Applies one job, or leaves the transaction as it was. Says which.
    fn apply(&self, connection: &Connection, job: &mut dyn Job) -> Result<bool, Arc<rusqlite::Error>> {
        if !job.is_awaited() {
            return Ok(false);
        }
        let mut apply = || {
            execute(connection, "SAVEPOINT job")?;
            let applied = job.apply(&Writing { connection, is_short: self.is_short() });
            if let Applied::Failed(error) = applied {
                return Err(error);
            }
            if !matches!(applied, Applied::Kept) {
                execute(connection, "ROLLBACK TO job")?;
            }
            execute(connection, "RELEASE job")?;
            Ok(applied)
        };
        let mut applied = apply()?;
        if matches!(applied, Applied::NoRoom) && self.put_reserve(connection) {
            applied = apply()?;
        }
        Ok(matches!(applied, Applied::Kept))
    }

    /// Moves the WAL into the database when it has become long enough.
    fn checkpoint(&mut self, connection: &Connection) {
        let Some(wal) = self.wal else { return };
        let mut moved = wal_state(connection, "NOOP");
        if let Ok(state) = &moved
            && state.waiting() >= wal.frames
        {
            moved = wal_state(connection, "PASSIVE");
        }
        if moved.as_ref().is_err_and(is_full) && !self.is_short() {
            moved = self.fall_short(connection);
        }
        if let Ok(state) = &moved
            && state.frames >= self.restart_at
        {
            moved = connection
                .busy_timeout(RESTART_WAIT)
                .and_then(|()| wal_state(connection, "RESTART"))
                .and_then(|state| connection.busy_timeout(wal.busy_timeout).map(|()| state));
            // One that reads for long is not awaited at every turn.
            self.restart_at = match &moved {
                Ok(state) if state.is_busy => state.frames.saturating_add(wal.frames),
                _ => wal.frames_max,
            };
        }
        match moved {
            Ok(state) => {
                let frames = u64::try_from(state.frames).unwrap_or(0);
                self.state.wal_bytes.store(frames.saturating_mul(wal.frame_bytes), Ordering::Relaxed);
            }
            Err(error) => self.judge(&Arc::new(error)),
        }
    }

    /// Stops for good where going on could lose what is said to be kept.
    fn judge(&mut self, error: &Arc<rusqlite::Error>) {
        tracing::error!(%error, "the database cannot be written");
        if is_sync_failure(error) && !is_planted("commits after a failed sync") {
            self.halted = Some(Arc::clone(error));
            self.state.has_failed.store(true, Ordering::Relaxed);
        }
    }

    /// The disk is full. What is in the WAL is moved by means of the reserve, the rest of which becomes free
    /// pages of the database; from here on it does not grow.
    fn fall_short(&self, connection: &Connection) -> rusqlite::Result<WalState> {
        tracing::warn!("the disk is full: what room is left is kept for removals");
        self.state.is_short.store(true, Ordering::Relaxed);
        let mut moved = self.move_by_reserve(connection);
        while moved.is_ok() && self.reserve.give_piece() {
            moved = connection
                .execute("INSERT INTO reserve (zeros) VALUES (zeroblob(?1))", [Reserve::PIECE])
                .and_then(|_| self.move_by_reserve(connection));
        }
        connection.execute("DELETE FROM reserve", [])?;
        limit_pages(connection, PAGES_NOW)?;
        moved
    }

    /// Moves the WAL into the database, for which the reserve gives what the disk does not have.
    fn move_by_reserve(&self, connection: &Connection) -> rusqlite::Result<WalState> {
        loop {
            match wal_state(connection, "PASSIVE") {
                Err(error) if is_full(&error) && self.reserve.give_piece() => {}
                moved => return moved,
            }
        }
    }

    /// Says whether there is room again.
    fn put_reserve(&self, connection: &Connection) -> bool {
        let put = self.reserve.put().map_err(|error| error.to_string());
        let pages = if put.is_ok() { PAGES_MAX } else { PAGES_NOW };
        let put = put.and_then(|()| limit_pages(connection, pages).map_err(|error| error.to_string()));
        if let Err(error) = &put {
            tracing::debug!(error, "no room on the disk can be kept for removals");
        }
        self.state.is_short.store(put.is_err(), Ordering::Relaxed);
        put.is_ok()
    }
}

/// As many pages as SQLite has numbers for.
const PAGES_MAX: i64 = 0xffff_fffe;

/// As many pages as there are: the limit is never below that.
const PAGES_NOW: i64 = 1;

/// The database grows no further than this.
fn limit_pages(connection: &Connection, pages: i64) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}

fn is_full(error: &rusqlite::Error) -> bool {
    kind_of(error) == StoreErrorKind::Full
}

fn execute(connection: &Connection, statement: &str) -> Result<(), Arc<rusqlite::Error>> {
    connection.prepare_cached(statement).and_then(|mut prepared| prepared.execute([])).map_err(Arc::new)?;
    Ok(())
}

fn page_count(connection: &Connection) -> Result<i64, Arc<rusqlite::Error>> {
    let mut count = connection.prepare_cached("PRAGMA page_count").map_err(Arc::new)?;
    count.query_row([], |row| row.get(0)).map_err(Arc::new)
}

struct WalState {
    /// Readers stood in the way.
    is_busy: bool,
    /// How many frames it has.
    frames: i64,
    /// How many of them are in the database as well.
    moved: i64,
}

impl WalState {
    const fn waiting(&self) -> i64 {
        self.frames - self.moved
    }
}

/// What a checkpoint of this mode leaves.
fn wal_state(connection: &Connection, mode: &str) -> rusqlite::Result<WalState> {
    let mut checkpoint = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    checkpoint
        .query_row([], |row| Ok(WalState { is_busy: row.get(0)?, frames: row.get(1)?, moved: row.get(2)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> (Writer, Shared) {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE kept (n INTEGER UNIQUE)").unwrap();
        let connection = Arc::new(Mutex::new(connection));
        (Writer::start(Arc::clone(&connection), Reserve::none(), None, 64).unwrap(), connection)
    }

    fn keep(n: i64) -> impl FnMut(&Writing<'_>) -> Result<(), WriteError> + Send + 'static {
        move |writing| {
            writing.connection.execute("INSERT INTO kept VALUES (?1)", [n])?;
            assert_ne!(n, 3, "three is refused by panicking");
            Ok(())
        }
    }

    fn kept(connection: &Shared) -> Vec<i64> {
        let connection = locked(connection);
        let mut kept = connection.prepare("SELECT n FROM kept ORDER BY n").unwrap();
        kept.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[tokio::test]
    async fn a_write_that_panics_is_an_error_and_leaves_nothing() {
        let (writer, connection) = writer();
        // All of them wait while the connection is in use, and share a transaction.
        let in_use = locked(&connection);
        let all = futures_util::future::join_all((1..=5).map(|n| writer.write(keep(n))));
        let free = async {
            tokio::task::yield_now().await;
            drop(in_use);
        };
        let (answers, ()) = futures_util::future::join(all, free).await;
        for (n, answer) in (1..).zip(answers) {
            assert_eq!(answer.is_ok(), n != 3, "{n}: {answer:?}");
            assert!(n != 3 || matches!(answer, Err(WriteError::Panicked)));
        }
        assert_eq!(kept(&connection), [1, 2, 4, 5]);
        assert_eq!(writer.state().commits.load(Ordering::Relaxed), 4);
        writer.probe().await.unwrap();
    }

    #[test]
    fn nothing_is_settled_while_a_transaction_may_be_seen() {
        let state = WriterState::default();
        let before = state.settled();
        assert!(before.is_some());
        state.may_be_seen();
        assert_eq!(state.settled(), None);
        assert_eq!(Some(state.answered()), before, "nobody has been answered yet");
        state.is_answered();
        assert!(state.settled() > before && state.settled() == Some(state.answered()));
        // One that could not be begun is answered all the same.
        let failed = state.settled();
        state.is_answered();
        assert!(state.settled() > failed);
    }

    #[tokio::test]
    async fn a_write_that_fails_takes_none_of_its_neighbours_along() {
        let (writer, connection) = writer();
        writer.write(keep(1)).await.unwrap();
        let answers = futures_util::future::join_all([1, 2, 1, 4].map(|n| writer.write(keep(n)))).await;
        let is_kept: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(is_kept, [false, true, false, true]);
        assert_eq!(kept(&connection), [1, 2, 4]);
    }

    #[tokio::test]
    async fn when_a_transaction_is_lost_nobody_is_told_otherwise() {
        let (writer, connection) = writer();
        let in_use = locked(&connection);
        let lose = |writing: &Writing<'_>| -> Result<(), WriteError> {
            writing.connection.execute_batch("ROLLBACK")?;
            Ok(())
        };
        let all =
            futures_util::future::join3(writer.write(keep(1)), writer.write(lose), writer.write(keep(2)));
        let free = async {
            tokio::task::yield_now().await;
            drop(in_use);
        };
        let ((first, lost, second), ()) = futures_util::future::join(all, free).await;
        // The first may have had a transaction of its own.
        assert_eq!(first.is_ok(), kept(&connection).contains(&1));
        assert!(lost.is_err());
        assert_eq!(second.is_ok(), kept(&connection).contains(&2));
        writer.write(keep(9)).await.unwrap();
        writer.probe().await.unwrap();
    }

    #[test]
    fn what_was_queued_is_written_before_the_writer_ends() {
        let (writer, connection) = writer();
        let in_use = locked(&connection);
        let answers: Vec<_> = (10..20)
            .map(|n| {
                let (reply, answer) = oneshot::channel();
                let request = Request { write: keep(n), answer: None, reply };
                writer.queue.as_ref().unwrap().try_send(Box::new(request)).unwrap();
                answer
            })
            .collect();
        let ended = thread::spawn(move || drop(writer));
        drop(in_use);
        ended.join().unwrap();
        for answer in answers {
            answer.blocking_recv().unwrap().unwrap();
        }
        assert_eq!(kept(&connection), (10..20).collect::<Vec<_>>());
    }

    #[test]
    fn failures_are_told_apart() {
        let of = |code| kind_of(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for (code, kind) in [
            (ffi::SQLITE_FULL, StoreErrorKind::Full),
            (ffi::SQLITE_IOERR_SHMSIZE, StoreErrorKind::Full),
            (ffi::SQLITE_BUSY, StoreErrorKind::Unavailable),
            (ffi::SQLITE_BUSY_SNAPSHOT, StoreErrorKind::Unavailable),
            (ffi::SQLITE_LOCKED, StoreErrorKind::Unavailable),
            (ffi::SQLITE_CORRUPT, StoreErrorKind::Corrupt),
            (ffi::SQLITE_NOTADB, StoreErrorKind::Corrupt),
            (ffi::SQLITE_IOERR_WRITE, StoreErrorKind::Other),
            (ffi::SQLITE_READONLY, StoreErrorKind::Other),
        ] {
            assert_eq!(of(code), kind, "{code}");
        }
    }
}
