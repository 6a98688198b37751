//! What nobody needs: released, discarded, deleted, forgotten.

use std::slice;

use super::*;
use crate::caller::Task;
use crate::ports::{Released, Unused};
use crate::testing::sample_images::SampleBlob;

/// At `at`, everything that was unused before `before` is unused for long enough.
fn unused_before(before: DateTime<Utc>, at: DateTime<Utc>) -> Unused {
    Unused { manifests_before: Some(before), links_before: before, at }
}

/// Releases until there is nothing left to release, and says how much it was.
async fn release_all(store: &dyn ManifestStore, unused: &Unused, fence: &Fence) -> Released {
    let mut all = Released::default();
    loop {
        let released = store.release_unused(unused, fence, limit(100)).await.unwrap();
        if released.is_nothing() {
            return all;
        }
        all.manifests += released.manifests;
        all.links += released.links;
        all.repositories += released.repositories;
    }
}

/// Strictly before the time that is given; what is used stays, and so does what nothing ever held. Recorded as
/// the registry's own doing.
pub async fn manifests_unused_for_long_enough_are_released(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let old = lib.push(minute(1), &SampleManifest::image("old"), &["latest"]).await;
    let middle = lib.push(minute(10), &SampleManifest::image("middle"), &["latest"]).await;
    let new = lib.push(minute(20), &SampleManifest::image("new"), &["latest"]).await;
    let never_held = lib.push(minute(1), &SampleManifest::image("never held"), &[]).await;
    let recorded_before = log(store).await.len();

    let unused = Unused { links_before: minute(0), ..unused_before(minute(10), minute(30)) };
    assert!(store.release_unused(&unused, &fence, limit(9)).await.unwrap().is_nothing());
    let unused = Unused { links_before: minute(0), ..unused_before(minute(11), minute(31)) };
    let released = store.release_unused(&unused, &fence, limit(9)).await.unwrap();
    assert_eq!(released, Released { manifests: 1, links: 0, repositories: 0 });

    assert_eq!(lib.manifest(old).await, None);
    assert_eq!(lib.unused_since(middle).await, Some(Some(minute(20))));
    for stays in [new, never_held] {
        assert_eq!(lib.unused_since(stays).await, Some(None));
    }
    let log = log(store).await;
    assert_eq!(log.len(), recorded_before + 1);
    let expected = RecordedEvent {
        seq: log[recorded_before].seq,
        repository: lib.name.clone(),
        actor: Actor::Caretaker(Task::Collection),
        origin: Origin { channel: Channel::System, ..Origin::default() },
        at: minute(31),
        event: Event::ManifestRemoved { digest: old, tags: vec![] },
    };
    assert_eq!(log[recorded_before], expected);
}

/// A host may say that manifests never go; links that none of them needs go all the same.
pub async fn manifests_can_be_kept_for_good(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let image = SampleManifest::image("a");
    let digest = lib.push(minute(1), &image, &["v1"]).await;
    let unneeded = SampleBlob::new("unneeded");
    lib.commit(minute(1), [Change::LinkStored(unneeded.stored_at("here"))]).await;
    lib.commit(minute(2), [Change::RemoveTag(tag("v1"))]).await;
    let unused = Unused { manifests_before: None, ..unused_before(minute(1000), minute(1000)) };
    let released = release_all(store, &unused, &fence).await;
    assert_eq!(released, Released { manifests: 0, links: 1, repositories: 0 });
    assert_eq!(lib.unused_since(digest).await, Some(Some(minute(2))));
    for blob in image.blobs() {
        assert!(lib.blob(&blob.digest).await.is_some());
    }
}

/// Children and referrers wait their own time after what held them went.
pub async fn what_a_released_index_held_starts_its_time(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let image = SampleManifest::image("a");
    let index = SampleManifest::index(&[&image]);
    let signature = SampleManifest::artifact("application/vnd.example", "a").referring_to(&index);
    lib.push(minute(1), &image, &[]).await;
    lib.push(minute(1), &index, &["v1"]).await;
    lib.push(minute(1), &signature, &[]).await;
    lib.commit(minute(2), [Change::RemoveTag(tag("v1"))]).await;

    let released = release_all(store, &unused_before(minute(10), minute(20)), &fence).await;
    assert_eq!(released.manifests, 1);
    for held in [&image, &signature] {
        assert_eq!(lib.unused_since(held.digest()).await, Some(Some(minute(20))));
    }
    let released = release_all(store, &unused_before(minute(21), minute(30)), &fence).await;
    assert_eq!(released.manifests, 2);
    assert_eq!(released.links, 4);
    assert!(lib.is_listed().await);
}

/// Strictly before the time that is given, and only where no manifest of the same repository names the blob.
pub async fn links_that_no_manifest_needs_are_released(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let fence = fence(store).await;
    let (old, new, renewed) = (SampleBlob::new("old"), SampleBlob::new("new"), SampleBlob::new("renewed"));
    let foreign = SampleBlob::new("a foreign layer");
    let image = SampleManifest::image("a")
        .with_layer_of("application/vnd.oci.image.layer.nondistributable.v1.tar", &foreign);
    lib.push(minute(1), &image, &["v1"]).await;
    for scene in [&lib, &other] {
        scene.commit(minute(1), [Change::CreateRepository]).await;
        for blob in [&old, &renewed] {
            scene.commit(minute(1), [Change::LinkStored(blob.stored_at(&blob.digest.hex()))]).await;
        }
        scene.commit(minute(10), [Change::LinkStored(new.stored_at("new"))]).await;
        scene.commit(minute(11), [Change::LinkExisting(renewed.digest)]).await;
    }
    // The other repository holds the blobs of the image, and not the image.
    for blob in image.blobs() {
        other.commit(minute(1), [Change::LinkExisting(blob.digest)]).await;
    }

    let recorded_before = log(store).await.len();
    let released = release_all(store, &unused_before(minute(10), minute(20)), &fence).await;
    assert_eq!(released, Released { manifests: 0, links: 5, repositories: 0 });
    for scene in [&lib, &other] {
        assert_eq!(scene.blob(&old.digest).await, None);
        assert!(scene.blob(&new.digest).await.is_some());
        assert!(scene.blob(&renewed.digest).await.is_some());
    }
    for blob in image.blobs() {
        assert!(lib.blob(&blob.digest).await.is_some());
        assert_eq!(other.blob(&blob.digest).await, None);
    }
    let log = log(store).await;
    for recorded in &log[recorded_before..] {
        assert!(matches!(recorded.event, Event::BlobUnlinked { .. }));
        assert_eq!(recorded.actor, Actor::Caretaker(Task::Collection));
        assert_eq!(recorded.at, minute(20));
    }
    assert_eq!(log.len(), recorded_before + 5);
}

/// What a push that was never finished leaves. One that is young stays, and so does one that holds something, or
/// is listed.
pub async fn hidden_repositories_without_content_are_released(store: &dyn ManifestStore) {
    let fence = fence(store).await;
    let blob = SampleBlob::new("a layer");
    let image = SampleManifest::image("a");
    let scene = |name| Scene::new(store, name);
    for (name, at) in [("lib/old", 1), ("lib/young", 10), ("lib/linked", 1)] {
        scene(name).commit(minute(at), [Change::LinkStored(blob.stored_at("here"))]).await;
    }
    scene("lib/young").commit(minute(11), [Change::UnlinkBlob(blob.digest)]).await;
    scene("lib/linked").commit(minute(11), [Change::LinkExisting(blob.digest)]).await;
    scene("lib/listed").commit(minute(1), [Change::CreateRepository]).await;
    scene("lib/manifest").commit(minute(1), [Change::PutManifest(image.record())]).await;

    let released = release_all(store, &unused_before(minute(10), minute(20)), &fence).await;
    assert_eq!(released, Released { manifests: 0, links: 1, repositories: 1 });
    assert_eq!(scene("lib/old").id().await, None);
    for name in ["lib/young", "lib/linked", "lib/listed", "lib/manifest"] {
        assert!(scene(name).id().await.is_some(), "{name}");
    }
    let log = log(store).await;
    assert_eq!(log.last().unwrap().event, Event::BlobUnlinked { digest: blob.digest });
}

/// Whatever the age of what they held; nothing of it is recorded, and its content is free to go.
pub async fn removed_repositories_are_emptied_at_once(store: &dyn ManifestStore) {
    let (lib, hidden) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/hidden"));
    let fence = fence(store).await;
    let image = SampleManifest::image("a");
    let index = SampleManifest::index(&[&image]);
    lib.push(minute(100), &image, &["v1"]).await;
    lib.push(minute(100), &index, &["v2"]).await;
    hidden.commit(minute(100), [Change::LinkStored(SampleBlob::new("a layer").stored_at("here"))]).await;
    for scene in [&lib, &hidden] {
        scene.commit(minute(101), [Change::RemoveRepository]).await;
    }
    let recorded_before = log(store).await;
    let unused = Unused { manifests_before: None, ..unused_before(minute(0), minute(102)) };
    let released = release_all(store, &unused, &fence).await;
    assert_eq!(released, Released { manifests: 2, links: 3, repositories: 2 });
    assert_eq!(log(store).await, recorded_before);
    assert_eq!(store.discard_unlinked(minute(101), minute(102), &fence, limit(9)).await.unwrap(), 3);
}

/// What was made under the same name meanwhile holds the same digests, and keeps them.
pub async fn emptying_a_removed_repository_spares_its_successor(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let image = SampleManifest::image("a");
    let signature = SampleManifest::artifact("application/vnd.example", "a").referring_to(&image);
    for round in [1, 3] {
        lib.push(minute(round), &image, &["v1"]).await;
        lib.push(minute(round), &signature, &[]).await;
        if round == 1 {
            lib.commit(minute(2), [Change::RemoveRepository]).await;
        }
    }
    release_all(store, &unused_before(minute(0), minute(4)), &fence).await;
    assert_eq!(store.discard_unlinked(minute(99), minute(99), &fence, limit(9)).await.unwrap(), 0);
    assert_eq!(lib.tag("v1").await, Some(image.digest()));
    assert_eq!(lib.tags().await.unwrap(), ["v1"]);
    assert_eq!(lib.referrers(&image.digest()).await, [signature.digest()]);
    for blob in image.blobs().chain(signature.blobs()) {
        assert!(lib.blob(&blob.digest).await.is_some());
    }
}

/// No count is greater than the limit, and going on comes to the same end as doing all at once.
pub async fn a_release_is_bounded(store: &dyn ManifestStore) {
    let fence = fence(store).await;
    for number in 0..3 {
        let lib = Scene::new(store, &format!("lib/{number}"));
        let digest = lib.push(minute(1), &SampleManifest::image(&format!("{number}")), &["v1"]).await;
        let other = SampleManifest::image(&format!("{number} again"));
        lib.push(minute(2), &other, &["v1"]).await;
        assert_eq!(lib.unused_since(digest).await, Some(Some(minute(2))));
        let hidden = Scene::new(store, &format!("hidden/{number}"));
        let removed = Scene::new(store, &format!("removed/{number}"));
        for scene in [&hidden, &removed] {
            let blob = SampleBlob::new("a layer");
            scene.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
        }
        removed.push(minute(1), &other, &["v1"]).await;
        removed.commit(minute(2), [Change::RemoveRepository]).await;
    }
    let mut all = Released::default();
    loop {
        let unused = unused_before(minute(10), minute(10));
        let released = store.release_unused(&unused, &fence, limit(2)).await.unwrap();
        assert!(released.manifests <= 2 && released.links <= 2 && released.repositories <= 2, "{released:?}");
        if released.is_nothing() {
            break;
        }
        all.manifests += released.manifests;
        all.links += released.links;
        all.repositories += released.repositories;
    }
    // Of each round: an old manifest and one of the removed repository; two blobs of the old manifest, one of
    // the hidden repository, three of the removed one; both of these repositories.
    assert_eq!(all, Released { manifests: 6, links: 18, repositories: 6 });
    assert_eq!(store.repositories(&page(None, 9)).await.unwrap().len(), 3);
}

/// Whoever lost it, or never had it, releases nothing.
pub async fn releasing_needs_the_lease(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    lib.commit(minute(1), [Change::LinkStored(SampleBlob::new("a layer").stored_at("here"))]).await;
    let fence = stale_fence(store).await;
    let unused = unused_before(minute(10), minute(10));
    assert_fenced(store.release_unused(&unused, &fence, limit(9)).await);
    assert!(lib.blob(&SampleBlob::new("a layer").digest).await.is_some());
}

/// Its location is garbage from then on.
pub async fn content_without_a_link_is_discarded(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let (unlinked, linked) = (SampleBlob::new("unlinked"), SampleBlob::new("linked"));
    lib.commit(minute(1), [Change::LinkStored(unlinked.stored_at("unlinked"))]).await;
    lib.commit(minute(1), [Change::LinkStored(linked.stored_at("linked"))]).await;
    lib.commit(minute(2), [Change::UnlinkBlob(unlinked.digest)]).await;
    assert_eq!(store.discard_unlinked(minute(10), minute(20), &fence, limit(9)).await.unwrap(), 1);
    assert_eq!(garbage(store).await, [location("unlinked")]);
    assert!(lib.blob(&linked.digest).await.is_some());
    assert_eq!(store.discard_unlinked(minute(10), minute(20), &fence, limit(9)).await.unwrap(), 0);
    // It is garbage as of the discard.
    assert_eq!(store.garbage(minute(20), &page(None, 9)).await.unwrap(), []);
    assert_eq!(store.garbage(minute(21), &page(None, 9)).await.unwrap(), [location("unlinked")]);
}

/// Whether or not a manifest names it, in a repository that is listed, hidden, or removed and not yet emptied.
pub async fn content_with_a_link_anywhere_is_never_discarded(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let fence = fence(store).await;
    let blob = SampleBlob::new("a layer");
    for scene in [&lib, &other] {
        scene.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    }
    lib.commit(minute(2), [Change::CreateRepository, Change::UnlinkBlob(blob.digest)]).await;
    let discard = async || store.discard_unlinked(minute(99), minute(99), &fence, limit(9)).await.unwrap();
    assert_eq!(discard().await, 0);
    assert!(other.blob(&blob.digest).await.is_some());
    lib.commit(minute(3), [Change::LinkExisting(blob.digest)]).await;
    other.commit(minute(3), [Change::UnlinkBlob(blob.digest)]).await;
    assert_eq!(discard().await, 0);
    lib.commit(minute(4), [Change::RemoveRepository]).await;
    assert_eq!(discard().await, 0);
    other.commit(minute(5), [Change::LinkExisting(blob.digest)]).await;
    release_all(store, &unused_before(minute(0), minute(6)), &fence).await;
    assert_eq!(discard().await, 0);
    assert_eq!(other.blob(&blob.digest).await.unwrap().stored, blob.stored_at("here"));
    other.commit(minute(7), [Change::UnlinkBlob(blob.digest)]).await;
    assert_eq!(discard().await, 1);
}

/// Its record has to be older than the time that is given; healing makes it young again.
pub async fn content_of_late_is_not_discarded(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let blob = SampleBlob::new("a layer");
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("broken"))]).await;
    store.quarantine(&blob.digest, &location("broken")).await.unwrap();
    lib.commit(minute(10), [Change::LinkStored(blob.stored_at("whole"))]).await;
    lib.commit(minute(11), [Change::UnlinkBlob(blob.digest)]).await;
    assert_eq!(store.discard_unlinked(minute(10), minute(20), &fence, limit(9)).await.unwrap(), 0);
    assert_eq!(store.discard_unlinked(minute(11), minute(20), &fence, limit(9)).await.unwrap(), 1);
}

/// Going on discards the rest.
pub async fn discarding_is_bounded(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    for number in 0..5 {
        let blob = SampleBlob::new(&format!("layer {number}"));
        let changes =
            [Change::LinkStored(blob.stored_at(&format!("{number}"))), Change::UnlinkBlob(blob.digest)];
        lib.commit(minute(1), changes).await;
    }
    for expected in [2, 2, 1, 0] {
        let discarded = store.discard_unlinked(minute(10), minute(10), &fence, limit(2)).await.unwrap();
        assert_eq!(discarded, expected);
    }
    assert_eq!(garbage(store).await, ["0", "1", "2", "3", "4"].map(location));
}

/// Whoever lost it, or never had it, discards nothing.
pub async fn discarding_needs_the_lease(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let blob = SampleBlob::new("a layer");
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("here")), Change::UnlinkBlob(blob.digest)])
        .await;
    let fence = stale_fence(store).await;
    assert_fenced(store.discard_unlinked(minute(10), minute(10), &fence, limit(9)).await);
    assert_eq!(garbage(store).await, []);
    assert!(lib.attempt(minute(2), [], [Change::LinkExisting(blob.digest)]).await.is_ok());
}

/// At another place; at the old one it can never be linked again, by mount or by retry.
pub async fn discarded_content_can_be_brought_anew(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let blob = SampleBlob::new("a layer");
    let link = Change::LinkStored(blob.stored_at("first"));
    lib.commit(minute(1), [link.clone(), Change::UnlinkBlob(blob.digest)]).await;
    store.discard_unlinked(minute(10), minute(10), &fence, limit(9)).await.unwrap();
    assert_eq!(gone(lib.attempt(minute(11), [], [Change::LinkExisting(blob.digest)]).await), blob.digest);
    assert_eq!(gone(lib.attempt(minute(11), [], [link]).await), blob.digest);
    lib.commit(minute(12), [Change::LinkStored(blob.stored_at("second"))]).await;
    assert_eq!(lib.blob(&blob.digest).await.unwrap().stored, blob.stored_at("second"));
    assert_eq!(garbage(store).await, [location("first")]);
}

/// An upload that was finished and never committed, or lost to another of the same content.
pub async fn a_stray_is_listed_unless_its_digest_lives_there(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let (blob, unknown) = (SampleBlob::new("a layer"), SampleBlob::new("unknown"));
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    let discard = async |stored: StoredBlob| store.discard_stray(&stored, minute(5), &fence).await.unwrap();
    use crate::commit::StoredBlob;

    assert!(!discard(blob.stored_at("here")).await);
    assert_eq!(garbage(store).await, []);
    assert!(discard(blob.stored_at("lost")).await);
    assert!(discard(unknown.stored_at("stray")).await);
    assert_eq!(garbage(store).await, ["lost", "stray"].map(location));
    assert!(lib.blob(&blob.digest).await.is_some());

    // Neither a link nor health matters: the record is what a commit may still name.
    store.quarantine(&blob.digest, &location("here")).await.unwrap();
    lib.commit(minute(6), [Change::UnlinkBlob(blob.digest)]).await;
    assert!(!discard(blob.stored_at("here")).await);
    store.discard_unlinked(minute(10), minute(10), &fence, limit(9)).await.unwrap();
    assert!(discard(blob.stored_at("here")).await);

    // What is listed keeps its time, and what is spent is not listed again.
    assert_eq!(store.garbage(minute(6), &page(None, 9)).await.unwrap(), ["lost", "stray"].map(location));
    store.forget_garbage(&[location("stray")], minute(7), &fence).await.unwrap();
    assert!(discard(unknown.stored_at("stray")).await);
    assert_eq!(garbage(store).await, ["here", "lost"].map(location));
}

/// Whether its digest has a record elsewhere by then or not.
pub async fn a_stray_that_was_discarded_is_never_named(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let blob = SampleBlob::new("a layer");
    assert!(store.discard_stray(&blob.stored_at("stray"), minute(1), &fence).await.unwrap());
    let late = [Change::LinkStored(blob.stored_at("stray"))];
    assert_eq!(gone(lib.attempt(minute(2), [], late.clone()).await), blob.digest);
    lib.commit(minute(3), [Change::LinkStored(blob.stored_at("here"))]).await;
    lib.commit(minute(4), late).await;
    assert_eq!(lib.blob(&blob.digest).await.unwrap().stored, blob.stored_at("here"));
}

/// Whoever lost it, or never had it, discards nothing.
pub async fn discarding_a_stray_needs_the_lease(store: &dyn ManifestStore) {
    let fence = stale_fence(store).await;
    let stored = SampleBlob::new("a layer").stored_at("stray");
    assert_fenced(store.discard_stray(&stored, minute(1), &fence).await);
    assert_eq!(garbage(store).await, []);
    Scene::new(store, "lib/a").commit(minute(2), [Change::LinkStored(stored)]).await;
}

/// After any location, present or not.
pub async fn garbage_comes_page_by_page_in_order(store: &dyn ManifestStore) {
    let fence = fence(store).await;
    let locations = ["A", "a", "a/b", "b", "b-c", "b/c", "c"];
    for text in locations.iter().rev() {
        let stored = SampleBlob::new(text).stored_at(text);
        store.discard_stray(&stored, minute(1), &fence).await.unwrap();
    }
    let listed = async |after: Option<&str>, count| {
        let locations = store.garbage(minute(2), &page(after.map(location), count)).await.unwrap();
        locations.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 99).await, locations);
    assert_eq!(listed(None, 2).await, locations[..2]);
    assert_eq!(listed(Some("a"), 3).await, locations[2..5]);
    assert_eq!(listed(Some("a-"), 1).await, ["a/b"]);
    assert_eq!(listed(Some("c"), 99).await, [""; 0]);
    // Forgetting what a page had does not shift the next one.
    let forgotten: Vec<_> = locations[..3].iter().map(|text| location(text)).collect();
    store.forget_garbage(&forgotten, minute(2), &fence).await.unwrap();
    assert_eq!(listed(Some("a/b"), 99).await, locations[3..]);
}

/// Strictly before the time that is given: readers may still be at it.
pub async fn garbage_waits_until_it_was_listed_long_enough_ago(store: &dyn ManifestStore) {
    let fence = fence(store).await;
    for (text, at) in [("old", 1), ("middle", 10), ("new", 20)] {
        let stored = SampleBlob::new(text).stored_at(text);
        store.discard_stray(&stored, minute(at), &fence).await.unwrap();
    }
    let listed_before = async |before| store.garbage(minute(before), &page(None, 9)).await.unwrap();
    assert_eq!(listed_before(1).await, []);
    assert_eq!(listed_before(10).await, [location("old")]);
    assert_eq!(listed_before(11).await, ["middle", "old"].map(location));
    assert_eq!(store.backlog().await.unwrap().garbage, 3);
}

/// It is deleted, and no longer listed; forgetting it again changes nothing.
pub async fn garbage_once_forgotten_is_spent(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let stored = SampleBlob::new("a layer").stored_at("here");
    store.discard_stray(&stored, minute(1), &fence).await.unwrap();
    for _ in 0..2 {
        store.forget_garbage(slice::from_ref(&stored.location), minute(2), &fence).await.unwrap();
        assert_eq!(garbage(store).await, []);
        assert_eq!(store.backlog().await.unwrap().garbage, 0);
        let link = [Change::LinkStored(stored.clone())];
        assert_eq!(gone(lib.attempt(minute(3), [], link).await), stored.digest);
    }
}

/// Neither what is live nor what nobody heard of becomes spent.
pub async fn forgetting_what_is_not_listed_changes_nothing(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let (live, coming) =
        (SampleBlob::new("live").stored_at("live"), SampleBlob::new("coming").stored_at("coming"));
    lib.commit(minute(1), [Change::LinkStored(live.clone())]).await;
    for stored in [&live, &coming] {
        store.forget_garbage(slice::from_ref(&stored.location), minute(2), &fence).await.unwrap();
    }
    lib.commit(minute(3), [Change::LinkStored(coming.clone())]).await;
    for stored in [live, coming] {
        assert_eq!(lib.blob(&stored.digest).await.unwrap().stored, stored);
    }
    assert_eq!(store.trim_spent(minute(99), limit(9)).await.unwrap(), 0);
}

/// Whoever lost it, or never had it, forgets nothing.
pub async fn forgetting_needs_the_lease(store: &dyn ManifestStore) {
    let fence = fence(store).await;
    let stored = SampleBlob::new("a layer").stored_at("here");
    store.discard_stray(&stored, minute(1), &fence).await.unwrap();
    let stale = stale_fence(store).await;
    assert_fenced(store.forget_garbage(slice::from_ref(&stored.location), minute(2), &stale).await);
    assert_eq!(garbage(store).await, [stored.location]);
}

/// Strictly older than the time that is given, at most as many as asked for, and never what is still listed.
pub async fn spent_locations_are_trimmed_by_age(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let blobs = ["a", "b", "c", "d"].map(|text| SampleBlob::new(text).stored_at(text));
    for (stored, spent) in blobs.iter().zip([Some(2), Some(2), Some(10), None]) {
        store.discard_stray(stored, minute(1), &fence).await.unwrap();
        if let Some(at) = spent {
            store.forget_garbage(slice::from_ref(&stored.location), minute(at), &fence).await.unwrap();
        }
    }
    assert_eq!(store.trim_spent(minute(2), limit(9)).await.unwrap(), 0);
    assert_eq!(store.trim_spent(minute(10), limit(1)).await.unwrap(), 1);
    assert_eq!(store.trim_spent(minute(10), limit(9)).await.unwrap(), 1);
    assert_eq!(store.trim_spent(minute(10), limit(9)).await.unwrap(), 0);
    for stored in &blobs[2..] {
        let link = [Change::LinkStored(stored.clone())];
        assert_eq!(gone(lib.attempt(minute(11), [], link).await), stored.digest);
    }
    assert_eq!(store.trim_spent(minute(11), limit(9)).await.unwrap(), 1);
    assert_eq!(garbage(store).await, [location("d")]);
}
