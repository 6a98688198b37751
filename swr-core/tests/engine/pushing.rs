//! Manifests, in.

use std::sync::Arc;

use async_trait::async_trait;
use swr_core::digest::{Algorithm, Digest};
use swr_core::event::Event;
use swr_core::manifest::ManifestDefect;
use swr_core::media_type::MediaType;
use swr_core::ports::{StoreError, TagGuard, TagMobility};
use swr_core::registry::{Limits, ManifestPush, Precondition};
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::{Error, RepositoryName, Tag};

use crate::scene::{Scene, by_digest, repository, tag, tagged};

/// Every tag but `edge` stays where it is.
#[derive(Debug)]
pub(crate) struct OnlyEdgeMoves;

#[async_trait]
impl TagGuard for OnlyEdgeMoves {
    async fn mobility(&self, _: &RepositoryName, tag: &Tag) -> Result<TagMobility, StoreError> {
        Ok(if tag.as_str() == "edge" { TagMobility::Movable } else { TagMobility::Fixed })
    }
}

#[tokio::test]
async fn a_push_is_one_step_with_all_its_tags() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push_blobs("o/app", &image).await;
    let push = ManifestPush { tags: vec![tag("b"), tag("a"), tag("b")], ..tagged("a", &image) };

    let pushed = scene.ada().push_manifest(&repository("o/app"), push).await.unwrap();

    assert_eq!(pushed.digest, image.digest());
    assert_eq!(pushed.size, image.bytes().len() as u64);
    assert_eq!(pushed.tags, [tag("a"), tag("b")]);
    let digest = image.digest();
    let events = scene.events().await;
    assert!(
        matches!(
            events[..],
            [
                Event::BlobLinked { .. },
                Event::BlobLinked { .. },
                Event::RepositoryCreated,
                Event::ManifestPushed { .. },
                Event::TagSet { .. },
                Event::TagSet { .. },
            ]
        ),
        "{events:?}"
    );
    assert_eq!(events[5], Event::TagSet { tag: tag("b"), digest, previous: None });
}

#[tokio::test]
async fn a_manifest_comes_back_byte_for_byte() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("o/app", "v1", &image).await;
    for reference in [tag("v1").into(), image.digest().into()] {
        let pulled = scene.ada().pull_manifest(&repository("o/app"), &reference).await.unwrap();
        assert_eq!(pulled.bytes.unwrap(), image.bytes());
        assert_eq!((pulled.digest, pulled.media_type), (image.digest(), image.media_type()));
    }
}

#[tokio::test]
async fn a_tag_remembers_the_algorithm_it_was_pushed_under() {
    let scene = Scene::new();
    let image = SampleManifest::image("app").under(Algorithm::Sha512);
    scene.push_blobs("o/app", &image).await;
    let push = ManifestPush { tags: vec![tag("v1")], ..by_digest(&image) };
    scene.ada().push_manifest(&repository("o/app"), push).await.unwrap();
    assert_eq!(scene.digest_of("o/app", "v1").await, Some(Algorithm::Sha512.digest(&image.bytes())));
}

#[tokio::test]
async fn all_that_is_missing_is_named_and_nothing_is_changed() {
    let scene = Scene::new();
    let image = SampleManifest::image("app").with_layer(&SampleBlob::new("another"));
    let blobs: Vec<_> = image.blobs().cloned().collect();
    scene.push_blob("o/app", &blobs[1]).await;
    // Another repository's blob is as good as none.
    scene.push_blob("o/other", &blobs[0]).await;

    let error = scene.ada().push_manifest(&repository("o/app"), tagged("v1", &image)).await.unwrap_err();

    let Error::ManifestBlobUnknown(missing) = error else { panic!("{error:?}") };
    assert_eq!(missing, [blobs[0].digest, blobs[2].digest]);
    assert_eq!(scene.digest_of("o/app", "v1").await, None);
    assert_eq!(scene.events().await.len(), 2);
}

#[tokio::test]
async fn the_children_of_an_index_must_be_there() {
    let scene = Scene::new();
    let (here, missing) = (SampleManifest::image("here"), SampleManifest::image("missing"));
    scene.push_untagged("o/app", &here).await;
    let index = SampleManifest::index(&[&here, &missing]);
    let error = scene.ada().push_manifest(&repository("o/app"), tagged("v1", &index)).await.unwrap_err();
    assert!(
        matches!(&error, Error::ManifestBlobUnknown(digests) if *digests == [missing.digest()]),
        "{error:?}"
    );

    scene.push_untagged("o/app", &missing).await;
    scene.ada().push_manifest(&repository("o/app"), tagged("v1", &index)).await.unwrap();
}

#[tokio::test]
async fn a_registry_of_sparse_manifests_misses_nothing() {
    let scene = Scene::with(|builder| builder.sparse_manifests(true));
    let image = SampleManifest::image("app");
    scene.ada().push_manifest(&repository("o/app"), tagged("v1", &image)).await.unwrap();
    let index = SampleManifest::index(&[&SampleManifest::image("elsewhere")]);
    scene.ada().push_manifest(&repository("o/app"), tagged("v2", &index)).await.unwrap();
}

#[tokio::test]
async fn layers_that_may_not_be_distributed_are_not_missed() {
    let scene = Scene::new();
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let image = SampleManifest::image("app");
    scene.push_blobs("o/app", &image).await;
    let image = image.with_layer_of(foreign, &SampleBlob::new("never pushed"));
    scene.ada().push_manifest(&repository("o/app"), tagged("v1", &image)).await.unwrap();
}

#[tokio::test]
async fn a_subject_is_told_back_present_or_not() {
    let scene = Scene::new();
    let subject = SampleManifest::image("never pushed");
    let signature = SampleManifest::artifact("application/signature", "s").referring_to(&subject);
    assert_eq!(scene.push_untagged("o/app", &signature).await.subject, Some(subject.digest()));
}

#[tokio::test]
async fn a_false_digest_is_that_whatever_the_bytes_look_like() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    for (bytes, what) in
        [([image.bytes(), "  ".into()].concat(), "two spaces more"), (b"no manifest".to_vec(), "no manifest")]
    {
        let actual = Algorithm::Sha256.digest(&bytes);
        let push = ManifestPush { bytes: bytes.into(), ..by_digest(&image) };
        let error = scene.ada().push_manifest(&repository("o/app"), push).await.unwrap_err();
        assert!(
            matches!(error, Error::DigestMismatch { actual: found } if found == actual),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_manifest_may_have_just_as_many_bytes_as_the_limit() {
    let image = SampleManifest::image("app");
    let exact = Limits { manifest_bytes_max: image.bytes().len(), ..Limits::default() };
    let scene = Scene::with(|builder| builder.limits(exact));
    scene.push("o/app", "v1", &image).await;

    let larger = image.annotated("a", "b");
    let error = scene.ada().push_manifest(&repository("o/app"), tagged("v2", &larger)).await.unwrap_err();
    assert!(matches!(error, Error::ManifestTooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn more_tags_than_the_limit_are_refused_before_anything_else() {
    let scene = Scene::with(|builder| builder.limits(Limits { tags_per_push_max: 0, ..Limits::default() }));
    let image = SampleManifest::image("app");
    scene.push_blobs("o/app", &image).await;
    let tags = |count: usize| (0..count).map(|number| tag(&format!("v{number}"))).collect();
    let push = ManifestPush { tags: tags(11), ..by_digest(&image) };
    let error = scene.ada().push_manifest(&repository("o/app"), push).await.unwrap_err();
    assert!(matches!(error, Error::TooManyTags { limit: 10 }), "{error:?}");
    // Ten is what the specification asks for, whatever a host says.
    let push = ManifestPush { tags: tags(10), ..by_digest(&image) };
    scene.ada().push_manifest(&repository("o/app"), push).await.unwrap();
}

#[tokio::test]
async fn the_newest_push_wins_a_tag() {
    let scene = Scene::new();
    let (old, new) = (SampleManifest::image("old"), SampleManifest::image("new"));
    scene.push("o/app", "v1", &old).await;
    scene.push("o/app", "v1", &new).await;
    assert_eq!(scene.digest_of("o/app", "v1").await, Some(new.digest()));
    let moved = Event::TagSet { tag: tag("v1"), digest: new.digest(), previous: Some(old.digest()) };
    assert_eq!(scene.events().await.last(), Some(&moved));
}

#[tokio::test]
async fn pushing_the_same_again_is_no_event_but_moves_the_update_time() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("o/app", "v1", &image).await;
    let before = (scene.events().await, updated(&scene, "v1").await);
    scene.pass(chrono::TimeDelta::hours(1));
    scene.push("o/app", "v1", &image).await;
    assert_eq!(scene.events().await, before.0);
    assert_eq!(updated(&scene, "v1").await - before.1, chrono::TimeDelta::hours(1));
}

async fn updated(scene: &Scene, of: &str) -> chrono::DateTime<chrono::Utc> {
    let listed = scene.ada().tags(&repository("o/app"), &crate::scene::page(None, 100)).await.unwrap();
    listed.entries.into_iter().find(|record| record.tag == tag(of)).unwrap().updated
}

#[tokio::test]
async fn a_fixed_tag_is_set_once_and_may_be_set_to_the_same_again() {
    let scene = Scene::with(|builder| builder.tag_guard(Arc::new(OnlyEdgeMoves)));
    let (one, other) = (SampleManifest::image("one"), SampleManifest::image("other"));
    scene.push("o/app", "v1", &one).await;
    scene.push("o/app", "v1", &one).await;
    scene.push("o/app", "edge", &one).await;
    scene.push("o/app", "edge", &other).await;

    let push = ManifestPush { tags: vec![tag("edge"), tag("v1")], ..by_digest(&other) };
    let error = scene.ada().push_manifest(&repository("o/app"), push).await.unwrap_err();
    assert!(matches!(&error, Error::TagImmutable { tag: fixed } if *fixed == tag("v1")), "{error:?}");
    assert_eq!(scene.digest_of("o/app", "v1").await, Some(one.digest()));
}

#[tokio::test]
async fn a_push_that_would_be_refused_is_refused_before_its_content_comes() {
    let scene = Scene::with(|builder| builder.tag_guard(Arc::new(OnlyEdgeMoves)));
    let (one, other) = (SampleManifest::image("one"), SampleManifest::image("other"));
    scene.push("o/app", "v1", &one).await;
    scene.rules.deny(crate::scene::user("bob"), swr_core::ports::Action::Push, "o/app");
    let before = scene.events().await;

    let (repository, ada) = (repository("o/app"), scene.ada());
    for (tags, digest) in [
        (vec![tag("v1")], one.digest()),
        (vec![tag("v2"), tag("edge")], other.digest()),
        (vec![], other.digest()),
    ] {
        ada.admit_push(&repository, &tags, &digest).await.unwrap();
    }
    let error = ada.admit_push(&repository, &[tag("edge"), tag("v1")], &other.digest()).await.unwrap_err();
    assert!(matches!(&error, Error::TagImmutable { tag: fixed } if *fixed == tag("v1")), "{error:?}");
    let error = scene.bob().admit_push(&repository, &[tag("v2")], &other.digest()).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error:?}");
    assert_eq!(scene.events().await, before);
}

#[tokio::test]
async fn preconditions_on_a_tag_hold_or_nothing_happens() {
    let one = SampleManifest::image("one");
    let (was, other) = (one.digest(), SampleManifest::image("other").digest());
    let is = |digests: &[Digest]| Precondition::Is(digests.to_vec());
    for (set, precondition, holds) in [
        (true, Precondition::Exists, true),
        (false, Precondition::Exists, false),
        (true, Precondition::Absent, false),
        (false, Precondition::Absent, true),
        (true, is(&[was]), true),
        (true, is(&[other, was]), true),
        (true, is(&[other]), false),
        (true, is(&[]), false),
        (false, is(&[was]), false),
    ] {
        let scene = Scene::new();
        if set {
            scene.push("o/app", "v1", &one).await;
        }
        let new = SampleManifest::image("new");
        scene.push_blobs("o/app", &new).await;
        let push = ManifestPush { precondition: precondition.clone(), ..tagged("v1", &new) };
        let pushed = scene.ada().push_manifest(&repository("o/app"), push).await;
        let expected = match (holds, set) {
            (true, _) => Some(new.digest()),
            (false, true) => Some(was),
            (false, false) => None,
        };
        assert_eq!(scene.digest_of("o/app", "v1").await, expected, "{precondition:?}");
        match pushed {
            Ok(_) => assert!(holds, "{precondition:?}"),
            Err(error) => assert!(!holds && matches!(error, Error::PreconditionFailed), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn preconditions_on_a_digest_ask_whether_it_is_there() {
    let image = SampleManifest::image("app");
    let digest = image.digest();
    for (there, precondition, holds) in [
        (true, Precondition::Exists, true),
        (false, Precondition::Exists, false),
        (true, Precondition::Absent, false),
        (false, Precondition::Absent, true),
        (true, Precondition::Is(vec![digest]), true),
        (false, Precondition::Is(vec![digest]), false),
        (true, Precondition::Is(vec![]), false),
    ] {
        let scene = Scene::new();
        scene.push_blobs("o/app", &image).await;
        if there {
            scene.push_untagged("o/app", &image).await;
        }
        let push = ManifestPush { precondition: precondition.clone(), ..by_digest(&image) };
        let pushed = scene.ada().push_manifest(&repository("o/app"), push).await;
        assert_eq!(pushed.is_ok(), holds, "{there} {precondition:?}");
        assert!(matches!(pushed, Ok(_) | Err(Error::PreconditionFailed)), "{pushed:?}");
    }
}

#[tokio::test]
async fn what_a_manifest_is_pushed_as_must_be_what_it_says_it_is() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push_blobs("o/app", &image).await;
    let index = MediaType::parse(MediaType::OCI_INDEX).unwrap();
    let push = ManifestPush { media_type: Some(index), ..tagged("v1", &image) };
    let error = scene.ada().push_manifest(&repository("o/app"), push).await.unwrap_err();
    assert!(matches!(error, Error::ManifestInvalid(ManifestDefect::TypesDiffer { .. })), "{error:?}");
    let push = ManifestPush { media_type: None, ..tagged("v1", &image) };
    scene.ada().push_manifest(&repository("o/app"), push).await.unwrap();
}
