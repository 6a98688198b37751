//! What content can live through: every order of the steps of pushers, a deleter and the registry's own hands, each
//! ending for good wherever it may. Nowhere are bytes gone that a repository links, and from everywhere there is a way
//! to where nothing is kept that nothing needs.
//!
//! The steps are those of a model. That the stores are what it is a model of is seen by leading them along its ways.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod exploration;
mod model;
#[cfg(feature = "testing-postgres")]
#[path = "../postgres_place/mod.rs"]
mod postgres_place;
mod replay;

#[cfg(feature = "bucket")]
use std::sync::Arc;
use std::sync::LazyLock;

use swr_core::ports::ManifestStore;
use swr_core::testing::upload_store::Bytestore;
use swr_storage::{MemoryBlobs, MemoryManifests};

use exploration::{Explored, explore};
use model::{Condition, Model};
use replay::replay;

/// One upload, a pusher, a deleter and a caretaker.
const SMALL: Model = Model {
    uploads: 1,
    is_used: true,
    pushers: 1,
    caretakers: 1,
    rots: false,
    loses_power: false,
    without: None,
};
/// Content is brought twice.
const TWICE: Model = Model { uploads: 2, ..SMALL };
/// It may rot as well, and a scrubber sets it aside until it is brought anew.
const ROTTING: Model = Model { is_used: false, rots: true, ..TWICE };
/// Two bring it at once, each by an upload of its own or by that of the other.
const RIVALS: Model = Model { is_used: false, pushers: 2, ..TWICE };
/// The power fails, and a scrub finds what nothing knows any more.
const OUTAGES: Model = Model { loses_power: true, ..SMALL };
/// Two processes look after one registry.
const REPLICAS: Model = Model { caretakers: 2, ..SMALL };

/// All of each world, explored once for all tests. The first one is a part of the others.
static WORLDS: [LazyLock<Explored>; 6] = [
    LazyLock::new(|| explored(SMALL)),
    LazyLock::new(|| explored(TWICE)),
    LazyLock::new(|| explored(ROTTING)),
    LazyLock::new(|| explored(RIVALS)),
    LazyLock::new(|| explored(OUTAGES)),
    LazyLock::new(|| explored(REPLICAS)),
];

/// All of it, where no law is broken.
fn explored(model: Model) -> Explored {
    explore(model).unwrap_or_else(|found| panic!("{}: {:?}", found.law, found.steps))
}

#[test]
fn no_order_of_steps_loses_what_is_linked_or_keeps_garbage_for_ever() {
    for (world, states_min) in WORLDS.iter().zip([2_000, 50_000, 50_000, 50_000, 5_000, 10_000]) {
        let count = world.count();
        assert!(count > states_min, "so few that some must be missing: {count} of {:?}", world.model);
    }
}

#[test]
fn whatever_condition_is_left_out_is_missed() {
    for without in Condition::ALL {
        let mut models = [SMALL, ROTTING, OUTAGES].into_iter();
        let found = models.find_map(|model| explore(Model { without: Some(without), ..model }).err());
        assert!(found.is_some(), "nothing breaks without {without:?}");
    }
}

/// Leads stores that are opened new and empty along `count` ways of each world and to all that comes of its steps.
async fn lead_where_the_model_does<S: ManifestStore, B: Bytestore>(
    count: usize,
    open: impl AsyncFn() -> S,
    bytes: impl Fn() -> B,
) {
    for world in &WORLDS[1..] {
        for way in world.ways(count) {
            replay(&world.model, &open().await, &bytes(), &way).await;
        }
    }
}

#[tokio::test]
async fn memory_leads_where_the_model_does() {
    lead_where_the_model_does(300, async || MemoryManifests::new(), MemoryBlobs::new).await;
}

#[cfg(feature = "bucket")]
#[tokio::test]
async fn a_bucket_leads_where_the_model_does() {
    use object_store::memory::InMemory;
    use swr_storage::{BucketBlobs, MemorySessions};

    let bytes = || BucketBlobs::open(Arc::new(InMemory::new()), Arc::new(MemorySessions::new()));
    lead_where_the_model_does(100, async || MemoryManifests::new(), bytes).await;
}

/// Each way in a schema of its own.
#[cfg(feature = "testing-postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_leads_where_the_model_does() {
    let open = async || postgres_place::Place::new().await.open().await;
    lead_where_the_model_does(8, open, MemoryBlobs::new).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_leads_where_the_model_does() {
    let open = async || swr_storage::SqliteStore::in_memory().await.unwrap();
    lead_where_the_model_does(20, open, MemoryBlobs::new).await;
}
