//! What stores without changing state remember of uploads.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt, try_unfold};
use tokio_postgres::Row;

use swr_core::ports::StoreError;
use swr_core::upload::UploadId;

use super::PostgresStore;
use super::columns::Sql;
use super::connections::{Failure, Session};
use crate::upload_sessions::{UploadSession, UploadSessions};

const FIND: &str = "SELECT id, version, touched, record FROM upload_sessions WHERE id = $1";

const BEGIN: &str = "
    INSERT INTO upload_sessions (id, version, touched, record) VALUES ($1, $2, $3, $4)
    ON CONFLICT (id) DO NOTHING";

/// Of several, one at a time; the others find that it is another version by then.
const FOLLOW: &str = "
    UPDATE upload_sessions SET version = $2, touched = $3, record = $4 WHERE id = $1 AND version = $2::bigint - 1";

const REMOVE: &str = "DELETE FROM upload_sessions WHERE id = $1";

/// Ids tell apart what was touched at the same time.
const IDLE: &str = "
    SELECT id, version, touched, record FROM upload_sessions
    WHERE touched < $1 AND (touched, id) > ($2, $3) ORDER BY touched, id LIMIT $4";

/// Records are at most 64 KiB long.
const IDLE_PAGE: i64 = 64;

fn to_session(row: &Row) -> Result<UploadSession, Failure> {
    let (Sql(id), Sql(version), Sql(touched)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let Sql(record) = row.try_get(3)?;
    Ok(UploadSession { id, version, touched, record })
}

async fn save(session: &Session, saved: &UploadSession) -> Result<bool, Failure> {
    let UploadSession { id, version, touched, record } = saved;
    let Ok(version) = i64::try_from(*version) else { return Ok(false) };
    let saving = match version {
        1 => BEGIN,
        _ => FOLLOW,
    };
    let rows = session.execute(saving, &[&Sql(id), &version, &Sql(*touched), &Sql(record.as_str())]).await?;
    Ok(rows > 0)
}

async fn idle(
    session: &Session,
    cutoff: DateTime<Utc>,
    after: Option<&UploadSession>,
) -> Result<Vec<UploadSession>, Failure> {
    let (touched, id) = match after {
        Some(last) => (last.touched.timestamp_micros(), last.id.as_str()),
        None => (i64::MIN, ""),
    };
    let rows = session.query(IDLE, &[&Sql(cutoff), &touched, &Sql(id), &IDLE_PAGE]).await?;
    rows.iter().map(to_session).collect()
}

#[async_trait]
impl UploadSessions for PostgresStore {
    async fn find(&self, id: &UploadId) -> Result<Option<UploadSession>, StoreError> {
        let found = async {
            let row = self.pool.session().await?.query_opt(FIND, &[&Sql(id)]).await?;
            row.as_ref().map(to_session).transpose()
        };
        found.await.map_err(|failure: Failure| failure.of("sessions.find"))
    }

    async fn save(&self, session: &UploadSession) -> Result<bool, StoreError> {
        let saved = async { save(&*self.pool.session().await?, session).await };
        saved.await.map_err(|failure: Failure| failure.of("sessions.save"))
    }

    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<UploadSession, StoreError>> {
        let first: (Option<UploadSession>, bool) = (None, false);
        try_unfold(first, move |(after, is_last)| async move {
            if is_last {
                return Ok(None);
            }
            let found = async { idle(&*self.pool.session().await?, cutoff, after.as_ref()).await };
            let found = found.await.map_err(|failure: Failure| failure.of("sessions.idle_since"))?;
            let next = (found.last().cloned(), (found.len() as i64) < IDLE_PAGE);
            Ok(Some((stream::iter(found.into_iter().map(Ok)), next)))
        })
        .try_flatten()
        .boxed()
    }

    async fn remove(&self, id: &UploadId) -> Result<(), StoreError> {
        let removed = async { self.pool.session().await?.execute(REMOVE, &[&Sql(id)]).await };
        removed.await.map(drop).map_err(|failure: Failure| failure.of("sessions.remove"))
    }
}
