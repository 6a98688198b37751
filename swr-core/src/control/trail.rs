//! The trail: asked, and kept to its length.

use chrono::{Days, TimeDelta};

use super::ControlPlane;
use super::access::ControlAccess;
use super::error::ControlError;
use super::trace::{Trace, TraceQuery};
use crate::ports::{ControlAsk, StoreError};
use crate::registry::BATCH;

impl ControlAccess<'_> {
    /// Traces that fit the query, newest first: all of the account's for its administrators, their own for others.
    pub async fn traces(&self, query: &TraceQuery) -> Result<Vec<Trace>, ControlError> {
        let mut query = query.clone();
        if !self.may(ControlAsk::Administer(&query.account)).await? {
            let user = self.user().await?;
            if user.account != query.account {
                return Err(ControlError::AccountUnknown(query.account.as_str().into()));
            }
            match &query.user {
                Some(wanted) if *wanted != user.id => return Ok(Vec::new()),
                _ => query.user = Some(user.id),
            }
        }
        Ok(self.parts().metadata.traces(&query).await?)
    }
}

impl ControlPlane {
    /// Notes what each account keeps today, for those who look back. To be called a few times a day.
    pub async fn note_usage(&self) -> Result<(), StoreError> {
        self.0.metadata.note_stored(self.0.clock.now().date_naive()).await
    }

    /// Removes what is older than so many days, today included, from what accounts used, and says how much; less than
    /// there is when there is much.
    pub async fn trim_usage(&self, days: u32) -> Result<u64, StoreError> {
        let today = self.0.clock.now().date_naive();
        let first = today.checked_sub_days(Days::new(days.saturating_sub(1).into()));
        let Some(first) = first else { return Ok(0) };
        self.0.metadata.trim_usage(first, BATCH).await
    }

    /// Removes from the history what triggers have done, what rules have cleared and what was asked of synchronisation
    /// longer than `keep` ago, and whatever triggers did that are gone, and says how much; less than there is when
    /// there is much.
    pub async fn trim_history(&self, keep: TimeDelta) -> Result<u64, StoreError> {
        let Some(before) = self.0.clock.now().checked_sub_signed(keep) else { return Ok(0) };
        self.0.metadata.trim_history(before, BATCH).await
    }

    /// Removes traces older than `keep`, and temporary keys that have expired, and says how many; fewer
    /// than there are when there are many.
    pub async fn trim(&self, keep: TimeDelta) -> Result<u64, StoreError> {
        let Some(before) = self.0.clock.now().checked_sub_signed(keep) else { return Ok(0) };
        let traces = self.0.metadata.trim_traces(before, BATCH).await?;
        let keys = self.0.metadata.trim_temporary_keys(self.0.clock.now(), BATCH).await?;
        Ok(traces + keys)
    }
}
