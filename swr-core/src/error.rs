//! What can go wrong for whoever uses a registry, and the specification's code for it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use swr_policy::{NameError, NameKind, NamingRefusal, RepositoryName, Tag};

use crate::digest::{Digest, DigestError};
use crate::manifest::ManifestDefect;
use crate::media_type::MediaType;
use crate::ports::{Action, Refusal, StoreError, StoreErrorKind};
use crate::reference::{Reference, ReferenceError};
use crate::stream::BodyError;

/// Why an operation was not done. [`Display`](fmt::Display) is what a client may read; the chain of sources
/// is for the operator's log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository does not hold the blob.
    #[error("blob {digest} is unknown to this repository")]
    BlobUnknown {
        /// The blob.
        digest: Digest,
    },
    /// There is no such upload for this caller in this repository: never begun, finished, swept, or
    /// another's.
    #[error("the upload is unknown to this repository")]
    UploadUnknown,
    /// The bytes were not sent to where the upload stands.
    #[error("the upload goes on at offset {offset}")]
    UploadOffset {
        /// The offset that is taken next: the bytes that are here.
        offset: u64,
    },
    /// Another request is at work on the upload; the same request may succeed later.
    #[error("another request is at work on the upload")]
    UploadBusy,
    /// The request that was made of an upload makes no sense, for this reason.
    #[error("{0}")]
    UploadInvalid(Cow<'static, str>),
    /// The body broke off before its end. What came of it stays, where an upload can be gone on with.
    #[error("the body broke off before its end")]
    Interrupted(#[source] BodyError),
    /// No byte of the body came for longer than the host waits.
    #[error("the body stood still for too long")]
    Stalled,
    /// The body has another length than was declared.
    #[error("the body has other than the declared {declared} bytes")]
    SizeMismatch {
        /// The bytes that were declared.
        declared: u64,
    },
    /// The blob is larger than the registry takes.
    #[error("a blob may have at most {limit} bytes")]
    BlobTooLarge {
        /// The bytes that it takes.
        limit: u64,
    },
    /// The content is not what its digest says.
    #[error("the content has another digest: {actual}")]
    DigestMismatch {
        /// The digest of what came.
        actual: Digest,
    },
    /// The text is not a digest that the registry knows.
    #[error(transparent)]
    DigestMalformed(#[from] DigestError),
    /// The manifest is not one that the registry takes.
    #[error("the manifest is invalid: {0}")]
    ManifestInvalid(#[from] ManifestDefect),
    /// The manifest is larger than the registry takes.
    #[error("a manifest may have at most {limit} bytes")]
    ManifestTooLarge {
        /// The bytes that it takes.
        limit: usize,
    },
    /// The manifest names content that the repository does not hold: all of it, each digest once.
    #[error("the manifest names content that this repository does not hold: {}", Listed(.0))]
    ManifestBlobUnknown(Vec<Digest>),
    /// The reference leads to no manifest in the repository.
    #[error("manifest {reference} is unknown to this repository")]
    ManifestUnknown {
        /// What was asked for.
        reference: Reference,
    },
    /// The manifest is there, as a type that the request excludes.
    #[error("manifest {reference} is of the type {media_type}, which the request does not accept")]
    ManifestUnacceptable {
        /// What was asked for.
        reference: Reference,
        /// What it is.
        media_type: MediaType,
    },
    /// The text is not a name; [`source`](std::error::Error::source) says why.
    #[error("'{}' is invalid", kind_of(.0))]
    NameInvalid(#[source] NameError),
    /// The name may not come into being here; [`source`](std::error::Error::source) says why.
    #[error("'repository' is invalid")]
    NameRefused(#[source] NamingRefusal),
    /// The tag may not come into being here; [`source`](std::error::Error::source) says why.
    #[error("'tag' is invalid")]
    TagRefused(#[source] NamingRefusal),
    /// There is no such repository, as far as the caller may know.
    #[error("repository `{repository}` is unknown")]
    NameUnknown {
        /// The repository.
        repository: RepositoryName,
    },
    /// The tag may not be moved or removed once it is set.
    #[error("tag `{tag}` is fixed: it cannot be moved or removed")]
    TagImmutable {
        /// The tag.
        tag: Tag,
    },
    /// The caller is known and may not.
    #[error("{}", .0.sentence())]
    Denied(Refusal),
    /// The caller is not known and would have to be, with these rights.
    #[error("authentication required")]
    Unauthorized {
        /// What to ask a token for: nothing for the catalogue, which is no repository.
        needs: Vec<Need>,
    },
    /// A blob is not taken away from the manifests of its repository.
    #[error("blob {digest} is named by the manifests {}", Listed(.manifests))]
    BlobNamed {
        /// The blob.
        digest: Digest,
        /// Manifests that name it, at least the first few.
        manifests: Vec<Digest>,
    },
    /// The registry does not do this.
    #[error("{0}")]
    Unsupported(Cow<'static, str>),
    /// The caller asks too much at once.
    #[error("too many requests")]
    TooManyRequests {
        /// After how long it may try again.
        retry_after: Option<Duration>,
    },
    /// None of the ranges lies within the blob.
    #[error("none of the ranges lies within the {size} bytes of the blob")]
    RangeUnsatisfiable {
        /// The blob's length in bytes.
        size: u64,
    },
    /// What the request wanted to find is not what is there.
    #[error("the precondition does not hold")]
    PreconditionFailed,
    /// More tags in one request than the registry takes.
    #[error("a request may set at most {limit} tags")]
    TooManyTags {
        /// The tags that it takes.
        limit: usize,
    },
    /// The body is encoded; what has a digest is taken as it is, or not at all.
    #[error("the content encoding `{encoding}` is not supported")]
    EncodingUnsupported {
        /// The encoding, as the request names it.
        encoding: Box<str>,
    },
    /// There is no room left for anything new; reading and removing go on.
    #[error("the registry has no room left")]
    StoreFull(#[source] StoreError),
    /// A store failed. [`StoreError::is_retryable`] says whether the same request may succeed later.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

impl Error {
    /// The specification's code. `None` when it has none for this, as where the fault is the registry's own.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::BlobUnknown { .. } => Some(ErrorCode::BlobUnknown),
            Self::UploadUnknown => Some(ErrorCode::BlobUploadUnknown),
            Self::UploadOffset { .. }
            | Self::UploadBusy
            | Self::UploadInvalid(_)
            | Self::Interrupted(_)
            | Self::Stalled => Some(ErrorCode::BlobUploadInvalid),
            Self::SizeMismatch { .. } | Self::BlobTooLarge { .. } => Some(ErrorCode::SizeInvalid),
            Self::DigestMismatch { .. } | Self::DigestMalformed(_) => Some(ErrorCode::DigestInvalid),
            Self::ManifestInvalid(_) | Self::ManifestTooLarge { .. } => Some(ErrorCode::ManifestInvalid),
            Self::ManifestBlobUnknown(_) => Some(ErrorCode::ManifestBlobUnknown),
            Self::ManifestUnknown { .. } | Self::ManifestUnacceptable { .. } => {
                Some(ErrorCode::ManifestUnknown)
            }
            Self::NameInvalid(_) | Self::NameRefused(_) | Self::TagRefused(_) => Some(ErrorCode::NameInvalid),
            Self::NameUnknown { .. } => Some(ErrorCode::NameUnknown),
            Self::TagImmutable { .. } | Self::Denied(_) => Some(ErrorCode::Denied),
            Self::Unauthorized { .. } => Some(ErrorCode::Unauthorized),
            Self::BlobNamed { .. } | Self::Unsupported(_) | Self::EncodingUnsupported { .. } => {
                Some(ErrorCode::Unsupported)
            }
            Self::TooManyRequests { .. } => Some(ErrorCode::TooManyRequests),
            Self::RangeUnsatisfiable { .. }
            | Self::PreconditionFailed
            | Self::TooManyTags { .. }
            | Self::StoreFull(_)
            | Self::Store(_) => None,
        }
    }

    /// What a body that ended early amounts to, where at most `limit` bytes of a blob are taken.
    pub(crate) fn of_body(error: BodyError, limit: u64) -> Self {
        match error {
            BodyError::TooLong { .. } => Self::BlobTooLarge { limit },
            BodyError::Length { declared } => Self::SizeMismatch { declared },
            BodyError::Stalled => Self::Stalled,
            BodyError::Store(error) => error.into(),
            BodyError::Interrupted(_) => Self::Interrupted(error),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::Full => Self::StoreFull(error),
            _ => Self::Store(error),
        }
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::NameInvalid(error)
    }
}

impl From<ReferenceError> for Error {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::Digest(error) => Self::DigestMalformed(error),
            ReferenceError::Tag(error) => Self::NameInvalid(error),
        }
    }
}

/// Rights that a caller would need in a repository: one scope of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a door prints it")]
pub struct Need {
    /// The repository.
    pub repository: RepositoryName,
    /// The rights, in their order; whoever pushes also pulls.
    pub actions: Vec<Action>,
}

/// The specification's codes (`code-1` to `code-14`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `code-1`: the repository does not hold the blob.
    BlobUnknown,
    /// `code-2`: what was sent to an upload cannot be taken.
    BlobUploadInvalid,
    /// `code-3`: there is no such upload.
    BlobUploadUnknown,
    /// `code-4`: a digest is malformed, or the content has another.
    DigestInvalid,
    /// `code-5`: the manifest names something that is not here.
    ManifestBlobUnknown,
    /// `code-6`: the manifest cannot be taken.
    ManifestInvalid,
    /// `code-7`: the repository does not hold the manifest.
    ManifestUnknown,
    /// `code-8`: the name is none.
    NameInvalid,
    /// `code-9`: there is no such repository.
    NameUnknown,
    /// `code-10`: a length is wrong, or too great.
    SizeInvalid,
    /// `code-11`: nobody has signed in.
    Unauthorized,
    /// `code-12`: whoever has signed in may not.
    Denied,
    /// `code-13`: the registry does not do this.
    Unsupported,
    /// `code-14`: too much at once.
    TooManyRequests,
}

impl ErrorCode {
    /// The code as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The first few of some digests, in a sentence.
struct Listed<'a>(&'a [Digest]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        for (at, digest) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{digest}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn kind_of(error: &NameError) -> &'static str {
    match error.kind() {
        NameKind::Organisation => "organisation",
        NameKind::Tag => "tag",
        _ => "repository",
    }
}
