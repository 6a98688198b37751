//! What accounts used, day by day.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use chrono::NaiveDate;
use futures_util::future::try_join_all;

use swr_core::control::identity::AccountId;
use swr_core::ports::{DailyUsage, Page, PullCount, UsageKind};

use super::columns::Sql;
use super::connections::{Failure, Locks, Pool, Session, WriteError};
use super::event_log::NewEntries;
use super::manifest_reads::first;
use super::metadata_reads::{accounts, overview};
use super::repository_lists::declared;

const USAGE: &str = "
    SELECT day, bytes FROM usage WHERE account = $1 AND kind = $2 AND day BETWEEN $3 AND $4 ORDER BY day";

pub(super) async fn usage(
    session: &Session,
    account: &AccountId,
    kind: UsageKind,
    from: NaiveDate,
    until: NaiveDate,
) -> Result<Vec<DailyUsage>, Failure> {
    let rows = session.query(USAGE, &[&Sql(account), &number(kind), &Sql(from), &Sql(until)]).await?;
    let days = rows.iter().map(|row| {
        let (Sql(day), Sql(bytes)) = (row.try_get(0)?, row.try_get(1)?);
        Ok(DailyUsage { day, bytes })
    });
    days.collect()
}

const fn number(kind: UsageKind) -> i16 {
    match kind {
        UsageKind::Stored => 0,
        UsageKind::Pulled => 1,
    }
}

const NOTE: &str = "
    INSERT INTO usage (account, kind, day, bytes) VALUES ($1, $2, $3, $4)
    ON CONFLICT (account, kind, day) DO UPDATE SET bytes = $4";

/// What whoever notes, or forgets, locks.
pub(super) fn locks(pool: &Pool) -> Locks {
    Locks::beside_others(pool).work("usage")
}

/// Each account's repositories are counted as of one instant, one account after the other.
pub(super) async fn note_stored(pool: &Pool, day: NaiveDate) -> Result<(), WriteError> {
    const AT_ONCE: NonZeroU32 = NonZeroU32::new(500).expect("500 is not zero");
    let mut page = Page { after: None, limit: AT_ONCE };
    let mut stored = Vec::new();
    loop {
        let session = pool.session().await?;
        let accounts = accounts(&session, &page).await?;
        let Some(last) = accounts.last() else { break };
        page.after = Some(last.name.clone());
        for account in accounts {
            let bytes = overview(&session, &account.id).await?.bytes;
            stored.push((account.id, bytes));
        }
    }
    let transaction = pool.begin(&locks(pool)).await?;
    for (account, bytes) in &stored {
        let kind = number(UsageKind::Stored);
        transaction.execute(NOTE, &[&Sql(account), &kind, &Sql(day), &Sql(*bytes)]).await?;
    }
    transaction.end(&NewEntries::default()).await?;
    Ok(())
}

const TRIM: &str = "
    DELETE FROM usage WHERE (account, kind, day) IN (
        SELECT account, kind, day FROM usage WHERE day < $1 ORDER BY day LIMIT $2)";

pub(super) async fn trim(session: &Session, before: NaiveDate, limit: NonZeroU32) -> Result<u64, Failure> {
    session.execute(TRIM, &[&Sql(before), &Sql(limit)]).await
}

/// Who owns the organisation of what was pulled.
const OWNER: &str = "
    SELECT organisations.account
    FROM repositories JOIN organisations ON organisations.name = repositories.organisation
    WHERE repositories.name = $1";

const NOTED: &str = "SELECT bytes FROM usage WHERE account = $1 AND kind = $2 AND day = $3";

/// Of manifests that are there. Nobody else notes meanwhile.
pub(super) async fn note_pulled(session: &Session, pulled: &[(&PullCount, i64)]) -> Result<(), Failure> {
    let repositories: BTreeSet<_> = pulled.iter().map(|(count, _)| &count.repository).collect();
    let owners = try_join_all(repositories.into_iter().map(async |repository| {
        let owner: Option<AccountId> = first(session.query_opt(OWNER, &[&Sql(repository)]).await?)?;
        Ok::<_, Failure>((repository, owner))
    }));
    let owners: BTreeMap<_, _> = owners.await?.into_iter().collect();
    let of_somebody =
        |(count, _): &&(&PullCount, i64)| matches!(owners.get(&count.repository), Some(Some(_)));
    let manifests: BTreeSet<i64> = pulled.iter().filter(of_somebody).map(|(_, manifest)| *manifest).collect();
    let sizes = try_join_all(
        manifests
            .into_iter()
            .map(async |manifest| Ok::<_, Failure>((manifest, declared(session, manifest).await?))),
    );
    let sizes: BTreeMap<_, _> = sizes.await?.into_iter().collect();
    let mut sums: BTreeMap<(&AccountId, NaiveDate), u64> = BTreeMap::new();
    for (PullCount { repository, count, last, .. }, manifest) in pulled {
        let (Some(Some(account)), Some(size)) = (owners.get(repository), sizes.get(manifest)) else {
            continue;
        };
        let sum = sums.entry((account, last.date_naive())).or_default();
        *sum = sum.saturating_add(size.saturating_mul(*count));
    }
    let kind = number(UsageKind::Pulled);
    for ((account, day), bytes) in &sums {
        let noted = session.query_opt(NOTED, &[&Sql(*account), &kind, &Sql(*day)]).await?;
        let sum = bytes.saturating_add(first(noted)?.unwrap_or(0));
        session.execute(NOTE, &[&Sql(*account), &kind, &Sql(*day), &Sql(sum)]).await?;
    }
    Ok(())
}
