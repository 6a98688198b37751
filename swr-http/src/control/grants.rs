//! Grants on an organisation or a repository, which the protocol calls access.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use swr_core::control::ControlError;
use swr_core::control::grant::{GrantLevel, GrantScope, Granted};
use swr_core::control::identity::UserId;
use swr_core::control::organisation::organisation_of;
use swr_core::{OrganisationName, RepositoryName};

use super::body::Object;
use super::error::{Granting, ManagementFailure, ValueDefect};
use super::exchange::{Answer, Exchange, Reply, excerpt, parts};

/// How many users one request may name.
const USERS_MAX: usize = 500;

/// A grant.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserAuth {
    /// Who may. It alone says who is meant.
    user_id: String,
    /// What the user is called.
    user_name: String,
    /// How much: 1 pulls, 3 pushes, 7 manages.
    auth: i64,
}

/// The grants on an organisation.
#[derive(Serialize, ToSchema)]
pub(super) struct NamespaceAccess {
    id: i64,
    name: String,
    creator_name: String,
    #[serde(flatten)]
    auths: Auths,
}

/// The grants on a repository.
#[derive(Serialize, ToSchema)]
pub(super) struct RepositoryAccess {
    id: i64,
    name: String,
    #[serde(flatten)]
    auths: Auths,
}

/// What the caller may, and what others were granted.
#[derive(Serialize, ToSchema)]
pub(super) struct Auths {
    /// What the caller may do, be it by a grant or as an administrator.
    self_auth: Option<UserAuth>,
    /// What other users were granted here, in the order of their names.
    others_auths: Vec<UserAuth>,
}

pub(super) async fn create(exchange: &Exchange<'_>, scope: &GrantScope) -> Answer {
    exchange.access.grant(scope, &levels(exchange, scope)?).await?;
    Ok(Reply::empty())
}

pub(super) async fn change(exchange: &Exchange<'_>, scope: &GrantScope) -> Answer {
    exchange.access.change_grants(scope, &levels(exchange, scope)?).await?;
    Ok(Reply::empty())
}

pub(super) async fn remove(exchange: &Exchange<'_>, scope: &GrantScope) -> Answer {
    let ids: Vec<String> = exchange.list()?;
    let users = ids.iter().map(|id| user(id)).collect::<Result<Vec<_>, _>>()?;
    exchange.access.remove_grants(scope, distinct(&users, |user| user)?).await?;
    Ok(Reply::empty())
}

pub(super) async fn show_of_organisation(exchange: &Exchange<'_>, name: &OrganisationName) -> Answer {
    let granted = exchange.access.grants(&GrantScope::Organisation(name.clone())).await?;
    let (organisation, level) = exchange.access.organisation(name).await?;
    Ok(Reply::json(&NamespaceAccess {
        id: organisation.id.0,
        name: name.to_string(),
        creator_name: organisation.creator_name.to_string(),
        auths: auths(exchange, granted, Some(level)),
    }))
}

pub(super) async fn show_of_repository(exchange: &Exchange<'_>, name: &RepositoryName) -> Answer {
    let granted = exchange.access.grants(&GrantScope::Repository(name.clone())).await?;
    let details = exchange.access.repository(name).await?;
    Ok(Reply::json(&RepositoryAccess {
        id: details.id.0,
        name: parts(name).1.to_owned(),
        auths: auths(exchange, granted, level_around(exchange, name).await?),
    }))
}

/// What the caller may do in the whole organisation of a repository.
async fn level_around(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
) -> Result<Option<GrantLevel>, ControlError> {
    let Some(organisation) = organisation_of(name) else { return Ok(None) };
    match exchange.access.organisation(&organisation).await {
        Ok((_, level)) => Ok(Some(level)),
        Err(ControlError::OrganisationUnknown(_) | ControlError::Denied(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn auths(exchange: &Exchange<'_>, granted: Vec<Granted>, level: Option<GrantLevel>) -> Auths {
    let oneself = &exchange.signer.user;
    let own = granted.iter().find(|granted| granted.user == oneself.id).map(|granted| granted.level);
    let auth = |id: &UserId, name: &str, level: GrantLevel| UserAuth {
        user_id: id.to_string(),
        user_name: name.to_owned(),
        auth: level.value().into(),
    };
    Auths {
        self_auth: own.max(level).map(|level| auth(&oneself.id, oneself.name.as_str(), level)),
        others_auths: granted
            .iter()
            .filter(|granted| granted.user != oneself.id)
            .map(|granted| auth(&granted.user, granted.user_name.as_str(), granted.level))
            .collect(),
    }
}

fn levels(
    exchange: &Exchange<'_>,
    scope: &GrantScope,
) -> Result<Vec<(UserId, GrantLevel)>, ManagementFailure> {
    let on = match scope {
        GrantScope::Organisation(_) => Granting::Organisation,
        GrantScope::Repository(_) => Granting::Repository,
    };
    let wanted: Vec<Object<UserAuth>> = exchange.list()?;
    let levels = wanted.iter().map(|Object(wanted)| {
        let level = u8::try_from(wanted.auth).ok().and_then(GrantLevel::from_value);
        Ok((user(&wanted.user_id)?, level.ok_or(ValueDefect::Level { value: wanted.auth, on })?))
    });
    let levels = levels.collect::<Result<Vec<_>, ValueDefect>>()?;
    Ok(distinct(&levels, |(user, _)| user)?.to_vec())
}

fn user(id: &str) -> Result<UserId, ValueDefect> {
    UserId::parse(id).map_err(|_| ValueDefect::User(excerpt(id)))
}

/// Each user once, and not too many of them.
fn distinct<T>(named: &[T], user: impl Fn(&T) -> &UserId) -> Result<&[T], ValueDefect> {
    if named.is_empty() {
        return Err(ValueDefect::Nobody);
    }
    if named.len() > USERS_MAX {
        return Err(ValueDefect::TooMany(USERS_MAX));
    }
    let mut seen = BTreeSet::new();
    match named.iter().find(|named| !seen.insert(user(named))) {
        Some(repeated) => Err(ValueDefect::Repeated(user(repeated).to_string())),
        None => Ok(named),
    }
}
