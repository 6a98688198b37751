//! Stores that are told the same history give the same answers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio::runtime::{Builder, Runtime};

use swr_core::ports::ManifestStore;
use swr_core::testing::history::{broken_law, disagreement, histories};
use swr_storage::MemoryManifests;

#[cfg(feature = "testing-postgres")]
mod postgres_place;

/// Tries the same histories every time; more of them when `PROPTEST_CASES` says so.
fn for_histories<S: Debug>(
    histories: impl Strategy<Value = Vec<S>>,
    check: impl Fn(&Runtime, &[S]) -> Result<(), String>,
) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&histories, |history| check(&runtime, &history).map_err(TestCaseError::fail));
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Plays histories to the model and to stores that `open` opens, new and empty.
fn agrees_with_the_model<S: ManifestStore>(open: impl AsyncFn() -> S) {
    for_histories(histories(60), |runtime, history| {
        let played = async { disagreement(&MemoryManifests::new(), &open().await, history).await };
        runtime.block_on(played).map_err(|difference| difference.to_string())
    });
}

/// Which nobody compares it with another store to find out.
#[test]
fn the_model_keeps_the_laws() {
    let model = MemoryManifests::new;
    for_histories(histories(60), |runtime, history| runtime.block_on(broken_law(&model(), history)));
}

#[test]
fn one_model_agrees_with_another() {
    agrees_with_the_model(async || MemoryManifests::new());
}

#[cfg(feature = "sqlite")]
#[test]
fn sqlite_agrees_with_the_model() {
    agrees_with_the_model(async || swr_storage::SqliteStore::in_memory().await.unwrap());
}

#[cfg(feature = "testing-postgres")]
#[test]
fn postgres_agrees_with_the_model() {
    agrees_with_the_model(async || postgres_place::Place::new().await.open().await);
}

#[cfg(feature = "control")]
mod metadata {
    use swr_core::ports::MetadataStore;
    use swr_core::testing::metadata_history::{
        broken_law, disagreement, histories, lost_in_the_trail, traced_histories,
    };
    use swr_storage::MemoryManifests;

    use super::for_histories;

    /// Plays histories to the model and to stores that `open` opens, new and empty.
    fn agrees_with_the_model<S: MetadataStore>(open: impl AsyncFn() -> S) {
        for_histories(histories(80), |runtime, history| {
            let played = async { disagreement(&MemoryManifests::new(), &open().await, history).await };
            runtime.block_on(played).map_err(|difference| difference.to_string())
        });
    }

    /// Plays histories to stores that `open` opens, new and empty, and what their trails tell to others.
    fn trail_replays_to_the_state<S: MetadataStore>(open: impl AsyncFn() -> S) {
        for_histories(traced_histories(80), |runtime, history| {
            let played = async { lost_in_the_trail(&open().await, &open().await, history).await };
            runtime.block_on(played).map_err(|difference| difference.to_string())
        });
    }

    #[test]
    fn the_model_keeps_the_laws() {
        let model = MemoryManifests::new;
        for_histories(histories(80), |runtime, history| runtime.block_on(broken_law(&model(), history)));
    }

    #[test]
    fn one_model_agrees_with_another() {
        agrees_with_the_model(async || MemoryManifests::new());
    }

    #[test]
    fn the_trail_of_the_model_replays_to_its_state() {
        trail_replays_to_the_state(async || MemoryManifests::new());
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_agrees_with_the_model() {
        agrees_with_the_model(async || swr_storage::SqliteStore::in_memory().await.unwrap());
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn the_trail_of_sqlite_replays_to_its_state() {
        trail_replays_to_the_state(async || swr_storage::SqliteStore::in_memory().await.unwrap());
    }

    #[cfg(feature = "testing-postgres")]
    #[test]
    fn postgres_agrees_with_the_model() {
        agrees_with_the_model(async || super::postgres_place::Place::new().await.open().await);
    }

    #[cfg(feature = "testing-postgres")]
    #[test]
    fn the_trail_of_postgres_replays_to_its_state() {
        trail_replays_to_the_state(async || super::postgres_place::Place::new().await.open().await);
    }
}
