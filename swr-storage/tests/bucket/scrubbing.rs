//! What a scrub finds in a bucket that something happened to.

use chrono::{DateTime, TimeDelta, Utc};
use swr_auth::AnyoneMay;
use swr_core::caller::{Caller, Origin, Task};
use swr_core::ports::ManifestStore;
use swr_core::registry::{Content, Damage, Finding, Limits, ScrubCursor, Unpaced};
use swr_core::testing::ManualClock;
use swr_core::testing::scrubbing::{scrub, whatever_befalls_content_is_found_and_a_push_heals_it};
use swr_core::{Access, Error, Registry, RepositoryName};
use swr_storage::MemoryManifests;

use super::*;

/// A registry over a bucket, in which anybody may do anything.
struct House {
    place: Place,
    store: Arc<BucketBlobs>,
    clock: Arc<ManualClock>,
    registry: Registry,
}

impl House {
    fn new() -> Self {
        let place = Place::new();
        let store = Arc::new(place.open());
        let clock = Arc::new(ManualClock::at(minute(0)));
        let registry = registry_over(&store, &clock);
        Self { place, store, clock, registry }
    }

    fn access(&self) -> Access<'_> {
        self.registry.access(Caller::Anonymous, Origin::default())
    }

    /// Pushes content in appends of these lengths.
    async fn push(&self, bytes: &Bytes, lengths: &[usize]) -> StoredBlob {
        let (access, mut rest) = (self.access(), bytes.clone());
        let id = access.begin_upload(&app(), Algorithm::Sha256).await.unwrap().id;
        for length in lengths {
            let body = rest.split_to(*length).into();
            access.append_upload(&app(), &id, None, body).await.unwrap();
        }
        access.finish_upload(&app(), &id, &digest(bytes)).await.unwrap()
    }

    async fn pull(&self, digest: &Digest) -> Result<Bytes, Error> {
        match self.access().pull_blob(&app(), digest, &[]).await?.content {
            Content::Whole(body) => Ok(body.collect(usize::MAX).await.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    async fn scrub(&self) -> Vec<Finding> {
        scrub(&self.registry).await
    }

    /// One step that looks for strays.
    async fn look_for_strays(&self) -> Vec<Finding> {
        let cursor: ScrubCursor = serde_json::from_str("\"strays\"").unwrap();
        let step = self.registry.caretaker(Task::Scrub).scrub(&cursor, &Unpaced).await;
        step.unwrap().unwrap().findings
    }

    /// Deletes what is garbage by now.
    async fn collect(&self) {
        self.pass(TimeDelta::hours(2));
        self.registry.caretaker(Task::Collection).collect().await.unwrap().unwrap();
    }

    fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
        self.place.bucket.turn_clock(self.now());
    }

    fn now(&self) -> DateTime<Utc> {
        use swr_core::ports::Clock as _;
        self.clock.now()
    }
}

fn registry_over(store: &Arc<BucketBlobs>, clock: &Arc<ManualClock>) -> Registry {
    let manifests: Arc<dyn ManifestStore> = Arc::new(MemoryManifests::new());
    Registry::builder(Arc::clone(store), manifests, Arc::new(AnyoneMay))
        .clock(Arc::clone(clock) as _)
        .limits(Limits { link_hold: TimeDelta::days(30), ..Limits::default() })
        .build()
}

fn app() -> RepositoryName {
    "library/app".parse().unwrap()
}

/// The keys of content's segments, with the length of each.
fn segments(stored: &StoredBlob) -> Vec<(String, usize)> {
    let (upload, rest) = stored.location.as_str().split_once('/').unwrap();
    let segments = rest.split_once(':').map_or(rest, |(_, segments)| segments).split(',');
    let key = |segment: &str| {
        let (number, length) = segment.split_once('-').unwrap();
        (format!("blobs/{}/{upload}/{number}", &upload[..2]), length.parse().unwrap())
    };
    segments.map(key).collect()
}

/// Which locations are told as strays; and nothing else is told.
fn strays(findings: &[Finding]) -> Vec<&BlobLocation> {
    let mut strays: Vec<_> = findings
        .iter()
        .map(|finding| match finding {
            Finding::Stray { location, .. } => location,
            other => panic!("{other:?}"),
        })
        .collect();
    strays.sort();
    strays
}

#[tokio::test]
async fn whatever_befalls_an_object_is_found_and_a_push_heals_it() {
    let house = House::new();
    let bucket = &house.place.bucket;
    whatever_befalls_content_is_found_and_a_push_heals_it(&house.registry, async |blob, bytes| {
        let [(key, _)] = segments(blob).try_into().unwrap();
        match bytes {
            Some(bytes) => bucket.plant(&key, bytes).await,
            None => bucket.lose(&key).await,
        }
    })
    .await;
}

/// Each of them is read, however many there are.
#[tokio::test]
async fn a_flipped_byte_in_any_segment_is_found_and_a_push_heals_it() {
    let house = House::new();
    let content = content(6 * PART + 3);
    let lengths = [1, 3 * PART - 1, 3 * PART];
    for at in 0..lengths.len() {
        let content = content.slice(at..at + 6 * PART);
        let stored = house.push(&content, &lengths).await;
        let segments = segments(&stored);
        assert_eq!(segments.len(), lengths.len());
        let start: usize = segments[..at].iter().map(|(_, length)| length).sum();
        let (key, length) = &segments[at];
        let mut bytes = content[start..start + length].to_vec();
        bytes[length / 2] ^= 0x10;
        house.place.bucket.plant(key, bytes).await;

        let findings = house.scrub().await;
        let [Finding::Quarantined { blob, damage: Damage::Hash(_) }] = findings.as_slice() else {
            panic!("{findings:?}");
        };
        assert_eq!(*blob, stored);
        let pulled = house.pull(&stored.digest).await;
        assert!(matches!(pulled, Err(Error::BlobUnknown { .. })), "{pulled:?}");
        house.push(&content, &lengths).await;
        assert_eq!(house.pull(&stored.digest).await.unwrap(), content);
        // The broken one is garbage, and nothing else is.
        house.collect().await;
        assert_eq!(house.scrub().await.len(), 0);
        assert_eq!(listed(&house.store).await.len(), at + 1);
    }
}

#[tokio::test]
async fn what_only_the_bucket_knows_goes_when_it_is_old_and_nothing_else_does() {
    let house = House::new();
    let bucket = &house.place.bucket;
    let content = content(3 * PART);
    let one = house.push(&content, &[3 * PART]).await;
    let several = house.push(&content.slice(1..), &[PART, 2 * PART - 1]).await;
    // Nobody has gone on with it, and no sweep has come yet.
    let open = begin(&house.store).await;
    append(&house.store, &open, 0, content.slice(..PART)).await;
    let kept = bucket.keys().await;

    let whole = push(&house.store, &content.slice(2..), &[3 * PART - 2]).await;
    let apart = push(&house.store, &content.slice(3..), &[PART, 2 * PART - 3]).await;
    let late = UploadId::random();
    bucket.plant(&format!("blobs/{}/{late}/7", &late.as_str()[..2]), b"late").await;
    let late = BlobLocation::new(format!("{late}/7-4"));
    house.pass(TimeDelta::minutes(1));
    let young = push(&house.store, &content.slice(4..), &[3 * PART - 4]).await;

    house.pass(TimeDelta::hours(48) - TimeDelta::minutes(1));
    assert!(house.scrub().await.is_empty(), "an upload may be as old");
    house.pass(TimeDelta::seconds(1));
    let findings = house.scrub().await;
    let mut expected = vec![&whole.location, &apart.location, &late];
    expected.sort();
    assert_eq!(strays(&findings), expected);
    assert!(house.scrub().await.is_empty(), "they are garbage by now, and told once");
    house.collect().await;
    assert_eq!(strays(&house.scrub().await), [&young.location]);
    house.collect().await;
    assert_eq!(bucket.keys().await, kept);
    for (stored, content) in [(one, content.clone()), (several, content.slice(1..))] {
        assert_eq!(house.pull(&stored.digest).await.unwrap(), content);
    }
    assert_eq!(bucket.abuses(), [] as [String; 0]);
}

/// Neither where an upload knows of it still, nor where that was lost, which the client is told.
#[tokio::test]
async fn a_push_under_way_never_names_what_a_scrub_discards() {
    let house = House::new();
    let content = content(3 * PART);
    for is_lost in [false, true] {
        let (access, at) = (house.access(), if is_lost { 1 } else { 0 });
        let bytes = content.slice(at..);
        let id = access.begin_upload(&app(), Algorithm::Sha256).await.unwrap().id;
        access.append_upload(&app(), &id, None, bytes.clone().into()).await.unwrap();
        let stored = house.store.finish(&id, &digest(&bytes)).await.unwrap();
        if is_lost {
            house.place.sessions.remove(&id).await.unwrap();
        }
        house.pass(TimeDelta::hours(49));
        let findings = house.scrub().await;
        assert_eq!(strays(&findings).len(), usize::from(is_lost), "{findings:?}");
        let finished = access.finish_upload(&app(), &id, &stored.digest).await;
        assert_eq!(finished.is_err(), is_lost, "{finished:?}");
        house.collect().await;
        match house.pull(&stored.digest).await {
            Ok(pulled) => assert!(!is_lost && pulled == bytes),
            Err(Error::BlobUnknown { .. }) => assert!(is_lost),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Its parts look like content of their own, and it may be broken as well.
#[tokio::test]
async fn a_list_that_ends_early_makes_no_stray_of_what_is_recorded() {
    let house = House::new();
    let content = content(3 * PART);
    let several = house.push(&content, &[PART, 2 * PART]).await;
    let broken = house.push(&content.slice(1..), &[PART, 2 * PART - 1]).await;
    let [(key, _), _] = segments(&broken).try_into().unwrap();
    house.place.bucket.plant(&key, vec![0; PART]).await;
    let found = house.scrub().await;
    assert!(matches!(found.as_slice(), [Finding::Quarantined { .. }]), "{found:?}");
    house.pass(TimeDelta::hours(49));
    for after in 0..4 {
        house.place.flaky.plan(move |call, _| match call {
            Call::List => Goes::BreaksOff(after),
            _ => Goes::Well,
        });
        let found = house.look_for_strays().await;
        assert!(found.is_empty(), "{after}: {found:?}");
        house.place.flaky.recover();
    }
    house.collect().await;
    assert_eq!(house.pull(&several.digest).await.unwrap(), content);
    assert_eq!(listed(&house.store).await.len(), 2);
}

/// Whoever names the wrong database loses nothing by it.
#[tokio::test]
async fn records_that_know_most_of_a_bucket_not_are_not_believed() {
    let mut house = House::new();
    let content = content(3 * PART);
    let mut all = Vec::new();
    for at in 0..8 {
        let bytes = content.slice(at..);
        all.push(house.push(&bytes, &[bytes.len()]).await);
    }
    house.pass(TimeDelta::hours(49));
    let right = std::mem::replace(&mut house.registry, registry_over(&house.store, &house.clock));
    let found = house.look_for_strays().await;
    let [Finding::Fault { error, .. }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    house.collect().await;
    house.registry = right;
    for stored in &all {
        house.pull(&stored.digest).await.unwrap();
    }
}

/// It is left, and told.
#[tokio::test]
async fn what_cannot_be_listed_or_read_is_no_stray_yet() {
    let house = House::new();
    let content = content(3 * PART);
    let stray = push(&house.store, &content, &[PART, 2 * PART]).await;
    house.pass(TimeDelta::hours(49));
    for failing in [Call::List, Call::Get, Call::Find] {
        house.place.flaky.plan(move |call, _| if call == failing { Goes::Unheard } else { Goes::Well });
        let found = house.look_for_strays().await;
        assert!(!found.is_empty(), "{failing:?}");
        assert!(found.iter().all(|finding| matches!(finding, Finding::Fault { .. })), "{found:?}");
        house.place.flaky.recover();
    }
    assert_eq!(strays(&house.scrub().await), [&stray.location]);
}
