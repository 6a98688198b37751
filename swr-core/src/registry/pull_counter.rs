//! Pulls as they are seen: counted in memory, written now and then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use swr_policy::RepositoryName;

use crate::ports::PullCount;
use crate::reference::Reference;

/// Counts of pulls that no store has yet. An observation: a crash loses it, and so does a flood of references
/// that nobody writes out.
#[derive(Debug, Default)]
pub(super) struct PullCounter(Mutex<Counts>);

type Counts = HashMap<(RepositoryName, Reference), (u64, DateTime<Utc>)>;

/// How many references are counted between two writes.
const REFERENCES_MAX: usize = 10_000;

impl PullCounter {
    /// One more pull.
    pub(super) fn count(&self, repository: &RepositoryName, reference: &Reference, at: DateTime<Utc>) {
        self.add(repository.clone(), reference.clone(), 1, at);
    }

    /// Everything counted so far, which is no longer counted here.
    pub(super) fn take(&self) -> Vec<PullCount> {
        let counts = std::mem::take(&mut *self.lock());
        counts
            .into_iter()
            .map(|((repository, reference), (count, last))| PullCount { repository, reference, count, last })
            .collect()
    }

    /// Takes back what could not be written.
    pub(super) fn put_back(&self, counts: Vec<PullCount>) {
        for PullCount { repository, reference, count, last } in counts {
            self.add(repository, reference, count, last);
        }
    }

    fn add(&self, repository: RepositoryName, reference: Reference, count: u64, at: DateTime<Utc>) {
        let mut counts = self.lock();
        let key = (repository, reference);
        if counts.len() >= REFERENCES_MAX && !counts.contains_key(&key) {
            return;
        }
        let (counted, last) = counts.entry(key).or_insert((0, at));
        *counted = counted.saturating_add(count);
        *last = at.max(*last);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
