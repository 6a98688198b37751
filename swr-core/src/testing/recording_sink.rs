//! A sink that remembers, or refuses.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::event::RecordedEvent;
use crate::ports::{DeliveryError, EventSink};

/// Remembers what it is told, in the order it is told; or refuses to listen, when told so.
#[derive(Debug)]
pub struct RecordingSink {
    name: String,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    events: Vec<RecordedEvent>,
    refusals: u32,
}

impl RecordingSink {
    /// A sink of this name that takes everything.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), told: Mutex::default() }
    }

    /// Refuses the next so many deliveries.
    pub fn refuse(&self, deliveries: u32) {
        self.told().refusals = deliveries;
    }

    /// What it took so far.
    pub fn events(&self) -> Vec<RecordedEvent> {
        self.told().events.clone()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventSink for RecordingSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, event: &RecordedEvent) -> Result<(), DeliveryError> {
        let mut told = self.told();
        if let Some(left) = told.refusals.checked_sub(1) {
            told.refusals = left;
            return Err(DeliveryError::new("the sink was told to refuse"));
        }
        told.events.push(event.clone());
        Ok(())
    }
}
