//! A repository's aging rule: set, explained, run, looked back at.

use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use swr_policy::aging::{self, NeededBy, VersionFacts};
use swr_policy::{AgingRule, RepositoryName, Tag};
use tracing::{instrument, warn};

use super::access::ControlAccess;
use super::change::{MetadataChange, MetadataRequire};
use super::error::ControlError;
use super::grant::GrantLevel;
use super::rule::{Cleared, RepositoryRule, RuleId};
use super::{ControlPlane, Parts};
use crate::caller::{Actor, Channel, Origin, Task};
use crate::commit::{Change, Commit, CommitError, Require};
use crate::digest::Digest;
use crate::ports::{AgingFacts, ControlAsk, Fence, Lease, Listing, MetadataStore, Page, StoreError};
use crate::registry::BATCH;
use crate::upload::UploadId;

impl ControlAccess<'_> {
    /// Gives the repository an aging rule; it runs at once. Refused where there is one.
    #[instrument(level = "debug", skip_all, fields(%repository))]
    pub async fn create_rule(
        &self,
        repository: &RepositoryName,
        rule: &AgingRule,
    ) -> Result<RuleId, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Manage)).await?;
        let requires = vec![
            MetadataRequire::RepositoryExists(repository.clone()),
            MetadataRequire::RuleFree(repository.clone()),
        ];
        let change = MetadataChange::PutRule { repository: repository.clone(), rule: rule.clone() };
        permitted.commit(requires, vec![change]).await.map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::RuleFree(_) => ControlError::RuleTaken,
                _ => permitted.unknown(),
            })
        })?;
        let rule = permitted.store().rule(repository).await?;
        // Removed again meanwhile.
        Ok(rule.ok_or(ControlError::RuleUnknown)?.id)
    }

    /// Makes of the rule what `change` does of it; it runs at once. Its kind stays.
    #[instrument(level = "debug", skip_all, fields(%repository))]
    pub async fn change_rule(
        &self,
        repository: &RepositoryName,
        id: RuleId,
        change: impl FnOnce(AgingRule) -> AgingRule,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Manage)).await?;
        let mut rule = self.rule_of(permitted.store(), repository, id).await?.rule;
        rule.change(change(rule.clone()))?;
        let requires = vec![MetadataRequire::RuleIs { repository: repository.clone(), id }];
        let change = MetadataChange::PutRule { repository: repository.clone(), rule };
        let changed = permitted.commit(requires, vec![change]).await;
        changed.map(drop).map_err(|unmet| unmet.into_error(|_| ControlError::RuleUnknown))
    }

    /// Takes the rule away. What it has cleared stays in its log.
    #[instrument(level = "debug", skip_all, fields(%repository))]
    pub async fn remove_rule(&self, repository: &RepositoryName, id: RuleId) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Manage)).await?;
        self.rule_of(permitted.store(), repository, id).await?;
        let requires = vec![MetadataRequire::RuleIs { repository: repository.clone(), id }];
        let removed = permitted.commit(requires, vec![MetadataChange::RemoveRule(repository.clone())]).await;
        removed.map(drop).map_err(|unmet| unmet.into_error(|_| ControlError::RuleUnknown))
    }

    /// The repository's rule, if it has one, for whoever may read all of it.
    pub async fn rule(&self, repository: &RepositoryName) -> Result<Option<RepositoryRule>, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Read)).await?;
        expect_there(permitted.store(), repository, || permitted.unknown()).await?;
        Ok(permitted.store().rule(repository).await?)
    }

    async fn rule_of(
        &self,
        store: &dyn MetadataStore,
        repository: &RepositoryName,
        id: RuleId,
    ) -> Result<RepositoryRule, ControlError> {
        expect_there(store, repository, || ControlError::RepositoryUnknown(repository.clone())).await?;
        let rule = store.rule(repository).await?;
        rule.filter(|rule| rule.id == id).ok_or(ControlError::RuleUnknown)
    }

    /// What rules have cleared in the repository, newest first, for whoever may read all of it.
    pub async fn cleared(
        &self,
        repository: &RepositoryName,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Listing<Cleared>, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Read)).await?;
        permitted.store().cleared(repository, offset, limit).await?.ok_or_else(|| permitted.unknown())
    }

    /// The facts that a rule would go by now, so that whoever asks can see what it would do:
    /// [`DryRun::plan`] explains each version. Nothing is removed.
    pub async fn dry_run(&self, repository: &RepositoryName) -> Result<DryRun, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Read)).await?;
        expect_there(permitted.store(), repository, || permitted.unknown()).await?;
        let facts = self.parts().facts_of(repository).await?;
        Ok(DryRun { versions: facts.into_iter().map(|facts| facts.version).collect(), now: permitted.now() })
    }
}

/// Refuses what is about a repository that is not listed.
pub(super) async fn expect_there(
    store: &dyn MetadataStore,
    repository: &RepositoryName,
    unknown: impl Fn() -> ControlError,
) -> Result<(), ControlError> {
    match store.is_listed(repository).await? {
        true => Ok(()),
        false => Err(unknown()),
    }
}

/// The versions of a repository, as a rule sees them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DryRun {
    /// The versions.
    pub versions: Vec<VersionFacts>,
    /// The present.
    pub now: DateTime<Utc>,
}

impl DryRun {
    /// What the rule would do with every version, why, and when those that stay would go.
    pub fn plan(&self, rule: &AgingRule) -> aging::Plan<'_> {
        aging::plan(rule, &self.versions, self.now)
    }
}

/// What one round of aging has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aged {
    /// Rules that ran.
    pub rules: u64,
    /// Versions that were cleared.
    pub versions: u64,
    /// Whether more rules may be due.
    pub more: bool,
}

/// Rules that one round runs.
const RULES_PER_ROUND: NonZeroU32 = NonZeroU32::new(16).expect("16 is not zero");

/// How long the lease of a round lasts without being prolonged.
const LEASE: TimeDelta = TimeDelta::minutes(5);

/// After so many removals it is prolonged.
const REMOVALS_PER_LEASE: usize = 256;

impl ControlPlane {
    /// Runs rules that are due, a bounded number of them, and sets each due again after `every`. `None` when
    /// another process is at it.
    ///
    /// Each version goes in a commit of its own, which requires that it is still what was judged: one that was
    /// pushed meanwhile stays. So does one that a tag guard holds fast.
    #[instrument(level = "debug", skip_all)]
    pub async fn age(&self, every: TimeDelta) -> Result<Option<Aged>, StoreError> {
        let metadata = &*self.0.metadata;
        // Looking costs less than a lease, and mostly there is nothing.
        if metadata.due_rules(self.0.clock.now(), NonZeroU32::MIN).await?.is_empty() {
            return Ok(Some(Aged::default()));
        }
        let holder = UploadId::random();
        let Some(mut fence) = self.hold(holder.as_str()).await? else { return Ok(None) };
        let aged = self.run_due(metadata, every, holder.as_str(), &mut fence).await;
        // Also when it failed, so that the next round need not wait for the lease to lapse.
        metadata.release_lease(&fence).await?;
        aged.map(Some)
    }

    async fn run_due(
        &self,
        metadata: &dyn MetadataStore,
        every: TimeDelta,
        holder: &str,
        fence: &mut Fence,
    ) -> Result<Aged, StoreError> {
        let due = metadata.due_rules(self.0.clock.now(), RULES_PER_ROUND).await?;
        let mut aged = Aged { more: due.len() >= RULES_PER_ROUND.get() as usize, ..Aged::default() };
        for rule in due {
            let is_held = self.prolong(holder, fence).await?
                && self.run_rule(metadata, &rule, holder, fence, &mut aged.versions).await?;
            // A round that took longer than its lease is somebody else's by now.
            if !is_held {
                return Ok(Aged { more: true, ..aged });
            }
            aged.rules += 1;
            let now = self.0.clock.now();
            let next = now.checked_add_signed(every).unwrap_or(now);
            metadata.rule_ran(rule.id, rule.due, next, fence).await?;
        }
        Ok(aged)
    }

    async fn hold(&self, holder: &str) -> Result<Option<Fence>, StoreError> {
        let now = self.0.clock.now();
        let until = now.checked_add_signed(LEASE).unwrap_or(now);
        self.0.metadata.lease(&Lease { name: Task::Aging.as_str(), holder, now, until }).await
    }

    /// Says whether the lease is still held.
    async fn prolong(&self, holder: &str, fence: &mut Fence) -> Result<bool, StoreError> {
        let Some(prolonged) = self.hold(holder).await? else { return Ok(false) };
        *fence = prolonged;
        Ok(true)
    }

    /// Clears what the rule says, and counts it. Says whether the lease was held to the end.
    async fn run_rule(
        &self,
        metadata: &dyn MetadataStore,
        rule: &RepositoryRule,
        holder: &str,
        fence: &mut Fence,
        cleared: &mut u64,
    ) -> Result<bool, StoreError> {
        let now = self.0.clock.now();
        let facts = self.0.facts_of(&rule.repository).await?;
        let versions: Vec<VersionFacts> = facts.iter().map(|facts| facts.version.clone()).collect();
        let plan = aging::plan(&rule.rule, &versions, now);
        for (number, judged) in (1..).zip(plan.removals()) {
            if number % REMOVALS_PER_LEASE == 0 && !self.prolong(holder, fence).await? {
                return Ok(false);
            }
            let tag = &judged.version.tag;
            let Ok(at) = facts.binary_search_by(|facts| facts.version.tag.cmp(tag)) else { continue };
            let Some(AgingFacts { digest, updated, .. }) = facts.get(at) else { continue };
            // Held fast since it was judged.
            if self.0.registry.is_fixed(&rule.repository, tag).await? {
                continue;
            }
            // A rule that was changed or taken away while it ran clears nothing more.
            if metadata.rule(&rule.repository).await?.as_ref() != Some(rule) {
                break;
            }
            let commit = Commit {
                repository: rule.repository.clone(),
                actor: Actor::Caretaker(Task::Aging),
                origin: Origin { channel: Channel::System, ..Origin::default() },
                at: self.0.clock.now(),
                requires: vec![Require::TagIs { tag: tag.clone(), digest: *digest, updated: Some(*updated) }],
                changes: vec![Change::RemoveTag(tag.clone())],
            };
            match metadata.commit(commit).await {
                Ok(receipt) => *cleared += receipt.events.len() as u64,
                // It was set again, or is gone: no longer what was judged.
                Err(CommitError::Unmet(_)) => {}
                Err(CommitError::Store(error)) => return Err(error),
                Err(error @ CommitError::BytesGone(_)) => {
                    warn!(%error, "a removal was refused for what it did not ask");
                }
            }
        }
        Ok(true)
    }
}

impl Parts {
    /// What a rule goes by, of every version, in the order of their tags: also whether a tag guard holds it fast.
    async fn facts_of(&self, repository: &RepositoryName) -> Result<Vec<AgingFacts>, StoreError> {
        let mut facts: Vec<AgingFacts> = Vec::new();
        let mut page = Page { after: None, limit: BATCH };
        loop {
            let mut more = self.metadata.aging_facts(repository, &page).await?;
            let Some(last) = more.last() else { break };
            page.after = Some(last.version.tag.clone());
            for AgingFacts { version, .. } in &mut more {
                version.fixed = self.registry.is_fixed(repository, &version.tag).await?;
            }
            facts.extend(more);
        }
        bind_by_name(&mut facts);
        Ok(facts)
    }
}

/// Signatures and the like whose tag is made from the digest of what they belong to (`sha256-….sig`) are needed by
/// the versions of that digest.
fn bind_by_name(facts: &mut [AgingFacts]) {
    let mut by_digest: std::collections::HashMap<Digest, Vec<Tag>> = std::collections::HashMap::new();
    for AgingFacts { version, digest, .. } in facts.iter() {
        by_digest.entry(*digest).or_default().push(version.tag.clone());
    }
    for AgingFacts { version, digest, .. } in facts.iter_mut() {
        let Some(subject) = subject_of(&version.tag).filter(|subject| subject != digest) else { continue };
        let Some(tags) = by_digest.get(&subject) else { continue };
        match &mut version.needed_by {
            NeededBy::Versions(known) => {
                known.extend(tags.iter().cloned());
                known.sort_unstable();
                known.dedup();
            }
            needed_by @ NeededBy::Nothing => *needed_by = NeededBy::Versions(tags.clone()),
            NeededBy::Untagged => {}
        }
    }
}

/// The digest that a tag is made from: `sha256-` and its hexadecimal digits, perhaps with a suffix behind a dot.
fn subject_of(tag: &Tag) -> Option<Digest> {
    let (algorithm, rest) = tag.as_str().split_once('-')?;
    let encoded = rest.split('.').next()?;
    Digest::parse(&format!("{algorithm}:{encoded}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    #[test]
    fn a_tag_that_is_made_from_a_digest_leads_to_it() {
        let hex = "a".repeat(64);
        let digest = Digest::parse(&format!("sha256:{hex}")).unwrap();
        for text in [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha256-{hex}.att.x")] {
            assert_eq!(subject_of(&tag(&text)), Some(digest), "{text}");
        }
        for text in ["v1", "sha256-abc", "sha256", "latest-1"] {
            assert_eq!(subject_of(&tag(text)), None, "{text}");
        }
    }
}
