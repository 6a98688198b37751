//! Requirements, changes and events, in one go.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use swr_core::caller::{Actor, Origin};
use swr_core::commit::{Change, Commit, CommitError, Grounds, Receipt, RepositoryId, Require, StoredBlob};
use swr_core::digest::Digest;
use swr_core::event::{Before, Event, EventSeq, RecordedEvent};
use swr_core::manifest::{ManifestRecord, ReferenceKind};
use swr_core::{RepositoryName, Tag};

use super::manifests::{Discarded, Manifest, Pairs, Record, Repository, Tables, TagState, under};

impl Tables {
    pub(super) fn commit(&mut self, commit: Commit) -> Result<Receipt, CommitError> {
        let Commit { repository, actor, origin, at, requires, changes } = commit;
        let unmet: Vec<_> =
            requires.into_iter().filter(|require| !self.holds(&repository, require)).collect();
        if !unmet.is_empty() {
            return Err(CommitError::Unmet(unmet));
        }
        let mut changing = Changing::new(self, actor, origin, at);
        for change in &changes {
            if let Err(refusal) = changing.apply(&repository, change) {
                changing.take_back();
                return Err(refusal);
            }
        }
        #[cfg(feature = "control")]
        changing.leave_traces_of_events();
        Ok(Receipt { events: changing.events })
    }

    fn holds(&self, name: &RepositoryName, require: &Require) -> bool {
        let repository = self.named(name);
        let tag_state = |tag: &Tag| repository.and_then(|repository| repository.tags.get(tag));
        let has_manifest =
            |digest: &Digest| repository.is_some_and(|found| found.manifests.contains_key(digest));
        match require {
            Require::Grounds(Grounds { repository: was, rights }) => {
                self.rights_are(*rights) && was.is_none_or(|was| self.names.get(name) == Some(&was))
            }
            Require::BlobLinked(digest) => self.blob(name, digest).is_some(),
            Require::BlobUnnamed(digest) => repository.is_none_or(|found| !found.names_blob(digest)),
            Require::BlobLinkedIn { repository, digest } => self.blob(repository, digest).is_some(),
            Require::ManifestPresent(digest) => has_manifest(digest),
            Require::ManifestAbsent(digest) => !has_manifest(digest),
            Require::TaggedOnlyBy { digest, tags } => {
                repository.is_none_or(|found| under(&found.tags_of, digest).all(|tag| tags.contains(tag)))
            }
            Require::TagUnsetOr { tag, digest } => tag_state(tag).is_none_or(|state| state.digest == *digest),
            Require::TagIs { tag, digest, updated } => tag_state(tag).is_some_and(|state| {
                state.digest == *digest && updated.is_none_or(|updated| updated == state.updated)
            }),
            Require::TagSet(tag) => tag_state(tag).is_some(),
            Require::TagUnset(tag) => tag_state(tag).is_none(),
        }
    }
}

#[cfg(not(feature = "control"))]
impl Tables {
    /// Whether a decision that rests on rights still stands: there are none.
    fn rights_are(&self, rights: Option<swr_core::commit::RightsVersion>) -> bool {
        rights.is_none()
    }
}

/// Takes one write back.
type Undo = Box<dyn FnOnce(&mut Tables)>;

/// A change under way: what was done, what it amounts to, and how to take it back.
pub(super) struct Changing<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) actor: Actor,
    pub(super) origin: Origin,
    pub(super) at: DateTime<Utc>,
    /// The user who acts, as it was before the first change.
    #[cfg(feature = "control")]
    pub(super) user: Option<swr_core::control::identity::User>,
    pub(super) events: Vec<RecordedEvent>,
    undo: Vec<Undo>,
}

impl<'a> Changing<'a> {
    pub(super) fn new(tables: &'a mut Tables, actor: Actor, origin: Origin, at: DateTime<Utc>) -> Self {
        #[cfg(feature = "control")]
        let user = tables.metadata.user_of(&actor).cloned();
        Self {
            tables,
            actor,
            origin,
            at,
            #[cfg(feature = "control")]
            user,
            events: Vec::new(),
            undo: Vec::new(),
        }
    }

    /// Leaves everything as it was.
    pub(super) fn take_back(self) {
        for undo in self.undo.into_iter().rev() {
            undo(self.tables);
        }
    }

    pub(super) fn apply(&mut self, name: &RepositoryName, change: &Change) -> Result<(), CommitError> {
        let id = self.tables.names.get(name).copied();
        let before = match change {
            Change::CreateRepository => self.list_repository(name),
            Change::RemoveRepository => self.remove_repository(name),
            Change::LinkStored(stored) => {
                self.place(stored)?;
                self.link(name, &stored.digest)
            }
            Change::LinkExisting(digest) => {
                if self.tables.live(digest).is_none() {
                    return Err(CommitError::BytesGone(*digest));
                }
                self.link(name, digest)
            }
            Change::UnlinkBlob(digest) => id.map_or(Before::Absent, |id| self.unlink(id, digest)),
            Change::PutManifest(record) => self.put_manifest(name, record),
            Change::KeepManifest(digest) => id.map_or(Before::Absent, |id| self.keep_manifest(id, digest)),
            Change::RemoveManifest(digest) => {
                id.map_or(Before::Absent, |id| self.remove_manifest(id, digest))
            }
            Change::SetTag { tag, digest } => {
                let absent = || CommitError::Unmet(vec![Require::ManifestPresent(*digest)]);
                self.set_tag(id.ok_or_else(absent)?, tag, digest).ok_or_else(absent)?
            }
            Change::RemoveTag(tag) => id.map_or(Before::Absent, |id| self.remove_tag(id, tag)),
        };
        if let Some(event) = Event::of(change, before) {
            self.record(name, event);
        }
        Ok(())
    }

    pub(super) fn record(&mut self, name: &RepositoryName, event: Event) {
        let last = self.tables.last_event;
        let seq = EventSeq(last.0 + 1);
        let recorded = RecordedEvent {
            seq,
            repository: name.clone(),
            actor: self.actor.clone(),
            origin: self.origin.clone(),
            at: self.at,
            event,
        };
        self.tables.last_event = seq;
        self.undo.push(Box::new(move |tables| tables.last_event = last));
        self.events.push(recorded.clone());
        self.put(|tables| Some(&mut tables.events), seq, Some(recorded));
    }

    // Repositories.

    /// The repository of this name, made if there is none.
    fn repository(&mut self, name: &RepositoryName) -> RepositoryId {
        if let Some(id) = self.tables.names.get(name) {
            return *id;
        }
        // Taking back does not give the number back: none is ever given twice.
        self.tables.last_repository += 1;
        let id = RepositoryId(self.tables.last_repository);
        let made = Repository::new(name.clone(), self.at);
        self.put(|tables| Some(&mut tables.repositories), id, Some(made));
        self.put(|tables| Some(&mut tables.names), name.clone(), Some(id));
        id
    }

    pub(super) fn list_repository(&mut self, name: &RepositoryName) -> Before {
        let id = self.repository(name);
        if self.set_listed(id, true) {
            return Before::Present;
        }
        #[cfg(feature = "control")]
        self.describe_new(id);
        Before::Absent
    }

    /// Says whether it was listed.
    fn set_listed(&mut self, id: RepositoryId, listed: bool) -> bool {
        let Some(repository) = self.tables.repositories.get_mut(&id) else { return false };
        let before = std::mem::replace(&mut repository.listed, listed);
        self.undo.push(Box::new(move |tables| {
            if let Some(repository) = tables.repositories.get_mut(&id) {
                repository.listed = before;
            }
        }));
        before
    }

    /// Takes the name away at once; what hangs on the id is emptied later.
    fn remove_repository(&mut self, name: &RepositoryName) -> Before {
        let Some(id) = self.tables.names.get(name).copied() else { return Before::Absent };
        self.put(|tables| Some(&mut tables.names), name.clone(), None);
        #[cfg(feature = "control")]
        self.drop_metadata(id);
        if self.set_listed(id, false) { Before::Present } else { Before::Absent }
    }

    // Blobs.

    /// Sees to it that the digest has a live record, at the location that was brought or where it is already.
    fn place(&mut self, StoredBlob { digest, size, location }: &StoredBlob) -> Result<(), CommitError> {
        let discarded = self.tables.discarded.get(location).copied();
        match self.tables.records.get(digest).cloned() {
            Some(record) if record.location == *location => return Ok(()),
            Some(record) if !record.quarantined => {
                if discarded.is_none() {
                    let listed = Discarded::Listed(self.at);
                    self.put(|tables| Some(&mut tables.discarded), location.clone(), Some(listed));
                }
                return Ok(());
            }
            _ if discarded.is_some() => return Err(CommitError::BytesGone(*digest)),
            Some(broken) => {
                let listed = Discarded::Listed(self.at);
                self.put(|tables| Some(&mut tables.discarded), broken.location, Some(listed));
            }
            None => {}
        }
        let record = Record { location: location.clone(), size: *size, made: self.at, quarantined: false };
        self.put(|tables| Some(&mut tables.records), *digest, Some(record));
        Ok(())
    }

    fn link(&mut self, name: &RepositoryName, digest: &Digest) -> Before {
        let id = self.repository(name);
        let linked = self.tables.repositories.get(&id).and_then(|found| found.links.get(digest)).copied();
        // Whoever was held up on the way takes no time from those who came before.
        let renewed = linked.map_or(self.at, |renewed| renewed.max(self.at));
        self.put_in(id, |repository| &mut repository.links, *digest, Some(renewed));
        self.put(|tables| Some(&mut tables.holders), (*digest, Some(id)), Some(()));
        if linked.is_some() { Before::Present } else { Before::Absent }
    }

    pub(super) fn unlink(&mut self, id: RepositoryId, digest: &Digest) -> Before {
        let linked = self.tables.repositories.get(&id).is_some_and(|found| found.links.contains_key(digest));
        self.put_in(id, |repository| &mut repository.links, *digest, None);
        self.put(|tables| Some(&mut tables.holders), (*digest, Some(id)), None);
        if linked { Before::Present } else { Before::Absent }
    }

    // Manifests.

    fn put_manifest(&mut self, name: &RepositoryName, record: &ManifestRecord) -> Before {
        let id = self.repository(name);
        let digest = record.digest;
        if self.keep_manifest(id, &digest) == Before::Present {
            return Before::Present;
        }
        let record = Arc::new(record.clone());
        let manifest = Manifest { record: Arc::clone(&record), unused_since: None, pulls: None };
        self.put_in(id, |repository| &mut repository.manifests, digest, Some(manifest));
        if let Some(subject) = record.subject {
            self.put_in(id, |repository| &mut repository.referrers, (subject, Some(digest)), Some(()));
        }
        for named in &record.references {
            self.put_in(id, users_or_parents(named.kind), (named.digest, Some(digest)), Some(()));
        }
        for held in self.held_by(id, &record) {
            self.set_unused(id, &held, None);
        }
        Before::Absent
    }

    /// Starts the time of an unused manifest again.
    fn keep_manifest(&mut self, id: RepositoryId, digest: &Digest) -> Before {
        let repository = self.tables.repositories.get(&id);
        let Some(manifest) = repository.and_then(|found| found.manifests.get(digest)) else {
            return Before::Absent;
        };
        if let Some(since) = manifest.unused_since {
            // Whoever was held up on the way takes no time from those who came before.
            self.set_unused(id, digest, Some(since.max(self.at)));
        }
        Before::Present
    }

    pub(super) fn remove_manifest(&mut self, id: RepositoryId, digest: &Digest) -> Before {
        let Some(repository) = self.tables.repositories.get(&id) else { return Before::Absent };
        let Some(manifest) = repository.manifests.get(digest) else { return Before::Absent };
        let record = Arc::clone(&manifest.record);
        let tags: Vec<Tag> = under(&repository.tags_of, digest).cloned().collect();
        for tag in &tags {
            self.put_in(id, |repository| &mut repository.tags, tag.clone(), None);
            self.put_in(id, |repository| &mut repository.tags_of, (*digest, Some(tag.clone())), None);
        }
        #[cfg(feature = "control")]
        if !tags.is_empty() {
            self.describe_updated(id);
        }
        let held = self.held_by(id, &record);
        self.put_in(id, |repository| &mut repository.manifests, *digest, None);
        if let Some(subject) = record.subject {
            self.put_in(id, |repository| &mut repository.referrers, (subject, Some(*digest)), None);
        }
        for named in &record.references {
            self.put_in(id, users_or_parents(named.kind), (named.digest, Some(*digest)), None);
        }
        for held in &held {
            self.let_go(id, held);
        }
        Before::TaggedBy(tags)
    }

    /// The present manifests that the manifest holds: its children, and those that refer to it.
    fn held_by(&self, id: RepositoryId, record: &ManifestRecord) -> Vec<Digest> {
        let Some(repository) = self.tables.repositories.get(&id) else { return Vec::new() };
        let children = record.references.iter().filter(|named| named.kind == ReferenceKind::Manifest);
        children
            .map(|child| &child.digest)
            .chain(under(&repository.referrers, &record.digest))
            .copied()
            .filter(|held| repository.manifests.contains_key(held))
            .collect()
    }

    /// Something that held the manifest does no longer: it is unused from now on, unless something else does.
    fn let_go(&mut self, id: RepositoryId, digest: &Digest) {
        let Some(repository) = self.tables.repositories.get(&id) else { return };
        let Some(manifest) = repository.manifests.get(digest) else { return };
        if !repository.holds(digest, manifest) {
            self.set_unused(id, digest, Some(self.at));
        }
    }

    fn set_unused(&mut self, id: RepositoryId, digest: &Digest, since: Option<DateTime<Utc>>) {
        let repository = self.tables.repositories.get(&id);
        if let Some(manifest) = repository.and_then(|found| found.manifests.get(digest)) {
            let manifest = Manifest { unused_since: since, ..manifest.clone() };
            self.put_in(id, |repository| &mut repository.manifests, *digest, Some(manifest));
        }
    }

    // Tags.

    /// `None` when the repository does not hold the manifest.
    fn set_tag(&mut self, id: RepositoryId, tag: &Tag, digest: &Digest) -> Option<Before> {
        let repository = self.tables.repositories.get(&id)?;
        repository.manifests.get(digest)?;
        let before = repository.tags.get(tag).cloned();
        let pulls = before.as_ref().and_then(|before| before.pulls);
        let state = TagState {
            digest: *digest,
            #[cfg(feature = "control")]
            created: before.as_ref().map_or(self.at, |before| before.created),
            updated: self.at,
            pulls,
        };
        self.put_in(id, |repository| &mut repository.tags, tag.clone(), Some(state));
        #[cfg(feature = "control")]
        self.describe_updated(id);
        let Some(before) = before else {
            self.point(id, tag, digest);
            return Some(Before::Absent);
        };
        if before.digest != *digest {
            self.point(id, tag, digest);
            self.point_away(id, tag, &before.digest);
        }
        Some(Before::PointedTo(before.digest))
    }

    fn remove_tag(&mut self, id: RepositoryId, tag: &Tag) -> Before {
        let repository = self.tables.repositories.get(&id);
        let Some(digest) = repository.and_then(|found| found.tags.get(tag)).map(|state| state.digest) else {
            return Before::Absent;
        };
        self.put_in(id, |repository| &mut repository.tags, tag.clone(), None);
        #[cfg(feature = "control")]
        self.describe_updated(id);
        #[cfg(feature = "control")]
        self.note_cleared(id, tag);
        self.point_away(id, tag, &digest);
        Before::PointedTo(digest)
    }

    fn point(&mut self, id: RepositoryId, tag: &Tag, digest: &Digest) {
        self.put_in(id, |repository| &mut repository.tags_of, (*digest, Some(tag.clone())), Some(()));
        self.set_unused(id, digest, None);
    }

    fn point_away(&mut self, id: RepositoryId, tag: &Tag, digest: &Digest) {
        self.put_in(id, |repository| &mut repository.tags_of, (*digest, Some(tag.clone())), None);
        self.let_go(id, digest);
    }

    // Every write goes through these, so that it can be taken back.

    /// As one of the two, for a write that is no row of a table.
    #[cfg(feature = "control")]
    pub(super) fn if_taken_back(&mut self, undo: impl FnOnce(&mut Tables) + 'static) {
        self.undo.push(Box::new(undo));
    }

    pub(super) fn put_in<K, V>(
        &mut self,
        id: RepositoryId,
        table: fn(&mut Repository) -> &mut BTreeMap<K, V>,
        key: K,
        value: Option<V>,
    ) where
        K: Ord + Clone + 'static,
        V: 'static,
    {
        self.put(move |tables| tables.repositories.get_mut(&id).map(table), key, value);
    }

    pub(super) fn put<K, V>(
        &mut self,
        table: impl Fn(&mut Tables) -> Option<&mut BTreeMap<K, V>> + 'static,
        key: K,
        value: Option<V>,
    ) where
        K: Ord + Clone + 'static,
        V: 'static,
    {
        let Some(rows) = table(self.tables) else { return };
        let before = replace(rows, key.clone(), value);
        self.undo.push(Box::new(move |tables| {
            if let Some(rows) = table(tables) {
                replace(rows, key, before);
            }
        }));
    }
}

fn replace<K: Ord, V>(rows: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => rows.insert(key, value),
        None => rows.remove(&key),
    }
}

/// Where a repository notes who names what.
fn users_or_parents(kind: ReferenceKind) -> fn(&mut Repository) -> &mut Pairs<Digest> {
    match kind {
        ReferenceKind::Blob | ReferenceKind::ForeignBlob => |repository| &mut repository.users,
        ReferenceKind::Manifest => |repository| &mut repository.parents,
    }
}
