//! What an account has and may have, and what this registry offers.

use chrono::{Datelike as _, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

use super::endpoint::{Frequency, Report};
use super::error::ManagementFailure;
use super::exchange::{Answer, Exchange, Reply};

/// How much there may be of what is limited.
#[derive(Serialize, ToSchema)]
pub(super) struct QuotaList {
    quotas: [Quota; 1],
}

/// How much there may be of one thing.
#[derive(Serialize, ToSchema)]
pub(super) struct Quota {
    quota_key: &'static str,
    quota_limit: u32,
    used: u64,
    unit: &'static str,
}

/// What this registry offers.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct FeatureGates {
    enable_experience: bool,
    enable_hss_service: bool,
    enable_image_scan: bool,
    enable_sm3: bool,
    enable_image_sync: bool,
    enable_cci_service: bool,
    enable_image_label: bool,
    enable_pipeline: bool,
    enable_authorization_token: bool,
    enable_resource: bool,
    enable_list_v3: bool,
    enable_image_quota: bool,
}

/// What an account has.
#[derive(Serialize, ToSchema)]
pub(super) struct Overview {
    domain_id: String,
    domain_name: String,
    /// How many organisations. The name is the protocol's.
    namspace_num: u64,
    repo_num: u64,
    image_num: u64,
    /// In MiB: the blobs of the repositories, one that several hold in each.
    store_space: f64,
}

/// How much there was on a day, or in a month.
#[derive(Serialize, ToSchema)]
pub(super) struct ReportEntry {
    /// The day, or the first day of the month.
    date: String,
    /// In bytes.
    value: u64,
}

/// Whether the registry may act for an account.
#[derive(Serialize, ToSchema)]
pub(super) struct Agency {
    domain_id: String,
    is_agency: bool,
}

/// Refuses a project that is not the caller's. Clients that were not told any leave the name of the place.
pub(super) fn own_project(exchange: &Exchange<'_>, project: &str) -> Result<(), ManagementFailure> {
    if project == exchange.signer.account.project.as_str() || project == "{project_id}" {
        return Ok(());
    }
    Err(ManagementFailure::ForeignProject(project.chars().take(64).collect()))
}

pub(super) async fn quotas(exchange: &Exchange<'_>, project: &str) -> Answer {
    own_project(exchange, project)?;
    let (used, quota_limit) = exchange.access.organisation_quota().await?;
    let quota = Quota { quota_key: "namespace", quota_limit, used, unit: "" };
    Ok(Reply::json(&QuotaList { quotas: [quota] }))
}

pub(super) fn feature_gates(exchange: &Exchange<'_>, project: &str) -> Answer {
    own_project(exchange, project)?;
    Ok(Reply::json(&FeatureGates {
        enable_authorization_token: true,
        enable_list_v3: true,
        ..FeatureGates::default()
    }))
}

pub(super) async fn overview(exchange: &Exchange<'_>) -> Answer {
    let overview = exchange.access.overview().await?;
    let account = &exchange.signer.account;
    Ok(Reply::json(&Overview {
        domain_id: account.id.to_string(),
        domain_name: account.name.to_string(),
        namspace_num: overview.organisations,
        repo_num: overview.repositories,
        image_num: overview.versions,
        store_space: mebibytes(overview.bytes),
    }))
}

/// To two places, as the protocol's own examples have it.
fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 100.0).round() / 100.0
}

/// What is known of a report. Nothing is kept of the days before, and what goes out is not weighed: a report has
/// what is stored now, or nothing.
pub(super) async fn report(exchange: &Exchange<'_>, report: Report, frequency: Frequency) -> Answer {
    let overview = exchange.access.overview().await?;
    let now = exchange.plane.now().naive_utc() + exchange.options.utc_offset;
    let today: NaiveDate = now.date();
    let date = match frequency {
        Frequency::Daily => today,
        Frequency::Monthly => today.with_day(1).unwrap_or(today),
    };
    let entries = match report {
        Report::Store => vec![ReportEntry { date: date.to_string(), value: overview.bytes }],
        Report::Downflow => Vec::new(),
    };
    Ok(Reply::json(&entries))
}

/// Nothing has to be allowed here: what acts for an account belongs to the registry.
pub(super) fn agency(exchange: &Exchange<'_>) -> Answer {
    let domain_id = exchange.signer.account.id.to_string();
    Ok(Reply::json(&Agency { domain_id, is_agency: true }))
}
