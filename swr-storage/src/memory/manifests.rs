//! Names and their history in memory: the tables, and the questions asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;
use std::ops::{Bound, Deref, DerefMut};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use swr_core::commit::{BlobLocation, Commit, CommitError, Receipt, RepositoryId, StoredBlob};
use swr_core::descriptor::Descriptor;
use swr_core::digest::Digest;
use swr_core::event::{EventSeq, RecordedEvent};
use swr_core::manifest::{ManifestRecord, StoredManifest};
use swr_core::media_type::MediaType;
use swr_core::planted::is_planted;
use swr_core::ports::{
    Backlog, BlobRecord, ContentState, Fence, KeptManifest, Lease, LinkedBlob, ManifestStore, Page,
    PullCount, Released, StoreError, TagRecord, Unused, WithBytes,
};
use swr_core::reference::Reference;
use swr_core::{RepositoryName, Tag};

#[cfg(feature = "control")]
use super::metadata::{Described, Metadata};
use super::{Mutex, MutexGuard};
use crate::page_weight::PageWeight;

/// Names, manifests and events in memory: what every other
/// [`ManifestStore`] is compared with. With the feature `control` accounts, rights and the audit trail as well: the
/// model of a [`MetadataStore`](swr_core::ports::metadata_store).
#[derive(Default)]
pub struct MemoryManifests {
    /// Never held across an await.
    tables: Mutex<Tables>,
}

/// What is kept.
#[derive(Default)]
pub(super) struct Tables {
    /// How many changes there have been.
    pub(super) changes: u64,
    /// Removed repositories are not in here.
    pub(super) names: BTreeMap<RepositoryName, RepositoryId>,
    pub(super) repositories: BTreeMap<RepositoryId, Repository>,
    pub(super) last_repository: i64,
    /// The one place where a digest's content is.
    pub(super) records: BTreeMap<Digest, Record>,
    /// Blob → the repositories that link it, removed ones included until they are emptied.
    pub(super) holders: Pairs<RepositoryId>,
    pub(super) discarded: BTreeMap<BlobLocation, Discarded>,
    pub(super) events: BTreeMap<EventSeq, RecordedEvent>,
    pub(super) last_event: EventSeq,
    pub(super) cursors: BTreeMap<String, EventSeq>,
    pub(super) leases: BTreeMap<Box<str>, LeaseState>,
    #[cfg(feature = "control")]
    pub(super) metadata: Metadata,
}

/// What belongs to something, in order: a set of pairs whose first halves come in runs.
pub(super) type Pairs<K> = BTreeMap<(Digest, Option<K>), ()>;

/// What `pairs` has under `of`, in order.
pub(super) fn under<'a, K: Ord>(
    pairs: &'a Pairs<K>,
    of: &Digest,
) -> impl Iterator<Item = &'a K> + use<'a, K> {
    // `None` is before every second half.
    let of = *of;
    pairs
        .range((of, None)..)
        .take_while(move |((first, _), ())| *first == of)
        .filter_map(|((_, second), ())| second.as_ref())
}

pub(super) struct Repository {
    pub(super) name: RepositoryName,
    pub(super) listed: bool,
    pub(super) made: DateTime<Utc>,
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    pub(super) tags: BTreeMap<Tag, TagState>,
    /// Manifest → the tags that point to it.
    pub(super) tags_of: Pairs<Tag>,
    /// Subject, present or not → the manifests that refer to it.
    pub(super) referrers: Pairs<Digest>,
    /// Manifest, present or not → the manifests that name it.
    pub(super) parents: Pairs<Digest>,
    /// Blob, linked or not → the manifests that name it.
    pub(super) users: Pairs<Digest>,
    /// Blob → when its link was made or renewed last.
    pub(super) links: BTreeMap<Digest, DateTime<Utc>>,
    #[cfg(feature = "control")]
    pub(super) described: Described,
}

impl Repository {
    pub(super) fn new(name: RepositoryName, made: DateTime<Utc>) -> Self {
        Self {
            name,
            listed: false,
            made,
            manifests: BTreeMap::new(),
            tags: BTreeMap::new(),
            tags_of: Pairs::new(),
            referrers: Pairs::new(),
            parents: Pairs::new(),
            users: Pairs::new(),
            links: BTreeMap::new(),
            #[cfg(feature = "control")]
            described: Described::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.manifests.is_empty() && self.links.is_empty()
    }

    /// Whether a manifest of the repository names the blob.
    pub(super) fn names_blob(&self, digest: &Digest) -> bool {
        under(&self.users, digest).next().is_some()
    }

    /// Whether a tag, a parent or a present subject holds the manifest.
    pub(super) fn holds(&self, digest: &Digest, manifest: &Manifest) -> bool {
        under(&self.tags_of, digest).next().is_some()
            || under(&self.parents, digest).next().is_some()
            || manifest.record.subject.is_some_and(|subject| self.manifests.contains_key(&subject))
    }

    pub(super) fn resolve(&self, reference: &Reference) -> Option<(&Manifest, Option<&TagState>)> {
        match reference {
            Reference::Digest(digest) => Some((self.manifests.get(digest)?, None)),
            Reference::Tag(tag) => {
                let state = self.tags.get(tag)?;
                Some((self.manifests.get(&state.digest)?, Some(state)))
            }
        }
    }
}

#[derive(Clone)]
pub(super) struct Manifest {
    pub(super) record: Arc<ManifestRecord>,
    pub(super) unused_since: Option<DateTime<Utc>>,
    pub(super) pulls: Option<Pulls>,
}

#[derive(Clone)]
pub(super) struct TagState {
    pub(super) digest: Digest,
    #[cfg(feature = "control")]
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
    pub(super) pulls: Option<Pulls>,
}

#[derive(Clone, Copy)]
pub(super) struct Pulls {
    pub(super) count: u64,
    pub(super) last: DateTime<Utc>,
}

impl Pulls {
    fn add(pulls: &mut Option<Self>, more: &PullCount) {
        let before = pulls.unwrap_or(Self { count: 0, last: more.last });
        *pulls =
            Some(Self { count: before.count.saturating_add(more.count), last: before.last.max(more.last) });
    }
}

/// Where the content of a digest is.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) location: BlobLocation,
    pub(super) size: u64,
    pub(super) made: DateTime<Utc>,
    pub(super) quarantined: bool,
}

/// A location that no commit may name.
#[derive(Clone, Copy)]
pub(super) enum Discarded {
    /// Its content is to be deleted.
    Listed(DateTime<Utc>),
    /// Its content has been deleted.
    Spent(DateTime<Utc>),
}

pub(super) struct LeaseState {
    /// Nobody, once it was let go.
    holder: Option<Box<str>>,
    token: u64,
    until: DateTime<Utc>,
}

impl Tables {
    /// The repository that the name leads to.
    pub(super) fn named(&self, name: &RepositoryName) -> Option<&Repository> {
        self.repositories.get(self.names.get(name)?)
    }

    pub(super) fn listed(&self, name: &RepositoryName) -> Option<&Repository> {
        self.named(name).filter(|repository| repository.listed)
    }

    /// The record of content that may be read.
    pub(super) fn live(&self, digest: &Digest) -> Option<&Record> {
        self.records.get(digest).filter(|record| !record.quarantined)
    }

    /// The blob as the repository sees it.
    pub(super) fn blob(&self, name: &RepositoryName, digest: &Digest) -> Option<LinkedBlob> {
        let renewed = *self.named(name)?.links.get(digest)?;
        let record = self.live(digest)?;
        let stored = StoredBlob { digest: *digest, size: record.size, location: record.location.clone() };
        Some(LinkedBlob { stored, renewed })
    }

    /// The repositories that hold the blob, near ones first.
    pub(super) fn holders(
        &self,
        digest: &Digest,
        near: &RepositoryName,
        limit: usize,
    ) -> Vec<RepositoryName> {
        if self.live(digest).is_none() {
            return Vec::new();
        }
        let mut holders: Vec<_> = under(&self.holders, digest)
            .filter_map(|id| Some((id, &self.repositories.get(id)?.name)))
            .filter(|(id, name)| self.names.get(*name) == Some(id))
            .map(|(_, name)| (name.components().next() != near.components().next(), name))
            .collect();
        holders.sort_unstable();
        holders.into_iter().take(limit).map(|(_, name)| name.clone()).collect()
    }

    /// Refuses whoever does not hold the lease of its fence.
    pub(super) fn fenced(&self, fence: &Fence, operation: &'static str) -> Result<(), StoreError> {
        match self.leases.get(&fence.lease) {
            Some(lease) if lease.token == fence.token && lease.holder.is_some() => Ok(()),
            _ => Err(StoreError::fenced(operation)),
        }
    }

    pub(super) fn advance(&mut self, consumer: &str, upto: EventSeq) {
        let cursor = self.cursors.entry(consumer.to_owned()).or_default();
        *cursor = (*cursor).max(upto);
    }

    /// How far the hindmost consumer has come.
    fn passed_by_all(&self) -> EventSeq {
        self.cursors.values().min().copied().unwrap_or(self.last_event)
    }
}

impl MemoryManifests {
    /// A store with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// To read them.
    pub(super) fn tables(&self) -> impl Deref<Target = Tables> {
        self.locked()
    }

    /// To change them.
    pub(super) fn changing(&self) -> impl DerefMut<Target = Tables> {
        let mut tables = self.locked();
        tables.changes += 1;
        tables
    }

    fn locked(&self) -> MutexGuard<'_, Tables> {
        // Nothing that holds the lock panics: what it does is arithmetic on maps.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn start<T>(page: &Page<T>) -> (Bound<&T>, Bound<&T>) {
    (page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

pub(super) fn most(limit: NonZeroU32) -> usize {
    usize::try_from(limit.get()).unwrap_or(usize::MAX)
}

#[async_trait]
impl ManifestStore for MemoryManifests {
    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryId>, StoreError> {
        Ok(self.tables().names.get(name).copied())
    }

    async fn is_listed(&self, name: &RepositoryName) -> Result<bool, StoreError> {
        Ok(self.tables().listed(name).is_some())
    }

    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        bytes: WithBytes,
    ) -> Result<Option<StoredManifest>, StoreError> {
        let tables = self.tables();
        let found = tables.named(repository).and_then(|repository| repository.resolve(reference));
        Ok(found.map(|(Manifest { record, unused_since, .. }, _)| StoredManifest {
            digest: record.digest,
            media_type: record.media_type.clone(),
            size: record.bytes.len() as u64,
            bytes: (bytes == WithBytes::Yes).then(|| record.bytes.clone()),
            unused_since: *unused_since,
        }))
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Option<Vec<TagRecord>>, StoreError> {
        let tables = self.tables();
        let Some(repository) = tables.listed(repository) else { return Ok(None) };
        let tags = repository.tags.range::<Tag, _>(start(page)).take(most(page.limit));
        Ok(Some(
            tags.map(|(tag, TagState { digest, updated, .. })| TagRecord {
                tag: tag.clone(),
                digest: *digest,
                updated: *updated,
            })
            .collect(),
        ))
    }

    async fn tags_of(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Tag>, StoreError> {
        let tables = self.tables();
        let Some(repository) = tables.named(repository) else { return Ok(Vec::new()) };
        Ok(under(&repository.tags_of, digest).take(most(limit)).cloned().collect())
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        of_type: Option<&MediaType>,
        page: &Page<Digest>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let tables = self.tables();
        let Some(repository) = tables.named(repository) else { return Ok(Vec::new()) };
        let mut weight = PageWeight::default();
        Ok(repository
            .referrers
            .range((Bound::Excluded((*subject, page.after)), Bound::Unbounded))
            .take_while(|((of, _), ())| of == subject)
            .filter_map(|((_, referrer), ())| repository.manifests.get(referrer.as_ref()?))
            .filter(|referrer| of_type.is_none() || of_type == referrer.record.artifact_type.as_ref())
            .map(|referrer| referrer.record.descriptor())
            .take_while(|descriptor| weight.takes(descriptor))
            .take(most(page.limit))
            .collect())
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkedBlob>, StoreError> {
        Ok(self.tables().blob(repository, digest))
    }

    async fn manifests_naming(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Digest>, StoreError> {
        let tables = self.tables();
        let Some(repository) = tables.named(repository) else { return Ok(Vec::new()) };
        let naming: BTreeSet<_> =
            under(&repository.users, digest).chain(under(&repository.parents, digest)).collect();
        Ok(naming.into_iter().take(most(limit)).copied().collect())
    }

    async fn repositories(&self, page: &Page<RepositoryName>) -> Result<Vec<RepositoryName>, StoreError> {
        let tables = self.tables();
        let names = tables.names.range::<RepositoryName, _>(start(page));
        let listed = names.filter(|(_, id)| tables.repositories.get(id).is_some_and(|found| found.listed));
        Ok(listed.take(most(page.limit)).map(|(name, _)| name.clone()).collect())
    }

    async fn holders(
        &self,
        digest: &Digest,
        near: &RepositoryName,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        Ok(self.tables().holders(digest, near, most(limit)))
    }

    async fn commit(&self, commit: Commit) -> Result<Receipt, CommitError> {
        self.changing().commit(commit)
    }

    async fn release_unused(
        &self,
        unused: &Unused,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<Released, StoreError> {
        let mut tables = self.changing();
        tables.fenced(fence, "manifests.release_unused")?;
        Ok(tables.release_unused(unused, most(limit)))
    }

    async fn discard_unlinked(
        &self,
        before: DateTime<Utc>,
        at: DateTime<Utc>,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError> {
        let mut tables = self.changing();
        tables.fenced(fence, "manifests.discard_unlinked")?;
        let unlinked = tables.unlinked(before, most(limit));
        if is_planted("a look away") {
            drop(tables);
            tables = self.changing();
        }
        Ok(tables.discard(&unlinked, at))
    }

    async fn discard_stray(
        &self,
        stored: &StoredBlob,
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<bool, StoreError> {
        let mut tables = self.changing();
        tables.fenced(fence, "manifests.discard_stray")?;
        Ok(tables.discard_stray(stored, at))
    }

    async fn garbage(
        &self,
        listed_before: DateTime<Utc>,
        page: &Page<BlobLocation>,
    ) -> Result<Vec<BlobLocation>, StoreError> {
        let tables = self.tables();
        let listed = tables.discarded.range::<BlobLocation, _>(start(page)).filter(
            |(_, discarded)| matches!(discarded, Discarded::Listed(listed) if *listed < listed_before),
        );
        Ok(listed.take(most(page.limit)).map(|(location, _)| location.clone()).collect())
    }

    async fn forget_garbage(
        &self,
        locations: &[BlobLocation],
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        let mut tables = self.changing();
        tables.fenced(fence, "manifests.forget_garbage")?;
        for location in locations {
            if let Some(discarded @ Discarded::Listed(_)) = tables.discarded.get_mut(location) {
                *discarded = Discarded::Spent(at);
            }
        }
        Ok(())
    }

    async fn trim_spent(&self, spent_before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        let discarded = &mut self.changing().discarded;
        let is_past =
            |discarded: &Discarded| matches!(discarded, Discarded::Spent(spent) if *spent < spent_before);
        Ok(discarded.extract_if(.., |_, state| is_past(state)).take(most(limit)).count() as u64)
    }

    async fn records(&self, page: &Page<Digest>) -> Result<Vec<BlobRecord>, StoreError> {
        let tables = self.tables();
        let records = tables.records.range::<Digest, _>(start(page)).take(most(page.limit));
        Ok(records
            .map(|(digest, record)| BlobRecord {
                stored: StoredBlob { digest: *digest, size: record.size, location: record.location.clone() },
                quarantined: record.quarantined,
            })
            .collect())
    }

    async fn content_state(
        &self,
        digest: &Digest,
        location: &BlobLocation,
    ) -> Result<ContentState, StoreError> {
        let tables = self.tables();
        if tables.records.get(digest).is_some_and(|record| record.location == *location) {
            return Ok(ContentState::Recorded);
        }
        Ok(match tables.discarded.get(location) {
            None => ContentState::Unknown,
            Some(Discarded::Listed(_)) => ContentState::Listed,
            Some(Discarded::Spent(_)) => ContentState::Spent,
        })
    }

    async fn kept_manifests(
        &self,
        page: &Page<(RepositoryId, Digest)>,
    ) -> Result<Vec<KeptManifest>, StoreError> {
        let tables = self.tables();
        let mut weight = PageWeight::of_manifests();
        let from = page.after.map_or(Bound::Unbounded, |(repository, _)| Bound::Included(repository));
        Ok(tables
            .repositories
            .range((from, Bound::Unbounded))
            .filter(|(id, repository)| tables.names.get(&repository.name) == Some(*id))
            .flat_map(|(id, repository)| repository.manifests.iter().map(move |kept| (*id, repository, kept)))
            .filter(|(id, _, (digest, _))| page.after.is_none_or(|after| (*id, **digest) > after))
            .map(|(id, repository, (digest, manifest))| KeptManifest {
                repository: id,
                name: repository.name.clone(),
                digest: *digest,
                bytes: manifest.record.bytes.clone(),
            })
            .take_while(|kept| weight.takes_bytes(kept.bytes.len()))
            .take(most(page.limit))
            .collect())
    }

    async fn quarantine(&self, digest: &Digest, location: &BlobLocation) -> Result<(), StoreError> {
        match self.changing().records.get_mut(digest) {
            Some(record) if record.location == *location => record.quarantined = true,
            _ => {}
        }
        Ok(())
    }

    async fn events(&self, after: EventSeq, limit: NonZeroU32) -> Result<Vec<RecordedEvent>, StoreError> {
        let tables = self.tables();
        let events = tables.events.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(events.take(most(limit)).map(|(_, event)| event.clone()).collect())
    }

    async fn cursor(&self, consumer: &str) -> Result<EventSeq, StoreError> {
        Ok(self.tables().cursors.get(consumer).copied().unwrap_or(EventSeq::START))
    }

    async fn advance(&self, consumer: &str, upto: EventSeq, fence: &Fence) -> Result<(), StoreError> {
        let mut tables = self.changing();
        tables.fenced(fence, "manifests.advance")?;
        tables.advance(consumer, upto);
        Ok(())
    }

    async fn retain_consumers(&self, names: &[&str]) -> Result<(), StoreError> {
        self.changing().cursors.retain(|consumer, _| names.contains(&consumer.as_str()));
        Ok(())
    }

    async fn trim_events(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        let mut tables = self.changing();
        let passed = tables.passed_by_all();
        let past = tables.events.extract_if(..=passed, |_, event| event.at < before);
        Ok(past.take(most(limit)).count() as u64)
    }

    async fn lease(&self, lease: &Lease<'_>) -> Result<Option<Fence>, StoreError> {
        let mut tables = self.changing();
        let state = tables.leases.entry(lease.name.into()).or_insert(LeaseState {
            holder: None,
            token: 0,
            until: lease.now,
        });
        if state.holder.as_deref() != Some(lease.holder) {
            if state.holder.is_some() && lease.now < state.until {
                return Ok(None);
            }
            state.holder = Some(lease.holder.into());
            state.token += 1;
        }
        state.until = lease.until;
        Ok(Some(Fence { lease: lease.name.into(), token: state.token }))
    }

    async fn release_lease(&self, fence: &Fence) -> Result<(), StoreError> {
        match self.changing().leases.get_mut(&fence.lease) {
            Some(state) if state.token == fence.token => state.holder = None,
            _ => {}
        }
        Ok(())
    }

    async fn observe_pulls(&self, counts: &[PullCount]) -> Result<(), StoreError> {
        let mut tables = self.changing();
        for more in counts {
            let id = tables.names.get(&more.repository).copied();
            let Some(repository) = id.and_then(|id| tables.repositories.get_mut(&id)) else { continue };
            let pulls = match &more.reference {
                Reference::Tag(tag) => repository.tags.get_mut(tag).map(|state| &mut state.pulls),
                Reference::Digest(digest) => {
                    repository.manifests.get_mut(digest).map(|manifest| &mut manifest.pulls)
                }
            };
            let Some(pulls) = pulls else { continue };
            Pulls::add(pulls, more);
            #[cfg(feature = "control")]
            tables.note_pulled(more);
        }
        Ok(())
    }

    async fn pulls(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<PullCount>, StoreError> {
        let tables = self.tables();
        let found = tables.named(repository).and_then(|repository| repository.resolve(reference));
        let pulls = found.and_then(|(manifest, tag)| tag.map_or(manifest.pulls, |tag| tag.pulls));
        Ok(pulls.map(|Pulls { count, last }| PullCount {
            repository: repository.clone(),
            reference: reference.clone(),
            count,
            last,
        }))
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let tables = self.tables();
        let listed = tables.discarded.values().filter(|state| matches!(state, Discarded::Listed(_)));
        let held = tables.leases.iter().filter(|(_, lease)| lease.holder.is_some());
        Ok(Backlog {
            garbage: listed.count() as u64,
            newest_event: tables.last_event,
            cursors: tables.cursors.iter().map(|(consumer, upto)| (consumer.clone(), *upto)).collect(),
            leases: held.map(|(name, lease)| (name.to_string(), lease.until)).collect(),
        })
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl fmt::Debug for MemoryManifests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = self.tables();
        f.debug_struct("MemoryManifests")
            .field("repositories", &tables.names.len())
            .field("blobs", &tables.records.len())
            .field("newest_event", &tables.last_event)
            .finish()
    }
}
