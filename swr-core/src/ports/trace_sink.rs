//! Who is told of what is in the audit trail.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::control::trace::Trace;
use crate::ports::DeliveryError;

/// Is told of every trace, in order and at least once.
#[async_trait]
pub trait TraceSink: Debug + Send + Sync + 'static {
    /// The name under which the relay remembers how far this sink has come.
    fn name(&self) -> &str;

    /// Takes traces, in the order of their places. The same ones may come again, after a crash say, or when not all of
    /// them were taken; their `seq` tells.
    async fn deliver(&self, traces: &[Trace]) -> Result<(), DeliveryError>;
}
