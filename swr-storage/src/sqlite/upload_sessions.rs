//! What stores without changing state remember of uploads.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use rusqlite::{Connection, OptionalExtension, Row, params};

use swr_core::ports::StoreError;
use swr_core::upload::UploadId;

use super::SqliteStore;
use super::columns::Sql;
use crate::upload_sessions::{UploadSession, UploadSessions};

const FIND: &str = "SELECT id, version, touched, record FROM upload_sessions WHERE id = ?1";

const BEGIN: &str = "
    INSERT OR IGNORE INTO upload_sessions (id, version, touched, record) VALUES (?1, ?2, ?3, ?4)";

const FOLLOW: &str = "
    UPDATE upload_sessions SET version = ?2, touched = ?3, record = ?4 WHERE id = ?1 AND version = ?2 - 1";

const REMOVE: &str = "DELETE FROM upload_sessions WHERE id = ?1";

/// Ids tell apart what was touched at the same time.
const IDLE: &str = "
    SELECT id, version, touched, record FROM upload_sessions
    WHERE touched < ?1 AND (touched, id) > (?2, ?3) ORDER BY touched, id LIMIT ?4";

/// Records are at most 64 KiB long.
const IDLE_PAGE: usize = 64;

fn session(row: &Row<'_>) -> rusqlite::Result<UploadSession> {
    let (Sql(id), Sql(version), Sql(touched)) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(UploadSession { id, version, touched, record: row.get(3)? })
}

fn save(connection: &Connection, session: &UploadSession) -> rusqlite::Result<bool> {
    let UploadSession { id, version, touched, record } = session;
    let Ok(version) = i64::try_from(*version) else { return Ok(false) };
    let saving = match version {
        1 => BEGIN,
        _ => FOLLOW,
    };
    let saved =
        connection.prepare_cached(saving)?.execute(params![Sql(id), version, Sql(*touched), record])?;
    Ok(saved > 0)
}

fn idle(
    connection: &Connection,
    cutoff: DateTime<Utc>,
    after: Option<&UploadSession>,
) -> rusqlite::Result<Vec<UploadSession>> {
    let (touched, id) = match after {
        Some(last) => (last.touched.timestamp_micros(), last.id.as_str()),
        None => (i64::MIN, ""),
    };
    let mut idle = connection.prepare_cached(IDLE)?;
    idle.query_map(params![Sql(cutoff), touched, id, IDLE_PAGE as i64], session)?.collect()
}

#[async_trait]
impl UploadSessions for SqliteStore {
    async fn find(&self, id: &UploadId) -> Result<Option<UploadSession>, StoreError> {
        self.readers.point("sessions.find", |connection| {
            connection.prepare_cached(FIND)?.query_row([Sql(id)], session).optional()
        })
    }

    async fn save(&self, session: &UploadSession) -> Result<bool, StoreError> {
        let session = session.clone();
        self.writer
            .write(move |writing| {
                writing.claim_room()?;
                Ok(save(writing.connection, &session)?)
            })
            .await
            .map_err(|error| error.of("sessions.save"))
    }

    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<UploadSession, StoreError>> {
        let first: (Option<UploadSession>, bool) = (None, false);
        try_unfold(first, move |(after, is_last)| async move {
            if is_last {
                return Ok(None);
            }
            let readers = Arc::clone(&self.readers);
            let found = readers
                .scan("sessions.idle_since", move |connection| idle(connection, cutoff, after.as_ref()))
                .await?;
            let next = (found.last().cloned(), found.len() < IDLE_PAGE);
            Ok(Some((futures_util::stream::iter(found.into_iter().map(Ok)), next)))
        })
        .try_flatten()
        .boxed()
    }

    async fn remove(&self, id: &UploadId) -> Result<(), StoreError> {
        let id = id.clone();
        self.writer
            .write(move |writing| {
                Ok(writing.connection.prepare_cached(REMOVE)?.execute([Sql(&id)]).map(drop)?)
            })
            .await
            .map_err(|error| error.of("sessions.remove"))
    }
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[FIND, BEGIN, FOLLOW, REMOVE, IDLE];
