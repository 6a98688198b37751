//! Everything read again.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use swr_core::Error;
use swr_core::caller::Task;
use swr_core::digest::Algorithm;
use swr_core::ports::{BlobStore, Lease, ManifestStore, UploadStore};
use swr_core::registry::{Damage, Finding, Pace, ScrubCursor, Scrubbed, Unpaced};
use swr_core::testing::minute;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::stepping::{Plan, dropped_after};

use crate::scene::{Scene, repository};

/// A whole pass: what it looked at and what it found.
async fn scrub(scene: &Scene) -> Scrubbed {
    let mut cursor = ScrubCursor::default();
    let mut whole = Scrubbed::default();
    loop {
        let step = scene.registry.caretaker(Task::Scrub).scrub(&cursor, &Unpaced).await.unwrap().unwrap();
        whole.blobs += step.blobs;
        whole.bytes += step.bytes;
        whole.manifests += step.manifests;
        whole.findings.extend(step.findings);
        match step.next {
            Some(next) => cursor = next,
            None => return whole,
        }
    }
}

fn kinds(scrubbed: &Scrubbed) -> Vec<&'static str> {
    scrubbed.findings.iter().map(Finding::kind).collect()
}

/// The records of another registry know nothing of what is there, however much that is.
#[tokio::test]
async fn nothing_is_discarded_by_records_that_know_next_to_nothing() {
    for count in [8, 4200] {
        let scene = Scene::new();
        scene.steps.plan(Plan::Others(count));
        assert_eq!(kinds(&scrub(&scene).await), ["fault"], "{count}");
    }
    // So few may be strays.
    let scene = Scene::new();
    scene.steps.plan(Plan::Others(3));
    assert_eq!(kinds(&scrub(&scene).await), ["stray"; 3]);
}

#[tokio::test]
async fn what_is_sound_is_read_and_left_alone() {
    let scene = Scene::new();
    let image = SampleManifest::image("sound");
    scene.push("o/app", "v1", &image).await;
    scene.push("o/other", "v1", &image).await;
    let before = scene.events().await;
    let scrubbed = scrub(&scene).await;
    assert_eq!(kinds(&scrubbed), [""; 0]);
    let contents = image.blobs().count() as u64;
    assert_eq!((scrubbed.blobs, scrubbed.manifests), (contents, 2));
    let of_blobs: usize = image.blobs().map(|blob| blob.bytes.len()).sum();
    assert_eq!(scrubbed.bytes, (of_blobs + 2 * image.bytes().len()) as u64);
    assert_eq!(scene.events().await, before);
}

#[tokio::test]
async fn lost_content_is_unknown_until_it_is_pushed_again() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    let stored = scene.push_blob("o/app", &blob).await;
    scene.push_blob("o/other", &blob).await;
    scene.blobs.inner().delete(&stored.location).await.unwrap();
    // Without a scrub a push changes nothing: the record stands.
    scene.push_blob("o/app", &blob).await;
    assert!(matches!(scene.read("o/app", &blob.digest).await, Err(Error::Store(_))));

    let scrubbed = scrub(&scene).await;
    let [Finding::Quarantined { blob: found, damage: Damage::Missing }] = scrubbed.findings.as_slice() else {
        panic!("{:?}", scrubbed.findings);
    };
    assert_eq!(*found, stored);
    for of in ["o/app", "o/other"] {
        assert!(matches!(scene.read(of, &blob.digest).await, Err(Error::BlobUnknown { .. })));
    }
    assert_eq!(kinds(&scrub(&scene).await), ["unhealed"]);

    scene.push_blob("o/app", &blob).await;
    for of in ["o/app", "o/other"] {
        assert_eq!(scene.read(of, &blob.digest).await.unwrap(), blob.bytes);
    }
    assert_eq!(kinds(&scrub(&scene).await), [""; 0]);
}

#[tokio::test]
async fn content_of_another_hash_is_set_aside() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/app", &blob).await;
    scene.steps.plan(Plan::Short);
    let scrubbed = scrub(&scene).await;
    scene.steps.plan(Plan::Plain);
    let [Finding::Quarantined { damage, .. }] = scrubbed.findings.as_slice() else {
        panic!("{:?}", scrubbed.findings);
    };
    let short = blob.bytes.slice(..blob.bytes.len() - 1);
    assert_eq!(*damage, Damage::Hash(Algorithm::Sha256.digest(&short)));
    assert!(matches!(scene.read("o/app", &blob.digest).await, Err(Error::BlobUnknown { .. })));
}

#[tokio::test]
async fn what_cannot_be_read_now_is_told_and_left_alone() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/app", &blob).await;
    for failing in ["stat", "read"] {
        scene.steps.plan(Plan::Failing(failing));
        let scrubbed = scrub(&scene).await;
        scene.steps.plan(Plan::Plain);
        assert_eq!(kinds(&scrubbed), ["fault"], "{failing}");
        assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
    }
}

#[tokio::test]
async fn a_stray_goes_once_no_upload_can_be_so_old() {
    let scene = Scene::new();
    let to = repository("o/app");
    let (kept, stray) = (SampleManifest::image("kept"), SampleBlob::new("stray"));
    scene.push("o/app", "v1", &kept).await;
    let id = scene.ada().begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    scene.ada().append_upload(&to, &id, None, stray.bytes.clone().into()).await.unwrap();
    let stored = scene.blobs.inner().finish(&id, &stray.digest).await.unwrap();
    // As after a power cut: the upload is forgotten, and nothing was committed.
    scene.blobs.inner().forget(&id).await.unwrap();

    scene.pass(TimeDelta::hours(48));
    assert_eq!(kinds(&scrub(&scene).await), [""; 0], "an upload may be as old");
    scene.pass(TimeDelta::seconds(1));
    let scrubbed = scrub(&scene).await;
    let [Finding::Stray { location, size }] = scrubbed.findings.as_slice() else {
        panic!("{:?}", scrubbed.findings);
    };
    assert_eq!((location, *size), (&stored.location, stored.size));
    assert_eq!(kinds(&scrub(&scene).await), [""; 0], "it is garbage by now, and told once");
    scene.pass(TimeDelta::seconds(1));
    scene.caretaker().collect().await.unwrap().unwrap();
    assert_eq!(scene.blobs.inner().stat(&stored.location).await.unwrap(), None);
    for blob in kept.blobs() {
        assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
    }
}

#[tokio::test]
async fn one_scrubs_at_a_time() {
    let scene = Scene::new();
    let now = minute(0);
    let lease = Lease { name: "scrub", holder: "another", now, until: now + TimeDelta::hours(1) };
    let fence = scene.manifests.inner().lease(&lease).await.unwrap().unwrap();
    let caretaker = scene.registry.caretaker(Task::Scrub);
    assert!(caretaker.scrub(&ScrubCursor::default(), &Unpaced).await.unwrap().is_none());
    scene.manifests.inner().release_lease(&fence).await.unwrap();
    assert!(caretaker.scrub(&ScrubCursor::default(), &Unpaced).await.unwrap().is_some());
}

/// Begins the next pass in an hour.
struct Hourly;

#[async_trait]
impl Pace for Hourly {
    async fn after(&self, _: u64) {}

    fn next_pass(&self) -> Option<DateTime<Utc>> {
        Some(minute(60))
    }
}

#[tokio::test]
async fn a_pass_is_one_process_s_and_so_is_the_time_until_the_next() {
    let scene = Scene::new();
    let another = async |at| {
        let lease = Lease { name: "scrub", holder: "another", now: at, until: at };
        scene.manifests.inner().lease(&lease).await.unwrap()
    };
    let caretaker = scene.registry.caretaker(Task::Scrub);
    let mut cursor = ScrubCursor::default();
    while let Some(next) = caretaker.scrub(&cursor, &Hourly).await.unwrap().unwrap().next {
        assert!(another(minute(1)).await.is_none(), "between two steps somebody else begins");
        cursor = next;
    }
    assert!(another(minute(59)).await.is_none());
    assert!(caretaker.scrub(&ScrubCursor::default(), &Hourly).await.unwrap().is_some(), "it is no other");
    // What this one does not go on with, another does from the beginning.
    assert!(another(minute(10)).await.is_some());
    assert!(caretaker.scrub(&ScrubCursor::default(), &Unpaced).await.unwrap().is_none());
    scene.pass(TimeDelta::minutes(11));
    assert!(caretaker.scrub(&ScrubCursor::default(), &Unpaced).await.unwrap().is_some());
}

#[tokio::test]
async fn a_pass_goes_on_where_it_was_and_its_cursor_reads_back() {
    let scene = Scene::new();
    for number in 0..501 {
        scene.push_blob("o/app", &SampleBlob::new(&number.to_string())).await;
    }
    let caretaker = scene.registry.caretaker(Task::Scrub);
    let (mut cursor, mut looked_at) = (ScrubCursor::default(), Vec::new());
    loop {
        let text = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<ScrubCursor>(&text).unwrap(), cursor);
        let step = caretaker.scrub(&cursor, &Unpaced).await.unwrap().unwrap();
        looked_at.push(step.blobs);
        let Some(next) = step.next else { break };
        cursor = next;
    }
    // The rest of the content, none left; no manifests; no strays.
    assert_eq!(looked_at, [500, 1, 0, 0, 0]);
}

/// Adds up what it is told.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

#[async_trait]
impl Pace for Counted {
    async fn after(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn the_pace_hears_of_every_byte() {
    let scene = Scene::new();
    scene.push("o/app", "v1", &SampleManifest::image("a")).await;
    let (mut cursor, mut bytes, pace) = (ScrubCursor::default(), 0, Counted::default());
    loop {
        let step = scene.registry.caretaker(Task::Scrub).scrub(&cursor, &pace).await.unwrap().unwrap();
        bytes += step.bytes;
        let Some(next) = step.next else { break };
        cursor = next;
    }
    assert!(bytes > 0);
    assert_eq!(pace.0.into_inner(), bytes);
}

#[tokio::test]
async fn a_scrub_that_stops_anywhere_sets_nothing_sound_aside() {
    for polls in 0.. {
        let scene = Scene::new();
        let (sound, lost) = (SampleBlob::new("sound"), SampleBlob::new("lost"));
        scene.push_blob("o/app", &sound).await;
        let stored = scene.push_blob("o/app", &lost).await;
        scene.blobs.inner().delete(&stored.location).await.unwrap();
        scene.steps.plan(Plan::Pausing);
        let done = dropped_after(polls, scrub(&scene)).is_some();
        scene.steps.plan(Plan::Plain);
        assert_eq!(scene.read("o/app", &sound.digest).await.unwrap(), sound.bytes);
        let found = kinds(&scrub(&scene).await);
        assert!(found == ["quarantined"] || found == ["unhealed"], "{found:?}");
        scene.push_blob("o/app", &lost).await;
        assert_eq!(scene.read("o/app", &lost.digest).await.unwrap(), lost.bytes);
        if done {
            assert!(polls > 10);
            break;
        }
    }
}
