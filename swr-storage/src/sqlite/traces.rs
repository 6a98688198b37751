//! The trail: left by every effective change in its own transaction, asked for, and trimmed.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use swr_core::OrganisationName;
use swr_core::caller::{Actor, Task};
use swr_core::control::trace::{
    Operation, Outcome, Trace, TraceId, TraceQuery, TraceRating, Traced, TracedOperation,
};
use swr_core::event::RecordedEvent;

use super::columns::Sql;
use super::connections::{WriteError, Writing};
use super::manifest_commit::{ActingUser, Recorded, acting_user, to_json};
use super::manifest_reads::from_json;

/// Into the trail of an account that there is.
const LEAVE: &str = "
    INSERT INTO traces (
        id, account, at, user, user_name, operation, code, resource_id, resource_name,
        account_name, project, organisation, reason, origin, change)
    SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, name, project, ?10, ?11, ?12, ?13
    FROM accounts WHERE id = ?2";

/// A trace as it is about to be left.
pub(super) struct NewTrace<'a> {
    pub(super) account: &'a str,
    pub(super) user: Option<&'a ActingUser>,
    pub(super) traced: &'a Traced,
    pub(super) outcome: &'a Outcome,
    /// JSON.
    pub(super) origin: &'a str,
    pub(super) at: DateTime<Utc>,
}

pub(super) fn leave(connection: &Connection, trace: &NewTrace<'_>) -> rusqlite::Result<()> {
    let NewTrace { account, user, traced, outcome, origin, at } = trace;
    let Traced { operation, resource_id, resource_name, organisation, change } = traced;
    connection
        .prepare_cached(LEAVE)?
        .execute(params![
            Sql(&TraceId::random()),
            account,
            Sql(*at),
            user.map(|user| &user.id),
            user.map(|user| &user.name),
            Sql(*operation),
            outcome.code,
            resource_id,
            resource_name,
            organisation.as_ref().map(Sql),
            outcome.reason,
            origin,
            change,
        ])
        .map(drop)
}

/// What a change to content leaves: in the trail of the user who acts, or, where a rule does, in the owner's.
pub(super) fn leave_of_events(
    connection: &Connection,
    recorded: &Recorded<'_>,
    events: &[RecordedEvent],
) -> rusqlite::Result<()> {
    for RecordedEvent { repository, at, event, .. } in events {
        let Some(traced) = Traced::of_event(repository, event) else { continue };
        let user = recorded.user(connection)?;
        let account = match (user, recorded.actor, &traced.organisation) {
            (Some(user), _, _) => Some(user.account.clone()),
            (None, Actor::Caretaker(Task::Aging), Some(organisation)) => owner(connection, organisation)?,
            _ => None,
        };
        let Some(account) = account else { return Ok(()) };
        let outcome = Outcome::done(traced.operation);
        let origin = &recorded.origin_json;
        leave(
            connection,
            &NewTrace { account: &account, user, traced: &traced, outcome: &outcome, origin, at: *at },
        )?;
    }
    Ok(())
}

const OWNER: &str = "SELECT account FROM organisations WHERE name = ?1";

/// The id of the account that owns the organisation.
pub(super) fn owner(
    connection: &Connection,
    organisation: &OrganisationName,
) -> rusqlite::Result<Option<String>> {
    let mut owner = connection.prepare_cached(OWNER)?;
    owner.query_row([Sql(organisation)], |row| row.get(0)).optional()
}

pub(super) fn record_operations(
    writing: &Writing<'_>,
    operations: &[TracedOperation],
) -> Result<(), WriteError> {
    let connection = writing.connection;
    for TracedOperation { traced, outcome, user, origin, at } in operations {
        let Some(user) = acting_user(connection, user.as_str())? else { continue };
        writing.claim_room()?;
        let (account, origin) = (&user.account, &to_json(origin)?);
        leave(connection, &NewTrace { account, user: Some(&user), traced, outcome, origin, at: *at })?;
    }
    Ok(())
}

/// Walks the account's part of the trail back from its end, and no further than it has to. What is looked for
/// stands first in the rows, so that the long ends of those that do not fit are not read.
const TRACES: &str = "
    SELECT seq, id, operation, resource_id, resource_name, organisation, change, code, reason,
        account, account_name, project, user, user_name, origin, at
    FROM traces INDEXED BY traces_of_account
    WHERE account = ?1 AND seq > ?2 AND seq < ?3
        AND (?4 IS NULL OR at > ?4) AND (?5 IS NULL OR at <= ?5)
        AND (?6 IS NULL OR user = ?6) AND (?7 IS NULL OR user_name = ?7)
        AND (?8 IS NULL OR instr(?8, ' ' || operation || ' ') > 0)
        AND code BETWEEN ?9 AND ?10
        AND (?11 IS NULL OR resource_id = ?11) AND (?12 IS NULL OR resource_name = ?12)
        AND (?13 IS NULL OR origin -> '$.channel' = ?13)
    ORDER BY seq DESC LIMIT ?14";

const PLACE: &str = "SELECT seq FROM traces WHERE id = ?1";

pub(super) fn traces(connection: &Connection, query: &TraceQuery) -> rusqlite::Result<Vec<Trace>> {
    let TraceQuery {
        account, id, user, user_name, operation, resource_type, resource_id, resource_name, ..
    } = query;
    let TraceQuery { rating, channel, after, until, before, limit, .. } = query;
    let place = |id: &Option<TraceId>| {
        let Some(id) = id else { return Ok(None) };
        let place = connection.prepare_cached(PLACE)?.query_row([Sql(id)], |row| row.get::<_, i64>(0));
        // No place is smaller: nothing is before it, and it is none.
        Ok::<_, rusqlite::Error>(Some(place.optional()?.unwrap_or(0)))
    };
    let (only, before) = (place(id)?, place(before)?.unwrap_or(i64::MAX));
    let (above, below) = match only {
        Some(seq) => (seq - 1, before.min(seq + 1)),
        None => (0, before),
    };
    let named: Option<String> = (operation.is_some() || resource_type.is_some()).then(|| {
        let fits = |of: &&Operation| {
            operation.is_none_or(|wanted| wanted == **of)
                && resource_type.as_ref().is_none_or(|wanted| **wanted == *of.resource_type())
        };
        Operation::ALL.iter().filter(fits).map(|of| format!(" {} ", of.trace_name())).collect()
    });
    let codes = match rating {
        None => (0, u16::MAX),
        Some(TraceRating::Normal) => (0, 399),
        Some(TraceRating::Warning) => (400, 499),
        Some(TraceRating::Incident) => (500, u16::MAX),
    };
    let channel = channel.map(|channel| to_json(&channel)).transpose()?;
    let mut traces = connection.prepare_cached(TRACES)?;
    let traces = traces.query_map(
        params![
            Sql(account),
            above,
            below,
            after.map(Sql),
            until.map(Sql),
            user.as_ref().map(Sql),
            user_name,
            named,
            codes.0,
            codes.1,
            resource_id,
            resource_name,
            channel,
            limit.get(),
        ],
        trace,
    )?;
    traces.collect()
}

const TRACES_AFTER: &str = "
    SELECT seq, id, operation, resource_id, resource_name, organisation, change, code, reason,
        account, account_name, project, user, user_name, origin, at
    FROM traces WHERE seq > ?1 ORDER BY seq LIMIT ?2";

/// In order: there is one writer, and what it has not kept is not shown.
pub(super) fn traces_after(
    connection: &Connection,
    seq: u64,
    limit: NonZeroU32,
) -> rusqlite::Result<Vec<Trace>> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let mut traces = connection.prepare_cached(TRACES_AFTER)?;
    traces.query_map(params![seq, limit.get()], trace)?.collect()
}

fn trace(row: &Row<'_>) -> rusqlite::Result<Trace> {
    let (Sql(operation), Sql(id)) = (row.get(2)?, row.get(1)?);
    let organisation = row.get::<_, Option<_>>(5)?.map(|Sql(organisation)| organisation);
    let user = match (row.get(12)?, row.get(13)?) {
        (Some(Sql(id)), Some(Sql(name))) => Some((id, name)),
        _ => None,
    };
    let (Sql(account), Sql(account_name), Sql(project)) = (row.get(9)?, row.get(10)?, row.get(11)?);
    let (Sql(seq), Sql(at)) = (row.get(0)?, row.get(15)?);
    Ok(Trace {
        seq,
        id,
        traced: Traced {
            operation,
            resource_id: row.get(3)?,
            resource_name: row.get(4)?,
            organisation,
            change: row.get(6)?,
        },
        outcome: Outcome { code: row.get(7)?, reason: row.get(8)? },
        account,
        account_name,
        project,
        user,
        origin: from_json(row, 14)?,
        at,
    })
}

const CURSOR: &str = "SELECT seq FROM trace_cursors WHERE consumer = ?1";

pub(super) fn cursor(connection: &Connection, consumer: &str) -> rusqlite::Result<u64> {
    let mut cursor = connection.prepare_cached(CURSOR)?;
    let seq = cursor.query_row([consumer], |row| row.get(0)).optional()?;
    Ok(seq.map_or(0, |Sql(seq)| seq))
}

const ADVANCE: &str = "
    INSERT INTO trace_cursors (consumer, seq) VALUES (?1, ?2)
    ON CONFLICT (consumer) DO UPDATE SET seq = max(seq, ?2)";

pub(super) fn advance(connection: &Connection, consumer: &str, upto: u64) -> rusqlite::Result<()> {
    connection.prepare_cached(ADVANCE)?.execute(params![consumer, Sql(upto)]).map(drop)
}

const TRIM: &str = "
    DELETE FROM traces WHERE seq IN (
        SELECT seq FROM traces INDEXED BY traces_by_time WHERE at < ?1 ORDER BY at, seq LIMIT ?2)";

pub(super) fn trim(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<u64> {
    let trimmed = connection.prepare_cached(TRIM)?.execute(params![Sql(before), limit.get()])?;
    Ok(trimmed as u64)
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[LEAVE, OWNER, TRACES, PLACE, TRACES_AFTER, CURSOR, ADVANCE, TRIM];
