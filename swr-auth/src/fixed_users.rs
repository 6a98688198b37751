//! A few users with passwords, known from the start.

use std::collections::HashMap;
use std::fmt;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc::PasswordHash;
use async_trait::async_trait;

use swr_core::caller::{Caller, Identity};

use crate::authenticator::{Authenticated, AuthenticationError, Authenticator};
use crate::challenge::Challenge;
use crate::password::PasswordCheck;
use crate::presented::Presented;
use crate::secret::Secret;

/// Users with argon2 hashes of their passwords, given when the registry is built. Needs a tokio runtime.
///
/// A client sends its password with each request. That it was right is remembered as a keyed hash, under a key that
/// lives as long as this value, so that the first one alone costs an argon2.
///
/// ```
/// use swr_auth::{FixedUsers, Secret};
///
/// let users = FixedUsers::new().with_password("ada", &Secret::new("open sesame"))?;
/// # Ok::<(), swr_auth::fixed_users::UserError>(())
/// ```
pub struct FixedUsers {
    /// Names, and hashes in PHC string format.
    users: HashMap<Box<str>, Box<str>>,
    challenge: Challenge,
    passwords: PasswordCheck,
}

impl FixedUsers {
    /// Nobody yet.
    #[expect(clippy::expect_used, reason = "the text is fixed")]
    pub fn new() -> Self {
        Self {
            users: HashMap::new(),
            challenge: Challenge::basic("registry").expect("`registry` is printable ASCII"),
            passwords: PasswordCheck::new(),
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
        self.with(name, &hash)
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
        self.with(name, &hash)
    }

    fn with(mut self, name: &str, hash: &PasswordHash) -> Result<Self, UserError> {
        if name.is_empty() || name.chars().any(|c| c == ':' || c.is_control()) {
            return Err(UserError::Name(name.chars().take(160).collect()));
        }
        self.users.insert(name.into(), hash.to_string().into());
        Ok(self)
    }

    async fn check(&self, name: &str, password: &Secret) -> Result<Caller, AuthenticationError> {
        let Some(hash) = self.users.get(name) else {
            // Somebody's hash is checked for an unknown name too, so that the time does not tell which names there
            // are.
            return Err(match self.users.values().next() {
                Some(somebodys) => self.passwords.refuse(password, somebodys).await,
                None => AuthenticationError::Refused,
            });
        };
        match self.passwords.is_right(password, hash).await? {
            true => Ok(Caller::User(Identity::new(name))),
            false => Err(AuthenticationError::Refused),
        }
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
