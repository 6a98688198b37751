//! A registry over these stores and the model of one give the same answers.

use std::sync::Arc;

use swr_core::testing::registry_model::{Direct, agrees_with_the_model, some_order_agrees_with_the_model};
use swr_storage::{MemoryBlobs, MemoryManifests};

#[cfg(feature = "testing-postgres")]
mod postgres_place;

#[test]
fn memory_agrees_with_the_model() {
    agrees_with_the_model(
        64,
        || (Arc::new(MemoryBlobs::new()), Arc::new(MemoryManifests::new())),
        async |(bytes, manifests)| (Arc::clone(bytes), Arc::clone(manifests) as Arc<_>),
        Direct::new,
    );
}

#[test]
fn whatever_the_order_of_its_steps_memory_agrees_with_the_model_in_some_order() {
    some_order_agrees_with_the_model(64, || (MemoryBlobs::new(), MemoryManifests::new()));
}

#[cfg(feature = "sqlite")]
#[test]
fn sqlite_agrees_with_the_model() {
    use swr_storage::SqliteStore;
    use tokio::sync::OnceCell;

    // A database in memory ends with its store, so that it is kept where it was made.
    agrees_with_the_model(
        64,
        || (Arc::new(MemoryBlobs::new()), OnceCell::new()),
        async |(bytes, facts)| {
            let facts = facts.get_or_init(async || Arc::new(SqliteStore::in_memory().await.unwrap())).await;
            (Arc::clone(bytes), Arc::clone(facts) as Arc<_>)
        },
        Direct::new,
    );
}

#[cfg(all(feature = "filesystem", feature = "sqlite"))]
#[test]
fn files_and_sqlite_agree_with_the_model() {
    use swr_storage::{FilesystemBlobs, SqliteStore};

    agrees_with_the_model(
        12,
        || tempfile::tempdir().unwrap(),
        async |folder| {
            let bytes = FilesystemBlobs::open(folder.path().join("blobs")).unwrap();
            let facts = SqliteStore::open(folder.path().join("registry.db")).await.unwrap();
            (Arc::new(bytes), Arc::new(facts) as Arc<_>)
        },
        Direct::new,
    );
}

#[cfg(feature = "bucket")]
#[test]
fn a_bucket_agrees_with_the_model() {
    use object_store::memory::InMemory;
    use swr_storage::{BucketBlobs, MemorySessions};

    agrees_with_the_model(
        32,
        || (Arc::new(InMemory::new()), Arc::new(MemorySessions::new()), Arc::new(MemoryManifests::new())),
        async |(objects, sessions, manifests)| {
            let bytes = BucketBlobs::open(Arc::clone(objects), Arc::clone(sessions) as _);
            (Arc::new(bytes), Arc::clone(manifests) as Arc<_>)
        },
        Direct::new,
    );
}

#[cfg(all(feature = "bucket", feature = "testing-postgres"))]
#[test]
fn a_bucket_and_postgres_agree_with_the_model() {
    use object_store::memory::InMemory;
    use swr_storage::BucketBlobs;
    use tokio::sync::OnceCell;

    use postgres_place::Place;

    // Opened anew wherever the registry is, as by another process.
    agrees_with_the_model(
        12,
        || (Arc::new(InMemory::new()), OnceCell::new()),
        async |(objects, place)| {
            let facts = Arc::new(place.get_or_init(Place::new).await.open().await);
            let bytes = BucketBlobs::open(Arc::clone(objects), Arc::clone(&facts) as _);
            (Arc::new(bytes), facts as Arc<_>)
        },
        Direct::new,
    );
}
