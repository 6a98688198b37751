//! Where keys and logins are made.

use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use swr_core::caller::{Actor, Channel, Origin, Task};
use swr_core::control::change::{MetadataChange, MetadataCommit, MetadataCommitError, MetadataRequire};
use swr_core::control::credential::{AccessKey, KeyId, Sealed, TemporaryKey, TokenKey};
use swr_core::control::identity::{Account, AccountName, PasswordHash, Role, User, UserId, UserName};
use swr_core::control::trigger::Trigger;
use swr_core::control::{ControlAccess, ControlError, Founder, NewAccount};
use swr_core::ports::{Clock, MetadataStore, Page, StoreError, StoreErrorKind};
use swr_core::{RepositoryName, TriggerName};

use crate::desk_settings::DeskSettings;
use crate::grant_authorizer::in_no_organisation;
use crate::login::Login;
use crate::random;
use crate::secret::Secret;
use crate::token_keys;
use crate::vault::{Vault, VaultError};

/// Makes the keys that users sign and sign in with, and the keys of tokens.
///
/// Whatever it makes it shows once: the store keeps the secrets of access keys and of tokens' keys sealed by the
/// vault, and those of temporary logins as a hash alone.
#[derive(Debug)]
pub struct KeyDesk {
    vault: Arc<Vault>,
    settings: DeskSettings,
    clock: Arc<dyn Clock>,
}

/// An access key with its secret: shown once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever has one takes it apart")]
pub struct NewAccessKey {
    /// The key, as lists show it.
    pub key: AccessKey,
    /// The secret access key (SK).
    pub secret: Secret,
}

/// An account with its first user and that user's access key, whose secret is shown once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever has one takes it apart")]
pub struct FoundedAccount {
    /// The account.
    pub account: Account,
    /// Its first user.
    pub user: User,
    /// The user's access key.
    pub key: NewAccessKey,
}

impl KeyDesk {
    /// Makes keys for the deployment of these settings.
    pub fn new(vault: Arc<Vault>, settings: DeskSettings, clock: Arc<dyn Clock>) -> Self {
        Self { vault, settings, clock }
    }

    /// Gives the user an access key: an id (AK) of 20 capital letters and digits, a secret (SK) of 40 letters and
    /// digits.
    pub async fn access_key(
        &self,
        access: &ControlAccess<'_>,
        user: &UserId,
        description: &str,
    ) -> Result<NewAccessKey, ControlError> {
        let (key, secret) = self.sealed_key(user.clone(), description);
        access.add_access_key(key.clone()).await?;
        Ok(NewAccessKey { key: AccessKey { secret: None, ..key }, secret })
    }

    /// Adds an account with its first user, who gets an access key as [`Self::access_key`] makes them: all of them,
    /// or none.
    pub async fn found_account(
        &self,
        access: &ControlAccess<'_>,
        account: AccountName,
        user: UserName,
        role: Role,
        password: Option<PasswordHash>,
    ) -> Result<FoundedAccount, ControlError> {
        let (key, secret) = self.sealed_key(UserId::random(), "");
        let founder = Founder { name: user, role, password, key: key.clone() };
        let (account, user) = access.found_account(NewAccount { name: account }, founder).await?;
        let key = NewAccessKey { key: AccessKey { secret: None, ..key }, secret };
        Ok(FoundedAccount { account, user, key })
    }

    fn sealed_key(&self, user: UserId, description: &str) -> (AccessKey, Secret) {
        let id = new_key_id();
        let secret = Secret::new(random::text(random::LETTERS_AND_DIGITS, 40));
        let key = AccessKey {
            user,
            description: description.into(),
            secret: Some(self.vault.seal(&secret, &context(&id))),
            created: self.clock.now(),
            id,
        };
        (key, secret)
    }

    /// A login for the caller itself that ends after `life`, at most after what the settings say, which is also what
    /// it is when nothing is said. It ends with the access key that it was asked for `with`, where it was one.
    pub async fn temporary_login(
        &self,
        access: &ControlAccess<'_>,
        with: Option<&KeyId>,
        life: Option<TimeDelta>,
    ) -> Result<Login, ControlError> {
        let longest = self.settings.login_life();
        let expires = self.clock.now() + life.unwrap_or(longest).clamp(TimeDelta::zero(), longest);
        let id = new_key_id();
        let secret = Secret::new(HEXLOWER.encode(&random::bytes::<32>()));
        let key = TemporaryKey {
            id: id.clone(),
            user: access.user().await?.id,
            issued_with: with.cloned(),
            secret: Sha256::digest(secret.expose()).into(),
            expires,
        };
        access.add_temporary_key(key).await?;
        Ok(Login::temporary(self.settings.project(), &id, secret, expires))
    }

    /// The login of an access key that lasts as long as the key, for whoever holds its secret.
    pub fn long_term_login(&self, key: &KeyId, secret: &Secret) -> Login {
        Login::long_term(self.settings.project(), key, secret)
    }

    /// A key for tokens, to be [added](ControlAccess::add_token_key): it signs from then on. The one before it may
    /// be removed as soon as its tokens have ended; what remains of them is worth nothing then, and clients that keep
    /// a refresh token have to sign in again.
    pub fn token_key(&self) -> TokenKey {
        token_keys::new_token_key(&self.vault, self.clock.now()).0
    }

    /// Seals what the messages of a webhook are signed with, for the trigger of this name in the repository.
    pub fn seal_trigger(
        &self,
        repository: &RepositoryName,
        trigger: &TriggerName,
        secret: &Secret,
    ) -> Sealed {
        self.vault.seal(secret, &trigger_context(repository, trigger))
    }

    /// Opens what was [sealed](Self::seal_trigger) for the trigger, for whoever signs its messages.
    pub fn open_trigger(&self, trigger: &Trigger, sealed: &Sealed) -> Result<Secret, VaultError> {
        self.vault.open(sealed, &trigger_context(&trigger.repository, &trigger.name))
    }

    /// Seals anew what is sealed under a previous master key, and says how many secrets that were. Interrupted, it
    /// goes on where it is called again.
    pub async fn reseal(&self, metadata: &dyn MetadataStore) -> Result<u64, StoreError> {
        let mut resealed = 0;
        let mut page = Page { after: None, limit: PAGE };
        loop {
            let keys = metadata.all_access_keys(&page).await?;
            let Some(last) = keys.last() else { break };
            page.after = Some(last.id.clone());
            for key in keys {
                let sealed = key.secret.as_ref().ok_or(VaultError::Damaged)?;
                let Some(sealed) = self.vault.reseal(sealed, &context(&key.id))? else { continue };
                let require = MetadataRequire::AccessKeyOf { key: key.id.clone(), user: key.user.clone() };
                let change = MetadataChange::PutAccessKey(AccessKey { secret: Some(sealed), ..key });
                // One that was deleted meanwhile stays so.
                resealed += u64::from(self.put(metadata, require, change).await?);
            }
        }
        resealed += self.reseal_triggers(metadata).await?;
        Ok(resealed + self.reseal_token_keys(metadata).await?)
    }

    async fn reseal_triggers(&self, metadata: &dyn MetadataStore) -> Result<u64, StoreError> {
        let (mut resealed, mut after) = (0, None);
        loop {
            let triggers = metadata.sealed_triggers(after, PAGE).await?;
            let Some((last, _)) = triggers.last() else { return Ok(resealed) };
            after = Some(*last);
            for (id, trigger) in triggers {
                let Some(was) = trigger.target.secret() else { continue };
                let context = trigger_context(&trigger.repository, &trigger.name);
                let Some(sealed) = self.vault.reseal(was, &context)? else { continue };
                // One that was removed meanwhile stays so.
                resealed += u64::from(metadata.reseal_trigger(id, was, &sealed).await?);
            }
        }
    }

    async fn reseal_token_keys(&self, metadata: &dyn MetadataStore) -> Result<u64, StoreError> {
        let mut resealed = 0;
        for _ in 0..ROUNDS_MAX {
            let rights = in_no_organisation(metadata, None, None).await?.rights;
            let mut moved = false;
            for key in metadata.token_keys().await? {
                let sealed = key.secret.as_ref().ok_or(VaultError::Damaged)?;
                let Some(sealed) = self.vault.reseal(sealed, &token_keys::context(&key.id))? else {
                    continue;
                };
                let change = MetadataChange::PutTokenKey(TokenKey { secret: Some(sealed), ..key });
                // Removing a key moves the count of rights: one that is gone does not come back.
                match self.put(metadata, MetadataRequire::Rights(rights), change).await? {
                    true => resealed += 1,
                    false => moved = true,
                }
            }
            if !moved {
                return Ok(resealed);
            }
        }
        Err(StoreError::new(StoreErrorKind::Unavailable, "token_keys.reseal", "rights keep changing"))
    }

    /// Whether the change was made; `false` when the requirement does not hold.
    async fn put(
        &self,
        metadata: &dyn MetadataStore,
        require: MetadataRequire,
        change: MetadataChange,
    ) -> Result<bool, StoreError> {
        let commit = MetadataCommit {
            actor: Actor::Caretaker(Task::Administration),
            origin: Origin { channel: Channel::System, ..Origin::default() },
            at: self.clock.now(),
            requires: vec![require],
            changes: vec![change],
        };
        match metadata.commit_metadata(commit).await {
            Ok(_) => Ok(true),
            Err(MetadataCommitError::Unmet(_)) => Ok(false),
            Err(MetadataCommitError::Store(error)) => Err(error),
        }
    }
}

/// Keys that are read at once.
const PAGE: NonZeroU32 = NonZeroU32::new(256).unwrap();
/// How often the keys of tokens are gone through again while rights keep changing.
const ROUNDS_MAX: u32 = 8;

/// An id that no key has had before: 20 capital letters and digits.
fn new_key_id() -> KeyId {
    #[expect(clippy::expect_used, reason = "they are letters and digits")]
    KeyId::parse(&random::text(random::UPPER_AND_DIGITS, 20)).expect("letters and digits are an id")
}

/// What the secret of an access key is sealed in.
fn context(id: &KeyId) -> String {
    format!("access-key {id}")
}

/// What the secret of a trigger is sealed in.
fn trigger_context(repository: &RepositoryName, trigger: &TriggerName) -> String {
    format!("trigger {repository} {trigger}")
}

/// The secret access key.
pub(crate) fn open(vault: &Vault, key: &AccessKey) -> Result<Secret, StoreError> {
    let sealed = key.secret.as_ref().ok_or(VaultError::Damaged)?;
    Ok(vault.open(sealed, &context(&key.id))?)
}
