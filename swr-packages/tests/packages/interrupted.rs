//! What if it stops here? An import is dropped at each of its polls, and has each of its calls to a store fail, before it
//! is made and after.

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use swr_core::Error;
use swr_core::caller::Task;
use swr_core::digest::Digest;
use swr_core::ports::{BlobStore, UploadStore};
use swr_core::registry::Content;
use swr_core::testing::stepping::{Plan, dropped_after_waking};
use swr_packages::{ImageOutcome, ImportError};

use crate::archives::{SavedImage, docker};
use crate::scene::{Scene, repository, tag};

/// What the package has: two images that share a layer, one of them under two names.
const NAMES: [(&str, &str); 3] = [("team/app", "v1"), ("team/app", "v2"), ("team/tool", "v1")];

fn images() -> [SavedImage; 2] {
    [
        SavedImage::new(&["app:v1", "app:v2"], &["shared", "of the app"]),
        SavedImage::new(&["tool:v1"], &["shared", "of the tool"]),
    ]
}

/// What the package brings.
fn brought() -> [Option<Digest>; 3] {
    let [app, tool] = images().map(|image| Some(image.digest()));
    [app, app, tool]
}

/// A scene in which `app:v1` is another image by now.
async fn set() -> (Scene, Bytes, Digest) {
    let scene = Scene::new();
    let older = docker(&[SavedImage::new(&["app:v1"], &["an older layer"])]).end();
    scene.import(&older).await.unwrap();
    let older = scene.digest_of("team/app", "v1").await.unwrap();
    (scene, docker(&images()).end(), older)
}

/// Each version is what it was or what it was to be, and all of it is there.
async fn is_whole(scene: &Scene, older: Digest, when: &str) -> [Option<Digest>; 3] {
    let mut seen = [None; 3];
    for (at, (name, under)) in NAMES.iter().enumerate() {
        let found = match scene.ada().pull_manifest(&repository(name), &tag(under)).await {
            Ok(found) => found,
            Err(Error::ManifestUnknown { .. } | Error::NameUnknown { .. }) => continue,
            Err(error) => panic!("{when}: {error:?}"),
        };
        seen[at] = Some(found.digest);
        for blob in blobs_of(&found.bytes.unwrap()) {
            let pulled = scene.ada().pull_blob(&repository(name), &blob, &[]).await.unwrap();
            let Content::Whole(body) = pulled.content else { panic!("a whole blob was asked for") };
            assert_eq!(blob.algorithm().digest(&body.collect(1 << 20).await.unwrap()), blob, "{when}");
        }
    }
    let before = [Some(older), None, None];
    for (at, seen) in seen.iter().enumerate() {
        assert!(*seen == before[at] || *seen == brought()[at], "{when}: {:?} is {seen:?}", NAMES[at]);
    }
    seen
}

/// Imported again, everything is there; and a cleaning leaves nothing that no version needs.
async fn is_done_when_imported_again(scene: &Scene, archive: &Bytes, older: Digest, when: &str) {
    let outcomes = scene.import(archive).await.unwrap();
    assert!(outcomes.len() == 3 && outcomes.iter().all(|outcome| outcome.result.is_ok()), "{when}");
    assert_eq!(is_whole(scene, older, when).await, brought(), "{when}");
    // The older image has no name any more.
    let (app, registry) = (repository("team/app"), &scene.registry);
    scene.ada().remove_manifest(&app, &older, Default::default()).await.unwrap();
    scene.clock.advance(TimeDelta::days(30));
    registry.caretaker(Task::UploadSweep).sweep_uploads().await.unwrap();
    for _ in 0..2 {
        registry.caretaker(Task::Collection).collect().await.unwrap();
        scene.clock.advance(TimeDelta::seconds(1));
    }
    assert_eq!(scene.blobs.inner().idle_since(DateTime::<Utc>::MAX_UTC).count().await, 0, "{when}");
    let needed: BTreeSet<_> = images().iter().flat_map(|image| blobs_of(&image.manifest().into())).collect();
    assert_eq!(scene.blobs.inner().list().count().await, needed.len(), "{when}");
    assert_eq!(is_whole(scene, older, when).await, brought(), "{when}");
}

#[tokio::test]
async fn an_import_that_is_dropped_anywhere_leaves_whole_versions_and_can_be_done_again() {
    let (mut untouched, mut partly) = (0, 0);
    for polls in 0.. {
        let (scene, archive, older) = set().await;
        scene.steps.plan(Plan::Pausing);
        let done = dropped_after_waking(polls, scene.import(&archive)).await;
        scene.steps.plan(Plan::Plain);
        let when = format!("dropped after {polls} polls");
        let seen = is_whole(&scene, older, &when).await;
        untouched += u32::from(seen == [Some(older), None, None]);
        partly += u32::from(seen[0] == brought()[0] && seen != brought());
        is_done_when_imported_again(&scene, &archive, older, &when).await;
        if let Some(outcomes) = done {
            assert_eq!((outcomes.unwrap().len(), seen), (3, brought()));
            break;
        }
    }
    assert!(untouched > 10 && partly > 10, "dropped before the first version and between them");
}

/// What was told of an image is so.
fn is_so(outcome: &ImageOutcome, seen: [Option<Digest>; 3], when: &str) -> bool {
    match &outcome.result {
        Ok(image) => {
            let version = (image.version.repository.as_str(), image.version.tag.as_str());
            let at = NAMES.iter().position(|name| *name == version).unwrap();
            assert_eq!(seen[at], Some(image.digest), "{when}: {version:?} was told");
            true
        }
        Err(error) => {
            let is_fault = matches!(**error, ImportError::Registry(Error::Store(_)));
            assert!(is_fault, "{when}: {error:?}");
            false
        }
    }
}

#[tokio::test]
async fn an_import_whose_store_fails_says_of_which_images_it_did_and_can_be_done_again() {
    let mut failures = 0;
    for number in 1.. {
        let mut calls = 0;
        for plan in [Plan::FailBefore(number), Plan::FailAfter(number)] {
            let (scene, archive, older) = set().await;
            scene.steps.plan(plan);
            let outcomes = scene.import(&archive).await.unwrap();
            calls = scene.steps.calls();
            scene.steps.plan(Plan::Plain);
            let when = format!("{plan:?}");
            let seen = is_whole(&scene, older, &when).await;
            let done = outcomes.iter().filter(|outcome| is_so(outcome, seen, &when)).count();
            failures += u32::from(done < 3);
            is_done_when_imported_again(&scene, &archive, older, &when).await;
        }
        if number > calls {
            break;
        }
    }
    assert!(failures > 20, "{failures} calls failed");
}

/// What a manifest names.
fn blobs_of(manifest: &Bytes) -> Vec<Digest> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let digest =
        |descriptor: &serde_json::Value| Digest::parse(descriptor["digest"].as_str().unwrap()).unwrap();
    [&manifest["config"]].into_iter().chain(layers).map(digest).collect()
}
