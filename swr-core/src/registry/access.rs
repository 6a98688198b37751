//! A registry as one caller may use it, and the one question that stands before everything.

use std::fmt;

use chrono::{DateTime, Utc};
use swr_policy::{NamingRefusal, RepositoryName, Tag};

use super::{Limits, Parts};
use crate::caller::{Actor, Caller, Origin, Reach};
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
    /// `None`: nothing stands between the caller and its rights.
    reach: Option<Reach>,
    redirects: bool,
}

impl<'r> Access<'r> {
    pub(super) fn new(parts: &'r Parts, caller: Caller, origin: Origin) -> Self {
        Self { parts, caller, origin, reach: None, redirects: parts.redirects }
    }

    /// The registry as far as a token goes: in a repository that it does not list, [`Error::Unauthorized`] says
    /// what to ask a token for; what it lists and does not give is [`Error::Denied`]. Lists, and mounts that name
    /// no source, go by the caller's own rights.
    #[must_use]
    pub fn within(mut self, reach: Reach) -> Self {
        self.reach = Some(reach);
        self
    }

    /// The registry as a caller uses it who wants bytes and no address of them, whatever
    /// [`RegistryBuilder::redirects`](super::RegistryBuilder::redirects) says.
    #[must_use]
    pub fn without_redirects(mut self) -> Self {
        self.redirects = false;
        self
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether blobs may be answered with an address.
    pub(super) fn redirects(&self) -> bool {
        self.redirects
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// Asks the authorizer, once. Without the answer there is no way on.
    pub(super) async fn permit<'a>(
        &'a self,
        action: Action,
        repository: &'a RepositoryName,
        tags: &'a [Tag],
    ) -> Result<Permitted<'a>, Error> {
        let grounds = self.grounds(Ask { action, repository, tags }, &[action]).await?;
        Ok(Permitted { parts: self.parts, access: self, action, repository, tags, grounds })
    }

    /// As [`Self::permit`], to push, for what is asked about an upload that was begun. Of a token `lesser` is enough:
    /// many clients ask for what the method of a request says alone.
    pub(super) async fn permit_upload<'a>(
        &'a self,
        lesser: Action,
        repository: &'a RepositoryName,
    ) -> Result<Permitted<'a>, Error> {
        let (action, tags) = (Action::Push, &[]);
        let grounds = self.grounds(Ask { action, repository, tags }, &[action, lesser]).await?;
        Ok(Permitted { parts: self.parts, access: self, action, repository, tags, grounds })
    }

    /// What the permission rests on, where there is one. A token, where there is one, has to give one of `given`.
    async fn grounds(&self, ask: Ask<'_>, given: &[Action]) -> Result<Grounds, Error> {
        let Ask { action, repository, .. } = ask;
        let unauthorized = || Error::Unauthorized { needs: vec![need(action, repository)] };
        if !self.lists(repository) {
            return Err(unauthorized());
        }
        match self.parts.authorizer.decide(&self.caller, ask).await? {
            Verdict::Allow(grounds) if given.iter().any(|action| self.covers(repository, *action)) => {
                Ok(grounds)
            }
            _ if self.caller == Caller::Anonymous => Err(unauthorized()),
            Verdict::Allow(_) => Err(Error::Denied(Refusal::default())),
            Verdict::Deny(refusal) => Err(Error::Denied(refusal)),
            Verdict::Hide => Err(Error::NameUnknown { repository: repository.clone() }),
        }
    }

    /// Whether a token, where there is one, lists the repository.
    pub(super) fn lists(&self, repository: &RepositoryName) -> bool {
        self.reach.as_ref().is_none_or(|reach| reach.of(repository).is_some())
    }

    /// Whether a token, where there is one, is for the catalogue.
    pub(super) fn lists_all(&self) -> bool {
        self.reach.as_ref().is_none_or(Reach::has_catalogue)
    }

    /// Whether a token, where there is one, gives the right.
    fn covers(&self, repository: &RepositoryName, action: Action) -> bool {
        self.reach.as_ref().is_none_or(|reach| reach.covers(repository, action))
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

    /// The repository, if the caller may pull from it: for answers that only say yes or no. By the caller's own
    /// rights, whatever a token says.
    pub(super) async fn readable(&self, repository: &RepositoryName) -> Result<Option<Readable>, StoreError> {
        let ask = Ask { action: Action::Pull, repository, tags: &[] };
        let verdict = self.parts.authorizer.decide(&self.caller, ask).await?;
        Ok(matches!(verdict, Verdict::Allow(_)).then(|| Readable(repository.clone())))
    }

    /// As [`Self::readable`], and no further than a token goes, where there is one.
    pub(super) async fn within_reach(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<Readable>, StoreError> {
        match self.covers(repository, Action::Pull) {
            true => self.readable(repository).await,
            false => Ok(None),
        }
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

/// How often a permission is asked for again while rights keep changing under it.
const DECISIONS_MAX: u32 = 8;

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
    tags: &'a [Tag],
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
    ///
    /// Where what the permission rested on is another by now, it is asked for again: the answer is that of a
    /// request that came a moment later.
    pub(super) async fn commit(
        &self,
        requires: Vec<Require>,
        changes: Vec<Change>,
    ) -> Result<Receipt, Refused> {
        if self.grounds == Grounds::default() {
            return self.commit_once(requires, changes, None).await;
        }
        let mut grounds = self.grounds.clone();
        for _ in 0..DECISIONS_MAX {
            let attempt = self.commit_once(requires.clone(), changes.clone(), Some(grounds)).await;
            let Err(Refused::Unmet(unmet)) = &attempt else { return attempt };
            if !unmet.iter().any(|it| matches!(it, Require::Grounds(_))) {
                return attempt;
            }
            let ask = Ask { action: self.action, repository: self.repository, tags: self.tags };
            grounds = self.access.grounds(ask, &[self.action]).await.map_err(Refused::Other)?;
        }
        Err(Refused::Other(Error::TooManyRequests { retry_after: None }))
    }

    async fn commit_once(
        &self,
        mut requires: Vec<Require>,
        changes: Vec<Change>,
        grounds: Option<Grounds>,
    ) -> Result<Receipt, Refused> {
        requires.extend(grounds.map(Require::Grounds));
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
            Err(CommitError::Unmet(unmet)) => Err(Refused::Unmet(unmet)),
            Err(CommitError::BytesGone(_)) => Err(Refused::BytesGone),
            Err(CommitError::Store(error)) => Err(Refused::Other(error.into())),
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
