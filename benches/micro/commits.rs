//! One change to the facts: a tag that moves. In memory, and in SQLite with every commit on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
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

pub(crate) fn bench(criterion: &mut Criterion) {
    let runtime = runtime();
    one_by_one(criterion, "commit/memory", &MemoryManifests::new(), &runtime);

    let folder = tempfile::tempdir().expect("a folder");
    let store = runtime.block_on(SqliteStore::open(folder.path().join("registry.db"))).expect("a store");
    one_by_one(criterion, "commit/sqlite", &store, &runtime);
    at_once(criterion, &Arc::new(store), &runtime);
}

fn one_by_one(criterion: &mut Criterion, id: &str, store: &dyn ManifestStore, runtime: &Runtime) {
    let moves = runtime.block_on(Moves::prepared(store));
    criterion.bench_function(id, |bencher| {
        bencher.to_async(runtime).iter_batched(
            || commit(vec![moves.next()]),
            async |commit| store.commit(commit).await.expect("a commit"),
            BatchSize::SmallInput,
        );
    });
}

/// So many at the same moment, which share their syncs.
fn at_once(criterion: &mut Criterion, store: &Arc<SqliteStore>, runtime: &Runtime) {
    let moves = runtime.block_on(Moves::prepared(&**store));
    let mut group = criterion.benchmark_group("commit");
    for count in [4_usize, 32] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("sqlite-at-once", count), |bencher| {
            bencher.to_async(runtime).iter_batched(
                || (0..count).map(|_| commit(vec![moves.next()])).collect::<Vec<_>>(),
                async |commits| {
                    let mut under_way = JoinSet::new();
                    for commit in commits {
                        let store = Arc::clone(store);
                        under_way.spawn(async move { store.commit(commit).await.expect("a commit") });
                    }
                    under_way.join_all().await
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}
