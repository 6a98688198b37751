//! What a user is to an organisation and a repository: everything that a decision weighs.

use chrono::{DateTime, Utc};

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

    /// Whether the repository may be pulled from at `now`: with any level in it, where it is public, or shared with
    /// the user's account. `strangers` says whether who is no user may pull from what is public.
    pub fn is_readable(&self, strangers: bool, now: DateTime<Utc>) -> bool {
        let by_itself = self.repository.as_ref().is_some_and(|repository| {
            let is_public = repository.visibility == Visibility::Public && (strangers || self.user.is_some());
            is_public || repository.share.is_some_and(|deadline| deadline.holds_at(now))
        });
        by_itself || self.level_in_repository().is_some()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_repository_may_be_read_by_who_has_a_level_in_it_and_where_it_is_public_or_shared() {
        let of = |account: &str| AccountId::parse(&account.repeat(32)).unwrap();
        let (own, other) = (of("0"), of("1"));
        let standing = |account: Option<&AccountId>, visibility, grant, share| Standing {
            user: account.map(|account| UserStanding { account: account.clone(), role: Role::Member }),
            organisation: Some(OrganisationStanding {
                id: OrganisationId(1),
                account: own.clone(),
                grant: None,
            }),
            repository: Some(RepositoryStanding { id: RepositoryId(1), visibility, grant, share }),
            ..Standing::default()
        };
        let at = |minutes| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let (public, private) = (Visibility::Public, Visibility::Private);
        let until = Some(Deadline::At(at(5)));
        for (standing, to_strangers, to_users) in [
            (standing(None, public, None, None), true, false),
            (standing(None, private, None, None), false, false),
            (standing(Some(&own), public, None, None), true, true),
            (standing(Some(&own), private, None, None), false, false),
            (standing(Some(&own), private, Some(GrantLevel::Read), None), true, true),
            (standing(Some(&other), private, Some(GrantLevel::Read), None), false, false),
        ] {
            assert_eq!(standing.is_readable(true, at(0)), to_strangers, "{standing:?}");
            assert_eq!(standing.is_readable(false, at(0)), to_users, "{standing:?}");
        }
        let shared = standing(Some(&other), private, None, until);
        assert!(shared.is_readable(false, at(4)) && !shared.is_readable(false, at(6)));
    }
}
