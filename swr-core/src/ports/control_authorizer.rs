//! May this caller change who may what?

use std::fmt::Debug;

use async_trait::async_trait;
use swr_policy::{OrganisationName, RepositoryName};

use crate::caller::Caller;
use crate::control::grant::GrantLevel;
use crate::control::identity::{AccountId, UserId};
use crate::ports::{StoreError, Verdict};

/// Decides what a caller may do to what is not content. An error denies.
#[async_trait]
pub trait ControlAuthorizer: Debug + Send + Sync + 'static {
    /// Whether `caller` may do what it asks. Without any right in what is asked about, the answer is
    /// [`Verdict::Hide`]; with too little, [`Verdict::Deny`].
    async fn decide_control(&self, caller: &Caller, ask: ControlAsk<'_>) -> Result<Verdict, StoreError>;
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an authorizer must answer for every one")]
pub enum ControlAsk<'a> {
    /// To look after the deployment: its accounts and the keys of its tokens.
    Operate,
    /// To look after an account: its users and their keys, and its whole trail.
    Administer(&'a AccountId),
    /// To create an organisation for the caller's account.
    CreateOrganisation,
    /// To do in an organisation what needs this level.
    Organisation(&'a OrganisationName, GrantLevel),
    /// To do in a repository what needs this level; the level in its organisation counts as well.
    Repository(&'a RepositoryName, GrantLevel),
    /// To see a repository as whoever may pull from it does.
    ViewRepository(&'a RepositoryName),
    /// To look after one's own keys and logins: the user itself, or an administrator of its account.
    Oneself(&'a UserId),
}
