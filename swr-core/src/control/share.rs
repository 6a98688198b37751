//! Sharing: another account may pull from a private repository, until a day has passed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::RepositoryName;

use super::identity::{AccountId, AccountName, UserId, UserName};

/// Until when a share lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "it ends or it does not")]
pub enum Deadline {
    /// For ever.
    Never,
    /// Strictly before this time.
    At(DateTime<Utc>),
}

impl Deadline {
    /// Whether the share still lasts at `now`.
    pub fn holds_at(self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Never => true,
            Self::At(end) => now < end,
        }
    }
}

/// A share: every user of the receiving account may pull, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "whoever shares builds it")]
pub struct Share {
    /// What is shared.
    pub repository: RepositoryName,
    /// With whom.
    pub account: AccountId,
    /// Until when.
    pub deadline: Deadline,
    /// Some words; at most [`Share::DESCRIPTION_CHARS_MAX`] characters.
    pub description: Box<str>,
    /// Who shared it. It may be gone by now.
    pub creator: UserId,
    /// The creator's name at that time.
    pub creator_name: UserName,
    /// When it was shared.
    pub created: DateTime<Utc>,
    /// When the share was changed last.
    pub updated: DateTime<Utc>,
}

impl Share {
    /// No description is longer, in characters.
    pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
}

/// A share, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct ListedShare {
    /// The share.
    pub share: Share,
    /// The receiving account's name.
    pub account_name: AccountName,
}
