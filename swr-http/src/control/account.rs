//! What an account has and may have, and what this registry offers.

use chrono::{Datelike as _, Months, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

use swr_core::ports::{DailyUsage, UsageKind};

use super::endpoint::{Frequency, Report};
use super::error::ManagementFailure;
use super::exchange::{Answer, Exchange, Reply};

/// How many days a daily report has, today included.
const DAYS: u32 = 30;
/// How many months a monthly report has, this one included.
const MONTHS: u32 = 12;

/// How many days reports look back at most, today included: for so long a host keeps what accounts used.
pub const REPORT_DAYS_MAX: u32 = 366;

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
    /// In MiB: what was pulled from them in the last 30 days.
    downflow_size: f64,
}

/// How much there was on a day, or in a month.
#[derive(Serialize, ToSchema)]
pub(super) struct ReportEntry {
    /// The day, or the first day of the month.
    date: String,
    /// In bytes: of `store` what there was at its end, of `downflow` what was pulled.
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
        enable_image_sync: !exchange.plane.limits().regions.is_empty(),
        enable_authorization_token: true,
        enable_list_v3: true,
        ..FeatureGates::default()
    }))
}

pub(super) async fn overview(exchange: &Exchange<'_>) -> Answer {
    let overview = exchange.access.overview().await?;
    let pulled = exchange.access.usage(UsageKind::Pulled, DAYS).await?;
    let pulled = pulled.iter().fold(0, |sum: u64, day| sum.saturating_add(day.bytes));
    let account = &exchange.signer.account;
    Ok(Reply::json(&Overview {
        domain_id: account.id.to_string(),
        domain_name: account.name.to_string(),
        namspace_num: overview.organisations,
        repo_num: overview.repositories,
        image_num: overview.versions,
        store_space: mebibytes(overview.bytes),
        downflow_size: mebibytes(pulled),
    }))
}

/// To two places, as the protocol's own examples have it.
fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 100.0).round() / 100.0
}

/// Day by day, or month by month with what was stored at its end and pulled in all of it; oldest first.
pub(super) async fn report(exchange: &Exchange<'_>, report: Report, frequency: Frequency) -> Answer {
    let kind = match report {
        Report::Store => UsageKind::Stored,
        Report::Downflow => UsageKind::Pulled,
    };
    let days = match frequency {
        Frequency::Daily => DAYS,
        Frequency::Monthly => days_of_months(exchange.plane.now().date_naive()),
    };
    let mut entries: Vec<ReportEntry> = Vec::new();
    for DailyUsage { day, bytes } in exchange.access.usage(kind, days).await? {
        let date = match frequency {
            Frequency::Daily => day,
            Frequency::Monthly => first_of_month(day),
        };
        let date = date.to_string();
        match entries.last_mut().filter(|last| last.date == date) {
            Some(last) if kind == UsageKind::Pulled => last.value = last.value.saturating_add(bytes),
            Some(last) => last.value = bytes,
            None => entries.push(ReportEntry { date, value: bytes }),
        }
    }
    Ok(Reply::json(&entries))
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// How many days there are in this month up to today, and in those before it that a report has.
fn days_of_months(today: NaiveDate) -> u32 {
    let first = first_of_month(today).checked_sub_months(Months::new(MONTHS - 1)).unwrap_or(today);
    let days = today.signed_duration_since(first).num_days() + 1;
    u32::try_from(days).unwrap_or(DAYS)
}

pub(super) fn agency(exchange: &Exchange<'_>) -> Answer {
    let account = &exchange.signer.account;
    Ok(Reply::json(&Agency { domain_id: account.id.to_string(), is_agency: account.agency }))
}

pub(super) async fn create_agency(exchange: &Exchange<'_>) -> Answer {
    exchange.access.create_agency().await?;
    Ok(Reply::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_months_begins_with_the_first_day_of_the_first() {
        for (today, days) in
            [("2026-01-01", 335), ("2026-12-31", 365), ("2024-12-31", 366), ("2024-02-29", 366)]
        {
            assert_eq!(days_of_months(today.parse().unwrap()), days, "{today}");
            assert!(days.max(DAYS) <= REPORT_DAYS_MAX);
        }
    }
}
