//! A database as it was at one instant, in a file of its own.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use swr_core::commit::{BlobLocation, RepositoryId};
use swr_core::digest::Digest;
use swr_core::ports::{BlobRecord, KeptManifest, Page, StoreError, StoreErrorKind};

use super::collection;
use super::columns::Sql;
use super::connections::failure;
use super::{expect_ours, prepare};

const OPERATION: &str = "sqlite.snapshot";

/// A copy of a database, which no store has open.
pub(crate) struct Snapshot {
    connection: Connection,
    path: PathBuf,
}

impl Snapshot {
    /// Copies the database at `from` to `to`, where nothing of importance is. A store may have it open meanwhile, and
    /// goes on: what is copied is what was committed at one instant.
    pub(crate) fn take(from: &Path, to: &Path) -> Result<Self, StoreError> {
        let failed = |error| failure(OPERATION, error);
        let to_text = to.to_str().ok_or_else(|| {
            StoreError::new(StoreErrorKind::Other, OPERATION, "the path of the copy is no text")
        })?;
        make_file(to)?;
        let connection = connect(from)?;
        prepare(&connection).map_err(failed)?;
        connection.execute("VACUUM INTO ?1", [to_text]).map_err(failed)?;
        Self::open(to)
    }

    /// Makes one at `path`, where nothing of importance is, of the newest format and with nothing in it.
    #[cfg(all(feature = "control", feature = "postgres"))]
    pub(crate) fn make(path: &Path) -> Result<Self, StoreError> {
        make_file(path)?;
        let mut connection = Connection::open(path).map_err(|error| failure(OPERATION, error))?;
        super::migrate(&mut connection)?;
        Ok(Self { connection, path: path.into() })
    }

    /// To write in it.
    #[cfg(all(feature = "control", feature = "postgres"))]
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: connect(path)?, path: path.into() })
    }

    pub(crate) fn records(&self, page: &Page<Digest>) -> Result<Vec<BlobRecord>, StoreError> {
        collection::records(&self.connection, page).map_err(|error| failure(OPERATION, error))
    }

    pub(crate) fn kept_manifests(
        &self,
        page: &Page<(RepositoryId, Digest)>,
    ) -> Result<Vec<KeptManifest>, StoreError> {
        collection::kept_manifests(&self.connection, page).map_err(|error| failure(OPERATION, error))
    }

    /// What is broken is unknown from here on, until a push brings it again.
    pub(crate) fn quarantine(&self, digest: &Digest, location: &BlobLocation) -> Result<(), StoreError> {
        collection::quarantine(&self.connection, digest, location).map_err(|error| failure(OPERATION, error))
    }

    /// What was set aside is known again: whoever has the file has its bytes.
    pub(crate) fn restore(&self, digest: &Digest, location: &BlobLocation) -> Result<(), StoreError> {
        const RESTORE: &str = "UPDATE blobs SET quarantined = 0 WHERE digest = ?1 AND location = ?2";
        let restored = self.connection.execute(RESTORE, params![Sql(digest), Sql(location)]);
        restored.map(drop).map_err(|error| failure(OPERATION, error))
    }

    /// Says of all content where it is in the copy. What the registry was still to remove is not in it, nor is what it
    /// remembered of uploads.
    pub(crate) fn relocate(
        &mut self,
        place: impl Fn(&Digest, &BlobLocation) -> BlobLocation,
    ) -> Result<(), StoreError> {
        const RELOCATE: &str = "UPDATE blobs SET location = ?2 WHERE digest = ?1";
        const BATCH: NonZeroU32 = NonZeroU32::new(500).expect("500 is not zero");
        let mut relocated = || {
            let transaction = self.connection.transaction()?;
            let mut page = Page { after: None, limit: BATCH };
            loop {
                let records = collection::records(&transaction, &page)?;
                let Some(last) = records.last() else { break };
                page.after = Some(last.stored.digest);
                for BlobRecord { stored, .. } in &records {
                    let to = place(&stored.digest, &stored.location);
                    if to != stored.location {
                        let mut relocate = transaction.prepare_cached(RELOCATE)?;
                        relocate.execute(params![Sql(&stored.digest), Sql(&to)])?;
                    }
                }
            }
            transaction.execute_batch("DELETE FROM garbage; DELETE FROM upload_sessions;")?;
            transaction.commit()
        };
        relocated().map_err(|error| failure(OPERATION, error))
    }

    /// What is wrong with the database: nothing, if it is sound.
    pub(crate) fn check(&self) -> Result<Vec<String>, StoreError> {
        super::findings(&self.connection).map_err(|error| failure(OPERATION, error))
    }

    /// Closes it; all of it is on the disk, its name apart.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        let Self { connection, path } = self;
        connection.close().map_err(|(_, error)| failure(OPERATION, error))?;
        let io = |error| StoreError::new(StoreErrorKind::Other, OPERATION, error);
        File::open(path).and_then(|file| file.sync_all()).map_err(io)
    }
}

/// Makes an empty file, which nobody else may read, in the place of what was there.
fn make_file(path: &Path) -> Result<(), StoreError> {
    let io = |error| StoreError::new(StoreErrorKind::Other, OPERATION, error);
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop).map_err(io)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| failure(OPERATION, error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    match expect_ours(&connection)? {
        0 => Err(StoreError::new(StoreErrorKind::Corrupt, OPERATION, "there is nothing in the database")),
        _ => Ok(connection),
    }
}
