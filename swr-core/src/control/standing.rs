//! What a user is to an organisation and a repository: everything that a decision weighs.

use super::grant::GrantLevel;
use super::identity::{AccountId, Role};
use super::organisation::OrganisationId;
use super::repository::Visibility;
use super::share::Deadline;
use crate::commit::{RepositoryId, RightsVersion};

/// Everything that a decision weighs, as of one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Standing {
    /// The count of changes at that instant.
    pub rights: RightsVersion,
    /// The user; `None` for a stranger, and for one that is gone.
    pub user: Option<UserStanding>,
    /// The organisation; `None` when there is none of the name.
    pub organisation: Option<OrganisationStanding>,
    /// The repository; `None` when there is none of the name, or none was asked for.
    pub repository: Option<RepositoryStanding>,
}

/// A user, for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct UserStanding {
    /// The account it belongs to.
    pub account: AccountId,
    /// What it may do beside its grants.
    pub role: Role,
}

/// An organisation, for a decision about one user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct OrganisationStanding {
    /// Its identity.
    pub id: OrganisationId,
    /// The account that owns it.
    pub account: AccountId,
    /// The user's grant on it.
    pub grant: Option<GrantLevel>,
}

/// A repository, for a decision about one user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct RepositoryStanding {
    /// Its identity.
    pub id: RepositoryId,
    /// Who may pull without a grant.
    pub visibility: Visibility,
    /// The user's grant on it.
    pub grant: Option<GrantLevel>,
    /// Until when it is shared with the user's account, expired or not.
    pub share: Option<Deadline>,
}

impl Standing {
    /// How much the user may do in the organisation: a registry administrator of its account manages it, for
    /// others it is the grant.
    pub fn level_in_organisation(&self) -> Option<GrantLevel> {
        let (user, organisation) = (self.user.as_ref()?, self.organisation.as_ref()?);
        // Grants go to users of the organisation's own account; one left over from elsewhere counts for nothing.
        if user.account != organisation.account {
            return None;
        }
        if user.role.administers() { Some(GrantLevel::Manage) } else { organisation.grant }
    }

    /// How much the user may do in the repository: the higher of what it may do in the organisation and of its
    /// grant on the repository.
    pub fn level_in_repository(&self) -> Option<GrantLevel> {
        let (user, organisation) = (self.user.as_ref()?, self.organisation.as_ref()?);
        if user.account != organisation.account {
            return None;
        }
        let granted = self.repository.as_ref().and_then(|repository| repository.grant);
        self.level_in_organisation().max(granted)
    }
}
