//! Sessions that end with the process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use swr_core::ports::StoreError;
use swr_core::upload::UploadId;

use super::{UploadSession, UploadSessions};

/// Sessions in memory, for tests and for hosts whose uploads need not outlive the process. What a bucket
/// holds of an upload that was forgotten this way is found by its lifecycle rules and by scrubbing alone.
#[derive(Default)]
pub struct MemorySessions {
    kept: Mutex<HashMap<UploadId, UploadSession>>,
}

impl MemorySessions {
    /// No sessions yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Each change under the lock is a single step, so that a panic elsewhere leaves nothing half done.
    fn kept(&self) -> MutexGuard<'_, HashMap<UploadId, UploadSession>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl UploadSessions for MemorySessions {
    async fn find(&self, id: &UploadId) -> Result<Option<UploadSession>, StoreError> {
        Ok(self.kept().get(id).cloned())
    }

    async fn save(&self, session: &UploadSession) -> Result<bool, StoreError> {
        let follows = |version: u64| version.checked_add(1) == Some(session.version);
        match self.kept().entry(session.id.clone()) {
            Entry::Vacant(vacant) if follows(0) => {
                vacant.insert(session.clone());
                Ok(true)
            }
            Entry::Occupied(mut kept) if follows(kept.get().version) => {
                kept.insert(session.clone());
                Ok(true)
            }
            Entry::Vacant(_) | Entry::Occupied(_) => Ok(false),
        }
    }

    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<UploadSession, StoreError>> {
        let idle: Vec<_> =
            self.kept().values().filter(|session| session.touched < cutoff).cloned().map(Ok).collect();
        stream::iter(idle).boxed()
    }

    async fn remove(&self, id: &UploadId) -> Result<(), StoreError> {
        self.kept().remove(id);
        Ok(())
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessions").field("sessions", &self.kept().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    crate::upload_sessions_suite!({ super::MemorySessions::new() });
}
