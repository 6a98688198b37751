//! A whole registry, held against a model of it.
//!
//! The model is what a registry answers, told as naively as it can be: maps, and no part of the engine.
//! [`agrees_with_the_model`] tries random sequences of operations on it and on a registry over any stores, asked
//! through any door. Each answer has to be the same, the kind of a refusal included; after each sequence so has
//! everything that can be asked, also by a registry that goes on from what the stores kept, and once more when
//! everything that nothing needs has been collected.
//!
//! ```
//! use std::sync::Arc;
//! use swr_core::testing::registry_model::{Direct, agrees_with_the_model};
//! use swr_storage::{MemoryBlobs, MemoryManifests};
//!
//! agrees_with_the_model(
//!     4,
//!     || (Arc::new(MemoryBlobs::new()), Arc::new(MemoryManifests::new())),
//!     async |(bytes, manifests)| (Arc::clone(bytes), Arc::clone(manifests) as Arc<_>),
//!     Direct::new,
//! );
//! ```

mod concurrent;
mod direct;
mod model;
mod sequences;
mod trial;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use swr_policy::{RepositoryName, Tag};

use crate::byte_range::ByteRange;
use crate::caller::{Caller, Identity};
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::media_type::MediaType;
use crate::ports::Page;
use crate::reference::Reference;
use crate::registry::{ManifestPush, Precondition};
use crate::upload::UploadId;

pub use concurrent::some_order_agrees_with_the_model;
pub use direct::Direct;
pub use model::RegistryModel;
pub use trial::agrees_with_the_model;

/// One step of a sequence.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// Somebody asks something of a repository.
    Ask {
        /// Who.
        by: Person,
        /// The repository.
        of: RepositoryName,
        /// What is asked.
        request: Request,
    },
    /// Somebody asks which repositories there are.
    List {
        /// Who.
        by: Person,
        /// The part that is wanted.
        page: Page<RepositoryName>,
    },
    /// Time passes.
    Wait {
        /// So much of it.
        minutes: i64,
    },
    /// The uploads that lie idle are swept.
    Sweep,
    /// A round of collection.
    Collect,
    /// All that has to be waited for passes, and everything is swept and collected.
    CleanUp,
    /// The registry ends, and another one goes on from what the stores kept.
    Restart,
}

/// Who uses the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a door must let everybody in")]
pub enum Person {
    /// May do everything.
    Ada,
    /// May do everything, except that one repository is hidden from him.
    Bob,
}

impl Person {
    /// Everybody.
    pub const ALL: [Self; 2] = [Self::Ada, Self::Bob];

    /// The person as the engine knows them.
    pub fn caller(self) -> Caller {
        Caller::User(Identity::new(match self {
            Self::Ada => "ada",
            Self::Bob => "bob",
        }))
    }
}

/// What can be asked of a repository: a method of [`Access`](crate::Access) each. Uploads are told apart by the
/// number that they were begun under; the next one that is begun under it takes its place.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a door must ask every one")]
pub enum Request {
    /// An upload is begun.
    BeginUpload {
        /// Which one.
        upload: u8,
        /// What it is hashed with.
        algorithm: Algorithm,
    },
    /// More of an upload.
    AppendUpload {
        /// Which one.
        upload: u8,
        /// What comes.
        bytes: Bytes,
        /// How.
        sent: Sent,
    },
    /// How far has an upload come?
    FindUpload {
        /// Which one.
        upload: u8,
    },
    /// An upload becomes a blob.
    FinishUpload {
        /// Which one.
        upload: u8,
        /// What it is said to be.
        digest: Digest,
    },
    /// An upload is given up.
    CancelUpload {
        /// Which one.
        upload: u8,
    },
    /// A whole blob.
    PushBlob {
        /// What it is said to be.
        digest: Digest,
        /// What comes.
        bytes: Bytes,
        /// How; never [`Sent::At`].
        sent: Sent,
    },
    /// A blob that another repository holds.
    MountBlob {
        /// Which one.
        digest: Digest,
        /// The other repository, where it is named.
        from: Option<RepositoryName>,
    },
    /// The facts of a blob.
    StatBlob {
        /// Which one.
        digest: Digest,
    },
    /// The bytes of a blob.
    PullBlob {
        /// Which one.
        digest: Digest,
        /// Those that are wanted; all, where none are named.
        ranges: Vec<ByteRange>,
    },
    /// A blob is removed.
    RemoveBlob {
        /// Which one.
        digest: Digest,
    },
    /// A manifest is pushed.
    PushManifest(ManifestPush),
    /// The facts of a manifest.
    StatManifest {
        /// Which one.
        reference: Reference,
    },
    /// A manifest.
    PullManifest {
        /// Which one.
        reference: Reference,
    },
    /// A tag, or a manifest with its tags, is removed.
    RemoveManifest {
        /// Which one.
        reference: Reference,
        /// What has to be there.
        precondition: Precondition,
    },
    /// The tags.
    Tags {
        /// The part that is wanted.
        page: Page<Tag>,
    },
    /// What refers to a manifest.
    Referrers {
        /// The manifest.
        subject: Digest,
        /// The type that they must have.
        of_type: Option<MediaType>,
        /// The part that is wanted.
        page: Page<Digest>,
    },
}

/// How bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a door must send every way")]
pub enum Sent {
    /// With their length, and where they belong in the upload. There is at least one.
    At(u64),
    /// With their length.
    Whole,
    /// Without it.
    Streamed,
    /// Without it, and the body breaks off after them.
    BrokenOff,
}

/// What a registry answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a door translates into it")]
pub enum Outcome {
    /// It is done, and there is no more to say.
    Done,
    /// So many bytes of the upload are here.
    Offset(u64),
    /// The repository holds the blob.
    Held(Digest),
    /// There is no such blob to be mounted.
    NotHere,
    /// The blob has so many bytes.
    Size(u64),
    /// The bytes of the blob.
    Whole(Bytes),
    /// Parts of the blob.
    Parts(Vec<(Range<u64>, Bytes)>),
    /// The repository holds the manifest.
    Pushed {
        /// Its digest.
        digest: Digest,
        /// What it refers to.
        subject: Option<Digest>,
        /// The tags that it was given.
        tags: Vec<Tag>,
    },
    /// The manifest is there.
    Manifest {
        /// Its digest.
        digest: Digest,
        /// Its type.
        media_type: MediaType,
        /// Its length in bytes.
        size: u64,
        /// Its bytes, where they were asked for.
        bytes: Option<Bytes>,
    },
    /// A page of names.
    Names {
        /// The names.
        names: Vec<String>,
        /// Whether there are more.
        more: bool,
    },
    /// A page of referrers.
    Referrers {
        /// What refers.
        descriptors: Vec<Descriptor>,
        /// Whether there are more.
        more: bool,
    },
    /// So many uploads were swept, and none is left for the next time.
    Swept(u64),
    /// So much was let go of, and there is no more to do at once.
    Collected {
        /// Manifests.
        manifests: u64,
        /// Links of blobs.
        links: u64,
        /// Repositories that never came to be.
        repositories: u64,
    },
    /// So much content is kept, and no upload.
    Kept(u64),
    /// It was not done.
    Refused(Refused),
}

/// Why something was not done: the kinds of [`Error`](crate::Error) that sequences lead to, with what they tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a door translates into it")]
pub enum Refused {
    /// [`BlobUnknown`](crate::Error::BlobUnknown)
    BlobUnknown,
    /// [`UploadUnknown`](crate::Error::UploadUnknown)
    UploadUnknown,
    /// [`UploadOffset`](crate::Error::UploadOffset)
    UploadOffset(u64),
    /// [`Interrupted`](crate::Error::Interrupted)
    Interrupted,
    /// [`BlobTooLarge`](crate::Error::BlobTooLarge)
    BlobTooLarge,
    /// [`DigestMismatch`](crate::Error::DigestMismatch)
    DigestMismatch(Digest),
    /// [`ManifestInvalid`](crate::Error::ManifestInvalid)
    ManifestInvalid,
    /// [`ManifestBlobUnknown`](crate::Error::ManifestBlobUnknown)
    ManifestBlobUnknown(Vec<Digest>),
    /// [`ManifestUnknown`](crate::Error::ManifestUnknown)
    ManifestUnknown,
    /// [`NameUnknown`](crate::Error::NameUnknown)
    NameUnknown,
    /// [`TagImmutable`](crate::Error::TagImmutable)
    TagImmutable(Tag),
    /// [`BlobNamed`](crate::Error::BlobNamed)
    BlobNamed(Vec<Digest>),
    /// [`RangeUnsatisfiable`](crate::Error::RangeUnsatisfiable)
    RangeUnsatisfiable(u64),
    /// [`PreconditionFailed`](crate::Error::PreconditionFailed)
    PreconditionFailed,
    /// Anything that the model knows no reason for, in the registry's words.
    Otherwise(String),
}

/// A way into a registry: asks what the model was asked, and puts what comes back into the same words.
#[async_trait]
pub trait Door {
    /// Asks of a repository. `uploads` knows the ids of the uploads that were begun, and is told of new ones.
    async fn ask(&self, by: Person, of: &RepositoryName, request: &Request, uploads: &mut Uploads)
    -> Outcome;

    /// Asks which repositories there are.
    async fn list(&self, by: Person, page: &Page<RepositoryName>) -> Outcome;
}

/// The ids of the uploads that were begun last.
#[derive(Clone, Debug, Default)]
pub struct Uploads(BTreeMap<u8, UploadId>);

impl Uploads {
    /// The id of this upload; one that nobody has, where it was never begun.
    pub fn id(&self, upload: u8) -> UploadId {
        self.0.get(&upload).cloned().unwrap_or_else(UploadId::random)
    }

    /// This upload was begun.
    pub fn begun(&mut self, upload: u8, id: UploadId) {
        self.0.insert(upload, id);
    }
}
