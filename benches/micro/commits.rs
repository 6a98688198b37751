//! One change to the facts: a tag that moves. In memory, and in SQLite with every commit on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use divan::Bencher;
use divan::counter::ItemsCount;
use swr_core::caller::{Actor, Caller, Origin};
use swr_core::commit::{Change, Commit};
use swr_core::ports::ManifestStore;
use swr_core::testing::sample_images::SampleManifest;
use swr_storage::{MemoryManifests, SqliteStore};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const AT: DateTime<Utc> = DateTime::from_timestamp(1_767_225_600, 0).expect("within range");

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

pub(crate) fn commit(changes: Vec<Change>) -> Commit {
    Commit {
        repository: "library/app".parse().expect("a name"),
        actor: Actor::Caller(Caller::Anonymous),
        origin: Origin::default(),
        at: AT,
        requires: Vec::new(),
        changes,
    }
}

/// Sets a tag to one manifest and to the other in turn, once the manifests are there.
pub(crate) struct Moves {
    images: [SampleManifest; 2],
    made: AtomicUsize,
}

impl Moves {
    pub(crate) async fn prepared(store: &dyn ManifestStore) -> Self {
        let images = ["one", "other"].map(SampleManifest::image);
        let put = images.iter().map(|image| Change::PutManifest(image.record()));
        store.commit(commit([Change::CreateRepository].into_iter().chain(put).collect())).await.expect("put");
        Self { images, made: AtomicUsize::new(0) }
    }

    pub(crate) fn next(&self) -> Change {
        let image = &self.images[self.made.fetch_add(1, Ordering::Relaxed) % 2];
        Change::SetTag { tag: "latest".parse().expect("a tag"), digest: image.digest() }
    }
}

#[divan::bench]
fn committing_in_memory(bencher: Bencher<'_, '_>) {
    one_by_one(bencher, &MemoryManifests::new(), &runtime());
}

#[divan::bench]
fn committing_in_sqlite(bencher: Bencher<'_, '_>) {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let store = runtime.block_on(SqliteStore::open(folder.path().join("registry.db"))).expect("a store");
    one_by_one(bencher, &store, &runtime);
}

fn one_by_one(bencher: Bencher<'_, '_>, store: &dyn ManifestStore, runtime: &Runtime) {
    let moves = runtime.block_on(Moves::prepared(store));
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| commit(vec![moves.next()]))
        .bench_local_values(|commit| runtime.block_on(store.commit(commit)).expect("a commit"));
}

/// So many at the same moment, which share their syncs.
#[divan::bench(args = [4, 32])]
fn committing_in_sqlite_at_once(bencher: Bencher<'_, '_>, count: usize) {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let store = runtime.block_on(SqliteStore::open(folder.path().join("registry.db"))).expect("a store");
    let moves = runtime.block_on(Moves::prepared(&store));
    let store = Arc::new(store);
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| (0..count).map(|_| commit(vec![moves.next()])).collect::<Vec<_>>())
        .bench_local_values(|commits| {
            runtime.block_on(async {
                let mut under_way = JoinSet::new();
                for commit in commits {
                    let store = Arc::clone(&store);
                    under_way.spawn(async move { store.commit(commit).await.expect("a commit") });
                }
                under_way.join_all().await
            })
        });
}
