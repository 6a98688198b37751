//! Image synchronisation to other deployments: what was asked for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{RepositoryName, Tag};

use super::identity::{UserId, UserName};

/// Where images of a repository are to go: an organisation in another region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct SyncTarget {
    /// The region, as the host has configured it.
    pub region: Box<str>,
    /// The organisation there.
    pub organisation: Box<str>,
}

/// The wish to keep an organisation in another region in step with a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct SyncRule {
    /// Its identity in the store; 0 in a wish.
    pub id: i64,
    /// The repository.
    pub repository: RepositoryName,
    /// Where its images are to go.
    pub target: SyncTarget,
    /// Whether each pushed version goes by itself.
    pub auto: bool,
    /// Whether versions there are replaced.
    pub overwrite: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was changed last.
    pub updated: DateTime<Utc>,
}

/// One version that was asked to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct SyncJob {
    /// Its identity in the store; 0 in a wish.
    pub id: i64,
    /// The repository.
    pub repository: RepositoryName,
    /// The version.
    pub tag: Tag,
    /// Where it is to go.
    pub target: SyncTarget,
    /// Whether a version there is replaced.
    pub overwrite: bool,
    /// How far it has come: `waiting` until whoever moves images takes it up.
    pub status: Box<str>,
    /// Who asked.
    pub operator: UserId,
    /// The name of whoever asked, at that time.
    pub operator_name: UserName,
    /// When it was asked for.
    pub created: DateTime<Utc>,
    /// When its status changed last.
    pub updated: DateTime<Utc>,
}
