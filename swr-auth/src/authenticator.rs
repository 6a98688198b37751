//! Who is calling?

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use swr_core::caller::{Caller, Reach};
use swr_core::ports::StoreError;

use crate::challenge::Challenge;
use crate::presented::Presented;

/// Tells who is calling from what a client presents.
#[async_trait]
pub trait Authenticator: Debug + Send + Sync + 'static {
    /// The caller that `presented` proves: for [`Presented::Nothing`] it is [`Caller::Anonymous`]. Whoever knows
    /// users refuses what is wrong, unknown or expired, so that its owner learns of it, rather than taking them
    /// for anonymous.
    async fn authenticate(&self, presented: &Presented) -> Result<Authenticated, AuthenticationError>;

    /// How a client is asked to show who it is; `None` when nobody can.
    fn challenge(&self) -> Option<&Challenge>;
}

/// Who is calling, and how far what was presented goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "authenticators build it, and doors take it apart")]
pub struct Authenticated {
    /// The caller.
    pub caller: Caller,
    /// What the token lists that was presented; `None` where nothing stands between the caller and its rights.
    pub reach: Option<Reach>,
    /// The account that the caller belongs to, where there are accounts: what all its users ask for is counted
    /// together.
    pub account: Option<Arc<str>>,
}

impl From<Caller> for Authenticated {
    /// The caller with all its rights.
    fn from(caller: Caller) -> Self {
        Self { caller, reach: None, account: None }
    }
}

/// Why nobody was recognised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// What was presented proves nothing. Why is not said.
    #[error("authentication required")]
    Refused,
    /// Too many are being looked at already.
    #[error("too many requests")]
    Busy {
        /// After how long it is worth another try.
        retry_after: Duration,
    },
    /// A store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Everybody is anonymous, whatever they present: the registry has no users.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it holds nothing")]
pub struct AnonymousOnly;

#[async_trait]
impl Authenticator for AnonymousOnly {
    async fn authenticate(&self, _: &Presented) -> Result<Authenticated, AuthenticationError> {
        Ok(Caller::Anonymous.into())
    }

    fn challenge(&self) -> Option<&Challenge> {
        None
    }
}
