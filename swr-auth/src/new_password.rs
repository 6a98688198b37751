//! Passwords that users choose.

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc;
use swr_core::control::identity::PasswordHash;
use swr_core::ports::{StoreError, StoreErrorKind};

use crate::random;
use crate::secret::Secret;

/// A password that is long enough.
#[derive(Clone, Debug)]
pub struct NewPassword(Secret);

impl NewPassword {
    /// No password is shorter, in characters.
    pub const CHARS_MIN: usize = 8;
    /// No password is longer, in bytes.
    pub const BYTES_MAX: usize = 1024;

    /// Takes a password of 8 characters at least, and of 1024 bytes at most.
    pub fn new(password: Secret) -> Result<Self, PasswordError> {
        if password.expose().chars().nth(Self::CHARS_MIN - 1).is_none() {
            return Err(PasswordError::TooShort);
        }
        if password.expose().len() > Self::BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(password))
    }

    /// One that nobody has had before: 20 letters and digits.
    pub fn random() -> Self {
        Self(Secret::new(random::text(random::LETTERS_AND_DIGITS, 20)))
    }

    /// The password itself, for whoever has to show it once.
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// Its hash by argon2id under a random salt, which takes a core for some tens of milliseconds; a server asks
    /// [`ControlAuthenticator::hash`](crate::ControlAuthenticator::hash).
    pub fn hash(&self) -> Result<PasswordHash, StoreError> {
        let hash: Result<phc::PasswordHash, _> = Argon2::default().hash_password(self.0.expose().as_bytes());
        let hash = hash.map_err(|error| StoreError::new(StoreErrorKind::Other, "passwords.hash", error))?;
        Ok(PasswordHash::new(hash.to_string()))
    }
}

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// It is soon guessed.
    #[error("a password has at least {} characters", NewPassword::CHARS_MIN)]
    TooShort,
    /// It is none that anybody types.
    #[error("a password has at most {} bytes", NewPassword::BYTES_MAX)]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_8_characters_and_not_8_bytes() {
        for (password, expected) in [
            ("", Err(PasswordError::TooShort)),
            ("1234567", Err(PasswordError::TooShort)),
            ("éééé", Err(PasswordError::TooShort)),
            ("12345678", Ok(())),
            ("éééééééé", Ok(())),
            (&"x".repeat(1024), Ok(())),
            (&"x".repeat(1025), Err(PasswordError::TooLong)),
        ] {
            assert_eq!(NewPassword::new(Secret::new(password)).map(drop), expected, "{password}");
        }
    }

    #[test]
    fn one_password_has_many_hashes() {
        let password = NewPassword::new(Secret::new("open sesame")).unwrap();
        let (one, other) = (password.hash().unwrap(), password.hash().unwrap());
        assert!(one.expose().starts_with("$argon2id$v=19$"), "{}", one.expose());
        assert_ne!(one, other);
    }
}
