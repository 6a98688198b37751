//! Which repository holds which blob, and where its content is.

use std::slice;

use super::*;
use crate::testing::sample_images::SampleBlob;

/// That another repository holds it says nothing.
pub async fn a_blob_is_seen_only_where_it_was_linked(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    other.commit(minute(1), [Change::CreateRepository]).await;
    assert!(lib.blob(&blob.digest).await.is_some());
    assert_eq!(other.blob(&blob.digest).await, None);
}

/// With its size, its place, and when it was linked; a mount sees the same place.
pub async fn a_blob_is_where_it_was_brought(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let stored = SampleBlob::new("a layer").stored_at("here/it is");
    lib.commit(minute(1), [Change::LinkStored(stored.clone())]).await;
    other.commit(minute(2), [Change::LinkExisting(stored.digest)]).await;
    let seen = lib.blob(&stored.digest).await;
    assert_eq!(seen, Some(LinkedBlob { stored: stored.clone(), renewed: minute(1) }));
    let seen = other.blob(&stored.digest).await;
    assert_eq!(seen, Some(LinkedBlob { stored, renewed: minute(2) }));
}

/// Whoever else holds it still does.
pub async fn unlinking_hides_a_blob_here_and_nowhere_else(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    for scene in [&lib, &other] {
        scene.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    }
    let events = lib.commit(minute(2), [Change::UnlinkBlob(blob.digest)]).await;
    assert_eq!(events, [Event::BlobUnlinked { digest: blob.digest }]);
    assert_eq!(lib.blob(&blob.digest).await, None);
    assert!(other.blob(&blob.digest).await.is_some());
    assert_eq!(garbage(store).await, []);
}

/// By a push as by a mount, in this repository alone, and never to an earlier time: a commit may have been held up.
pub async fn linking_again_renews_the_link(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    let link = Change::LinkStored(blob.stored_at("here"));
    for scene in [&lib, &other] {
        scene.commit(minute(1), [link.clone()]).await;
    }
    assert_eq!(lib.commit(minute(2), [Change::LinkExisting(blob.digest)]).await, []);
    assert_eq!(lib.blob(&blob.digest).await.unwrap().renewed, minute(2));
    assert_eq!(lib.commit(minute(3), [link.clone()]).await, []);
    assert_eq!(lib.blob(&blob.digest).await.unwrap().renewed, minute(3));
    for late in [link, Change::LinkExisting(blob.digest)] {
        assert_eq!(lib.commit(minute(2), [late]).await, []);
        assert_eq!(lib.blob(&blob.digest).await.unwrap().renewed, minute(3));
    }
    assert_eq!(other.blob(&blob.digest).await.unwrap().renewed, minute(1));
}

/// There are no bytes to link.
pub async fn linking_what_nobody_has_is_refused(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let absent = SampleBlob::new("absent").digest;
    assert_eq!(gone(lib.attempt(minute(1), [], [Change::LinkExisting(absent)]).await), absent);
    assert_eq!(lib.id().await, None);
}

/// The same upload committed twice, because its first answer was lost: also from another repository, also when
/// it was unlinked in between.
pub async fn a_retry_of_a_link_is_quiet(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    let link = Change::LinkStored(blob.stored_at("here"));
    let linked = [Event::BlobLinked { digest: blob.digest }];
    assert_eq!(lib.commit(minute(1), [link.clone()]).await, linked);
    assert_eq!(lib.commit(minute(2), [link.clone()]).await, []);
    assert_eq!(other.commit(minute(2), [link.clone()]).await, linked);
    lib.commit(minute(3), [Change::UnlinkBlob(blob.digest)]).await;
    assert_eq!(lib.commit(minute(4), [link]).await, linked);
    assert_eq!(lib.blob(&blob.digest).await.unwrap().stored, blob.stored_at("here"));
    assert_eq!(garbage(store).await, []);
}

/// The second place is garbage, and the link is as good as the first.
pub async fn content_brought_twice_stays_at_its_first_place(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("first"))]).await;
    let linked = [Event::BlobLinked { digest: blob.digest }];
    assert_eq!(other.commit(minute(2), [Change::LinkStored(blob.stored_at("second"))]).await, linked);
    for scene in [&lib, &other] {
        assert_eq!(scene.blob(&blob.digest).await.unwrap().stored, blob.stored_at("first"));
    }
    assert_eq!(garbage(store).await, [location("second")]);
}

/// It may be deleted at any moment.
pub async fn content_at_a_listed_location_cannot_be_linked(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let stored = SampleBlob::new("a layer").stored_at("here");
    assert!(store.discard_stray(&stored, minute(1), &fence).await.unwrap());
    let link = [Change::LinkStored(stored.clone())];
    assert_eq!(gone(lib.attempt(minute(2), [], link).await), stored.digest);
    assert_eq!(lib.id().await, None);
    assert_eq!(garbage(store).await, [stored.location]);
}

/// It has been deleted.
pub async fn content_at_a_spent_location_cannot_be_linked(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let stored = SampleBlob::new("a layer").stored_at("here");
    assert!(store.discard_stray(&stored, minute(1), &fence).await.unwrap());
    store.forget_garbage(slice::from_ref(&stored.location), minute(2), &fence).await.unwrap();
    let link = [Change::LinkStored(stored.clone())];
    assert_eq!(gone(lib.attempt(minute(3), [], link).await), stored.digest);
    assert_eq!(lib.blob(&stored.digest).await, None);
}

/// Its time as garbage does not start again, and what was deleted is not listed for deletion again.
pub async fn another_place_for_live_content_is_listed_once(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let blob = SampleBlob::new("a layer");
    let link = [Change::LinkStored(blob.stored_at("second"))];
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("first"))]).await;
    lib.commit(minute(2), link.clone()).await;
    lib.commit(minute(9), link.clone()).await;
    assert_eq!(store.garbage(minute(3), &page(None, 9)).await.unwrap(), [location("second")]);
    store.forget_garbage(&[location("second")], minute(10), &fence).await.unwrap();
    lib.commit(minute(11), link).await;
    assert_eq!(garbage(store).await, []);
    assert_eq!(lib.blob(&blob.digest).await.unwrap().stored, blob.stored_at("first"));
}

/// To readers, to mounts and to requirements, wherever it is linked.
pub async fn quarantined_content_is_unknown_everywhere(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    for scene in [&lib, &other] {
        scene.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    }
    store.quarantine(&blob.digest, &location("here")).await.unwrap();
    for scene in [&lib, &other] {
        assert_eq!(scene.blob(&blob.digest).await, None);
    }
    assert_eq!(store.holders(&blob.digest, &lib.name, limit(9)).await.unwrap(), []);
    assert_eq!(gone(lib.attempt(minute(2), [], [Change::LinkExisting(blob.digest)]).await), blob.digest);
    let requires = [
        Require::BlobLinked(blob.digest),
        Require::BlobLinkedIn { repository: other.name.clone(), digest: blob.digest },
    ];
    assert_eq!(unmet(lib.attempt(minute(2), requires.clone(), []).await), requires);
    assert_eq!(garbage(store).await, []);
}

/// A verdict on a place where the content is no longer, or never was.
pub async fn quarantine_elsewhere_changes_nothing(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (blob, absent) = (SampleBlob::new("a layer"), SampleBlob::new("absent"));
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    store.quarantine(&blob.digest, &location("elsewhere")).await.unwrap();
    store.quarantine(&absent.digest, &location("here")).await.unwrap();
    assert!(lib.blob(&blob.digest).await.is_some());
    assert_eq!(lib.blob(&absent.digest).await, None);
}

/// For everyone who holds it; the broken bytes are garbage. Who had the link has it still, so that is no event.
pub async fn a_push_heals_quarantined_content(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    for scene in [&lib, &other] {
        scene.commit(minute(1), [Change::LinkStored(blob.stored_at("broken"))]).await;
    }
    store.quarantine(&blob.digest, &location("broken")).await.unwrap();
    assert_eq!(lib.commit(minute(2), [Change::LinkStored(blob.stored_at("whole"))]).await, []);
    for scene in [&lib, &other] {
        assert_eq!(scene.blob(&blob.digest).await.unwrap().stored, blob.stored_at("whole"));
    }
    assert_eq!(garbage(store).await, [location("broken")]);

    // A late verdict on the broken place says nothing of the whole one.
    store.quarantine(&blob.digest, &location("broken")).await.unwrap();
    assert!(lib.blob(&blob.digest).await.is_some());
}

/// A second upload that was listed as garbage while the content was live may be deleted already.
pub async fn healing_takes_bytes_that_are_still_there(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let blob = SampleBlob::new("a layer");
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("first"))]).await;
    lib.commit(minute(2), [Change::LinkStored(blob.stored_at("second"))]).await;
    store.quarantine(&blob.digest, &location("first")).await.unwrap();
    let retry = [Change::LinkStored(blob.stored_at("second"))];
    assert_eq!(gone(lib.attempt(minute(3), [], retry).await), blob.digest);
    assert_eq!(lib.blob(&blob.digest).await, None);
    lib.commit(minute(4), [Change::LinkStored(blob.stored_at("third"))]).await;
    assert_eq!(lib.blob(&blob.digest).await.unwrap().stored, blob.stored_at("third"));
    assert_eq!(garbage(store).await, [location("first"), location("second")]);
}

/// The very bytes that were found broken do not become whole by being named again.
pub async fn a_retry_does_not_heal(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    let link = [Change::LinkStored(blob.stored_at("broken"))];
    lib.commit(minute(1), link.clone()).await;
    store.quarantine(&blob.digest, &location("broken")).await.unwrap();
    assert_eq!(lib.commit(minute(2), link.clone()).await, []);
    assert_eq!(other.commit(minute(2), link).await, [Event::BlobLinked { digest: blob.digest }]);
    assert_eq!(lib.blob(&blob.digest).await, None);
    assert_eq!(other.blob(&blob.digest).await, None);
    assert_eq!(garbage(store).await, []);
}
