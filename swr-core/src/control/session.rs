//! Sessions: people who have signed in on pages, until they leave or are gone for too long.

use std::fmt;

use chrono::{DateTime, Utc};

use super::credential::KeyId;
use super::identity::{Account, User, UserId};

/// What a session is found by: the SHA-256 of a secret that its owner alone has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "whoever begins one makes it, and backends keep it")]
pub struct SessionId(pub [u8; 32]);

/// It finds a session, and is not for logs.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// A session of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Session {
    /// What it is found by.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// What its owner has shown; it ends with that.
    pub proof: SessionProof,
    /// When it was begun.
    pub begun: DateTime<Utc>,
    /// When it was used last, as far as that was noted.
    pub used: DateTime<Utc>,
}

/// What the owner of a session has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "backends keep both")]
pub enum SessionProof {
    /// The user's password. This is what becomes another text with the password, and does not tell it.
    Password(Box<str>),
    /// The secret of this access key of the user.
    Key(KeyId),
}

/// A session, and who stands behind it now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct SessionHolder {
    /// The session.
    pub session: Session,
    /// The user.
    pub user: User,
    /// The user's account.
    pub account: Account,
}
