//! Random histories of a [`ManifestStore`], to be played to two stores, which have to agree.
//!
//! A history is data: commits, collections, leases and observations in a small world of names and content, in
//! which everything soon meets everything. [`disagreement`] plays one to two stores side by side; one of them is
//! the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};
use std::num::NonZeroU32;
use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use swr_policy::{RepositoryName, Tag};

use super::minute;
use super::sample_images::{SampleBlob, SampleManifest};
use crate::caller::{Actor, Caller, Channel, Identity, Origin, Task};
use crate::commit::{BlobLocation, Change, Commit, CommitError, Grounds, RepositoryId, Require};
use crate::digest::{Algorithm, Digest};
use crate::event::{Event, EventSeq, RecordedEvent};
use crate::manifest::{ManifestRecord, ReferenceKind};
use crate::media_type::MediaType;
use crate::ports::{
    Fence, Lease, LinkedBlob, ManifestStore, Page, PullCount, Released, StoreError, StoreErrorKind, Unused,
    WithBytes,
};
use crate::reference::Reference;

/// The repositories of the world: some the beginning of another, some of one organisation.
const NAMES: [&str; 4] = ["math", "math-voila", "math/a", "math/b"];
/// The tags of the world.
const TAGS: [&str; 4] = ["1.2", "1.20", "Latest", "latest"];
/// The names of leases.
const LEASES: [&str; 2] = ["collection", "relay"];
/// Who takes leases, and consumes events.
const HOLDERS: [&str; 2] = ["one", "two"];

/// The content of the world: what its manifests name, and a blob that none of them does.
struct World {
    blobs: Vec<SampleBlob>,
    manifests: Vec<ManifestRecord>,
    /// The numbers of the blobs that the manifest of the same number names.
    named: Vec<Vec<usize>>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let shared = SampleBlob::new("a shared layer");
    let foreign = SampleBlob::new("a foreign layer");
    let a = SampleManifest::image("a").with_layer(&shared);
    let b = SampleManifest::image("b")
        .with_layer(&shared)
        .with_layer_of("application/vnd.oci.image.layer.nondistributable.v1.tar", &foreign);
    let long = a.clone().under(Algorithm::Sha512);
    let both = SampleManifest::index(&[&a, &b]);
    let nested = SampleManifest::index(&[&both, &long]);
    let of_a = SampleManifest::artifact("application/vnd.example.one", "a").referring_to(&a);
    let of_both = SampleManifest::artifact("application/vnd.example.two", "both").referring_to(&both);
    let of_artifact = SampleManifest::artifact("application/vnd.example.one", "of").referring_to(&of_a);
    let referring_index = SampleManifest::index(&[&b]).referring_to(&a).annotated("key", "value");
    let manifests = vec![a, b, long, both, nested, of_a, of_both, of_artifact, referring_index];
    let mut blobs = vec![SampleBlob::new("what nothing names")];
    for blob in manifests.iter().flat_map(SampleManifest::blobs) {
        if !blobs.contains(blob) {
            blobs.push(blob.clone());
        }
    }
    let number = |blob| blobs.iter().position(|other| other == blob).unwrap();
    let named = manifests.iter().map(|manifest| manifest.blobs().map(number).collect()).collect();
    World { named, manifests: manifests.iter().map(SampleManifest::record).collect(), blobs }
});

/// One step of a history.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Time passes, in minutes.
    Wait(i64),
    /// A commit.
    Commit {
        /// The repository that changes.
        repository: &'static str,
        /// What must be true.
        requires: Vec<Wish>,
        /// What changes.
        changes: Vec<Deed>,
    },
    /// What has been unused for so many minutes is released, until nothing is left to release.
    Release {
        /// Of manifests; `None` keeps them.
        manifests: Option<i64>,
        /// Of links and hidden repositories.
        links: i64,
        /// Under which lease.
        fence: Proof,
    },
    /// What no repository links, and is older than so many minutes, is discarded.
    Discard {
        /// Minutes.
        age: i64,
        /// Under which lease.
        fence: Proof,
    },
    /// An upload that was finished and perhaps never committed is discarded.
    Stray {
        /// Which copy of which blob.
        copy: Copy,
        /// Under which lease.
        fence: Proof,
    },
    /// Garbage that was listed so many minutes ago is deleted and forgotten.
    Forget {
        /// Minutes.
        age: i64,
        /// Under which lease.
        fence: Proof,
    },
    /// The memory of what was spent so many minutes ago is dropped.
    TrimSpent(i64),
    /// A scrub found the content broken.
    Quarantine(Copy),
    /// A consumer comes so many events further.
    Advance {
        /// Who.
        consumer: &'static str,
        /// How many events from the beginning of the log.
        upto: usize,
        /// Under which lease.
        fence: Proof,
    },
    /// Events older than so many minutes are dropped.
    TrimEvents(i64),
    /// A lease is taken or prolonged.
    Lease {
        /// Which.
        name: &'static str,
        /// By whom.
        holder: &'static str,
        /// For how many minutes.
        minutes: i64,
    },
    /// A lease is let go.
    LetGo(Proof),
    /// Pulls are observed.
    Pulls {
        /// Where.
        repository: &'static str,
        /// Of what.
        of: What,
        /// How many.
        count: u64,
    },
}

/// A [`Change`], told by what it is about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Deed {
    /// [`Change::CreateRepository`]
    Create,
    /// [`Change::RemoveRepository`]
    RemoveRepository,
    /// [`Change::LinkStored`]
    Bring(Copy),
    /// [`Change::LinkExisting`] of the blob of this number.
    Mount(usize),
    /// [`Change::UnlinkBlob`] of the blob of this number.
    Unlink(usize),
    /// [`Change::PutManifest`] of the manifest of this number.
    Put(usize),
    /// [`Change::KeepManifest`] of the manifest of this number.
    Keep(usize),
    /// [`Change::RemoveManifest`] of the manifest of this number.
    Remove(usize),
    /// [`Change::SetTag`]
    Set(&'static str, usize),
    /// [`Change::RemoveTag`]
    RemoveTag(&'static str),
}

/// A [`Require`], told by what it is about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Wish {
    /// [`Require::Grounds`] of no repository.
    AnyGrounds,
    /// [`Require::Grounds`] of the repository whose id was given so many ids ago.
    Grounds(usize),
    /// [`Require::BlobLinked`]
    BlobLinked(usize),
    /// [`Require::BlobUnnamed`]
    BlobUnnamed(usize),
    /// [`Require::BlobLinkedIn`]
    BlobLinkedIn(&'static str, usize),
    /// [`Require::ManifestPresent`]
    ManifestPresent(usize),
    /// [`Require::ManifestAbsent`]
    ManifestAbsent(usize),
    /// [`Require::TaggedOnlyBy`]
    TaggedOnlyBy(usize, Vec<&'static str>),
    /// [`Require::TagUnsetOr`]
    TagUnsetOr(&'static str, usize),
    /// [`Require::TagIs`], as of so many minutes ago where that is given.
    TagIs(&'static str, usize, Option<i64>),
    /// [`Require::TagSet`]
    TagSet(&'static str),
    /// [`Require::TagUnset`]
    TagUnset(&'static str),
}

/// What can be pulled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What {
    /// A tag.
    Tag(&'static str),
    /// The manifest of this number.
    Manifest(usize),
}

/// The content of an upload: the blob of this number, brought for the so-manieth time.
#[derive(Clone, std::marker::Copy, Debug)]
#[non_exhaustive]
pub struct Copy {
    /// Which blob.
    pub blob: usize,
    /// Which upload of it.
    pub number: u8,
}

/// A fence that was given to somebody.
#[derive(Clone, std::marker::Copy, Debug)]
#[non_exhaustive]
pub enum Proof {
    /// One that is good.
    Good,
    /// The one that was given so many leases ago, good or not; one that was never given, when there were fewer.
    Given(usize),
}

/// Histories of at most so many steps.
pub fn histories(steps_max: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(steps(), 1..=steps_max)
}

fn steps() -> impl Strategy<Value = Step> {
    let age = || select(vec![0i64, 1, 30, 100]);
    let proof = || prop_oneof![8 => Just(Proof::Good), 1 => (0..4usize).prop_map(Proof::Given)];
    let what =
        prop_oneof![select(&TAGS[..]).prop_map(What::Tag), manifest_numbers().prop_map(What::Manifest),];
    prop_oneof![
        4 => select(vec![1i64, 7, 40]).prop_map(Step::Wait),
        10 => pushes(),
        14 => (select(&NAMES[..]), vec(wishes(), 0..3), vec(deeds(), 0..5)).prop_map(
            |(repository, requires, changes)| Step::Commit { repository, requires, changes }
        ),
        3 => (proptest::option::weighted(0.9, age()), age(), proof())
            .prop_map(|(manifests, links, fence)| Step::Release { manifests, links, fence }),
        3 => (age(), proof()).prop_map(|(age, fence)| Step::Discard { age, fence }),
        2 => (copies(), proof()).prop_map(|(copy, fence)| Step::Stray { copy, fence }),
        2 => (age(), proof()).prop_map(|(age, fence)| Step::Forget { age, fence }),
        1 => age().prop_map(Step::TrimSpent),
        2 => copies().prop_map(Step::Quarantine),
        1 => (select(&HOLDERS[..]), 0..20usize, proof())
            .prop_map(|(consumer, upto, fence)| Step::Advance { consumer, upto, fence }),
        1 => age().prop_map(Step::TrimEvents),
        2 => (select(&LEASES[..]), select(&HOLDERS[..]), select(vec![5i64, 50]))
            .prop_map(|(name, holder, minutes)| Step::Lease { name, holder, minutes }),
        1 => (0..4usize).prop_map(|ago| Step::LetGo(Proof::Given(ago))),
        1 => (select(&NAMES[..]), what, 1..9u64)
            .prop_map(|(repository, of, count)| Step::Pulls { repository, of, count }),
    ]
}

/// Commits as clients make them: everything that a manifest names, the manifest and a tag or two.
fn pushes() -> impl Strategy<Value = Step> {
    (select(&NAMES[..]), manifest_numbers(), 0..2u8, vec(select(&TAGS[..]), 0..3)).prop_map(
        |(repository, manifest, number, tags)| {
            let blobs = WORLD.named[manifest].iter();
            let brought = blobs.map(|blob| Deed::Bring(Copy { blob: *blob, number }));
            let changes = brought
                .chain([Deed::Create, Deed::Put(manifest)])
                .chain(tags.into_iter().map(|tag| Deed::Set(tag, manifest)))
                .collect();
            Step::Commit { repository, requires: vec![], changes }
        },
    )
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        2 => Just(Deed::Create),
        1 => Just(Deed::RemoveRepository),
        4 => copies().prop_map(Deed::Bring),
        3 => blob_numbers().prop_map(Deed::Mount),
        3 => blob_numbers().prop_map(Deed::Unlink),
        5 => manifest_numbers().prop_map(Deed::Put),
        1 => manifest_numbers().prop_map(Deed::Keep),
        3 => manifest_numbers().prop_map(Deed::Remove),
        5 => (select(&TAGS[..]), manifest_numbers()).prop_map(|(tag, manifest)| Deed::Set(tag, manifest)),
        4 => select(&TAGS[..]).prop_map(Deed::RemoveTag),
    ]
}

fn wishes() -> impl Strategy<Value = Wish> {
    let tag = || select(&TAGS[..]);
    prop_oneof![
        Just(Wish::AnyGrounds),
        (0..3usize).prop_map(Wish::Grounds),
        blob_numbers().prop_map(Wish::BlobLinked),
        blob_numbers().prop_map(Wish::BlobUnnamed),
        (select(&NAMES[..]), blob_numbers()).prop_map(|(name, blob)| Wish::BlobLinkedIn(name, blob)),
        manifest_numbers().prop_map(Wish::ManifestPresent),
        manifest_numbers().prop_map(Wish::ManifestAbsent),
        (manifest_numbers(), vec(tag(), 0..4))
            .prop_map(|(manifest, tags)| Wish::TaggedOnlyBy(manifest, tags)),
        (tag(), manifest_numbers()).prop_map(|(tag, manifest)| Wish::TagUnsetOr(tag, manifest)),
        (tag(), manifest_numbers(), proptest::option::of(select(vec![0i64, 1, 7])))
            .prop_map(|(tag, manifest, ago)| Wish::TagIs(tag, manifest, ago)),
        tag().prop_map(Wish::TagSet),
        tag().prop_map(Wish::TagUnset),
    ]
}

fn blob_numbers() -> impl Strategy<Value = usize> {
    0..WORLD.blobs.len()
}

fn manifest_numbers() -> impl Strategy<Value = usize> {
    0..WORLD.manifests.len()
}

fn copies() -> impl Strategy<Value = Copy> {
    (blob_numbers(), any::<u8>()).prop_map(|(blob, number)| Copy { blob, number: number % 3 })
}

/// Where two stores told of the same history in different words: the first place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Disagreement {
    /// How many steps both had been told.
    pub steps: usize,
    /// What the model said, as far as it differs.
    pub model: Vec<String>,
    /// What the other store said, as far as it differs.
    pub other: Vec<String>,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "after {} steps", self.steps)?;
        writeln!(f, "  the model says\n    {}", self.model.join("\n    "))?;
        writeln!(f, "  the store says\n    {}", self.other.join("\n    "))
    }
}

impl std::error::Error for Disagreement {}

/// Plays the history to both stores, which are new and empty. Says where they disagree: in what a step answers,
/// or in what can be asked after it.
pub async fn disagreement(
    model: &dyn ManifestStore,
    other: &dyn ManifestStore,
    history: &[Step],
) -> Result<(), Disagreement> {
    /// How many steps go by between two times that everything is asked.
    const STRIDE: usize = 6;
    let mut players = [Player::new(model).await, Player::new(other).await];
    for (number, step) in history.iter().enumerate() {
        let told = [players[0].play(step).await, players[1].play(step).await].map(|told| vec![told]);
        compare(number + 1, told)?;
        if number % STRIDE == STRIDE - 1 || number + 1 == history.len() {
            compare(number + 1, [players[0].look().await, players[1].look().await])?;
        }
    }
    Ok(())
}

pub(super) fn compare(steps: usize, [model, other]: [Vec<String>; 2]) -> Result<(), Disagreement> {
    if model == other {
        return Ok(());
    }
    let without = |lines: &[String], others: &[String]| -> Vec<String> {
        let only_here: Vec<_> = lines.iter().filter(|line| !others.contains(line)).cloned().collect();
        if only_here.is_empty() { lines.to_vec() } else { only_here }
    };
    Err(Disagreement { steps, model: without(&model, &other), other: without(&other, &model) })
}

/// Plays the history to the store, which is new and empty, and says which law of the contract it breaks on its
/// way, whatever another store would say. The memory of events and of spent locations is not trimmed meanwhile.
pub async fn broken_law(store: &dyn ManifestStore, history: &[Step]) -> Result<(), String> {
    let mut player = Player::new(store).await;
    let mut spent = BTreeSet::new();
    for step in history {
        if matches!(step, Step::TrimEvents(_) | Step::TrimSpent(_)) {
            continue;
        }
        let listed_before = store.garbage(player.ago(-1), &page(None)).await.unwrap();
        let linked_before = player.linked().await;
        player.play(step).await;
        let collects = matches!(step, Step::Discard { .. } | Step::Stray { .. } | Step::Forget { .. });
        if collects && player.linked().await != linked_before {
            return Err(format!("what was linked is no longer there after {step:?}"));
        }
        let garbage = store.garbage(player.ago(-1), &page(None)).await.unwrap();
        spent.extend(listed_before.into_iter().filter(|location| !garbage.contains(location)));
        player.judge(&garbage, &spent).await.map_err(|law| format!("{law}, after {step:?}"))?;
    }
    Ok(())
}

/// A store that a history is played to, and what its answers have to be compared without: ids, places and fences
/// are the store's own, and become the number of their first appearance.
struct Player<'a> {
    store: &'a dyn ManifestStore,
    now: DateTime<Utc>,
    ids: Vec<RepositoryId>,
    fences: Vec<Fence>,
    good: Fence,
}

impl<'a> Player<'a> {
    async fn new(store: &'a dyn ManifestStore) -> Self {
        let lease =
            Lease { name: "the player's", holder: "the player", now: minute(0), until: minute(100_000) };
        let good = store.lease(&lease).await.unwrap().unwrap();
        Self { store, now: minute(0), ids: Vec::new(), fences: Vec::new(), good }
    }

    fn ago(&self, minutes: i64) -> DateTime<Utc> {
        self.now - TimeDelta::minutes(minutes)
    }

    /// The id's number.
    fn number(&mut self, id: RepositoryId) -> usize {
        self.ids.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.ids.push(id);
            self.ids.len() - 1
        })
    }

    fn fence(&self, proof: Proof) -> Fence {
        match proof {
            Proof::Good => self.good.clone(),
            Proof::Given(ago) => match self.fences.iter().rev().nth(ago) {
                Some(fence) => fence.clone(),
                None => Fence { lease: "never taken".into(), token: 1 },
            },
        }
    }

    /// Tells the store, and says what it answered.
    async fn play(&mut self, step: &Step) -> String {
        let store = self.store;
        match step {
            Step::Wait(minutes) => {
                self.now += TimeDelta::minutes(*minutes);
                String::new()
            }
            Step::Commit { repository, requires, changes } => {
                let name = repository_name(repository);
                let commit = Commit {
                    repository: name.clone(),
                    actor: Actor::Caller(Caller::User(Identity::new("ada"))),
                    origin: Origin {
                        source: None,
                        request_id: Some("request".into()),
                        channel: Channel::Console,
                        call: None,
                    },
                    at: self.now,
                    requires: requires.iter().map(|wish| self.require(wish)).collect(),
                    changes: changes.iter().map(change).collect(),
                };
                let outcome = store.commit(commit).await;
                let id = store.repository(&name).await.unwrap().map(|id| self.number(id));
                let said = match outcome {
                    Ok(receipt) => told(&receipt.events),
                    Err(CommitError::Unmet(unmet)) => {
                        let unmet: Vec<_> = unmet.into_iter().map(|require| self.said(require)).collect();
                        format!("unmet {unmet:?}")
                    }
                    Err(CommitError::BytesGone(digest)) => format!("the bytes of {digest} are gone"),
                    Err(CommitError::Store(error)) => failed(&error),
                };
                format!("{said} in {id:?}")
            }
            Step::Release { manifests, links, fence } => {
                let unused = Unused {
                    manifests_before: manifests.map(|age| self.ago(age)),
                    links_before: self.ago(*links),
                    at: self.now,
                };
                let fence = self.fence(*fence);
                let mut all = Released::default();
                loop {
                    match store.release_unused(&unused, &fence, many()).await {
                        Ok(released) if released.is_nothing() => return format!("{all:?}"),
                        Ok(released) => {
                            all.manifests += released.manifests;
                            all.links += released.links;
                            all.repositories += released.repositories;
                        }
                        Err(error) => return failed(&error),
                    }
                }
            }
            Step::Discard { age, fence } => {
                let fence = self.fence(*fence);
                said(store.discard_unlinked(self.ago(*age), self.now, &fence, many()).await)
            }
            Step::Stray { copy, fence } => {
                let stored = WORLD.blobs[copy.blob].stored_at(&place(*copy));
                said(store.discard_stray(&stored, self.now, &self.fence(*fence)).await)
            }
            Step::Forget { age, fence } => {
                let fence = self.fence(*fence);
                let garbage = store.garbage(self.ago(*age), &page(None)).await.unwrap();
                let forgotten = said(store.forget_garbage(&garbage, self.now, &fence).await);
                format!("{garbage:?} {forgotten}")
            }
            Step::TrimSpent(age) => said(store.trim_spent(self.ago(*age), many()).await),
            Step::Quarantine(copy) => {
                let digest = WORLD.blobs[copy.blob].digest;
                said(store.quarantine(&digest, &BlobLocation::new(place(*copy))).await)
            }
            Step::Advance { consumer, upto, fence } => {
                let log = store.events(EventSeq::START, many()).await.unwrap();
                let upto = log.get(*upto).or(log.last()).map_or(EventSeq::START, |recorded| recorded.seq);
                said(store.advance(consumer, upto, &self.fence(*fence)).await)
            }
            Step::TrimEvents(age) => said(store.trim_events(self.ago(*age), many()).await),
            Step::Lease { name, holder, minutes } => {
                let until = self.now + TimeDelta::minutes(*minutes);
                match store.lease(&Lease { name, holder, now: self.now, until }).await {
                    Ok(None) => "somebody else holds it".into(),
                    Ok(Some(fence)) => {
                        let known = self.fences.iter().rev().find(|known| known.lease == fence.lease);
                        let is_greater = known.is_none_or(|known| known.token < fence.token);
                        let is_prolonged = known == Some(&fence);
                        self.fences.push(fence);
                        format!("taken: greater {is_greater}, prolonged {is_prolonged}")
                    }
                    Err(error) => failed(&error),
                }
            }
            Step::LetGo(proof) => said(store.release_lease(&self.fence(*proof)).await),
            Step::Pulls { repository, of, count } => {
                let reference = match of {
                    What::Tag(text) => Reference::Tag(tag(text)),
                    What::Manifest(number) => Reference::Digest(WORLD.manifests[*number].digest),
                };
                let repository = repository_name(repository);
                let pulls = PullCount { repository, reference, count: *count, last: self.now };
                said(store.observe_pulls(&[pulls]).await)
            }
        }
    }

    fn require(&self, wish: &Wish) -> Require {
        let blob = |number: &usize| WORLD.blobs[*number].digest;
        let manifest = |number: &usize| WORLD.manifests[*number].digest;
        match wish {
            Wish::AnyGrounds => Require::Grounds(Grounds::default()),
            Wish::Grounds(ago) => {
                let never_given = RepositoryId(i64::MAX);
                let id = self.ids.iter().rev().nth(*ago).copied().unwrap_or(never_given);
                Require::Grounds(Grounds { repository: Some(id), ..Grounds::default() })
            }
            Wish::BlobLinked(number) => Require::BlobLinked(blob(number)),
            Wish::BlobUnnamed(number) => Require::BlobUnnamed(blob(number)),
            Wish::BlobLinkedIn(name, number) => {
                Require::BlobLinkedIn { repository: repository_name(name), digest: blob(number) }
            }
            Wish::ManifestPresent(number) => Require::ManifestPresent(manifest(number)),
            Wish::ManifestAbsent(number) => Require::ManifestAbsent(manifest(number)),
            Wish::TaggedOnlyBy(number, tags) => {
                let tags = tags.iter().map(|text| tag(text)).collect();
                Require::TaggedOnlyBy { digest: manifest(number), tags }
            }
            Wish::TagUnsetOr(text, number) => {
                Require::TagUnsetOr { tag: tag(text), digest: manifest(number) }
            }
            Wish::TagIs(text, number, ago) => Require::TagIs {
                tag: tag(text),
                digest: manifest(number),
                updated: ago.map(|minutes| self.ago(minutes)),
            },
            Wish::TagSet(text) => Require::TagSet(tag(text)),
            Wish::TagUnset(text) => Require::TagUnset(tag(text)),
        }
    }

    /// The requirement without what is the store's own.
    fn said(&mut self, require: Require) -> Require {
        match require {
            Require::Grounds(Grounds { repository: Some(id), .. }) if id.0 != i64::MAX => {
                let number = RepositoryId(self.number(id) as i64);
                Require::Grounds(Grounds { repository: Some(number), ..Grounds::default() })
            }
            other => other,
        }
    }

    /// Every blob that can be seen, and where.
    async fn linked(&self) -> Vec<(&'static str, LinkedBlob)> {
        let mut linked = Vec::new();
        for text in NAMES {
            for blob in &WORLD.blobs {
                let seen = self.store.blob(&repository_name(text), &blob.digest).await.unwrap();
                linked.extend(seen.map(|seen| (text, seen)));
            }
        }
        linked
    }

    /// The laws that hold at any moment.
    async fn judge(&self, garbage: &[BlobLocation], spent: &BTreeSet<BlobLocation>) -> Result<(), String> {
        let store = self.store;
        let log = store.events(EventSeq::START, many()).await.unwrap();
        for text in NAMES {
            let name = repository_name(text);
            let told = Told::of(&name, &log);
            let is_there = async |digest: &Digest| {
                store.resolve(&name, &Reference::Digest(*digest), WithBytes::No).await.unwrap()
            };
            if store.is_listed(&name).await.unwrap() && !told.is_listed {
                return Err(format!("{text} is listed, and nobody was told"));
            }
            for record in store.tags(&name, &page(None)).await.unwrap().unwrap_or_default() {
                if is_there(&record.digest).await.is_none() {
                    return Err(format!("{text}:{} points to what is not there", record.tag));
                }
                if told.tags.get(&record.tag) != Some(&record.digest) {
                    return Err(format!("{text}:{} is not where it was told to be", record.tag));
                }
            }
            for manifest in &WORLD.manifests {
                let Some(stored) = is_there(&manifest.digest).await else { continue };
                if !told.manifests.contains(&manifest.digest) {
                    return Err(format!("{text} has {}, and nobody was told", manifest.digest));
                }
                let tags = store.tags_of(&name, &manifest.digest, many()).await.unwrap();
                let mut is_held = !tags.is_empty();
                if let Some(subject) = &manifest.subject {
                    is_held |= is_there(subject).await.is_some();
                }
                for parent in &WORLD.manifests {
                    let names_it = parent.references.iter().any(|named| {
                        named.digest == manifest.digest && named.kind == ReferenceKind::Manifest
                    });
                    is_held |= names_it && is_there(&parent.digest).await.is_some();
                }
                if is_held && stored.unused_since.is_some() {
                    return Err(format!("{text} holds {}, which is unused", manifest.digest));
                }
            }
            for blob in &WORLD.blobs {
                let Some(linked) = store.blob(&name, &blob.digest).await.unwrap() else { continue };
                if !told.links.contains(&blob.digest) {
                    return Err(format!("{text} links {}, and nobody was told", blob.digest));
                }
                let place = &linked.stored.location;
                if garbage.contains(place) || spent.contains(place) {
                    return Err(format!("{text} links what is at {place}, which is garbage"));
                }
            }
        }
        Ok(())
    }

    /// Asks everything that can be asked.
    async fn look(&mut self) -> Vec<String> {
        let store = self.store;
        let mut seen = vec![
            format!("repositories {:?}", store.repositories(&page(None)).await),
            format!("garbage {:?}", store.garbage(self.ago(-1), &page(None)).await),
            format!("garbage of long ago {:?}", store.garbage(self.ago(30), &page(None)).await),
        ];
        let log = store.events(EventSeq::START, many()).await.unwrap();
        assert!(log.is_sorted_by(|one, next| one.seq < next.seq), "the log is in order");
        seen.push(told(&log));
        // What was trimmed is not counted here: the newest place is the store's own.
        let behind = |seq| log.iter().filter(|recorded| recorded.seq > seq).count();
        let backlog = store.backlog().await.unwrap();
        for consumer in HOLDERS {
            let cursor = store.cursor(consumer).await.unwrap();
            seen.push(format!("{consumer} has {} events before it", behind(cursor)));
            let listed = backlog.cursors.iter().find(|(name, _)| name == consumer);
            assert_eq!(listed.map_or(EventSeq::START, |(_, upto)| *upto), cursor);
        }
        assert!(log.last().is_none_or(|last| last.seq == backlog.newest_event));
        seen.push(format!("backlog {} {:?}", backlog.garbage, backlog.leases));

        for text in NAMES {
            let name = repository_name(text);
            let id = store.repository(&name).await.unwrap().map(|id| self.number(id));
            seen.push(format!("{text} is {id:?}, listed {:?}", store.is_listed(&name).await));
            seen.push(format!("{text} tags {:?}", store.tags(&name, &page(None)).await));
            for (number, manifest) in WORLD.manifests.iter().enumerate() {
                let digest = manifest.digest;
                let by_digest = Reference::Digest(digest);
                let Some(stored) = store.resolve(&name, &by_digest, WithBytes::Yes).await.unwrap() else {
                    continue;
                };
                assert!(stored.bytes.as_ref() == Some(&manifest.bytes), "the bytes are what was pushed");
                let facts = (stored.media_type, stored.size, stored.unused_since);
                seen.push(format!("{text} manifest {number} {facts:?}"));
                seen.push(format!(
                    "{text} tags of {number} {:?}",
                    store.tags_of(&name, &digest, many()).await
                ));
                seen.push(format!("{text} pulls of {number} {:?}", store.pulls(&name, &by_digest).await));
            }
            for manifest in &WORLD.manifests {
                let digest = manifest.digest;
                let referrers = store.referrers(&name, &digest, None, &page(None)).await;
                seen.push(format!("{text} referrers of {digest} {referrers:?}"));
                let one = MediaType::parse("application/vnd.example.one").unwrap();
                let referrers = store.referrers(&name, &digest, Some(&one), &page(None)).await;
                seen.push(format!("{text} ones of {digest} {referrers:?}"));
                let naming = store.manifests_naming(&name, &digest, many()).await;
                seen.push(format!("{text} naming {digest} {naming:?}"));
            }
            for (number, blob) in WORLD.blobs.iter().enumerate() {
                seen.push(format!("{text} blob {number} {:?}", store.blob(&name, &blob.digest).await));
                let naming = store.manifests_naming(&name, &blob.digest, many()).await;
                seen.push(format!("{text} naming {number} {naming:?}"));
            }
            for reference in TAGS.map(|text| Reference::Tag(tag(text))) {
                let found = store.resolve(&name, &reference, WithBytes::No).await;
                seen.push(format!("{text} {reference} {found:?}"));
                seen.push(format!("{text} pulls of {reference} {:?}", store.pulls(&name, &reference).await));
            }
        }
        for (number, blob) in WORLD.blobs.iter().enumerate() {
            let near = repository_name("math/new");
            seen.push(format!("holders of {number} {:?}", store.holders(&blob.digest, &near, many()).await));
        }
        seen
    }
}

fn change(deed: &Deed) -> Change {
    match deed {
        Deed::Create => Change::CreateRepository,
        Deed::RemoveRepository => Change::RemoveRepository,
        Deed::Bring(copy) => Change::LinkStored(WORLD.blobs[copy.blob].stored_at(&place(*copy))),
        Deed::Mount(number) => Change::LinkExisting(WORLD.blobs[*number].digest),
        Deed::Unlink(number) => Change::UnlinkBlob(WORLD.blobs[*number].digest),
        Deed::Put(number) => Change::PutManifest(WORLD.manifests[*number].clone()),
        Deed::Keep(number) => Change::KeepManifest(WORLD.manifests[*number].digest),
        Deed::Remove(number) => Change::RemoveManifest(WORLD.manifests[*number].digest),
        Deed::Set(text, number) => Change::SetTag { tag: tag(text), digest: WORLD.manifests[*number].digest },
        Deed::RemoveTag(text) => Change::RemoveTag(tag(text)),
    }
}

/// Where the copy is.
fn place(copy: Copy) -> String {
    format!("blob {} copy {}", copy.blob, copy.number)
}

/// The events in words, without their places. What was released at one time has no order of its own.
pub(super) fn told(events: &[RecordedEvent]) -> String {
    let mut lines: Vec<(Option<DateTime<Utc>>, String)> = events
        .iter()
        .map(|RecordedEvent { repository, actor, origin, at, event, .. }| {
            let released = (*actor == Actor::Caretaker(Task::Collection)).then_some(*at);
            (released, format!("{repository} {at} {actor:?} {origin:?} {event:?}"))
        })
        .collect();
    for run in lines.chunk_by_mut(|(one, _), (next, _)| one.is_some() && one == next) {
        run.sort_unstable();
    }
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    format!("{lines:#?}")
}

fn said<T: Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => failed(&error),
    }
}

/// A store may refuse for want of a lease; everything else is a fault that no history provokes.
fn failed(error: &StoreError) -> String {
    assert_eq!(error.kind(), StoreErrorKind::Fenced, "{error}");
    "fenced".into()
}

fn repository_name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(super) fn many() -> NonZeroU32 {
    NonZeroU32::new(10_000).unwrap()
}

fn page<T>(after: Option<T>) -> Page<T> {
    Page { after, limit: many() }
}

/// What a repository holds, going by the log. One that was removed while it was hidden is not told of, so that a
/// store may hold less than this, and never more.
#[derive(Default)]
struct Told {
    is_listed: bool,
    tags: BTreeMap<Tag, Digest>,
    manifests: BTreeSet<Digest>,
    links: BTreeSet<Digest>,
}

impl Told {
    fn of(name: &RepositoryName, log: &[RecordedEvent]) -> Self {
        let mut told = Self::default();
        for recorded in log.iter().filter(|recorded| recorded.repository == *name) {
            match &recorded.event {
                Event::RepositoryCreated => told.is_listed = true,
                Event::RepositoryRemoved => told = Self::default(),
                Event::BlobLinked { digest } => _ = told.links.insert(*digest),
                Event::BlobUnlinked { digest } => _ = told.links.remove(digest),
                Event::ManifestPushed { digest, .. } => _ = told.manifests.insert(*digest),
                Event::ManifestRemoved { digest, tags } => {
                    told.manifests.remove(digest);
                    told.tags.retain(|tag, _| !tags.contains(tag));
                }
                Event::TagSet { tag, digest, .. } => _ = told.tags.insert(tag.clone(), *digest),
                Event::TagRemoved { tag, .. } => _ = told.tags.remove(tag),
            }
        }
        told
    }
}
