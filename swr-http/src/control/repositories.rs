//! Repositories: created, described, listed, deleted.

use std::num::NonZeroU32;

use http::header::CONTENT_RANGE;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use swr_core::control::ControlError;
use swr_core::control::repository::{Attributes, Category, RepositoryDetails, Visibility};
use swr_core::ports::{Listing, Page, RepositoryList, RepositoryQuery};
use swr_core::{Error, OrganisationName, RepositoryName};

use super::endpoint::RepositoryFilter;
use super::error::{ManagementFailure, ValueDefect};
use super::exchange::{Answer, Exchange, Reply, Time, excerpt, parts};
use super::paging::{OffsetPage, content_range, first};

/// How many tags of each repository a list names. A repository's own list has all of them.
const TAGS_MAX: NonZeroU32 = NonZeroU32::new(100).expect("100 is not zero");

/// A repository to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRepository {
    /// Its name within the organisation, with `/` where it has one.
    pub(super) repository: String,
    /// Whether everybody may pull from it.
    #[schema(value_type = bool)]
    is_public: Value,
    /// What kind of thing it holds: `app_server`, `linux`, `windows`, `arm`, `framework_app`, `database`, `lang` or
    /// `other`, which it is when nothing is said.
    category: Option<String>,
    /// Some words; at most 30 000 characters.
    description: Option<String>,
}

/// What is said of a repository; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RepositoryChange {
    /// Whether everybody may pull from it.
    #[schema(value_type = bool)]
    is_public: Value,
    /// What kind of thing it holds.
    category: Option<String>,
    /// Some words; at most 30 000 characters.
    description: Option<String>,
}

/// A repository.
#[derive(Serialize, ToSchema)]
pub(super) struct Repository {
    id: i64,
    ns_id: i64,
    /// Its name within the organisation.
    name: String,
    category: &'static str,
    description: String,
    creator_id: String,
    creator_name: String,
    /// The bytes of what it holds, each blob once.
    size: u64,
    is_public: bool,
    /// How many tags it has.
    num_images: u64,
    /// How many pulls were observed.
    num_download: u64,
    url: &'static str,
    /// Where it is pulled from.
    path: String,
    /// Where it is pulled from within the deployment.
    internal_path: String,
    created: Time,
    updated: Time,
    /// The account that owns it.
    domain_id: String,
    priority: u8,
}

/// A repository in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedRepository {
    name: String,
    namespace: String,
    category: &'static str,
    description: String,
    size: u64,
    is_public: bool,
    num_images: u64,
    num_download: u64,
    created_at: Time,
    updated_at: Time,
    logo: &'static str,
    url: &'static str,
    path: String,
    internal_path: String,
    /// The account that owns it.
    domain_name: String,
    /// The first 100 of its tags.
    tags: Vec<String>,
    /// Of what is shared with the caller's account: whether the share still lasts.
    status: bool,
    /// How many repositories the whole list has.
    total_range: u64,
}

/// A page of repositories in the order in which they came to be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RepositoryPage {
    repos: Vec<PagedRepository>,
    /// The `marker` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<i64>,
}

/// A repository in a page.
#[derive(Serialize, ToSchema)]
pub(super) struct PagedRepository {
    id: i64,
    name: String,
    namespace_name: String,
    category: &'static str,
    description: String,
    size: u64,
    is_public: bool,
    num_images: u64,
    num_download: u64,
    created_at: Time,
    updated_at: Time,
    domain_name: String,
    status: bool,
}

pub(super) async fn create(exchange: &Exchange<'_>, organisation: &OrganisationName) -> Answer {
    let new: NewRepository = exchange.object()?;
    let attributes = Attributes {
        visibility: visibility(&new.is_public)?,
        category: new.category.as_deref().map(category).transpose()?.unwrap_or_default(),
        description: new.description.unwrap_or_default().into(),
    };
    let name = RepositoryName::parse(&format!("{organisation}/{}", new.repository))?;
    exchange.access.create_repository(&name, &attributes).await?;
    Ok(Reply::empty())
}

pub(super) async fn change(exchange: &Exchange<'_>, name: &RepositoryName) -> Answer {
    let change: RepositoryChange = exchange.object()?;
    let visibility = visibility(&change.is_public)?;
    let category = change.category.as_deref().map(category).transpose()?;
    let before = match exchange.access.repository(name).await {
        Ok(details) => details.attributes,
        // Whether the caller may is for the change itself to say.
        Err(ControlError::RepositoryUnknown(_)) => Attributes::default(),
        Err(error) => return Err(error.into()),
    };
    let attributes = Attributes {
        visibility,
        category: category.unwrap_or(before.category),
        description: change.description.map_or(before.description, Into::into),
    };
    exchange.access.set_attributes(name, &attributes).await?;
    Ok(Reply::empty())
}

fn visibility(is_public: &Value) -> Result<Visibility, ValueDefect> {
    match is_public {
        Value::Bool(true) => Ok(Visibility::Public),
        Value::Bool(false) => Ok(Visibility::Private),
        _ => Err(ValueDefect::Visibility),
    }
}

fn category(text: &str) -> Result<Category, ValueDefect> {
    Category::parse(text).ok_or_else(|| ValueDefect::Category(excerpt(text)))
}

pub(super) async fn show(exchange: &Exchange<'_>, name: &RepositoryName) -> Answer {
    let details = exchange.access.repository(name).await?;
    let (creator_id, creator_name) =
        details.creator.map(|(id, name)| (id.to_string(), name.to_string())).unwrap_or_default();
    Ok(Reply::json(&Repository {
        id: details.id.0,
        ns_id: details.organisation.0,
        name: parts(&details.name).1.to_owned(),
        category: details.attributes.category.as_str(),
        description: details.attributes.description.into(),
        creator_id,
        creator_name,
        size: details.size,
        is_public: details.attributes.visibility == Visibility::Public,
        num_images: details.versions,
        num_download: details.pulls,
        url: "",
        path: exchange.path(&details.name),
        internal_path: exchange.internal_path(&details.name),
        created: Time(details.created),
        updated: Time(details.updated),
        domain_id: details.account.to_string(),
        priority: 0,
    }))
}

pub(super) async fn remove(exchange: &Exchange<'_>, name: &RepositoryName) -> Answer {
    exchange.access.remove_repository(name).await?;
    Ok(Reply::empty())
}

/// A list with places: the second generation.
pub(super) async fn list(exchange: &Exchange<'_>, filter: &RepositoryFilter, page: OffsetPage) -> Answer {
    let query = RepositoryQuery { offset: page.offset, ..query(exchange, filter, page.limit).await? };
    let Listing { entries, total } = exchange.access.repositories(&query).await?;
    let registry = exchange.registry();
    let mut listed = Vec::with_capacity(entries.len());
    for details in entries {
        let tags = registry.tags(&details.name, &Page { after: None, limit: TAGS_MAX }).await;
        let tags = match tags {
            Ok(tags) => tags.entries.into_iter().map(|record| record.tag.to_string()).collect(),
            // The share has ended, or the repository is gone by now.
            Err(Error::Denied(_) | Error::NameUnknown { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let (namespace, name) = parts(&details.name);
        listed.push(ListedRepository {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            category: details.attributes.category.as_str(),
            size: details.size,
            is_public: details.attributes.visibility == Visibility::Public,
            num_images: details.versions,
            num_download: details.pulls,
            created_at: Time(details.created),
            updated_at: Time(details.updated),
            logo: "",
            url: "",
            path: exchange.path(&details.name),
            internal_path: exchange.internal_path(&details.name),
            domain_name: details.account_name.to_string(),
            tags,
            status: share_holds(exchange, filter.list, &details.name).await?,
            total_range: total,
            description: details.attributes.description.into(),
        });
    }
    let range = content_range(page.offset, listed.len(), total);
    Ok(Reply::json(&listed).with(CONTENT_RANGE, range))
}

/// A list with markers: the third generation.
pub(super) async fn page(exchange: &Exchange<'_>, filter: &RepositoryFilter, page: &Page<i64>) -> Answer {
    let query = query(exchange, filter, page.limit.saturating_add(1)).await?;
    let query = RepositoryQuery { after_id: page.after, ..query };
    let listing = exchange.access.repositories(&query).await?;
    let (entries, more) = first(listing.entries, page.limit);
    let mut repos = Vec::with_capacity(entries.len());
    for details in entries {
        let status = share_holds(exchange, filter.list, &details.name).await?;
        repos.push(paged(details, status));
    }
    let next_marker = repos.last().filter(|_| more).map(|last| last.id);
    Ok(Reply::json(&RepositoryPage { repos, next_marker }))
}

fn paged(details: RepositoryDetails, status: bool) -> PagedRepository {
    let (namespace, name) = parts(&details.name);
    PagedRepository {
        id: details.id.0,
        name: name.to_owned(),
        namespace_name: namespace.to_owned(),
        category: details.attributes.category.as_str(),
        size: details.size,
        is_public: details.attributes.visibility == Visibility::Public,
        num_images: details.versions,
        num_download: details.pulls,
        created_at: Time(details.created),
        updated_at: Time(details.updated),
        domain_name: details.account_name.to_string(),
        status,
        description: details.attributes.description.into(),
    }
}

async fn query(
    exchange: &Exchange<'_>,
    filter: &RepositoryFilter,
    limit: NonZeroU32,
) -> Result<RepositoryQuery, ManagementFailure> {
    let RepositoryFilter { list, organisation, name, account, category, visibility, order, descending } =
        filter.clone();
    Ok(RepositoryQuery {
        viewer: exchange.access.viewer().await?,
        now: exchange.plane.now(),
        list,
        organisation,
        name,
        account,
        category,
        visibility,
        after_id: None,
        order,
        descending,
        offset: 0,
        limit,
    })
}

/// Whether what is shared with the caller's account still is; of other lists it says nothing.
async fn share_holds(
    exchange: &Exchange<'_>,
    list: RepositoryList,
    name: &RepositoryName,
) -> Result<bool, ManagementFailure> {
    match list {
        RepositoryList::Own | RepositoryList::SharedByUs => Ok(false),
        RepositoryList::SharedWithUs { valid: Some(valid) } => Ok(valid),
        RepositoryList::SharedWithUs { valid: None } => {
            let share = exchange.plane.metadata().share(name, &exchange.signer.account.id).await?;
            Ok(share.is_some_and(|listed| listed.share.deadline.holds_at(exchange.plane.now())))
        }
    }
}
