//! One change to one repository, as a value.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{RepositoryName, Tag};

use crate::caller::{Actor, Origin};
use crate::digest::Digest;
use crate::event::RecordedEvent;
use crate::manifest::ManifestRecord;
use crate::ports::StoreError;

/// One change to one repository. Applied whole or not at all; every effective change is also an event.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "backends take it apart")]
pub struct Commit {
    /// The repository that changes.
    pub repository: RepositoryName,
    /// Who it is recorded under.
    pub actor: Actor,
    /// Where it came from.
    pub origin: Origin,
    /// When it happens.
    pub at: DateTime<Utc>,
    /// What must be true.
    pub requires: Vec<Require>,
    /// What changes, in this order.
    pub changes: Vec<Change>,
}

/// What must still be true at the instant the changes land.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a backend must check every one")]
pub enum Require {
    /// The facts that the permission rested on are what they were.
    Grounds(Grounds),
    /// The repository holds the blob, and it is not quarantined.
    BlobLinked(Digest),
    /// No manifest of the repository names the blob.
    BlobUnnamed(Digest),
    /// Another repository holds the blob, and it is not quarantined.
    BlobLinkedIn {
        /// The other repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// The repository holds the manifest.
    ManifestPresent(Digest),
    /// The repository does not hold the manifest.
    ManifestAbsent(Digest),
    /// No tag outside these points to the manifest.
    TaggedOnlyBy {
        /// The manifest.
        digest: Digest,
        /// The tags that may point to it.
        tags: Vec<Tag>,
    },
    /// The tag is not set, or points to the digest already.
    TagUnsetOr {
        /// The tag.
        tag: Tag,
        /// Where it may point.
        digest: Digest,
    },
    /// The tag points to the digest, and was last set at `updated` where that is given.
    TagIs {
        /// The tag.
        tag: Tag,
        /// Where it must point.
        digest: Digest,
        /// When it must have been set last.
        updated: Option<DateTime<Utc>>,
    },
    /// The tag is set.
    TagSet(Tag),
    /// The tag is not set.
    TagUnset(Tag),
}

/// One change. A change that finds everything as it wants it changes nothing and records nothing.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a backend must apply every one")]
pub enum Change {
    /// The repository exists, and is listed.
    CreateRepository,
    /// The repository and all in it are gone.
    RemoveRepository,
    /// The repository holds the blob that an upload has brought.
    LinkStored(StoredBlob),
    /// The repository holds the blob that the registry has already; renews the link's time, never to an earlier one.
    LinkExisting(Digest),
    /// The repository does not hold the blob.
    UnlinkBlob(Digest),
    /// The repository holds the manifest, with its references and its entry among the referrers; renews its time.
    PutManifest(ManifestRecord),
    /// The manifest was asked after: its time as unused starts again, never from an earlier one.
    KeepManifest(Digest),
    /// The manifest is gone, and the tags that point to it.
    RemoveManifest(Digest),
    /// The tag points to the manifest; its update time is the commit's.
    SetTag {
        /// The tag.
        tag: Tag,
        /// Where it points.
        digest: Digest,
    },
    /// The tag is gone.
    RemoveTag(Tag),
}

/// The facts that an authorizer's `Allow` rested on. The commit checks that they still hold, so that a
/// right that vanished between the question and the change refuses the change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "authorizers build it, backends check it")]
pub struct Grounds {
    /// The repository was this one, and not another of the same name. `None`: the decision did not look.
    pub repository: Option<RepositoryId>,
    /// Rights had been changed so often: a store that keeps none has never such grounds. `None`: the decision rests on
    /// no rights that a store keeps.
    pub rights: Option<RightsVersion>,
}

/// Counts the changes of rights in a store: greater after every grant, share, visibility, user, key or
/// organisation that changes. A decision that was made at another count may be another one now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "backends count it")]
pub struct RightsVersion(pub u64);

/// A repository's identity: given by the store, never given twice. A name deleted and made again has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "backends mint it")]
pub struct RepositoryId(pub i64);

/// Finished content: what it is, how large, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct StoredBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where a blob store has it.
    pub location: BlobLocation,
}

/// Where a blob store keeps some content: opaque to all but the store that gave it, and never given twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobLocation(Box<str>);

impl BlobLocation {
    /// A location as its store writes it.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BlobLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a commit has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Receipt {
    /// What was recorded, in order.
    pub events: Vec<RecordedEvent>,
}

/// Why a commit changed nothing.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "the engine must answer for every one")]
pub enum CommitError {
    /// These requirements do not hold: every one that failed, in the order of the commit.
    #[error("the state is not what the change requires")]
    Unmet(Vec<Require>),
    /// The content that was to be linked has been removed as garbage meanwhile.
    #[error("the content of {0} is no longer there")]
    BytesGone(Digest),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
