//! Grants: what a user of the owning account may do in an organisation or in one repository of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{OrganisationName, RepositoryName};

use super::identity::{UserId, UserName};

/// How much a grant allows; each allows what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[expect(clippy::exhaustive_enums, reason = "whoever decides must answer for every one")]
pub enum GrantLevel {
    /// Pull.
    Read,
    /// Push, edit attributes, add triggers.
    Edit,
    /// Delete repositories and versions, grant, share, set aging rules.
    Manage,
}

impl GrantLevel {
    /// Its value on the wire: 1, 3 or 7.
    pub const fn value(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Edit => 3,
            Self::Manage => 7,
        }
    }

    /// The level of this value.
    pub fn from_value(value: u8) -> Option<Self> {
        [Self::Read, Self::Edit, Self::Manage].into_iter().find(|level| level.value() == value)
    }
}

impl From<GrantLevel> for u8 {
    fn from(level: GrantLevel) -> Self {
        level.value()
    }
}

impl TryFrom<u8> for GrantLevel {
    type Error = GrantLevelError;

    fn try_from(value: u8) -> Result<Self, GrantLevelError> {
        Self::from_value(value).ok_or(GrantLevelError(value))
    }
}

/// A number that is no level of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no level of a grant: 1 reads, 3 edits, 7 manages")]
pub struct GrantLevelError(u8);

/// What a grant is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "stores keep both")]
pub enum GrantScope {
    /// An organisation, and all repositories in it.
    Organisation(OrganisationName),
    /// One repository.
    Repository(RepositoryName),
}

/// A grant, as it is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "whoever gives it builds it")]
pub struct Grant {
    /// What it is on.
    pub scope: GrantScope,
    /// Who may.
    pub user: UserId,
    /// How much.
    pub level: GrantLevel,
    /// When it was given.
    pub created: DateTime<Utc>,
}

/// A grant, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Granted {
    /// Who may.
    pub user: UserId,
    /// The user's name.
    pub user_name: UserName,
    /// How much.
    pub level: GrantLevel,
}
