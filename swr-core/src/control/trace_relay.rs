//! The audit trail, told in order and at least once.

use std::num::NonZeroU32;
use std::sync::Arc;

use tracing::instrument;

use super::ControlPlane;
use crate::ports::{StoreError, TraceSink};
use crate::registry::{Carried, Left};

/// Carries traces from the trail to a sink, and remembers how far it has come.
///
/// The trail keeps traces for as long as it is told to, whether a sink has taken them or not. Several processes may
/// carry to a sink of the same name: one of them does at a time.
#[derive(Clone, Debug)]
pub struct TraceRelay {
    plane: ControlPlane,
    sink: Arc<dyn TraceSink>,
}

/// How many traces one call carries.
const BATCH: NonZeroU32 = NonZeroU32::new(256).expect("256 is not zero");

impl TraceRelay {
    /// A relay from the trail of this control plane to this sink.
    pub fn new(plane: ControlPlane, sink: Arc<dyn TraceSink>) -> Self {
        Self { plane, sink }
    }

    /// Gives the sink the next traces, in order. Traces that were given and not yet remembered as taken, after a crash
    /// say, are given again.
    #[instrument(level = "debug", skip_all, fields(sink = self.sink.name()))]
    pub async fn carry(&self) -> Result<Carried, StoreError> {
        let metadata = self.plane.metadata();
        let consumer = self.sink.name();
        // Looking costs less than a lease, and mostly there is nothing.
        if metadata.traces_after(metadata.trace_cursor(consumer).await?, NonZeroU32::MIN).await?.is_empty() {
            return Ok(Carried { delivered: 0, left: Left::Nothing });
        }
        let Some(held) = self.plane.registry().hold(&format!("trace_relay/{consumer}")).await? else {
            return Ok(Carried { delivered: 0, left: Left::Elsewhere });
        };
        let start = metadata.trace_cursor(consumer).await?;
        let traces = metadata.traces_after(start, BATCH).await?;
        let Some(last) = traces.last() else {
            held.release().await?;
            return Ok(Carried { delivered: 0, left: Left::Nothing });
        };
        let carried = match self.sink.deliver(&traces).await {
            Ok(()) => {
                metadata.advance_traces(consumer, last.seq, &held.fence).await?;
                let all = traces.len() < BATCH.get() as usize;
                Carried { delivered: traces.len() as u64, left: if all { Left::Nothing } else { Left::More } }
            }
            Err(error) => Carried { delivered: 0, left: Left::Refused(error) },
        };
        held.release().await?;
        Ok(carried)
    }
}
