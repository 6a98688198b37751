//! Events on their way from the log to those who listen.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use swr_auth::AnyoneMay;
use swr_core::Registry;
use swr_core::event::RecordedEvent;
use swr_core::ports::{DeliveryError, EventSink, ManifestStore};
use swr_core::registry::Relay;
use swr_storage::{MemoryBlobs, MemoryManifests, SqliteStore};
use tokio::runtime::Runtime;

use crate::commits::{Moves, commit, runtime};

/// As many as one call carries to one who listens.
const EVENTS: usize = 256;

pub(crate) fn bench(criterion: &mut Criterion) {
    let runtime = runtime();
    telling(criterion, "memory", || Arc::new(MemoryManifests::new()), &runtime);
    let in_memory = || runtime.block_on(SqliteStore::in_memory()).expect("a store");
    telling(criterion, "sqlite", || Arc::new(in_memory()), &runtime);
}

/// Each listener is told of all events.
fn telling(
    criterion: &mut Criterion,
    name: &str,
    store: impl Fn() -> Arc<dyn ManifestStore>,
    runtime: &Runtime,
) {
    let mut group = criterion.benchmark_group("events");
    // Each time begins with a store of its own, which takes longer than what is measured.
    group.measurement_time(Duration::from_millis(50));
    for listeners in [1_usize, 10] {
        let prepared = || {
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
        };
        group.throughput(Throughput::Elements((EVENTS * listeners) as u64));
        group.bench_function(BenchmarkId::new(name, listeners), |bencher| {
            bencher.iter_batched_ref(
                prepared,
                |relays| {
                    runtime.block_on(async {
                        for relay in relays {
                            assert_eq!(relay.carry().await.expect("a store").delivered, EVENTS as u64);
                        }
                    });
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
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
