//! Where tokens are given out: a login and wishes in, a token out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use swr_core::RepositoryName;
use swr_core::caller::Caller;
use swr_core::control::credential::{HeldKey, KeyHolder};
use swr_core::control::identity::{AccountName, UserName};
use swr_core::ports::{Action, Ask, Authorizer, StoreError, Verdict};

use crate::authenticator::AuthenticationError;
use crate::control_authenticator::{ControlAuthenticator, fingerprint_of};
use crate::presented::Presented;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::signer::{Signer, caller};
use crate::token::{Claims, Listed, Proof, Purpose, sign};

/// Gives out the tokens that its authenticator takes.
///
/// A token says who it is for, what that user had shown, and what the user may do right now in each repository that
/// was asked for. On use that is the most it is worth: the right is asked for again, and the user and what it had
/// shown are looked up.
pub struct TokenDesk {
    authenticator: Arc<ControlAuthenticator>,
    authorizer: Arc<dyn Authorizer>,
}

/// What a token is asked for.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "doors build it")]
pub struct TokenAsk {
    /// Whom the token is for; as the challenge said it, where anything is said.
    pub service: Option<Box<str>>,
    /// What is to be done with it. A repository may come several times.
    pub scopes: Vec<Scope>,
    /// Whether a token for getting others is wanted too. A stranger gets none.
    pub offline: bool,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "doors take it apart")]
pub struct IssuedToken {
    /// The token itself.
    pub token: Secret,
    /// When it was given out.
    pub issued: DateTime<Utc>,
    /// From when on it is worth nothing.
    pub expires: DateTime<Utc>,
    /// A token for getting others until the key ends that this one was got with.
    pub refresh: Option<Secret>,
}

impl IssuedToken {
    /// For how many seconds it is good from when it was given out; 60 at least.
    pub fn seconds(&self) -> i64 {
        (self.expires - self.issued).num_seconds()
    }
}

impl TokenDesk {
    /// No token lists more repositories.
    pub const REPOSITORIES_MAX: usize = 16;

    /// Gives out tokens for whom `authenticator` knows and for what `authorizer` allows.
    pub fn new(authenticator: Arc<ControlAuthenticator>, authorizer: Arc<dyn Authorizer>) -> Self {
        Self { authenticator, authorizer }
    }

    /// A token for whoever presents a login, or for a stranger. A token gets nobody a token.
    pub async fn issue(&self, presented: &Presented, ask: &TokenAsk) -> Result<IssuedToken, TokenDeskError> {
        let scopes = self.scopes(ask)?;
        let holder = match presented {
            Presented::Nothing => None,
            Presented::Password { user, password } => Some(self.authenticator.login(user, password).await?),
            Presented::Bearer(_) => return Err(AuthenticationError::Refused.into()),
        };
        self.give(holder, scopes, ask.offline).await
    }

    /// A token for whoever has one for getting others.
    pub async fn refresh(&self, refresh: &Secret, ask: &TokenAsk) -> Result<IssuedToken, TokenDeskError> {
        let scopes = self.scopes(ask)?;
        let holder = self.authenticator.refresh(refresh).await?;
        self.give(Some(holder), scopes, ask.offline).await
    }

    /// A token for the management protocol, for a user who has a password: it ends with that password, and after the
    /// time that the settings say.
    pub async fn management(
        &self,
        account: &AccountName,
        user: &UserName,
        password: &Secret,
    ) -> Result<(Signer, IssuedToken), AuthenticationError> {
        let signer = self.authenticator.password(account, user, password).await?;
        let hash = signer.user.password.as_ref().ok_or(AuthenticationError::Refused)?;
        let issued = self.authenticator.now();
        let expires = issued + self.authenticator.settings().management_life();
        let proof = Proof::Password(fingerprint_of(hash));
        let claims = self.claims(Purpose::Management, signer.user.id.as_str(), proof, issued, expires);
        let token = self.sign(&claims, issued).await?;
        Ok((signer, IssuedToken { token, issued, expires, refresh: None }))
    }

    /// What is asked for, each resource once.
    fn scopes(&self, ask: &TokenAsk) -> Result<Vec<Scope>, TokenDeskError> {
        if let Some(service) = &ask.service
            && **service != *self.authenticator.settings().host()
        {
            return Err(TokenDeskError::Service { ours: self.authenticator.settings().host().into() });
        }
        let mut repositories: BTreeMap<&RepositoryName, BTreeSet<Action>> = BTreeMap::new();
        let mut catalogue = None;
        for scope in &ask.scopes {
            match scope {
                Scope::Repository { name, actions } => repositories.entry(name).or_default().extend(actions),
                Scope::Catalogue => catalogue = Some(Scope::Catalogue),
            }
        }
        if repositories.len() > Self::REPOSITORIES_MAX {
            return Err(TokenDeskError::TooManyRepositories { limit: Self::REPOSITORIES_MAX });
        }
        let repositories = repositories.into_iter();
        Ok(repositories
            .map(|(name, actions)| Scope::repository(name.clone(), actions))
            .chain(catalogue)
            .collect())
    }

    async fn give(
        &self,
        holder: Option<KeyHolder>,
        scopes: Vec<Scope>,
        offline: bool,
    ) -> Result<IssuedToken, TokenDeskError> {
        let issued = self.authenticator.now();
        let expires = issued + self.authenticator.settings().token_life();
        let (caller, sub, proof) = match &holder {
            Some(holder) => (caller(&holder.user), holder.user.id.as_str(), Proof::Key(key_of(holder).0)),
            None => (Caller::Anonymous, "", Proof::Nothing),
        };
        let mut claims = self.claims(Purpose::Access, sub, proof.clone(), issued, expires);
        for scope in scopes {
            claims.access.push(Listed::of(&self.granted(&caller, scope).await?));
        }
        let token = self.sign(&claims, issued).await?;
        let refresh = match &holder {
            Some(holder) if offline => {
                let ends = key_of(holder).1.unwrap_or(issued + REFRESH_LIFE);
                let claims = self.claims(Purpose::Refresh, sub, proof, issued, ends);
                Some(self.sign(&claims, issued).await?)
            }
            _ => None,
        };
        Ok(IssuedToken { token, issued, expires, refresh })
    }

    /// Of what is asked for, what the caller may do now.
    async fn granted(&self, caller: &Caller, scope: Scope) -> Result<Scope, StoreError> {
        let Scope::Repository { name, actions } = scope else { return Ok(scope) };
        let mut granted = BTreeSet::new();
        for action in actions {
            let ask = Ask { action, repository: &name, tags: &[] };
            if let Verdict::Allow(_) = self.authorizer.decide(caller, ask).await? {
                granted.insert(action);
            }
        }
        Ok(Scope::Repository { name, actions: granted })
    }

    fn claims(
        &self,
        purpose: Purpose,
        sub: &str,
        by: Proof,
        issued: DateTime<Utc>,
        expires: DateTime<Utc>,
    ) -> Claims {
        Claims::new(purpose, self.authenticator.settings().host(), sub, by, issued, expires)
    }

    async fn sign(&self, claims: &Claims, now: DateTime<Utc>) -> Result<Secret, StoreError> {
        let (id, key) = self.authenticator.keys().signing(now).await?;
        Ok(sign(claims, id, &key))
    }
}

/// A refresh token of an access key ends with the key. This is longer than anybody waits for that.
const REFRESH_LIFE: TimeDelta = TimeDelta::days(3650);

/// The key, and when it ends by itself.
fn key_of(holder: &KeyHolder) -> (swr_core::control::credential::KeyId, Option<DateTime<Utc>>) {
    match &holder.key {
        HeldKey::Access(key) => (key.id.clone(), None),
        HeldKey::Temporary(key) => (key.id.clone(), Some(key.expires)),
    }
}

impl fmt::Debug for TokenDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenDesk").field("authenticator", &self.authenticator).finish_non_exhaustive()
    }
}

/// Why no token is given out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenDeskError {
    /// The login is not right, or could not be looked at.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// The token would be for somebody else.
    #[error("tokens for `{ours}` are given out here, and for no other service")]
    Service {
        /// Whom they are for.
        ours: Box<str>,
    },
    /// The token would be longer than one may be.
    #[error("a token is for at most {limit} repositories")]
    TooManyRepositories {
        /// How many it may be for.
        limit: usize,
    },
}

impl From<StoreError> for TokenDeskError {
    fn from(error: StoreError) -> Self {
        Self::Authentication(error.into())
    }
}
