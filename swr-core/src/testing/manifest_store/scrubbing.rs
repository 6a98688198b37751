//! What a scrub asks.

use super::*;
use crate::commit::StoredBlob;
use crate::ports::{BlobRecord, ContentState};
use crate::testing::sample_images::SampleBlob;

/// Quarantined ones and such as no repository links any more as well, after any digest, present or not.
pub async fn records_come_page_by_page_in_order(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let mut stored: Vec<StoredBlob> =
        (0..7).map(|number| SampleBlob::new(&number.to_string()).stored_at(&number.to_string())).collect();
    for blob in &stored {
        lib.commit(minute(1), [Change::LinkStored(blob.clone())]).await;
    }
    stored.sort_by_key(|blob| blob.digest);
    store.quarantine(&stored[2].digest, &stored[2].location).await.unwrap();
    lib.commit(minute(2), [Change::UnlinkBlob(stored[4].digest)]).await;
    let all: Vec<_> = stored
        .iter()
        .enumerate()
        .map(|(at, stored)| BlobRecord { stored: stored.clone(), quarantined: at == 2 })
        .collect();

    let listed = async |after, count| store.records(&page(after, count)).await.unwrap();
    assert_eq!(listed(None, 99).await, all);
    assert_eq!(listed(None, 2).await, all[..2]);
    assert_eq!(listed(Some(stored[1].digest), 3).await, all[2..5]);
    assert_eq!(listed(Some(stored[6].digest), 99).await, []);
    let absent = SampleBlob::new("absent").digest;
    let behind = stored.iter().filter(|blob| blob.digest > absent).count();
    assert_eq!(listed(Some(absent), 99).await, all[7 - behind..]);
}

/// And one that is recorded for one digest is not for another.
pub async fn a_location_is_recorded_listed_spent_or_unknown(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let blob = SampleBlob::new("a layer");
    let state = async |text: &str| store.content_state(&blob.digest, &location(text)).await.unwrap();
    assert_eq!(state("here").await, ContentState::Unknown);
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("second"))]).await;
    assert_eq!(state("here").await, ContentState::Recorded);
    assert_eq!(state("second").await, ContentState::Listed);
    assert_eq!(state("elsewhere").await, ContentState::Unknown);
    let other = SampleBlob::new("another").digest;
    assert_eq!(store.content_state(&other, &location("here")).await.unwrap(), ContentState::Unknown);
    store.forget_garbage(&[location("second")], minute(2), &fence).await.unwrap();
    assert_eq!(state("second").await, ContentState::Spent);
    store.quarantine(&blob.digest, &location("here")).await.unwrap();
    assert_eq!(state("here").await, ContentState::Recorded);
}

/// By the ids of their repositories, hidden ones included; those of removed repositories are on their way out.
pub async fn kept_manifests_come_page_by_page_in_order(store: &dyn ManifestStore) {
    let (lib, hidden, removed) =
        (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"), Scene::new(store, "lib/c"));
    let images = ["a", "b", "c"].map(SampleManifest::image);
    let mut all = Vec::new();
    for scene in [&lib, &removed, &hidden] {
        for image in &images {
            scene.commit(minute(1), [Change::PutManifest(image.record())]).await;
        }
        let id = scene.id().await.unwrap();
        all.extend(images.iter().map(|image| (id, scene.name.clone(), image.digest(), image.bytes())));
    }
    removed.commit(minute(2), [Change::RemoveRepository]).await;
    all.retain(|(_, name, ..)| *name != removed.name);
    all.sort_by_key(|(id, _, digest, _)| (*id, *digest));

    let listed = async |after, count| {
        let kept = store.kept_manifests(&page(after, count)).await.unwrap();
        kept.into_iter().map(|kept| (kept.repository, kept.name, kept.digest, kept.bytes)).collect::<Vec<_>>()
    };
    let place = |at: usize| Some((all[at].0, all[at].2));
    assert_eq!(listed(None, 99).await, all);
    assert_eq!(listed(None, 2).await, all[..2]);
    assert_eq!(listed(place(1), 3).await, all[2..5]);
    assert_eq!(listed(place(5), 99).await, []);
}

/// Also where each of them is as large as a page may be.
pub async fn a_page_of_kept_manifests_is_bounded_in_bytes(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    for number in 0..5 {
        let heavy = SampleManifest::image(&number.to_string()).annotated("note", &"x".repeat(3 << 20));
        lib.commit(minute(1), [Change::PutManifest(heavy.record())]).await;
    }
    let heaviest = SampleManifest::image("heaviest").annotated("note", &"x".repeat(9 << 20));
    lib.commit(minute(1), [Change::PutManifest(heaviest.record())]).await;
    let mut listed = Vec::new();
    loop {
        let kept = store.kept_manifests(&page(listed.last().copied(), 99)).await.unwrap();
        assert!(kept.len() <= 2, "a page of {} times 3 MiB", kept.len());
        if kept.is_empty() {
            break;
        }
        listed.extend(kept.into_iter().map(|kept| (kept.repository, kept.digest)));
    }
    assert_eq!(listed.len(), 6);
}
