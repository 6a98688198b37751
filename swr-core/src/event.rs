//! What happened: the record of effective changes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{RepositoryName, Tag};

use crate::caller::{Actor, Origin};
use crate::commit::Change;
use crate::digest::Digest;
use crate::media_type::MediaType;

/// An effective change to a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The repository came to be.
    RepositoryCreated,
    /// The repository is gone with all it held.
    RepositoryRemoved,
    /// The repository holds a blob that it did not hold.
    BlobLinked {
        /// The blob.
        digest: Digest,
    },
    /// The repository no longer holds a blob.
    BlobUnlinked {
        /// The blob.
        digest: Digest,
    },
    /// The repository holds a manifest that it did not hold.
    ManifestPushed {
        /// The manifest.
        digest: Digest,
        /// Its media type.
        media_type: MediaType,
        /// Its own length in bytes.
        size: u64,
        /// The manifest that it refers to as its subject.
        subject: Option<Digest>,
    },
    /// The repository no longer holds a manifest.
    ManifestRemoved {
        /// The manifest.
        digest: Digest,
        /// The tags that pointed to it, gone as well.
        tags: Vec<Tag>,
    },
    /// A tag points to another digest than before.
    TagSet {
        /// The tag.
        tag: Tag,
        /// Where it points.
        digest: Digest,
        /// Where it pointed; `None` for a new tag.
        previous: Option<Digest>,
    },
    /// A tag is gone.
    TagRemoved {
        /// The tag.
        tag: Tag,
        /// Where it pointed.
        digest: Digest,
    },
}

/// What a store found in a change's place just before applying it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "backends say it")]
pub enum Before {
    /// Nothing: no such repository, link, manifest or tag.
    Absent,
    /// It was there already. For a repository: it was there and listed.
    Present,
    /// For a tag: it was set, and pointed here.
    PointedTo(Digest),
    /// For a manifest: it was there, and these tags pointed to it, in their order.
    TaggedBy(Vec<Tag>),
}

impl Event {
    /// The event that `change` amounts to where a store found `before`; `None` when it changes nothing.
    /// The one place where a change becomes an event, so that every store tells the same story.
    pub fn of(change: &Change, before: Before) -> Option<Self> {
        match (change, before) {
            (Change::CreateRepository, Before::Absent) => Some(Self::RepositoryCreated),
            (Change::RemoveRepository, Before::Present) => Some(Self::RepositoryRemoved),
            (Change::LinkStored(stored), Before::Absent) => Some(Self::BlobLinked { digest: stored.digest }),
            (Change::LinkExisting(digest), Before::Absent) => Some(Self::BlobLinked { digest: *digest }),
            (Change::UnlinkBlob(digest), Before::Present) => Some(Self::BlobUnlinked { digest: *digest }),
            (Change::PutManifest(manifest), Before::Absent) => Some(Self::ManifestPushed {
                digest: manifest.digest,
                media_type: manifest.media_type.clone(),
                size: manifest.bytes.len() as u64,
                subject: manifest.subject,
            }),
            (Change::RemoveManifest(digest), Before::TaggedBy(tags)) => {
                Some(Self::ManifestRemoved { digest: *digest, tags })
            }
            (Change::RemoveManifest(digest), Before::Present) => {
                Some(Self::ManifestRemoved { digest: *digest, tags: Vec::new() })
            }
            (Change::SetTag { tag, digest }, Before::Absent) => {
                Some(Self::TagSet { tag: tag.clone(), digest: *digest, previous: None })
            }
            (Change::SetTag { tag, digest }, Before::PointedTo(previous)) if previous != *digest => {
                Some(Self::TagSet { tag: tag.clone(), digest: *digest, previous: Some(previous) })
            }
            (Change::RemoveTag(tag), Before::PointedTo(digest)) => {
                Some(Self::TagRemoved { tag: tag.clone(), digest })
            }
            _ => None,
        }
    }
}

/// The place of an event in the log: greater for what came later, with gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "backends count it")]
pub struct EventSeq(pub u64);

impl EventSeq {
    /// Before every event.
    pub const START: Self = Self(0);
}

/// An event in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct RecordedEvent {
    /// Its place in the log.
    pub seq: EventSeq,
    /// The repository that changed.
    pub repository: RepositoryName,
    /// Who it is recorded under.
    pub actor: Actor,
    /// Where it came from.
    pub origin: Origin,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    pub event: Event,
}
