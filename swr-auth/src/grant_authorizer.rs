//! Who may what, by the grants and shares that a store keeps.

use std::sync::Arc;

use async_trait::async_trait;
use swr_policy::{OrganisationName, RepositoryName};

use swr_core::caller::Caller;
use swr_core::control::identity::UserId;
use swr_core::control::organisation::organisation_of;
use swr_core::control::standing::{Standing, UserStanding};
use swr_core::ports::{
    Ask, Authorizer, Candidates, Clock, ControlAsk, ControlAuthorizer, MetadataStore, Refusal, StoreError,
    Verdict,
};
use swr_core::remembered::Remembered;

use crate::grants::{self, Owner, Strangers};

/// As many standings are remembered at a time.
const STANDINGS_MAX: usize = 4096;

/// Looks up what the caller is to what it asks about, and [weighs](crate::grants) it: for the registry and for its
/// control plane. What was looked up for a repository is looked up again when the store says that something has changed
/// since ([`MetadataStore::decided_on`]), or cannot say.
#[derive(Debug)]
pub struct GrantAuthorizer {
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    strangers: Strangers,
    standings: Remembered<(Caller, RepositoryName), Arc<Standing>>,
}

impl GrantAuthorizer {
    /// Decides by what `metadata` keeps. Strangers may pull what is public.
    pub fn new(metadata: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>) -> Self {
        Self { metadata, clock, strangers: Strangers::default(), standings: Remembered::new(STANDINGS_MAX) }
    }

    /// Lets strangers do this.
    #[must_use]
    pub fn with_strangers(mut self, strangers: Strangers) -> Self {
        self.strangers = strangers;
        self
    }

    /// What the caller is to the repository, and to the organisation that its name begins with.
    async fn in_repository(
        &self,
        caller: &Caller,
        repository: &RepositoryName,
    ) -> Result<Arc<Standing>, StoreError> {
        let (decided_on, asked) = (self.metadata.decided_on(), (caller.clone(), repository.clone()));
        if let Some(standing) = self.standings.get(decided_on, &asked) {
            return Ok(standing);
        }
        let user = user_of(caller);
        let user = user.as_ref();
        let standing = Arc::new(match organisation_of(repository) {
            Some(organisation) => self.metadata.standing(user, &organisation, Some(repository)).await?,
            None => in_no_organisation(&*self.metadata, user, Some(repository)).await?,
        });
        self.standings.keep(decided_on, asked, Arc::clone(&standing));
        Ok(standing)
    }

    async fn at_large(&self, user: &UserId) -> Result<Standing, StoreError> {
        in_no_organisation(&*self.metadata, Some(user), None).await
    }

    async fn owner(&self, caller: &UserId, owner: &UserId) -> Result<Option<UserStanding>, StoreError> {
        if caller == owner {
            return Ok(None);
        }
        let owner = self.metadata.user(owner).await?;
        Ok(owner.map(|owner| UserStanding { account: owner.account, role: owner.role }))
    }
}

/// What a user is without regard to any organisation, and the count of rights.
pub(crate) async fn in_no_organisation(
    metadata: &dyn MetadataStore,
    user: Option<&UserId>,
    repository: Option<&RepositoryName>,
) -> Result<Standing, StoreError> {
    #[expect(clippy::expect_used, reason = "the text is fixed")]
    let anywhere = OrganisationName::parse("manage").expect("`manage` is a name");
    let standing = metadata.standing(user, &anywhere, repository).await?;
    Ok(Standing { organisation: None, ..standing })
}

/// The user that the caller has shown to be. A name that is no user's has the rights of a stranger.
fn user_of(caller: &Caller) -> Option<UserId> {
    match caller {
        Caller::Anonymous => None,
        Caller::User(identity) => UserId::parse(identity.name()).ok(),
    }
}

#[async_trait]
impl Authorizer for GrantAuthorizer {
    async fn decide(&self, caller: &Caller, ask: Ask<'_>) -> Result<Verdict, StoreError> {
        let standing = self.in_repository(caller, ask.repository).await?;
        Ok(grants::weigh(&standing, ask.action, self.strangers, self.clock.now()))
    }

    async fn readable(
        &self,
        caller: &Caller,
        of: Candidates<'_>,
    ) -> Result<Option<Vec<RepositoryName>>, StoreError> {
        let strangers = self.strangers == Strangers::PullPublic;
        let user = user_of(caller);
        self.metadata.readable(user.as_ref(), strangers, of, self.clock.now()).await.map(Some)
    }
}

#[async_trait]
impl ControlAuthorizer for GrantAuthorizer {
    async fn decide_control(&self, caller: &Caller, ask: ControlAsk<'_>) -> Result<Verdict, StoreError> {
        let Some(user) = user_of(caller) else { return Ok(Verdict::Deny(Refusal::default())) };
        let now = self.clock.now();
        Ok(match ask {
            ControlAsk::Operate => grants::weigh_operation(&self.at_large(&user).await?),
            ControlAsk::Administer(account) => {
                grants::weigh_administration(&self.at_large(&user).await?, account)
            }
            ControlAsk::CreateOrganisation => grants::weigh_new_organisation(&self.at_large(&user).await?),
            ControlAsk::Organisation(name, needed) => {
                grants::weigh_organisation(&self.metadata.standing(Some(&user), name, None).await?, needed)
            }
            ControlAsk::Repository(name, needed) => {
                grants::weigh_repository(&*self.in_repository(caller, name).await?, needed, now)
            }
            ControlAsk::ViewRepository(name) => {
                grants::weigh_view(&*self.in_repository(caller, name).await?, now)
            }
            ControlAsk::Oneself(owner) => {
                // Before the other user: one that has become an operator since has moved the count of rights.
                let standing = self.at_large(&user).await?;
                let other = self.owner(&user, owner).await?;
                let owner = match &other {
                    Some(other) => Owner::Other(other),
                    None if user == *owner => Owner::Oneself,
                    None => Owner::Nobody,
                };
                grants::weigh_keys(&standing, owner)
            }
        })
    }
}
