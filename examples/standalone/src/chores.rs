//! What the registry does unasked: sweeping, collecting, trimming, writing counts. The library spawns nothing;
//! these are its loops.

use std::future::Future;
#[cfg(feature = "console")]
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
#[cfg(feature = "console")]
use swr_auth::SessionDesk;
use swr_core::caller::Task;
use swr_core::control::{ControlPlane, TraceRelay};
use swr_core::ports::{StoreError, StoreErrorKind};
use swr_core::registry::{Left, Registry};
use swr_http::control::{REPORT_DAYS_MAX, Refusals};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::scrub;

/// How often counted pulls are written: what a crash may lose.
const PULLS_EVERY: Duration = Duration::from_secs(10);

/// How long events are kept that every consumer has passed.
const EVENTS_KEPT: TimeDelta = TimeDelta::days(7);

/// How often it is looked whether a scrub is due.
const SCRUB_LOOKS_EVERY: Duration = Duration::from_secs(60);

/// As often as is collected, and no oftener than each second: what is trimmed or swept has lain idle for long.
fn trims_every(config: &Config) -> Duration {
    config.collection.interval.0.max(Duration::from_secs(1))
}

/// Starts the loops; they end when `stop` turns true, each after the step it is in.
pub(crate) fn start(
    registry: &Registry,
    metrics: &Arc<Metrics>,
    config: &Config,
    stop: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut chores = JoinSet::new();
    let interval = config.collection.interval.0;
    if config.collection.enabled {
        let chore = Chore::new("collection", interval, metrics, stop);
        let (registry, metrics) = (registry.clone(), Arc::clone(metrics));
        chores.spawn(chore.repeat(move || collect(registry.clone(), Arc::clone(&metrics))));
    }
    let chore = Chore::new("upload_sweep", trims_every(config), metrics, stop);
    let (swept, counted) = (registry.clone(), Arc::clone(metrics));
    chores.spawn(chore.repeat(move || sweep(swept.clone(), Arc::clone(&counted))));

    if config.scrub.enabled {
        let (every, rate) = (config.scrub.interval.0, config.scrub.rate.0);
        let chore = Chore::new("scrub", every.min(SCRUB_LOOKS_EVERY), metrics, stop);
        let (registry, metrics, stop) = (registry.clone(), Arc::clone(metrics), stop.clone());
        let passes = Arc::new(scrub::Passes::of(config));
        chores.spawn(chore.repeat(move || {
            let (registry, passes) = (registry.clone(), Arc::clone(&passes));
            scrub::pass(registry, passes, Arc::clone(&metrics), (every, rate), stop.clone())
        }));
    }

    let chore = Chore::new("event_trim", trims_every(config), metrics, stop);
    let trimmed = registry.clone();
    chores.spawn(chore.repeat(move || {
        let registry = trimmed.clone();
        async move {
            while registry.caretaker(Task::Collection).trim_events(EVENTS_KEPT).await? > 0 {}
            Ok(())
        }
    }));

    let chore = Chore::new("pull_counts", PULLS_EVERY, metrics, stop);
    let counted = registry.clone();
    chores.spawn(chore.repeat(move || {
        let registry = counted.clone();
        async move { registry.caretaker(Task::Collection).flush_pulls().await.map(drop) }
    }));
    chores
}

/// How often what was refused is written into the trail: what a crash may lose.
const REFUSALS_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked whether an aging rule is due.
const AGING_LOOKS_EVERY: Duration = Duration::from_secs(1);

/// How often it is noted what accounts keep.
const USAGE_EVERY: Duration = Duration::from_secs(3600);

/// Starts the loops of the control plane: what was refused goes into the trail, what is old out of it, aging rules run,
/// and it is noted what is kept.
pub(crate) fn look_after(
    chores: &mut JoinSet<()>,
    refusals: &Refusals,
    plane: &ControlPlane,
    metrics: &Arc<Metrics>,
    config: &Config,
    stop: &watch::Receiver<bool>,
) {
    let chore = Chore::new("refusals", REFUSALS_EVERY, metrics, stop);
    let refusals = refusals.clone();
    chores.spawn(chore.repeat(move || {
        let refusals = refusals.clone();
        async move {
            while refusals.record().await? > 0 {}
            Ok(())
        }
    }));
    let chore = Chore::new("trace_trim", trims_every(config), metrics, stop);
    let keep = TimeDelta::from_std(config.accounts.traces_keep.0).unwrap_or(TimeDelta::MAX);
    let forgetful = plane.clone();
    chores.spawn(chore.repeat(move || {
        let plane = forgetful.clone();
        async move {
            while plane.trim(keep).await? > 0 {}
            Ok(())
        }
    }));

    let chore = Chore::new("history_trim", trims_every(config), metrics, stop);
    let keep = TimeDelta::from_std(config.triggers.history_keep.0).unwrap_or(TimeDelta::MAX);
    let trimmed = plane.clone();
    chores.spawn(chore.repeat(move || {
        let plane = trimmed.clone();
        async move {
            while plane.trim_history(keep).await? > 0 {}
            Ok(())
        }
    }));
    let chore = Chore::new("aging", AGING_LOOKS_EVERY, metrics, stop);
    let every = TimeDelta::from_std(config.aging.interval.0).unwrap_or(TimeDelta::MAX);
    let (aged, counted) = (plane.clone(), Arc::clone(metrics));
    chores.spawn(chore.repeat(move || age(aged.clone(), every, Arc::clone(&counted))));

    let chore = Chore::new("usage", USAGE_EVERY, metrics, stop);
    let noted = plane.clone();
    chores.spawn(chore.repeat(move || {
        let plane = noted.clone();
        async move {
            plane.note_usage().await?;
            while plane.trim_usage(REPORT_DAYS_MAX).await? > 0 {}
            Ok(())
        }
    }));
}

/// Starts the loop that removes what is left of sessions that have ended by themselves.
#[cfg(feature = "console")]
pub(crate) fn end_sessions(
    chores: &mut JoinSet<()>,
    sessions: &Arc<SessionDesk>,
    metrics: &Arc<Metrics>,
    config: &Config,
    stop: &watch::Receiver<bool>,
) {
    const BATCH: NonZeroU32 = NonZeroU32::MIN.saturating_add(255);
    let chore = Chore::new("session_trim", trims_every(config), metrics, stop);
    let sessions = Arc::clone(sessions);
    chores.spawn(chore.repeat(move || {
        let sessions = Arc::clone(&sessions);
        async move {
            while sessions.trim(BATCH).await? > 0 {}
            Ok(())
        }
    }));
}

async fn age(plane: ControlPlane, every: TimeDelta, metrics: Arc<Metrics>) -> Result<(), StoreError> {
    while let Some(aged) = plane.age(every).await? {
        if aged.rules > 0 {
            debug!(?aged, "aged");
        }
        metrics.collected("version", aged.versions);
        if !aged.more {
            break;
        }
    }
    Ok(())
}

/// How often the trail is told.
const AUDIT_EVERY: Duration = Duration::from_secs(1);

/// Starts the loop that tells a sink of the trail. A sink that is down is told later, and holds nobody up.
pub(crate) fn tell_the_trail(
    chores: &mut JoinSet<()>,
    relay: TraceRelay,
    metrics: &Arc<Metrics>,
    stop: &watch::Receiver<bool>,
) {
    let chore = Chore::new("audit", AUDIT_EVERY, metrics, stop);
    chores.spawn(chore.repeat(move || {
        let relay = relay.clone();
        async move {
            loop {
                match relay.carry().await?.left {
                    Left::More => {}
                    Left::Refused(error) => {
                        return Err(StoreError::new(StoreErrorKind::Unavailable, "audit.deliver", error));
                    }
                    _ => return Ok(()),
                }
            }
        }
    }));
}

async fn collect(registry: Registry, metrics: Arc<Metrics>) -> Result<(), StoreError> {
    while let Some(round) = registry.caretaker(Task::Collection).collect().await? {
        debug!(?round, "collected");
        metrics.collected("manifest", round.released.manifests);
        metrics.collected("link", round.released.links);
        metrics.collected("repository", round.released.repositories);
        metrics.collected("blob", round.deleted);
        if !round.more {
            break;
        }
    }
    Ok(())
}

async fn sweep(registry: Registry, metrics: Arc<Metrics>) -> Result<(), StoreError> {
    if let Some(swept) = registry.caretaker(Task::UploadSweep).sweep_uploads().await? {
        metrics.collected("upload", swept.abandoned + swept.forgotten);
    }
    Ok(())
}

/// After a step comes a rest of so many times as long as it took, where the interval is shorter: steps that are quickly
/// done take no more than a fifth of the time from those who push and pull.
const REST: u32 = 4;

/// No chore rests for longer because of that, so that only intervals below this are stretched.
const REST_MAX: Duration = Duration::from_secs(1);

/// One thing that is done again and again.
struct Chore {
    name: &'static str,
    every: Duration,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
}

impl Chore {
    fn new(
        name: &'static str,
        every: Duration,
        metrics: &Arc<Metrics>,
        stop: &watch::Receiver<bool>,
    ) -> Self {
        Self { name, every, metrics: Arc::clone(metrics), stop: stop.clone() }
    }

    /// Takes a step, waits, and takes the next. A step that fails, or panics, is logged and counted, and the
    /// next one is taken at its time. The last step is taken after the stop, so that nothing counted is lost.
    async fn repeat<F>(mut self, step: impl Fn() -> F)
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        loop {
            let began = Instant::now();
            match tokio::spawn(step()).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => {
                    let source = std::error::Error::source(&failure).map(ToString::to_string);
                    warn!(chore = self.name, %failure, source, "will be tried again");
                    self.metrics.chore_failed(self.name);
                }
                Err(failure) => {
                    error!(chore = self.name, %failure, "ended in a panic; will be tried again");
                    self.metrics.chore_failed(self.name);
                }
            }
            if *self.stop.borrow() {
                return;
            }
            let rest = began.elapsed().saturating_mul(REST).min(REST_MAX);
            tokio::select! {
                () = tokio::time::sleep(self.every.max(rest)) => {}
                _ = self.stop.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// How many steps that take so long are begun in a minute.
    async fn steps_in_a_minute(took: Duration, every: Duration) -> u32 {
        let (stopping, stop) = watch::channel(false);
        let chore = Chore::new("test", every, &Arc::new(Metrics::new()), &stop);
        let steps = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&steps);
        let chore = tokio::spawn(chore.repeat(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(took).await;
                Ok(())
            }
        }));
        tokio::time::sleep(Duration::from_millis(59_999)).await;
        let steps = steps.load(Ordering::Relaxed);
        stopping.send_replace(true);
        chore.await.unwrap();
        steps
    }

    #[tokio::test(start_paused = true)]
    async fn steps_that_are_quickly_done_take_a_fifth_of_the_time() {
        let millis = Duration::from_millis;
        assert_eq!(steps_in_a_minute(millis(9), millis(1)).await, 60_000 / 45 + 1);
        assert_eq!(steps_in_a_minute(millis(9), millis(91)).await, 600);
        assert_eq!(
            steps_in_a_minute(millis(5_000), millis(1)).await,
            10,
            "a rest is no longer than a second"
        );
        assert_eq!(steps_in_a_minute(millis(5_000), millis(10_000)).await, 4);
    }
}
