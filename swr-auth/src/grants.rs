//! What rights mean: the only place that knows. Everything here is pure: a [`Standing`] and the present in, a
//! [`Verdict`] out.
//!
//! | | needs |
//! | --- | --- |
//! | pull | read; or a public repository; or one that is shared with the user's account |
//! | push | edit |
//! | delete | manage |
//!
//! A level is that in the organisation or that in the repository, whichever is higher; a registry administrator
//! manages all organisations of its account. A level in the organisation counts for a repository that is not there:
//! whoever has it is told so, and nobody else learns whether it is.

use chrono::{DateTime, Utc};

use swr_core::commit::Grounds;
use swr_core::control::grant::GrantLevel;
use swr_core::control::identity::{AccountId, Role};
use swr_core::control::repository::Visibility;
use swr_core::control::standing::{Standing, UserStanding};
use swr_core::ports::{Action, Refusal, Verdict};

/// What those may do who have not signed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a host chooses one of the two")]
pub enum Strangers {
    /// Pull what is public.
    #[default]
    PullPublic,
    /// Nothing.
    Nothing,
}

/// What a push hears for which there is no organisation.
const NO_ORGANISATION: &str = "Image organization does not exist, you should create it first";

/// Whether the content of the repository may be pulled, pushed or deleted.
///
/// What is refused is refused alike, whether the repository is private, absent or foreign; but a push for which there
/// is no organisation is told so, since names of organisations are no secret.
pub fn weigh(standing: &Standing, action: Action, strangers: Strangers, now: DateTime<Utc>) -> Verdict {
    let may = match action {
        Action::Pull => may_pull(standing, strangers, now),
        Action::Push => standing.level_in_repository() >= Some(GrantLevel::Edit),
        Action::Delete => standing.level_in_repository() >= Some(GrantLevel::Manage),
    };
    match may {
        true => allow(standing),
        false if action == Action::Push && standing.organisation.is_none() => {
            Verdict::Deny(Refusal::new(NO_ORGANISATION))
        }
        false => deny(),
    }
}

fn may_pull(standing: &Standing, strangers: Strangers, now: DateTime<Utc>) -> bool {
    if standing.level_in_repository() >= Some(GrantLevel::Read) {
        return true;
    }
    let Some(repository) = &standing.repository else { return false };
    let is_user = standing.user.is_some();
    match repository.visibility {
        Visibility::Public => is_user || strangers == Strangers::PullPublic,
        Visibility::Private => is_user && repository.share.is_some_and(|deadline| deadline.holds_at(now)),
    }
}

/// Whether the user looks after the deployment.
pub fn weigh_operation(standing: &Standing) -> Verdict {
    match role(standing) {
        Some(Role::Operator) => allow(standing),
        _ => deny(),
    }
}

/// Whether the user looks after the account: one of its administrators, or an operator.
pub fn weigh_administration(standing: &Standing, account: &AccountId) -> Verdict {
    match &standing.user {
        Some(user) if administers(user, account) => allow(standing),
        Some(user) if user.account == *account => deny(),
        _ => Verdict::Hide,
    }
}

/// Whether the user may create an organisation for its account.
pub fn weigh_new_organisation(standing: &Standing) -> Verdict {
    match role(standing) {
        Some(role) if role.administers() => allow(standing),
        _ => deny(),
    }
}

/// Whether the user may do in the organisation what needs this level.
pub fn weigh_organisation(standing: &Standing, needed: GrantLevel) -> Verdict {
    match standing.level_in_organisation() {
        Some(level) if level >= needed => allow(standing),
        Some(_) => deny(),
        None => Verdict::Hide,
    }
}

/// Whether the user may do in the repository what needs this level. Whoever may only pull has too little, and not
/// nothing.
pub fn weigh_repository(standing: &Standing, needed: GrantLevel, now: DateTime<Utc>) -> Verdict {
    match standing.level_in_repository() {
        Some(level) if level >= needed => allow(standing),
        Some(_) => deny(),
        None if may_pull(standing, Strangers::Nothing, now) => deny(),
        None => Verdict::Hide,
    }
}

/// Whether the user may see the repository: whether it may pull from it.
pub fn weigh_view(standing: &Standing, now: DateTime<Utc>) -> Verdict {
    match may_pull(standing, Strangers::Nothing, now) {
        true => allow(standing),
        false => Verdict::Hide,
    }
}

/// Whose keys and logins somebody wants to look after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever asks builds it")]
pub enum Owner<'a> {
    /// The user's own.
    Oneself,
    /// Those of another user, who is this.
    Other(&'a UserStanding),
    /// Those of a user that there is not.
    Nobody,
}

/// Whether the user may look after keys and logins: its own, and those of the account that it administers. Whoever
/// holds the keys of an operator is one, so that those are for operators.
pub fn weigh_keys(standing: &Standing, owner: Owner<'_>) -> Verdict {
    let Some(user) = &standing.user else { return Verdict::Hide };
    match owner {
        Owner::Oneself => allow(standing),
        Owner::Other(other) if !administers(user, &other.account) => Verdict::Hide,
        Owner::Other(other) if other.role == Role::Operator && user.role != Role::Operator => deny(),
        Owner::Other(_) => allow(standing),
        Owner::Nobody => Verdict::Hide,
    }
}

fn administers(user: &UserStanding, account: &AccountId) -> bool {
    match user.role {
        Role::Operator => true,
        Role::Administrator => user.account == *account,
        Role::Member => false,
    }
}

fn role(standing: &Standing) -> Option<Role> {
    standing.user.as_ref().map(|user| user.role)
}

/// Yes, resting on the rights of that instant, and on the repository of that name.
fn allow(standing: &Standing) -> Verdict {
    Verdict::Allow(Grounds {
        repository: standing.repository.as_ref().map(|repository| repository.id),
        rights: Some(standing.rights),
    })
}

fn deny() -> Verdict {
    Verdict::Deny(Refusal::default())
}
