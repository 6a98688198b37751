//! Tags, manifests and blobs, away.

use std::sync::Arc;

use swr_core::Error;
use swr_core::event::Event;
use swr_core::registry::Precondition;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};

use crate::pushing::OnlyEdgeMoves;
use crate::scene::{Scene, repository, tag};

#[tokio::test]
async fn a_tag_goes_alone() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("o/app", "v1", &image).await;
    scene.push("o/app", "v2", &image).await;
    scene.ada().remove_tag(&repository("o/app"), &tag("v1"), Precondition::None).await.unwrap();
    assert_eq!(scene.digest_of("o/app", "v1").await, None);
    assert_eq!(scene.digest_of("o/app", "v2").await, Some(image.digest()));
}

#[tokio::test]
async fn a_manifest_takes_its_tags_with_it_and_leaves_its_blobs() {
    let scene = Scene::new();
    let (image, other) = (SampleManifest::image("app"), SampleManifest::image("other"));
    for name in ["v1", "v2"] {
        scene.push("o/app", name, &image).await;
    }
    scene.push("o/app", "v3", &other).await;
    scene.ada().remove_manifest(&repository("o/app"), &image.digest(), Precondition::None).await.unwrap();
    assert_eq!(scene.digest_of("o/app", "v1").await, None);
    assert_eq!(scene.digest_of("o/app", "v2").await, None);
    assert_eq!(scene.digest_of("o/app", "v3").await, Some(other.digest()));
    for blob in image.blobs() {
        assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
    }
    let gone = Event::ManifestRemoved { digest: image.digest(), tags: vec![tag("v1"), tag("v2")] };
    assert_eq!(scene.events().await.last(), Some(&gone));
    // And comes back at once when it is pushed again.
    scene.push("o/app", "v1", &image).await;
    assert_eq!(scene.digest_of("o/app", "v1").await, Some(image.digest()));
}

#[tokio::test]
async fn removing_what_is_not_there_is_asking_for_what_is_not_there() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("o/app", "v1", &image).await;
    let absent = SampleBlob::new("absent").digest;
    for name in ["o/app", "o/none"] {
        let (ada, from) = (scene.ada(), repository(name));
        for precondition in [Precondition::None, Precondition::Exists, Precondition::Is(vec![absent])] {
            let error = ada.remove_tag(&from, &tag("v9"), precondition.clone()).await.unwrap_err();
            assert!(matches!(error, Error::ManifestUnknown { .. }), "{error:?}");
            let error = ada.remove_manifest(&from, &absent, precondition).await.unwrap_err();
            assert!(matches!(error, Error::ManifestUnknown { .. }), "{error:?}");
        }
        let error = ada.unlink_blob(&from, &absent).await.unwrap_err();
        assert!(matches!(error, Error::BlobUnknown { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_removal_has_preconditions_too() {
    let image = SampleManifest::image("app");
    let (here, other) = (image.digest(), SampleBlob::new("other").digest);
    for (precondition, holds) in [
        (Precondition::Exists, true),
        (Precondition::Is(vec![other, here]), true),
        (Precondition::Is(vec![other]), false),
        (Precondition::Absent, false),
    ] {
        let scene = Scene::new();
        let from = repository("o/app");
        scene.push("o/app", "v1", &image).await;
        let by_tag = scene.ada().remove_tag(&from, &tag("v1"), precondition.clone()).await;
        let by_digest = scene.ada().remove_manifest(&from, &here, precondition.clone()).await;
        for removed in [by_tag, by_digest] {
            assert_eq!(removed.is_ok(), holds, "{precondition:?}");
            assert!(matches!(removed, Ok(()) | Err(Error::PreconditionFailed)), "{removed:?}");
        }
    }
}

#[tokio::test]
async fn a_fixed_tag_is_removed_by_no_spelling() {
    let scene = Scene::with(|builder| builder.tag_guard(Arc::new(OnlyEdgeMoves)));
    let image = SampleManifest::image("app");
    for name in ["edge", "v1"] {
        scene.push("o/app", name, &image).await;
    }
    let (ada, from) = (scene.ada(), repository("o/app"));
    let error = ada.remove_tag(&from, &tag("v1"), Precondition::None).await.unwrap_err();
    assert!(matches!(&error, Error::TagImmutable { tag: fixed } if *fixed == tag("v1")), "{error:?}");
    let error = ada.remove_manifest(&from, &image.digest(), Precondition::None).await.unwrap_err();
    assert!(matches!(&error, Error::TagImmutable { tag: fixed } if *fixed == tag("v1")), "{error:?}");
    ada.remove_tag(&from, &tag("edge"), Precondition::None).await.unwrap();
    assert_eq!(scene.digest_of("o/app", "v1").await, Some(image.digest()));

    let movable = SampleManifest::image("movable");
    scene.push("o/app", "edge", &movable).await;
    ada.remove_manifest(&from, &movable.digest(), Precondition::None).await.unwrap();
    assert_eq!(scene.digest_of("o/app", "edge").await, None);
}

#[tokio::test]
async fn a_blob_goes_from_one_repository_only() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/app", &blob).await;
    scene.push_blob("o/other", &blob).await;
    scene.ada().unlink_blob(&repository("o/app"), &blob.digest).await.unwrap();
    assert!(matches!(scene.read("o/app", &blob.digest).await, Err(Error::BlobUnknown { .. })));
    assert_eq!(scene.read("o/other", &blob.digest).await.unwrap(), blob.bytes);
    // And comes back at once when it is pushed again.
    scene.push_blob("o/app", &blob).await;
    assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
}

#[tokio::test]
async fn a_blob_is_not_taken_from_the_manifests_that_name_it() {
    let scene = Scene::new();
    let shared = SampleBlob::new("shared");
    let images =
        [SampleManifest::image("a").with_layer(&shared), SampleManifest::image("b").with_layer(&shared)];
    for image in &images {
        scene.push_untagged("o/app", image).await;
    }
    let (ada, from) = (scene.ada(), repository("o/app"));
    let mut naming: Vec<_> = images.iter().map(SampleManifest::digest).collect();
    naming.sort();
    let error = ada.unlink_blob(&from, &shared.digest).await.unwrap_err();
    let Error::BlobNamed { digest, manifests } = error else { panic!("{error:?}") };
    assert_eq!((digest, manifests), (shared.digest, naming));
    for image in &images {
        ada.remove_manifest(&from, &image.digest(), Precondition::None).await.unwrap();
    }
    ada.unlink_blob(&from, &shared.digest).await.unwrap();
}
