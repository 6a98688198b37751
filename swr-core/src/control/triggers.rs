//! A repository's triggers: made, fired, and what they do seen through.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::TimeDelta;
use swr_policy::{RepositoryName, TriggerName, TriggerRule, TriggerSet};
use tracing::instrument;

use super::ControlPlane;
use super::access::ControlAccess;
use super::change::{MetadataChange, MetadataRequire};
use super::error::ControlError;
use super::grant::GrantLevel;
use super::trigger::{Delivery, DeliveryId, DeliveryState, Trigger, TriggerId, TriggerTarget};
use crate::event::Event;
use crate::ports::{
    ActionError, ClaimedDelivery, ControlAsk, Fence, Lease, NewDelivery, StoreError, Tried, TriggerAction,
};
use crate::registry::BATCH;
use crate::upload::UploadId;

impl ControlAccess<'_> {
    /// Adds a trigger to the repository. Versions from before do not fire it.
    #[instrument(level = "debug", skip_all, fields(%repository, trigger = %name))]
    pub async fn create_trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
        rule: TriggerRule,
        target: TriggerTarget,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        let creator = self.user().await?;
        let requires = vec![
            MetadataRequire::RepositoryExists(repository.clone()),
            MetadataRequire::TriggerFree { repository: repository.clone(), name: name.clone() },
            MetadataRequire::TriggersFewerThan {
                repository: repository.clone(),
                limit: self.parts().limits.triggers_per_repository,
            },
        ];
        let change = MetadataChange::CreateTrigger(Trigger {
            repository: repository.clone(),
            name: name.clone(),
            rule,
            target,
            creator: creator.id,
            creator_name: creator.name,
            created: permitted.now(),
        });
        permitted.commit(requires, vec![change]).await.map(drop).map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::TriggerFree { name, .. } => ControlError::TriggerTaken(name.clone()),
                MetadataRequire::TriggersFewerThan { limit, .. } => {
                    ControlError::TriggerQuota { limit: *limit }
                }
                _ => permitted.unknown(),
            })
        })
    }

    /// Lets the trigger fire, or not.
    #[instrument(level = "debug", skip_all, fields(%repository, trigger = %name, enabled))]
    pub async fn enable_trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
        enabled: bool,
    ) -> Result<(), ControlError> {
        let change =
            MetadataChange::EnableTrigger { repository: repository.clone(), name: name.clone(), enabled };
        self.change_trigger(repository, name, change).await
    }

    /// Takes the trigger away, and its history with it.
    #[instrument(level = "debug", skip_all, fields(%repository, trigger = %name))]
    pub async fn remove_trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
    ) -> Result<(), ControlError> {
        let change = MetadataChange::RemoveTrigger { repository: repository.clone(), name: name.clone() };
        self.change_trigger(repository, name, change).await
    }

    async fn change_trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
        change: MetadataChange,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        let requires = vec![
            MetadataRequire::RepositoryExists(repository.clone()),
            MetadataRequire::TriggerExists { repository: repository.clone(), name: name.clone() },
        ];
        permitted.commit(requires, vec![change]).await.map(drop).map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::TriggerExists { name, .. } => ControlError::TriggerUnknown(name.clone()),
                _ => permitted.unknown(),
            })
        })
    }

    /// The repository's triggers in the order of their names, for whoever may read all of it. Without what their
    /// messages are signed with.
    pub async fn triggers(
        &self,
        repository: &RepositoryName,
    ) -> Result<Vec<(TriggerId, Trigger)>, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Read)).await?;
        let mut triggers =
            permitted.store().triggers(repository).await?.ok_or_else(|| permitted.unknown())?;
        for (_, trigger) in &mut triggers {
            if let TriggerTarget::Webhook { secret, .. } = &mut trigger.target {
                *secret = None;
            }
        }
        Ok(triggers)
    }

    /// The trigger of this name, and what it has done, newest first, for whoever may read all of the repository.
    pub async fn trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
        history: NonZeroU32,
    ) -> Result<(Trigger, Vec<Delivery>), ControlError> {
        let triggers = self.triggers(repository).await?;
        let found = triggers.into_iter().find(|(_, trigger)| trigger.name == *name);
        let (id, trigger) = found.ok_or_else(|| ControlError::TriggerUnknown(name.clone()))?;
        Ok((trigger, self.parts().metadata.deliveries(id, history).await?))
    }

    /// Lets a delivery that was given up be tried again.
    #[instrument(level = "debug", skip_all, fields(%repository, trigger = %name))]
    pub async fn revive_delivery(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
        delivery: &DeliveryId,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        let triggers = permitted.store().triggers(repository).await?.ok_or_else(|| permitted.unknown())?;
        let found = triggers.into_iter().find(|(_, trigger)| trigger.name == *name);
        let (id, _) = found.ok_or_else(|| ControlError::TriggerUnknown(name.clone()))?;
        match permitted.store().revive_delivery(id, delivery, permitted.now()).await? {
            true => Ok(()),
            false => Err(ControlError::DeliveryUnknown),
        }
    }
}

/// Turns events into deliveries, and sees deliveries through.
///
/// A push never waits for either: the event is written with the push, and everything else happens afterwards, in
/// whatever process, again after a crash.
#[derive(Clone, Debug)]
pub struct Courier {
    plane: ControlPlane,
    action: Arc<dyn TriggerAction>,
}

/// How far one call has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FannedOut {
    /// Events that were looked at.
    pub events: u64,
    /// Whether there may be more at once.
    pub more: bool,
}

/// How long the lease of fanning out lasts.
const LEASE: TimeDelta = TimeDelta::seconds(30);

/// With so many deliveries a step is large enough, however many events there are.
const DELIVERIES_ENOUGH: usize = 1000;

/// How long a delivery stays claimed: longer than an action may take.
const CLAIM: TimeDelta = TimeDelta::minutes(1);

/// After how many tries a delivery is given up: with the pauses of [`retry_after`], after a day or so.
const ATTEMPTS_MAX: u32 = 30;

impl Courier {
    /// The consumer of the log of events that fans out.
    pub const CONSUMER: &str = "triggers";

    /// Sees the triggers of `plane` through with `action`.
    pub fn new(plane: ControlPlane, action: Arc<dyn TriggerAction>) -> Self {
        Self { plane, action }
    }

    /// Turns the next events of the log into deliveries, and remembers how far it has come in the same step.
    #[instrument(level = "debug", skip_all)]
    pub async fn fan_out(&self) -> Result<FannedOut, StoreError> {
        let parts = &*self.plane.0;
        let metadata = &*parts.metadata;
        // Looking costs less than a lease, and mostly there is nothing.
        if metadata.events(metadata.cursor(Self::CONSUMER).await?, NonZeroU32::MIN).await?.is_empty() {
            return Ok(FannedOut::default());
        }
        let now = parts.clock.now();
        let until = now.checked_add_signed(LEASE).unwrap_or(now);
        let holder = UploadId::random();
        let lease = Lease { name: Self::CONSUMER, holder: holder.as_str(), now, until };
        let Some(fence) = metadata.lease(&lease).await? else { return Ok(FannedOut::default()) };
        let fanned_out = self.fan_out_next(&fence).await;
        // Also when it failed, so that the next call need not wait for the lease to lapse.
        metadata.release_lease(&fence).await?;
        fanned_out
    }

    async fn fan_out_next(&self, fence: &Fence) -> Result<FannedOut, StoreError> {
        let metadata = &*self.plane.0.metadata;
        let events = metadata.events(metadata.cursor(Self::CONSUMER).await?, BATCH).await?;
        let mut known: HashMap<RepositoryName, Fired> = HashMap::new();
        let mut deliveries = Vec::new();
        let mut handled = 0;
        for event in &events {
            if deliveries.len() >= DELIVERIES_ENOUGH {
                break;
            }
            handled += 1;
            let Event::TagSet { tag, digest, .. } = &event.event else { continue };
            if !known.contains_key(&event.repository) {
                let triggers = metadata.triggers(&event.repository).await?.unwrap_or_default();
                known.insert(event.repository.clone(), Fired::new(&triggers));
            }
            let Some(fired) = known.get(&event.repository) else { continue };
            deliveries.extend(fired.by(tag).map(|trigger| NewDelivery {
                id: DeliveryId::random(),
                trigger,
                event: event.seq,
                tag: tag.clone(),
                digest: *digest,
                at: event.at,
            }));
        }
        if let Some(last) = events.iter().take(handled).next_back() {
            metadata.fan_out(&deliveries, Self::CONSUMER, last.seq, fence).await?;
        }
        let more = handled < events.len() || events.len() >= BATCH.get() as usize;
        Ok(FannedOut { events: handled as u64, more })
    }

    /// Takes deliveries that are due into its hands, of each target the oldest, so that nobody else tries them for a
    /// while: they are for [`attempt`](Self::attempt), each beside the others, so that none waits for another's target.
    #[instrument(level = "debug", skip_all)]
    pub async fn claim(&self, limit: NonZeroU32) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let parts = &*self.plane.0;
        let now = parts.clock.now();
        let until = now.checked_add_signed(CLAIM).unwrap_or(now);
        parts.metadata.claim_deliveries(now, until, limit).await
    }

    /// Tries a delivery, and keeps what came of it: done, to be tried again later, or given up. Dropped on the way, it
    /// is tried again once the claim has lapsed.
    #[instrument(level = "debug", skip_all, fields(delivery = claimed.delivery.id.as_str()))]
    pub async fn attempt(&self, claimed: &ClaimedDelivery) -> Result<(), StoreError> {
        let parts = &*self.plane.0;
        let outcome = self.action.act(&claimed.trigger, &claimed.delivery).await;
        let at = parts.clock.now();
        let attempts = claimed.delivery.attempts.saturating_add(1);
        let (state, detail) = match outcome {
            Ok(detail) => (DeliveryState::Delivered, detail),
            Err(ActionError::Impossible(detail)) => (DeliveryState::Dead, detail),
            Err(ActionError::Failed(detail)) if attempts >= ATTEMPTS_MAX => (DeliveryState::Dead, detail),
            Err(ActionError::Failed(detail)) => {
                let due = at.checked_add_signed(retry_after(&claimed.delivery.id, attempts));
                (DeliveryState::Waiting(due.unwrap_or(at)), detail)
            }
        };
        let detail = detail.chars().take(DETAIL_CHARS_MAX).collect::<String>().into();
        parts.metadata.settle_delivery(claimed, &Tried { at, state, detail }).await
    }
}

/// No detail of a try is kept longer, in characters.
const DETAIL_CHARS_MAX: usize = 500;

/// How long a delivery waits after so many tries that failed: 1 second, doubled each time up to an hour, and up to
/// half as much again, by its id, so that many do not come back at once.
pub fn retry_after(id: &DeliveryId, attempts: u32) -> TimeDelta {
    const MOST: i64 = 3_600_000;
    let doubled = 1_000_i64.checked_shl(attempts.saturating_sub(1).min(20)).unwrap_or(MOST).min(MOST);
    let spread = id.as_str().bytes().chain(attempts.to_le_bytes());
    // FNV-1a: any even spread will do.
    let hash = spread.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let part = i64::try_from(hash % 512).unwrap_or(0);
    TimeDelta::milliseconds(doubled + doubled * part / 1024)
}

/// The triggers of a repository, compiled.
struct Fired {
    ids: Vec<TriggerId>,
    set: TriggerSet,
}

impl Fired {
    fn new(triggers: &[(TriggerId, Trigger)]) -> Self {
        Self {
            ids: triggers.iter().map(|(id, _)| *id).collect(),
            set: TriggerSet::new(triggers.iter().map(|(_, trigger)| &trigger.rule)),
        }
    }

    fn by(&self, tag: &swr_policy::Tag) -> impl Iterator<Item = TriggerId> {
        self.set.fired_by(tag).into_iter().filter_map(|at| self.ids.get(at)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_waits_longer_each_time_and_never_much_more_than_an_hour() {
        let id = DeliveryId::random();
        let waits: Vec<i64> =
            (1..=40).map(|attempts| retry_after(&id, attempts).num_milliseconds()).collect();
        for (at, wait) in waits.iter().enumerate() {
            let least = (1_000_i64 << at.min(20)).min(3_600_000);
            assert!((least..=least * 3 / 2).contains(wait), "{at}: {wait}");
        }
    }

    #[test]
    fn deliveries_that_failed_together_do_not_all_come_back_together() {
        let waits: std::collections::BTreeSet<_> =
            (0..64).map(|_| retry_after(&DeliveryId::random(), 5)).collect();
        assert!(waits.len() > 16, "{waits:?}");
    }
}
