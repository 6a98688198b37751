//! Bytes on their way: hashed as they come, written in batches on threads, synced before they are counted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures_util::stream::{BoxStream, StreamExt as _};
use rustix::fs::OFlags;
use rustix::io::Errno;
use swr_core::commit::StoredBlob;
use swr_core::digest::{Algorithm, Digest, Hasher};
use swr_core::planted::is_planted;
use swr_core::ports::{AbandonError, AppendError, FinishError, StoreError, StoreErrorKind, UploadStore};
use swr_core::stream::{BodyError, ByteStream};
use swr_core::upload::{Upload, UploadId};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::layout::{self, Place, UploadFile};
use super::session::{Found, Session};
use super::walk::{foreign, walk};
use super::{FilesystemBlobs, Root, blocking, fault};
use crate::claims::{Claim, Taken, Work};

/// How much is hashed before others get their turn on a runtime's thread, in bytes: some 35 µs.
const SLICE: usize = 64 * 1024;
/// How much is written at once, in bytes: whole pages. An append holds at most two of these.
const BATCH: usize = 1024 * 1024;
/// What is shorter is copied together, so that a body in tiny pieces costs no memory beyond its bytes.
const SMALL: usize = 16 * 1024;
/// How much of one append a crash of the process can lose, in bytes.
const CHECKPOINT: u64 = 256 * 1024 * 1024;

#[async_trait]
impl UploadStore for FilesystemBlobs {
    #[tracing::instrument(level = "debug", skip_all, fields(upload = %upload.id))]
    async fn begin(&self, upload: &Upload) -> Result<(), StoreError> {
        const OPERATION: &str = "uploads.begin";
        let (root, session) = (self.root.clone(), Session::begun(upload));
        blocking(OPERATION, move || {
            root.check_room(OPERATION, 0)?;
            session.create(&root.folders).map_err(|error| fault(OPERATION, error))
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn find(&self, id: &UploadId) -> Result<Option<Upload>, StoreError> {
        const OPERATION: &str = "uploads.find";
        if self.root.claims.at_rest(id).await == Err(Taken::Failed) {
            return Ok(None);
        }
        // Where the caller runs: it is small and nearly always in memory, and every request about an upload asks for it.
        Ok(self.root.known(OPERATION, id)?.map(|known| known.session.upload))
    }

    #[tracing::instrument(level = "debug", skip(self, body, at))]
    async fn append(
        &self,
        id: &UploadId,
        offset: u64,
        mut body: ByteStream,
        at: DateTime<Utc>,
    ) -> Result<u64, AppendError> {
        let claim = match self.root.claims.claim(id).await {
            Ok(claim) => claim,
            Err(Taken::Failed) => return Err(AppendError::Unknown),
            Err(Taken::Streaming) => {
                let upload = self.find(id).await?.ok_or(AppendError::Unknown)?;
                return Err(AppendError::Offset { offset: upload.offset });
            }
        };
        let writer = self.root.writer().await;
        let (root, coming) = (self.root.clone(), body.length().unwrap_or(0));
        let begun = blocking(APPEND, move || {
            let _writer = writer;
            Append::begin(root, claim, offset, coming, at)
        });
        let begun = begun.await?;
        // Said here and not on the thread: until then, whoever comes after a call that was dropped waits.
        begun.claim.turn_to(Work::Streaming);
        let mut append = Settling(Some(begun));
        let mut broken_off = None;
        if let Settling(Some(append)) = &mut append {
            broken_off = append.take_in(&mut body).await;
            append.write_ended().await;
        }
        let writer = self.root.writer().await;
        let Some(append) = append.take() else { return Err(AppendError::Unknown) };
        let offset = blocking(APPEND, move || {
            let _writer = writer;
            append.settle()
        });
        let offset = offset.await?;
        match broken_off {
            None => Ok(offset),
            Some(error) => Err(AppendError::Body { error, offset }),
        }
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn finish(&self, id: &UploadId, expected: &Digest) -> Result<StoredBlob, FinishError> {
        let claim = match self.root.claims.claim(id).await {
            Ok(claim) => claim,
            Err(Taken::Failed) => return Err(FinishError::Unknown),
            Err(Taken::Streaming) => return Err(FinishError::Busy),
        };
        let writer = self.root.writer().await;
        let (root, expected) = (self.root.clone(), *expected);
        blocking(FINISH, move || {
            let _writer = writer;
            root.finish(&claim, &expected)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn forget(&self, id: &UploadId) -> Result<(), StoreError> {
        const OPERATION: &str = "uploads.forget";
        let claim = match self.root.claims.claim(id).await {
            Ok(claim) => claim,
            Err(Taken::Failed) => return Ok(()),
            Err(Taken::Streaming) => return Err(fault(OPERATION, Errno::BUSY.into())),
        };
        let root = self.root.clone();
        blocking(OPERATION, move || root.remove_upload(claim.id()).map_err(|error| fault(OPERATION, error)))
            .await
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn abandon(&self, id: &UploadId) -> Result<(), AbandonError> {
        const OPERATION: &str = "uploads.abandon";
        let claim = match self.root.claims.claim(id).await {
            Ok(claim) => claim,
            Err(Taken::Failed) => return Ok(()),
            Err(Taken::Streaming) => return Err(AbandonError::Busy),
        };
        let root = self.root.clone();
        blocking(OPERATION, move || {
            let failed = |error| fault(OPERATION, error);
            if let Found::Whole(session) = Session::load(&root.folders, claim.id()).map_err(failed)?
                && let Some(stored) = session.stored
            {
                return Err(AbandonError::Finished(stored));
            }
            Ok(root.remove_upload(claim.id()).map_err(failed)?)
        })
        .await
    }

    /// Uploads without a byte since `cutoff`. What a power cut left that no upload can be made of any more,
    /// bytes without a session or a torn session, is removed on the way once it is that old.
    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<Upload, StoreError>> {
        walk(
            &self.root,
            IDLE,
            |root| layout::open_folder(&root.folders.uploads, ".").map(Some),
            move |root, name| match UploadFile::parse(name) {
                Some(UploadFile::Session(id)) => root.idle_session(&id, cutoff),
                Some(UploadFile::Bytes(id)) => root.sweep_bytes(&id, cutoff).map(|()| None),
                None => {
                    foreign(name);
                    Ok(None)
                }
            },
        )
        .boxed()
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let root = self.root.clone();
        blocking("uploads.probe", move || root.check_room("uploads.probe", 0)).await
    }
}

const APPEND: &str = "uploads.append";
const FINISH: &str = "uploads.finish";
const IDLE: &str = "uploads.idle_since";

/// An upload that can go on, or has been finished.
struct Known {
    session: Session,
    /// How long the file with its bytes is; no shorter than the session says, unless it has been finished.
    length: u64,
}

impl Root {
    /// What is known of an upload. One whose session or bytes did not survive a power cut is unknown.
    fn known(&self, operation: &'static str, id: &UploadId) -> Result<Option<Known>, StoreError> {
        let failed = |error| fault(operation, error);
        let session = match Session::load(&self.folders, id).map_err(failed)? {
            Found::Nothing => return Ok(None),
            Found::Torn => {
                tracing::warn!(upload = %id, "the upload's session cannot be read: it is unknown from here on");
                return Ok(None);
            }
            Found::Whole(session) => *session,
        };
        if session.stored.is_some() {
            return Ok(Some(Known { session, length: 0 }));
        }
        let length = match layout::status(&self.folders.uploads, id.as_str()).map_err(failed)? {
            None => Some(0),
            // A second name would mean that these are finished bytes as well: no move tears so on a file
            // system with a journal, but where one did, nothing may be appended.
            Some(status) => layout::file_length(&status).filter(|_| status.st_nlink == 1),
        };
        match length.filter(|length| *length >= session.upload.offset) {
            Some(length) => Ok(Some(Known { session, length })),
            None => {
                tracing::error!(upload = %id, "the upload's bytes are not what was saved: it is unknown from here on");
                Ok(None)
            }
        }
    }

    /// Checks the content, names its place, moves it there. Each step may have been taken before.
    fn finish(&self, claim: &Claim, expected: &Digest) -> Result<StoredBlob, FinishError> {
        let failed = |error| fault(FINISH, error);
        let id = claim.id();
        let Known { session, length } = self.known(FINISH, id)?.ok_or(FinishError::Unknown)?;
        let place = Place::new(*expected, id.clone());
        let stored = match session.stored {
            Some(stored) if stored.digest != *expected => return Err(FinishError::Busy),
            Some(stored) => stored,
            None => {
                let size = session.upload.offset;
                let kept = session.hasher().filter(|hasher| hasher.algorithm() == expected.algorithm());
                let file = if kept.is_none() || length != size || size == 0 {
                    let flags = if size == 0 { OFlags::RDWR | OFlags::CREATE } else { OFlags::RDWR };
                    Some(layout::open(&self.folders.uploads, id.as_str(), flags).map_err(failed)?)
                } else {
                    None
                };
                let hasher = match (kept, &file) {
                    (Some(hasher), _) => hasher,
                    (None, Some(file)) => rehash(file, expected.algorithm(), size).map_err(failed)?,
                    (None, None) => return Err(failed(io::ErrorKind::InvalidData.into()).into()),
                };
                let actual = hasher.finish();
                if actual != *expected {
                    return Err(FinishError::DigestMismatch { actual });
                }
                // What the session counts is on the disk already. That there is no more of it may not be.
                if let Some(file) = file.filter(|_| length != size || size == 0) {
                    file.set_len(size).map_err(failed)?;
                    file.sync_all().map_err(|error| self.condemn(claim, None, fault(FINISH, error)))?;
                }
                let stored = StoredBlob { digest: actual, size, location: place.location() };
                let session = session.finished(stored.clone());
                session.save(&self.folders).map_err(failed)?;
                stored
            }
        };
        let folder = self.folders.folder_for(&place).map_err(failed)?;
        // Nothing else can be there to be replaced: the place is that of this digest and this upload.
        match rustix::fs::renameat(&self.folders.uploads, id.as_str(), &folder, place.name()) {
            Ok(()) => {}
            Err(Errno::NOENT) if self.size_at(&place).map_err(failed)? == Some(stored.size) => {}
            Err(Errno::NOENT) => {
                let gone = format!("{} has neither been moved nor is it there to be", stored.location);
                return Err(StoreError::new(StoreErrorKind::Corrupt, FINISH, gone).into());
            }
            Err(error) => return Err(failed(error.into()).into()),
        }
        if !is_planted("unsynced name") {
            folder
                .sync_all()
                .map_err(|error| self.condemn(claim, Some((&folder, &place)), fault(FINISH, error)))?;
        }
        Ok(stored)
    }

    /// Ends an upload whose bytes could not be synced. After that nobody knows what the disk has, and to sync
    /// once more would only say that nothing is left to be written. Gives back why.
    fn condemn(&self, claim: &Claim, moved: Option<(&File, &Place)>, why: StoreError) -> StoreError {
        tracing::error!(upload = %claim.id(), error = &why as &dyn std::error::Error, "an upload could not be synced: it is removed");
        // The session first: without it the upload is unknown, whatever else remains.
        if layout::remove(&self.folders.uploads, &layout::session_name(claim.id())).is_err() {
            claim.turn_to(Work::Failed);
        }
        let bytes = match moved {
            None => layout::remove(&self.folders.uploads, claim.id().as_str()),
            Some((folder, place)) => layout::remove(folder, &place.name()),
        };
        if let Err(error) = bytes {
            tracing::error!(upload = %claim.id(), %error, "the bytes of a failed upload could not be removed");
        }
        why
    }

    /// Cuts off what the session does not count, and syncs: what is appended next must not meet what is
    /// left of it after a crash.
    fn cut(&self, claim: &Claim, file: &File, length: u64) -> Result<(), StoreError> {
        file.set_len(length).map_err(|error| fault(APPEND, error))?;
        file.sync_all().map_err(|error| self.condemn(claim, None, fault(APPEND, error)))
    }

    /// Removes the bytes, then the session: a crash in between leaves a session, which is found again.
    fn remove_upload(&self, id: &UploadId) -> io::Result<()> {
        layout::remove(&self.folders.uploads, id.as_str())?;
        layout::remove(&self.folders.uploads, &layout::session_name(id))?;
        Ok(())
    }

    fn idle_session(&self, id: &UploadId, cutoff: DateTime<Utc>) -> Result<Option<Upload>, StoreError> {
        let Some(claim) = self.claims.claim_idle(id) else { return Ok(None) };
        match Session::load(&self.folders, id).map_err(|error| fault(IDLE, error))? {
            Found::Nothing => Ok(None),
            Found::Whole(session) => Ok((session.touched < cutoff).then_some(session.upload)),
            Found::Torn => {
                let name = layout::session_name(id);
                if self.written_before(&name, cutoff)? {
                    tracing::warn!(upload = %id, "a torn session is removed, and the bytes it was for");
                    self.remove_upload(claim.id()).map_err(|error| fault(IDLE, error))?;
                }
                Ok(None)
            }
        }
    }

    /// Removes bytes that have no session, and therefore no way to be finished.
    fn sweep_bytes(&self, id: &UploadId, cutoff: DateTime<Utc>) -> Result<(), StoreError> {
        let Some(claim) = self.claims.claim_idle(id) else { return Ok(()) };
        let session = layout::status(&self.folders.uploads, &layout::session_name(id));
        if session.map_err(|error| fault(IDLE, error))?.is_none()
            && self.written_before(id.as_str(), cutoff)?
        {
            tracing::warn!(upload = %id, "bytes without a session are removed");
            self.remove_upload(claim.id()).map_err(|error| fault(IDLE, error))?;
        }
        Ok(())
    }

    /// Whether this is a plain file among the uploads that was last written before `cutoff`.
    fn written_before(&self, name: &str, cutoff: DateTime<Utc>) -> Result<bool, StoreError> {
        let status = layout::status(&self.folders.uploads, name).map_err(|error| fault(IDLE, error))?;
        Ok(status.is_some_and(|status| {
            layout::file_length(&status).is_some()
                && DateTime::from_timestamp(status.st_mtime, 0).is_some_and(|written| written < cutoff)
        }))
    }
}

/// An append under way: what it has taken in, and how much of that is written and saved.
struct Append {
    root: Arc<Root>,
    claim: Arc<Claim>,
    file: Arc<File>,
    /// As it is saved.
    session: Session,
    /// After everything up to the end of `batch`.
    hasher: Hasher,
    /// Where `batch` begins; what comes before is written or being written.
    written: u64,
    batch: Batch,
    /// The write before `batch`, with the session if it saved one.
    under_way: Option<oneshot::Receiver<Result<Option<Session>, Broken>>>,
    /// Set once the store has failed: nothing more is written.
    broken: Option<Broken>,
    at: DateTime<Utc>,
}

/// How the store failed an append.
#[derive(Debug)]
enum Broken {
    /// Something was not written. What had been saved before is as it was.
    Write(StoreError),
    /// Something was not synced. Nothing of the upload can be trusted.
    Sync(StoreError),
}

impl Append {
    /// Opens the upload's file at `offset`.
    fn begin(
        root: Arc<Root>,
        claim: Arc<Claim>,
        offset: u64,
        coming: u64,
        at: DateTime<Utc>,
    ) -> Result<Self, AppendError> {
        let failed = |error| fault(APPEND, error);
        let Known { session, length } = root.known(APPEND, claim.id())?.ok_or(AppendError::Unknown)?;
        if session.stored.is_some() {
            return Err(AppendError::Unknown);
        }
        if offset != session.upload.offset {
            return Err(AppendError::Offset { offset: session.upload.offset });
        }
        root.check_room(APPEND, coming)?;
        let flags = if offset == 0 { OFlags::RDWR | OFlags::CREATE } else { OFlags::RDWR };
        let file = layout::open(&root.folders.uploads, claim.id().as_str(), flags).map_err(failed)?;
        if length > offset {
            root.cut(&claim, &file, offset)?;
        }
        let hasher = match session.hasher() {
            Some(hasher) => hasher,
            None => rehash(&file, session.upload.algorithm, offset).map_err(failed)?,
        };
        let (file, batch) = (Arc::new(file), Batch::default());
        Ok(Self {
            root,
            claim,
            file,
            session,
            hasher,
            written: offset,
            batch,
            under_way: None,
            broken: None,
            at,
        })
    }

    /// Takes in a body to its end, or until the store fails. Tells why the body ended early, if it did.
    async fn take_in(&mut self, body: &mut ByteStream) -> Option<BodyError> {
        let mut hashed = 0;
        while let Some(chunk) = body.next().await {
            let mut chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Some(error),
            };
            while !chunk.is_empty() {
                let slice = chunk.split_to(chunk.len().min(SLICE).min(self.room()));
                hashed += slice.len();
                self.hasher.update(&slice);
                self.batch.push(slice);
                if self.room() == 0 {
                    self.write_batch().await;
                }
                if self.broken.is_some() {
                    return None;
                }
                if hashed >= SLICE {
                    hashed = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
        None
    }

    /// How many bytes `batch` still takes.
    fn room(&self) -> usize {
        room(self.written, self.batch.length)
    }

    /// Has the batch written on a thread, once the one before it is.
    async fn write_batch(&mut self) {
        self.write_ended().await;
        let writer = self.root.writer().await;
        if self.broken.is_some() {
            return;
        }
        let at = self.written;
        self.written += self.batch.length as u64;
        let parts = self.batch.take();
        let checkpoint = (self.written - self.session.upload.offset >= CHECKPOINT).then(|| self.grown());
        let (root, file, claim) = (self.root.clone(), self.file.clone(), self.claim.clone());
        let (done, under_way) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let landed = root.land(&file, &parts, at, checkpoint);
            // Whoever hears of the end may rely on nothing being held any more.
            drop((root, file, parts, writer, claim));
            // Nobody listens any more when the runtime has gone.
            let _ = done.send(landed);
        });
        self.under_way = Some(under_way);
    }

    /// Waits for the write under way.
    async fn write_ended(&mut self) {
        if let Some(under_way) = &mut self.under_way {
            let result = under_way.await;
            self.under_way = None;
            self.landed(result);
        }
    }

    fn landed(&mut self, result: Result<Result<Option<Session>, Broken>, oneshot::error::RecvError>) {
        match result {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(session))) => self.session = session,
            Ok(Err(broken)) => self.broken = Some(broken),
            Err(stopped) => {
                let stopped = StoreError::new(StoreErrorKind::Unavailable, APPEND, stopped);
                self.broken = Some(Broken::Write(stopped));
            }
        }
    }

    /// The session after everything up to `written`, which is where `batch` has to be empty.
    fn grown(&self) -> Session {
        self.session.grown(self.written, &self.hasher, self.at)
    }

    /// Writes, syncs and saves all that was taken in; if that fails, cuts back to what had been saved. The
    /// answer is the offset that the next append has to name. Blocks.
    fn settle(mut self) -> Result<u64, StoreError> {
        if let Some(under_way) = self.under_way.take() {
            let result = under_way.blocking_recv();
            self.landed(result);
        }
        if self.broken.is_none() {
            let at = self.written;
            self.written += self.batch.length as u64;
            if self.written > self.session.upload.offset {
                let (parts, session) = (self.batch.take(), self.grown());
                let landed = self.root.land(&self.file, &parts, at, Some(session));
                self.landed(Ok(landed));
            }
        }
        match self.broken {
            None => Ok(self.session.upload.offset),
            Some(Broken::Write(why)) => {
                // What cannot be cut now is cut by whoever goes on.
                if let Err(error) = self.root.cut(&self.claim, &self.file, self.session.upload.offset) {
                    tracing::warn!(%error, "what was written in vain could not be cut off");
                }
                Err(why)
            }
            Some(Broken::Sync(why)) => Err(self.root.condemn(&self.claim, None, why)),
        }
    }
}

impl Root {
    /// Writes `parts` at `at`. With a session, syncs the file and then saves the session.
    fn land(
        &self,
        file: &File,
        parts: &[Bytes],
        at: u64,
        session: Option<Session>,
    ) -> Result<Option<Session>, Broken> {
        self.check_room(APPEND, 0).map_err(Broken::Write)?;
        self.write_all_at(file, parts, at).map_err(|error| Broken::Write(fault(APPEND, error)))?;
        if let Some(session) = &session {
            if !is_planted("unsynced content") {
                let synced = file.sync_data();
                if !is_planted("unheard failure") {
                    synced.map_err(|error| Broken::Sync(fault(APPEND, error)))?;
                }
            }
            session.save(&self.folders).map_err(|error| Broken::Write(fault(APPEND, error)))?;
        }
        Ok(session)
    }
}

/// An append that settles also when it is dropped: what was taken in stays, and whoever comes next waits
/// until it does.
struct Settling(Option<Append>);

impl Settling {
    fn take(&mut self) -> Option<Append> {
        let append = self.0.take();
        if let Some(append) = &append {
            append.claim.turn_to(Work::Brief);
        }
        append
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        let Some(append) = self.take() else { return };
        let settle = move || {
            if let Err(error) = append.settle() {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an append that was dropped was lost"
                );
            }
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(settle)),
            Err(_) => settle(),
        }
    }
}

/// Bytes to be written at once.
#[derive(Default)]
struct Batch {
    parts: Vec<Bytes>,
    small: BytesMut,
    length: usize,
}

impl Batch {
    fn push(&mut self, slice: Bytes) {
        self.length += slice.len();
        if slice.len() < SMALL {
            self.small.extend_from_slice(&slice);
        } else {
            self.close_small();
            self.parts.push(slice);
        }
        if self.small.len() >= SLICE {
            self.close_small();
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.close_small();
        self.length = 0;
        std::mem::take(&mut self.parts)
    }

    fn close_small(&mut self) {
        if !self.small.is_empty() {
            self.parts.push(self.small.split().freeze());
        }
    }
}

/// How many bytes a batch that begins at `at` and has `length` still takes. It ends where a multiple of [`BATCH`] does, so
/// that the next one begins at a page, wherever the append began.
fn room(at: u64, length: usize) -> usize {
    let begun = usize::try_from(at % BATCH as u64).unwrap_or_default();
    BATCH.saturating_sub(begun + length)
}

/// Reads the first `length` bytes again, for a hash that was not kept.
fn rehash(file: &File, algorithm: Algorithm, length: u64) -> io::Result<Hasher> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 256 * 1024];
    let mut at = 0;
    while at < length {
        let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
        let slice = buffer.get_mut(..wanted).unwrap_or_default();
        file.read_exact_at(slice, at)?;
        hasher.update(slice);
        at += wanted as u64;
    }
    Ok(hasher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_append_begins_at_its_next_batch_begins_at_a_page() {
        for at in [0, 1, 4095, 5000, BATCH as u64 - 1, 7 * BATCH as u64 + 3] {
            let first = room(at, 0);
            assert!(first > 0 && first <= BATCH);
            assert!((at + first as u64).is_multiple_of(BATCH as u64), "{at}");
            assert_eq!(room(at, first), 0);
            assert_eq!(room(at + first as u64, 0), BATCH);
        }
    }

    #[test]
    fn a_batch_in_tiny_pieces_is_written_in_few() {
        let big = Bytes::from(vec![1; SMALL]);
        for piece in [&big[..1], &big[..1000], &big[..SMALL - 1], &big[..]] {
            let mut batch = Batch::default();
            let mut pushed = Vec::new();
            while batch.length < BATCH {
                for piece in [piece, &big[..1]] {
                    batch.push(Bytes::copy_from_slice(piece));
                    pushed.extend_from_slice(piece);
                }
            }
            let parts = batch.take();
            assert!(parts.len() <= 2 * BATCH / SMALL + 1, "{} parts", parts.len());
            assert_eq!(parts.concat(), pushed);
            assert_eq!(batch.length, 0);
        }
    }
}
