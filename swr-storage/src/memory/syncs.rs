//! What was asked of synchronisation, in memory.

use swr_core::RepositoryName;
use swr_core::commit::RepositoryId;
use swr_core::control::change::Effect;
use swr_core::control::sync::{SyncJob, SyncRule, SyncTarget};

use super::manifest_commit::Changing;
use super::manifests::Tables;
use super::metadata_commit::removal;

impl Tables {
    /// What the repository of this id is kept in step with, oldest first.
    pub(super) fn syncs_of(&self, id: RepositoryId) -> impl Iterator<Item = &SyncRule> {
        self.metadata.syncs.values().filter(move |(of, _)| *of == id).map(|(_, sync)| sync)
    }

    /// What was asked to go from the repository of this id, oldest first.
    pub(super) fn sync_jobs_of(&self, id: RepositoryId) -> impl Iterator<Item = &SyncJob> {
        self.metadata.sync_jobs.values().filter(move |(of, _)| *of == id).map(|(_, job)| job)
    }

    pub(super) fn sync(&self, repository: &RepositoryName, target: &SyncTarget) -> Option<&SyncRule> {
        self.syncs_of(self.listed_id(repository)?).find(|sync| sync.target == *target)
    }
}

impl Changing<'_> {
    pub(super) fn put_sync(&mut self, wish: &SyncRule) -> Effect {
        let Some(of) = self.tables.listed_id(&wish.repository) else { return Effect::Nothing };
        let (effect, id, created) = match self.tables.sync(&wish.repository, &wish.target) {
            Some(before) if (before.auto, before.overwrite) == (wish.auto, wish.overwrite) => {
                return Effect::Nothing;
            }
            Some(before) => (Effect::Changed, before.id, before.created),
            None => {
                // Taking back does not give the number back: none is ever given twice.
                self.tables.metadata.last_sync += 1;
                (Effect::Created, self.tables.metadata.last_sync, wish.created)
            }
        };
        let sync = SyncRule { id, created, ..wish.clone() };
        self.put(|tables| Some(&mut tables.metadata.syncs), id, Some((of, sync)));
        effect
    }

    pub(super) fn remove_sync(&mut self, repository: &RepositoryName, target: &SyncTarget) -> Effect {
        let found = self.tables.sync(repository, target).map(|sync| sync.id);
        if let Some(id) = found {
            self.put(|tables| Some(&mut tables.metadata.syncs), id, None);
        }
        removal(found.is_some())
    }

    pub(super) fn add_sync_job(&mut self, wish: &SyncJob) -> Effect {
        let Some(of) = self.tables.listed_id(&wish.repository) else { return Effect::Nothing };
        self.tables.metadata.last_sync_job += 1;
        let id = self.tables.metadata.last_sync_job;
        let job = SyncJob { id, ..wish.clone() };
        self.put(|tables| Some(&mut tables.metadata.sync_jobs), id, Some((of, job)));
        Effect::Created
    }
}
