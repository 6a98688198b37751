//! Triggers and their deliveries in memory.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use swr_core::commit::RepositoryId;
use swr_core::control::change::{Effect, MetadataCommitError, MetadataRequire};
use swr_core::control::trigger::{Delivery, DeliveryId, DeliveryState, Trigger, TriggerId};
use swr_core::ports::{ClaimedDelivery, NewDelivery, Tried};
use swr_core::{RepositoryName, TriggerName};

use super::manifest_commit::Changing;
use super::manifests::Tables;
use super::metadata::Metadata;
use super::metadata_commit::{removal, taken};

/// A trigger as it is kept.
#[derive(Clone)]
pub(super) struct MadeTrigger {
    pub(super) of: RepositoryId,
    pub(super) trigger: Trigger,
    /// When it was made, or enabled last: versions from before do not fire it.
    since: DateTime<Utc>,
}

/// A delivery as it is kept.
pub(super) struct MadeDelivery {
    delivery: Delivery,
    /// The number of the last claim on it.
    claims: u64,
    /// When the last claim on it ends by itself; `None` once it was settled.
    claimed_until: Option<DateTime<Utc>>,
}

impl MadeDelivery {
    fn is_waiting(&self) -> bool {
        matches!(self.delivery.state, DeliveryState::Waiting(_))
    }
}

impl Tables {
    /// The triggers of the repository of this id.
    pub(super) fn triggers_of(&self, id: RepositoryId) -> impl Iterator<Item = (TriggerId, &MadeTrigger)> {
        let all = self.metadata.triggers.iter();
        all.filter(move |(_, made)| made.of == id).map(|(trigger, made)| (*trigger, made))
    }

    pub(super) fn trigger(
        &self,
        repository: &RepositoryName,
        name: &TriggerName,
    ) -> Option<(TriggerId, &MadeTrigger)> {
        let mut triggers = self.triggers_of(self.listed_id(repository)?);
        triggers.find(|(_, made)| made.trigger.name == *name)
    }
}

impl Metadata {
    /// The deliveries of the trigger, newest first.
    pub(super) fn deliveries_of(&self, trigger: TriggerId) -> impl Iterator<Item = &Delivery> {
        let newest_first = self.deliveries.values().rev().map(|made| &made.delivery);
        let is_there = self.triggers.contains_key(&trigger);
        newest_first.filter(move |delivery| is_there && delivery.trigger == trigger)
    }

    pub(super) fn add_deliveries(&mut self, deliveries: &[NewDelivery]) {
        for NewDelivery { id, trigger, event, tag, digest, at } in deliveries {
            let Some(made) = self.triggers.get(trigger) else { continue };
            let Entry::Vacant(place) = self.deliveries.entry((*event, *trigger)) else { continue };
            if made.trigger.rule.enabled && made.since <= *at {
                let delivery = Delivery {
                    id: id.clone(),
                    trigger: *trigger,
                    event: *event,
                    tag: tag.clone(),
                    digest: *digest,
                    at: *at,
                    state: DeliveryState::Waiting(*at),
                    attempts: 0,
                    tried: None,
                    detail: "".into(),
                };
                place.insert(MadeDelivery { delivery, claims: 0, claimed_until: None });
            }
        }
    }

    pub(super) fn claim_deliveries(
        &mut self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Vec<ClaimedDelivery> {
        let mut busy = BTreeSet::new();
        let mut oldest = BTreeMap::new();
        for (key, made) in self.deliveries.iter().filter(|(_, made)| made.is_waiting()) {
            let Some(MadeTrigger { trigger, .. }) = self.triggers.get(&made.delivery.trigger) else {
                continue;
            };
            let target = trigger.target.key();
            if made.claimed_until.is_some_and(|until| until > now) {
                busy.insert(target);
            } else if trigger.rule.enabled {
                oldest.entry(target).or_insert((*key, trigger.clone()));
            }
        }
        oldest.retain(|target, _| !busy.contains(target));
        let mut oldest: Vec<_> = oldest.into_values().collect();
        oldest.sort_unstable_by_key(|(key, _)| *key);
        let claimed = oldest.into_iter().filter_map(|(key, trigger)| {
            let made = self.deliveries.get_mut(&key)?;
            let DeliveryState::Waiting(due) = made.delivery.state else { return None };
            (due <= now).then(|| {
                made.claims += 1;
                made.claimed_until = Some(until);
                ClaimedDelivery { delivery: made.delivery.clone(), trigger, claim: made.claims }
            })
        });
        claimed.take(limit).collect()
    }

    pub(super) fn settle_delivery(&mut self, claimed: &ClaimedDelivery, tried: &Tried) {
        let key = (claimed.delivery.event, claimed.delivery.trigger);
        match self.deliveries.get_mut(&key) {
            Some(made) if made.claims == claimed.claim && made.claimed_until.is_some() => {
                made.claimed_until = None;
                let delivery = &mut made.delivery;
                delivery.state = tried.state;
                delivery.attempts = delivery.attempts.saturating_add(1);
                delivery.tried = Some(tried.at);
                delivery.detail = tried.detail.clone();
            }
            _ => {}
        }
    }

    pub(super) fn revive_delivery(
        &mut self,
        trigger: TriggerId,
        id: &DeliveryId,
        now: DateTime<Utc>,
    ) -> bool {
        if !self.triggers.contains_key(&trigger) {
            return false;
        }
        let mut deliveries = self.deliveries.values_mut().map(|made| &mut made.delivery);
        let found =
            deliveries.find(|it| it.trigger == trigger && it.id == *id && it.state == DeliveryState::Dead);
        found.map(|delivery| delivery.state = DeliveryState::Waiting(now)).is_some()
    }

    /// Removes what is past from the history, at most `limit` of each kind.
    pub(super) fn trim_history(&mut self, before: DateTime<Utc>, limit: usize) -> u64 {
        let settled = self.deliveries.iter().filter(|(_, made)| !made.is_waiting());
        let settled = settled.filter_map(|(key, made)| Some((made.delivery.tried?, *key)));
        let mut settled: Vec<_> = settled.filter(|(tried, _)| *tried < before).collect();
        settled.sort_unstable();
        settled.truncate(limit);
        for (_, key) in &settled {
            self.deliveries.remove(key);
        }
        let orphans = self.deliveries.keys().filter(|(_, trigger)| !self.triggers.contains_key(trigger));
        let mut orphans: Vec<_> = orphans.map(|(event, trigger)| (*trigger, *event)).collect();
        orphans.sort_unstable();
        orphans.truncate(limit);
        for (trigger, event) in &orphans {
            self.deliveries.remove(&(*event, *trigger));
        }
        let cleared = self.cleared.iter().map(|(seq, (_, cleared))| (cleared.at, *seq));
        let mut cleared: Vec<_> = cleared.filter(|(at, _)| *at < before).collect();
        cleared.sort_unstable();
        cleared.truncate(limit);
        for (_, seq) in &cleared {
            self.cleared.remove(seq);
        }
        let jobs = self.sync_jobs.iter().map(|(id, (_, job))| (job.updated, *id));
        let mut jobs: Vec<_> = jobs.filter(|(updated, _)| *updated < before).collect();
        jobs.sort_unstable();
        jobs.truncate(limit);
        for (_, id) in &jobs {
            self.sync_jobs.remove(id);
        }
        (settled.len() + orphans.len() + cleared.len() + jobs.len()) as u64
    }
}

impl Changing<'_> {
    pub(super) fn create_trigger(&mut self, trigger: &Trigger) -> Result<Effect, MetadataCommitError> {
        let Some(of) = self.tables.listed_id(&trigger.repository) else { return Ok(Effect::Nothing) };
        match self.tables.trigger(&trigger.repository, &trigger.name) {
            Some((_, made)) if made.trigger == *trigger => return Ok(Effect::Nothing),
            Some(_) => {
                let (repository, name) = (trigger.repository.clone(), trigger.name.clone());
                return Err(taken(MetadataRequire::TriggerFree { repository, name }));
            }
            None => {}
        }
        // Taking back does not give the number back: none is ever given twice.
        self.tables.metadata.last_trigger += 1;
        let id = TriggerId(self.tables.metadata.last_trigger);
        let made = MadeTrigger { of, trigger: trigger.clone(), since: trigger.created };
        self.put(|tables| Some(&mut tables.metadata.triggers), id, Some(made));
        Ok(Effect::Created)
    }

    pub(super) fn enable_trigger(
        &mut self,
        repository: &RepositoryName,
        name: &TriggerName,
        enabled: bool,
    ) -> Effect {
        let Some((id, made)) = self.tables.trigger(repository, name) else { return Effect::Nothing };
        if made.trigger.rule.enabled == enabled {
            return Effect::Nothing;
        }
        let mut made = MadeTrigger { since: self.at, ..made.clone() };
        made.trigger.rule.enabled = enabled;
        self.put(|tables| Some(&mut tables.metadata.triggers), id, Some(made));
        Effect::Changed
    }

    pub(super) fn remove_trigger(&mut self, repository: &RepositoryName, name: &TriggerName) -> Effect {
        let found = self.tables.trigger(repository, name).map(|(id, _)| id);
        if let Some(id) = found {
            self.put(|tables| Some(&mut tables.metadata.triggers), id, None);
        }
        removal(found.is_some())
    }
}
