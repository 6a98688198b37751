//! What is done when a trigger fires.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::control::trigger::{Delivery, Trigger};

/// Does what a trigger's target says. May be asked to do the same again: the delivery's id tells.
#[async_trait]
pub trait TriggerAction: Debug + Send + Sync + 'static {
    /// Does it, and says what was done in a few words, which are kept and shown. Ends within a
    /// minute: after that somebody else may be asked.
    async fn act(&self, trigger: &Trigger, delivery: &Delivery) -> Result<String, ActionError>;
}

/// Why it was not done. [`Display`](std::fmt::Display) is what is kept and shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// It may succeed later.
    #[error("{0}")]
    Failed(String),
    /// It will not succeed however often it is tried.
    #[error("{0}")]
    Impossible(String),
}
