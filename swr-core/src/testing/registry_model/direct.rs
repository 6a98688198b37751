//! The way in without a door between: every request is a call of the engine.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use swr_policy::RepositoryName;

use super::{Door, Outcome, Person, Refused, Request, Sent, Uploads};
use crate::caller::Origin;
use crate::error::Error;
use crate::manifest::StoredManifest;
use crate::ports::Page;
use crate::reference::Reference;
use crate::registry::{Access, Content, Listed, Mounted, Registry};
use crate::stream::{BodyError, ByteStream};

/// Calls the engine.
#[derive(Debug)]
pub struct Direct(Registry);

impl Direct {
    /// Calls this one.
    pub fn new(registry: Registry) -> Self {
        Self(registry)
    }

    fn access(&self, by: Person) -> Access<'_> {
        self.0.access(by.caller(), Origin::default())
    }
}

#[async_trait]
impl Door for Direct {
    async fn ask(
        &self,
        by: Person,
        of: &RepositoryName,
        request: &Request,
        uploads: &mut Uploads,
    ) -> Outcome {
        called(&self.access(by), of, request, uploads).await.unwrap_or_else(|error| refused(&error))
    }

    async fn list(&self, by: Person, page: &Page<RepositoryName>) -> Outcome {
        let listed = self.access(by).repositories(page).await;
        listed.map_or_else(|error| refused(&error), |listed| names(listed, RepositoryName::as_str))
    }
}

async fn called(
    access: &Access<'_>,
    of: &RepositoryName,
    request: &Request,
    uploads: &mut Uploads,
) -> Result<Outcome, Error> {
    Ok(match request {
        Request::BeginUpload { upload, algorithm } => {
            let begun = access.begin_upload(of, *algorithm).await?;
            uploads.begun(*upload, begun.id);
            Outcome::Offset(begun.offset)
        }
        Request::AppendUpload { upload, bytes, sent } => {
            let offset = match sent {
                Sent::At(offset) => Some(*offset),
                Sent::Whole | Sent::Streamed | Sent::BrokenOff => None,
            };
            let body = body(bytes, *sent);
            Outcome::Offset(access.append_upload(of, &uploads.id(*upload), offset, body).await?)
        }
        Request::FindUpload { upload } => {
            Outcome::Offset(access.find_upload(of, &uploads.id(*upload)).await?.offset)
        }
        Request::FinishUpload { upload, digest } => {
            Outcome::Held(access.finish_upload(of, &uploads.id(*upload), digest).await?.digest)
        }
        Request::CancelUpload { upload } => {
            access.cancel_upload(of, &uploads.id(*upload)).await?;
            Outcome::Done
        }
        Request::PushBlob { digest, bytes, sent } => {
            Outcome::Held(access.push_blob(of, digest, body(bytes, *sent)).await?.digest)
        }
        Request::MountBlob { digest, from } => match access.mount_blob(of, digest, from.as_ref()).await? {
            Mounted::Linked(stored) => Outcome::Held(stored.digest),
            Mounted::NotHere => Outcome::NotHere,
        },
        Request::StatBlob { digest } => Outcome::Size(access.stat_blob(of, digest).await?.size),
        Request::PullBlob { digest, ranges } => {
            content(access.pull_blob(of, digest, ranges).await?.content).await
        }
        Request::RemoveBlob { digest } => {
            access.unlink_blob(of, digest).await?;
            Outcome::Done
        }
        Request::PushManifest(push) => {
            let pushed = access.push_manifest(of, push.clone()).await?;
            Outcome::Pushed { digest: pushed.digest, subject: pushed.subject, tags: pushed.tags }
        }
        Request::StatManifest { reference } => manifest(access.stat_manifest(of, reference).await?),
        Request::PullManifest { reference } => manifest(access.pull_manifest(of, reference).await?),
        Request::RemoveManifest { reference, precondition } => {
            let precondition = precondition.clone();
            match reference {
                Reference::Tag(tag) => access.remove_tag(of, tag, precondition).await?,
                Reference::Digest(digest) => access.remove_manifest(of, digest, precondition).await?,
            }
            Outcome::Done
        }
        Request::Tags { page } => names(access.tags(of, page).await?, |record| record.tag.as_str()),
        Request::Referrers { subject, of_type, page } => {
            let listed = access.referrers(of, subject, of_type.as_ref(), page).await?;
            Outcome::Referrers { descriptors: listed.entries, more: listed.more }
        }
    })
}

/// What is streamed comes in two chunks.
fn body(bytes: &Bytes, sent: Sent) -> ByteStream {
    let half = bytes.len() / 2;
    let chunks = [bytes.slice(..half), bytes.slice(half..)].map(Ok);
    match sent {
        Sent::At(_) | Sent::Whole => bytes.clone().into(),
        Sent::Streamed => ByteStream::new(stream::iter(chunks).boxed(), None),
        Sent::BrokenOff => {
            let end = Err(BodyError::Interrupted("the line was cut".into()));
            ByteStream::new(stream::iter(chunks.into_iter().chain([end])).boxed(), None)
        }
    }
}

async fn content(content: Content) -> Outcome {
    const MANY: usize = 1 << 20;
    let read = async {
        Ok::<_, BodyError>(match content {
            Content::Whole(body) => Outcome::Whole(body.collect(MANY).await?),
            Content::Parts(parts) => {
                let mut read = Vec::new();
                for (range, body) in parts {
                    read.push((range, body.collect(MANY).await?));
                }
                Outcome::Parts(read)
            }
            Content::Redirect(address) => Outcome::Refused(Refused::Otherwise(address)),
        })
    };
    read.await.unwrap_or_else(|error| Outcome::Refused(Refused::Otherwise(error.to_string())))
}

fn manifest(StoredManifest { digest, media_type, size, bytes, .. }: StoredManifest) -> Outcome {
    Outcome::Manifest { digest, media_type, size, bytes }
}

fn names<T>(listed: Listed<T>, name: impl Fn(&T) -> &str) -> Outcome {
    let names = listed.entries.iter().map(|entry| name(entry).to_owned()).collect();
    Outcome::Names { names, more: listed.more }
}

fn refused(error: &Error) -> Outcome {
    Outcome::Refused(match error {
        Error::BlobUnknown { .. } => Refused::BlobUnknown,
        Error::UploadUnknown => Refused::UploadUnknown,
        Error::UploadOffset { offset } => Refused::UploadOffset(*offset),
        Error::Interrupted(_) => Refused::Interrupted,
        Error::BlobTooLarge { .. } => Refused::BlobTooLarge,
        Error::DigestMismatch { actual } => Refused::DigestMismatch(*actual),
        Error::ManifestInvalid(_) => Refused::ManifestInvalid,
        Error::ManifestBlobUnknown(digests) => Refused::ManifestBlobUnknown(digests.clone()),
        Error::ManifestUnknown { .. } => Refused::ManifestUnknown,
        Error::NameUnknown { .. } => Refused::NameUnknown,
        Error::TagImmutable { tag } => Refused::TagImmutable(tag.clone()),
        Error::BlobNamed { manifests, .. } => Refused::BlobNamed(manifests.clone()),
        Error::RangeUnsatisfiable { size } => Refused::RangeUnsatisfiable(*size),
        Error::PreconditionFailed => Refused::PreconditionFailed,
        error => Refused::Otherwise(format!("{error:?}")),
    })
}
