//! Organisations: the first component of a repository's path.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{OrganisationName, RepositoryName};

use super::grant::GrantLevel;
use super::identity::{AccountId, UserId, UserName};

/// An organisation's identity: given by the store, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "backends mint it")]
pub struct OrganisationId(pub i64);

/// An organisation: isolates repositories, and is unique in a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Organisation {
    /// Its identity.
    pub id: OrganisationId,
    /// Its name.
    pub name: OrganisationName,
    /// The account that owns it.
    pub account: AccountId,
    /// Who created it; quotas count by this. It may be gone by now.
    pub creator: UserId,
    /// The creator's name at that time.
    pub creator_name: UserName,
    /// When it was created.
    pub created: DateTime<Utc>,
}

/// An organisation as one user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct ListedOrganisation {
    /// The organisation.
    pub organisation: Organisation,
    /// What the user may do in all of it; `None` where only some of its repositories were granted.
    pub level: Option<GrantLevel>,
    /// How many repositories it has.
    pub repositories: u64,
}

/// The organisation that a repository's name begins with, where that is an organisation's name at all.
pub fn organisation_of(repository: &RepositoryName) -> Option<OrganisationName> {
    let mut components = repository.components();
    let first = components.next()?;
    components.next()?;
    OrganisationName::parse(first).ok()
}
