//! Work that only one may do.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use swr_core::ports::{Fence, Lease};

use super::columns::Sql;
use super::connections::WriteError;

/// A [`Lease`] that waits for its turn.
pub(super) struct Wish {
    name: Box<str>,
    holder: Box<str>,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Wish {
    pub(super) fn of(&Lease { name, holder, now, until }: &Lease<'_>) -> Self {
        Self { name: name.into(), holder: holder.into(), now, until }
    }
}

/// The token grows when the holder is another, or nobody.
const TAKE: &str = "
    INSERT INTO leases (name, holder, token, until) VALUES (?1, ?2, 1, ?4)
    ON CONFLICT (name) DO UPDATE
    SET holder = ?2, token = token + (holder IS NOT ?2), until = ?4
    WHERE holder IS NULL OR holder = ?2 OR until <= ?3
    RETURNING token";

pub(super) fn take(connection: &Connection, wish: &Wish) -> Result<Option<Fence>, WriteError> {
    let Wish { name, holder, now, until } = wish;
    let mut take = connection.prepare_cached(TAKE)?;
    let token = take.query_row(params![name, holder, Sql(*now), Sql(*until)], |row| row.get(0)).optional()?;
    Ok(token.map(|Sql(token)| Fence { lease: name.clone(), token }))
}

const RELEASE: &str = "UPDATE leases SET holder = NULL WHERE name = ?1 AND token = ?2";

pub(super) fn release(connection: &Connection, fence: &Fence) -> rusqlite::Result<()> {
    connection.prepare_cached(RELEASE)?.execute(params![fence.lease, Sql(fence.token)]).map(drop)
}

const HELD: &str = "SELECT 1 FROM leases WHERE name = ?1 AND token = ?2 AND holder IS NOT NULL";

/// Refuses whoever does not hold the lease of its fence.
pub(super) fn expect_held(connection: &Connection, fence: &Fence) -> Result<(), WriteError> {
    let mut held = connection.prepare_cached(HELD)?;
    if held.exists(params![fence.lease, Sql(fence.token)])? { Ok(()) } else { Err(WriteError::Fenced) }
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[TAKE, RELEASE, HELD];
