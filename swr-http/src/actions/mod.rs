//! What triggers do, and who is told of events (features `webhook` and `kubernetes`).
//!
//! [`Actions`] is the [`TriggerAction`] for a `Courier` of
//! [`swr_core::control`]: each kind of target has an action of its own, a shipped one or the host's.

#[cfg(feature = "webhook")]
pub mod addresses;
mod answer;
#[cfg(feature = "webhook")]
mod authorities;
#[cfg(feature = "kubernetes")]
pub mod cluster;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(feature = "webhook")]
pub mod notification;
#[cfg(feature = "webhook")]
pub mod outbound;
#[cfg(feature = "webhook")]
pub mod webhook;

use std::sync::Arc;

use async_trait::async_trait;

use swr_core::control::trigger::{Delivery, Trigger, TriggerTarget};
use swr_core::ports::{ActionError, TriggerAction};

#[cfg(feature = "kubernetes")]
pub use cluster::{Cluster, Clusters};
#[cfg(feature = "kubernetes")]
pub use kubernetes::Kubernetes;
#[cfg(feature = "webhook")]
pub use notification::{NotificationFormat, WebhookSink};
#[cfg(feature = "webhook")]
pub use outbound::OutboundOptions;
#[cfg(feature = "webhook")]
pub use webhook::Webhook;

/// An action for each kind of target. What has none is impossible, and says so.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    webhook: Option<Arc<dyn TriggerAction>>,
    workload: Option<Arc<dyn TriggerAction>>,
}

impl Actions {
    /// No action for anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Triggers that tell an address of a version do it so.
    #[must_use]
    pub fn with_webhook(mut self, action: Arc<dyn TriggerAction>) -> Self {
        self.webhook = Some(action);
        self
    }

    /// Triggers that set the image of a workload do it so.
    #[must_use]
    pub fn with_workload(mut self, action: Arc<dyn TriggerAction>) -> Self {
        self.workload = Some(action);
        self
    }
}

#[async_trait]
impl TriggerAction for Actions {
    async fn act(&self, trigger: &Trigger, delivery: &Delivery) -> Result<String, ActionError> {
        let (action, what) = match &trigger.target {
            TriggerTarget::Webhook { .. } => (&self.webhook, "webhooks are"),
            TriggerTarget::Workload(_) => (&self.workload, "deploying to clusters is"),
        };
        match action {
            Some(action) => action.act(trigger, delivery).await,
            None => Err(ActionError::Impossible(format!("{what} not configured in this registry"))),
        }
    }
}
