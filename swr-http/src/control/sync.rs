//! Copies in other regions: what was asked for.

use std::collections::BTreeSet;

use http::header::CONTENT_RANGE;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use swr_core::control::sync::{SyncJob, SyncRule, SyncTarget};
use swr_core::{OrganisationName, RepositoryName, Tag};

use super::error::{ManagementFailure, ValueDefect};
use super::exchange::{Answer, Exchange, Reply, Time, parts};
use super::paging::{OffsetPage, content_range};

/// The longest name of a region, in bytes.
const REGION_BYTES_MAX: usize = 64;
/// How many versions one request may name.
const TAGS_MAX: usize = 100;

/// Where new versions of a repository are to be copied to, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewSync {
    /// The region, as lists of regions have it.
    remote_region_id: String,
    /// The organisation there.
    remote_namespace: String,
    /// Whether each new version is copied by itself.
    #[serde(default)]
    sync_auto: bool,
    /// Whether versions there are replaced.
    #[serde(default, rename = "override")]
    overwrite: bool,
}

/// Where versions of a repository are no longer to be copied to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EndedSync {
    remote_region_id: String,
    remote_namespace: String,
}

/// Versions that are to be copied once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewSyncJobs {
    /// Their tags, at most 100.
    image_tag: Vec<String>,
    remote_region_id: String,
    remote_namespace: String,
    /// Whether versions there are replaced.
    #[serde(default, rename = "override")]
    overwrite: bool,
}

/// A region that versions can be copied to.
#[derive(Serialize, ToSchema)]
pub(super) struct Region {
    #[serde(rename = "regionID")]
    region_id: String,
}

/// Where versions of a repository are copied to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownSync {
    id: i64,
    namespace: String,
    repo_name: String,
    remote_region_id: String,
    remote_namespace: String,
    /// Whether each new version is copied by itself.
    sync_auto: bool,
    /// Whether versions there are replaced.
    #[serde(rename = "override")]
    overwrite: bool,
    /// The account that owns the repository.
    #[serde(rename = "domainID")]
    domain_id: String,
    domain_name: String,
    created_at: Time,
    updated_at: Time,
}

/// A version that was asked to be copied.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownSyncJob {
    id: i64,
    namespace: String,
    repo_name: String,
    tag: String,
    remote_region_id: String,
    remote_namespace: String,
    /// Whether a version there is replaced.
    #[serde(rename = "override")]
    overwrite: bool,
    /// `waiting` until whoever moves images takes it up.
    status: String,
    sync_operator_id: String,
    sync_operator_name: String,
    /// The account that owns the repository.
    #[serde(rename = "domainID")]
    domain_id: String,
    domain_name: String,
    created_at: Time,
    updated_at: Time,
}

pub(super) fn regions(exchange: &Exchange<'_>) -> Answer {
    let regions = exchange.plane.limits().regions.iter();
    let regions: Vec<Region> = regions.map(|region| Region { region_id: region.to_string() }).collect();
    Ok(Reply::json(&regions))
}

pub(super) async fn create(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let new: NewSync = exchange.object()?;
    let target = target(&new.remote_region_id, &new.remote_namespace)?;
    exchange.access.put_sync(repository, &target, new.sync_auto, new.overwrite).await?;
    Ok(Reply::empty())
}

pub(super) async fn remove(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let ended: EndedSync = exchange.object()?;
    let target = target(&ended.remote_region_id, &ended.remote_namespace)?;
    exchange.access.remove_sync(repository, &target).await?;
    Ok(Reply::empty())
}

pub(super) async fn list(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let syncs = exchange.access.syncs(repository).await?;
    let shown: Vec<ShownSync> = syncs.into_iter().map(|sync| ShownSync::new(exchange, sync)).collect();
    Ok(Reply::json(&shown))
}

pub(super) async fn copy(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let new: NewSyncJobs = exchange.object()?;
    let target = target(&new.remote_region_id, &new.remote_namespace)?;
    let tags = new.image_tag.iter().map(|tag| Tag::parse(tag)).collect::<Result<BTreeSet<_>, _>>()?;
    if tags.is_empty() {
        return Err(ValueDefect::NoTag.into());
    }
    if tags.len() > TAGS_MAX {
        return Err(ValueDefect::TooManyTags(TAGS_MAX).into());
    }
    let tags = Vec::from_iter(tags);
    let failed = exchange.access.sync_versions(repository, &target, &tags, new.overwrite).await?;
    let failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
    Ok(Reply::json(&failed))
}

pub(super) async fn jobs(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    descending: bool,
    page: OffsetPage,
) -> Answer {
    let jobs = exchange.access.sync_jobs(repository, descending, page.offset, page.limit).await?;
    let range = content_range(page.offset, jobs.entries.len(), jobs.total);
    let shown = jobs.entries.into_iter().map(|job| ShownSyncJob::new(exchange, job));
    Ok(Reply::json(&shown.collect::<Vec<_>>()).with(CONTENT_RANGE, range))
}

fn target(region: &str, organisation: &str) -> Result<SyncTarget, ManagementFailure> {
    if region.len() > REGION_BYTES_MAX {
        return Err(ValueDefect::TooLong { field: "remoteRegionId", limit: REGION_BYTES_MAX }.into());
    }
    let organisation = OrganisationName::parse(organisation)?;
    Ok(SyncTarget { region: region.into(), organisation: organisation.as_str().into() })
}

impl ShownSync {
    fn new(exchange: &Exchange<'_>, sync: SyncRule) -> Self {
        let SyncRule { id, repository, target, auto, overwrite, created, updated } = sync;
        let (namespace, repo_name) = parts(&repository);
        // Whoever edits a repository is of the account that owns it.
        let account = &exchange.signer.account;
        Self {
            id,
            namespace: namespace.to_owned(),
            repo_name: repo_name.to_owned(),
            remote_region_id: target.region.into(),
            remote_namespace: target.organisation.into(),
            sync_auto: auto,
            overwrite,
            domain_id: account.id.to_string(),
            domain_name: account.name.to_string(),
            created_at: Time(created),
            updated_at: Time(updated),
        }
    }
}

impl ShownSyncJob {
    fn new(exchange: &Exchange<'_>, job: SyncJob) -> Self {
        let (namespace, repo_name) = parts(&job.repository);
        let account = &exchange.signer.account;
        Self {
            id: job.id,
            namespace: namespace.to_owned(),
            repo_name: repo_name.to_owned(),
            tag: job.tag.to_string(),
            remote_region_id: job.target.region.into(),
            remote_namespace: job.target.organisation.into(),
            overwrite: job.overwrite,
            status: job.status.into(),
            sync_operator_id: job.operator.to_string(),
            sync_operator_name: job.operator_name.to_string(),
            domain_id: account.id.to_string(),
            domain_name: account.name.to_string(),
            created_at: Time(job.created),
            updated_at: Time(job.updated),
        }
    }
}
