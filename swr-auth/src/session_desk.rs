//! Where people on pages sign in: a password or an access key in, a session out.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use swr_core::control::credential::KeyId;
use swr_core::control::identity::{AccountName, UserName};
use swr_core::control::session::{Session, SessionId, SessionProof};
use swr_core::ports::{Clock, MetadataStore, StoreError};

use crate::authenticator::AuthenticationError;
use crate::control_authenticator::{ControlAuthenticator, fingerprint_of};
use crate::random;
use crate::secret::Secret;
use crate::signer::Signer;

/// Begins sessions of people on pages, knows them again, and ends them.
///
/// A session is a random token that its owner alone has: the store finds it by a hash. It ends when its owner leaves,
/// when it has not been used for a while, when it has lasted long enough, and at once with the user, the password or
/// the access key that it was begun with.
pub struct SessionDesk {
    metadata: Arc<dyn MetadataStore>,
    authenticator: Arc<ControlAuthenticator>,
    clock: Arc<dyn Clock>,
    limits: SessionLimits,
}

/// How long sessions last, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..SessionLimits::default()`")]
pub struct SessionLimits {
    /// How long one lasts that is not used. An hour.
    pub idle: TimeDelta,
    /// How long one lasts at most. 12 hours.
    pub life: TimeDelta,
    /// How many a user has at once: one more ends the one that was not used for the longest time. 16.
    pub per_user: NonZeroU32,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            idle: TimeDelta::hours(1),
            life: TimeDelta::hours(12),
            per_user: NonZeroU32::MIN.saturating_add(15),
        }
    }
}

/// A session that was just begun.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "doors take it apart")]
pub struct NewSession {
    /// What its owner shows from now on: 64 hexadecimal digits.
    pub token: Secret,
    /// From when on it is worth nothing, however much it is used.
    pub expires: DateTime<Utc>,
}

/// A session that lasts.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "doors take it apart")]
pub struct ResumedSession {
    /// Who has signed in, as of now.
    pub signer: Signer,
    /// What the session's own forms have in them, and nobody else's can: 64 hexadecimal digits.
    pub form_token: Secret,
}

/// How much later a use has to be than the one before it to be noted.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

impl SessionDesk {
    /// Begins sessions for those whom `authenticator` knows, and keeps them in `metadata`.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        authenticator: Arc<ControlAuthenticator>,
        clock: Arc<dyn Clock>,
        limits: SessionLimits,
    ) -> Self {
        Self { metadata, authenticator, clock, limits }
    }

    /// Begins a session for the user of this name in the account of that name, if this is its password.
    pub async fn sign_in(
        &self,
        account: &AccountName,
        user: &UserName,
        password: &Secret,
    ) -> Result<NewSession, AuthenticationError> {
        let signer = self.authenticator.password(account, user, password).await?;
        let hash = signer.user.password.as_ref().ok_or(AuthenticationError::Refused)?;
        let mark = fingerprint_of(hash).into();
        self.begin(signer, SessionProof::Password(mark)).await
    }

    /// Begins a session for whoever has this access key, if this is its secret.
    pub async fn sign_in_with_key(
        &self,
        key: &KeyId,
        secret: &Secret,
    ) -> Result<NewSession, AuthenticationError> {
        let signer = self.authenticator.access_key(key, secret).await?;
        self.begin(signer, SessionProof::Key(key.clone())).await
    }

    async fn begin(&self, signer: Signer, proof: SessionProof) -> Result<NewSession, AuthenticationError> {
        let token = Secret::new(HEXLOWER.encode(&random::bytes::<32>()));
        let begun = self.clock.now();
        let session = Session { id: id_of(&token), user: signer.user.id, proof, begun, used: begun };
        match self.metadata.begin_session(&session, self.limits.per_user).await? {
            true => {
                let expires = begun.checked_add_signed(self.limits.life).unwrap_or(DateTime::<Utc>::MAX_UTC);
                Ok(NewSession { token, expires })
            }
            // It went between the two questions.
            false => Err(AuthenticationError::Refused),
        }
    }

    /// Whose session this is the token of, and notes that it was used. `None` when it has ended.
    pub async fn resume(&self, token: &Secret) -> Result<Option<ResumedSession>, StoreError> {
        let id = id_of(token);
        let Some(holder) = self.metadata.session(&id).await? else { return Ok(None) };
        let (session, now) = (holder.session, self.clock.now());
        let SessionLimits { idle, life, .. } = self.limits;
        let is_over = has_passed(session.begun, life, now) || has_passed(session.used, idle, now);
        let (is_proven, key) = match session.proof {
            SessionProof::Key(key) => (true, Some(key)),
            SessionProof::Password(mark) => {
                (holder.user.password.as_ref().is_some_and(|hash| *fingerprint_of(hash) == *mark), None)
            }
        };
        if is_over || !is_proven {
            self.metadata.end_session(&id).await?;
            return Ok(None);
        }
        // Often enough that no session ends which is used.
        if has_passed(session.used, NOTED_EVERY.min(idle / 2), now) {
            self.metadata.use_session(&id, now).await?;
        }
        let signer = Signer { user: holder.user, account: holder.account, key };
        Ok(Some(ResumedSession { signer, form_token: form_token(token) }))
    }

    /// Ends the session of this token.
    pub async fn end(&self, token: &Secret) -> Result<(), StoreError> {
        self.metadata.end_session(&id_of(token)).await
    }

    /// Removes what is left of sessions that have ended by themselves, at most `limit` of each kind, and says how many
    /// that were.
    pub async fn trim(&self, limit: NonZeroU32) -> Result<u64, StoreError> {
        let SessionLimits { idle, life, .. } = self.limits;
        let now = self.clock.now();
        // Nobody has begun one before that, and stores can keep no time that is too far from it.
        let before = |time| now.checked_sub_signed(time).unwrap_or_default().max(DateTime::UNIX_EPOCH);
        self.metadata.trim_sessions(before(life), before(idle), limit).await
    }
}

/// Whether as much time has passed since then.
fn has_passed(since: DateTime<Utc>, time: TimeDelta, now: DateTime<Utc>) -> bool {
    since.checked_add_signed(time).is_some_and(|end| now >= end)
}

/// The token has 256 random bits: nobody finds another one with the same hash, or a token by its hash.
fn id_of(token: &Secret) -> SessionId {
    SessionId(Sha256::digest(token.expose()).into())
}

/// Another hash of the same token: whoever sees the one learns nothing of the other, or of the token.
fn form_token(token: &Secret) -> Secret {
    let mut hash = Sha256::new();
    hash.update(b"form ");
    hash.update(token.expose());
    Secret::new(HEXLOWER.encode(&hash.finalize()))
}

impl fmt::Debug for SessionDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionDesk").field("limits", &self.limits).finish_non_exhaustive()
    }
}
