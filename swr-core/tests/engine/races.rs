//! Several at once, in many orders: whatever the order of their steps, the outcome is one that some order of
//! whole requests has.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use swr_core::digest::Algorithm;
use swr_core::event::Event;
use swr_core::registry::{Content, Limits, ManifestPush, Mounted, Precondition};
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::stepping::{Plan, interleaved};
use swr_core::{Access, Error};

use crate::pushing::OnlyEdgeMoves;
use crate::scene::{Scene, by_digest, chunked, repository, tag, tagged};

/// How many orders each race is run in.
const ORDERS: u64 = 300;

type Racer<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn race(scene: &Scene, order: u64, racers: Vec<Racer<'_>>) {
    scene.steps.plan(Plan::Pausing);
    interleaved(order, racers);
    scene.steps.plan(Plan::Plain);
}

/// Pushes an image as clients do: what the registry says it has is not sent.
async fn push_as_clients_do(access: &Access<'_>, image: &SampleManifest) -> Result<(), Error> {
    let to = repository("o/app");
    for blob in image.blobs() {
        match access.stat_blob(&to, &blob.digest).await {
            Ok(_) => {}
            Err(Error::BlobUnknown { .. }) => {
                let id = access.begin_upload(&to, Algorithm::Sha256).await?.id;
                access.append_upload(&to, &id, Some(0), blob.bytes.clone().into()).await?;
                access.finish_upload(&to, &id, &blob.digest).await?;
            }
            Err(error) => return Err(error),
        }
    }
    access.push_manifest(&to, tagged("v1", image)).await.map(drop)
}

async fn collect_thrice(scene: &Scene) {
    for _ in 0..3 {
        scene.pass(TimeDelta::seconds(1));
        scene.caretaker().collect().await.unwrap();
    }
}

#[tokio::test]
async fn a_push_is_not_hurt_by_collection_of_just_what_it_brings() {
    let image = SampleManifest::image("app");
    for order in 0..ORDERS {
        let scene = Scene::new();
        // The same blobs have been there before, and are garbage by now, or will be.
        scene.push_blobs("o/app", &image).await;
        for blob in image.blobs() {
            scene.ada().unlink_blob(&repository("o/app"), &blob.digest).await.unwrap();
        }
        race(
            &scene,
            order,
            vec![
                Box::pin(async { push_as_clients_do(&scene.ada(), &image).await.unwrap() }),
                Box::pin(collect_thrice(&scene)),
            ],
        );
        scene.clean_up().await;
        assert_eq!(scene.digest_of("o/app", "v1").await, Some(image.digest()));
        for blob in image.blobs() {
            assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
        }
        assert_eq!(scene.contents().await, 2);
    }
}

#[tokio::test]
async fn an_upload_whose_end_is_asked_for_again_while_its_blob_goes_is_finished_or_unknown() {
    let (mut finished, mut unknown) = (0, 0);
    let (to, blob) = (repository("o/app"), SampleBlob::new("content"));
    for order in 0..ORDERS {
        let scene = Scene::new();
        let id = scene.ada().begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
        scene.ada().append_upload(&to, &id, None, blob.bytes.clone().into()).await.unwrap();
        scene.ada().finish_upload(&to, &id, &blob.digest).await.unwrap();
        scene.pass(TimeDelta::hours(13));
        let (ada, bob) = (scene.ada(), scene.bob());
        race(
            &scene,
            order,
            vec![
                Box::pin(async {
                    match ada.finish_upload(&to, &id, &blob.digest).await {
                        Ok(_) => finished += 1,
                        Err(Error::UploadUnknown) => unknown += 1,
                        Err(error) => panic!("{error:?}"),
                    }
                }),
                Box::pin(async { bob.unlink_blob(&to, &blob.digest).await.unwrap() }),
            ],
        );
    }
    assert!(finished > 0 && unknown > 0, "{finished} {unknown}");
}

#[tokio::test]
async fn with_no_hold_at_all_a_push_is_whole_or_says_what_is_missing() {
    let image = SampleManifest::image("app");
    let (mut whole, mut missing) = (0, 0);
    for order in 0..ORDERS {
        let limits = Limits { link_hold: TimeDelta::zero(), ..Limits::default() };
        let scene = Scene::with(|builder| builder.limits(limits).unsafe_short_holds(true));
        race(
            &scene,
            order,
            vec![
                Box::pin(async {
                    match push_as_clients_do(&scene.ada(), &image).await {
                        Ok(()) => whole += 1,
                        Err(Error::ManifestBlobUnknown(_)) => missing += 1,
                        Err(error) => panic!("{error:?}"),
                    }
                }),
                Box::pin(collect_thrice(&scene)),
            ],
        );
        scene.clean_up().await;
        let is_there = scene.digest_of("o/app", "v1").await.is_some();
        if is_there {
            for blob in image.blobs() {
                assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
            }
        }
        assert_eq!((scene.contents().await, scene.uploads().await), (if is_there { 2 } else { 0 }, 0));
    }
    assert!(whole > 0 && missing > 0, "both happen: {whole} {missing}");
}

#[tokio::test]
async fn of_two_who_want_to_be_first_one_is() {
    let images = [SampleManifest::image("a"), SampleManifest::image("b")];
    let mut won = [0, 0];
    for order in 0..ORDERS {
        let scene = Scene::new();
        for image in &images {
            scene.push_blobs("o/app", image).await;
        }
        let winners = Mutex::new(Vec::new());
        let push = async |image: &SampleManifest| {
            let push = ManifestPush { precondition: Precondition::Absent, ..tagged("v1", image) };
            match scene.ada().push_manifest(&repository("o/app"), push).await {
                Ok(pushed) => winners.lock().unwrap().push(pushed.digest),
                Err(Error::PreconditionFailed) => {}
                Err(error) => panic!("{error:?}"),
            }
        };
        race(&scene, order, vec![Box::pin(push(&images[0])), Box::pin(push(&images[1]))]);
        let winners = winners.into_inner().unwrap();
        assert_eq!(winners.len(), 1);
        assert_eq!(scene.digest_of("o/app", "v1").await, Some(winners[0]));
        won[usize::from(winners[0] == images[1].digest())] += 1;
    }
    assert!(won.iter().all(|won| *won > 0), "either may win: {won:?}");
}

#[tokio::test]
async fn two_who_finish_one_upload_get_one_blob() {
    let blob = SampleBlob::new("content");
    for order in 0..ORDERS {
        let scene = Scene::new();
        let (ada, to) = (scene.ada(), repository("o/app"));
        let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
        ada.append_upload(&to, &id, None, blob.bytes.clone().into()).await.unwrap();
        let finish = async || drop(ada.finish_upload(&to, &id, &blob.digest).await.unwrap());
        race(&scene, order, vec![Box::pin(finish()), Box::pin(finish())]);
        assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
        assert_eq!((scene.contents().await, scene.uploads().await), (1, 0));
        assert_eq!(scene.events().await.len(), 1);
    }
}

#[tokio::test]
async fn of_two_who_append_at_one_place_one_does() {
    for order in 0..ORDERS {
        let scene = Scene::new();
        let (ada, to) = (scene.ada(), repository("o/app"));
        let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
        let appended = Mutex::new(0);
        let append = async || match ada.append_upload(&to, &id, Some(0), chunked(&["con", "tent"])).await {
            Ok(7) => *appended.lock().unwrap() += 1,
            Err(Error::UploadOffset { .. } | Error::UploadBusy) => {}
            other => panic!("{other:?}"),
        };
        race(&scene, order, vec![Box::pin(append()), Box::pin(append())]);
        assert_eq!(*appended.lock().unwrap(), 1);
        ada.finish_upload(&to, &id, &SampleBlob::new("content").digest).await.unwrap();
    }
}

#[tokio::test]
async fn a_fixed_tag_that_is_set_meanwhile_does_not_go_with_its_manifest() {
    let image = SampleManifest::image("app");
    let (mut went, mut stayed) = (0, 0);
    for order in 0..ORDERS {
        let scene = Scene::with(|builder| builder.tag_guard(Arc::new(OnlyEdgeMoves)));
        scene.push("o/app", "edge", &image).await;
        let removed = Mutex::new(false);
        race(
            &scene,
            order,
            vec![
                Box::pin(async {
                    let from = repository("o/app");
                    match scene.ada().remove_manifest(&from, &image.digest(), Precondition::None).await {
                        Ok(()) => *removed.lock().unwrap() = true,
                        Err(Error::TagImmutable { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }),
                Box::pin(async {
                    let push = ManifestPush { tags: vec![tag("fixed")], ..by_digest(&image) };
                    scene.ada().push_manifest(&repository("o/app"), push).await.unwrap();
                }),
            ],
        );
        // Removed before it was tagged, and pushed anew with the tag; or not removed.
        assert_eq!(scene.digest_of("o/app", "fixed").await, Some(image.digest()));
        let removed = removed.into_inner().unwrap();
        assert_eq!(scene.digest_of("o/app", "edge").await.is_none(), removed);
        *if removed { &mut went } else { &mut stayed } += 1;
    }
    assert!(went > 0 && stayed > 0, "both happen: {went} {stayed}");
}

#[tokio::test]
async fn a_blob_that_its_source_loses_is_mounted_before_that_or_not_at_all() {
    let blob = SampleBlob::new("content");
    let (mut before, mut not_at_all) = (0, 0);
    for order in 0..ORDERS {
        let scene = Scene::new();
        scene.push_blob("o/from", &blob).await;
        let mounted = Mutex::new(false);
        race(
            &scene,
            order,
            vec![
                Box::pin(async {
                    let (to, from) = (repository("o/to"), repository("o/from"));
                    let outcome = scene.bob().mount_blob(&to, &blob.digest, Some(&from)).await.unwrap();
                    *mounted.lock().unwrap() = matches!(outcome, Mounted::Linked(_));
                }),
                Box::pin(async {
                    scene.ada().unlink_blob(&repository("o/from"), &blob.digest).await.unwrap();
                    collect_thrice(&scene).await;
                }),
            ],
        );
        let read = scene.read("o/to", &blob.digest).await;
        if mounted.into_inner().unwrap() {
            assert_eq!(read.unwrap(), blob.bytes);
            assert_eq!(scene.events().await.last(), Some(&Event::BlobUnlinked { digest: blob.digest }));
            before += 1;
        } else {
            assert!(matches!(read, Err(Error::BlobUnknown { .. })), "{read:?}");
            not_at_all += 1;
        }
    }
    assert!(before > 0 && not_at_all > 0, "both happen: {before} {not_at_all}");
}

#[tokio::test]
async fn a_reader_gets_all_of_a_blob_or_learns_that_it_is_not_there() {
    let blob = SampleBlob::new("content");
    for order in 0..ORDERS {
        let scene = Scene::new();
        scene.push_blob("o/app", &blob).await;
        race(
            &scene,
            order,
            vec![
                Box::pin(async {
                    for _ in 0..6 {
                        match scene.bob().pull_blob(&repository("o/app"), &blob.digest, &[]).await {
                            Ok(pulled) => {
                                let Content::Whole(body) = pulled.content else {
                                    panic!("no range was asked for")
                                };
                                assert_eq!(body.collect(100).await.unwrap(), blob.bytes);
                            }
                            Err(Error::BlobUnknown { .. }) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }),
                // Removed, collected, and brought again to another place.
                Box::pin(async {
                    scene.ada().unlink_blob(&repository("o/app"), &blob.digest).await.unwrap();
                    collect_thrice(&scene).await;
                    scene.push_blob("o/app", &blob).await;
                }),
            ],
        );
        assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
    }
}

#[tokio::test]
async fn a_blob_that_is_asked_for_while_it_is_taken_away_does_not_come_back() {
    let blob = SampleBlob::new("content");
    for order in 0..ORDERS {
        let scene = Scene::new();
        scene.push_blob("o/app", &blob).await;
        // Whoever asks now renews what it is told of.
        scene.pass(TimeDelta::hours(20));
        race(
            &scene,
            order,
            vec![
                Box::pin(async {
                    match scene.bob().stat_blob(&repository("o/app"), &blob.digest).await {
                        Ok(_) | Err(Error::BlobUnknown { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }),
                Box::pin(async {
                    scene.ada().unlink_blob(&repository("o/app"), &blob.digest).await.unwrap();
                }),
            ],
        );
        assert!(matches!(scene.read("o/app", &blob.digest).await, Err(Error::BlobUnknown { .. })));
        assert_eq!(scene.events().await.len(), 2);
    }
}

#[tokio::test]
async fn of_two_who_remove_one_thing_one_does() {
    let image = SampleManifest::image("app");
    for order in 0..ORDERS {
        let scene = Scene::new();
        let from = repository("o/app");
        scene.push("o/app", "v1", &image).await;
        scene.push_blob("o/app", &SampleBlob::new("loose")).await;
        let removed = Mutex::new([0; 3]);
        let remove = async || {
            let (ada, none) = (scene.ada(), Precondition::None);
            let answers = [
                ada.unlink_blob(&from, &SampleBlob::new("loose").digest).await,
                ada.remove_tag(&from, &tag("v1"), none.clone()).await,
                ada.remove_manifest(&from, &image.digest(), none).await,
            ];
            for (removed, answer) in removed.lock().unwrap().iter_mut().zip(answers) {
                match answer {
                    Ok(()) => *removed += 1,
                    Err(Error::ManifestUnknown { .. } | Error::BlobUnknown { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        race(&scene, order, vec![Box::pin(remove()), Box::pin(remove())]);
        assert_eq!(removed.into_inner().unwrap(), [1; 3]);
    }
}
