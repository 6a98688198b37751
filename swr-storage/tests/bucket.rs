//! The bucket store: the contracts, and what only buckets can have happen to them.
#![cfg(feature = "bucket")]
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::sync::Arc;

use object_store::memory::InMemory;
use swr_storage::{BucketBlobs, MemorySessions, UploadSessions};

/// A bucket and what is remembered of its uploads: what outlives a process.
struct Place {
    store: Arc<InMemory>,
    sessions: Arc<dyn UploadSessions>,
}

impl Place {
    fn new() -> Self {
        Self { store: Arc::default(), sessions: Arc::new(MemorySessions::new()) }
    }

    #[cfg(feature = "sqlite")]
    async fn with_sqlite() -> Self {
        let sqlite = swr_storage::SqliteStore::in_memory().await.unwrap();
        Self { sessions: Arc::new(sqlite), ..Self::new() }
    }

    fn open(&self) -> BucketBlobs {
        BucketBlobs::open(self.store.clone(), self.sessions.clone())
    }

    /// With parts so short that nearly everything has several.
    fn open_with_parts_of(&self, bytes: usize) -> BucketBlobs {
        BucketBlobs::options().part_bytes(bytes).open(self.store.clone(), self.sessions.clone())
    }
}

mod blobs {
    swr_core::blob_store_suite!(place = { super::Place::new() }, { place.open() });
}

mod uploads {
    swr_core::upload_store_suite!(place = { super::Place::new() }, { place.open() });
}

#[cfg(feature = "sqlite")]
mod blobs_with_sqlite {
    swr_core::blob_store_suite!(place = { super::Place::with_sqlite().await }, {
        place.open_with_parts_of(10_000)
    });
}

#[cfg(feature = "sqlite")]
mod uploads_with_sqlite {
    swr_core::upload_store_suite!(place = { super::Place::with_sqlite().await }, {
        place.open_with_parts_of(10_000)
    });
}
