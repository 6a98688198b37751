//! What happened, told in order and at least once.

use std::num::NonZeroU32;
use std::sync::Arc;

use tracing::instrument;

use super::Registry;
use crate::event::EventSeq;
use crate::ports::{DeliveryError, EventSink, StoreError};

/// Carries events from a registry's log to a sink, and remembers how far it has come.
///
/// Several processes may carry to a sink of the same name: one of them does at a time.
#[derive(Clone, Debug)]
pub struct Relay {
    registry: Registry,
    sink: Arc<dyn EventSink>,
}

/// What one call has carried.
#[derive(Debug)]
#[non_exhaustive]
pub struct Carried {
    /// How many events, or traces, the sink took.
    pub delivered: u64,
    /// What is left to do.
    pub left: Left,
}

/// What is left to carry.
#[derive(Debug)]
#[non_exhaustive]
pub enum Left {
    /// Nothing: the sink knows everything.
    Nothing,
    /// There may be more at once.
    More,
    /// The sink did not take one; it is the first of the next call.
    Refused(DeliveryError),
    /// Another process carries to this sink.
    Elsewhere,
}

/// How many events one call carries.
const BATCH: NonZeroU32 = NonZeroU32::new(256).expect("256 is not zero");

impl Relay {
    /// A relay from this registry to this sink.
    pub fn new(registry: Registry, sink: Arc<dyn EventSink>) -> Self {
        Self { registry, sink }
    }

    /// Gives the sink the next events, in order, up to the first that it does not take. An event that was
    /// given and not yet remembered as taken, after a crash say, is given again.
    #[instrument(level = "debug", skip_all, fields(sink = self.sink.name()))]
    pub async fn carry(&self) -> Result<Carried, StoreError> {
        let parts = &*self.registry.0;
        let consumer = self.sink.name();
        // Looking costs less than a lease, and mostly there is nothing.
        let start = parts.manifests.cursor(consumer).await?;
        if parts.manifests.events(start, NonZeroU32::MIN).await?.is_empty() {
            return Ok(Carried { delivered: 0, left: Left::Nothing });
        }
        let Some(mut held) = parts.hold(&format!("relay/{consumer}")).await? else {
            return Ok(Carried { delivered: 0, left: Left::Elsewhere });
        };
        let start = parts.manifests.cursor(consumer).await?;
        let events = parts.manifests.events(start, BATCH).await?;
        if start == EventSeq::START && !events.is_empty() {
            // From here on the log keeps what this sink has not taken.
            parts.manifests.advance(consumer, start, &held.fence).await?;
        }
        let (mut delivered, mut upto): (u64, Option<EventSeq>) = (0, None);
        let mut left = if events.len() < BATCH.get() as usize { Left::Nothing } else { Left::More };
        for event in &events {
            held.prolong().await?;
            match self.sink.deliver(event).await {
                Ok(()) => {
                    delivered += 1;
                    upto = Some(event.seq);
                }
                Err(error) => {
                    left = Left::Refused(error);
                    break;
                }
            }
        }
        if let Some(upto) = upto {
            parts.manifests.advance(consumer, upto, &held.fence).await?;
        }
        held.release().await?;
        Ok(Carried { delivered, left })
    }
}
