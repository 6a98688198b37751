//! The control plane as one caller may use it, and the one question that stands before everything.

use std::fmt;

use chrono::{DateTime, Utc};

use super::Parts;
use super::change::{
    Effect, MetadataChange, MetadataCommit, MetadataCommitError, MetadataReceipt, MetadataRequire,
};
use super::error::ControlError;
use super::identity::{User, UserId};
use crate::caller::{Actor, Caller, Origin};
use crate::commit::Grounds;
use crate::ports::{ControlAsk, MetadataStore, Refusal, StoreError, Verdict, Viewer};
use crate::registry::Access;

/// The control plane as one caller may use it.
///
/// Whoever may not gets one of three answers: [`ControlError::Unauthorized`] for a stranger, whatever the reason;
/// the same as if there were nothing there, without any right; [`ControlError::Denied`] with too little.
pub struct ControlAccess<'c> {
    // Private to this file: the other operations change something through `Permitted` only.
    parts: &'c Parts,
    actor: Actor,
    origin: Origin,
}

impl<'c> ControlAccess<'c> {
    pub(super) fn new(parts: &'c Parts, actor: Actor, origin: Origin) -> Self {
        Self { parts, actor, origin }
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn parts(&self) -> &'c Parts {
        self.parts
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.parts.clock.now()
    }

    /// The user who acts; an error for a stranger, for one that is gone, and where nobody in particular does.
    pub async fn user(&self) -> Result<User, ControlError> {
        let Actor::Caller(Caller::User(identity)) = &self.actor else {
            return Err(ControlError::Unauthorized);
        };
        let id = UserId::parse(identity.name()).map_err(|_| ControlError::Unauthorized)?;
        self.parts.metadata.user(&id).await?.ok_or(ControlError::Unauthorized)
    }

    /// The user who acts, as lists know it.
    pub async fn viewer(&self) -> Result<Viewer, ControlError> {
        let user = self.user().await?;
        Ok(Viewer { administers: user.role.administers(), user: user.id, account: user.account })
    }

    /// The registry as the same caller may use it. Whoever runs the registry has no content of its own to touch:
    /// an error.
    pub(super) fn registry(&self) -> Result<Access<'c>, ControlError> {
        match &self.actor {
            Actor::Caller(caller) => Ok(self.parts.registry.access(caller.clone(), self.origin.clone())),
            Actor::Caretaker(_) => Err(ControlError::Unauthorized),
        }
    }

    /// Asks the authorizer, once. Without the answer there is no way on.
    pub(super) async fn permit<'a>(&'a self, ask: ControlAsk<'a>) -> Result<Permitted<'a>, ControlError> {
        let grounds = self.grounds(ask).await?;
        Ok(Permitted { access: self, ask, grounds })
    }

    async fn grounds(&self, ask: ControlAsk<'_>) -> Result<Grounds, ControlError> {
        let caller = match &self.actor {
            Actor::Caretaker(_) => return Ok(Grounds::default()),
            Actor::Caller(caller) => caller,
        };
        match self.parts.authorizer.decide_control(caller, ask).await? {
            Verdict::Allow(grounds) => Ok(grounds),
            Verdict::Deny(_) | Verdict::Hide if *caller == Caller::Anonymous => {
                Err(ControlError::Unauthorized)
            }
            Verdict::Deny(refusal) => Err(ControlError::Denied(refusal)),
            Verdict::Hide => Err(unknown(ask)),
        }
    }

    /// Whether the caller may: for answers that show more to some.
    pub(super) async fn may(&self, ask: ControlAsk<'_>) -> Result<bool, StoreError> {
        match &self.actor {
            Actor::Caretaker(_) => Ok(true),
            Actor::Caller(caller) => {
                Ok(matches!(self.parts.authorizer.decide_control(caller, ask).await?, Verdict::Allow(_)))
            }
        }
    }
}

impl fmt::Debug for ControlAccess<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlAccess").field("actor", &self.actor).finish_non_exhaustive()
    }
}

/// How often a permission is asked for again while rights keep changing under it.
const DECISIONS_MAX: u32 = 8;

/// The answer to a question about what there is not, as far as the caller may know.
pub(super) fn unknown(ask: ControlAsk<'_>) -> ControlError {
    match ask {
        ControlAsk::Operate | ControlAsk::CreateOrganisation => ControlError::Denied(Refusal::default()),
        ControlAsk::Administer(account) => ControlError::AccountUnknown(account.as_str().into()),
        ControlAsk::Organisation(name, _) => ControlError::OrganisationUnknown(name.clone()),
        ControlAsk::Repository(name, _) | ControlAsk::ViewRepository(name) => {
            ControlError::RepositoryUnknown(name.clone())
        }
        ControlAsk::Oneself(user) => ControlError::UserUnknown(user.as_str().into()),
    }
}

/// Proof that the caller may do one thing, and the way to the store.
pub(super) struct Permitted<'a> {
    access: &'a ControlAccess<'a>,
    ask: ControlAsk<'a>,
    grounds: Grounds,
}

impl Permitted<'_> {
    pub(super) fn store(&self) -> &dyn MetadataStore {
        &*self.access.parts.metadata
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.access.now()
    }

    /// Applies the changes, if the requirements hold and the permission still stands; what the permission rested on
    /// is looked at again where it is another by now. Of the requirements that do not hold, the error has only
    /// those that were given here.
    pub(super) async fn commit(
        &self,
        requires: Vec<MetadataRequire>,
        changes: Vec<MetadataChange>,
    ) -> Result<MetadataReceipt, Unmet> {
        let mut grounds = self.grounds.clone();
        for _ in 0..DECISIONS_MAX {
            let mut requires = requires.clone();
            requires.extend(grounds.rights.map(MetadataRequire::Rights));
            let commit = MetadataCommit {
                actor: self.access.actor.clone(),
                origin: self.access.origin.clone(),
                at: self.now(),
                requires,
                changes: changes.clone(),
            };
            match self.store().commit_metadata(commit).await {
                Ok(receipt) => return Ok(receipt),
                Err(MetadataCommitError::Store(error)) => return Err(Unmet::Other(error.into())),
                Err(MetadataCommitError::Unmet(unmet)) => {
                    if !unmet.iter().any(|it| matches!(it, MetadataRequire::Rights(_))) {
                        return Err(Unmet::Requires(unmet));
                    }
                    let again = self.access.grounds(self.ask).await;
                    grounds = again.map_err(Unmet::Other)?;
                }
            }
        }
        Err(Unmet::Other(ControlError::Busy))
    }

    /// The answer where there is nothing of what was asked about.
    pub(super) fn unknown(&self) -> ControlError {
        unknown(self.ask)
    }
}

/// Why a commit was refused.
pub(super) enum Unmet {
    /// These requirements do not hold.
    Requires(Vec<MetadataRequire>),
    /// The right is gone, or the store failed.
    Other(ControlError),
}

impl Unmet {
    /// The error that the first requirement that does not hold amounts to, by `meaning`.
    pub(super) fn into_error(self, meaning: impl Fn(&MetadataRequire) -> ControlError) -> ControlError {
        match self {
            Self::Requires(unmet) => unmet.first().map_or(ControlError::Busy, meaning),
            Self::Other(error) => error,
        }
    }
}

/// Whether anything was done at all.
pub(super) fn is_done(receipt: &MetadataReceipt) -> bool {
    receipt.effects.iter().any(|effect| *effect != Effect::Nothing)
}
