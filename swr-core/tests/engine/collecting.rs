//! What nobody needs.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::FutureExt;
use swr_core::Error;
use swr_core::caller::{Actor, Caller, Origin, Task};
use swr_core::commit::{Change, Commit, CommitError};
use swr_core::digest::Algorithm;
use swr_core::ports::{Authorizer, BlobStore, Lease, ManifestStore, UploadStore, WithBytes};
use swr_core::registry::{Limits, Precondition};
use swr_core::testing::minute;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::stepping::Plan;

use crate::scene::{Scene, chunked, repository, tag, tagged, user};

async fn collect(scene: &Scene) -> swr_core::registry::Collected {
    scene.pass(TimeDelta::seconds(1));
    scene.caretaker().collect().await.unwrap().unwrap()
}

#[tokio::test]
async fn what_is_removed_goes_from_the_store_and_what_is_shared_stays() {
    let scene = Scene::new();
    let shared = SampleBlob::new("shared");
    let gone = SampleManifest::image("gone").with_layer(&shared);
    let stays = SampleManifest::image("stays").with_layer(&shared);
    scene.push("o/app", "gone", &gone).await;
    scene.push("p/app", "stays", &stays).await;
    assert_eq!(scene.contents().await, 6);
    let from = repository("o/app");
    scene.ada().remove_manifest(&from, &gone.digest(), Precondition::None).await.unwrap();
    scene.pass(TimeDelta::hours(25));
    let rounds = [collect(&scene).await, collect(&scene).await];
    let deleted: u64 = rounds.iter().map(|collected| collected.deleted).sum();
    // Config and layer of what is gone, and what was brought twice.
    assert_eq!((deleted, scene.contents().await), (3, 3));
    for blob in stays.blobs() {
        assert_eq!(scene.read("p/app", &blob.digest).await.unwrap(), blob.bytes);
    }
    assert_eq!(scene.manifests.inner().backlog().await.unwrap().garbage, 0);
}

#[tokio::test]
async fn a_push_has_the_whole_hold_to_bring_its_manifest() {
    let scene = Scene::new();
    let image = SampleManifest::image("slow");
    scene.push_blobs("o/app", &image).await;
    scene.pass(TimeDelta::hours(23));
    collect(&scene).await;
    scene.ada().push_manifest(&repository("o/app"), tagged("v1", &image)).await.unwrap();
    scene.pass(TimeDelta::days(100));
    collect(&scene).await;
    for blob in image.blobs() {
        assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
    }
}

#[tokio::test]
async fn a_hold_below_an_hour_is_one_of_an_hour_unless_the_host_insists() {
    let short = Limits { link_hold: TimeDelta::zero(), ..Limits::default() };
    let blob = SampleBlob::new("loose");
    for (insists, after, is_there) in [(false, 59, true), (false, 61, false), (true, 1, false)] {
        let scene = Scene::with(|builder| builder.limits(short.clone()).unsafe_short_holds(insists));
        scene.push_blob("o/app", &blob).await;
        scene.pass(TimeDelta::minutes(after));
        collect(&scene).await;
        assert_eq!(scene.read("o/app", &blob.digest).await.is_ok(), is_there, "{insists} {after}");
    }
}

#[tokio::test]
async fn a_manifest_without_a_tag_goes_when_the_host_says_and_never_when_it_says_never() {
    for (keep, days, is_there) in
        [(Some(TimeDelta::days(7)), 6, true), (Some(TimeDelta::days(7)), 8, false), (None, 10_000, true)]
    {
        let limits = Limits { untagged_keep: keep, ..Limits::default() };
        let scene = Scene::with(|builder| builder.limits(limits));
        let image = SampleManifest::image("app");
        scene.push("o/app", "v1", &image).await;
        scene.ada().remove_tag(&repository("o/app"), &tag("v1"), Precondition::None).await.unwrap();
        scene.pass(TimeDelta::days(days));
        collect(&scene).await;
        let (from, reference) = (repository("o/app"), image.digest().into());
        let found = scene.manifests.inner().resolve(&from, &reference, WithBytes::No).await.unwrap();
        assert_eq!(found.is_some(), is_there, "{keep:?} {days}");
    }
}

#[tokio::test]
async fn an_index_and_a_subject_hold_what_is_theirs() {
    let scene = Scene::new();
    let (child, subject) = (SampleManifest::image("child"), SampleManifest::image("subject"));
    let index = SampleManifest::index(&[&child]);
    let signature = SampleManifest::artifact("application/signature", "s").referring_to(&subject);
    scene.push("o/app", "child", &child).await;
    scene.push("o/app", "index", &index).await;
    scene.push("o/app", "subject", &subject).await;
    scene.push("o/app", "signature", &signature).await;
    for name in ["child", "signature"] {
        scene.ada().remove_tag(&repository("o/app"), &tag(name), Precondition::None).await.unwrap();
    }
    scene.pass(TimeDelta::days(100));
    collect(&scene).await;
    for held in [&child, &signature] {
        scene.ada().stat_manifest(&repository("o/app"), &held.digest().into()).await.unwrap();
    }
    for name in ["index", "subject"] {
        scene.ada().remove_tag(&repository("o/app"), &tag(name), Precondition::None).await.unwrap();
    }
    for _ in 0..3 {
        scene.pass(TimeDelta::days(8));
        collect(&scene).await;
    }
    for gone in [&child, &signature, &index, &subject] {
        let found = scene.ada().stat_manifest(&repository("o/app"), &gone.digest().into()).await;
        assert!(matches!(found, Err(Error::ManifestUnknown { .. })), "{found:?}");
    }
    scene.pass(TimeDelta::days(2));
    collect(&scene).await;
    assert_eq!(scene.contents().await, 0);
}

#[tokio::test]
async fn idle_uploads_are_swept_and_busy_ones_are_not() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let idle = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &idle, None, chunked(&["idle"])).await.unwrap();
    scene.pass(TimeDelta::hours(20));
    let busy = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    scene.pass(TimeDelta::hours(5));
    ada.append_upload(&to, &busy, None, chunked(&["busy"])).await.unwrap();

    let sweeper = scene.registry.caretaker(Task::UploadSweep);
    let swept = sweeper.sweep_uploads().await.unwrap().unwrap();
    assert_eq!((swept.abandoned, swept.forgotten, swept.left), (1, 0, 0));
    assert!(matches!(ada.find_upload(&to, &idle).await, Err(Error::UploadUnknown)));
    assert_eq!(ada.find_upload(&to, &busy).await.unwrap().offset, 4);
}

#[tokio::test]
async fn a_finished_upload_that_nobody_committed_becomes_garbage_and_cannot_be_named_any_more() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let blob = SampleBlob::new("content");
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &id, None, blob.bytes.clone().into()).await.unwrap();
    scene.steps.plan(Plan::Failing("commit"));
    let error = ada.finish_upload(&to, &id, &blob.digest).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    scene.steps.plan(Plan::Plain);
    assert!(matches!(ada.cancel_upload(&to, &id).await, Err(Error::UploadUnknown)));

    scene.pass(TimeDelta::hours(25));
    let swept = scene.registry.caretaker(Task::UploadSweep).sweep_uploads().await.unwrap().unwrap();
    assert_eq!((swept.abandoned, swept.forgotten, swept.left), (0, 1, 0));
    assert!(matches!(ada.finish_upload(&to, &id, &blob.digest).await, Err(Error::UploadUnknown)));
    collect(&scene).await;
    assert_eq!((scene.contents().await, scene.uploads().await), (0, 0));
}

#[tokio::test]
async fn a_finished_upload_that_was_committed_and_not_forgotten_is_only_forgotten() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.steps.plan(Plan::Failing("forget"));
    scene.push_blob("o/app", &blob).await;
    scene.steps.plan(Plan::Plain);
    assert_eq!(scene.uploads().await, 1);
    let image = SampleManifest::image("app").with_layer(&blob);
    scene.push("o/app", "v1", &image).await;
    scene.clean_up().await;
    assert_eq!(scene.uploads().await, 0);
    assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
}

#[tokio::test]
async fn what_cannot_be_deleted_is_left_for_the_next_round_and_stops_nothing() {
    let scene = Scene::new();
    let blobs: Vec<_> = (0..3).map(|number| SampleBlob::new(&format!("blob {number}"))).collect();
    for blob in &blobs {
        scene.push_blob("o/app", blob).await;
        scene.ada().unlink_blob(&repository("o/app"), &blob.digest).await.unwrap();
    }
    scene.steps.plan(Plan::Failing("delete"));
    let collected = collect(&scene).await;
    assert_eq!((collected.discarded, collected.deleted), (3, 0));
    let collected = collect(&scene).await;
    assert_eq!((collected.deleted, collected.undeletable, scene.contents().await), (0, 3, 3));
    // The second of three, after the lease, what is unused, what is unlinked, and the list.
    scene.steps.plan(Plan::FailBefore(6));
    let collected = collect(&scene).await;
    assert_eq!((collected.deleted, collected.undeletable, scene.contents().await), (2, 1, 1));
    scene.steps.plan(Plan::Plain);
    let collected = collect(&scene).await;
    assert_eq!((collected.deleted, collected.undeletable, scene.contents().await), (1, 0, 0));
}

#[tokio::test]
async fn garbage_waits_for_those_who_may_still_read_it() {
    let scene = Scene::new();
    scene.steps.hold_readers(std::time::Duration::from_secs(3600));
    let blob = SampleBlob::new("content");
    scene.push_blob("o/app", &blob).await;
    scene.ada().unlink_blob(&repository("o/app"), &blob.digest).await.unwrap();
    assert_eq!(collect(&scene).await.discarded, 1);
    scene.pass(TimeDelta::minutes(59));
    assert_eq!(collect(&scene).await.deleted, 0);
    scene.pass(TimeDelta::minutes(1));
    assert_eq!(collect(&scene).await.deleted, 1);
    // A hold beyond all time is one for ever, and no failure.
    scene.steps.hold_readers(std::time::Duration::MAX);
    assert_eq!(collect(&scene).await.deleted, 0);
}

#[tokio::test]
async fn what_collection_lets_go_of_wakes_whoever_listens() {
    let scene = Scene::new();
    scene.push_blob("o/app", &SampleBlob::new("content")).await;
    let mut committed = scene.registry.committed();
    assert!(committed.changed().now_or_never().is_none());
    scene.pass(TimeDelta::days(2));
    collect(&scene).await;
    assert!(committed.changed().now_or_never().is_some());
}

#[tokio::test]
async fn one_collects_at_a_time() {
    let scene = Scene::new();
    let now = minute(0);
    let lease = Lease { name: "collection", holder: "a backup", now, until: now + TimeDelta::hours(1) };
    let fence = scene.manifests.inner().lease(&lease).await.unwrap().unwrap();
    assert_eq!(scene.caretaker().collect().await.unwrap(), None);
    scene.manifests.inner().release_lease(&fence).await.unwrap();
    assert!(scene.caretaker().collect().await.unwrap().is_some());

    // Another process after it, which finds the lease let go.
    let other = swr_core::Registry::builder(
        Arc::clone(&scene.blobs),
        Arc::clone(&scene.manifests) as Arc<dyn ManifestStore>,
        Arc::clone(&scene.rules) as Arc<dyn Authorizer>,
    )
    .clock(Arc::clone(&scene.clock) as _)
    .build();
    assert!(other.caretaker(Task::Collection).collect().await.unwrap().is_some());
    assert!(scene.caretaker().collect().await.unwrap().is_some());
}

#[tokio::test]
async fn a_round_is_bounded_and_says_that_there_is_more() {
    let scene = Scene::new();
    // As many as one call takes, and one more: not yet the bound of a round.
    let to = repository("o/app");
    let ada = scene.registry.access(Caller::Anonymous, Origin::default());
    for number in 0..501 {
        let blob = SampleBlob::new(&number.to_string());
        ada.push_blob(&to, &blob.digest, blob.bytes.into()).await.unwrap();
    }
    scene.pass(TimeDelta::days(2));
    let collected = collect(&scene).await;
    assert_eq!((collected.released.links, collected.discarded, collected.more), (501, 501, false));
    assert_eq!(collect(&scene).await.deleted, 501);
    assert_eq!(scene.contents().await, 0);
}

#[tokio::test]
async fn a_location_stays_spent_for_as_long_as_a_commit_could_name_it() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let blob = SampleBlob::new("content");
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &id, None, blob.bytes.clone().into()).await.unwrap();
    // A request stands still between the end of its upload and its commit.
    let stored = scene.blobs.inner().finish(&id, &blob.digest).await.unwrap();
    scene.pass(TimeDelta::hours(25));
    scene.registry.caretaker(Task::UploadSweep).sweep_uploads().await.unwrap().unwrap();
    for _ in 0..3 {
        collect(&scene).await;
        scene.pass(TimeDelta::days(1));
    }
    assert_eq!(scene.blobs.inner().stat(&stored.location).await.unwrap(), None);
    let late = Commit {
        repository: to,
        actor: Actor::Caller(user("ada")),
        origin: Origin::default(),
        at: minute(0),
        requires: Vec::new(),
        changes: vec![Change::LinkStored(stored)],
    };
    let refused = scene.manifests.inner().commit(late.clone()).await;
    assert!(matches!(refused, Err(CommitError::BytesGone(_))), "{refused:?}");

    scene.pass(TimeDelta::days(4));
    collect(&scene).await;
    let refused = scene.manifests.inner().commit(late.clone()).await;
    assert!(matches!(refused, Err(CommitError::BytesGone(_))), "not forgotten yet: {refused:?}");
    // A request that is as old as that has long ended.
    scene.pass(TimeDelta::days(2));
    collect(&scene).await;
    scene.manifests.inner().commit(late).await.unwrap();
}
