//! What accounts used, day by day.

use chrono::{NaiveDate, TimeDelta};

use super::*;
use crate::ports::{DailyUsage, PullCount, UsageKind};

/// The day of this number; the first minute is in day 0.
fn day(number: i64) -> NaiveDate {
    minute(0).date_naive() + TimeDelta::days(number)
}

/// A time in that day.
fn during(number: i64) -> DateTime<Utc> {
    minute(24 * 60 * number + 90)
}

async fn used(store: &dyn MetadataStore, account: &Account, kind: UsageKind) -> Vec<(i64, u64)> {
    let used = store.usage(&account.id, kind, day(0), day(99)).await.unwrap();
    used.into_iter().map(|DailyUsage { day: noted, bytes }| ((noted - day(0)).num_days(), bytes)).collect()
}

/// Those of its repositories, a blob in each of them; what was noted of a day before is replaced.
pub async fn what_accounts_keep_is_noted_for_a_day(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    store.note_stored(day(0)).await.unwrap();
    let image = SampleManifest::image("a");
    let bytes: u64 = image.blobs().map(|blob| blob.bytes.len() as u64).sum();
    scene.push(during(1), "lib/a", &image, &["v1"]).await;
    store.note_stored(day(1)).await.unwrap();
    scene.push(during(2), "lib/b", &image, &["v1"]).await;
    scene.push(during(2), "nowhere/b", &image, &["v1"]).await;
    store.note_stored(day(1)).await.unwrap();
    store.note_stored(day(3)).await.unwrap();
    let expected = [(0, 0), (1, 2 * bytes), (3, 2 * bytes)];
    assert_eq!(used(store, &north(), UsageKind::Stored).await, expected);
    assert_eq!(store.overview(&north().id).await.unwrap().bytes, 2 * bytes);
    assert_eq!(used(store, &south(), UsageKind::Stored).await, [(0, 0), (1, 0), (3, 0)]);
    assert_eq!(used(store, &north(), UsageKind::Pulled).await, []);
    assert_eq!(used(store, &account("unknown"), UsageKind::Stored).await, []);
    for name in ["lib/a", "lib/b"] {
        scene.change(during(3), name, [Change::RemoveRepository]).await;
    }
    store.note_stored(day(3)).await.unwrap();
    assert_eq!(used(store, &north(), UsageKind::Stored).await, [(0, 0), (1, 2 * bytes), (3, 0)]);
    let part =
        async |from, until| store.usage(&north().id, UsageKind::Stored, day(from), day(until)).await.unwrap();
    let noted = |number, bytes| DailyUsage { day: day(number), bytes };
    assert_eq!(part(1, 3).await, [noted(1, 2 * bytes), noted(3, 0)]);
    assert_eq!(part(0, 1).await, [noted(0, 0), noted(1, 2 * bytes)]);
    assert_eq!(part(2, 2).await, []);
    assert_eq!(part(3, 1).await, []);
}

/// For the account that owns the organisation, by the sizes of what was pulled; what is not there was not pulled.
pub async fn what_is_pulled_is_noted_for_its_day(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let shared = crate::testing::sample_images::SampleBlob::new("a shared layer");
    let images = ["a", "b"].map(|name| SampleManifest::image(name).with_layer(&shared));
    let both = SampleManifest::index(&[&images[0], &images[1]]);
    for (manifest, tags) in [(&images[0], &["v1"][..]), (&images[1], &[]), (&both, &["all"])] {
        scene.push(minute(1), "lib/a", manifest, tags).await;
    }
    scene.push(minute(1), "pub/a", &images[0], &["v1"]).await;
    scene.push(minute(1), "nowhere/a", &images[0], &["v1"]).await;
    let pulled = |repository: &str, reference, count, at| PullCount {
        repository: repository_name(repository),
        reference,
        count,
        last: at,
    };
    let first = [
        pulled("lib/a", tag("v1").into(), 3, during(0)),
        pulled("lib/a", images[1].digest().into(), 2, during(0)),
        pulled("lib/a", tag("all").into(), 1, during(1)),
        pulled("lib/a", tag("v9").into(), 9, during(1)),
        pulled("lib/unknown", tag("v1").into(), 9, during(1)),
        pulled("pub/a", tag("v1").into(), 1, during(2)),
        pulled("nowhere/a", tag("v1").into(), 1, during(2)),
    ];
    store.observe_pulls(&first).await.unwrap();
    store.observe_pulls(&[pulled("lib/a", tag("v1").into(), 1, during(1))]).await.unwrap();
    let sizes = |image: &SampleManifest| -> u64 { image.blobs().map(|blob| blob.bytes.len() as u64).sum() };
    let (a, b) = (sizes(&images[0]), sizes(&images[1]));
    let leaves: u64 = images.iter().map(|image| image.bytes().len() as u64).sum();
    let all = a + b - shared.bytes.len() as u64 + leaves;
    assert_eq!(used(store, &north(), UsageKind::Pulled).await, [(0, 3 * a + 2 * b), (1, all + a)]);
    assert_eq!(used(store, &south(), UsageKind::Pulled).await, [(2, a)]);
    // What was pulled stays pulled.
    scene.change(during(3), "lib/a", [Change::RemoveRepository]).await;
    assert_eq!(used(store, &north(), UsageKind::Pulled).await.len(), 2);
}

/// It may declare what it likes.
pub async fn bytes_that_no_number_holds_stop_at_the_greatest(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let mut record = SampleManifest::image("a").record();
    record.references[0].size = u64::MAX / 2;
    let digest = record.digest;
    let changes = [Change::CreateRepository, Change::PutManifest(record), set_tag("v1", digest)];
    scene.change(minute(1), "lib/a", changes).await;
    let pulled = PullCount {
        repository: repository_name("lib/a"),
        reference: tag("v1").into(),
        count: 3,
        last: during(0),
    };
    for _ in 0..2 {
        store.observe_pulls(std::slice::from_ref(&pulled)).await.unwrap();
        assert_eq!(used(store, &north(), UsageKind::Pulled).await, [(0, u64::MAX)]);
    }
}

/// What was noted before a day, of whatever account and kind, the first days first.
pub async fn what_was_noted_is_trimmed_by_its_day_in_small_batches(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.push(during(1), "lib/a", &SampleManifest::image("a"), &["v1"]).await;
    let pulls = PullCount {
        repository: repository_name("lib/a"),
        reference: tag("v1").into(),
        count: 1,
        last: during(2),
    };
    store.observe_pulls(&[pulls]).await.unwrap();
    for number in 1..=3 {
        store.note_stored(day(number)).await.unwrap();
    }
    let accounts = store.accounts(&Page { after: None, limit: limit(9) }).await.unwrap().len() as u64;
    let days = async |account: Account, kind| {
        used(store, &account, kind).await.into_iter().map(|(day, _)| day).collect::<Vec<_>>()
    };
    assert_eq!(store.trim_usage(day(1), limit(99)).await.unwrap(), 0);
    assert_eq!(store.trim_usage(day(3), limit(1)).await.unwrap(), 1);
    // A note of each account for the second day, and the pull; and what is left of the first.
    assert_eq!(store.trim_usage(day(3), limit(99)).await.unwrap(), 2 * accounts);
    assert_eq!(store.trim_usage(day(3), limit(99)).await.unwrap(), 0);
    assert_eq!(days(north(), UsageKind::Stored).await, [3]);
    assert_eq!(days(south(), UsageKind::Stored).await, [3]);
    assert_eq!(days(north(), UsageKind::Pulled).await, [0; 0]);
}
