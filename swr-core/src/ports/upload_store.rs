//! Bytes on their way to having a digest.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;

use crate::commit::StoredBlob;
use crate::digest::Digest;
use crate::ports::StoreError;
use crate::stream::{BodyError, ByteStream};
use crate::upload::{Upload, UploadId};

/// Bytes on their way to having a digest. Keyed by id, so that a later request, or another process, carries
/// on where the last one stopped. Any call may be dropped at any point; the next one finds a state that is
/// as if the dropped one had not begun, or had gone on to some exact offset.
#[async_trait]
pub trait UploadStore: Debug + Send + Sync + 'static {
    /// Notes a new upload; its offset is 0.
    async fn begin(&self, upload: &Upload) -> Result<(), StoreError>;

    /// The upload and its exact offset, once an append that was dropped has come to rest. `None` when it
    /// was never begun, or is forgotten or abandoned.
    async fn find(&self, id: &UploadId) -> Result<Option<Upload>, StoreError>;

    /// Adds `body` at `offset`, which must be the upload's. What came in order stays, also when the body
    /// breaks off; the answer is the offset that the next append has to name. A refused offset changes
    /// nothing. One appender at a time: a second one loses, whatever the process, and damages nothing.
    ///
    /// What was answered survives the end of the process. `at` is when it happens.
    async fn append(
        &self,
        id: &UploadId,
        offset: u64,
        body: ByteStream,
        at: DateTime<Utc>,
    ) -> Result<u64, AppendError>;

    /// Checks the content against `expected`, makes it durable (it survives power loss from here on), and
    /// says where it is. Repeated with the same digest it answers the same. No location is ever given twice.
    /// Nothing is read back, unless `expected` is of another algorithm than the upload.
    async fn finish(&self, id: &UploadId, expected: &Digest) -> Result<StoredBlob, FinishError>;

    /// Forgets the upload; never touches finished bytes. One that is unknown is already forgotten.
    async fn forget(&self, id: &UploadId) -> Result<(), StoreError>;

    /// Removes an unfinished upload and its bytes. One that is unknown is already removed.
    async fn abandon(&self, id: &UploadId) -> Result<(), AbandonError>;

    /// Uploads without a byte since `cutoff`, begun or appended to; never one in the middle of an append.
    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<Upload, StoreError>>;

    /// Says whether a new upload would be taken now: `Err` tells why not.
    async fn probe(&self) -> Result<(), StoreError>;
}

/// Why an append ended early.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "the engine must answer for every one")]
pub enum AppendError {
    /// There is no such upload, or it has been finished.
    #[error("the upload is unknown")]
    Unknown,
    /// The offset is not the upload's, or another append is under way.
    #[error("the upload is at {offset}")]
    Offset {
        /// The offset that is taken next.
        offset: u64,
    },
    /// The body broke off. What came before it stays.
    #[error("the body ended early at {offset}")]
    Body {
        /// Why.
        #[source]
        error: BodyError,
        /// The offset that is taken next.
        offset: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an upload was not finished.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "the engine must answer for every one")]
pub enum FinishError {
    /// There is no such upload.
    #[error("the upload is unknown")]
    Unknown,
    /// An append is under way, or the upload was finished with another digest.
    #[error("the upload is busy")]
    Busy,
    /// The content is not what was expected. The upload is as it was.
    #[error("the content has the digest {actual}")]
    DigestMismatch {
        /// The digest of what is there.
        actual: Digest,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an upload was not abandoned.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "the engine must answer for every one")]
pub enum AbandonError {
    /// [`UploadStore::finish`] has begun, so that a commit may name its content: it goes by
    /// [`ManifestStore::discard_stray`](crate::ports::ManifestStore::discard_stray), then
    /// [`UploadStore::forget`].
    #[error("the upload has been finished")]
    Finished(StoredBlob),
    /// An append is under way.
    #[error("the upload is busy")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
