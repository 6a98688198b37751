//! Aging rules in memory: what they are, what they go by, and what they have cleared.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use swr_core::caller::{Actor, Task};
use swr_core::commit::RepositoryId;
use swr_core::control::change::Effect;
use swr_core::control::rule::{
    AgingRule, Cleared, LastPulled, NeededBy, RepositoryRule, RuleId, VersionFacts,
};
use swr_core::digest::Digest;
use swr_core::manifest::ManifestRecord;
use swr_core::ports::{AgingFacts, Page};
use swr_core::{RepositoryName, Tag};

use super::manifest_commit::Changing;
use super::manifests::{Repository, Tables, TagState, most, start, under};
use super::metadata_commit::removal;

impl Tables {
    pub(super) fn rule(&self, repository: &RepositoryName) -> Option<&RepositoryRule> {
        self.metadata.rules.get(&self.listed_id(repository)?)
    }

    pub(super) fn due_rules(&self, now: DateTime<Utc>) -> Vec<RepositoryRule> {
        let mut due: Vec<_> = self.metadata.rules.values().filter(|rule| rule.due <= now).cloned().collect();
        due.sort_by_key(|rule| (rule.due, rule.id));
        due
    }

    pub(super) fn rule_ran(&mut self, id: RuleId, ran: DateTime<Utc>, next: DateTime<Utc>) {
        if let Some(rule) = self.metadata.rules.values_mut().find(|rule| rule.id == id && rule.due == ran) {
            rule.due = next;
        }
    }

    /// What was cleared in the repository of this id, newest first.
    pub(super) fn cleared(&self, id: RepositoryId) -> impl Iterator<Item = &Cleared> {
        self.metadata.cleared.values().rev().filter(move |(of, _)| *of == id).map(|(_, cleared)| cleared)
    }
}

impl Repository {
    pub(super) fn aging_facts(&self, page: &Page<Tag>) -> Vec<AgingFacts> {
        let tags = self.tags.range::<Tag, _>(start(page));
        tags.filter_map(|(tag, state)| self.facts(tag, state)).take(most(page.limit)).collect()
    }

    fn facts(&self, tag: &Tag, state: &TagState) -> Option<AgingFacts> {
        let manifest = self.manifests.get(&state.digest)?;
        let pulls = [state.pulls, manifest.pulls].into_iter().flatten();
        let version = VersionFacts {
            tag: tag.clone(),
            updated: Some(state.updated),
            last_pulled: pulls.map(|pulls| pulls.last).max().map_or(LastPulled::Never, LastPulled::At),
            needed_by: self.needed_by(&manifest.record),
            fixed: false,
        };
        Some(AgingFacts { version, digest: state.digest, updated: state.updated })
    }

    fn needed_by(&self, record: &ManifestRecord) -> NeededBy {
        let subject = record.subject.filter(|subject| self.manifests.contains_key(subject));
        let needing: BTreeSet<Digest> =
            under(&self.parents, &record.digest).copied().chain(subject).collect();
        let mut tags = BTreeSet::new();
        for digest in &needing {
            let before = tags.len();
            tags.extend(under(&self.tags_of, digest).cloned());
            // A tag points to one manifest.
            if tags.len() == before {
                return NeededBy::Untagged;
            }
        }
        if tags.is_empty() { NeededBy::Nothing } else { NeededBy::Versions(tags.into_iter().collect()) }
    }
}

impl Changing<'_> {
    pub(super) fn put_rule(&mut self, repository: &RepositoryName, rule: &AgingRule) -> Effect {
        let Some(id) = self.tables.listed_id(repository) else { return Effect::Nothing };
        let metadata = &mut self.tables.metadata;
        let (rule_id, effect) = match metadata.rules.get(&id) {
            Some(before) if before.rule == *rule => return Effect::Nothing,
            Some(before) => (before.id, Effect::Changed),
            None => {
                // Taking back does not give the number back: none is ever given twice.
                metadata.last_rule += 1;
                (RuleId(metadata.last_rule), Effect::Created)
            }
        };
        let rule =
            RepositoryRule { id: rule_id, repository: repository.clone(), rule: rule.clone(), due: self.at };
        self.put(|tables| Some(&mut tables.metadata.rules), id, Some(rule));
        effect
    }

    pub(super) fn remove_rule(&mut self, repository: &RepositoryName) -> Effect {
        let was_there = self.tables.rule(repository).is_some();
        if let Some(id) = self.tables.listed_id(repository) {
            self.put(|tables| Some(&mut tables.metadata.rules), id, None);
        }
        removal(was_there)
    }

    /// A tag was removed: by the repository's rule, perhaps.
    pub(super) fn note_cleared(&mut self, id: RepositoryId, tag: &Tag) {
        let metadata = &mut self.tables.metadata;
        let (Actor::Caretaker(Task::Aging), Some(rule)) = (&self.actor, metadata.rules.get(&id)) else {
            return;
        };
        metadata.last_cleared += 1;
        let seq = metadata.last_cleared;
        let cleared = Cleared { seq, id: rule.id, rule: rule.rule.clone(), tag: tag.clone(), at: self.at };
        self.put(|tables| Some(&mut tables.metadata.cleared), seq, Some((id, cleared)));
    }
}
