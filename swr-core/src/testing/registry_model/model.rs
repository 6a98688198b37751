//! What a registry answers, told as naively as it can be.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::strategy::{BoxedStrategy, Strategy as _};
use proptest_state_machine::ReferenceStateMachine;
use swr_policy::{RepositoryName, Tag};

use super::sequences::Wish;
use super::world::{self, WORLD};
use super::{Operation, Outcome, Person, Refused, Request, Sent, sequences};
use crate::byte_range::ByteRange;
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::manifest::{ManifestRecord, ReferenceKind};
use crate::media_type::MediaType;
use crate::reference::Reference;
use crate::registry::{ManifestPush, Precondition};
use crate::testing::minute;

/// A registry that is nothing but maps. It can do two things: go on by an operation, and say what it answered.
#[derive(Clone, Debug)]
pub struct RegistryModel {
    now: DateTime<Utc>,
    repositories: BTreeMap<RepositoryName, Repository>,
    uploads: Vec<Upload>,
    answer: Outcome,
    /// What its people want to be there and have not had yet, most wanted first. No answer depends on it.
    pub(super) wishes: Vec<Wish>,
}

#[derive(Clone, Debug)]
pub(super) struct Repository {
    /// Whether a manifest was ever pushed to it.
    listed: bool,
    made: DateTime<Utc>,
    /// When each blob was last pushed, mounted or asked for.
    pub(super) blobs: BTreeMap<Digest, DateTime<Utc>>,
    /// Since when each manifest is unused, if it is.
    pub(super) manifests: BTreeMap<Digest, Option<DateTime<Utc>>>,
    pub(super) tags: BTreeMap<Tag, Digest>,
}

#[derive(Clone, Debug)]
pub(super) struct Upload {
    /// The number that it is asked for by; none once another one was begun under it.
    number: Option<u8>,
    pub(super) by: Person,
    pub(super) of: RepositoryName,
    pub(super) bytes: Vec<u8>,
    /// When the last byte came, or else when it was begun.
    active: DateTime<Utc>,
}

/// An operation's answer, where a refusal is one that ends it early.
type Answer = Result<Outcome, Refused>;

impl ReferenceStateMachine for RegistryModel {
    type State = Self;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Self> {
        sequences::wishes().prop_map(Self::new).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Operation> {
        sequences::operations(model)
    }

    fn apply(mut model: Self, operation: &Operation) -> Self {
        model.go_on(operation);
        model
    }
}

impl RegistryModel {
    /// A registry in which nothing has happened yet.
    fn new(wishes: Vec<Wish>) -> Self {
        Self {
            now: minute(0),
            repositories: BTreeMap::new(),
            uploads: Vec::new(),
            answer: Outcome::Done,
            wishes,
        }
    }

    /// Goes on by an operation, and knows its answer then.
    pub fn go_on(&mut self, operation: &Operation) {
        self.answer = self.play(operation).unwrap_or_else(Outcome::Refused);
    }

    /// What the last operation was answered.
    pub fn answer(&self) -> &Outcome {
        &self.answer
    }

    pub(super) fn repository(&self, name: &RepositoryName) -> Repository {
        let none = Repository {
            listed: false,
            made: self.now,
            blobs: BTreeMap::new(),
            manifests: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        self.repositories.get(name).cloned().unwrap_or(none)
    }

    pub(super) fn repositories(&self) -> impl Iterator<Item = (&RepositoryName, &Repository)> {
        self.repositories.iter()
    }

    pub(super) fn upload(&self, number: u8) -> Option<&Upload> {
        self.uploads.iter().find(|upload| upload.number == Some(number))
    }

    fn play(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::Ask { by, of, request } => self.ask(*by, of, request),
            Operation::List { by, page } => {
                let seen = self
                    .repositories
                    .iter()
                    .filter(|(name, repository)| repository.listed && !world::is_hidden(*by, name));
                Ok(names(seen.map(|(name, _)| name), page.after.as_ref(), page.limit))
            }
            Operation::Wait { minutes } => {
                self.now += TimeDelta::minutes(*minutes);
                Ok(Outcome::Done)
            }
            Operation::Sweep => Ok(self.sweep()),
            Operation::Collect => Ok(self.collect()),
            Operation::CleanUp => {
                for step in &sequences::CLEANING {
                    self.play(step)?;
                }
                let kept: BTreeSet<_> =
                    self.repositories.values().flat_map(|repository| repository.blobs.keys()).collect();
                Ok(Outcome::Kept(kept.len() as u64))
            }
            Operation::Restart => Ok(Outcome::Done),
        }
    }

    fn ask(&mut self, by: Person, of: &RepositoryName, request: &Request) -> Answer {
        if world::is_hidden(by, of) {
            return Err(Refused::NameUnknown);
        }
        let repository = self.repository(of);
        match request {
            Request::BeginUpload { upload, .. } => {
                for other in &mut self.uploads {
                    other.number = other.number.filter(|number| number != upload);
                }
                self.uploads.push(Upload {
                    number: Some(*upload),
                    by,
                    of: of.clone(),
                    bytes: Vec::new(),
                    active: self.now,
                });
                Ok(Outcome::Offset(0))
            }
            Request::AppendUpload { upload, bytes, sent } => {
                let at = self.upload_of(by, of, *upload).ok_or(Refused::UploadUnknown)?;
                self.append(at, bytes, *sent)
            }
            Request::FindUpload { upload } => {
                let at = self.upload_of(by, of, *upload).ok_or(Refused::UploadUnknown)?;
                Ok(Outcome::Offset(self.uploads[at].bytes.len() as u64))
            }
            Request::FinishUpload { upload, digest } => match self.upload_of(by, of, *upload) {
                Some(at) => {
                    let bytes = self.uploads.remove(at).bytes;
                    self.bring(of, digest, &bytes)
                }
                None if repository.blobs.contains_key(digest) => {
                    self.renew_blob(of, digest);
                    Ok(Outcome::Held(*digest))
                }
                None => Err(Refused::UploadUnknown),
            },
            Request::CancelUpload { upload } => {
                let at = self.upload_of(by, of, *upload).ok_or(Refused::UploadUnknown)?;
                self.uploads.remove(at);
                Ok(Outcome::Done)
            }
            Request::PushBlob { digest, bytes, sent } => {
                if bytes.len() as u64 > world::BLOB_BYTES_MAX {
                    Err(Refused::BlobTooLarge)
                } else if *sent == Sent::BrokenOff {
                    Err(Refused::Interrupted)
                } else {
                    self.bring(of, digest, bytes)
                }
            }
            Request::MountBlob { digest, from } => {
                let is_there = self.repositories.iter().any(|(name, repository)| {
                    from.as_ref().is_none_or(|from| from == name)
                        && !world::is_hidden(by, name)
                        && repository.blobs.contains_key(digest)
                });
                if !is_there {
                    return Ok(Outcome::NotHere);
                }
                self.link(of, digest);
                Ok(Outcome::Held(*digest))
            }
            Request::StatBlob { digest } => {
                let size = self.content(&repository, digest)?.len() as u64;
                self.renew_blob(of, digest);
                Ok(Outcome::Size(size))
            }
            Request::PullBlob { digest, ranges } => {
                let content = self.content(&repository, digest)?;
                let wanted = wanted(ranges, content.len() as u64);
                if wanted.is_empty() && !ranges.is_empty() {
                    return Err(Refused::RangeUnsatisfiable(content.len() as u64));
                }
                if wanted.is_empty() || wanted.len() > world::limits().ranges_max {
                    return Ok(Outcome::Whole(content.to_vec().into()));
                }
                let part = |range: Range<u64>| {
                    let bytes = content[range.start as usize..range.end as usize].to_vec();
                    (range, bytes.into())
                };
                Ok(Outcome::Parts(wanted.into_iter().map(part).collect()))
            }
            Request::RemoveBlob { digest } => {
                if !repository.blobs.contains_key(digest) {
                    return Err(Refused::BlobUnknown);
                }
                let naming = repository.naming(digest);
                if !naming.is_empty() {
                    return Err(Refused::BlobNamed(naming));
                }
                self.change(of, |repository| _ = repository.blobs.remove(digest));
                Ok(Outcome::Done)
            }
            Request::PushManifest(push) => self.push_manifest(of, &repository, push),
            Request::StatManifest { reference } => self.read_manifest(of, &repository, reference, false),
            Request::PullManifest { reference } => self.read_manifest(of, &repository, reference, true),
            Request::RemoveManifest { reference, precondition } => {
                self.remove_manifest(of, &repository, reference, precondition)
            }
            Request::Tags { page } => {
                if !repository.listed {
                    return Err(Refused::NameUnknown);
                }
                Ok(names(repository.tags.keys(), page.after.as_ref(), page.limit))
            }
            Request::Referrers { subject, of_type, page } => {
                let referring = repository.referring(subject).into_values();
                let all = referring
                    .filter(|descriptor| page.after.is_none_or(|after| descriptor.digest > after))
                    .filter(|descriptor| of_type.is_none() || descriptor.artifact_type == *of_type);
                let (descriptors, more) = first(all, page.limit);
                Ok(Outcome::Referrers { descriptors, more })
            }
        }
    }

    // Uploads and blobs.

    fn upload_of(&self, by: Person, of: &RepositoryName, number: u8) -> Option<usize> {
        self.uploads
            .iter()
            .position(|upload| upload.number == Some(number) && upload.by == by && upload.of == *of)
    }

    fn append(&mut self, at: usize, bytes: &[u8], sent: Sent) -> Answer {
        let upload = &mut self.uploads[at];
        let offset = upload.bytes.len() as u64;
        if matches!(sent, Sent::At(said) if said != offset) {
            return Err(Refused::UploadOffset(offset));
        }
        if offset + bytes.len() as u64 > world::BLOB_BYTES_MAX {
            // Whoever said how much it would be has sent nothing yet.
            if matches!(sent, Sent::Streamed | Sent::BrokenOff) {
                self.uploads.remove(at);
            }
            return Err(Refused::BlobTooLarge);
        }
        if !bytes.is_empty() {
            upload.bytes.extend(bytes);
            upload.active = self.now;
        }
        match sent {
            Sent::BrokenOff => Err(Refused::Interrupted),
            Sent::At(_) | Sent::Whole | Sent::Streamed => Ok(Outcome::Offset(upload.bytes.len() as u64)),
        }
    }

    /// All bytes of a blob have come.
    fn bring(&mut self, of: &RepositoryName, digest: &Digest, bytes: &[u8]) -> Answer {
        let actual = digest.algorithm().digest(bytes);
        if actual != *digest {
            return Err(Refused::DigestMismatch(actual));
        }
        self.link(of, digest);
        Ok(Outcome::Held(*digest))
    }

    fn link(&mut self, of: &RepositoryName, digest: &Digest) {
        let now = self.now;
        self.change(of, |repository| _ = repository.blobs.insert(*digest, now));
    }

    /// Only blobs of the world ever come to be: everything else has been refused for its digest.
    fn content(&self, repository: &Repository, digest: &Digest) -> Result<&'static [u8], Refused> {
        match WORLD.blob(digest) {
            Some(blob) if repository.blobs.contains_key(digest) => Ok(&blob.bytes),
            _ => Err(Refused::BlobUnknown),
        }
    }

    /// Somebody was told that the blob is here: it stays for at least half of its time.
    fn renew_blob(&mut self, of: &RepositoryName, digest: &Digest) {
        let (now, hold) = (self.now, world::limits().link_hold);
        self.change(of, |repository| {
            let renewed = repository.blobs.get_mut(digest).unwrap();
            if now - *renewed >= hold / 2 {
                *renewed = now;
            }
        });
    }

    // Manifests.

    fn push_manifest(&mut self, of: &RepositoryName, repository: &Repository, push: &ManifestPush) -> Answer {
        let mut tags = Vec::new();
        if let Reference::Tag(tag) = &push.reference {
            tags.push(tag.clone());
        }
        for tag in &push.tags {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let digest = match &push.reference {
            Reference::Tag(_) => Algorithm::Sha256.digest(&push.bytes),
            Reference::Digest(said) => {
                let actual = said.algorithm().digest(&push.bytes);
                if actual != *said {
                    return Err(Refused::DigestMismatch(actual));
                }
                actual
            }
        };
        let manifest = WORLD.manifest(&digest).ok_or(Refused::ManifestInvalid)?;
        if !repository.meets(&push.reference, &push.precondition) {
            return Err(Refused::PreconditionFailed);
        }
        for tag in &tags {
            if world::is_fixed(tag) && repository.tags.get(tag).is_some_and(|set| *set != digest) {
                return Err(Refused::TagImmutable(tag.clone()));
            }
        }
        let missing: Vec<Digest> = repository.missing(manifest).collect();
        if !missing.is_empty() {
            return Err(Refused::ManifestBlobUnknown(missing));
        }
        self.wishes.retain(|(wanted_in, wanted)| *wanted_in != of || wanted.digest != digest);
        let now = self.now;
        self.change(of, |repository| {
            repository.listed = true;
            let unused = repository.manifests.entry(digest).or_default();
            *unused = unused.map(|_| now);
            for tag in &tags {
                repository.tags.insert(tag.clone(), digest);
            }
        });
        Ok(Outcome::Pushed { digest, subject: manifest.subject, tags })
    }

    fn read_manifest(
        &mut self,
        of: &RepositoryName,
        repository: &Repository,
        reference: &Reference,
        with_bytes: bool,
    ) -> Answer {
        let digest = repository.resolve(reference).ok_or(Refused::ManifestUnknown)?;
        let ManifestRecord { media_type, bytes, .. } = WORLD.manifest(&digest).unwrap();
        let (now, keep) = (self.now, world::limits().untagged_keep.unwrap());
        self.change(of, |repository| {
            let unused = repository.manifests.get_mut(&digest).unwrap();
            *unused = unused.map(|since| if now - since >= keep / 2 { now } else { since });
        });
        Ok(Outcome::Manifest {
            digest,
            media_type: media_type.clone(),
            size: bytes.len() as u64,
            bytes: with_bytes.then(|| bytes.clone()),
        })
    }

    fn remove_manifest(
        &mut self,
        of: &RepositoryName,
        repository: &Repository,
        reference: &Reference,
        precondition: &Precondition,
    ) -> Answer {
        let digest = repository.resolve(reference).ok_or(Refused::ManifestUnknown)?;
        let meets = || match repository.meets(reference, precondition) {
            true => Ok(()),
            false => Err(Refused::PreconditionFailed),
        };
        match reference {
            Reference::Tag(tag) => {
                if world::is_fixed(tag) {
                    return Err(Refused::TagImmutable(tag.clone()));
                }
                meets()?;
                self.change(of, |repository| _ = repository.tags.remove(tag));
            }
            Reference::Digest(_) => {
                meets()?;
                for (tag, set) in &repository.tags {
                    if world::is_fixed(tag) && *set == digest {
                        return Err(Refused::TagImmutable(tag.clone()));
                    }
                }
                self.change(of, |repository| {
                    repository.manifests.remove(&digest);
                    repository.tags.retain(|_, set| *set != digest);
                });
            }
        }
        Ok(Outcome::Done)
    }

    /// Changes a repository, which comes to be by it. A manifest that was held before and is not after is unused
    /// from now on; one that is held is not.
    fn change(&mut self, name: &RepositoryName, change: impl FnOnce(&mut Repository)) {
        let mut repository = self.repository(name);
        let held_before = repository.held();
        change(&mut repository);
        let held = repository.held();
        for (digest, unused) in &mut repository.manifests {
            if held.contains(digest) {
                *unused = None;
            } else if held_before.contains(digest) {
                *unused = Some(self.now);
            }
        }
        self.repositories.insert(name.clone(), repository);
    }

    // What nobody needs.

    fn sweep(&mut self) -> Outcome {
        let before = self.uploads.len();
        let cutoff = self.now - world::limits().upload_idle;
        self.uploads.retain(|upload| upload.active >= cutoff);
        Outcome::Swept((before - self.uploads.len()) as u64)
    }

    fn collect(&mut self) -> Outcome {
        let limits = world::limits();
        let unused_before = self.now - limits.untagged_keep.unwrap();
        let renewed_before = self.now - limits.link_hold;
        let (mut manifests, mut links, mut repositories) = (0, 0, 0);
        for name in self.repositories.keys().cloned().collect::<Vec<_>>() {
            self.change(&name, |repository| {
                let is_kept = |unused: &Option<DateTime<Utc>>| unused.is_none_or(|it| it >= unused_before);
                manifests += keep(&mut repository.manifests, |_, unused| is_kept(unused));
            });
            let mut repository = self.repository(&name);
            let named = repository.clone();
            links += keep(&mut repository.blobs, |digest, renewed| {
                *renewed >= renewed_before || !named.naming(digest).is_empty()
            });
            let is_empty = repository.blobs.is_empty() && repository.manifests.is_empty();
            if is_empty && !repository.listed && repository.made < renewed_before {
                self.repositories.remove(&name);
                repositories += 1;
            } else {
                self.repositories.insert(name, repository);
            }
        }
        Outcome::Collected { manifests, links, repositories }
    }
}

impl Repository {
    pub(super) fn resolve(&self, reference: &Reference) -> Option<Digest> {
        match reference {
            Reference::Tag(tag) => self.tags.get(tag).copied(),
            Reference::Digest(digest) => self.manifests.contains_key(digest).then_some(*digest),
        }
    }

    fn meets(&self, reference: &Reference, precondition: &Precondition) -> bool {
        let found = self.resolve(reference);
        match precondition {
            Precondition::None => true,
            Precondition::Exists => found.is_some(),
            Precondition::Absent => found.is_none(),
            Precondition::Is(digests) => found.is_some_and(|found| digests.contains(&found)),
        }
    }

    /// What a manifest names and the repository does not hold.
    pub(super) fn missing(&self, manifest: &'static ManifestRecord) -> impl Iterator<Item = Digest> {
        let missing = manifest.references.iter().filter(|named| match named.kind {
            ReferenceKind::Blob => !self.blobs.contains_key(&named.digest),
            ReferenceKind::Manifest => !self.manifests.contains_key(&named.digest),
            ReferenceKind::ForeignBlob => false,
        });
        missing.map(|named| named.digest)
    }

    fn records(&self) -> impl Iterator<Item = &'static ManifestRecord> {
        self.manifests.keys().map(|digest| WORLD.manifest(digest).unwrap())
    }

    /// The manifests that name something.
    fn naming(&self, digest: &Digest) -> Vec<Digest> {
        let naming =
            self.records().filter(|manifest| manifest.references.iter().any(|named| named.digest == *digest));
        naming.map(|manifest| manifest.digest).collect()
    }

    /// The manifests that a tag, another manifest or a subject holds.
    fn held(&self) -> BTreeSet<Digest> {
        let is_held = |manifest: &&ManifestRecord| {
            self.tags.values().any(|set| *set == manifest.digest)
                || !self.naming(&manifest.digest).is_empty()
                || manifest.subject.is_some_and(|subject| self.manifests.contains_key(&subject))
        };
        self.records().filter(is_held).map(|manifest| manifest.digest).collect()
    }

    /// What refers to a manifest: what is listed under its fallback tag, and what names it as its subject.
    pub(super) fn referring(&self, subject: &Digest) -> BTreeMap<Digest, Descriptor> {
        let mut referring = BTreeMap::new();
        let fallback = format!("{}-{:.64}", subject.algorithm(), subject.hex());
        let under_it = self.tags.iter().find(|(tag, _)| tag.as_str() == fallback);
        let index = under_it.map(|(_, set)| WORLD.manifest(set).unwrap());
        if let Some(index) = index.filter(|index| index.media_type.as_str() == MediaType::OCI_INDEX) {
            for child in &index.references {
                let child = WORLD.manifest(&child.digest).unwrap();
                let said = Descriptor {
                    media_type: child.media_type.clone(),
                    digest: child.digest,
                    size: child.bytes.len() as u64,
                    artifact_type: None,
                    annotations: BTreeMap::new(),
                };
                referring.insert(child.digest, said);
            }
        }
        for manifest in self.records().filter(|manifest| manifest.subject == Some(*subject)) {
            let descriptor = Descriptor {
                media_type: manifest.media_type.clone(),
                digest: manifest.digest,
                size: manifest.bytes.len() as u64,
                artifact_type: manifest.artifact_type.clone(),
                annotations: manifest.annotations.clone(),
            };
            referring.insert(manifest.digest, descriptor);
        }
        referring
    }
}

/// Keeps what is to be kept, and says how many are not.
fn keep<K: Ord, V>(map: &mut BTreeMap<K, V>, is_kept: impl Fn(&K, &V) -> bool) -> u64 {
    let before = map.len();
    map.retain(|key, value| is_kept(key, value));
    (before - map.len()) as u64
}

fn names<'a, T: Ord + ToString + 'a>(
    all: impl Iterator<Item = &'a T>,
    after: Option<&T>,
    limit: NonZeroU32,
) -> Outcome {
    let (names, more) = first(all.filter(|name| after.is_none_or(|after| *name > after)), limit);
    Outcome::Names { names: names.into_iter().map(ToString::to_string).collect(), more }
}

/// As many as a page holds, and whether there are more.
fn first<T>(all: impl Iterator<Item = T>, limit: NonZeroU32) -> (Vec<T>, bool) {
    let mut entries: Vec<T> = all.collect();
    let limit = limit.get().min(world::limits().page_max) as usize;
    let more = entries.len() > limit;
    entries.truncate(limit);
    (entries, more)
}

/// The bytes that are wanted: every run of them, in the place of the first range that wants one of it.
fn wanted(ranges: &[ByteRange], size: u64) -> Vec<Range<u64>> {
    let wants = |byte: u64| {
        ranges.iter().position(|range| match *range {
            ByteRange::From { first } => first <= byte,
            ByteRange::Span { first, last } => first <= byte && byte <= last,
            ByteRange::Last { count } => byte + count >= size,
        })
    };
    let mut runs: Vec<(usize, Range<u64>)> = Vec::new();
    for byte in 0..size {
        let Some(place) = wants(byte) else { continue };
        match runs.last_mut() {
            Some((first, run)) if run.end == byte => {
                run.end += 1;
                *first = place.min(*first);
            }
            _ => runs.push((place, byte..byte + 1)),
        }
    }
    runs.sort_by_key(|(place, _)| *place);
    runs.into_iter().map(|(_, run)| run).collect()
}
