//! Blobs, in: begin, append, finish, or cancel.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use swr_policy::RepositoryName;
use tracing::{instrument, warn};

use super::access::{Access, Permitted, Refused};
use crate::commit::{Change, StoredBlob};
use crate::digest::{Algorithm, Digest};
use crate::error::Error;
use crate::planted::is_planted;
use crate::ports::{AbandonError, Action, AppendError, FinishError};
use crate::stream::{BodyError, ByteStream};
use crate::upload::{Upload, UploadId};

/// An upload is known only in the repository it was begun in, and only to whoever began it: anything else is
/// [`Error::UploadUnknown`].
impl Access<'_> {
    /// Begins an upload. Its bytes are hashed with `algorithm` as they come.
    #[instrument(level = "debug", skip_all, fields(%repository))]
    pub async fn begin_upload(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<Upload, Error> {
        self.permit_push(repository, &[]).await?.begin(algorithm).await
    }

    /// An upload, and how much of it is here.
    #[instrument(level = "debug", skip_all, fields(%repository, %id))]
    pub async fn find_upload(&self, repository: &RepositoryName, id: &UploadId) -> Result<Upload, Error> {
        let permitted = self.permit_upload(Action::Pull, repository).await?;
        permitted.upload(id).await?.ok_or(Error::UploadUnknown)
    }

    /// Adds to an upload and says how much of it is here: the offset to go on from. `offset` is where the body
    /// belongs, if the client says so; anywhere else is [`Error::UploadOffset`], and nothing changes.
    ///
    /// What came in order stays when the body breaks off. A body that goes past
    /// [`Limits::blob_bytes_max`](super::Limits::blob_bytes_max) is refused before its first byte where its
    /// length is declared; where it is not, at the byte that passes the limit, and the upload is gone then.
    #[instrument(level = "debug", skip_all, fields(%repository, %id))]
    pub async fn append_upload(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
        offset: Option<u64>,
        body: ByteStream,
    ) -> Result<u64, Error> {
        let permitted = self.permit_push(repository, &[]).await?;
        let upload = permitted.upload(id).await?.ok_or(Error::UploadUnknown)?;
        permitted.append(&upload, offset.unwrap_or(upload.offset), body).await
    }

    /// Makes an upload a blob of the repository.
    ///
    /// When the content is not what `digest` says, the upload is gone. Asked again after an answer that was
    /// lost, it answers the same: an upload that is unknown by now, where the repository holds the blob and
    /// the caller may read it, has been finished.
    #[instrument(level = "debug", skip_all, fields(%repository, %id, %digest))]
    pub async fn finish_upload(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
        digest: &Digest,
    ) -> Result<StoredBlob, Error> {
        let permitted = self.permit_push(repository, &[]).await?;
        let finished = match permitted.upload(id).await? {
            Some(upload) => permitted.finish(&upload.id, digest).await,
            None => Err(Error::UploadUnknown),
        };
        match finished {
            Err(Error::UploadUnknown) if self.within_reach(repository).await?.is_some() => {
                let linked = permitted.blob(digest).await?.ok_or(Error::UploadUnknown)?;
                match permitted.keep_link(&linked).await {
                    // It was let go of meanwhile.
                    Err(Error::BlobUnknown { .. }) => Err(Error::UploadUnknown),
                    kept => kept.map(|()| linked.stored),
                }
            }
            finished => finished,
        }
    }

    /// Takes a whole blob in one request. Nothing of it stays unless all of it came and is what `digest` says.
    #[instrument(level = "debug", skip_all, fields(%repository, %digest))]
    pub async fn push_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        body: ByteStream,
    ) -> Result<StoredBlob, Error> {
        let permitted = self.permit_push(repository, &[]).await?;
        permitted.within_limit(0, &body)?;
        let upload = permitted.begin(digest.algorithm()).await?;
        let pushed = match permitted.append(&upload, 0, body).await {
            Ok(_) => permitted.finish(&upload.id, digest).await,
            Err(error) => Err(error),
        };
        if pushed.is_err() {
            // Nobody else knows its id.
            permitted.abandon(&upload.id).await;
        }
        pushed
    }

    /// Removes an upload and what came of it. One that has been finished is unknown, as it is after it became
    /// a blob.
    #[instrument(level = "debug", skip_all, fields(%repository, %id))]
    pub async fn cancel_upload(&self, repository: &RepositoryName, id: &UploadId) -> Result<(), Error> {
        let permitted = self.permit_upload(Action::Delete, repository).await?;
        let upload = permitted.upload(id).await?.ok_or(Error::UploadUnknown)?;
        match permitted.parts.uploads.abandon(&upload.id).await {
            Ok(()) => Ok(()),
            Err(AbandonError::Finished(_)) => Err(Error::UploadUnknown),
            Err(AbandonError::Busy) => Err(Error::UploadBusy),
            Err(AbandonError::Store(error)) => Err(error.into()),
        }
    }
}

impl Permitted<'_> {
    async fn begin(&self, algorithm: Algorithm) -> Result<Upload, Error> {
        let upload = Upload {
            id: UploadId::random(),
            repository: self.repository.clone(),
            owner: self.caller().clone(),
            algorithm,
            begun: self.now(),
            offset: 0,
        };
        self.parts.uploads.begin(&upload).await?;
        Ok(upload)
    }

    /// The upload, if it is this caller's in this repository.
    async fn upload(&self, id: &UploadId) -> Result<Option<Upload>, Error> {
        let found = self.parts.uploads.find(id).await?;
        Ok(found.filter(|upload| upload.repository == *self.repository && upload.owner == *self.caller()))
    }

    async fn append(&self, upload: &Upload, offset: u64, body: ByteStream) -> Result<u64, Error> {
        if offset != upload.offset {
            return Err(Error::UploadOffset { offset: upload.offset });
        }
        let limit = self.parts.limits.blob_bytes_max;
        self.within_limit(offset, &body)?;
        let body = at_most(body, limit.saturating_sub(offset));
        match self.parts.uploads.append(&upload.id, offset, body, self.now()).await {
            Ok(offset) => Ok(offset),
            Err(AppendError::Unknown) => Err(Error::UploadUnknown),
            // The place was right: somebody else is at it.
            Err(AppendError::Offset { offset: stands }) if stands == offset => Err(Error::UploadBusy),
            Err(AppendError::Offset { offset }) => Err(Error::UploadOffset { offset }),
            Err(AppendError::Body { error: error @ BodyError::TooLong { .. }, .. }) => {
                // What is here can never become a blob, and may be large.
                self.abandon(&upload.id).await;
                Err(Error::of_body(error, limit))
            }
            Err(AppendError::Body { error, .. }) => Err(Error::of_body(error, limit)),
            Err(AppendError::Store(error)) => Err(error.into()),
        }
    }

    /// Refuses a body whose declared length alone goes past the limit.
    fn within_limit(&self, offset: u64, body: &ByteStream) -> Result<(), Error> {
        let limit = self.parts.limits.blob_bytes_max;
        match body.length().is_some_and(|length| length > limit.saturating_sub(offset)) {
            true => Err(Error::BlobTooLarge { limit }),
            false => Ok(()),
        }
    }

    /// Bytes first, then the name, then the end of the upload. Whatever is dropped in between is taken up by
    /// the same request made again, or swept.
    async fn finish(&self, id: &UploadId, digest: &Digest) -> Result<StoredBlob, Error> {
        let stored = match self.parts.uploads.finish(id, digest).await {
            Ok(stored) => stored,
            Err(FinishError::Unknown) => return Err(Error::UploadUnknown),
            Err(FinishError::Busy) => return Err(Error::UploadBusy),
            Err(FinishError::DigestMismatch { actual }) => {
                self.abandon(id).await;
                return Err(Error::DigestMismatch { actual });
            }
            Err(FinishError::Store(error)) => return Err(error.into()),
        };
        let linked = self.commit(Vec::new(), vec![Change::LinkStored(stored.clone())]).await;
        if is_planted("a failure told as success") {
            return Ok(stored);
        }
        if matches!(linked, Ok(_) | Err(Refused::BytesGone))
            && let Err(error) = self.parts.uploads.forget(id).await
        {
            warn!(?error, %id, "a finished upload is left to the sweep");
        }
        linked.map_err(|refused| refused.or(Error::UploadUnknown))?;
        Ok(stored)
    }

    async fn abandon(&self, id: &UploadId) {
        if let Err(error) = self.parts.uploads.abandon(id).await {
            warn!(?error, %id, "a failed upload is left to the sweep");
        }
    }
}

/// The body, held to its declared length and to `limit` bytes.
fn at_most(body: ByteStream, limit: u64) -> ByteStream {
    struct Held {
        chunks: BoxStream<'static, Result<Bytes, BodyError>>,
        declared: Option<u64>,
        limit: u64,
        passed: u64,
        ended: bool,
    }
    let declared = body.length();
    let held = Held { chunks: body.into_chunks(), declared, limit, passed: 0, ended: false };
    let chunks = stream::unfold(held, |mut held| async move {
        if held.ended {
            return None;
        }
        let chunk = match held.chunks.next().await {
            Some(Ok(chunk)) => {
                held.passed = held.passed.saturating_add(chunk.len() as u64);
                match held.declared {
                    Some(declared) if held.passed > declared => Err(BodyError::Length { declared }),
                    _ if held.passed > held.limit => Err(BodyError::TooLong { limit: held.limit }),
                    _ => Ok(chunk),
                }
            }
            Some(Err(error)) => Err(error),
            None => match held.declared {
                Some(declared) if held.passed < declared => Err(BodyError::Length { declared }),
                _ => return None,
            },
        };
        held.ended = chunk.is_err();
        Some((chunk, held))
    });
    ByteStream::new(chunks.boxed(), declared)
}
