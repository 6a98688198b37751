//! What users sign in and sign with: access keys, temporary logins, and the keys of tokens.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::identity::{Account, User, UserId};

/// The id of a key: what stands behind the `@` in a login user name, and what a signature names. 1 to 64
/// letters and digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(Box<str>);

impl KeyId {
    /// Reads an id: 1 to 64 ASCII letters and digits.
    pub fn parse(text: &str) -> Result<Self, KeyIdError> {
        if matches!(text.len(), 1..=64) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.into()))
        } else {
            Err(KeyIdError(()))
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: String) -> Result<Self, KeyIdError> {
        Self::parse(&text)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0.into()
    }
}

/// A text that is no id of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a key has 1 to 64 letters and digits")]
pub struct KeyIdError(());

/// A secret that has to be read again, sealed under a key that no store has: opaque here, and not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Box<[u8]>);

impl Sealed {
    /// What whoever seals has made of a secret.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for whoever opens or keeps them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// An access key (AK and SK) of a user: signs requests, and lends itself to logins until it is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct AccessKey {
    /// The access key id (AK).
    pub id: KeyId,
    /// Whose it is.
    pub user: UserId,
    /// What its owner calls it; at most [`AccessKey::DESCRIPTION_CHARS_MAX`] characters.
    pub description: Box<str>,
    /// The secret access key (SK). `None` only in a record that is shown.
    #[serde(skip)]
    pub secret: Option<Sealed>,
    /// When it was made.
    pub created: DateTime<Utc>,
}

impl AccessKey {
    /// No description is longer, in characters.
    pub const DESCRIPTION_CHARS_MAX: usize = 255;
}

/// A login that ends by itself: its secret is kept as a hash alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct TemporaryKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub user: UserId,
    /// The access key that it was asked for with, and ends with.
    pub issued_with: Option<KeyId>,
    /// SHA-256 of the secret, which has 128 random bits at least.
    #[serde(skip)]
    pub secret: [u8; 32],
    /// From when on it is worth nothing.
    pub expires: DateTime<Utc>,
}

/// What a key's id leads to: the key, and who stands behind it now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct KeyHolder {
    /// The key.
    pub key: HeldKey,
    /// The user.
    pub user: User,
    /// The user's account.
    pub account: Account,
}

/// A key of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an authenticator must answer for both")]
pub enum HeldKey {
    /// It lasts until it is deleted.
    Access(AccessKey),
    /// It ends by itself.
    Temporary(TemporaryKey),
}

/// A key that tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct TokenKey {
    /// What tokens call it.
    pub id: KeyId,
    /// The key itself.
    #[serde(skip)]
    pub secret: Option<Sealed>,
    /// When it was made: the newest one signs, all of them verify.
    pub created: DateTime<Utc>,
}
