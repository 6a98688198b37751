//! A database that is read to the end, to be copied elsewhere.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use rusqlite::{Connection, OpenFlags, params};

use swr_core::commit::StoredBlob;
use swr_core::digest::Digest;
use swr_core::ports::{StoreError, StoreErrorKind};

use super::columns::Sql;
use super::connections::{Shared, failure, locked, on_a_thread};
use super::reserve::hold;
use super::{FORMAT_STEPS, InUse, OPEN, beside, expect_ours, prepare, refused, shared};

/// A database that nothing is written to. Nobody opens it as a store meanwhile, unless somebody has done so before.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    connection: Shared,
    _lock: Option<Arc<File>>,
}

const BLOBS: &str = "
    SELECT digest, size, location FROM blobs
    WHERE quarantined = 0 AND unlinked = 0 AND (?1 IS NULL OR digest > ?1)
    ORDER BY digest LIMIT ?2";

const NAMED: &str = "
    SELECT EXISTS (
        SELECT 1 FROM blobs
        WHERE digest = ?1 AND size = ?2 AND location = ?3 AND quarantined = 0 AND unlinked = 0)";

/// The digest in a column.
pub(crate) fn digest_in(column: ValueRef<'_>) -> FromSqlResult<Digest> {
    Sql::column_result(column).map(|Sql(digest)| digest)
}

impl Source {
    /// Opens the database at `path`, beside a store only where `beside_a_store` says so.
    pub(crate) async fn open(path: &Path, beside_a_store: bool) -> Result<Self, StoreError> {
        let path = path.to_owned();
        on_a_thread(OPEN, move || {
            let lock = match hold(&beside(&path, "-lock")) {
                Ok(lock) => Some(Arc::new(lock)),
                Err(error) if error.kind() == ErrorKind::WouldBlock && beside_a_store => None,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(StoreError::new(StoreErrorKind::Unavailable, OPEN, InUse(path)));
                }
                Err(error) => return Err(StoreError::new(StoreErrorKind::Unavailable, OPEN, error)),
            };
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let failed = |error| failure(OPEN, error);
            let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
            let format = expect_ours(&connection)?;
            if format != FORMAT_STEPS.len() {
                return Err(refused(format!(
                    "the database has format {format}, and only {} is copied; open it once with this program",
                    FORMAT_STEPS.len()
                )));
            }
            prepare(&connection).map_err(failed)?;
            connection.pragma_update(None, "query_only", true).map_err(failed)?;
            Ok(Self { connection: shared(connection), _lock: lock })
        })
        .await
    }

    /// Reads it as of one instant.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.connection);
        on_a_thread(operation, move || {
            let connection = locked(&connection);
            let instant = connection.unchecked_transaction().map_err(|error| failure(operation, error))?;
            read(&instant)
        })
        .await
    }

    /// Whether it is among [these](Self::blobs), where it is said to be.
    pub(crate) async fn names(&self, blob: &StoredBlob) -> Result<bool, StoreError> {
        const OPERATION: &str = "sqlite.names";
        let StoredBlob { digest, size, location } = blob.clone();
        self.read(OPERATION, move |connection| {
            let named = params![Sql(&digest), Sql(size), Sql(&location)];
            connection
                .prepare_cached(NAMED)
                .and_then(|mut statement| statement.query_row(named, |row| row.get(0)))
                .map_err(|error| failure(OPERATION, error))
        })
        .await
    }

    /// Content that repositories hold and readers know, after `after`, in order of the digests.
    pub(crate) async fn blobs(
        &self,
        after: Option<Digest>,
        limit: u32,
    ) -> Result<Vec<StoredBlob>, StoreError> {
        const OPERATION: &str = "sqlite.blobs";
        self.read(OPERATION, move |connection| {
            let after = after.as_ref().map(Sql);
            let read = || {
                let mut statement = connection.prepare_cached(BLOBS)?;
                let rows = statement.query_map(params![after, limit], |row| {
                    let (Sql(digest), Sql(location)) = (row.get(0)?, row.get(2)?);
                    Ok(StoredBlob { digest, size: row.get::<_, i64>(1)?.unsigned_abs(), location })
                })?;
                rows.collect::<rusqlite::Result<_>>()
            };
            read().map_err(|error| failure(OPERATION, error))
        })
        .await
    }
}
