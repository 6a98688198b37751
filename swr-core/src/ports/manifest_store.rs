//! Names, what they refer to, and the history of their changes.

use std::fmt::Debug;
use std::num::NonZeroU32;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use swr_policy::{RepositoryName, Tag};

use crate::commit::{BlobLocation, Commit, CommitError, Receipt, RepositoryId, StoredBlob};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::event::{EventSeq, RecordedEvent};
use crate::manifest::StoredManifest;
use crate::media_type::MediaType;
use crate::ports::StoreError;
use crate::reference::Reference;

/// Everything that must change together: repositories, manifests, tags, referrers, which repository holds
/// which blob and where its content is, and the log of events.
///
/// A repository's name leads to a [`RepositoryId`], and everything hangs on the id. A repository is listed
/// from [`Change::CreateRepository`](crate::commit::Change::CreateRepository) on; one that came to be by a
/// blob's link alone is hidden until then.
#[async_trait]
pub trait ManifestStore: Debug + Send + Sync + 'static {
    // Questions.

    /// The id that the name leads to now, hidden repositories included.
    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryId>, StoreError>;

    /// Whether the repository is there and listed.
    async fn is_listed(&self, name: &RepositoryName) -> Result<bool, StoreError>;

    /// The manifest that the reference leads to, with its bytes if wanted, in one question. A tag leads to
    /// the digest it was set to, algorithm included.
    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        bytes: WithBytes,
    ) -> Result<Option<StoredManifest>, StoreError>;

    /// The tags after `page.after`, in byte order; `None` when the repository is unknown or hidden.
    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Option<Vec<TagRecord>>, StoreError>;

    /// The tags that point to the manifest, in byte order, at most `limit`.
    async fn tags_of(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Tag>, StoreError>;

    /// The manifests of the repository whose subject is `subject`, present or not, in the order of their
    /// digests; only those of `of_type` if given. Bounded in entries by the page, and to about 2 MiB: a page
    /// may hold fewer than asked for, never none while there are more.
    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        of_type: Option<&MediaType>,
        page: &Page<Digest>,
    ) -> Result<Vec<Descriptor>, StoreError>;

    /// The blob as this repository sees it: present only where it was linked, and not while quarantined.
    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkedBlob>, StoreError>;

    /// Manifests of the repository that name the digest, as a blob or as a child, in the order of their own
    /// digests, at most `limit`.
    async fn manifests_naming(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Digest>, StoreError>;

    /// Listed repositories after `page.after`, in byte order.
    async fn repositories(&self, page: &Page<RepositoryName>) -> Result<Vec<RepositoryName>, StoreError>;

    /// Repositories that hold the blob, hidden ones included: those that share their first component with
    /// `near` first, then by name. None while it is quarantined.
    async fn holders(
        &self,
        digest: &Digest,
        near: &RepositoryName,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryName>, StoreError>;

    // Changes.

    /// Applies the commit whole, or leaves everything as it was. The only way a name changes.
    ///
    /// Requirements are checked against the state before the first change, under the same lock;
    /// [`CommitError::Unmet`] names every one that fails. A link or a manifest makes the repository if there is
    /// none, hidden. Removing a hidden repository takes its name and is no event. A manifest that is pushed
    /// again stays as it was first pushed, its media type included; bytes of it that have rotted are written anew. Each effective change becomes an event by
    /// [`Event::of`](crate::event::Event::of).
    ///
    /// `LinkStored` of content D at L takes the first case that fits: the record of D is at L: only the link;
    /// a live record elsewhere: the link, and L is listed as garbage if it is not yet; no live record, and L is
    /// listed as garbage or spent: [`CommitError::BytesGone`]; else, also where the record is quarantined, the
    /// record becomes (D, L) as of the commit, its quarantine ends, and its old location is listed.
    /// `LinkExisting` of a digest without a live record is `BytesGone`. A record is live while it is not
    /// quarantined.
    /// `SetTag` to a manifest that the repository does not hold (after the changes before it) is `Unmet` with
    /// `ManifestPresent` of it.
    ///
    /// A manifest is held by each tag that points to it, by each present manifest that names it, and, where
    /// it has a subject, by that subject while present. When it loses the last of these it is unused since
    /// then; one that nothing ever held is not unused. `PutManifest` and `KeepManifest` of an unused manifest
    /// start its time again at the commit's.
    async fn commit(&self, commit: Commit) -> Result<Receipt, CommitError>;

    // What nobody needs. Every step is bounded, repeatable, and safe beside any commit.

    /// Removes what has been unused for long enough, at most `limit` in each count of [`Released`]: manifests
    /// unused since before `unused.manifests_before`; links last renewed before `unused.links_before` to blobs that no
    /// manifest of their repository names; hidden repositories older than that without any content; and
    /// everything under removed repositories at once. Each removal is recorded under
    /// [`Task::Collection`](crate::caller::Task::Collection), with an origin of
    /// [`Channel::System`](crate::caller::Channel::System) alone; what goes with a removed repository is counted
    /// and not recorded.
    async fn release_unused(
        &self,
        unused: &Unused,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<Released, StoreError>;

    /// Drops records of content that no repository links, and whose record is older than `before`, and lists
    /// their locations as garbage as of `at`. Says how many. A digest with a link is never dropped: the store
    /// locks first and asks for links after.
    async fn discard_unlinked(
        &self,
        before: DateTime<Utc>,
        at: DateTime<Utc>,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError>;

    /// Lists the location of finished content as garbage, unless the record of its digest is at it; one that is
    /// listed or spent already stays as it is. After `true` no commit can name it. `false`: the record is at it,
    /// and nothing changed.
    async fn discard_stray(
        &self,
        stored: &StoredBlob,
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<bool, StoreError>;

    /// Locations that were listed as garbage before `listed_before` and not yet forgotten, in their order.
    async fn garbage(
        &self,
        listed_before: DateTime<Utc>,
        page: &Page<BlobLocation>,
    ) -> Result<Vec<BlobLocation>, StoreError>;

    /// The content at these locations has been deleted: they are spent as of `at`, all in one commit. A spent
    /// location can still not be linked. One that is not listed stays as it is.
    async fn forget_garbage(
        &self,
        locations: &[BlobLocation],
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError>;

    /// Drops the memory of locations that were spent before `spent_before`, at most `limit`: the host says that
    /// no commit can name them any more. Says how many.
    async fn trim_spent(&self, spent_before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError>;

    // Looking after what there is.

    /// Where the content of every digest is, quarantined or not, linked or not, in the order of the digests.
    async fn records(&self, page: &Page<Digest>) -> Result<Vec<BlobRecord>, StoreError>;

    /// What is known of content of `digest` at `location`.
    async fn content_state(
        &self,
        digest: &Digest,
        location: &BlobLocation,
    ) -> Result<ContentState, StoreError>;

    /// The manifests of all repositories that have a name, with their bytes, in the order of the repositories' ids
    /// and the manifests' digests. Bounded in entries by the page, and to about 8 MiB: a page may hold fewer than
    /// asked for, never none while there are more.
    async fn kept_manifests(
        &self,
        page: &Page<(RepositoryId, Digest)>,
    ) -> Result<Vec<KeptManifest>, StoreError>;

    /// The content of `digest` at `location` is not what it should be: unknown to readers until a push brings
    /// it again. Nothing happens when the record is elsewhere by now.
    async fn quarantine(&self, digest: &Digest, location: &BlobLocation) -> Result<(), StoreError>;

    // The log.

    /// Events after `after`, in order. Never shows one while one with a smaller place may still appear.
    async fn events(&self, after: EventSeq, limit: NonZeroU32) -> Result<Vec<RecordedEvent>, StoreError>;

    /// How far the consumer has come; the start for one that was never heard of.
    async fn cursor(&self, consumer: &str) -> Result<EventSeq, StoreError>;

    /// The consumer has come to `upto`; one that is further already stays there.
    async fn advance(&self, consumer: &str, upto: EventSeq, fence: &Fence) -> Result<(), StoreError>;

    /// Forgets the consumers that have other names than these: no event is kept for them any more.
    async fn retain_consumers(&self, names: &[&str]) -> Result<(), StoreError>;

    /// Removes events older than `before` that every consumer has passed, at most `limit`. Says how many.
    async fn trim_events(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError>;

    // Work that only one may do.

    /// Takes or prolongs the lease, when nobody else holds it at `lease.now`; `None` when somebody does. Each
    /// change of holder gives a greater fence; a write with an older fence is refused as
    /// [`StoreErrorKind::Fenced`](crate::ports::StoreErrorKind::Fenced).
    async fn lease(&self, lease: &Lease<'_>) -> Result<Option<Fence>, StoreError>;

    /// Lets go of a lease before its time: the fence is worth nothing from here on. One that has passed on stays
    /// where it is.
    async fn release_lease(&self, fence: &Fence) -> Result<(), StoreError>;

    // Observations.

    /// Adds to the counts of pulls, in one write. Counts of what is gone are dropped.
    async fn observe_pulls(&self, counts: &[PullCount]) -> Result<(), StoreError>;

    /// How many pulls of the tag, or of the manifest by its digest, were observed, and when the last one was;
    /// `None` when there were none, or it is gone. A tag that moves keeps its count.
    async fn pulls(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<PullCount>, StoreError>;

    /// What waits to be done: for metrics.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// Says whether a commit would be taken now: `Err` tells why not. Costs no more than a point read.
    async fn probe(&self) -> Result<(), StoreError>;
}

/// Whether a manifest's bytes are wanted beside its facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "yes or no")]
pub enum WithBytes {
    /// The bytes as well.
    Yes,
    /// The facts alone.
    No,
}

/// A part of a list: what comes after a name, however that name came to be known, present or not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct Page<T> {
    /// Entries strictly after this one; from the start when `None`.
    pub after: Option<T>,
    /// How many at most.
    pub limit: NonZeroU32,
}

/// A tag as a store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct TagRecord {
    /// The tag.
    pub tag: Tag,
    /// Where it points.
    pub digest: Digest,
    /// When it was set last, to whatever digest.
    pub updated: DateTime<Utc>,
}

/// A blob as one repository sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct LinkedBlob {
    /// What it is, how large, and where.
    pub stored: StoredBlob,
    /// When the link was made or renewed last.
    pub renewed: DateTime<Utc>,
}

/// Where the content of a digest is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct BlobRecord {
    /// What it is, how large, and where.
    pub stored: StoredBlob,
    /// Whether it was found not to be what it should be.
    pub quarantined: bool,
}

/// What is known of content at a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "backends answer it")]
pub enum ContentState {
    /// The record of its digest is at it.
    Recorded,
    /// It is garbage that is to be deleted.
    Listed,
    /// It was garbage, and has been deleted.
    Spent,
    /// Nothing: it belongs to an upload, or to nobody.
    Unknown,
}

/// A manifest as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct KeptManifest {
    /// Whose it is.
    pub repository: RepositoryId,
    /// What that is called now.
    pub name: RepositoryName,
    /// What the bytes should hash to.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What counts as unused for long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct Unused {
    /// Manifests unused since before this; `None` keeps them all.
    pub manifests_before: Option<DateTime<Utc>>,
    /// Unnamed links renewed last before this, and hidden repositories made before it.
    pub links_before: DateTime<Utc>,
    /// When the removals happen.
    pub at: DateTime<Utc>,
}

/// How much was released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Released {
    /// Manifests removed.
    pub manifests: u64,
    /// Links of blobs removed.
    pub links: u64,
    /// Repositories emptied to the end, or dropped because they were hidden and empty.
    pub repositories: u64,
}

impl Released {
    /// Whether there was nothing left to release.
    pub const fn is_nothing(&self) -> bool {
        self.manifests == 0 && self.links == 0 && self.repositories == 0
    }
}

/// The wish for a lease.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct Lease<'a> {
    /// The work that only one may do.
    pub name: &'a str,
    /// Who wants to do it: unique to the process.
    pub holder: &'a str,
    /// The present.
    pub now: DateTime<Utc>,
    /// Until when, unless it is prolonged or let go.
    pub until: DateTime<Utc>,
}

/// Proof of a lease, carried by the writes that depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Fence {
    /// The lease.
    pub lease: Box<str>,
    /// Greater with every change of holder.
    pub token: u64,
}

/// Pulls of one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the engine builds it")]
pub struct PullCount {
    /// The repository.
    pub repository: RepositoryName,
    /// What was asked for.
    pub reference: Reference,
    /// How many times.
    pub count: u64,
    /// When last.
    pub last: DateTime<Utc>,
}

/// What waits to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Backlog {
    /// Locations listed as garbage and not yet deleted.
    pub garbage: u64,
    /// The place of the newest event.
    pub newest_event: EventSeq,
    /// How far each consumer has come.
    pub cursors: Vec<(String, EventSeq)>,
    /// The leases, and until when each is held.
    pub leases: Vec<(String, DateTime<Utc>)>,
}
