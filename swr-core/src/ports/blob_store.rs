//! Finished bytes.

use std::fmt::Debug;
use std::ops::Range;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;

use crate::commit::BlobLocation;
use crate::digest::Digest;
use crate::ports::StoreError;
use crate::stream::ByteStream;

/// Finished bytes, each at the location that its upload was given. Immutable: written once, read many times.
#[async_trait]
pub trait BlobStore: Debug + Send + Sync + 'static {
    /// Says how large the content is; `None` when there is none.
    async fn stat(&self, at: &BlobLocation) -> Result<Option<BlobStat>, StoreError>;

    /// Streams `range`, which lies within the content; `None` when there is none. The stream declares its
    /// length, and holds no more than a fixed number of bytes in memory however large the range.
    async fn read(&self, at: &BlobLocation, range: Range<u64>) -> Result<Option<ByteStream>, StoreError>;

    /// Removes the content. Absent content is already removed. A reader that has begun is not disturbed
    /// where [`Self::reader_hold`] is zero.
    async fn delete(&self, at: &BlobLocation) -> Result<(), StoreError>;

    /// Everything this store keeps, in no order. For scrubbing; no request and no collection walks it.
    fn list(&self) -> BoxStream<'_, Result<ListedBlob, StoreError>>;

    /// What a location has in common with all others that name some of the same bytes. Only where a list that is short
    /// may show a part of some content as content of its own is that not the location itself.
    fn kin<'a>(&self, at: &'a BlobLocation) -> &'a str {
        at.as_str()
    }

    /// A short-lived address that a client may read from directly, where the store can make one.
    async fn direct_url(&self, _at: &BlobLocation) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// How long garbage waits before [`Self::delete`], so that readers who learnt of it before are done.
    /// Zero where a reader keeps what it has opened.
    fn reader_hold(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// Content as a blob store sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct BlobStat {
    /// Where it is.
    pub location: BlobLocation,
    /// Its length in bytes.
    pub size: u64,
}

/// Content as a list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct ListedBlob {
    /// Where it is.
    pub location: BlobLocation,
    /// Its length in bytes.
    pub size: u64,
    /// What it was brought as, where the store knows that without reading it. Content of which it does not is never
    /// taken for a stray.
    pub brought: Option<Brought>,
}

/// What content was brought as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Brought {
    /// The digest that its upload was finished with; `None` where only its bytes tell. Then no upload knows of it, and
    /// none will: it is recorded by now, or never.
    pub digest: Option<Digest>,
    /// When the last of its bytes came, or later.
    pub at: DateTime<Utc>,
}
