//! The present.

use std::fmt::Debug;

use chrono::{DateTime, Utc};

/// Knows the present. Only the engine asks it; everything below is told.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the machine, in whole microseconds, which every store keeps exactly.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it holds nothing")]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        let now = Utc::now();
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }
}
