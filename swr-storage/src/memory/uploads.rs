//! Bytes in memory that have no digest yet.

use std::mem;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use swr_core::commit::{BlobLocation, StoredBlob};
use swr_core::digest::{Digest, Hasher};
use swr_core::ports::{
    AbandonError, AppendError, Brought, FinishError, StoreError, StoreErrorKind, UploadStore,
};
use swr_core::stream::ByteStream;
use swr_core::upload::{Upload, UploadId};

use super::MemoryBlobs;
use super::blobs::Finished;

/// An upload, and how far it has come.
pub(super) struct Session {
    /// Its offset is exact at all times.
    upload: Upload,
    /// When the last byte came, or else when it was begun.
    active: DateTime<Utc>,
    stage: Stage,
}

enum Stage {
    /// Nobody is at it.
    Resting(Content),
    /// Somebody is, and has the content.
    Taken,
    Finished(StoredBlob),
}

/// The bytes so far, and the digest in the making that covers exactly them.
struct Content {
    bytes: Vec<u8>,
    hasher: Hasher,
}

/// The content while somebody is at it: goes back to its session however that ends.
struct Taken<'a> {
    store: &'a MemoryBlobs,
    id: &'a UploadId,
    content: Content,
}

impl Taken<'_> {
    /// Adds a chunk, all of it or nothing.
    fn push(&mut self, chunk: &[u8], at: DateTime<Utc>) -> Result<(), StoreError> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.store.take_room(chunk.len() as u64, "uploads.append")?;
        self.content.bytes.extend_from_slice(chunk);
        self.content.hasher.update(chunk);
        if let Some(session) = self.store.kept().sessions.get_mut(self.id) {
            session.upload.offset = self.content.bytes.len() as u64;
            session.active = at;
        }
        Ok(())
    }

    fn offset(&self) -> u64 {
        self.content.bytes.len() as u64
    }

    /// Moves the content among the finished. The bytes have their digest from here on.
    fn finish(mut self, stored: &StoredBlob) {
        let bytes = mem::take(&mut self.content.bytes);
        let mut kept = self.store.kept();
        match kept.sessions.get_mut(self.id) {
            Some(session) => {
                session.stage = Stage::Finished(stored.clone());
                let brought = Brought { digest: Some(stored.digest), at: session.active };
                let finished = Finished { bytes: bytes.into(), brought };
                kept.finished.insert(stored.location.clone(), finished);
            }
            // Forgotten meanwhile.
            None => kept.bytes -= bytes.len() as u64,
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let content =
            Content { bytes: mem::take(&mut self.content.bytes), hasher: self.content.hasher.clone() };
        let mut kept = self.store.kept();
        match kept.sessions.get_mut(self.id) {
            Some(session) if matches!(session.stage, Stage::Taken) => session.stage = Stage::Resting(content),
            // Finished, and the bytes have moved.
            Some(_) => {}
            // Forgotten meanwhile.
            None => kept.bytes -= content.bytes.len() as u64,
        }
    }
}

#[async_trait]
impl UploadStore for MemoryBlobs {
    async fn begin(&self, upload: &Upload) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if kept.sessions.contains_key(&upload.id) {
            return Err(StoreError::new(StoreErrorKind::Other, "uploads.begin", "the id is taken"));
        }
        let session = Session {
            upload: Upload { offset: 0, ..upload.clone() },
            active: upload.begun,
            stage: Stage::Resting(Content { bytes: Vec::new(), hasher: Hasher::new(upload.algorithm) }),
        };
        kept.sessions.insert(upload.id.clone(), session);
        Ok(())
    }

    async fn find(&self, id: &UploadId) -> Result<Option<Upload>, StoreError> {
        Ok(self.kept().sessions.get(id).map(|session| session.upload.clone()))
    }

    async fn append(
        &self,
        id: &UploadId,
        offset: u64,
        mut body: ByteStream,
        at: DateTime<Utc>,
    ) -> Result<u64, AppendError> {
        let mut taken = {
            let mut kept = self.kept();
            let session = kept.sessions.get_mut(id).ok_or(AppendError::Unknown)?;
            if matches!(session.stage, Stage::Finished(_)) {
                return Err(AppendError::Unknown);
            }
            let expected = session.upload.offset;
            match mem::replace(&mut session.stage, Stage::Taken) {
                Stage::Resting(content) if offset == expected => Taken { store: self, id, content },
                other => {
                    session.stage = other;
                    return Err(AppendError::Offset { offset: expected });
                }
            }
        };
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => taken.push(&chunk, at)?,
                Err(error) => return Err(AppendError::Body { error, offset: taken.offset() }),
            }
        }
        Ok(taken.offset())
    }

    async fn finish(&self, id: &UploadId, expected: &Digest) -> Result<StoredBlob, FinishError> {
        let taken = {
            let mut kept = self.kept();
            let session = kept.sessions.get_mut(id).ok_or(FinishError::Unknown)?;
            match mem::replace(&mut session.stage, Stage::Taken) {
                Stage::Resting(content) => Taken { store: self, id, content },
                Stage::Taken => return Err(FinishError::Busy),
                Stage::Finished(stored) => {
                    session.stage = Stage::Finished(stored.clone());
                    return if stored.digest == *expected { Ok(stored) } else { Err(FinishError::Busy) };
                }
            }
        };
        let hasher = &taken.content.hasher;
        let actual = if hasher.algorithm() == expected.algorithm() {
            hasher.clone().finish()
        } else {
            expected.algorithm().digest(&taken.content.bytes)
        };
        if actual != *expected {
            return Err(FinishError::DigestMismatch { actual });
        }
        // The upload's id is random, so that no location is given twice, by another process either.
        let stored =
            StoredBlob { digest: actual, size: taken.offset(), location: BlobLocation::new(id.as_str()) };
        taken.finish(&stored);
        Ok(stored)
    }

    async fn forget(&self, id: &UploadId) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if let Some(Session { stage: Stage::Resting(content), .. }) = kept.sessions.remove(id) {
            kept.bytes -= content.bytes.len() as u64;
        }
        Ok(())
    }

    async fn abandon(&self, id: &UploadId) -> Result<(), AbandonError> {
        let mut kept = self.kept();
        let unfinished = match kept.sessions.get(id).map(|session| &session.stage) {
            None => return Ok(()),
            Some(Stage::Taken) => return Err(AbandonError::Busy),
            Some(Stage::Finished(stored)) => return Err(AbandonError::Finished(stored.clone())),
            Some(Stage::Resting(content)) => content.bytes.len() as u64,
        };
        kept.sessions.remove(id);
        kept.bytes -= unfinished;
        Ok(())
    }

    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<Upload, StoreError>> {
        let idle: Vec<_> = self
            .kept()
            .sessions
            .values()
            .filter(|session| session.active < cutoff && !matches!(session.stage, Stage::Taken))
            .map(|session| Ok(session.upload.clone()))
            .collect();
        stream::iter(idle).boxed()
    }

    async fn probe(&self) -> Result<(), StoreError> {
        if self.has_room() {
            Ok(())
        } else {
            Err(StoreError::new(StoreErrorKind::Full, "uploads.probe", "there is no room left"))
        }
    }
}
