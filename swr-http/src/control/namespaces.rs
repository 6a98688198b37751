//! Organisations, which the protocol calls namespaces.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use swr_core::OrganisationName;
use swr_core::control::grant::GrantLevel;
use swr_core::control::organisation::Organisation;

use super::exchange::{Answer, Exchange, Reply};

/// An organisation to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNamespace {
    /// Its name.
    pub(super) namespace: String,
}

/// An organisation.
#[derive(Serialize, ToSchema)]
pub(super) struct Namespace {
    id: i64,
    name: String,
    /// Who created it, under the name of that time.
    creator_name: String,
    /// What the caller may do in all of it: 1 pulls, 3 pushes, 7 manages. Absent where it is only some of the
    /// repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<u8>,
}

/// Organisations in the order of their names.
#[derive(Serialize, ToSchema)]
pub(super) struct NamespaceList {
    namespaces: Vec<Namespace>,
}

impl Namespace {
    fn new(organisation: &Organisation, level: Option<GrantLevel>) -> Self {
        Self {
            id: organisation.id.0,
            name: organisation.name.to_string(),
            creator_name: organisation.creator_name.to_string(),
            auth: level.map(GrantLevel::value),
        }
    }
}

pub(super) async fn create(exchange: &Exchange<'_>) -> Answer {
    let new: NewNamespace = exchange.object()?;
    exchange.access.create_organisation(&OrganisationName::parse(&new.namespace)?).await?;
    Ok(Reply::empty())
}

pub(super) async fn list(exchange: &Exchange<'_>, name: Option<&str>, partly: bool) -> Answer {
    let listed = exchange.access.organisations(partly).await?;
    let wanted =
        listed.iter().filter(|listed| name.is_none_or(|name| listed.organisation.name.as_str() == name));
    let namespaces = wanted.map(|listed| Namespace::new(&listed.organisation, listed.level)).collect();
    Ok(Reply::json(&NamespaceList { namespaces }))
}

pub(super) async fn show(exchange: &Exchange<'_>, name: &OrganisationName) -> Answer {
    let (organisation, level) = exchange.access.organisation(name).await?;
    Ok(Reply::json(&Namespace::new(&organisation, Some(level))))
}

pub(super) async fn remove(exchange: &Exchange<'_>, name: &OrganisationName) -> Answer {
    exchange.access.remove_organisation(name).await?;
    Ok(Reply::empty())
}
