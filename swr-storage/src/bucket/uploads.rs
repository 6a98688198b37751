//! Bytes on their way: hashed as they come, written as segments, counted by the session.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use swr_core::commit::StoredBlob;
use swr_core::digest::{Algorithm, Digest, Hasher};
use swr_core::ports::{AbandonError, AppendError, FinishError, StoreError, StoreErrorKind, UploadStore};
use swr_core::stream::{BodyError, ByteStream};
use swr_core::upload::{Upload, UploadId};
use tokio::sync::{mpsc, oneshot};

use super::blobs::Reading;
use super::folding::folding;
use super::keys::{Object, Place, Segment};
use super::segment_writer::SegmentWriter;
use super::sessions::{Halt, Reserved, Session};
use super::{Bucket, BucketBlobs, ended, going_on};
use crate::claims::{Claim, Work};

/// How much is hashed before others get their turn on a runtime's thread, in bytes: some 35 µs.
const SLICE: usize = 64 * 1024;

/// How many objects a session names beside those that count. Before it names another one, they are removed.
pub(super) const RESERVED_MAX: usize = 16;

const BEGIN: &str = "uploads.begin";
const APPEND: &str = "uploads.append";
const FINISH: &str = "uploads.finish";
const FORGET: &str = "uploads.forget";
const ABANDON: &str = "uploads.abandon";

#[async_trait]
impl UploadStore for BucketBlobs {
    #[tracing::instrument(level = "debug", skip_all, fields(upload = %upload.id))]
    async fn begin(&self, upload: &Upload) -> Result<(), StoreError> {
        self.bucket.name_format(BEGIN).await?;
        match self.bucket.begin(&Session::begun(upload)).await? {
            true => Ok(()),
            false => Err(StoreError::new(StoreErrorKind::Other, BEGIN, "the id is taken")),
        }
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn find(&self, id: &UploadId) -> Result<Option<Upload>, StoreError> {
        // Where a client is being listened to, what has been saved is what counts.
        let _ = self.bucket.claims.at_rest(id).await;
        Ok(self.bucket.known(id).await?.map(|session| session.record.upload))
    }

    #[tracing::instrument(level = "debug", skip(self, body, at))]
    async fn append(
        &self,
        id: &UploadId,
        offset: u64,
        mut body: ByteStream,
        at: DateTime<Utc>,
    ) -> Result<u64, AppendError> {
        self.bucket.expect_format(APPEND).await?;
        let Ok(claim) = self.bucket.claims.claim(id).await else {
            return Err(self.bucket.stands(id).await?);
        };
        let (chunks, incoming) = mpsc::channel(1);
        let (ready, begun) = oneshot::channel();
        let listening = Listening(claim.clone());
        let append = Append { bucket: self.bucket.clone(), claim, offset, at };
        let appending = going_on(append.run(ready, incoming));
        let mut broken_off = None;
        if begun.await.is_ok() {
            // Said here and not by the one that writes: until then, whoever comes after a call that was
            // dropped waits.
            listening.0.turn_to(Work::Streaming);
            broken_off = pass_on(&mut body, &chunks).await;
        }
        drop((listening, chunks));
        let offset: u64 = ended(APPEND, appending).await?;
        match broken_off {
            None => Ok(offset),
            Some(error) => Err(AppendError::Body { error, offset }),
        }
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn finish(&self, id: &UploadId, expected: &Digest) -> Result<StoredBlob, FinishError> {
        self.bucket.expect_format(FINISH).await?;
        let claim = self.bucket.claims.claim(id).await.map_err(|_| FinishError::Busy)?;
        let (bucket, expected) = (self.bucket.clone(), *expected);
        ended(FINISH, going_on(async move { bucket.finish(claim.id(), &expected).await })).await
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn forget(&self, id: &UploadId) -> Result<(), StoreError> {
        self.bucket.expect_format(FORGET).await?;
        let busy = |_| StoreError::new(StoreErrorKind::Unavailable, FORGET, "an append is under way");
        let claim = self.bucket.claims.claim(id).await.map_err(busy)?;
        let bucket = self.bucket.clone();
        ended(FORGET, going_on(async move { bucket.forget(claim.id()).await })).await
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn abandon(&self, id: &UploadId) -> Result<(), AbandonError> {
        self.bucket.expect_format(ABANDON).await?;
        let claim = self.bucket.claims.claim(id).await.map_err(|_| AbandonError::Busy)?;
        let bucket = self.bucket.clone();
        ended(ABANDON, going_on(async move { bucket.abandon(ABANDON, claim.id()).await })).await
    }

    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<Upload, StoreError>> {
        self.bucket
            .sessions
            .idle_since(cutoff)
            .map(|kept| kept.and_then(Session::decode))
            .try_filter(|session| {
                let nobody_at_it = self.bucket.claims.claim_idle(session.id()).is_some();
                future::ready(nobody_at_it)
            })
            .map_ok(|session| session.record.upload)
            .boxed()
    }

    /// Says whether a new upload would be taken now: whether the bucket is there and can be listed, its format is
    /// one that this version knows, and its sessions can be read.
    async fn probe(&self) -> Result<(), StoreError> {
        self.bucket.look_at_format("uploads.probe").await?;
        self.bucket.sessions.find(&UploadId::random()).await?;
        Ok(())
    }
}

/// Passes a body on to its end, or until nobody takes it any more. Tells why it ended early, if it did.
async fn pass_on(body: &mut ByteStream, chunks: &mpsc::Sender<Bytes>) -> Option<BodyError> {
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => chunks.send(chunk).await.ok()?,
            Err(error) => return Some(error),
        }
    }
    None
}

/// A client is being listened to as long as this is there: a call that was dropped listens to nobody.
struct Listening(Arc<Claim>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.turn_to(Work::Brief);
    }
}

/// An append under way. It is not dropped with the call: what has come by then is written and counted.
struct Append {
    bucket: Arc<Bucket>,
    claim: Arc<Claim>,
    offset: u64,
    at: DateTime<Utc>,
}

impl Append {
    /// Says when it is ready, then takes in what comes. The answer is the offset that the next append has to
    /// name.
    async fn run(
        self,
        ready: oneshot::Sender<()>,
        incoming: mpsc::Receiver<Bytes>,
    ) -> Result<u64, AppendError> {
        let id = self.claim.id();
        let mut session = self.bucket.known(id).await?.ok_or(AppendError::Unknown)?;
        let taken = match session.record.stands_at(self.offset) {
            Ok(()) => self.take_in(&mut session, ready, incoming).await,
            Err(halt) => Err(halt),
        };
        match taken {
            Ok(()) => Ok(session.record.upload.offset),
            Err(Halt::Lost) => Err(self.bucket.stands(id).await?),
            Err(Halt::Store(error)) => Err(error.into()),
        }
    }

    async fn take_in(
        &self,
        session: &mut Session,
        ready: oneshot::Sender<()>,
        mut incoming: mpsc::Receiver<Bytes>,
    ) -> Result<(), Halt> {
        session.touch(self.at);
        let lengths: Vec<_> = session.record.segments.iter().map(|segment| segment.length).collect();
        if let Some(run) = folding(&lengths) {
            self.bucket.fold(session, run).await?;
        }
        let mut hasher = self.bucket.hasher(APPEND, session, session.record.upload.algorithm).await?;
        // Nobody listens when the call was dropped meanwhile.
        let _ = ready.send(());
        let mut chunk = Bytes::new();
        let mut goes_on = true;
        while goes_on {
            let mut writer = SegmentWriter::new(&self.bucket, APPEND);
            let counted = async {
                goes_on = fill(&mut writer, session, &mut hasher, &mut chunk, &mut incoming).await?;
                match writer.end(session).await? {
                    Some(segment) => self.bucket.count(session, segment, &hasher).await,
                    None => Ok(()),
                }
            };
            or_give_up(counted.await, writer, session).await?;
        }
        Ok(())
    }
}

/// Fills a segment with what comes; says whether there may be more than it takes.
async fn fill(
    writer: &mut SegmentWriter,
    session: &mut Session,
    hasher: &mut Hasher,
    chunk: &mut Bytes,
    incoming: &mut mpsc::Receiver<Bytes>,
) -> Result<bool, Halt> {
    let mut hashed = 0;
    loop {
        if chunk.is_empty() {
            match incoming.recv().await {
                Some(next) => *chunk = next,
                None => return Ok(false),
            }
        }
        let room = usize::try_from(writer.room()).unwrap_or(usize::MAX);
        if room == 0 {
            return Ok(true);
        }
        let slice = chunk.split_to(chunk.len().min(SLICE).min(room));
        hasher.update(&slice);
        writer.push(session, &slice).await?;
        hashed += slice.len();
        if hashed >= SLICE {
            hashed = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Removes what `writer` wrote when that certainly does not count. Where a store failed it may count all the
/// same, and what does not is removed with the upload.
async fn or_give_up(counted: Result<(), Halt>, writer: SegmentWriter, session: &Session) -> Result<(), Halt> {
    if let Err(Halt::Lost) = counted {
        writer.give_up(session).await;
    }
    counted
}

impl Bucket {
    /// The session of an upload that is not being removed.
    async fn known(&self, id: &UploadId) -> Result<Option<Session>, StoreError> {
        Ok(self.session(id).await?.filter(|session| !session.record.abandoned))
    }

    /// Why an append is refused that names another offset, or comes while another one is under way.
    async fn stands(&self, id: &UploadId) -> Result<AppendError, StoreError> {
        let open = self.known(id).await?.filter(|session| session.record.stored.is_none());
        Ok(open.map_or(AppendError::Unknown, |session| AppendError::Offset {
            offset: session.record.upload.offset,
        }))
    }

    /// Names an object that is about to be written, and gives its number.
    pub(super) async fn reserve(
        &self,
        operation: &'static str,
        session: &mut Session,
        object: fn(u64) -> Object,
    ) -> Result<u64, Halt> {
        let mut removed = Vec::new();
        if session.record.left_over().count() >= RESERVED_MAX {
            // Said before, so that nobody counts what is being removed.
            self.advance(session, |session| {
                let reserved = std::mem::take(&mut session.record.reserved);
                session.record.spent.extend(reserved);
                Ok(())
            })
            .await?;
            removed.clone_from(&session.record.spent);
            self.remove(operation, session.id(), &removed).await?;
        }
        self.advance(session, |session| {
            let number = session.version();
            session.record.spent.retain(|spent| !removed.contains(spent));
            session.record.reserved.push(Reserved::written(object(number)));
            Ok(())
        })
        .await?;
        Ok(session.version())
    }

    /// Counts a segment that has been written, and with it the bytes that `hasher` has seen.
    async fn count(&self, session: &mut Session, segment: Segment, hasher: &Hasher) -> Result<(), Halt> {
        let hash = hasher.save();
        self.advance(session, |session| {
            session.record.settle(&[segment.object()])?;
            session.record.segments.push(segment);
            session.record.upload.offset += segment.length;
            session.record.hash.clone_from(&hash);
            Ok(())
        })
        .await
    }

    /// Makes one segment of several. The old ones are removed before too much is left over.
    async fn fold(self: &Arc<Self>, session: &mut Session, run: Range<usize>) -> Result<(), Halt> {
        let old = session.record.segments.get(run).unwrap_or_default().to_vec();
        let mut writer = SegmentWriter::new(self, APPEND);
        let length = old.iter().map(|segment| segment.length).sum();
        if length > writer.room() {
            return Ok(());
        }
        let mut chunks = Reading::new(self, session.id(), &old, 0..length).into_chunks(APPEND);
        let folded = async {
            while let Some(chunk) = chunks.try_next().await? {
                writer.push(session, &chunk).await?;
            }
            match writer.end(session).await? {
                Some(new) => self.replace(session, &old, new).await,
                None => Ok(()),
            }
        };
        or_give_up(folded.await, writer, session).await
    }

    /// Counts `new` in place of `old`, which has the same bytes.
    async fn replace(&self, session: &mut Session, old: &[Segment], new: Segment) -> Result<(), Halt> {
        self.advance(session, |session| {
            let record = &mut session.record;
            record.settle(&[new.object()])?;
            let at = record.segments.windows(old.len()).position(|run| run == old).ok_or(Halt::Lost)?;
            record.segments.splice(at..at + old.len(), [new]);
            record.spent.extend(old.iter().map(|segment| Reserved::written(segment.object())));
            Ok(())
        })
        .await
    }

    /// A hash of the bytes that are here: as it was kept, or else they are read again.
    async fn hasher(
        self: &Arc<Self>,
        operation: &'static str,
        session: &Session,
        algorithm: Algorithm,
    ) -> Result<Hasher, StoreError> {
        if let Some(kept) = session.record.hasher().filter(|kept| kept.algorithm() == algorithm) {
            return Ok(kept);
        }
        let mut hasher = Hasher::new(algorithm);
        let whole = 0..session.record.upload.offset;
        let reading = Reading::new(self, session.id(), &session.record.segments, whole);
        let mut chunks = reading.into_chunks(operation);
        while let Some(chunk) = chunks.try_next().await? {
            for slice in chunk.chunks(SLICE) {
                hasher.update(slice);
                tokio::task::yield_now().await;
            }
        }
        Ok(hasher)
    }

    /// Checks the content and names its place. Where somebody else changes the upload meanwhile, that is
    /// looked at anew.
    async fn finish(self: &Arc<Self>, id: &UploadId, expected: &Digest) -> Result<StoredBlob, FinishError> {
        loop {
            let mut session = self.known(id).await?.ok_or(FinishError::Unknown)?;
            match session.record.stored {
                Some(stored) if stored.digest == *expected => return Ok(stored),
                Some(_) => return Err(FinishError::Busy),
                None => {}
            }
            let actual = self.hasher(FINISH, &session, expected.algorithm()).await?.finish();
            if actual != *expected {
                return Err(FinishError::DigestMismatch { actual });
            }
            match self.name_place(&mut session, actual).await {
                Ok(stored) => return Ok(stored),
                Err(Halt::Lost) => {}
                Err(Halt::Store(error)) => return Err(error.into()),
            }
        }
    }

    /// Saves where the content is. Content of nothing gets a segment of nothing, and several segments an
    /// index that names them.
    async fn name_place(&self, session: &mut Session, digest: Digest) -> Result<StoredBlob, Halt> {
        let (id, size) = (session.id().clone(), session.record.upload.offset);
        let segments = session.record.segments.clone();
        let (place, written) = match segments.as_slice() {
            [whole] => (Place::whole(id, *whole), None),
            [] => {
                let number = self.reserve(FINISH, session, Object::Segment).await?;
                let nothing = Segment { number, length: 0 };
                (Place::whole(id, nothing), Some((nothing.object(), Vec::new())))
            }
            several => {
                let number = self.reserve(FINISH, session, Object::Index).await?;
                let place = Place::indexed(id, number, several.to_vec());
                let text = place.location().as_str().into();
                (place, Some((Object::Index(number), text)))
            }
        };
        let written_object = written.as_ref().map(|(object, _)| *object);
        let stored = StoredBlob { digest, size, location: place.location() };
        if let Some((object, bytes)) = written {
            self.put(FINISH, session.id(), object, bytes).await?;
        }
        let named = self
            .advance(session, |session| {
                let record = &mut session.record;
                if record.segments != segments {
                    return Err(Halt::Lost);
                }
                record.settle(written_object.as_slice())?;
                record.segments = place.segments().to_vec();
                record.stored = Some(stored.clone());
                Ok(())
            })
            .await;
        // Only then: where the keeper failed, it may be named all the same.
        if let (Err(Halt::Lost), Some(object)) = (&named, written_object) {
            self.give_up(FINISH, session, Reserved::written(object)).await;
        }
        named.map(|()| stored)
    }

    /// Forgets an upload, once nothing is in the bucket that its content does not need.
    async fn forget(&self, id: &UploadId) -> Result<(), StoreError> {
        match self.abandon(FORGET, id).await {
            Ok(()) | Err(AbandonError::Busy) => Ok(()),
            Err(AbandonError::Store(error)) => Err(error),
            Err(AbandonError::Finished(_)) => {
                if let Some(session) = self.session(id).await? {
                    let left_over: Vec<_> = session.record.left_over().collect();
                    self.remove(FORGET, id, &left_over).await?;
                }
                self.sessions.remove(id).await
            }
        }
    }

    /// Removes an unfinished upload: unknown first, so that nobody can count or finish what is being removed.
    async fn abandon(&self, operation: &'static str, id: &UploadId) -> Result<(), AbandonError> {
        while let Some(mut session) = self.session(id).await? {
            if let Some(stored) = session.record.stored {
                return Err(AbandonError::Finished(stored));
            }
            if !session.record.abandoned {
                let unknown = self.advance(&mut session, |session| {
                    session.record.abandoned = true;
                    Ok(())
                });
                match unknown.await {
                    Ok(()) => {}
                    Err(Halt::Lost) => continue,
                    Err(Halt::Store(error)) => return Err(error.into()),
                }
            }
            self.remove(operation, id, &session.record.everything()).await?;
            self.sessions.remove(id).await?;
        }
        Ok(())
    }

    /// Removes what was written in vain, as far as the store lets it: the session goes on to name it, if it is
    /// there still.
    pub(super) async fn give_up(&self, operation: &'static str, session: &Session, unwanted: Reserved) {
        if let Err(error) = self.remove(operation, session.id(), &[unwanted]).await {
            tracing::warn!(
                upload = %session.id(),
                error = &error as &dyn std::error::Error,
                "what was written in vain is left until the upload ends"
            );
        }
    }
}
