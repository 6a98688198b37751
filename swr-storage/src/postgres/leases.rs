//! Work that only one may do.

use swr_core::ports::{Fence, Lease};

use super::columns::Sql;
use super::connections::{Failure, Session, WriteError};

/// The token grows when the holder is another, or nobody.
const TAKE: &str = "
    INSERT INTO leases AS held (name, holder, token, until) VALUES ($1, $2, 1, $4)
    ON CONFLICT (name) DO UPDATE
    SET holder = $2, token = held.token + CASE WHEN held.holder IS DISTINCT FROM $2 THEN 1 ELSE 0 END, until = $4
    WHERE held.holder IS NULL OR held.holder = $2 OR held.until <= $3
    RETURNING token";

/// Waits for the writes that the lease allowed so far.
pub(super) async fn take(session: &Session, lease: &Lease<'_>) -> Result<Option<Fence>, Failure> {
    let Lease { name, holder, now, until } = lease;
    let row = session.query_opt(TAKE, &[&Sql(*name), &Sql(*holder), &Sql(*now), &Sql(*until)]).await?;
    let Some(row) = row else { return Ok(None) };
    let Sql(token) = row.try_get(0)?;
    Ok(Some(Fence { lease: (*name).into(), token }))
}

const RELEASE: &str = "UPDATE leases SET holder = NULL WHERE name = $1 AND token = $2";

pub(super) async fn release(session: &Session, fence: &Fence) -> Result<(), Failure> {
    session.execute(RELEASE, &[&Sql(&*fence.lease), &Sql(fence.token)]).await.map(drop)
}

/// Shared, so that the lease is not passed on before the transaction has ended.
const HELD: &str = "SELECT 1 FROM leases WHERE name = $1 AND token = $2 AND holder IS NOT NULL FOR SHARE";

/// Refuses whoever does not hold the lease of its fence.
pub(super) async fn expect_held(session: &Session, fence: &Fence) -> Result<(), WriteError> {
    if session.exists(HELD, &[&Sql(&*fence.lease), &Sql(fence.token)]).await? {
        Ok(())
    } else {
        Err(WriteError::Fenced)
    }
}
