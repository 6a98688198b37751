//! Events on their way from the log to those who listen.

use std::sync::Arc;

use async_trait::async_trait;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use swr_auth::AnyoneMay;
use swr_core::Registry;
use swr_core::event::RecordedEvent;
use swr_core::ports::{DeliveryError, EventSink, ManifestStore};
use swr_core::registry::Relay;
use swr_storage::{MemoryBlobs, MemoryManifests, SqliteStore};

use crate::commits::{Moves, commit, runtime};

/// As many as one call carries to one who listens.
const EVENTS: usize = 256;

#[divan::bench(args = [1, 10], sample_count = 50, sample_size = 1)]
fn telling_listeners_from_memory(bencher: Bencher<'_, '_>, listeners: usize) {
    telling(bencher, listeners, || Arc::new(MemoryManifests::new()));
}

#[divan::bench(args = [1, 10], sample_count = 50, sample_size = 1)]
fn telling_listeners_from_sqlite(bencher: Bencher<'_, '_>, listeners: usize) {
    let runtime = runtime();
    telling(bencher, listeners, || Arc::new(runtime.block_on(SqliteStore::in_memory()).expect("a store")));
}

/// Each listener is told of all events.
fn telling(bencher: Bencher<'_, '_>, listeners: usize, store: impl Fn() -> Arc<dyn ManifestStore>) {
    let runtime = runtime();
    bencher
        .counter(ItemsCount::new(EVENTS * listeners))
        .with_inputs(|| {
            let store = store();
            runtime.block_on(async {
                let moves = Moves::prepared(&*store).await;
                let changes = (0..EVENTS).map(|_| moves.next()).collect();
                store.commit(commit(changes)).await.expect("a commit");
            });
            let registry =
                Registry::builder(Arc::new(MemoryBlobs::new()), store, Arc::new(AnyoneMay)).build();
            let relay = |number: usize| Relay::new(registry.clone(), Arc::new(Listener(number.to_string())));
            (0..listeners).map(relay).collect::<Vec<_>>()
        })
        .bench_local_values(|relays| {
            runtime.block_on(async {
                for relay in &relays {
                    assert_eq!(relay.carry().await.expect("a store").delivered, EVENTS as u64);
                }
            });
            relays
        });
}

#[derive(Debug)]
struct Listener(String);

#[async_trait]
impl EventSink for Listener {
    fn name(&self) -> &str {
        &self.0
    }

    async fn deliver(&self, event: &RecordedEvent) -> Result<(), DeliveryError> {
        black_box(event);
        Ok(())
    }
}
