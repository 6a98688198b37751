//! What happened, who has heard of it, and what was observed.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use swr_core::event::{EventSeq, RecordedEvent};
use swr_core::ports::{Backlog, PullCount};
use swr_core::reference::Reference;

use super::columns::Sql;
use super::manifest_reads::from_json;

const RECORD: &str = "
    INSERT INTO events (repository, at, actor, origin, event) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING seq";

const EVENTS: &str = "
    SELECT seq, repository, at, actor, origin, event FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";

pub(super) fn events(
    connection: &Connection,
    after: EventSeq,
    limit: NonZeroU32,
) -> rusqlite::Result<Vec<RecordedEvent>> {
    let mut events = connection.prepare_cached(EVENTS)?;
    let events = events.query_map(params![Sql(after), limit.get()], |row| {
        let (Sql(seq), Sql(repository), Sql(at)) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (actor, origin, event) = (from_json(row, 3)?, from_json(row, 4)?, from_json(row, 5)?);
        Ok(RecordedEvent { seq, repository, actor, origin, at, event })
    })?;
    events.collect()
}

/// Adds an event to the log, in order: there is one writer, and what it has not kept is not shown.
pub(super) fn record(connection: &Connection, event: &NewEvent<'_>) -> rusqlite::Result<EventSeq> {
    let NewEvent { repository, at, actor, origin, event } = event;
    let mut record = connection.prepare_cached(RECORD)?;
    record
        .query_row(params![repository, Sql(*at), actor, origin, event], |row| row.get(0))
        .map(|Sql(seq)| seq)
}

/// An event as its row has it.
pub(super) struct NewEvent<'a> {
    pub(super) repository: &'a str,
    pub(super) at: DateTime<Utc>,
    /// JSON, as the two that follow.
    pub(super) actor: &'a str,
    pub(super) origin: &'a str,
    pub(super) event: &'a str,
}

const NEWEST: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";

/// The place of the newest event, also when it was trimmed.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<EventSeq> {
    let mut newest = connection.prepare_cached(NEWEST)?;
    newest.query_row([], |row| row.get(0)).optional().map(|seq| seq.map_or(EventSeq::START, |Sql(seq)| seq))
}

const CURSOR: &str = "SELECT seq FROM cursors WHERE consumer = ?1";

pub(super) fn cursor(connection: &Connection, consumer: &str) -> rusqlite::Result<EventSeq> {
    let mut cursor = connection.prepare_cached(CURSOR)?;
    let seq = cursor.query_row([consumer], |row| row.get(0)).optional()?;
    Ok(seq.map_or(EventSeq::START, |Sql(seq)| seq))
}

const ADVANCE: &str = "
    INSERT INTO cursors (consumer, seq) VALUES (?1, ?2)
    ON CONFLICT (consumer) DO UPDATE SET seq = max(seq, ?2)";

pub(super) fn advance(connection: &Connection, consumer: &str, upto: EventSeq) -> rusqlite::Result<()> {
    connection.prepare_cached(ADVANCE)?.execute(params![consumer, Sql(upto)]).map(drop)
}

const CONSUMERS: &str = "SELECT consumer FROM cursors";
const FORGET: &str = "DELETE FROM cursors WHERE consumer = ?1";

pub(super) fn retain_consumers(connection: &Connection, names: &[String]) -> rusqlite::Result<()> {
    let mut consumers = connection.prepare_cached(CONSUMERS)?;
    let consumers: Vec<String> = consumers.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for consumer in consumers.iter().filter(|consumer| !names.contains(consumer)) {
        connection.prepare_cached(FORGET)?.execute([consumer])?;
    }
    Ok(())
}

const TRIM: &str = "
    DELETE FROM events WHERE seq IN (
        SELECT seq FROM events INDEXED BY events_by_time
        WHERE at < ?1 AND seq <= ifnull((SELECT min(seq) FROM cursors), 9223372036854775807)
        ORDER BY at, seq LIMIT ?2)";

pub(super) fn trim(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<u64> {
    let trimmed = connection.prepare_cached(TRIM)?.execute(params![Sql(before), limit.get()])?;
    Ok(trimmed as u64)
}

/// Sums stop at the greatest integer.
const OBSERVE_TAG: &str = "
    UPDATE tags
    SET pulls = CASE WHEN pulls > 9223372036854775807 - ?3 THEN 9223372036854775807 ELSE pulls + ?3 END,
        pulled = max(ifnull(pulled, ?4), ?4)
    WHERE repository = (SELECT id FROM repositories WHERE name = ?1) AND name = ?2";

const OBSERVE_MANIFEST: &str = "
    UPDATE manifests
    SET pulls = CASE WHEN pulls > 9223372036854775807 - ?3 THEN 9223372036854775807 ELSE pulls + ?3 END,
        pulled = max(ifnull(pulled, ?4), ?4)
    WHERE repository = (SELECT id FROM repositories WHERE name = ?1) AND digest = ?2";

/// A repository counts what was there to be pulled.
const OBSERVE_REPOSITORY: &str = "
    UPDATE repositories
    SET pulls = CASE WHEN pulls > 9223372036854775807 - ?2 THEN 9223372036854775807 ELSE pulls + ?2 END
    WHERE name = ?1";

pub(super) fn observe_pulls(connection: &Connection, counts: &[PullCount]) -> rusqlite::Result<()> {
    let mut of_tag = connection.prepare_cached(OBSERVE_TAG)?;
    let mut of_manifest = connection.prepare_cached(OBSERVE_MANIFEST)?;
    let mut of_repository = connection.prepare_cached(OBSERVE_REPOSITORY)?;
    for pulled in counts {
        let PullCount { repository, reference, count, last } = pulled;
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        let observed = match reference {
            Reference::Tag(tag) => of_tag.execute(params![Sql(repository), Sql(tag), count, Sql(*last)])?,
            Reference::Digest(digest) => {
                of_manifest.execute(params![Sql(repository), Sql(digest), count, Sql(*last)])?
            }
        };
        if observed > 0 {
            of_repository.execute(params![Sql(repository), count])?;
            #[cfg(feature = "control")]
            super::usage::note_pulled(connection, pulled)?;
        }
    }
    Ok(())
}

const GARBAGE_WAITING: &str =
    "SELECT count(*) FROM garbage INDEXED BY garbage_waiting WHERE spent_at IS NULL";

pub(super) fn backlog(connection: &Connection) -> rusqlite::Result<Backlog> {
    let Sql(garbage) = connection.prepare_cached(GARBAGE_WAITING)?.query_row([], |row| row.get(0))?;
    let mut cursors = connection.prepare_cached("SELECT consumer, seq FROM cursors ORDER BY consumer")?;
    let cursors = cursors.query_map([], |row| Ok((row.get(0)?, row.get::<_, Sql<_>>(1)?.0)))?;
    let mut leases =
        connection.prepare_cached("SELECT name, until FROM leases WHERE holder IS NOT NULL ORDER BY name")?;
    let leases = leases.query_map([], |row| Ok((row.get(0)?, row.get::<_, Sql<_>>(1)?.0)))?;
    Ok(Backlog {
        garbage,
        newest_event: newest(connection)?,
        cursors: cursors.collect::<Result<_, _>>()?,
        leases: leases.collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    RECORD,
    EVENTS,
    CURSOR,
    ADVANCE,
    CONSUMERS,
    FORGET,
    TRIM,
    OBSERVE_TAG,
    OBSERVE_MANIFEST,
    OBSERVE_REPOSITORY,
];
