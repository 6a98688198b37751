//! What was asked of synchronisation.

use super::*;
use crate::control::sync::{SyncJob, SyncRule};

/// Oldest first; one that is put again keeps who it is and when it came to be.
pub async fn a_synchronisation_put_twice_is_the_same_one(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let repositories = ["lib/a", "lib/b"].map(|name| create_repository(name, Visibility::Private));
    scene.commit(minute(1), repositories).await;
    let repository = repository_name("lib/a");
    let syncs = async || store.syncs(&repository).await.unwrap().unwrap();
    assert_eq!(syncs().await, []);
    let changes = [
        put_sync("lib/a", "far", "lib", true),
        put_sync("lib/a", "far", "Lib", true),
        put_sync("lib/a", "Far", "lib", true),
        put_sync("lib/b", "far", "lib", true),
    ];
    assert_eq!(scene.commit(minute(1), changes).await, [Effect::Created; 4]);
    let before = syncs().await;
    let wish = |at, auto, overwrite| SyncRule {
        overwrite,
        created: minute(at),
        updated: minute(at),
        ..sync("lib/a", "far", "lib", auto)
    };
    assert_eq!(before[0], SyncRule { id: before[0].id, ..sync("lib/a", "far", "lib", true) });
    let targets: Vec<_> =
        before.iter().map(|sync| (&*sync.target.region, &*sync.target.organisation)).collect();
    assert_eq!(targets, [("far", "lib"), ("far", "Lib"), ("Far", "lib")]);
    let put = |sync| [MetadataChange::PutSync(sync)];
    assert_eq!(scene.commit(minute(5), put(wish(5, true, false))).await, [Effect::Nothing]);
    assert_eq!(syncs().await, before);
    for (at, auto, overwrite) in [(6, false, false), (7, false, true)] {
        assert_eq!(scene.commit(minute(at), put(wish(at, auto, overwrite))).await, [Effect::Changed]);
        let expected = SyncRule { auto, overwrite, updated: minute(at), ..before[0].clone() };
        assert_eq!(syncs().await[0], expected);
    }
    assert_eq!(syncs().await[1..], before[1..]);
    assert_eq!(scene.commit(minute(8), [remove_sync("lib/a", "far", "lib")]).await, [Effect::Removed]);
    assert_eq!(scene.commit(minute(8), [remove_sync("lib/a", "far", "lib")]).await, [Effect::Nothing]);
    assert_eq!(syncs().await, before[1..]);
    assert_eq!(store.syncs(&repository_name("lib/b")).await.unwrap().unwrap().len(), 1);
    let unknown = repository_name("lib/unknown");
    assert_eq!(store.syncs(&unknown).await.unwrap(), None);
    let needs = [MetadataRequire::RepositoryExists(unknown)];
    assert_eq!(
        unmet(scene.attempt(minute(9), [], [put_sync("lib/unknown", "far", "lib", true)]).await),
        needs
    );
    assert_eq!(unmet(scene.attempt(minute(9), [], [add_sync_job("lib/unknown", "v1", "far")]).await), needs);
}

/// However often the same one was asked for.
pub async fn synchronisation_jobs_come_in_parts_both_ways(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let repositories = ["lib/a", "lib/b"].map(|name| create_repository(name, Visibility::Private));
    scene.commit(minute(1), repositories).await;
    let asked = ["v1", "v3", "v2", "v1"];
    for text in asked {
        assert_eq!(scene.commit(minute(1), [add_sync_job("lib/a", text, "far")]).await, [Effect::Created]);
        scene.commit(minute(1), [add_sync_job("lib/b", text, "far")]).await;
    }
    let repository = repository_name("lib/a");
    let jobs = async |descending, offset, count| {
        let jobs = store.sync_jobs(&repository, descending, offset, limit(count)).await.unwrap().unwrap();
        assert_eq!(jobs.total, 4);
        jobs.entries
    };
    let all = jobs(false, 0, 9).await;
    let expected = asked
        .iter()
        .zip(&all)
        .map(|(text, found)| SyncJob { id: found.id, ..sync_job("lib/a", text, "far") });
    assert_eq!(all, expected.collect::<Vec<_>>());
    assert!(all.is_sorted_by(|one, next| one.id < next.id));
    assert_eq!(jobs(false, 1, 2).await, all[1..3]);
    let backwards: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(jobs(true, 0, 9).await, backwards);
    assert_eq!(jobs(true, 3, 2).await, backwards[3..]);
    assert_eq!(jobs(true, 9, 2).await, []);
    let unknown = store.sync_jobs(&repository_name("lib/unknown"), false, 0, limit(9)).await.unwrap();
    assert_eq!(unknown, None);
}

/// Those whose status changed last before a time, the oldest first, also of repositories that are gone.
pub async fn synchronisation_jobs_are_trimmed_in_small_batches(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let repositories = ["lib/a", "lib/b"].map(|name| create_repository(name, Visibility::Private));
    scene.commit(minute(1), repositories).await;
    let asked = |repository, text: &str, at| {
        let (created, updated) = (minute(0), minute(at));
        MetadataChange::AddSyncJob(SyncJob { created, updated, ..sync_job(repository, text, "far") })
    };
    for (text, at) in [("v4", 4), ("v2", 2), ("v3", 3), ("v1", 1)] {
        scene.commit(minute(9), [asked("lib/a", text, at)]).await;
    }
    scene.commit(minute(9), [asked("lib/b", "w1", 1)]).await;
    scene.change(minute(9), "lib/b", [Change::RemoveRepository]).await;
    let left = async || {
        let jobs = store.sync_jobs(&repository_name("lib/a"), false, 0, limit(9)).await.unwrap().unwrap();
        jobs.entries.into_iter().map(|job| job.tag.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(store.trim_history(minute(1), limit(9)).await.unwrap(), 0);
    assert_eq!(left().await, ["v4", "v2", "v3", "v1"]);
    assert_eq!(store.trim_history(minute(4), limit(3)).await.unwrap(), 3);
    assert_eq!(left().await, ["v4", "v3"]);
    assert_eq!(store.trim_history(minute(4), limit(3)).await.unwrap(), 1);
    assert_eq!(store.trim_history(minute(4), limit(3)).await.unwrap(), 0);
    assert_eq!(left().await, ["v4"]);
}
