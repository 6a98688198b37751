//! A blob on its way.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::RepositoryName;

use crate::caller::Caller;
use crate::digest::Algorithm;

/// What an upload is called: 128 random bits in lowercase hexadecimal. Knowing one is no right to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UploadId(Box<str>);

impl UploadId {
    /// One that nobody has had before.
    pub fn random() -> Self {
        #[cfg(not(shuttle))]
        let bits = uuid::Uuid::new_v4().as_u128();
        // A schedule that is run again has the same ids.
        #[cfg(shuttle)]
        let bits: u128 = shuttle::rand::Rng::r#gen(&mut shuttle::rand::thread_rng());
        Self(format!("{bits:032x}").into())
    }

    /// Reads an upload's id: exactly 32 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, UploadIdError> {
        if text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.into()))
        } else {
            Err(UploadIdError(()))
        }
    }

    /// The text itself: safe in a path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UploadId {
    type Error = UploadIdError;

    fn try_from(text: String) -> Result<Self, UploadIdError> {
        Self::parse(&text)
    }
}

impl From<UploadId> for String {
    fn from(id: UploadId) -> Self {
        id.0.into()
    }
}

/// A text that is not an upload's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upload's id has exactly 32 lowercase hexadecimal digits")]
pub struct UploadIdError(());

/// A blob on its way: where it goes, who brings it, and how much of it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The repository it was begun in; it is known in no other.
    pub repository: RepositoryName,
    /// Who began it; nobody else may touch it.
    pub owner: Caller,
    /// What it is hashed with from its first byte.
    pub algorithm: Algorithm,
    /// When it was begun.
    pub begun: DateTime<Utc>,
    /// The bytes that are here, and stay: the offset at which the next ones are taken.
    pub offset: u64,
}
