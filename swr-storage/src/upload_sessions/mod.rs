//! Where a store of bytes remembers its uploads between requests, when it cannot do so itself.
//!
//! A bucket holds objects and nothing that changes. What changes about an upload (its offset, what its bytes
//! were written as, the state of its hash) is a small record kept elsewhere: in memory, or in the database
//! that keeps the names. Whoever writes such a keeper runs [`upload_sessions_suite!`](crate::upload_sessions_suite)
//! on it.

mod memory;
#[cfg(feature = "testing")]
pub mod testing;

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;

use swr_core::ports::StoreError;
use swr_core::upload::UploadId;

pub use memory::MemorySessions;

/// Keeps one small record for each upload, which changes by version only.
#[async_trait]
pub trait UploadSessions: Debug + Send + Sync + 'static {
    /// The session as it was saved last; `None` when there is none.
    async fn find(&self, id: &UploadId) -> Result<Option<UploadSession>, StoreError>;

    /// Keeps `session` in place of the version before it, in one step: version 1 where there is no session
    /// of this id yet, version n + 1 in place of version n. Says whether that was so; if not, nothing
    /// changes. Of several that save the same version, one is kept, whatever the processes.
    ///
    /// What was kept survives power loss, where the keeper outlives the process at all. After an error it
    /// may have been kept or not: [`Self::find`] tells.
    async fn save(&self, session: &UploadSession) -> Result<bool, StoreError>;

    /// Sessions last touched strictly before `cutoff`, in no order. One that is saved or removed meanwhile
    /// may be among them as it was, as it is, or not at all; no other is left out or comes twice.
    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<UploadSession, StoreError>>;

    /// Removes the session, whatever its version. One that is absent is already removed.
    async fn remove(&self, id: &UploadId) -> Result<(), StoreError>;
}

/// What is remembered of one upload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "both sides of the port build it")]
pub struct UploadSession {
    /// The upload.
    pub id: UploadId,
    /// Counts the saves, from 1; at most `i64::MAX`.
    pub version: u64,
    /// When the upload was begun, or a byte came last. In whole microseconds.
    pub touched: DateTime<Utc>,
    /// What the owner of the session wrote down: text that means nothing to its keeper, of at most
    /// [`UploadSession::RECORD_BYTES_MAX`] bytes.
    pub record: String,
}

impl UploadSession {
    /// No record is longer than this: 64 KiB.
    pub const RECORD_BYTES_MAX: usize = 64 * 1024;
}
