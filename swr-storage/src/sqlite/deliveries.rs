//! Deliveries of triggers: made of events, claimed, settled, revived, trimmed.
//!
//! Targets are served side by side and each in order. Which of them have something to do is found by the time from
//! which on they may; that time is never too late, and one that is too early is put right by whoever claims.

use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use swr_core::control::trigger::{Delivery, DeliveryId, DeliveryState, TriggerId};
use swr_core::event::EventSeq;
use swr_core::ports::{ClaimedDelivery, NewDelivery, Tried};

use super::columns::Sql;
use super::connections::{WriteError, Writing};
use super::triggers::trigger;

const OF_TRIGGER: &str = "
    SELECT id, trigger, event, tag, digest, at, state, due, attempts, tried, detail
    FROM deliveries
    WHERE trigger = ?1 AND EXISTS (SELECT 1 FROM triggers WHERE id = ?1 AND repository IS NOT NULL)
    ORDER BY event DESC LIMIT ?2";

pub(super) fn deliveries(
    connection: &Connection,
    trigger: TriggerId,
    limit: NonZeroU32,
) -> rusqlite::Result<Vec<Delivery>> {
    let mut deliveries = connection.prepare_cached(OF_TRIGGER)?;
    deliveries.query_map(params![trigger.0, limit.get()], to_delivery)?.collect()
}

fn to_delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let (Sql(id), Sql(event), Sql(tag)) = (row.get(0)?, row.get(2)?, row.get(3)?);
    let (Sql(digest), Sql(at), Sql(due)) = (row.get(4)?, row.get(5)?, row.get(7)?);
    let state = match row.get(6)? {
        WAITS => DeliveryState::Waiting(due),
        DELIVERED => DeliveryState::Delivered,
        DEAD => DeliveryState::Dead,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(6, other)),
    };
    Ok(Delivery {
        id,
        trigger: TriggerId(row.get(1)?),
        event,
        tag,
        digest,
        at,
        state,
        attempts: row.get(8)?,
        tried: row.get::<_, Option<_>>(9)?.map(|Sql(tried)| tried),
        detail: row.get(10)?,
    })
}

const WAITS: i64 = 0;
const DELIVERED: i64 = 1;
const DEAD: i64 = 2;

// Made of events.

/// Of a trigger that fires, for versions since it does.
const ADD: &str = "
    INSERT INTO deliveries (
        trigger, event, id, target_key, enabled, state, due, claims, attempts, tag, digest, at, detail)
    SELECT id, ?2, ?3, target_key, 1, 0, ?6, 0, 0, ?4, ?5, ?6, ''
    FROM triggers WHERE id = ?1 AND enabled = 1 AND since <= ?6
    ON CONFLICT DO NOTHING
    RETURNING target_key";

pub(super) fn add(writing: &Writing<'_>, deliveries: &[NewDelivery]) -> Result<(), WriteError> {
    let connection = writing.connection;
    let mut add = connection.prepare_cached(ADD)?;
    for NewDelivery { id, trigger, event, tag, digest, at } in deliveries {
        let row = params![trigger.0, Sql(*event), Sql(id), Sql(tag), Sql(digest), Sql(*at)];
        let added: Option<String> = add.query_row(row, |row| row.get(0)).optional()?;
        if let Some(target_key) = added {
            writing.claim_room()?;
            wake(connection, &target_key, *at)?;
        }
    }
    Ok(())
}

const WAKE: &str = "
    INSERT INTO delivery_targets (target_key, ready) VALUES (?1, ?2)
    ON CONFLICT (target_key) DO UPDATE SET ready = ?2 WHERE ready > ?2";

/// There may be something to do for the target from this time on.
pub(super) fn wake(connection: &Connection, target_key: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    connection.prepare_cached(WAKE)?.execute(params![target_key, Sql(at)]).map(drop)
}

// Claimed and settled.

const READY: &str = "
    SELECT target_key FROM delivery_targets INDEXED BY delivery_targets_ready
    WHERE ready <= ?1 ORDER BY ready, target_key LIMIT ?2";

pub(super) fn claim(
    writing: &Writing<'_>,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<Vec<ClaimedDelivery>, WriteError> {
    let connection = writing.connection;
    let limit = u64::from(limit.get());
    let mut claimed = Vec::new();
    // Each target that is looked at is ready later, or not at all: this ends.
    loop {
        let mut ready = connection.prepare_cached(READY)?;
        let ready: Vec<String> = ready
            .query_map(params![Sql(now), Sql(limit - claimed.len() as u64)], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if ready.is_empty() {
            return Ok(claimed);
        }
        for target_key in &ready {
            claimed.extend(claim_of(connection, target_key, now, until)?);
        }
    }
}

// Those of triggers that were removed hold nothing up until they are gone.

const HELD: &str = "
    SELECT max(deliveries.claimed_until)
    FROM deliveries INDEXED BY deliveries_claimed
    CROSS JOIN triggers ON triggers.id = deliveries.trigger
    WHERE deliveries.target_key = ?1 AND deliveries.claimed_until IS NOT NULL
        AND triggers.repository IS NOT NULL";

const OLDEST: &str = "
    SELECT deliveries.trigger, deliveries.event, deliveries.due
    FROM deliveries INDEXED BY deliveries_waiting
    CROSS JOIN triggers ON triggers.id = deliveries.trigger
    WHERE deliveries.target_key = ?1 AND deliveries.state = 0 AND deliveries.enabled = 1
        AND triggers.repository IS NOT NULL
    ORDER BY deliveries.event, deliveries.trigger LIMIT 1";

const CLAIM: &str = "
    UPDATE deliveries SET claims = claims + 1, claimed_until = ?3 WHERE trigger = ?1 AND event = ?2
    RETURNING id, trigger, event, tag, digest, at, state, due, attempts, tried, detail, claims";

const FORGET: &str = "DELETE FROM delivery_targets WHERE target_key = ?1";

const POSTPONE: &str = "UPDATE delivery_targets SET ready = ?2 WHERE target_key = ?1";

/// The delivery of the target that may be tried, if one may.
fn claim_of(
    connection: &Connection,
    target_key: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> rusqlite::Result<Option<ClaimedDelivery>> {
    let postpone = |ready: DateTime<Utc>| {
        let later = now.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(now);
        connection.prepare_cached(POSTPONE)?.execute(params![target_key, Sql(ready.max(later))])
    };
    let held: Option<Sql<_>> = connection.prepare_cached(HELD)?.query_row([target_key], |row| row.get(0))?;
    if let Some(Sql(held)) = held.filter(|Sql(held)| *held > now) {
        postpone(held)?;
        return Ok(None);
    }
    let mut oldest = connection.prepare_cached(OLDEST)?;
    let oldest = oldest.query_row([target_key], |row| {
        let (Sql(event), Sql(due)) = (row.get(1)?, row.get(2)?);
        Ok((TriggerId(row.get(0)?), event, due))
    });
    let Some((id, event, due)): Option<(_, EventSeq, _)> = oldest.optional()? else {
        connection.prepare_cached(FORGET)?.execute([target_key])?;
        return Ok(None);
    };
    if due > now {
        postpone(due)?;
        return Ok(None);
    }
    postpone(until)?;
    let trigger = trigger(connection, id)?;
    connection
        .prepare_cached(CLAIM)?
        .query_row(params![id.0, Sql(event), Sql(until)], |row| {
            let Sql(claim) = row.get(11)?;
            Ok(ClaimedDelivery { delivery: to_delivery(row)?, trigger, claim })
        })
        .map(Some)
}

/// By whoever claimed it last, once.
const SETTLE: &str = "
    UPDATE deliveries
    SET state = ?4, due = ?5, tried = ?6, detail = ?7, attempts = min(attempts + 1, 4294967295),
        claimed_until = NULL
    WHERE trigger = ?1 AND event = ?2 AND claims = ?3 AND claimed_until IS NOT NULL
    RETURNING target_key";

pub(super) fn settle(
    connection: &Connection,
    ClaimedDelivery { delivery, claim, .. }: &ClaimedDelivery,
    Tried { at, state, detail }: &Tried,
) -> rusqlite::Result<()> {
    let (state, due) = match state {
        DeliveryState::Waiting(due) => (WAITS, *due),
        DeliveryState::Delivered => (DELIVERED, *at),
        DeliveryState::Dead => (DEAD, *at),
    };
    let key = (delivery.trigger.0, Sql(delivery.event));
    let settled = params![key.0, key.1, Sql(*claim), state, Sql(due), Sql(*at), detail];
    let mut settle = connection.prepare_cached(SETTLE)?;
    let target_key: Option<String> = settle.query_row(settled, |row| row.get(0)).optional()?;
    target_key.map_or(Ok(()), |target_key| wake(connection, &target_key, *at))
}

const REVIVE: &str = "
    UPDATE deliveries
    SET state = 0, due = ?3, enabled = (SELECT enabled FROM triggers WHERE triggers.id = ?1)
    WHERE trigger = ?1 AND id = ?2 AND state = 2
        AND EXISTS (SELECT 1 FROM triggers WHERE triggers.id = ?1 AND repository IS NOT NULL)
    RETURNING target_key";

pub(super) fn revive(
    connection: &Connection,
    trigger: TriggerId,
    id: &DeliveryId,
    now: DateTime<Utc>,
) -> rusqlite::Result<bool> {
    let mut revive = connection.prepare_cached(REVIVE)?;
    let revived = params![trigger.0, Sql(id), Sql(now)];
    let target_key: Option<String> = revive.query_row(revived, |row| row.get(0)).optional()?;
    if let Some(target_key) = &target_key {
        wake(connection, target_key, now)?;
    }
    Ok(target_key.is_some())
}

// With their triggers, and with time.

const ENABLE: &str = "UPDATE deliveries SET enabled = ?2 WHERE trigger = ?1 AND state = 0";

/// Those that wait do so until the trigger is enabled.
pub(super) fn enable(connection: &Connection, trigger: TriggerId, enabled: bool) -> rusqlite::Result<()> {
    connection.prepare_cached(ENABLE)?.execute(params![trigger.0, enabled]).map(drop)
}

const TRIM: &str = "
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries INDEXED BY deliveries_settled
        WHERE state > 0 AND tried < ?1 ORDER BY tried, event, trigger LIMIT ?2)";

pub(super) fn trim(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> rusqlite::Result<u64> {
    let trimmed = connection.prepare_cached(TRIM)?.execute(params![Sql(before), limit.get()])?;
    Ok(trimmed as u64)
}

const TRIM_ORPHANS: &str = "
    DELETE FROM deliveries WHERE id IN (
        SELECT deliveries.id FROM triggers INDEXED BY triggers_removed
        CROSS JOIN deliveries ON deliveries.trigger = triggers.id
        WHERE triggers.repository IS NULL
        ORDER BY triggers.id, deliveries.event LIMIT ?1)";

const FORGET_REMOVED: &str = "
    DELETE FROM triggers INDEXED BY triggers_removed
    WHERE repository IS NULL AND NOT EXISTS (SELECT 1 FROM deliveries WHERE trigger = triggers.id)";

/// Of triggers that were removed, and those triggers with the last of them.
pub(super) fn trim_orphans(connection: &Connection, limit: NonZeroU32) -> rusqlite::Result<u64> {
    let trimmed = connection.prepare_cached(TRIM_ORPHANS)?.execute([limit.get()])?;
    connection.prepare_cached(FORGET_REMOVED)?.execute([])?;
    Ok(trimmed as u64)
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    OF_TRIGGER,
    ADD,
    WAKE,
    READY,
    HELD,
    OLDEST,
    CLAIM,
    FORGET,
    POSTPONE,
    SETTLE,
    REVIVE,
    ENABLE,
    TRIM,
    TRIM_ORPHANS,
    FORGET_REMOVED,
];
