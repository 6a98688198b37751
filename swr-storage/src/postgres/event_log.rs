//! What happened, who has heard of it, and what was observed.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;

use swr_core::event::{EventSeq, RecordedEvent};
use swr_core::ports::Backlog;

use super::columns::Sql;
use super::connections::{Failure, Session};
use super::manifest_reads::from_json;

/// What a write adds to the log when it ends.
#[derive(Debug, Default)]
pub(super) struct NewEntries {
    pub(super) events: Vec<NewEvent>,
    pub(super) traces: Vec<NewTrace>,
}

/// An event as its row has it.
#[derive(Debug)]
pub(super) struct NewEvent {
    pub(super) repository: String,
    pub(super) at: DateTime<Utc>,
    /// JSON, as the two that follow.
    pub(super) actor: String,
    pub(super) origin: String,
    pub(super) event: String,
}

/// A trace as its row has it.
#[derive(Debug)]
pub(super) struct NewTrace {
    pub(super) id: String,
    pub(super) account: [String; 3],
    pub(super) at: DateTime<Utc>,
    pub(super) actor: Option<[String; 2]>,
    pub(super) operation: &'static str,
    pub(super) code: i32,
    pub(super) reason: String,
    pub(super) resource: [String; 2],
    pub(super) organisation: Option<String>,
    /// JSON, as the one that follows.
    pub(super) origin: String,
    pub(super) change: String,
}

impl NewEntries {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.traces.is_empty()
    }

    /// Numbers the entries and adds them. Whoever else does so waits until the transaction has ended.
    pub(super) const STATEMENT: &str = "
        WITH numbered AS (
            UPDATE log SET events = events + cardinality($2::text[]), traces = traces + cardinality($7::text[])
            RETURNING events, traces),
        kept AS (INSERT INTO kept (id, events) SELECT $1::bytea, events FROM numbered),
        added AS (
            INSERT INTO events (seq, repository, at, actor, origin, event)
            SELECT numbered.events - cardinality($2::text[]) + new.place,
                new.repository, new.at, new.actor, new.origin, new.event
            FROM numbered, unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[])
                WITH ORDINALITY AS new (repository, at, actor, origin, event, place)),
        left_behind AS (
            INSERT INTO traces (
                seq, id, account, account_name, project, at, actor, actor_name, operation, code, reason,
                resource_id, resource_name, organisation, origin, change)
            SELECT numbered.traces - cardinality($7::text[]) + new.place,
                new.id, new.account, new.account_name, new.project, new.at, new.actor, new.actor_name,
                new.operation, new.code, new.reason, new.resource_id, new.resource_name, new.organisation,
                new.origin, new.change
            FROM numbered, unnest(
                $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::text[], $13::text[],
                $14::text[], $15::integer[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[],
                $21::text[])
                WITH ORDINALITY AS new (
                    id, account, account_name, project, at, actor, actor_name, operation, code, reason,
                    resource_id, resource_name, organisation, origin, change, place))
        SELECT events FROM numbered";

    /// The values of the statement after the first.
    pub(super) fn columns(&self) -> Vec<Box<dyn ToSql + Sync + Send + '_>> {
        fn column<'a, R, T: ToSql + Sync + Send + 'a>(
            rows: &'a [R],
            value: impl Fn(&'a R) -> T,
        ) -> Box<dyn ToSql + Sync + Send + 'a> {
            Box::new(rows.iter().map(value).collect::<Vec<T>>())
        }
        fn text(text: &str) -> Sql<&str> {
            Sql(text)
        }
        let Self { events, traces } = self;
        vec![
            column(events, |event| text(&event.repository)),
            column(events, |event| Sql(event.at)),
            column(events, |event| text(&event.actor)),
            column(events, |event| text(&event.origin)),
            column(events, |event| text(&event.event)),
            column(traces, |trace| text(&trace.id)),
            column(traces, |trace| text(&trace.account[0])),
            column(traces, |trace| text(&trace.account[1])),
            column(traces, |trace| text(&trace.account[2])),
            column(traces, |trace| Sql(trace.at)),
            column(traces, |trace| trace.actor.as_ref().map(|actor| text(&actor[0]))),
            column(traces, |trace| trace.actor.as_ref().map(|actor| text(&actor[1]))),
            column(traces, |trace| Sql(trace.operation)),
            column(traces, |trace| trace.code),
            column(traces, |trace| text(&trace.reason)),
            column(traces, |trace| text(&trace.resource[0])),
            column(traces, |trace| text(&trace.resource[1])),
            column(traces, |trace| trace.organisation.as_deref().map(text)),
            column(traces, |trace| text(&trace.origin)),
            column(traces, |trace| text(&trace.change)),
        ]
    }
}

const EVENTS: &str = "
    SELECT seq, repository, at, actor, origin, event FROM events WHERE seq > $1 ORDER BY seq LIMIT $2";

/// In order: a place is given under a lock that lasts until the event can be seen.
pub(super) async fn events(
    session: &Session,
    after: EventSeq,
    limit: NonZeroU32,
) -> Result<Vec<RecordedEvent>, Failure> {
    let rows = session.query(EVENTS, &[&Sql(after), &Sql(limit)]).await?;
    let events = rows.iter().map(|row| {
        let (Sql(seq), Sql(repository), Sql(at)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (actor, origin, event) = (from_json(row, 3)?, from_json(row, 4)?, from_json(row, 5)?);
        Ok(RecordedEvent { seq, repository, actor, origin, at, event })
    });
    events.collect()
}

const CURSOR: &str = "SELECT seq FROM cursors WHERE consumer = $1";

pub(super) async fn cursor(session: &Session, consumer: &str) -> Result<EventSeq, Failure> {
    match session.query_opt(CURSOR, &[&Sql(consumer)]).await? {
        Some(row) => Ok(row.try_get::<_, Sql<_>>(0)?.0),
        None => Ok(EventSeq::START),
    }
}

const ADVANCE: &str = "
    INSERT INTO cursors AS reached (consumer, seq) VALUES ($1, $2)
    ON CONFLICT (consumer) DO UPDATE SET seq = GREATEST(reached.seq, $2)";

pub(super) async fn advance(session: &Session, consumer: &str, upto: EventSeq) -> Result<(), Failure> {
    session.execute(ADVANCE, &[&Sql(consumer), &Sql(upto)]).await.map(drop)
}

const RETAIN: &str = "DELETE FROM cursors WHERE NOT consumer = ANY ($1)";

pub(super) async fn retain_consumers(session: &Session, names: &[&str]) -> Result<(), Failure> {
    let names: Vec<Sql<&str>> = names.iter().map(|name| Sql(*name)).collect();
    session.execute(RETAIN, &[&names]).await.map(drop)
}

const TRIM: &str = "
    DELETE FROM events WHERE seq IN (
        SELECT seq FROM events
        WHERE at < $1 AND seq <= COALESCE((SELECT min(seq) FROM cursors), 9223372036854775807)
        ORDER BY at, seq LIMIT $2)";

pub(super) async fn trim(
    session: &Session,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<u64, Failure> {
    session.execute(TRIM, &[&Sql(before), &Sql(limit)]).await
}

const GARBAGE_WAITING: &str = "SELECT count(*) FROM garbage WHERE spent_at IS NULL";

const NEWEST: &str = "SELECT events FROM log";

const CURSORS: &str = "SELECT consumer, seq FROM cursors ORDER BY consumer";

const LEASES: &str = "SELECT name, until FROM leases WHERE holder IS NOT NULL ORDER BY name";

pub(super) async fn backlog(session: &Session) -> Result<Backlog, Failure> {
    let mut backlog = Backlog::default();
    if let Some(row) = session.query_opt(GARBAGE_WAITING, &[]).await? {
        backlog.garbage = row.try_get::<_, Sql<_>>(0)?.0;
    }
    if let Some(row) = session.query_opt(NEWEST, &[]).await? {
        backlog.newest_event = row.try_get::<_, Sql<_>>(0)?.0;
    }
    for row in session.query(CURSORS, &[]).await? {
        backlog.cursors.push((row.try_get::<_, Sql<_>>(0)?.0, row.try_get::<_, Sql<_>>(1)?.0));
    }
    for row in session.query(LEASES, &[]).await? {
        backlog.leases.push((row.try_get::<_, Sql<_>>(0)?.0, row.try_get::<_, Sql<_>>(1)?.0));
    }
    Ok(backlog)
}
