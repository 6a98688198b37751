//! The keys of tokens: kept by the store, readable through the vault alone.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;

use swr_core::caller::{Actor, Channel, Origin, Task};
use swr_core::control::change::{MetadataChange, MetadataCommit, MetadataCommitError};
use swr_core::control::credential::{KeyId, TokenKey};
use swr_core::ports::{MetadataStore, StoreError, StoreErrorKind};

use crate::random;
use crate::secret::Secret;
use crate::vault::{Vault, VaultError};

/// The keys that there are. The newest signs, and all of them verify: one that is removed is worth nothing for the next
/// request.
#[derive(Debug)]
pub(crate) struct TokenKeys {
    metadata: Arc<dyn MetadataStore>,
    vault: Arc<Vault>,
}

impl TokenKeys {
    pub(crate) fn new(metadata: Arc<dyn MetadataStore>, vault: Arc<Vault>) -> Self {
        Self { metadata, vault }
    }

    /// The key that signs. The first time, it is made.
    pub(crate) async fn signing(&self, now: DateTime<Utc>) -> Result<(KeyId, Secret), StoreError> {
        if let Some(newest) = self.metadata.token_keys().await?.pop() {
            let secret = open(&self.vault, &newest)?;
            return Ok((newest.id, secret));
        }
        let (key, secret) = new_token_key(&self.vault, now);
        let id = key.id.clone();
        commit(&*self.metadata, now, MetadataChange::PutTokenKey(key)).await?;
        Ok((id, secret))
    }

    /// The key of this name, to verify with.
    pub(crate) async fn verifying(&self, id: &KeyId) -> Result<Option<Secret>, StoreError> {
        self.metadata.token_key(id).await?.map(|key| open(&self.vault, &key)).transpose()
    }
}

/// A key that there has not been before, and its secret: 256 random bits.
pub(crate) fn new_token_key(vault: &Vault, now: DateTime<Utc>) -> (TokenKey, Secret) {
    #[expect(clippy::expect_used, reason = "they are hexadecimal digits")]
    let id = KeyId::parse(&HEXLOWER.encode(&random::bytes::<8>())).expect("digits are an id");
    let secret = Secret::new(HEXLOWER.encode(&random::bytes::<32>()));
    let sealed = vault.seal(&secret, &context(&id));
    (TokenKey { id, secret: Some(sealed), created: now }, secret)
}

/// What the secret of a token's key is sealed in.
pub(crate) fn context(id: &KeyId) -> String {
    format!("token-key {id}")
}

fn open(vault: &Vault, key: &TokenKey) -> Result<Secret, StoreError> {
    let sealed = key.secret.as_ref().ok_or(VaultError::Damaged)?;
    Ok(vault.open(sealed, &context(&key.id))?)
}

/// What the registry does to keys unasked.
async fn commit(
    metadata: &dyn MetadataStore,
    at: DateTime<Utc>,
    change: MetadataChange,
) -> Result<(), StoreError> {
    let commit = MetadataCommit {
        actor: Actor::Caretaker(Task::Administration),
        origin: Origin { channel: Channel::System, ..Origin::default() },
        at,
        requires: Vec::new(),
        changes: vec![change],
    };
    match metadata.commit_metadata(commit).await {
        Ok(_) => Ok(()),
        Err(MetadataCommitError::Store(error)) => Err(error),
        // A key of the same id: one in 2⁶⁴.
        Err(error @ MetadataCommitError::Unmet(_)) => {
            Err(StoreError::new(StoreErrorKind::Unavailable, "token_keys.put", error))
        }
    }
}
