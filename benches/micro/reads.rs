//! One question to the facts, as each pull asks it.

use divan::Bencher;
use swr_core::ports::{ManifestStore, WithBytes};
use swr_core::reference::Reference;
use swr_storage::{MemoryManifests, SqliteStore};
use tokio::runtime::Runtime;

use crate::commits::{Moves, commit, runtime};

#[divan::bench]
fn reading_a_manifest_from_memory(bencher: Bencher<'_, '_>) {
    read(bencher, &MemoryManifests::new(), &runtime());
}

#[divan::bench]
fn reading_a_manifest_from_sqlite(bencher: Bencher<'_, '_>) {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let store = runtime.block_on(SqliteStore::open(folder.path().join("registry.db"))).expect("a store");
    read(bencher, &store, &runtime);
}

fn read(bencher: Bencher<'_, '_>, store: &dyn ManifestStore, runtime: &Runtime) {
    let tag = runtime.block_on(async {
        let moves = Moves::prepared(store).await;
        store.commit(commit(vec![moves.next()])).await.expect("a tag");
        Reference::Tag("latest".parse().expect("a tag"))
    });
    let repository = "library/app".parse().expect("a name");
    bencher.bench_local(|| {
        runtime
            .block_on(store.resolve(&repository, &tag, WithBytes::Yes))
            .expect("an answer")
            .expect("a manifest")
    });
}
