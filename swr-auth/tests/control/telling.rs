//! The trail, told to those who listen to it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use swr_core::control::TraceRelay;
use swr_core::control::trace::Trace;
use swr_core::ports::{DeliveryError, Lease, ManifestStore as _, MetadataStore as _, TraceSink};
use swr_core::registry::Left;

use crate::scene::Scene;

/// Remembers what it took; or refuses to listen.
#[derive(Debug, Default)]
struct Sink(Mutex<(Vec<Trace>, bool)>);

impl Sink {
    fn is_down(&self, down: bool) {
        self.0.lock().unwrap().1 = down;
    }

    fn taken(&self) -> Vec<Trace> {
        self.0.lock().unwrap().0.clone()
    }
}

#[async_trait]
impl TraceSink for Sink {
    fn name(&self) -> &str {
        "sink"
    }

    async fn deliver(&self, traces: &[Trace]) -> Result<(), DeliveryError> {
        let (taken, is_down) = &mut *self.0.lock().unwrap();
        if *is_down {
            return Err(DeliveryError::new("it is down"));
        }
        taken.extend_from_slice(traces);
        Ok(())
    }
}

async fn trail(scene: &Scene) -> Vec<Trace> {
    scene.metadata.traces_after(0, 10_000.try_into().unwrap()).await.unwrap()
}

/// Bob gets so many keys, and loses them.
async fn act(scene: &Scene, times: usize) {
    let bob = scene.control_as(&scene.bob);
    for _ in 0..times {
        let (key, _) = scene.access_key(&scene.bob).await;
        bob.remove_access_key(&scene.bob.id, &key).await.unwrap();
    }
}

#[tokio::test]
async fn a_sink_that_is_down_blocks_nobody_and_misses_nothing() {
    let scene = Scene::new().await;
    let sink = Arc::new(Sink::default());
    let relay = TraceRelay::new(scene.control.clone(), Arc::clone(&sink) as _);
    let carried = relay.carry().await.unwrap();
    assert!(matches!(carried.left, Left::Nothing), "{carried:?}");
    let before = trail(&scene).await;
    assert_eq!((carried.delivered, sink.taken()), (before.len() as u64, before.clone()));

    sink.is_down(true);
    act(&scene, 200).await;
    for _ in 0..3 {
        let carried = relay.carry().await.unwrap();
        assert!(matches!(carried.left, Left::Refused(_)) && carried.delivered == 0, "{carried:?}");
    }
    let all = trail(&scene).await;
    assert_eq!(all.len(), before.len() + 400);
    // For as long as the trail keeps it.
    scene.pass(TimeDelta::hours(23));
    while scene.control.trim(TimeDelta::days(1)).await.unwrap() > 0 {}
    assert_eq!(trail(&scene).await, all);

    sink.is_down(false);
    let carried = relay.carry().await.unwrap();
    assert!(matches!(carried.left, Left::More) && carried.delivered == 256, "{carried:?}");
    act(&scene, 1).await;
    assert!(matches!(relay.carry().await.unwrap().left, Left::Nothing));
    let taken = sink.taken();
    assert_eq!(taken[..all.len()], all);
    assert_eq!(taken.len(), all.len() + 2);
    assert_eq!(relay.carry().await.unwrap().delivered, 0);
}

#[tokio::test]
async fn one_tells_a_sink_at_a_time() {
    let scene = Scene::new().await;
    let sink = Arc::new(Sink::default());
    let relay = TraceRelay::new(scene.control.clone(), Arc::clone(&sink) as _);
    let now = scene.control.now();
    let until = now + TimeDelta::minutes(5);
    let elsewhere = Lease { name: "trace_relay/sink", holder: "elsewhere", now, until };
    scene.metadata.lease(&elsewhere).await.unwrap().unwrap();
    assert!(matches!(relay.carry().await.unwrap().left, Left::Elsewhere));
    assert_eq!(sink.taken(), []);
    // Whoever is gone stops nobody for long.
    scene.pass(TimeDelta::minutes(6));
    relay.carry().await.unwrap();
    assert_eq!(sink.taken(), trail(&scene).await);
}
