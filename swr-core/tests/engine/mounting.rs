//! Blobs that another repository holds.

use swr_core::Error;
use swr_core::caller::Caller;
use swr_core::error::Need;
use swr_core::ports::{Action, ManifestStore};
use swr_core::registry::Mounted;
use swr_core::testing::sample_images::SampleBlob;

use crate::scene::{Scene, repository, user};

async fn mount(scene: &Scene, digest: &swr_core::digest::Digest, from: Option<&str>) -> Result<bool, Error> {
    let from = from.map(repository);
    let mounted = scene.ada().mount_blob(&repository("o/to"), digest, from.as_ref()).await?;
    match &mounted {
        Mounted::Linked(stored) => assert_eq!(stored.digest, *digest),
        Mounted::NotHere => {}
    }
    Ok(matches!(mounted, Mounted::Linked(_)))
}

#[tokio::test]
async fn a_blob_is_mounted_without_moving_a_byte() {
    for from in [Some("o/from"), None] {
        let scene = Scene::new();
        let blob = SampleBlob::new("content");
        scene.push_blob("o/from", &blob).await;
        assert!(mount(&scene, &blob.digest, from).await.unwrap());
        assert_eq!(scene.read("o/to", &blob.digest).await.unwrap(), blob.bytes);
        assert_eq!((scene.contents().await, scene.uploads().await), (1, 0));
        assert_eq!(scene.events().await.len(), 2);
        // Again, and in the repository that holds it by now.
        assert!(mount(&scene, &blob.digest, from).await.unwrap());
        assert!(mount(&scene, &blob.digest, Some("o/to")).await.unwrap());
        assert_eq!(scene.events().await.len(), 2);
    }
}

#[tokio::test]
async fn what_the_source_lacks_is_not_mounted() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/elsewhere", &blob).await;
    for from in ["o/from", "o/to"] {
        assert!(!mount(&scene, &blob.digest, Some(from)).await.unwrap());
    }
    assert!(!mount(&scene, &SampleBlob::new("never pushed").digest, None).await.unwrap());
    assert!(matches!(scene.read("o/to", &blob.digest).await, Err(Error::BlobUnknown { .. })));
}

#[tokio::test]
async fn a_source_that_the_caller_may_not_read_is_one_without_the_blob() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/secret", &blob).await;
    scene.push_blob("p/hidden", &blob).await;
    scene.rules.deny(user("ada"), Action::Pull, "o/secret");
    scene.rules.hide(user("ada"), "p/hidden");
    for from in [Some("o/secret"), Some("p/hidden"), Some("o/absent"), None] {
        assert!(!mount(&scene, &blob.digest, from).await.unwrap(), "{from:?}");
    }
    // One among them that may be read is enough.
    scene.push_blob("q/open", &blob).await;
    assert!(mount(&scene, &blob.digest, None).await.unwrap());
}

#[tokio::test]
async fn an_authorizer_that_lists_is_believed() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/from", &blob).await;
    scene.rules.list(&["o/absent"]);
    assert!(!mount(&scene, &blob.digest, None).await.unwrap());
    scene.rules.list(&["o/absent", "o/from"]);
    assert!(mount(&scene, &blob.digest, None).await.unwrap());
}

#[tokio::test]
async fn a_quarantined_blob_is_not_mounted() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    let stored = scene.push_blob("o/from", &blob).await;
    scene.manifests.inner().quarantine(&blob.digest, &stored.location).await.unwrap();
    for from in [Some("o/from"), None] {
        assert!(!mount(&scene, &blob.digest, from).await.unwrap());
    }
}

#[tokio::test]
async fn a_stranger_is_asked_to_sign_in_for_both_repositories_at_once() {
    let blob = SampleBlob::new("content");
    let expected = [
        Need { repository: repository("o/to"), actions: vec![Action::Pull, Action::Push] },
        Need { repository: repository("o/from"), actions: vec![Action::Pull] },
    ];
    for (action, denied) in [(Action::Push, "o/to"), (Action::Pull, "o/from")] {
        let scene = Scene::new();
        scene.push_blob("o/from", &blob).await;
        scene.rules.deny(Caller::Anonymous, action, denied);
        let from = repository("o/from");
        let error =
            scene.stranger().mount_blob(&repository("o/to"), &blob.digest, Some(&from)).await.unwrap_err();
        assert!(matches!(&error, Error::Unauthorized { needs } if *needs == expected), "{error:?}");
    }
}
