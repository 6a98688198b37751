//! The log of events, who has come how far in it, and what is observed beside it.

use super::*;
use crate::ports::PullCount;
use crate::testing::sample_images::SampleBlob;

/// A number of repositories, created one after the other.
async fn create(store: &dyn ManifestStore, count: i64) -> Vec<RecordedEvent> {
    let before = log(store).await.len();
    for number in 0..count {
        let lib = Scene::new(store, &format!("lib/{}", before as i64 + number));
        lib.commit(minute(number), [Change::CreateRepository]).await;
    }
    log(store).await.split_off(before)
}

/// At most as many as asked for; after the last there is nothing.
pub async fn events_come_in_order_after_a_place(store: &dyn ManifestStore) {
    let all = create(store, 7).await;
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted_by(|one, next| one.seq < next.seq));
    let after = async |seq, count| store.events(seq, limit(count)).await.unwrap();
    assert_eq!(after(EventSeq::START, 3).await, all[..3]);
    for (index, event) in all.iter().enumerate() {
        assert_eq!(after(event.seq, 99).await, all[index + 1..]);
    }
    let beyond = EventSeq(all.last().unwrap().seq.0 + 1000);
    assert_eq!(after(beyond, 99).await, []);
}

/// Each consumer for itself.
pub async fn a_consumer_starts_at_the_start_and_never_goes_back(store: &dyn ManifestStore) {
    let all = create(store, 3).await;
    let fence = fence(store).await;
    assert_eq!(store.cursor("webhook").await.unwrap(), EventSeq::START);
    store.advance("webhook", all[1].seq, &fence).await.unwrap();
    assert_eq!(store.cursor("webhook").await.unwrap(), all[1].seq);
    store.advance("webhook", all[0].seq, &fence).await.unwrap();
    assert_eq!(store.cursor("webhook").await.unwrap(), all[1].seq);
    assert_eq!(store.cursor("Webhook").await.unwrap(), EventSeq::START);
    store.advance("webhook", all[2].seq, &fence).await.unwrap();
    assert_eq!(store.cursor("webhook").await.unwrap(), all[2].seq);
}

/// Whoever lost it, or never had it, moves nobody.
pub async fn advancing_needs_the_lease(store: &dyn ManifestStore) {
    let all = create(store, 1).await;
    let fence = stale_fence(store).await;
    assert_fenced(store.advance("webhook", all[0].seq, &fence).await);
    assert_eq!(store.cursor("webhook").await.unwrap(), EventSeq::START);
}

/// The hindmost consumer says; where nobody was ever heard of, nobody is waited for.
pub async fn only_what_every_consumer_has_passed_is_trimmed(store: &dyn ManifestStore) {
    let all = create(store, 5).await;
    let fence = fence(store).await;
    store.advance("fast", all[4].seq, &fence).await.unwrap();
    store.advance("slow", all[1].seq, &fence).await.unwrap();
    assert_eq!(store.trim_events(minute(99), limit(99)).await.unwrap(), 2);
    assert_eq!(log(store).await, all[2..]);
    store.advance("slow", all[4].seq, &fence).await.unwrap();
    let more = create(store, 1).await;
    assert_eq!(store.trim_events(minute(99), limit(99)).await.unwrap(), 3);
    assert_eq!(log(store).await, more);
}

/// One that is gone for good holds nothing up.
pub async fn consumers_that_are_forgotten_hold_nothing(store: &dyn ManifestStore) {
    let all = create(store, 3).await;
    let fence = fence(store).await;
    store.advance("gone", EventSeq::START, &fence).await.unwrap();
    store.advance("stays", all[1].seq, &fence).await.unwrap();
    assert_eq!(store.trim_events(minute(99), limit(99)).await.unwrap(), 0);
    store.retain_consumers(&["stays", "never heard of"]).await.unwrap();
    assert_eq!(store.cursor("gone").await.unwrap(), EventSeq::START);
    assert_eq!(store.cursor("stays").await.unwrap(), all[1].seq);
    assert_eq!(store.trim_events(minute(99), limit(99)).await.unwrap(), 2);
}

/// Strictly before the time that is given, at most as many as asked for, the oldest first.
pub async fn trimming_is_bounded_and_goes_by_age(store: &dyn ManifestStore) {
    let all = create(store, 5).await;
    assert_eq!(store.trim_events(minute(0), limit(99)).await.unwrap(), 0);
    assert_eq!(store.trim_events(minute(3), limit(2)).await.unwrap(), 2);
    assert_eq!(log(store).await, all[2..]);
    assert_eq!(store.trim_events(minute(3), limit(2)).await.unwrap(), 1);
    assert_eq!(store.trim_events(minute(3), limit(2)).await.unwrap(), 0);
    assert_eq!(log(store).await, all[3..]);
}

/// Also when the log has been emptied in between: a consumer would not see what comes there.
pub async fn a_place_in_the_log_is_never_given_twice(store: &dyn ManifestStore) {
    let all = create(store, 3).await;
    assert_eq!(store.trim_events(minute(99), limit(99)).await.unwrap(), 3);
    let lib = Scene::new(store, "lib/late");
    let receipt = lib.attempt(minute(4), [], [Change::CreateRepository]).await.unwrap();
    assert!(receipt.events[0].seq > all[2].seq);
    assert_eq!(store.events(all[2].seq, limit(9)).await.unwrap(), receipt.events);
}

fn pulls(scene: &Scene<'_>, reference: impl Into<Reference>, count: u64, last: i64) -> PullCount {
    PullCount { repository: scene.name.clone(), reference: reference.into(), count, last: minute(last) }
}

/// Of a tag and of a manifest by its digest, each for itself; the last pull is the latest one. A tag that moves
/// keeps its count.
pub async fn pulls_add_up(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let image = SampleManifest::image("a");
    for scene in [&lib, &other] {
        scene.push(minute(1), &image, &["v1", "v2"]).await;
    }
    let digest = image.digest();
    let seen = async |reference: Reference| store.pulls(&lib.name, &reference).await.unwrap();
    assert_eq!(seen(tag("v1").into()).await, None);
    let counts = [
        pulls(&lib, tag("v1"), 2, 5),
        pulls(&lib, digest, 3, 6),
        pulls(&other, tag("v1"), 100, 100),
        pulls(&lib, tag("v1"), 4, 4),
    ];
    store.observe_pulls(&counts).await.unwrap();
    store.observe_pulls(&[pulls(&lib, tag("v1"), 1, 9)]).await.unwrap();
    store.observe_pulls(&[]).await.unwrap();
    assert_eq!(seen(tag("v1").into()).await, Some(pulls(&lib, tag("v1"), 7, 9)));
    assert_eq!(seen(digest.into()).await, Some(pulls(&lib, digest, 3, 6)));
    assert_eq!(seen(tag("v2").into()).await, None);

    lib.push(minute(10), &SampleManifest::image("b"), &["v1"]).await;
    assert_eq!(seen(tag("v1").into()).await, Some(pulls(&lib, tag("v1"), 7, 9)));
    assert!(log(store).await.iter().all(|recorded| recorded.at <= minute(10)));
}

/// They are no error, and do not come back with the name.
pub async fn pulls_of_what_is_gone_are_dropped(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let digest = lib.push(minute(1), &image, &["v1", "v2"]).await;
    store.observe_pulls(&[pulls(&lib, tag("v1"), 2, 2), pulls(&lib, digest, 2, 2)]).await.unwrap();
    lib.commit(minute(3), [Change::RemoveTag(tag("v1"))]).await;
    let late = [
        pulls(&lib, tag("v1"), 1, 4),
        pulls(&lib, tag("v2"), 5, 4),
        pulls(&lib, SampleBlob::new("absent").digest, 1, 4),
        pulls(&lib.beside("lib/unknown"), tag("v1"), 1, 4),
    ];
    store.observe_pulls(&late).await.unwrap();
    let seen = async |reference: Reference| store.pulls(&lib.name, &reference).await.unwrap();
    assert_eq!(seen(tag("v1").into()).await, None);
    assert_eq!(seen(tag("v2").into()).await, Some(pulls(&lib, tag("v2"), 5, 4)));
    lib.commit(minute(5), [set_tag("v1", digest)]).await;
    assert_eq!(seen(tag("v1").into()).await, None);
    lib.commit(minute(6), [Change::RemoveManifest(digest)]).await;
    lib.push(minute(7), &image, &["v2"]).await;
    assert_eq!(seen(digest.into()).await, None);
    assert_eq!(seen(tag("v2").into()).await, None);
}

/// Garbage, the newest event, how far each consumer is, and who holds which lease until when.
pub async fn the_backlog_says_what_waits(store: &dyn ManifestStore) {
    let backlog = store.backlog().await.unwrap();
    assert_eq!((backlog.garbage, backlog.newest_event, backlog.cursors), (0, EventSeq::START, vec![]));
    let all = create(store, 3).await;
    let fence = fence(store).await;
    store.advance("webhook", all[1].seq, &fence).await.unwrap();
    for text in ["a", "b"] {
        let stored = SampleBlob::new(text).stored_at(text);
        store.discard_stray(&stored, minute(1), &fence).await.unwrap();
    }
    store.forget_garbage(&[location("a")], minute(2), &fence).await.unwrap();
    let backlog = store.backlog().await.unwrap();
    assert_eq!(backlog.garbage, 1);
    assert_eq!(backlog.newest_event, all[2].seq);
    assert_eq!(backlog.cursors, [("webhook".to_owned(), all[1].seq)]);
    assert_eq!(backlog.leases, [("collection".to_owned(), minute(1_000_000))]);
}

/// And says so without taking one.
pub async fn a_store_at_rest_would_take_a_commit(store: &dyn ManifestStore) {
    store.probe().await.unwrap();
    assert_eq!(log(store).await, []);
}
