//! Aging rules: one for a repository, and what they have cleared.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{RepositoryName, Tag};

pub use swr_policy::TagSelector;
pub use swr_policy::aging::{
    AgeDays, AgeMeasure, AgingKind, AgingLimit, AgingRule, LastPulled, NeededBy, NewestCount, VersionFacts,
};

/// A rule's identity: given by the store, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "backends mint it")]
pub struct RuleId(pub i64);

/// The aging rule of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct RepositoryRule {
    /// Its identity.
    pub id: RuleId,
    /// The repository.
    pub repository: RepositoryName,
    /// The rule.
    pub rule: AgingRule,
    /// When it runs next: at once when it was made or changed.
    pub due: DateTime<Utc>,
}

/// A version that a rule has cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Cleared {
    /// Its place in the log: greater for what was cleared later.
    pub seq: u64,
    /// The rule's identity.
    pub id: RuleId,
    /// The rule, as it was then.
    pub rule: AgingRule,
    /// The version.
    pub tag: Tag,
    /// When it was cleared.
    pub at: DateTime<Utc>,
}
