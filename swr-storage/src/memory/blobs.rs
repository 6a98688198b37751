//! Finished bytes in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::PoisonError;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use swr_core::commit::BlobLocation;
use swr_core::ports::{BlobStat, BlobStore, Brought, ListedBlob, StoreError, StoreErrorKind};
use swr_core::stream::ByteStream;
use swr_core::upload::UploadId;

use super::uploads::Session;
use super::{Mutex, MutexGuard};

/// Bytes in memory, finished ones and those on their way: a [`BlobStore`] and an
/// [`UploadStore`](swr_core::ports::UploadStore) in one.
///
/// A reader keeps what it has begun to read, whatever is deleted meanwhile.
pub struct MemoryBlobs {
    /// Never held across an await, nor while bytes are hashed.
    kept: Mutex<Kept>,
    bytes_max: u64,
}

/// All that is kept.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) finished: BTreeMap<BlobLocation, Finished>,
    pub(super) sessions: BTreeMap<UploadId, Session>,
    /// What all of it takes, unfinished uploads included.
    pub(super) bytes: u64,
}

/// Finished bytes.
pub(super) struct Finished {
    pub(super) bytes: Bytes,
    pub(super) brought: Brought,
}

impl MemoryBlobs {
    /// A store with nothing in it, and room for whatever the process has room for.
    pub fn new() -> Self {
        Self::with_room(u64::MAX)
    }

    /// A store with nothing in it and room for `bytes_max` bytes of content, finished or not. Whoever brings
    /// more is told [`StoreErrorKind::Full`].
    pub fn with_room(bytes_max: u64) -> Self {
        Self { kept: Mutex::default(), bytes_max }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change under the lock is whole before anything in it can panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for `more` bytes, or says that there is none.
    pub(super) fn take_room(&self, more: u64, operation: &'static str) -> Result<(), StoreError> {
        let mut kept = self.kept();
        match kept.bytes.checked_add(more) {
            Some(bytes) if bytes <= self.bytes_max => {
                kept.bytes = bytes;
                Ok(())
            }
            _ => Err(StoreError::new(StoreErrorKind::Full, operation, "there is no room left")),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.kept().bytes < self.bytes_max
    }
}

impl Default for MemoryBlobs {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn stat(&self, at: &BlobLocation) -> Result<Option<BlobStat>, StoreError> {
        let size = self.kept().finished.get(at).map(|content| content.bytes.len() as u64);
        Ok(size.map(|size| BlobStat { location: at.clone(), size }))
    }

    async fn read(&self, at: &BlobLocation, range: Range<u64>) -> Result<Option<ByteStream>, StoreError> {
        let content = self.kept().finished.get(at).map(|content| content.bytes.clone());
        let Some(content) = content else { return Ok(None) };
        match (usize::try_from(range.start), usize::try_from(range.end)) {
            (Ok(start), Ok(end)) if start <= end && end <= content.len() => {
                Ok(Some(content.slice(start..end).into()))
            }
            _ => {
                Err(StoreError::new(StoreErrorKind::Other, "blobs.read", "the range is outside the content"))
            }
        }
    }

    async fn delete(&self, at: &BlobLocation) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if let Some(content) = kept.finished.remove(at) {
            kept.bytes -= content.bytes.len() as u64;
        }
        Ok(())
    }

    fn list(&self) -> BoxStream<'_, Result<ListedBlob, StoreError>> {
        let all: Vec<_> = self
            .kept()
            .finished
            .iter()
            .map(|(location, content)| {
                Ok(ListedBlob {
                    location: location.clone(),
                    size: content.bytes.len() as u64,
                    brought: Some(content.brought),
                })
            })
            .collect();
        stream::iter(all).boxed()
    }
}

impl fmt::Debug for MemoryBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept();
        f.debug_struct("MemoryBlobs")
            .field("finished", &kept.finished.len())
            .field("uploads", &kept.sessions.len())
            .field("bytes", &kept.bytes)
            .finish()
    }
}
