//! Who is calling, of those that the control plane knows.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tracing::debug;

use swr_core::caller::{Caller, Reach};
use swr_core::control::credential::{HeldKey, KeyHolder, KeyId};
use swr_core::control::identity::{AccountName, PasswordHash, UserId, UserName};
use swr_core::ports::{Clock, MetadataStore, StoreError};
use swr_core::remembered::Remembered;

use crate::authenticator::{Authenticated, AuthenticationError, Authenticator};
use crate::challenge::Challenge;
use crate::desk_settings::DeskSettings;
use crate::key_desk;
use crate::login::long_term_password;
use crate::new_password::NewPassword;
use crate::password::PasswordCheck;
use crate::presented::Presented;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::signature::{SignatureError, SignedRequest};
use crate::signer::{Signer, caller};
use crate::token::{Claims, Proof, Purpose, Unverified};
use crate::token_keys::TokenKeys;
use crate::vault::Vault;

/// As many are remembered at a time who have proven who they are.
const PROVEN_MAX: usize = 4096;

/// Knows the users of a control plane by their keys, their passwords and the tokens that were got with these. Needs a
/// tokio runtime where passwords are checked.
///
/// What was deleted, has expired or was changed is worth nothing for the next request: the key, the user and the key
/// of a token are looked up for each, unless the store says that nothing has changed since the last time
/// ([`MetadataStore::decided_on`]). What is wrong is refused in one way, whatever is wrong with it, and takes the
/// same work.
pub struct ControlAuthenticator {
    metadata: Arc<dyn MetadataStore>,
    vault: Arc<Vault>,
    settings: DeskSettings,
    clock: Arc<dyn Clock>,
    keys: TokenKeys,
    passwords: PasswordCheck,
    /// By the fingerprint of what was shown.
    proven: Remembered<[u8; 32], Arc<Proven>>,
}

/// What somebody has shown to be, and when it is good.
#[derive(Debug)]
struct Proven {
    authenticated: Authenticated,
    lasts: Range<DateTime<Utc>>,
}

/// A hash as new passwords get it, of a password that nobody can have: what is checked where there is no user.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// A secret as access keys have it: what is computed with where there is no key.
const NOBODYS_SECRET: &str = "0000000000000000000000000000000000000000";

impl ControlAuthenticator {
    /// Knows those whom `metadata` keeps, whose secrets `vault` opens.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        vault: Arc<Vault>,
        settings: DeskSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let keys = TokenKeys::new(Arc::clone(&metadata), Arc::clone(&vault));
        Self {
            metadata,
            vault,
            settings,
            clock,
            keys,
            passwords: PasswordCheck::new(),
            proven: Remembered::new(PROVEN_MAX),
        }
    }

    /// Who has signed the request, with an access key.
    pub async fn signed(&self, request: &SignedRequest<'_>) -> Result<Signer, AuthenticationError> {
        let signature = request.signature().map_err(refused)?;
        let holder = self.holder(signature.key()).await?;
        let (holder, secret) = self.with_secret(holder)?;
        request.verify(&signature, &secret, self.clock.now()).map_err(refused)?;
        match holder {
            Some(KeyHolder { key: HeldKey::Access(key), user, account }) => {
                Ok(Signer { user, account, key: Some(key.id) })
            }
            _ => Err(AuthenticationError::Refused),
        }
    }

    /// Whose management token this is: `X-Auth-Token`.
    pub async fn management_token(&self, token: &Secret) -> Result<Signer, AuthenticationError> {
        let claims = self.claims(token, Purpose::Management).await?;
        let Proof::Password(fingerprint) = claims.by else { return Err(AuthenticationError::Refused) };
        let id = UserId::parse(&claims.sub).map_err(|_| AuthenticationError::Refused)?;
        let user = self.metadata.user(&id).await?.ok_or(AuthenticationError::Refused)?;
        let is_same = user.password.as_ref().is_some_and(|hash| fingerprint_of(hash) == fingerprint);
        if !is_same {
            return Err(AuthenticationError::Refused);
        }
        let account = self.metadata.account(&user.account).await?.ok_or(AuthenticationError::Refused)?;
        Ok(Signer { user, account, key: None })
    }

    /// The user of this name in the account of that name, if this is its password.
    pub async fn password(
        &self,
        account: &AccountName,
        user: &UserName,
        password: &Secret,
    ) -> Result<Signer, AuthenticationError> {
        let account = self.metadata.account_named(account).await?;
        let user = match &account {
            Some(account) => self.metadata.user_named(&account.id, user).await?,
            None => None,
        };
        let (Some(account), Some(user)) = (account, user) else {
            return Err(self.passwords.refuse(password, NOBODYS_HASH).await);
        };
        let Some(hash) = &user.password else {
            return Err(self.passwords.refuse(password, NOBODYS_HASH).await);
        };
        match self.passwords.is_right(password, hash.expose()).await? {
            true => Ok(Signer { user, account, key: None }),
            false => Err(AuthenticationError::Refused),
        }
    }

    /// Whose access key this is, if this is its secret.
    pub async fn access_key(&self, key: &KeyId, secret: &Secret) -> Result<Signer, AuthenticationError> {
        let (holder, right) = self.with_secret(self.holder(key).await?)?;
        let is_right = *secret == right;
        match holder {
            Some(KeyHolder { key: HeldKey::Access(key), user, account }) if is_right => {
                Ok(Signer { user, account, key: Some(key.id) })
            }
            _ => Err(AuthenticationError::Refused),
        }
    }

    /// The hash of a password, made on a thread that may wait, a few at a time.
    pub async fn hash(&self, password: &NewPassword) -> Result<PasswordHash, AuthenticationError> {
        let password = password.clone();
        self.passwords.in_turn("passwords.hash", move || password.hash()).await
    }

    /// Who stands behind a login: `{region project}@{key id}` and its secret.
    pub(crate) async fn login(&self, name: &str, secret: &Secret) -> Result<KeyHolder, AuthenticationError> {
        let (project, id) = name.split_once('@').unwrap_or((name, ""));
        let holder = match KeyId::parse(id) {
            Ok(id) => self.holder(&id).await?,
            Err(_) => None,
        };
        let (holder, of_access_key) = self.with_secret(holder)?;
        // Both are computed for every login.
        let long_term = long_term_password(id, &of_access_key);
        let digest = Sha256::digest(secret.expose());
        let is_right = match &holder {
            Some(KeyHolder { key: HeldKey::Access(_), .. }) => *secret == long_term,
            Some(KeyHolder { key: HeldKey::Temporary(key), .. }) => key.secret.ct_eq(&digest).into(),
            None => false,
        };
        match holder {
            Some(holder) if is_right && project == self.settings.project() => Ok(holder),
            _ => Err(AuthenticationError::Refused),
        }
    }

    /// Who stands behind a token for getting others.
    pub(crate) async fn refresh(&self, token: &Secret) -> Result<KeyHolder, AuthenticationError> {
        let claims = self.claims(token, Purpose::Refresh).await?;
        self.subject(&claims).await?.ok_or(AuthenticationError::Refused)
    }

    pub(crate) fn settings(&self) -> &DeskSettings {
        &self.settings
    }

    pub(crate) fn keys(&self) -> &TokenKeys {
        &self.keys
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Who shows this. What is wrong is not remembered.
    async fn known(&self, shown: &Presented) -> Result<Arc<Proven>, AuthenticationError> {
        let (decided_on, fingerprint) = (self.metadata.decided_on(), fingerprint_of_shown(shown));
        if let Some(proven) = self.proven.get(decided_on, &fingerprint)
            && proven.lasts.contains(&self.clock.now())
        {
            return Ok(proven);
        }
        let proven = Arc::new(match shown {
            Presented::Nothing => Proven::stranger(),
            Presented::Password { user, password } => Proven::holder(&self.login(user, password).await?),
            Presented::Bearer(token) => self.token(token).await?,
        });
        self.proven.keep(decided_on, fingerprint, Arc::clone(&proven));
        Ok(proven)
    }

    async fn token(&self, token: &Secret) -> Result<Proven, AuthenticationError> {
        let claims = self.claims(token, Purpose::Access).await?;
        let token_lasts = claims.lasts().ok_or(AuthenticationError::Refused)?;
        let subject = self.subject(&claims).await?;
        let Proven { authenticated, lasts } = subject.as_ref().map_or_else(Proven::stranger, Proven::holder);
        let scopes: Option<Vec<Scope>> = claims.access.iter().map(|listed| listed.scope()).collect();
        let scopes = scopes.ok_or(AuthenticationError::Refused)?;
        let has_catalogue = scopes.contains(&Scope::Catalogue);
        let repositories = scopes.into_iter().filter_map(|scope| match scope {
            Scope::Repository { name, actions } => Some((name, actions)),
            Scope::Catalogue => None,
        });
        let reach: Reach = repositories.collect();
        let reach = if has_catalogue { reach.with_catalogue() } else { reach };
        Ok(Proven {
            authenticated: Authenticated { reach: Some(reach), ..authenticated },
            lasts: token_lasts.start..token_lasts.end.min(lasts.end),
        })
    }

    /// What a token says, if it is one of ours, for this purpose and now.
    async fn claims(&self, token: &Secret, purpose: Purpose) -> Result<Claims, AuthenticationError> {
        let token = Unverified::parse(token.expose()).ok_or(AuthenticationError::Refused)?;
        let key = self.keys.verifying(token.kid()).await?.ok_or(AuthenticationError::Refused)?;
        let claims = token.verify(&key, purpose, self.settings.host(), self.clock.now());
        claims.ok_or(AuthenticationError::Refused)
    }

    /// Who stands behind a token now; `None` for a stranger.
    async fn subject(&self, claims: &Claims) -> Result<Option<KeyHolder>, AuthenticationError> {
        match &claims.by {
            Proof::Nothing if claims.sub.is_empty() => Ok(None),
            Proof::Key(key) => match self.holder(key).await? {
                Some(holder) if holder.user.id.as_str() == claims.sub => Ok(Some(holder)),
                _ => Err(AuthenticationError::Refused),
            },
            Proof::Nothing | Proof::Password(_) => Err(AuthenticationError::Refused),
        }
    }

    /// Who stands behind the key, if it is worth something now.
    async fn holder(&self, key: &KeyId) -> Result<Option<KeyHolder>, StoreError> {
        let holder = self.metadata.key_holder(key).await?;
        Ok(holder.filter(|holder| self.clock.now() < end_of(&holder.key)))
    }

    /// The holder and the secret access key; where it has none, nobody's.
    fn with_secret(&self, holder: Option<KeyHolder>) -> Result<(Option<KeyHolder>, Secret), StoreError> {
        let secret = match &holder {
            Some(KeyHolder { key: HeldKey::Access(key), .. }) => key_desk::open(&self.vault, key)?,
            _ => Secret::new(NOBODYS_SECRET),
        };
        Ok((holder, secret))
    }
}

impl Proven {
    fn stranger() -> Self {
        Self {
            authenticated: Caller::Anonymous.into(),
            lasts: DateTime::<Utc>::MIN_UTC..DateTime::<Utc>::MAX_UTC,
        }
    }

    /// Whoever holds the key, with all rights, as long as the key is worth something.
    fn holder(holder: &KeyHolder) -> Self {
        let account = Some(holder.account.id.as_str().into());
        Self {
            authenticated: Authenticated { account, ..caller(&holder.user).into() },
            lasts: DateTime::<Utc>::MIN_UTC..end_of(&holder.key),
        }
    }
}

/// From when on the key is worth nothing.
fn end_of(key: &HeldKey) -> DateTime<Utc> {
    match key {
        HeldKey::Access(_) => DateTime::<Utc>::MAX_UTC,
        HeldKey::Temporary(key) => key.expires,
    }
}

/// Stands for what was shown, and does not tell it.
fn fingerprint_of_shown(shown: &Presented) -> [u8; 32] {
    let mut hasher = Sha256::new();
    match shown {
        Presented::Nothing => {}
        Presented::Password { user, password } => {
            hasher.update(b"password");
            hasher.update((user.len() as u64).to_be_bytes());
            hasher.update(user.as_bytes());
            hasher.update(password.expose());
        }
        Presented::Bearer(token) => {
            hasher.update(b"bearer");
            hasher.update(token.expose());
        }
    }
    hasher.finalize().into()
}

/// What becomes another one with the password: half of the SHA-256 of its hash, whose salt nobody sees.
pub(crate) fn fingerprint_of(hash: &PasswordHash) -> String {
    HEXLOWER.encode(&Sha256::digest(hash.expose())[..16])
}

fn refused(error: SignatureError) -> AuthenticationError {
    debug!(%error, "a signature is refused");
    AuthenticationError::Refused
}

#[async_trait]
impl Authenticator for ControlAuthenticator {
    async fn authenticate(&self, presented: &Presented) -> Result<Authenticated, AuthenticationError> {
        Ok(self.known(presented).await?.authenticated.clone())
    }

    fn challenge(&self) -> Option<&Challenge> {
        Some(self.settings.challenge())
    }
}

impl fmt::Debug for ControlAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlAuthenticator").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::phc;

    use super::*;

    #[test]
    fn the_password_of_nobody_costs_what_that_of_somebody_does() {
        let somebodys = NewPassword::new(Secret::new("open sesame")).unwrap().hash().unwrap();
        let read = |hash: &str| {
            let hash = phc::PasswordHash::new(hash).unwrap();
            let (salt, output) = (hash.salt.unwrap().len(), hash.hash.unwrap().len());
            (hash.algorithm, hash.version, hash.params, salt, output)
        };
        assert_eq!(read(NOBODYS_HASH), read(somebodys.expose()));
    }
}
