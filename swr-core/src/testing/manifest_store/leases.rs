//! Work that only one may do; and what outlives the store that was told of it.

use super::*;
use crate::testing::sample_images::SampleBlob;

/// A wish for the lease `work`.
async fn lease(store: &dyn ManifestStore, holder: &str, now: i64, until: i64) -> Option<Fence> {
    let wish = Lease { name: "work", holder, now: minute(now), until: minute(until) };
    store.lease(&wish).await.unwrap()
}

/// Whether a write that depends on the lease is taken.
async fn holds(store: &dyn ManifestStore, fence: &Fence) -> bool {
    match store.advance("a consumer", EventSeq::START, fence).await {
        Ok(()) => true,
        error => {
            assert_fenced(error);
            false
        }
    }
}

/// Until its time is over.
pub async fn a_lease_has_one_holder(store: &dyn ManifestStore) {
    let first = lease(store, "first", 1, 10).await.unwrap();
    assert_eq!(&*first.lease, "work");
    assert_eq!(lease(store, "second", 2, 20).await, None);
    assert_eq!(lease(store, "second", 9, 20).await, None);
    assert!(holds(store, &first).await);
}

/// And what it was given before stays good.
pub async fn a_holder_can_prolong_its_lease(store: &dyn ManifestStore) {
    let first = lease(store, "first", 1, 10).await.unwrap();
    let again = lease(store, "first", 5, 20).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(lease(store, "second", 15, 30).await, None);
    assert!(holds(store, &first).await);
    // Late, and nobody took it meanwhile.
    assert_eq!(lease(store, "first", 25, 30).await.unwrap(), first);
}

/// To whoever asks first; the one before it writes no more, not even when it asks again.
pub async fn a_lease_passes_on_when_its_time_is_over(store: &dyn ManifestStore) {
    let first = lease(store, "first", 1, 10).await.unwrap();
    let second = lease(store, "second", 11, 20).await.unwrap();
    assert!(second.token > first.token);
    assert!(!holds(store, &first).await);
    assert!(holds(store, &second).await);
    assert_eq!(lease(store, "first", 12, 20).await, None);
    let third = lease(store, "first", 21, 30).await.unwrap();
    assert!(third.token > second.token);
    assert!(!holds(store, &first).await);
    assert!(!holds(store, &second).await);
    assert!(holds(store, &third).await);
}

/// Then it is anybody's, with a greater fence; letting go of what has passed on lets go of nothing.
pub async fn a_lease_can_be_let_go_early(store: &dyn ManifestStore) {
    let first = lease(store, "first", 1, 10).await.unwrap();
    store.release_lease(&first).await.unwrap();
    assert!(!holds(store, &first).await);
    let second = lease(store, "second", 2, 10).await.unwrap();
    assert!(second.token > first.token);
    store.release_lease(&first).await.unwrap();
    assert!(holds(store, &second).await);
    assert_eq!(lease(store, "first", 3, 10).await, None);
    store.release_lease(&second).await.unwrap();
    let third = lease(store, "second", 4, 10).await.unwrap();
    assert!(third.token > second.token);
}

/// One may be held while another passes on.
pub async fn leases_do_not_know_each_other(store: &dyn ManifestStore) {
    let work = lease(store, "first", 1, 10).await.unwrap();
    let other = Lease { name: "other work", holder: "second", now: minute(2), until: minute(10) };
    let other = store.lease(&other).await.unwrap().unwrap();
    store.release_lease(&other).await.unwrap();
    assert!(holds(store, &work).await);
    let leases = store.backlog().await.unwrap().leases;
    assert!(leases.contains(&("work".to_owned(), minute(10))));
}

/// Neither of a lease that nobody took, nor with a token that was never given.
pub async fn a_fence_that_nobody_was_given_is_refused(store: &dyn ManifestStore) {
    for token in [0, 1, u64::MAX] {
        assert!(!holds(store, &Fence { lease: "unknown".into(), token }).await);
    }
    let good = lease(store, "first", 1, 10).await.unwrap();
    for token in [0, good.token + 1, u64::MAX] {
        assert!(!holds(store, &Fence { lease: "work".into(), token }).await);
    }
    assert!(!holds(store, &Fence { lease: "Work".into(), token: good.token }).await);
}

/// All of it, to the byte and to the microsecond.
pub async fn what_was_committed_is_there_after_reopening<S: ManifestStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let lib = Scene::new(&store, "lib/a");
    let at = minute(1) + chrono::TimeDelta::microseconds(1);
    let image = SampleManifest::image("a");
    let signature = SampleManifest::artifact("application/vnd.example", "a").referring_to(&image);
    lib.push(at, &image, &["v1", "v2"]).await;
    lib.push(at, &signature, &[]).await;
    lib.commit(minute(2), [Change::RemoveTag(tag("v2"))]).await;
    let layer = image.blobs().next().unwrap().digest;
    let (events, seen) = (log(&store).await, lib.blob(&layer).await);
    drop(store);

    let store = open().await;
    let lib = Scene::new(&store, "lib/a");
    assert_eq!(log(&store).await, events);
    assert_eq!(lib.tags().await.unwrap(), ["v1"]);
    assert_eq!(lib.manifest(tag("v1")).await.unwrap().bytes, Some(image.bytes()));
    assert_eq!(lib.referrers(&image.digest()).await, [signature.digest()]);
    assert_eq!(lib.blob(&layer).await, seen);
    let set_then = Require::TagIs { tag: tag("v1"), digest: image.digest(), updated: Some(at) };
    lib.attempt(minute(3), [set_then], []).await.unwrap();
}

/// Nothing that may never be given twice is given again by the next process.
pub async fn ids_places_and_fences_go_on_after_reopening<S: ManifestStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let lib = Scene::new(&store, "lib/a");
    lib.commit(minute(1), [Change::CreateRepository]).await;
    let (id, fence) = (lib.id().await.unwrap(), lease(&store, "first", 1, 10).await.unwrap());
    lib.commit(minute(1), [Change::RemoveRepository]).await;
    let last = log(&store).await.last().unwrap().seq;
    store.advance("webhook", last, &fence).await.unwrap();
    let unused = crate::ports::Unused { manifests_before: None, links_before: minute(0), at: minute(2) };
    store.release_unused(&unused, &fence, limit(9)).await.unwrap();
    store.trim_events(minute(99), limit(9)).await.unwrap();
    drop(store);

    let store = open().await;
    let lib = Scene::new(&store, "lib/a");
    assert_eq!(store.cursor("webhook").await.unwrap(), last);
    assert_eq!(lease(&store, "second", 5, 20).await, None);
    assert!(holds(&store, &fence).await);
    assert!(lease(&store, "second", 11, 20).await.unwrap().token > fence.token);
    lib.commit(minute(12), [Change::CreateRepository]).await;
    assert_ne!(lib.id().await.unwrap(), id);
    assert!(log(&store).await.last().unwrap().seq > last);
}

/// A commit that was on its way through the end of a process does not find its bytes back.
pub async fn spent_locations_stay_spent_after_reopening<S: ManifestStore>(open: impl AsyncFn() -> S) {
    let blobs = ["listed", "spent"].map(|text| SampleBlob::new(text).stored_at(text));
    let broken = SampleBlob::new("broken").stored_at("broken");
    let store = open().await;
    let fence = fence(&store).await;
    for stored in &blobs {
        store.discard_stray(stored, minute(1), &fence).await.unwrap();
    }
    store.forget_garbage(&[location("spent")], minute(2), &fence).await.unwrap();
    Scene::new(&store, "lib/a").commit(minute(1), [Change::LinkStored(broken.clone())]).await;
    store.quarantine(&broken.digest, &broken.location).await.unwrap();
    drop(store);

    let store = open().await;
    let lib = Scene::new(&store, "lib/a");
    for stored in blobs {
        let digest = stored.digest;
        assert_eq!(gone(lib.attempt(minute(3), [], [Change::LinkStored(stored)]).await), digest);
    }
    assert_eq!(garbage(&store).await, [location("listed")]);
    assert_eq!(lib.blob(&broken.digest).await, None);
}
