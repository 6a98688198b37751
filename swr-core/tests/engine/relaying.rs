//! What happened, told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use swr_core::event::{EventSeq, RecordedEvent};
use swr_core::ports::{Clock, DeliveryError, EventSink, Lease, ManifestStore, StoreErrorKind};
use swr_core::registry::{Left, Relay};
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::stepping::{Plan, Stepping};
use swr_core::testing::{ManualClock, RecordingSink};
use swr_storage::memory::MemoryManifests;

use crate::scene::Scene;

fn relay(scene: &Scene, sink: &Arc<RecordingSink>) -> Relay {
    Relay::new(scene.registry.clone(), Arc::clone(sink) as _)
}

async fn told(scene: &Scene, sink: &RecordingSink) -> bool {
    let told: Vec<_> = sink.events().into_iter().map(|recorded| recorded.event).collect();
    told == scene.events().await
}

#[tokio::test]
async fn a_sink_is_told_everything_in_order_and_once_while_nothing_fails() {
    let scene = Scene::new();
    let sink = Arc::new(RecordingSink::new("webhook"));
    let relay = relay(&scene, &sink);
    for number in 0..3 {
        scene.push("o/app", &format!("v{number}"), &SampleManifest::image(&number.to_string())).await;
        let carried = relay.carry().await.unwrap();
        assert!(matches!(carried.left, Left::Nothing), "{carried:?}");
        assert!(told(&scene, &sink).await);
    }
    assert_eq!(relay.carry().await.unwrap().delivered, 0);
}

#[tokio::test]
async fn a_sink_that_refuses_is_told_again_from_there_on() {
    let scene = Scene::new();
    let sink = Arc::new(RecordingSink::new("webhook"));
    let relay = relay(&scene, &sink);
    scene.push("o/app", "v1", &SampleManifest::image("app")).await;
    sink.refuse(2);
    for _ in 0..2 {
        let carried = relay.carry().await.unwrap();
        assert!(matches!(carried.left, Left::Refused(_)) && carried.delivered == 0, "{carried:?}");
    }
    relay.carry().await.unwrap();
    assert!(told(&scene, &sink).await);
}

#[tokio::test]
async fn what_a_sink_has_not_taken_stays_in_the_log() {
    let scene = Scene::new();
    let sink = Arc::new(RecordingSink::new("webhook"));
    let relay = relay(&scene, &sink);
    scene.push("o/app", "v1", &SampleManifest::image("app")).await;
    let all = scene.events().await.len() as u64;
    sink.refuse(1);
    relay.carry().await.unwrap();
    scene.pass(TimeDelta::days(30));
    assert_eq!(scene.caretaker().trim_events(TimeDelta::days(7)).await.unwrap(), 0);
    relay.carry().await.unwrap();
    assert_eq!(sink.events().len() as u64, all);
    assert_eq!(scene.caretaker().trim_events(TimeDelta::days(60)).await.unwrap(), 0, "too young");
    assert_eq!(scene.caretaker().trim_events(TimeDelta::days(7)).await.unwrap(), all);
}

#[tokio::test]
async fn a_crash_before_it_was_remembered_tells_again() {
    let scene = Scene::new();
    let sink = Arc::new(RecordingSink::new("webhook"));
    let relay = relay(&scene, &sink);
    scene.push_blob("o/app", &SampleBlob::new("one")).await;
    relay.carry().await.unwrap();
    scene.push_blob("o/app", &SampleBlob::new("two")).await;
    scene.steps.plan(Plan::Failing("advance"));
    relay.carry().await.unwrap_err();
    scene.steps.plan(Plan::Plain);
    relay.carry().await.unwrap();
    let seqs: Vec<EventSeq> = sink.events().iter().map(|event| event.seq).collect();
    assert_eq!(seqs.len(), 3);
    assert!(seqs[0] < seqs[1] && seqs[1] == seqs[2], "{seqs:?}");
}

#[tokio::test]
async fn a_long_log_is_carried_batch_by_batch() {
    let scene = Scene::new();
    let sink = Arc::new(RecordingSink::new("webhook"));
    let relay = relay(&scene, &sink);
    for number in 0..300 {
        scene.push_blob("o/app", &SampleBlob::new(&number.to_string())).await;
    }
    let first = relay.carry().await.unwrap();
    assert!(matches!(first.left, Left::More) && first.delivered == 256, "{first:?}");
    relay.carry().await.unwrap();
    assert!(told(&scene, &sink).await);
}

#[tokio::test]
async fn one_carries_to_a_sink_at_a_time() {
    let scene = Scene::new();
    let sink = Arc::new(RecordingSink::new("webhook"));
    let relay = relay(&scene, &sink);
    scene.push_blob("o/app", &SampleBlob::new("one")).await;
    let now = swr_core::testing::minute(0);
    let elsewhere =
        Lease { name: "relay/webhook", holder: "elsewhere", now, until: now + TimeDelta::minutes(5) };
    scene.manifests.inner().lease(&elsewhere).await.unwrap().unwrap();
    assert!(matches!(relay.carry().await.unwrap().left, Left::Elsewhere));
    assert!(sink.events().is_empty());
    // Whoever is gone stops nobody for long.
    scene.pass(TimeDelta::minutes(6));
    relay.carry().await.unwrap();
    assert!(told(&scene, &sink).await);
}

/// Takes minutes for each event, after each of which another process asks for the lease.
#[derive(Debug)]
struct SlowSink {
    clock: Arc<ManualClock>,
    manifests: Arc<Stepping<MemoryManifests>>,
    minutes: i64,
    /// How often the other process got it.
    lost: AtomicU32,
}

#[async_trait]
impl EventSink for SlowSink {
    fn name(&self) -> &str {
        "slow"
    }

    async fn deliver(&self, _: &RecordedEvent) -> Result<(), DeliveryError> {
        self.clock.advance(TimeDelta::minutes(self.minutes));
        let now = self.clock.now();
        let lease =
            Lease { name: "relay/slow", holder: "elsewhere", now, until: now + TimeDelta::minutes(5) };
        if self.manifests.inner().lease(&lease).await.map_err(DeliveryError::new)?.is_some() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_sink_may_take_its_time_and_whoever_takes_too_much_loses_its_place() {
    for (minutes, lost) in [(3, 0), (6, 1)] {
        let scene = Scene::new();
        scene.push("o/app", "v1", &SampleManifest::image("app")).await;
        let sink = Arc::new(SlowSink {
            clock: Arc::clone(&scene.clock),
            manifests: Arc::clone(&scene.manifests),
            minutes,
            lost: AtomicU32::new(0),
        });
        let carried = Relay::new(scene.registry.clone(), Arc::clone(&sink) as _).carry().await;
        assert_eq!(sink.lost.load(Ordering::Relaxed), lost);
        let cursor = scene.manifests.inner().cursor("slow").await.unwrap();
        match carried {
            Ok(carried) => assert!(lost == 0 && carried.delivered == 5 && cursor > EventSeq::START),
            // Who has the place by now is told those events again.
            Err(error) => {
                assert!(lost == 1 && error.kind() == StoreErrorKind::Fenced && cursor == EventSeq::START)
            }
        }
    }
}
