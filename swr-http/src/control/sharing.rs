//! Repositories that are shared with other accounts, which the protocol calls access domains.

use std::num::NonZeroU32;

use chrono::{DateTime, Days, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use swr_core::RepositoryName;
use swr_core::control::identity::AccountName;
use swr_core::control::share::{Deadline, ListedShare};

use super::error::ValueDefect;
use super::exchange::{Answer, Exchange, Reply, Time, excerpt, parts};

/// A list has so many accounts, and no more.
const SHARES_LISTED: NonZeroU32 = NonZeroU32::new(100).expect("100 is not zero");

/// The deadline of what has none.
const FOREVER: &str = "forever";

/// A share to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewShare {
    /// The name of the account that is to pull.
    access_domain: String,
    /// What it may: `read`.
    permit: String,
    /// `forever`, or a time of the last day of access.
    deadline: String,
    /// Some words; at most 1 000 characters.
    #[serde(default)]
    description: String,
}

/// Until when a share is to last.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShareChange {
    /// What the account may: `read`.
    permit: String,
    /// `forever`, or a time of the last day of access.
    deadline: String,
    /// Some words; at most 1 000 characters.
    #[serde(default)]
    description: String,
}

/// A share.
#[derive(Serialize, ToSchema)]
pub(super) struct Share {
    namespace: String,
    repository: String,
    /// The name of the account that may pull.
    access_domain: String,
    permit: &'static str,
    /// `forever`, or the beginning of the last day of access.
    deadline: String,
    description: String,
    creator_id: String,
    creator_name: String,
    created: Time,
    updated: Time,
    /// Whether it still lasts.
    status: bool,
}

/// Whether there is a share, and which.
#[derive(Serialize, ToSchema)]
pub(super) struct ShownShare {
    exist: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
}

pub(super) async fn create(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let new: NewShare = exchange.object()?;
    expect_read(&new.permit)?;
    let deadline = deadline(&new.deadline, exchange.options.utc_offset)?;
    let account = AccountName::parse(&new.access_domain)
        .map_err(|_| ValueDefect::Account(excerpt(&new.access_domain)))?;
    exchange.access.share(repository, &account, deadline, &new.description).await?;
    Ok(Reply::empty())
}

pub(super) async fn change(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    account: &AccountName,
) -> Answer {
    let change: ShareChange = exchange.object()?;
    expect_read(&change.permit)?;
    let deadline = deadline(&change.deadline, exchange.options.utc_offset)?;
    exchange.access.change_share(repository, account, deadline, &change.description).await?;
    Ok(Reply::empty())
}

pub(super) async fn end(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    account: &AccountName,
) -> Answer {
    exchange.access.end_share(repository, account).await?;
    Ok(Reply::empty())
}

pub(super) async fn list(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let listed = exchange.access.shares(repository, SHARES_LISTED).await?;
    let shares: Vec<Share> = listed.into_iter().map(|listed| shown(exchange, listed)).collect();
    Ok(Reply::json(&shares))
}

pub(super) async fn show(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    account: &AccountName,
) -> Answer {
    let share = exchange.access.share_with(repository, account).await?;
    let share = share.map(|listed| shown(exchange, listed));
    Ok(Reply::json(&ShownShare { exist: share.is_some(), share }))
}

fn shown(exchange: &Exchange<'_>, listed: ListedShare) -> Share {
    let ListedShare { share, account_name } = listed;
    let (namespace, repository) = parts(&share.repository);
    Share {
        namespace: namespace.to_owned(),
        repository: repository.to_owned(),
        access_domain: account_name.to_string(),
        permit: "read",
        deadline: written(share.deadline),
        creator_id: share.creator.to_string(),
        creator_name: share.creator_name.to_string(),
        created: Time(share.created),
        updated: Time(share.updated),
        status: share.deadline.holds_at(exchange.plane.now()),
        description: share.description.into(),
    }
}

fn expect_read(permit: &str) -> Result<(), ValueDefect> {
    match permit {
        "read" => Ok(()),
        other => Err(ValueDefect::Permit(excerpt(other))),
    }
}

/// The midnight after the day that a time falls on, where days begin `offset` before those of UTC.
fn deadline(text: &str, offset: TimeDelta) -> Result<Deadline, ValueDefect> {
    if text == FOREVER {
        return Ok(Deadline::Never);
    }
    let end = DateTime::parse_from_rfc3339(text).ok().and_then(|time| {
        let local = time.naive_utc().checked_add_signed(offset)?;
        let midnight = local.date().checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0)?;
        midnight.checked_sub_signed(offset)
    });
    let end = end.ok_or_else(|| ValueDefect::Deadline(excerpt(text)))?;
    Ok(Deadline::At(end.and_utc()))
}

/// A deadline as it may be sent again: the beginning of its last day.
fn written(deadline: Deadline) -> String {
    let last_day = |end: DateTime<Utc>| end.checked_sub_days(Days::new(1)).unwrap_or(end);
    match deadline {
        Deadline::Never => FOREVER.to_owned(),
        Deadline::At(end) => last_day(end).to_rfc3339_opts(SecondsFormat::Secs, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_ends_with_its_last_day() {
        for (text, hours, end) in [
            ("2026-01-31T00:00:00Z", 0, "2026-02-01T00:00:00Z"),
            ("2026-01-31T23:59:59.999Z", 0, "2026-02-01T00:00:00Z"),
            ("2026-01-31T23:00:00-02:00", 0, "2026-02-02T00:00:00Z"),
            // Midnight in Shanghai, as pages there send it.
            ("2018-10-01T16:00:00.000Z", 8, "2018-10-02T16:00:00Z"),
            ("2018-10-01T15:59:59.000Z", 8, "2018-10-01T16:00:00Z"),
            ("2018-10-01T03:00:00.000Z", -5, "2018-10-01T05:00:00Z"),
            ("2024-02-28T12:00:00Z", 0, "2024-02-29T00:00:00Z"),
        ] {
            let offset = TimeDelta::hours(hours);
            let parsed = deadline(text, offset).unwrap();
            let expected = DateTime::parse_from_rfc3339(end).unwrap().to_utc();
            assert_eq!(parsed, Deadline::At(expected), "{text} {hours}");
            // What is shown means the same when it is sent again.
            assert_eq!(deadline(&written(parsed), offset).unwrap(), parsed, "{text} {hours}");
        }
        assert_eq!(deadline("forever", TimeDelta::zero()).unwrap(), Deadline::Never);
        assert_eq!(written(Deadline::Never), "forever");
    }

    #[test]
    fn what_is_no_deadline_is_refused() {
        for text in ["", "Forever", "2026-01-31", "2026-01-31T00:00:00", "2026-02-30T00:00:00Z", "tomorrow"] {
            assert!(deadline(text, TimeDelta::zero()).is_err(), "{text}");
        }
    }
}
