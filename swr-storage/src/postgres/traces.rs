//! The trail: left by every effective change in its own transaction, asked for, and trimmed.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use swr_core::OrganisationName;
use swr_core::caller::{Actor, Task};
use swr_core::control::trace::{
    Operation, Outcome, Trace, TraceId, TraceQuery, TraceRating, Traced, TracedOperation,
};
use swr_core::event::RecordedEvent;

use super::columns::Sql;
use super::connections::{Failure, Locks, Pool, Session, WriteError};
use super::event_log::{NewEntries, NewTrace};
use super::manifest_commit::{ActingUser, Recorded, acting_user};
use super::manifest_reads::{first, from_json, optional};

/// What is to be left, and where from.
pub(super) struct Left<'a> {
    pub(super) user: Option<&'a ActingUser>,
    pub(super) traced: Traced,
    pub(super) outcome: Outcome,
    /// JSON.
    pub(super) origin: &'a str,
    pub(super) at: DateTime<Utc>,
}

const ACCOUNT: &str = "SELECT name, project FROM accounts WHERE id = $1";

/// Into the trail of an account that there is, when the transaction ends.
pub(super) async fn leave(
    session: &Session,
    entries: &mut NewEntries,
    account: &str,
    left: Left<'_>,
) -> Result<(), Failure> {
    let Some(row) = session.query_opt(ACCOUNT, &[&Sql(account)]).await? else { return Ok(()) };
    let (Sql(name), Sql(project)) = (row.try_get(0)?, row.try_get(1)?);
    let Left { user, traced, outcome, origin, at } = left;
    let Traced { operation, resource_id, resource_name, organisation, change } = traced;
    entries.traces.push(NewTrace {
        id: TraceId::random().as_str().to_owned(),
        account: [account.to_owned(), name, project],
        at,
        actor: user.map(|user| [user.id.clone(), user.name.clone()]),
        operation: operation.trace_name(),
        code: outcome.code.into(),
        reason: outcome.reason.into(),
        resource: [resource_id.into(), resource_name.into()],
        organisation: organisation.map(|name| name.as_str().to_owned()),
        origin: origin.to_owned(),
        change: change.into(),
    });
    Ok(())
}

/// What changes to content leave: in the trail of the user who acts, or, where a rule does, in the owner's.
pub(super) async fn leave_of_events(
    session: &Session,
    recorded: &Recorded<'_>,
    entries: &mut NewEntries,
    events: &[RecordedEvent],
) -> Result<(), Failure> {
    let user = recorded.user.as_ref();
    for RecordedEvent { repository, at, event, .. } in events {
        let Some(traced) = Traced::of_event(repository, event) else { continue };
        let account = match (user, recorded.actor, &traced.organisation) {
            (Some(user), _, _) => Some(user.account.clone()),
            (None, Actor::Caretaker(Task::Aging), Some(organisation)) => owner(session, organisation).await?,
            _ => None,
        };
        let Some(account) = account else { continue };
        let outcome = Outcome::done(traced.operation);
        let left = Left { user, traced, outcome, origin: &recorded.origin_json, at: *at };
        leave(session, entries, &account, left).await?;
    }
    Ok(())
}

const OWNER: &str = "SELECT account FROM organisations WHERE name = $1";

/// The id of the account that owns the organisation.
pub(super) async fn owner(
    session: &Session,
    organisation: &OrganisationName,
) -> Result<Option<String>, Failure> {
    first(session.query_opt(OWNER, &[&Sql(organisation)]).await?)
}

pub(super) async fn record_operations(pool: &Pool, operations: &[TracedOperation]) -> Result<(), WriteError> {
    let transaction = pool.begin(&Locks::beside_others(pool)).await?;
    let mut entries = NewEntries::default();
    for TracedOperation { traced, outcome, user, origin, at } in operations {
        let Some(user) = acting_user(&transaction, user.as_str()).await? else { continue };
        let origin = serde_json::to_string(origin)?;
        let left = Left {
            user: Some(&user),
            traced: traced.clone(),
            outcome: outcome.clone(),
            origin: &origin,
            at: *at,
        };
        leave(&transaction, &mut entries, &user.account, left).await?;
    }
    transaction.end(&entries).await?;
    Ok(())
}

/// Walks the account's part of the trail back from its end, and no further than it has to.
const TRACES: &str = "
    SELECT seq, id, operation, resource_id, resource_name, organisation, change, code, reason,
        account, account_name, project, actor, actor_name, origin, at
    FROM traces
    WHERE account = $1 AND seq > $2 AND seq < $3
        AND ($4::bigint IS NULL OR at > $4) AND ($5::bigint IS NULL OR at <= $5)
        AND ($6::text IS NULL OR actor = $6) AND ($7::text IS NULL OR actor_name = $7)
        AND ($8::text[] IS NULL OR operation = ANY ($8))
        AND code BETWEEN $9::integer AND $10::integer
        AND ($11::text IS NULL OR resource_id = $11) AND ($12::text IS NULL OR resource_name = $12)
        AND ($13::text IS NULL OR (origin::json -> 'channel')::text = $13)
    ORDER BY seq DESC LIMIT $14";

const PLACE: &str = "SELECT seq FROM traces WHERE id = $1";

async fn place(session: &Session, id: Option<&TraceId>) -> Result<Option<i64>, Failure> {
    let Some(id) = id else { return Ok(None) };
    let row = session.query_opt(PLACE, &[&Sql(id)]).await?;
    // No place is smaller: nothing is before it, and it is none.
    Ok(Some(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0)))
}

pub(super) async fn traces(session: &Session, query: &TraceQuery) -> Result<Vec<Trace>, Failure> {
    let TraceQuery {
        account, id, user, user_name, operation, resource_type, resource_id, resource_name, ..
    } = query;
    let TraceQuery { rating, channel, after, until, before, limit, .. } = query;
    let only = place(session, id.as_ref()).await?;
    let before = place(session, before.as_ref()).await?.unwrap_or(i64::MAX);
    let (above, below) = match only {
        Some(seq) => (seq - 1, before.min(seq.saturating_add(1))),
        None => (0, before),
    };
    let named = (operation.is_some() || resource_type.is_some()).then(|| {
        let fits = |of: &&Operation| {
            operation.is_none_or(|wanted| wanted == **of)
                && resource_type.as_ref().is_none_or(|wanted| **wanted == *of.resource_type())
        };
        Operation::ALL.iter().filter(fits).map(|of| Sql(of.trace_name())).collect::<Vec<_>>()
    });
    let codes: (i32, i32) = match rating {
        None => (0, i32::MAX),
        Some(TraceRating::Normal) => (0, 399),
        Some(TraceRating::Warning) => (400, 499),
        Some(TraceRating::Incident) => (500, i32::MAX),
    };
    let channel = match channel {
        Some(channel) => {
            let channel = serde_json::to_string(channel);
            Some(channel.map_err(|_| Failure::Damaged(super::columns::Damaged("channel")))?)
        }
        None => None,
    };
    let (after, until, user) = (after.map(Sql), until.map(Sql), user.as_ref().map(Sql));
    let (user_name, resource_id) = (user_name.as_deref().map(Sql), resource_id.as_deref().map(Sql));
    let resource_name = resource_name.as_deref().map(Sql);
    let rows = session
        .query(
            TRACES,
            &[
                &Sql(account),
                &above,
                &below,
                &after,
                &until,
                &user,
                &user_name,
                &named,
                &codes.0,
                &codes.1,
                &resource_id,
                &resource_name,
                &channel,
                &Sql(*limit),
            ],
        )
        .await?;
    rows.iter().map(trace).collect()
}

const TRACES_AFTER: &str = "
    SELECT seq, id, operation, resource_id, resource_name, organisation, change, code, reason,
        account, account_name, project, actor, actor_name, origin, at
    FROM traces WHERE seq > $1 ORDER BY seq LIMIT $2";

/// In order: a place is given under a lock that lasts until the trace can be seen.
pub(super) async fn traces_after(
    session: &Session,
    seq: u64,
    limit: NonZeroU32,
) -> Result<Vec<Trace>, Failure> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    session.query(TRACES_AFTER, &[&seq, &Sql(limit)]).await?.iter().map(trace).collect()
}

fn trace(row: &Row) -> Result<Trace, Failure> {
    let (Sql(seq), Sql(id), Sql(operation)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (Sql(resource_id), Sql(resource_name), Sql(change)) =
        (row.try_get(3)?, row.try_get(4)?, row.try_get(6)?);
    let code: i32 = row.try_get(7)?;
    let code = u16::try_from(code).map_err(|_| Failure::Damaged(super::columns::Damaged("status")))?;
    let Sql(reason) = row.try_get(8)?;
    let (Sql(account), Sql(account_name), Sql(project)) =
        (row.try_get(9)?, row.try_get(10)?, row.try_get(11)?);
    let Sql(at) = row.try_get(15)?;
    Ok(Trace {
        seq,
        id,
        traced: Traced { operation, resource_id, resource_name, organisation: optional(row, 5)?, change },
        outcome: Outcome { code, reason },
        account,
        account_name,
        project,
        user: optional(row, 12)?.zip(optional(row, 13)?),
        origin: from_json(row, 14)?,
        at,
    })
}

const CURSOR: &str = "SELECT seq FROM trace_cursors WHERE consumer = $1";

pub(super) async fn cursor(session: &Session, consumer: &str) -> Result<u64, Failure> {
    let seq = first(session.query_opt(CURSOR, &[&Sql(consumer)]).await?)?;
    Ok(seq.unwrap_or_default())
}

const ADVANCE: &str = "
    INSERT INTO trace_cursors AS reached (consumer, seq) VALUES ($1, $2)
    ON CONFLICT (consumer) DO UPDATE SET seq = GREATEST(reached.seq, $2)";

pub(super) async fn advance(session: &Session, consumer: &str, upto: u64) -> Result<(), Failure> {
    session.execute(ADVANCE, &[&Sql(consumer), &Sql(upto)]).await.map(drop)
}

const TRIM: &str = "
    DELETE FROM traces WHERE seq IN (SELECT seq FROM traces WHERE at < $1 ORDER BY at, seq LIMIT $2)";

pub(super) async fn trim(
    session: &Session,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<u64, Failure> {
    session.execute(TRIM, &[&Sql(before), &Sql(limit)]).await
}
