//! Bytes on the move.

use std::{fmt, mem};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

/// A body: chunks as they come, and its length where that is known before.
///
/// Whoever declares a length delivers exactly that many bytes or an error.
pub struct ByteStream {
    chunks: Chunks,
    length: Option<u64>,
}

enum Chunks {
    /// All there is.
    One(Bytes),
    Many(BoxStream<'static, Result<Bytes, BodyError>>),
}

impl ByteStream {
    /// A body of `length` bytes, or of a length that shows at its end.
    pub fn new(chunks: BoxStream<'static, Result<Bytes, BodyError>>, length: Option<u64>) -> Self {
        Self { chunks: Chunks::Many(chunks), length }
    }

    /// A body of no bytes.
    pub fn empty() -> Self {
        Bytes::new().into()
    }

    /// The declared length in bytes.
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next chunk; `None` at the end. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        match &mut self.chunks {
            Chunks::One(bytes) => some(mem::take(bytes)),
            Chunks::Many(chunks) => chunks.next().await,
        }
    }

    /// The chunks alone.
    pub fn into_chunks(self) -> BoxStream<'static, Result<Bytes, BodyError>> {
        match self.chunks {
            Chunks::One(bytes) => stream::iter(some(bytes)).boxed(),
            Chunks::Many(chunks) => chunks,
        }
    }

    /// All of it at once, where it need not be waited for; else the body as it was.
    pub fn into_whole(self) -> Result<Bytes, Self> {
        match self.chunks {
            Chunks::One(bytes) => Ok(bytes),
            chunks @ Chunks::Many(_) => Err(Self { chunks, ..self }),
        }
    }

    /// All of it, when that is at most `limit` bytes; [`BodyError::TooLong`] at the byte that passes it.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let too_long = || BodyError::TooLong { limit: limit as u64 };
        if self.length.is_some_and(|length| length > limit as u64) {
            return Err(too_long());
        }
        let mut whole = Vec::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if chunk.len() > limit - whole.len() {
                return Err(too_long());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }
}

impl From<Bytes> for ByteStream {
    fn from(bytes: Bytes) -> Self {
        let length = Some(bytes.len() as u64);
        Self { chunks: Chunks::One(bytes), length }
    }
}

fn some(bytes: Bytes) -> Option<Result<Bytes, BodyError>> {
    (!bytes.is_empty()).then_some(Ok(bytes))
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Why a body ended before its end. The fault is the sender's, save for [`BodyError::Store`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The sender went away, or broke its own framing.
    #[error("the body broke off")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came for longer than the host waits.
    #[error("the body stood still for too long")]
    Stalled,
    /// It goes on past what may be taken.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The bytes that may be taken.
        limit: u64,
    },
    /// It ended, or went on, against its declared length.
    #[error("the body has other than the declared {declared} bytes")]
    Length {
        /// The bytes that were announced.
        declared: u64,
    },
    /// The bytes come out of a store, and it failed.
    #[error(transparent)]
    Store(#[from] crate::ports::StoreError),
}
