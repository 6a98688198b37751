//! One random history of changes, every store, equal answers: memory is the model.
#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};

use swr_core::caller::{Actor, Caller, Identity, Origin};
use swr_core::commit::{
    BlobLocation, Change, Commit, CommitError, Grounds, RepositoryId, Require, StoredBlob,
};
use swr_core::digest::{Algorithm, Digest};
use swr_core::event::EventSeq;
use swr_core::manifest::ManifestRecord;
use swr_core::ports::{Fence, Lease, ManifestStore, Page, PullCount, StoreError, Unused, WithBytes};
use swr_core::reference::Reference;
use swr_core::testing::minute;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::{RepositoryName, Tag};
use swr_storage::{MemoryManifests, SqliteStore};

#[tokio::test]
async fn sqlite_tells_the_story_that_memory_tells() {
    for seed in 0..16 {
        let sqlite = SqliteStore::in_memory().await.unwrap();
        tell(seed, 120, [&MemoryManifests::new(), &sqlite]).await;
    }
}

/// Looking at everything takes longer than changing something.
const LOOK_EVERY: usize = 10;

/// Makes `steps` random changes to both stores, and compares every answer, and now and then everything that
/// can be seen.
async fn tell(seed: u64, steps: usize, stores: [&dyn ManifestStore; 2]) {
    let world = World::new();
    let mut chance = Chance(seed);
    let mut told = Vec::new();
    for step in 0..steps {
        let now = minute(10 * step as i64);
        let act = world.act(&mut chance, now);
        told.push(format!("{act:?}"));
        let [model, store] = [world.perform(stores[0], &act).await, world.perform(stores[1], &act).await];
        assert_eq!(store, model, "seed {seed}, after\n{}", told.join("\n"));
        if step % LOOK_EVERY == LOOK_EVERY - 1 {
            let [model, store] = [world.look(stores[0], now).await, world.look(stores[1], now).await];
            assert_eq!(store, model, "seed {seed}, after\n{}", told.join("\n"));
        }
    }
}

/// Everything there is to be named.
struct World {
    repositories: Vec<RepositoryName>,
    tags: Vec<Tag>,
    blobs: Vec<SampleBlob>,
    manifests: Vec<ManifestRecord>,
}

#[derive(Clone, Debug)]
enum Act {
    Commit { repository: RepositoryName, at: DateTime<Utc>, requires: Vec<Wanted>, changes: Vec<Change> },
    Release(Unused),
    Discard { before: DateTime<Utc>, at: DateTime<Utc> },
    DiscardStray { stored: StoredBlob, at: DateTime<Utc> },
    ForgetFirst { at: DateTime<Utc> },
    TrimSpent { before: DateTime<Utc> },
    Quarantine(Digest, BlobLocation),
    Observe(PullCount),
    Advance { upto: u64 },
    TrimEvents { before: DateTime<Utc> },
    Lease { holder: &'static str, now: DateTime<Utc> },
}

/// A requirement; ids differ between stores.
#[derive(Clone, Debug)]
enum Wanted {
    This(Require),
    SameRepository(RepositoryName),
}

impl World {
    fn new() -> Self {
        let shared = SampleBlob::new("a layer of many");
        let one = SampleManifest::image("one").with_layer(&shared);
        let two = SampleManifest::image("two").with_layer(&shared);
        let two_again = two.clone().under(Algorithm::Sha512);
        let foreign = SampleManifest::image("three").with_layer_of(
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            &SampleBlob::new("far"),
        );
        let index = SampleManifest::index(&[&one, &two]);
        let outer = SampleManifest::index(&[&index, &two]);
        let signature = SampleManifest::artifact("application/x.signature", "s").referring_to(&one);
        let bill = SampleManifest::artifact("application/x.bill", "b").referring_to(&signature);
        let of_index = SampleManifest::artifact("application/x.signature", "i").referring_to(&index);
        let manifests = [one, two, two_again, foreign, index, outer, signature, bill, of_index];
        let mut blobs: Vec<_> = manifests.iter().flat_map(SampleManifest::blobs).cloned().collect();
        blobs.sort_by_key(|blob| blob.digest);
        blobs.dedup();
        Self {
            repositories: ["a/x", "a", "a/y", "ab/x"].map(|name| name.parse().unwrap()).into(),
            tags: ["1", "latest", "v1", "v1.0"].map(|tag| tag.parse().unwrap()).into(),
            blobs,
            manifests: manifests.iter().map(SampleManifest::record).collect(),
        }
    }

    /// Some steps ago.
    fn past(chance: &mut Chance, now: DateTime<Utc>) -> DateTime<Utc> {
        now - TimeDelta::minutes(5 + 10 * chance.below(30) as i64)
    }

    /// Most happens in one of them.
    fn repository(&self, chance: &mut Chance) -> RepositoryName {
        let all = &self.repositories;
        if chance.below(3) > 0 { all[0].clone() } else { chance.of(all).clone() }
    }

    fn digest(&self, chance: &mut Chance) -> Digest {
        match chance.below(2) {
            0 => chance.of(&self.manifests).digest,
            _ => chance.of(&self.blobs).digest,
        }
    }

    fn stored(&self, chance: &mut Chance) -> StoredBlob {
        let blob = chance.of(&self.blobs);
        blob.stored_at(&format!("{}-{}", &blob.digest.hex()[..6], chance.below(4)))
    }

    fn change(&self, chance: &mut Chance) -> Change {
        let manifest = chance.of(&self.manifests);
        let tag = chance.of(&self.tags).clone();
        match chance.below(60) {
            0..=2 => Change::CreateRepository,
            3 => Change::RemoveRepository,
            4..=14 => Change::LinkStored(self.stored(chance)),
            15..=18 => Change::LinkExisting(chance.of(&self.blobs).digest),
            19..=21 => Change::UnlinkBlob(chance.of(&self.blobs).digest),
            22..=37 => Change::PutManifest(manifest.clone()),
            38..=40 => Change::KeepManifest(manifest.digest),
            41..=46 => Change::RemoveManifest(manifest.digest),
            47..=55 => Change::SetTag { tag, digest: manifest.digest },
            _ => Change::RemoveTag(tag),
        }
    }

    fn require(&self, chance: &mut Chance, now: DateTime<Utc>) -> Wanted {
        let tag = chance.of(&self.tags).clone();
        let digest = self.digest(chance);
        let repository = self.repository(chance);
        Wanted::This(match chance.below(11) {
            0 => return Wanted::SameRepository(repository),
            1 => Require::BlobLinked(digest),
            2 => Require::BlobUnnamed(digest),
            3 => Require::BlobLinkedIn { repository, digest },
            4 => Require::ManifestPresent(digest),
            5 => Require::ManifestAbsent(digest),
            6 => Require::TaggedOnlyBy { digest, tags: vec![tag] },
            7 => Require::TagUnsetOr { tag, digest },
            8 => Require::TagIs {
                tag,
                digest,
                updated: (chance.below(2) == 0).then(|| Self::past(chance, now)),
            },
            9 => Require::TagSet(tag),
            _ => Require::TagUnset(tag),
        })
    }

    fn act(&self, chance: &mut Chance, now: DateTime<Utc>) -> Act {
        let past = Self::past(chance, now);
        match chance.below(60) {
            0..=2 => Act::Release(Unused {
                manifests_before: (chance.below(4) > 0).then_some(past),
                links_before: Self::past(chance, now),
                at: now,
            }),
            3..=4 => Act::Discard { before: past, at: now },
            5 => Act::DiscardStray { stored: self.stored(chance), at: now },
            6 => Act::ForgetFirst { at: now },
            7 => Act::TrimSpent { before: past },
            8 => {
                let stored = self.stored(chance);
                Act::Quarantine(stored.digest, stored.location)
            }
            9 => {
                let reference = match chance.below(2) {
                    0 => chance.of(&self.tags).clone().into(),
                    _ => chance.of(&self.manifests).digest.into(),
                };
                let (repository, count) = (self.repository(chance), chance.below(9));
                Act::Observe(PullCount { repository, reference, count, last: past })
            }
            10 => Act::Advance { upto: chance.below(40) },
            11 => Act::TrimEvents { before: past },
            12 => Act::Lease { holder: ["this", "that"][chance.below(2) as usize], now },
            _ => {
                let requires = match chance.below(4) {
                    0 => (0..=chance.below(3)).map(|_| self.require(chance, now)).collect(),
                    _ => Vec::new(),
                };
                let changes = (0..1 + chance.below(4)).map(|_| self.change(chance)).collect();
                Act::Commit { repository: self.repository(chance), at: now, requires, changes }
            }
        }
    }

    async fn perform(&self, store: &dyn ManifestStore, act: &Act) -> String {
        match act.clone() {
            Act::Commit { repository, at, requires, changes } => {
                let mut demanded = Vec::new();
                for require in requires {
                    demanded.push(match require {
                        Wanted::This(require) => require,
                        Wanted::SameRepository(of) => {
                            let found = store.repository(&of).await.unwrap();
                            Require::Grounds(Grounds { repository: found })
                        }
                    });
                }
                let actor = Actor::Caller(Caller::User(Identity::new("ada")));
                let origin = Origin::default();
                let commit = Commit { repository, actor, origin, at, requires: demanded, changes };
                match store.commit(commit).await {
                    Err(CommitError::Unmet(unmet)) => format!("{:?}", without_ids(unmet)),
                    Err(CommitError::Store(error)) => panic!("{error:?}"),
                    answer => format!("{answer:?}"),
                }
            }
            Act::Release(unused) => answer(store.release_unused(&unused, &fence(store).await, many()).await),
            Act::Discard { before, at } => {
                answer(store.discard_unlinked(before, at, &fence(store).await, many()).await)
            }
            Act::DiscardStray { stored, at } => {
                answer(store.discard_stray(&stored, at, &fence(store).await).await)
            }
            Act::ForgetFirst { at } => {
                let page = Page { after: None, limit: NonZeroU32::MIN };
                let garbage = store.garbage(at, &page).await.unwrap();
                for location in &garbage {
                    store.forget_garbage(location, at, &fence(store).await).await.unwrap();
                }
                format!("{garbage:?}")
            }
            Act::TrimSpent { before } => answer(store.trim_spent(before, many()).await),
            Act::Quarantine(digest, location) => answer(store.quarantine(&digest, &location).await),
            Act::Observe(count) => answer(store.observe_pulls(&[count]).await),
            Act::Advance { upto } => {
                answer(store.advance("listener", EventSeq(upto), &fence(store).await).await)
            }
            Act::TrimEvents { before } => answer(store.trim_events(before, many()).await),
            Act::Lease { holder, now } => {
                let until = now + TimeDelta::minutes(15);
                answer(store.lease(&Lease { name: "passed about", holder, now, until }).await)
            }
        }
    }

    /// Everything that can be seen.
    async fn look(&self, store: &dyn ManifestStore, now: DateTime<Utc>) -> Vec<String> {
        let mut seen = vec![
            answer(store.repositories(&page()).await),
            answer(store.events(EventSeq::START, many()).await),
            answer(store.garbage(now + TimeDelta::days(1), &page()).await),
            answer(store.cursor("listener").await),
            answer(store.backlog().await),
        ];
        for blob in &self.blobs {
            seen.push(answer(store.holders(&blob.digest, &self.repositories[2], many()).await));
        }
        for repository in &self.repositories {
            seen.push(format!("{repository}: {}", store.repository(repository).await.unwrap().is_some()));
            seen.push(answer(store.is_listed(repository).await));
            seen.push(answer(store.tags(repository, &page()).await));
            for tag in &self.tags {
                let reference = Reference::Tag(tag.clone());
                seen.push(answer(store.resolve(repository, &reference, WithBytes::Yes).await));
                seen.push(answer(store.pulls(repository, &reference).await));
            }
            for ManifestRecord { digest, .. } in &self.manifests {
                let reference = Reference::Digest(*digest);
                seen.push(answer(store.resolve(repository, &reference, WithBytes::No).await));
                seen.push(answer(store.pulls(repository, &reference).await));
                seen.push(answer(store.tags_of(repository, digest, many()).await));
                seen.push(answer(store.referrers(repository, digest, None, &page()).await));
                seen.push(answer(store.manifests_naming(repository, digest, many()).await));
            }
            for blob in &self.blobs {
                seen.push(answer(store.blob(repository, &blob.digest).await));
                seen.push(answer(store.manifests_naming(repository, &blob.digest, many()).await));
            }
        }
        seen
    }
}

fn answer<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    format!("{:?}", answer.unwrap())
}

fn without_ids(unmet: Vec<Require>) -> Vec<Require> {
    let forget = |require| match require {
        Require::Grounds(Grounds { repository: Some(_) }) => {
            Require::Grounds(Grounds { repository: Some(RepositoryId(0)) })
        }
        other => other,
    };
    unmet.into_iter().map(forget).collect()
}

fn many() -> NonZeroU32 {
    NonZeroU32::new(10_000).unwrap()
}

fn page<T>() -> Page<T> {
    Page { after: None, limit: many() }
}

async fn fence(store: &dyn ManifestStore) -> Fence {
    let lease = Lease { name: "collection", holder: "story", now: minute(0), until: minute(1_000_000) };
    store.lease(&lease).await.unwrap().unwrap()
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}
