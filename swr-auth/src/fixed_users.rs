//! A few users with passwords, known from the start.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::{PasswordHash, Salt};
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use swr_core::caller::{Caller, Identity};
use swr_core::ports::{StoreError, StoreErrorKind};

use crate::authenticator::{Authenticated, AuthenticationError, Authenticator};
use crate::challenge::Challenge;
use crate::presented::Presented;
use crate::secret::Secret;

/// Passwords that are checked at once; each takes a core for some tens of milliseconds.
const CHECKS_MAX: usize = 2;
/// Passwords that are being checked or wait for it. More are told to come back.
const WAITING_MAX: usize = 64;

/// Users with argon2 hashes of their passwords, given when the registry is built. Needs a tokio runtime.
///
/// A client sends its password with each request. The first time that it is right is remembered as a keyed
/// hash, under a key that lives as long as this value, so that only that one costs an argon2.
///
/// ```
/// use swr_auth::{FixedUsers, Secret};
///
/// let users = FixedUsers::new().with_password("ada", &Secret::new("open sesame"))?;
/// # Ok::<(), swr_auth::fixed_users::UserError>(())
/// ```
pub struct FixedUsers {
    users: HashMap<Box<str>, Arc<User>>,
    challenge: Challenge,
    key: Salt,
    waiting: Semaphore,
    checking: Arc<Semaphore>,
}

struct User {
    identity: Identity,
    hash: PasswordHash,
    /// The keyed hash of the password, once it has been proven.
    proven: Mutex<Option<[u8; 32]>>,
}

impl FixedUsers {
    /// Nobody yet.
    #[expect(clippy::expect_used, reason = "the text is fixed")]
    pub fn new() -> Self {
        Self {
            users: HashMap::new(),
            challenge: Challenge::basic("registry").expect("`registry` is printable ASCII"),
            key: Salt::generate(),
            waiting: Semaphore::new(WAITING_MAX),
            checking: Arc::new(Semaphore::new(CHECKS_MAX)),
        }
    }

    /// Asks for names and passwords in this way.
    pub fn asking(mut self, challenge: Challenge) -> Self {
        self.challenge = challenge;
        self
    }

    /// Adds a user, or replaces one, by password. Hashing it takes some tens of milliseconds.
    pub fn with_password(self, name: &str, password: &Secret) -> Result<Self, UserError> {
        let hash = Argon2::default()
            .hash_password(password.expose().as_bytes())
            .map_err(|error| UserError::Hash(error.to_string()))?;
        self.with(name, hash)
    }

    /// Adds a user, or replaces one, by the hash of the password as `$argon2id$v=19$…` (PHC string format).
    pub fn with_hash(self, name: &str, hash: &str) -> Result<Self, UserError> {
        let hash = PasswordHash::new(hash).map_err(|error| UserError::Hash(error.to_string()))?;
        argon2::Algorithm::try_from(hash.algorithm.as_str())
            .map_err(|error| UserError::Hash(error.to_string()))?;
        argon2::Params::try_from(&hash).map_err(|error| UserError::Hash(error.to_string()))?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(UserError::Hash("the salt or the hash itself is missing".to_owned()));
        }
        self.with(name, hash)
    }

    fn with(mut self, name: &str, hash: PasswordHash) -> Result<Self, UserError> {
        if name.is_empty() || name.chars().any(|c| c == ':' || c.is_control()) {
            return Err(UserError::Name(name.chars().take(160).collect()));
        }
        let user = User { identity: Identity::new(name), hash, proven: Mutex::new(None) };
        self.users.insert(name.into(), Arc::new(user));
        Ok(self)
    }

    async fn check(&self, name: &str, password: &Secret) -> Result<Caller, AuthenticationError> {
        let known = self.users.get(name);
        // Somebody's hash is checked for an unknown name too, so that the time does not tell which names there are.
        let Some(user) = known.or_else(|| self.users.values().next()) else {
            return Err(AuthenticationError::Refused);
        };
        let seal = self.seal(password);
        if let Some(user) = known
            && user.is_proven_by(&seal)
        {
            return Ok(Caller::User(user.identity.clone()));
        }
        let busy = || AuthenticationError::Busy { retry_after: Duration::from_secs(1) };
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let checking = Arc::clone(&self.checking).acquire_owned().await.map_err(|_| busy())?;
        // A client's other requests may have proven it meanwhile.
        if let Some(user) = known
            && user.is_proven_by(&seal)
        {
            return Ok(Caller::User(user.identity.clone()));
        }
        let (checked, password) = (Arc::clone(user), password.clone());
        let right = tokio::task::spawn_blocking(move || {
            // The permit goes with the work: a request that is dropped does not make room before it is done.
            let _checking = checking;
            Argon2::default().verify_password(password.expose().as_bytes(), &checked.hash).is_ok()
        })
        .await
        .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, "passwords.verify", error))?;
        match known {
            Some(user) if right => {
                *user.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some(seal);
                Ok(Caller::User(user.identity.clone()))
            }
            _ => Err(AuthenticationError::Refused),
        }
    }

    fn seal(&self, password: &Secret) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC has no bad key lengths")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(password.expose().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl User {
    fn is_proven_by(&self, seal: &[u8; 32]) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.is_some_and(|proven| proven.ct_eq(seal).into())
    }
}

#[async_trait]
impl Authenticator for FixedUsers {
    async fn authenticate(&self, presented: &Presented) -> Result<Authenticated, AuthenticationError> {
        match presented {
            Presented::Nothing => Ok(Caller::Anonymous.into()),
            Presented::Password { user, password } => Ok(self.check(user, password).await?.into()),
            Presented::Bearer(_) => Err(AuthenticationError::Refused),
        }
    }

    fn challenge(&self) -> Option<&Challenge> {
        Some(&self.challenge)
    }
}

impl Default for FixedUsers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FixedUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedUsers").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

/// Why a user was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The name cannot be sent by a client.
    #[error("the user name {0:?} is empty, or has a colon or a control character")]
    Name(String),
    /// The password could not be hashed, or the hash is not one of argon2.
    #[error("the password hash cannot be used: {0}")]
    Hash(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(user: &str, password: &str) -> Presented {
        Presented::Password { user: user.into(), password: Secret::new(password) }
    }

    /// The cheapest hash that argon2 allows, of `open sesame`.
    fn users() -> FixedUsers {
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let hash = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password(b"open sesame")
            .unwrap();
        FixedUsers::new().with_hash("ada", &hash.to_string()).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_taken() {
        let users = users();
        for round in ["first", "remembered"] {
            let caller = users.authenticate(&shown("ada", "open sesame")).await.unwrap();
            assert_eq!(caller, Caller::User(Identity::new("ada")).into(), "{round}");
            for wrong in [shown("ada", "open sesam"), shown("ada", ""), shown("bob", "open sesame")] {
                let refused = users.authenticate(&wrong).await;
                assert!(matches!(refused, Err(AuthenticationError::Refused)), "{round} {wrong:?}");
            }
        }
        assert_eq!(users.authenticate(&Presented::Nothing).await.unwrap(), Caller::Anonymous.into());
        let token = Presented::Bearer(Secret::new("open sesame"));
        assert!(matches!(users.authenticate(&token).await, Err(AuthenticationError::Refused)));
    }

    #[tokio::test]
    async fn a_proven_password_needs_no_further_check() {
        let users = users();
        users.authenticate(&shown("ada", "open sesame")).await.unwrap();
        // With every check taken, only what is remembered can be answered.
        let _taken = users.waiting.acquire_many(WAITING_MAX as u32).await.unwrap();
        users.authenticate(&shown("ada", "open sesame")).await.unwrap();
        for unproven in [shown("ada", "wrong"), shown("bob", "open sesame")] {
            let refused = users.authenticate(&unproven).await;
            assert!(matches!(refused, Err(AuthenticationError::Busy { .. })), "{unproven:?}");
        }
    }

    #[tokio::test]
    async fn a_dropped_request_leaves_nothing_taken() {
        use std::future::Future as _;
        use std::task::{Context, Poll, Waker};

        let users = users();
        let presented = shown("ada", "open sesame");
        let mut dropped = Box::pin(users.authenticate(&presented));
        let polled = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending));
        drop(dropped);
        let all = users.checking.acquire_many(CHECKS_MAX as u32).await.unwrap();
        assert_eq!(users.waiting.available_permits(), WAITING_MAX);
        drop(all);
        users.authenticate(&presented).await.unwrap();
    }

    #[test]
    fn what_cannot_be_checked_is_refused_when_it_is_added() {
        for hash in [
            "",
            "open sesame",
            "$2y$05$abcdefghijklmnopqrstuuvwxyz",
            "$argon2id$v=19$m=8,t=1,p=1",
            "$pbkdf2$i=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
        ] {
            assert!(matches!(FixedUsers::new().with_hash("ada", hash), Err(UserError::Hash(_))), "{hash}");
        }
        for name in ["", "a:b", "a\nb"] {
            let added = FixedUsers::new().with_password(name, &Secret::new("x"));
            assert!(matches!(added, Err(UserError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let printed = format!("{:?} {:?}", users(), shown("ada", "open sesame"));
        assert!(!printed.contains("sesame") && !printed.contains("argon2"), "{printed}");
    }
}
