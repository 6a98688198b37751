//! What the registry does to itself, unasked.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::instrument;

use super::Parts;
use crate::caller::Task;
use crate::ports::{Fence, Lease, StoreError};

/// The registry's own hand: no authorizer stands before it, preconditions and leases do.
///
/// Each step is bounded, may be dropped at any point and repeated at any time, and says what it has done. A
/// host calls them in its loops; several processes may.
pub struct Caretaker<'r> {
    pub(super) parts: &'r Parts,
    task: Task,
}

impl<'r> Caretaker<'r> {
    pub(super) fn new(parts: &'r Parts, task: Task) -> Self {
        Self { parts, task }
    }

    /// What it is here for.
    pub fn task(&self) -> Task {
        self.task
    }

    /// Writes the pulls that were counted since the last call, some at a time, and says of how many references. Those
    /// that the store fails at are counted on.
    #[instrument(level = "debug", skip_all, fields(task = self.task.as_str()))]
    pub async fn flush_pulls(&self) -> Result<u64, StoreError> {
        let mut counts = self.parts.pulls.take();
        let mut written = 0;
        while !counts.is_empty() {
            let some = counts.len().saturating_sub(PULLS_AT_ONCE);
            if let Err(error) =
                self.parts.manifests.observe_pulls(counts.get(some..).unwrap_or_default()).await
            {
                self.parts.pulls.put_back(counts);
                return Err(error);
            }
            written += (counts.len() - some) as u64;
            counts.truncate(some);
        }
        Ok(written)
    }

    /// Removes events older than `keep` that every consumer has passed, and says how many; fewer than there
    /// are when there are many.
    #[instrument(level = "debug", skip_all, fields(task = self.task.as_str()))]
    pub async fn trim_events(&self, keep: TimeDelta) -> Result<u64, StoreError> {
        match self.parts.now().checked_sub_signed(keep) {
            Some(before) => self.parts.manifests.trim_events(before, super::collect::BATCH).await,
            None => Ok(0),
        }
    }
}

/// How many references one call to a store counts pulls of: pushes may wait for it.
const PULLS_AT_ONCE: usize = 100;

impl fmt::Debug for Caretaker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caretaker").field("task", &self.task).finish_non_exhaustive()
    }
}

impl Parts {
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Takes a lease in this registry's name; `None` when somebody else holds it. It lapses by itself, so that
    /// a holder that is gone stops nobody for long.
    pub(super) async fn hold(&self, lease: &str) -> Result<Option<Held<'_>>, StoreError> {
        let now = self.now();
        let until = now.checked_add_signed(LEASE).unwrap_or(now);
        let fence = self.manifests.lease(&Lease { name: lease, holder: &self.holder, now, until }).await?;
        Ok(fence.map(|fence| Held { parts: self, fence, until }))
    }
}

#[cfg(feature = "control")]
impl super::Registry {
    /// As [`Parts::hold`], for the control plane.
    pub(crate) async fn hold(&self, lease: &str) -> Result<Option<Held<'_>>, StoreError> {
        self.0.hold(lease).await
    }
}

/// A lease in our hands.
pub(crate) struct Held<'r> {
    parts: &'r Parts,
    pub(crate) fence: Fence,
    until: DateTime<Utc>,
}

impl Held<'_> {
    /// Prolongs the lease in the second half of its time, so that nobody else has it for the next step; an
    /// error when somebody does.
    pub(super) async fn prolong(&mut self) -> Result<(), StoreError> {
        if self.until.signed_duration_since(self.parts.now()) > LEASE / 2 {
            return Ok(());
        }
        match self.parts.hold(&self.fence.lease).await? {
            Some(held) => {
                *self = Self { parts: self.parts, fence: held.fence, until: held.until };
                Ok(())
            }
            None => Err(StoreError::fenced("manifests.lease")),
        }
    }

    /// Keeps it to the end of `until`, so that nobody begins before; to no end where somebody has it by now.
    pub(super) async fn rest(self, until: DateTime<Utc>) -> Result<(), StoreError> {
        let Parts { manifests, holder, .. } = self.parts;
        manifests
            .lease(&Lease { name: &self.fence.lease, holder, now: self.parts.now(), until })
            .await
            .map(drop)
    }

    /// Lets go of it.
    pub(crate) async fn release(self) -> Result<(), StoreError> {
        self.parts.manifests.release_lease(&self.fence).await
    }
}

/// How long a lease lasts without being prolonged: longer than any one step takes.
const LEASE: TimeDelta = TimeDelta::minutes(5);
