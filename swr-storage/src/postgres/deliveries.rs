//! Deliveries of triggers: made of events, claimed, settled, revived, trimmed. One writer at a time, beside whoever
//! changes content.
//!
//! Targets are served side by side and each in order. Which of them have something to do is found by the time from
//! which on they may; that time is never too late, and one that is too early is put right by whoever claims.

use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_postgres::Row;

use swr_core::control::trigger::{Delivery, DeliveryId, DeliveryState, TriggerId};
use swr_core::ports::{ClaimedDelivery, NewDelivery, Tried};

use super::columns::{Damaged, Sql};
use super::connections::{Failure, Locks, Params, Pool, Session};
use super::manifest_commit::only;
use super::manifest_reads::{column, first, optional};
use super::triggers::trigger;

/// What whoever changes deliveries locks.
pub(super) fn locks(pool: &Pool) -> Locks {
    Locks::beside_others(pool).work("deliveries")
}

const OF_TRIGGER: &str = "
    SELECT id, trigger, event, tag, digest, at, state, due, attempts, tried, detail
    FROM deliveries
    WHERE trigger = $1 AND EXISTS (SELECT FROM triggers WHERE id = $1 AND repository IS NOT NULL)
    ORDER BY event DESC LIMIT $2";

pub(super) async fn deliveries(
    session: &Session,
    trigger: TriggerId,
    limit: NonZeroU32,
) -> Result<Vec<Delivery>, Failure> {
    session.query(OF_TRIGGER, &[&Sql(trigger), &Sql(limit)]).await?.iter().map(to_delivery).collect()
}

fn to_delivery(row: &Row) -> Result<Delivery, Failure> {
    let (Sql(id), Sql(trigger), Sql(event)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (Sql(tag), Sql(digest), Sql(at)) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    let (Sql(due), Sql(detail)) = (row.try_get(7)?, row.try_get(10)?);
    let state = match row.try_get(6)? {
        WAITS => DeliveryState::Waiting(due),
        DELIVERED => DeliveryState::Delivered,
        DEAD => DeliveryState::Dead,
        _ => return Err(Failure::Damaged(Damaged("state"))),
    };
    let attempts: i64 = row.try_get(8)?;
    let attempts = u32::try_from(attempts).map_err(|_| Failure::Damaged(Damaged("count")))?;
    Ok(Delivery { id, trigger, event, tag, digest, at, state, attempts, tried: optional(row, 9)?, detail })
}

const WAITS: i16 = 0;
const DELIVERED: i16 = 1;
const DEAD: i16 = 2;

// Made of events.

/// Of a trigger that fires, for versions since it does.
const ADD: &str = "
    INSERT INTO deliveries (
        trigger, event, id, target_key, enabled, state, due, claims, attempts, tag, digest, at, detail)
    SELECT id, $2, $3, target_key, TRUE, 0, $6, 0, 0, $4, $5, $6, ''
    FROM triggers WHERE id = $1 AND enabled AND since <= $6
    ON CONFLICT DO NOTHING
    RETURNING target_key";

pub(super) async fn add(session: &Session, deliveries: &[NewDelivery]) -> Result<(), Failure> {
    for NewDelivery { id, trigger, event, tag, digest, at } in deliveries {
        let row: Params<'_> = &[&Sql(*trigger), &Sql(*event), &Sql(id), &Sql(tag), &Sql(digest), &Sql(*at)];
        let added: Option<String> = first(session.query_opt(ADD, row).await?)?;
        if let Some(key) = added {
            wake(session, &key, *at).await?;
        }
    }
    Ok(())
}

const WAKE: &str = "
    INSERT INTO delivery_targets AS before (target_key, ready) VALUES ($1, $2)
    ON CONFLICT (target_key) DO UPDATE SET ready = $2 WHERE before.ready > $2";

/// There may be something to do for the target from this time on.
pub(super) async fn wake(session: &Session, key: &str, at: DateTime<Utc>) -> Result<(), Failure> {
    session.execute(WAKE, &[&Sql(key), &Sql(at)]).await.map(drop)
}

// Claimed and settled.

const READY: &str = "
    SELECT target_key FROM delivery_targets WHERE ready <= $1 ORDER BY ready, target_key LIMIT $2";

pub(super) async fn claim(
    session: &Session,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<Vec<ClaimedDelivery>, Failure> {
    let limit = i64::from(limit.get());
    let mut claimed = Vec::new();
    // Each target that is looked at is ready later, or not at all: this ends.
    loop {
        let room = limit - claimed.len() as i64;
        let ready: Vec<String> = column(session.query(READY, &[&Sql(now), &room]).await?)?;
        if ready.is_empty() {
            return Ok(claimed);
        }
        for key in &ready {
            claimed.extend(claim_of(session, key, now, until).await?);
        }
    }
}

// Those of triggers that were removed hold nothing up until they are gone.

const HELD: &str = "
    SELECT max(deliveries.claimed_until)
    FROM deliveries JOIN triggers ON triggers.id = deliveries.trigger
    WHERE deliveries.target_key = $1 AND deliveries.claimed_until IS NOT NULL
        AND triggers.repository IS NOT NULL";

const OLDEST: &str = "
    SELECT deliveries.trigger, deliveries.event, deliveries.due
    FROM deliveries JOIN triggers ON triggers.id = deliveries.trigger
    WHERE deliveries.target_key = $1 AND deliveries.state = 0 AND deliveries.enabled
        AND triggers.repository IS NOT NULL
    ORDER BY deliveries.event, deliveries.trigger LIMIT 1";

const CLAIM: &str = "
    UPDATE deliveries SET claims = claims + 1, claimed_until = $3 WHERE trigger = $1 AND event = $2
    RETURNING id, trigger, event, tag, digest, at, state, due, attempts, tried, detail, claims";

const FORGET: &str = "DELETE FROM delivery_targets WHERE target_key = $1";

const POSTPONE: &str = "UPDATE delivery_targets SET ready = $2 WHERE target_key = $1";

/// The delivery of the target that may be tried, if one may.
async fn claim_of(
    session: &Session,
    key: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Option<ClaimedDelivery>, Failure> {
    let later = now.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(now);
    let postpone = async |ready: DateTime<Utc>| {
        session.execute(POSTPONE, &[&Sql(key), &Sql(ready.max(later))]).await.map(drop)
    };
    let held = only(session.query(HELD, &[&Sql(key)]).await?)?;
    let held: Option<DateTime<Utc>> = optional(&held, 0)?;
    if let Some(held) = held.filter(|held| *held > now) {
        postpone(held).await?;
        return Ok(None);
    }
    let Some(oldest) = session.query_opt(OLDEST, &[&Sql(key)]).await? else {
        session.execute(FORGET, &[&Sql(key)]).await?;
        return Ok(None);
    };
    let (Sql(id), Sql(due)) = (oldest.try_get(0)?, oldest.try_get(2)?);
    let event: i64 = oldest.try_get(1)?;
    if due > now {
        postpone(due).await?;
        return Ok(None);
    }
    postpone(until).await?;
    let trigger = trigger(session, id).await?;
    let row = only(session.query(CLAIM, &[&Sql(id), &event, &Sql(until)]).await?)?;
    let Sql(claim) = row.try_get(11)?;
    Ok(Some(ClaimedDelivery { delivery: to_delivery(&row)?, trigger, claim }))
}

/// By whoever claimed it last, once.
const SETTLE: &str = "
    UPDATE deliveries
    SET state = $4, due = $5, tried = $6, detail = $7, attempts = LEAST(attempts + 1, 4294967295),
        claimed_until = NULL
    WHERE trigger = $1 AND event = $2 AND claims = $3 AND claimed_until IS NOT NULL
    RETURNING target_key";

pub(super) async fn settle(
    session: &Session,
    ClaimedDelivery { delivery, claim, .. }: &ClaimedDelivery,
    Tried { at, state, detail }: &Tried,
) -> Result<(), Failure> {
    let (state, due) = match state {
        DeliveryState::Waiting(due) => (WAITS, *due),
        DeliveryState::Delivered => (DELIVERED, *at),
        DeliveryState::Dead => (DEAD, *at),
    };
    let settled: Params<'_> = &[
        &Sql(delivery.trigger),
        &Sql(delivery.event),
        &Sql(*claim),
        &state,
        &Sql(due),
        &Sql(*at),
        &Sql(&**detail),
    ];
    let key: Option<String> = first(session.query_opt(SETTLE, settled).await?)?;
    match key {
        Some(key) => wake(session, &key, *at).await,
        None => Ok(()),
    }
}

const REVIVE: &str = "
    UPDATE deliveries
    SET state = 0, due = $3, enabled = (SELECT enabled FROM triggers WHERE triggers.id = $1)
    WHERE trigger = $1 AND id = $2 AND state = 2
        AND EXISTS (SELECT FROM triggers WHERE triggers.id = $1 AND repository IS NOT NULL)
    RETURNING target_key";

pub(super) async fn revive(
    session: &Session,
    trigger: TriggerId,
    id: &DeliveryId,
    now: DateTime<Utc>,
) -> Result<bool, Failure> {
    let key: Option<String> = first(session.query_opt(REVIVE, &[&Sql(trigger), &Sql(id), &Sql(now)]).await?)?;
    match key {
        Some(key) => wake(session, &key, now).await.map(|()| true),
        None => Ok(false),
    }
}

// With their triggers, and with time.

const ENABLE: &str = "UPDATE deliveries SET enabled = $2 WHERE trigger = $1 AND state = 0";

/// Those that wait do so until the trigger is enabled.
pub(super) async fn enable(session: &Session, trigger: TriggerId, enabled: bool) -> Result<(), Failure> {
    session.execute(ENABLE, &[&Sql(trigger), &enabled]).await.map(drop)
}

const TRIM: &str = "
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE state > 0 AND tried < $1 ORDER BY tried, event, trigger LIMIT $2)";

pub(super) async fn trim(
    session: &Session,
    before: DateTime<Utc>,
    limit: NonZeroU32,
) -> Result<u64, Failure> {
    session.execute(TRIM, &[&Sql(before), &Sql(limit)]).await
}

const TRIM_ORPHANS: &str = "
    DELETE FROM deliveries WHERE id IN (
        SELECT deliveries.id FROM triggers JOIN deliveries ON deliveries.trigger = triggers.id
        WHERE triggers.repository IS NULL
        ORDER BY triggers.id, deliveries.event LIMIT $1)";

const FORGET_REMOVED: &str = "
    DELETE FROM triggers
    WHERE repository IS NULL AND NOT EXISTS (SELECT FROM deliveries WHERE trigger = triggers.id)";

/// Of triggers that were removed, and those triggers with the last of them.
pub(super) async fn trim_orphans(session: &Session, limit: NonZeroU32) -> Result<u64, Failure> {
    let trimmed = session.execute(TRIM_ORPHANS, &[&Sql(limit)]).await?;
    session.execute(FORGET_REMOVED, &[]).await?;
    Ok(trimmed)
}
