//! Who is told of what happened.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::event::RecordedEvent;

/// Is told of every event, in order and at least once.
#[async_trait]
pub trait EventSink: Debug + Send + Sync + 'static {
    /// The name under which the relay remembers how far this sink has come.
    fn name(&self) -> &str;

    /// Takes one event. The same one may come again, after a crash say; its `seq` tells.
    async fn deliver(&self, event: &RecordedEvent) -> Result<(), DeliveryError>;
}

/// A sink did not take what it was offered; it will be offered again.
#[derive(Debug, thiserror::Error)]
#[error("the sink did not take it")]
pub struct DeliveryError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl DeliveryError {
    /// Not taken because of `source`.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}
