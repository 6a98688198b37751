//! Many at once.

use std::sync::Barrier;

use super::*;
use crate::testing::sample_images::SampleBlob;

/// How many at once.
const MANY: usize = 32;

/// Runs the work on as many threads at the same moment; the answers in the order of their numbers.
async fn at_once<T: Send>(work: impl AsyncFn(usize) -> T + Sync) -> Vec<T> {
    let (runtime, start) = (tokio::runtime::Handle::current(), Barrier::new(MANY));
    let run = |number| {
        start.wait();
        runtime.block_on(work(number))
    };
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..MANY).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The others learn that it is set.
pub async fn one_of_many_creators_of_a_tag_wins(store: &dyn ManifestStore) {
    let image = |number: usize| SampleManifest::image(&number.to_string());
    let outcomes = at_once(async |number| {
        let digest = image(number).digest();
        let changes =
            [Change::CreateRepository, Change::PutManifest(image(number).record()), set_tag("v1", digest)];
        Scene::new(store, "lib/a").attempt(minute(1), [Require::TagUnset(tag("v1"))], changes).await
    })
    .await;
    let mut winners = Vec::new();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(_) => winners.push(number),
            refused => assert_eq!(unmet(refused), [Require::TagUnset(tag("v1"))]),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let lib = Scene::new(store, "lib/a");
    assert_eq!(lib.tag("v1").await, Some(image(winners[0]).digest()));
    for number in 0..MANY {
        assert_eq!(lib.manifest(image(number).digest()).await.is_some(), number == winners[0]);
    }
    assert_eq!(log(store).await.len(), 3);
}

/// No attachment overwrites another.
pub async fn everything_attached_at_once_is_listed(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    lib.push(minute(1), &image, &["v1"]).await;
    let mut attached = at_once(async |number| {
        let artifact = SampleManifest::artifact("application/vnd.example", &number.to_string());
        Scene::new(store, "lib/a").push(minute(2), &artifact.referring_to(&image), &[]).await
    })
    .await;
    attached.sort_unstable();
    assert_eq!(lib.referrers(&image.digest()).await, attached);
}

/// And its creation is told once.
pub async fn a_repository_made_by_many_at_once_is_one(store: &dyn ManifestStore) {
    let ids = at_once(async |number| {
        let lib = Scene::new(store, "lib/a");
        let blob = SampleBlob::new(&number.to_string());
        let changes = [Change::LinkStored(blob.stored_at(&number.to_string())), Change::CreateRepository];
        lib.commit(minute(1), changes).await;
        lib.id().await.unwrap()
    })
    .await;
    assert!(ids.iter().all(|id| *id == ids[0]));
    let created = log(store).await.into_iter().filter(|recorded| recorded.event == Event::RepositoryCreated);
    assert_eq!(created.count(), 1);
    let lib = Scene::new(store, "lib/a");
    for number in 0..MANY {
        assert!(lib.blob(&SampleBlob::new(&number.to_string()).digest).await.is_some());
    }
}

/// In the log, the events of one commit stand together and in order; and whoever reads along misses none.
pub async fn racing_commits_have_places_of_their_own(store: &dyn ManifestStore) {
    let receipts = at_once(async |number| {
        if number == 0 {
            let mut seen: Vec<RecordedEvent> = Vec::new();
            while seen.len() < 2 * (MANY - 1) {
                let after = seen.last().map_or(EventSeq::START, |recorded| recorded.seq);
                seen.extend(store.events(after, limit(5)).await.unwrap());
                tokio::task::yield_now().await;
            }
            return seen;
        }
        let lib = Scene::new(store, &format!("lib/{number}"));
        let blob = SampleBlob::new("a layer");
        let changes = [Change::CreateRepository, Change::LinkStored(blob.stored_at("here"))];
        lib.attempt(minute(1), [], changes).await.unwrap().events
    })
    .await;
    let log = log(store).await;
    assert!(log.is_sorted_by(|one, next| one.seq < next.seq));
    assert_eq!(receipts[0], log, "the reader missed something");
    for events in &receipts[1..] {
        let first = log.iter().position(|recorded| recorded == &events[0]).unwrap();
        assert_eq!(log[first..first + 2], events[..]);
    }
}

/// All of them hold it; every other place is garbage.
pub async fn content_brought_by_many_at_once_has_one_place(store: &dyn ManifestStore) {
    let blob = SampleBlob::new("a layer");
    at_once(async |number| {
        let lib = Scene::new(store, &format!("lib/{number}"));
        lib.commit(minute(1), [Change::LinkStored(blob.stored_at(&format!("place {number}")))]).await;
    })
    .await;
    let place = Scene::new(store, "lib/0").blob(&blob.digest).await.unwrap().stored.location;
    for number in 0..MANY {
        let seen = Scene::new(store, &format!("lib/{number}")).blob(&blob.digest).await.unwrap();
        assert_eq!(seen.stored.location, place);
    }
    let garbage = garbage(store).await;
    assert_eq!(garbage.len(), MANY - 1);
    assert!(!garbage.contains(&place));
}

/// Either the content is discarded and the link finds it gone, or it is linked and stays.
pub async fn a_link_and_a_discard_never_both_win(store: &dyn ManifestStore) {
    let fence = fence(store).await;
    for round in 0..8 {
        let blob = SampleBlob::new(&format!("layer {round}"));
        let place = format!("place {round}");
        let first = Scene::new(store, "lib/first");
        first.commit(minute(1), [Change::LinkStored(blob.stored_at(&place))]).await;
        first.commit(minute(2), [Change::UnlinkBlob(blob.digest)]).await;
        let linked = at_once(async |number| {
            if number % 8 == 0 {
                store.discard_unlinked(minute(10), minute(10), &fence, limit(99)).await.unwrap();
                return None;
            }
            let lib = Scene::new(store, &format!("lib/{number}"));
            let change = match number % 2 {
                0 => Change::LinkExisting(blob.digest),
                _ => Change::LinkStored(blob.stored_at(&place)),
            };
            match lib.attempt(minute(3), [], [change]).await {
                Ok(_) => Some((lib.name, true)),
                refused => {
                    assert_eq!(gone(refused), blob.digest);
                    Some((lib.name, false))
                }
            }
        })
        .await;
        let is_garbage = garbage(store).await.contains(&location(&place));
        for (name, is_linked) in linked.into_iter().flatten() {
            let seen = store.blob(&name, &blob.digest).await.unwrap();
            assert_eq!(seen.is_some(), is_linked, "{name}");
            assert!(!(is_linked && is_garbage), "{name} links what is garbage");
        }
    }
}
