//! A registry as one caller may use it, and the one question that stands before everything.

use std::fmt;

use chrono::{DateTime, Utc};
use swr_policy::{NamingRefusal, RepositoryName, Tag};

use super::{Limits, Parts};
use crate::caller::{Actor, Caller, Origin};
use crate::commit::{Change, Commit, CommitError, Grounds, Receipt, Require};
use crate::error::{Error, Need};
use crate::ports::{Action, Ask, Candidates, Refusal, StoreError, Verdict, WithBytes};
use crate::reference::Reference;

/// A registry as one caller may use it.
///
/// Whoever may not gets one of three answers: [`Error::Unauthorized`] for a stranger, whatever the reason;
/// [`Error::NameUnknown`] where the authorizer hides the repository; [`Error::Denied`] elsewhere.
pub struct Access<'r> {
    // Private to this file: the other operations reach a store through `Permitted` only.
    parts: &'r Parts,
    caller: Caller,
    origin: Origin,
}

impl<'r> Access<'r> {
    pub(super) fn new(parts: &'r Parts, caller: Caller, origin: Origin) -> Self {
        Self { parts, caller, origin }
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// Asks the authorizer, once. Without the answer there is no way on.
    pub(super) async fn permit<'a>(
        &'a self,
        action: Action,
        repository: &'a RepositoryName,
        tags: &'a [Tag],
    ) -> Result<Permitted<'a>, Error> {
        match self.parts.authorizer.decide(&self.caller, Ask { action, repository, tags }).await? {
            Verdict::Allow(grounds) => {
                Ok(Permitted { parts: self.parts, access: self, action, repository, grounds })
            }
            Verdict::Deny(_) | Verdict::Hide if self.caller == Caller::Anonymous => {
                Err(Error::Unauthorized { needs: vec![need(action, repository)] })
            }
            Verdict::Deny(refusal) => Err(Error::Denied(refusal)),
            Verdict::Hide => Err(Error::NameUnknown { repository: repository.clone() }),
        }
    }

    /// As [`Self::permit`], to push, which may bring the repository and the tags into being: where they are
    /// not there yet, their names must be admitted.
    ///
    /// A caller who may not push learns nothing from the answer about what is there: for a name that is not
    /// admitted it is the same either way.
    pub(super) async fn permit_push<'a>(
        &'a self,
        repository: &'a RepositoryName,
        tags: &'a [Tag],
    ) -> Result<Permitted<'a>, Error> {
        let naming = &self.parts.naming;
        let permitted = self.permit(Action::Push, repository, tags).await;
        if let Err(refusal) = naming.admit_repository(repository) {
            match &permitted {
                Ok(permitted) if permitted.is_known().await? => {}
                Ok(_) | Err(Error::Denied(_) | Error::NameUnknown { .. }) => {
                    return Err(Error::NameRefused(refusal));
                }
                Err(_) => {}
            }
        }
        let permitted = permitted?;
        for tag in tags {
            if let Err(refusal) = naming.admit_tag(tag) {
                permitted.admit_known_tag(tag, refusal).await?;
            }
        }
        Ok(permitted)
    }

    /// The repository, if the caller may pull from it: for answers that only say yes or no.
    pub(super) async fn readable(&self, repository: &RepositoryName) -> Result<Option<Readable>, StoreError> {
        let ask = Ask { action: Action::Pull, repository, tags: &[] };
        let verdict = self.parts.authorizer.decide(&self.caller, ask).await?;
        Ok(matches!(verdict, Verdict::Allow(_)).then(|| Readable(repository.clone())))
    }

    /// Those of the candidates that the caller may pull from; `None` when the authorizer does not list them.
    pub(super) async fn readable_of(&self, of: Candidates<'_>) -> Result<Option<Vec<Readable>>, StoreError> {
        let listed = self.parts.authorizer.readable(&self.caller, of).await?;
        Ok(listed.map(|names| names.into_iter().map(Readable).collect()))
    }

    /// The candidates themselves, for [`Self::readable`] to be asked of each.
    pub(super) async fn candidates(&self, of: Candidates<'_>) -> Result<Vec<RepositoryName>, StoreError> {
        match of {
            Candidates::All(page) => self.parts.manifests.repositories(page).await,
            Candidates::HoldersOf { digest, near, limit } => {
                self.parts.manifests.holders(digest, near, limit).await
            }
        }
    }
}

/// A repository that the caller may pull from.
pub(super) struct Readable(RepositoryName);

impl Readable {
    pub(super) fn name(&self) -> &RepositoryName {
        &self.0
    }

    pub(super) fn into_name(self) -> RepositoryName {
        self.0
    }
}

impl fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// What a stranger would need for an action: whoever pushes also asks what is there.
pub(super) fn need(action: Action, repository: &RepositoryName) -> Need {
    let actions = match action {
        Action::Pull => vec![Action::Pull],
        Action::Push => vec![Action::Pull, Action::Push],
        Action::Delete => vec![Action::Delete],
    };
    Need { repository: repository.clone(), actions }
}

/// Proof that the caller may do one thing to one repository, and the way to the stores.
pub(super) struct Permitted<'a> {
    pub(super) parts: &'a Parts,
    access: &'a Access<'a>,
    action: Action,
    pub(super) repository: &'a RepositoryName,
    grounds: Grounds,
}

impl Permitted<'_> {
    pub(super) fn caller(&self) -> &Caller {
        &self.access.caller
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.parts.clock.now()
    }

    /// Applies the changes, if the requirements hold and the permission still stands. Of the requirements
    /// that do not hold, [`Refused::Unmet`] has only those that were given here.
    pub(super) async fn commit(
        &self,
        mut requires: Vec<Require>,
        changes: Vec<Change>,
    ) -> Result<Receipt, Refused> {
        if self.grounds != Grounds::default() {
            requires.push(Require::Grounds(self.grounds.clone()));
        }
        let commit = Commit {
            repository: self.repository.clone(),
            actor: Actor::Caller(self.access.caller.clone()),
            origin: self.access.origin.clone(),
            at: self.now(),
            requires,
            changes,
        };
        match self.parts.manifests.commit(commit).await {
            Ok(receipt) => {
                self.parts.committed.send_replace(());
                Ok(receipt)
            }
            Err(CommitError::Unmet(unmet)) if unmet.iter().any(|it| matches!(it, Require::Grounds(_))) => {
                Err(Refused::Other(self.no_longer()))
            }
            Err(CommitError::Unmet(unmet)) => Err(Refused::Unmet(unmet)),
            Err(CommitError::BytesGone(_)) => Err(Refused::BytesGone),
            Err(CommitError::Store(error)) => Err(Refused::Other(error.into())),
        }
    }

    /// The answer to a caller whose right vanished between the question and the change.
    fn no_longer(&self) -> Error {
        match self.access.caller {
            Caller::Anonymous => Error::Unauthorized { needs: vec![need(self.action, self.repository)] },
            Caller::User(_) => Error::Denied(Refusal::default()),
        }
    }

    async fn is_known(&self) -> Result<bool, StoreError> {
        Ok(self.parts.manifests.repository(self.repository).await?.is_some())
    }

    async fn admit_known_tag(&self, tag: &Tag, refusal: NamingRefusal) -> Result<(), Error> {
        let tag = Reference::Tag(tag.clone());
        match self.parts.manifests.resolve(self.repository, &tag, WithBytes::No).await? {
            Some(_) => Ok(()),
            None => Err(Error::TagRefused(refusal)),
        }
    }
}

/// Why a commit was refused, where that says something about the request.
pub(super) enum Refused {
    /// These requirements do not hold.
    Unmet(Vec<Require>),
    /// The content that was to be linked is gone.
    BytesGone,
    /// The right is gone, or the store failed.
    Other(Error),
}

impl Refused {
    /// The error for a commit whose refusal means `meaning`, unless it is about something else.
    pub(super) fn or(self, meaning: Error) -> Error {
        match self {
            Self::Unmet(_) | Self::BytesGone => meaning,
            Self::Other(error) => error,
        }
    }
}
