//! One question to the facts, as each pull asks it.

use criterion::Criterion;
use swr_core::ports::{ManifestStore, WithBytes};
use swr_core::reference::Reference;
use swr_storage::{MemoryManifests, SqliteStore};
use tokio::runtime::Runtime;

use crate::commits::{Moves, commit, runtime};

pub(crate) fn bench(criterion: &mut Criterion) {
    let runtime = runtime();
    read(criterion, "manifest/read/memory", &MemoryManifests::new(), &runtime);

    let folder = tempfile::tempdir().expect("a folder");
    let store = runtime.block_on(SqliteStore::open(folder.path().join("registry.db"))).expect("a store");
    read(criterion, "manifest/read/sqlite", &store, &runtime);
}

fn read(criterion: &mut Criterion, id: &str, store: &dyn ManifestStore, runtime: &Runtime) {
    let tag = runtime.block_on(async {
        let moves = Moves::prepared(store).await;
        store.commit(commit(vec![moves.next()])).await.expect("a tag");
        Reference::Tag("latest".parse().expect("a tag"))
    });
    let repository = "library/app".parse().expect("a name");
    criterion.bench_function(id, |bencher| {
        bencher.to_async(runtime).iter(async || {
            store.resolve(&repository, &tag, WithBytes::Yes).await.expect("an answer").expect("a manifest")
        });
    });
}
