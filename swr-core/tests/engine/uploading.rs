//! Blobs, in.

use bytes::Bytes;
use chrono::TimeDelta;
use swr_core::caller::Task;
use swr_core::digest::Algorithm;
use swr_core::registry::Limits;
use swr_core::stream::ByteStream;
use swr_core::testing::sample_images::SampleBlob;
use swr_core::testing::stepping::Plan;
use swr_core::{Error, Registry};
use swr_storage::memory::MemoryBlobs;

use crate::scene::{Scene, broken, chunked, repository};

fn limited(blob_bytes_max: u64) -> Scene {
    Scene::with(|builder| builder.limits(Limits { blob_bytes_max, ..Limits::default() }))
}

#[tokio::test]
async fn an_upload_goes_on_where_it_stands() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    for algorithm in Algorithm::ALL {
        let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
        assert_eq!(ada.append_upload(&to, &id, Some(0), chunked(&["on", "e "])).await.unwrap(), 4);
        assert_eq!(ada.append_upload(&to, &id, None, ByteStream::empty()).await.unwrap(), 4);
        assert_eq!(ada.append_upload(&to, &id, Some(4), chunked(&["two"])).await.unwrap(), 7);
        assert_eq!(ada.find_upload(&to, &id).await.unwrap().offset, 7);
        let blob = SampleBlob::of(algorithm, Bytes::from_static(b"one two"));
        let stored = ada.finish_upload(&to, &id, &blob.digest).await.unwrap();
        assert_eq!((stored.digest, stored.size), (blob.digest, 7));
        assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
    }
    assert_eq!(scene.uploads().await, 0);
}

#[tokio::test]
async fn bytes_that_belong_elsewhere_change_nothing() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &id, Some(0), chunked(&["one"])).await.unwrap();
    for offset in [0, 2, 4, u64::MAX] {
        let error = ada.append_upload(&to, &id, Some(offset), Bytes::from("x").into()).await.unwrap_err();
        assert!(matches!(error, Error::UploadOffset { offset: 3 }), "{offset}: {error:?}");
    }
    let digest = SampleBlob::new("one").digest;
    ada.finish_upload(&to, &id, &digest).await.unwrap();
}

#[tokio::test]
async fn what_came_before_the_line_was_cut_stays() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    let error = ada.append_upload(&to, &id, Some(0), broken(&["half", " and"])).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted(_)), "{error:?}");
    let offset = ada.find_upload(&to, &id).await.unwrap().offset;
    assert_eq!(offset, 8);
    ada.append_upload(&to, &id, Some(offset), chunked(&[" half"])).await.unwrap();
    let blob = SampleBlob::new("half and half");
    ada.finish_upload(&to, &id, &blob.digest).await.unwrap();
    assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
}

#[tokio::test]
async fn a_body_has_the_length_it_declares() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    for declared in [4, 6] {
        let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
        let body = ByteStream::new(chunked(&["12", "345"]).into_chunks(), Some(declared));
        let error = ada.append_upload(&to, &id, Some(0), body).await.unwrap_err();
        assert!(matches!(error, Error::SizeMismatch { declared: said } if said == declared), "{error:?}");
    }
}

#[tokio::test]
async fn content_that_is_not_its_digest_is_gone_with_its_upload() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let said = SampleBlob::new("something else").digest;
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &id, None, chunked(&["content"])).await.unwrap();
    let error = ada.finish_upload(&to, &id, &said).await.unwrap_err();
    let actual = SampleBlob::new("content").digest;
    assert!(matches!(error, Error::DigestMismatch { actual: found } if found == actual), "{error:?}");
    assert!(matches!(ada.find_upload(&to, &id).await, Err(Error::UploadUnknown)));

    let error = ada.push_blob(&to, &said, chunked(&["content"])).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    assert_eq!((scene.uploads().await, scene.contents().await), (0, 0));
    assert!(scene.events().await.is_empty());
}

#[tokio::test]
async fn a_blob_may_have_just_as_many_bytes_as_the_limit() {
    let scene = limited(4);
    scene.push_blob("o/app", &SampleBlob::new("1234")).await;
    let digest = SampleBlob::new("12345").digest;
    let (ada, to) = (scene.ada(), repository("o/app"));

    let declared = ada.push_blob(&to, &digest, Bytes::from("12345").into()).await.unwrap_err();
    assert!(matches!(declared, Error::BlobTooLarge { limit: 4 }), "{declared:?}");
    let streamed = ada.push_blob(&to, &digest, chunked(&["1234", "5"])).await.unwrap_err();
    assert!(matches!(streamed, Error::BlobTooLarge { limit: 4 }), "{streamed:?}");
    assert_eq!(scene.uploads().await, 0);
}

#[tokio::test]
async fn a_blob_is_not_too_large_bit_by_bit_either() {
    let scene = limited(4);
    let (ada, to) = (scene.ada(), repository("o/app"));
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &id, None, chunked(&["123"])).await.unwrap();
    // A length that is declared costs nothing, so the upload may go on with something shorter.
    let error = ada.append_upload(&to, &id, None, Bytes::from("45").into()).await.unwrap_err();
    assert!(matches!(error, Error::BlobTooLarge { limit: 4 }), "{error:?}");
    assert_eq!(ada.append_upload(&to, &id, None, chunked(&["4"])).await.unwrap(), 4);
    let error = ada.append_upload(&to, &id, None, chunked(&["5"])).await.unwrap_err();
    assert!(matches!(error, Error::BlobTooLarge { limit: 4 }), "{error:?}");
    assert!(matches!(ada.find_upload(&to, &id).await, Err(Error::UploadUnknown)));
}

#[tokio::test]
async fn an_upload_is_its_owners_in_its_repository() {
    let scene = Scene::new();
    let to = repository("o/app");
    let id = scene.ada().begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    let digest = SampleBlob::new("").digest;
    let elsewhere = repository("o/other");
    for (access, to) in [(scene.bob(), &to), (scene.stranger(), &to), (scene.ada(), &elsewhere)] {
        let body = || Bytes::from("x").into();
        assert!(matches!(access.find_upload(to, &id).await, Err(Error::UploadUnknown)));
        assert!(matches!(access.append_upload(to, &id, Some(0), body()).await, Err(Error::UploadUnknown)));
        assert!(matches!(access.finish_upload(to, &id, &digest).await, Err(Error::UploadUnknown)));
        assert!(matches!(access.cancel_upload(to, &id).await, Err(Error::UploadUnknown)));
    }
    assert_eq!(scene.ada().find_upload(&to, &id).await.unwrap().offset, 0);
}

#[tokio::test]
async fn a_cancelled_upload_is_unknown_and_leaves_nothing() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &id, None, chunked(&["content"])).await.unwrap();
    ada.cancel_upload(&to, &id).await.unwrap();
    assert!(matches!(ada.find_upload(&to, &id).await, Err(Error::UploadUnknown)));
    assert!(matches!(ada.cancel_upload(&to, &id).await, Err(Error::UploadUnknown)));
    assert_eq!(scene.uploads().await, 0);
}

#[tokio::test]
async fn the_end_of_an_upload_may_be_asked_for_again() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let blob = SampleBlob::new("content");
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &id, None, blob.bytes.clone().into()).await.unwrap();
    let first = ada.finish_upload(&to, &id, &blob.digest).await.unwrap();
    assert_eq!(ada.finish_upload(&to, &id, &blob.digest).await.unwrap(), first);
    assert_eq!(scene.events().await.len(), 1);
    let other = SampleBlob::new("never pushed").digest;
    assert!(matches!(ada.finish_upload(&to, &id, &other).await, Err(Error::UploadUnknown)));

    // Whoever may not read the blob does not learn that it is there.
    scene.rules.deny(crate::scene::user("ada"), swr_core::ports::Action::Pull, "o/app");
    assert!(matches!(ada.finish_upload(&to, &id, &blob.digest).await, Err(Error::UploadUnknown)));
}

#[tokio::test]
async fn whoever_asks_again_may_rely_on_the_answer_as_on_the_first() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let blob = SampleBlob::new("content");
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &id, None, blob.bytes.clone().into()).await.unwrap();
    for _ in 0..3 {
        ada.finish_upload(&to, &id, &blob.digest).await.unwrap();
        scene.pass(TimeDelta::hours(13));
        scene.caretaker().collect().await.unwrap().unwrap();
    }
    assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
}

#[tokio::test]
async fn an_upload_whose_content_was_collected_is_unknown_and_gone() {
    let scene = Scene::new();
    let (ada, to) = (scene.ada(), repository("o/app"));
    let blob = SampleBlob::new("content");
    let id = ada.begin_upload(&to, Algorithm::Sha256).await.unwrap().id;
    ada.append_upload(&to, &id, None, blob.bytes.clone().into()).await.unwrap();
    scene.steps.plan(Plan::Failing("commit"));
    ada.finish_upload(&to, &id, &blob.digest).await.unwrap_err();
    // The sweep lists its content as garbage, and stops before it forgets the upload.
    scene.pass(TimeDelta::hours(25));
    scene.steps.plan(Plan::Failing("forget"));
    let swept = scene.registry.caretaker(Task::UploadSweep).sweep_uploads().await.unwrap().unwrap();
    assert_eq!((swept.forgotten, swept.left), (0, 1));
    scene.steps.plan(Plan::Plain);
    let error = ada.finish_upload(&to, &id, &blob.digest).await.unwrap_err();
    assert!(matches!(error, Error::UploadUnknown), "{error:?}");
    assert_eq!(scene.uploads().await, 0);
}

#[tokio::test]
async fn a_blob_that_was_brought_twice_is_kept_once() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    let first = scene.push_blob("o/app", &blob).await;
    scene.push_blob("o/other", &blob).await;
    scene.pass(TimeDelta::seconds(1));
    scene.caretaker().collect().await.unwrap().unwrap();
    assert_eq!(scene.contents().await, 1);
    let other = scene.ada().stat_blob(&repository("o/other"), &blob.digest).await.unwrap();
    assert_eq!(other.location, first.location);
    assert_eq!(scene.read("o/other", &blob.digest).await.unwrap(), blob.bytes);
}

#[tokio::test]
async fn without_room_an_upload_is_refused_as_that() {
    let scene = Scene::over(MemoryBlobs::with_room(4), |builder| builder);
    let blob = SampleBlob::new("12345");
    let error =
        scene.ada().push_blob(&repository("o/app"), &blob.digest, blob.bytes.into()).await.unwrap_err();
    assert!(matches!(error, Error::StoreFull(_)), "{error:?}");
    assert_eq!(scene.uploads().await, 0);

    scene.steps.plan(Plan::Full("begin"));
    let error = scene.ada().begin_upload(&repository("o/app"), Algorithm::Sha256).await.unwrap_err();
    assert!(matches!(error, Error::StoreFull(_)), "{error:?}");
    assert_eq!(error.code(), None);
}

#[tokio::test]
async fn a_registry_says_whether_it_would_take_a_push() {
    let scene = Scene::over(MemoryBlobs::with_room(4), |builder| builder);
    let registry: &Registry = &scene.registry;
    registry.probe().await.unwrap();
    scene.push_blob("o/app", &SampleBlob::new("1234")).await;
    registry.probe().await.unwrap_err();
}
