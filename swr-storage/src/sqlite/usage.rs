//! What accounts used, day by day.

use std::num::NonZeroU32;

use chrono::NaiveDate;
use rusqlite::{Connection, OptionalExtension, params};

use swr_core::control::identity::AccountId;
use swr_core::ports::{DailyUsage, Page, PullCount, UsageKind};
use swr_core::reference::Reference;

use super::columns::Sql;
use super::metadata_reads::{accounts, overview};
use super::repository_lists::declared;

const USAGE: &str = "
    SELECT day, bytes FROM usage WHERE account = ?1 AND kind = ?2 AND day BETWEEN ?3 AND ?4 ORDER BY day";

pub(super) fn usage(
    connection: &Connection,
    account: &AccountId,
    kind: UsageKind,
    from: NaiveDate,
    until: NaiveDate,
) -> rusqlite::Result<Vec<DailyUsage>> {
    let mut usage = connection.prepare_cached(USAGE)?;
    let usage = usage.query_map(params![Sql(account), Sql(kind), Sql(from), Sql(until)], |row| {
        let (Sql(day), Sql(bytes)) = (row.get(0)?, row.get(1)?);
        Ok(DailyUsage { day, bytes })
    })?;
    usage.collect()
}

/// What each account keeps.
pub(super) fn stored(connection: &Connection) -> rusqlite::Result<Vec<(AccountId, u64)>> {
    const AT_ONCE: NonZeroU32 = NonZeroU32::new(500).expect("500 is not zero");
    let mut stored = Vec::new();
    let mut page = Page { after: None, limit: AT_ONCE };
    loop {
        let accounts = accounts(connection, &page)?;
        let Some(last) = accounts.last() else { return Ok(stored) };
        page.after = Some(last.name.clone());
        for account in accounts {
            let bytes = overview(connection, &account.id)?.bytes;
            stored.push((account.id, bytes));
        }
    }
}

const NOTE: &str = "
    INSERT INTO usage (account, kind, day, bytes) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (account, kind, day) DO UPDATE SET bytes = ?4";

pub(super) fn note_stored(
    connection: &Connection,
    stored: &[(AccountId, u64)],
    day: NaiveDate,
) -> rusqlite::Result<()> {
    let mut note = connection.prepare_cached(NOTE)?;
    for (account, bytes) in stored {
        note.execute(params![Sql(account), Sql(UsageKind::Stored), Sql(day), Sql(*bytes)])?;
    }
    Ok(())
}

/// Who owns the organisation, and the manifest that the tag points to.
const PULLED_TAG: &str = "
    SELECT organisations.account, tags.manifest
    FROM repositories
    JOIN organisations ON organisations.name = repositories.organisation
    JOIN tags ON tags.repository = repositories.id
    WHERE repositories.name = ?1 AND tags.name = ?2";

const PULLED_MANIFEST: &str = "
    SELECT organisations.account, manifests.id
    FROM repositories
    JOIN organisations ON organisations.name = repositories.organisation
    JOIN manifests ON manifests.repository = repositories.id
    WHERE repositories.name = ?1 AND manifests.digest = ?2";

const NOTED: &str = "SELECT bytes FROM usage WHERE account = ?1 AND kind = ?2 AND day = ?3";

pub(super) fn note_pulled(
    connection: &Connection,
    PullCount { repository, reference, count, last }: &PullCount,
) -> rusqlite::Result<()> {
    let (statement, key): (_, &dyn rusqlite::ToSql) = match reference {
        Reference::Tag(tag) => (PULLED_TAG, &Sql(tag)),
        Reference::Digest(digest) => (PULLED_MANIFEST, &Sql(digest)),
    };
    let mut pulled = connection.prepare_cached(statement)?;
    let pulled = pulled.query_row(params![Sql(repository), key], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((Sql(account), manifest)): Option<(Sql<AccountId>, i64)> = pulled.optional()? else {
        return Ok(());
    };
    let bytes = declared(connection, manifest)?.saturating_mul(*count);
    let day = (Sql(&account), Sql(UsageKind::Pulled), Sql(last.date_naive()));
    let mut noted = connection.prepare_cached(NOTED)?;
    let noted = noted.query_row(params![day.0, day.1, day.2], |row| row.get(0)).optional()?;
    let sum = bytes.saturating_add(noted.map_or(0, |Sql(noted): Sql<u64>| noted));
    connection.prepare_cached(NOTE)?.execute(params![day.0, day.1, day.2, Sql(sum)]).map(drop)
}

const TRIM: &str = "
    DELETE FROM usage WHERE (account, kind, day) IN (
        SELECT account, kind, day FROM usage INDEXED BY usage_by_day WHERE day < ?1 ORDER BY day LIMIT ?2)";

pub(super) fn trim(connection: &Connection, before: NaiveDate, limit: NonZeroU32) -> rusqlite::Result<u64> {
    let trimmed = connection.prepare_cached(TRIM)?.execute(params![Sql(before), limit.get()])?;
    Ok(trimmed as u64)
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[USAGE, NOTE, PULLED_TAG, PULLED_MANIFEST, NOTED, TRIM];
