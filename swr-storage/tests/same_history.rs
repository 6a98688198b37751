//! Stores that are told the same history give the same answers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio::runtime::{Builder, Runtime};

use swr_core::ports::ManifestStore;
use swr_core::testing::history::{Step, broken_law, disagreement, histories};
use swr_storage::MemoryManifests;

/// Tries the same histories every time; more of them when `PROPTEST_CASES` says so.
fn for_histories(check: impl Fn(&Runtime, &[Step]) -> Result<(), String>) {
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome =
        runner.run(&histories(60), |history| check(&runtime, &history).map_err(TestCaseError::fail));
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Plays histories to the model and to stores that `open` opens, new and empty.
fn agrees_with_the_model<S: ManifestStore>(open: impl AsyncFn() -> S) {
    for_histories(|runtime, history| {
        let played = async { disagreement(&MemoryManifests::new(), &open().await, history).await };
        runtime.block_on(played).map_err(|difference| difference.to_string())
    });
}

/// Which nobody compares it with another store to find out.
#[test]
fn the_model_keeps_the_laws() {
    for_histories(|runtime, history| runtime.block_on(broken_law(&MemoryManifests::new(), history)));
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
