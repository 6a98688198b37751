//! Which format everything is in: a key for each format that the bucket has been in, below `format`.
//!
//! A key is added and none is changed, so that two versions that begin at once see each other without conditions of the
//! store: whoever adds something has named its own format first, and looked at the others after.

use std::sync::atomic::{AtomicBool, Ordering};

use object_store::path::Path;
use object_store::{PutOptions, PutPayload};
use swr_core::ports::{StoreError, StoreErrorKind};

use super::keys::number_of;
use super::{Bucket, fault};

/// The format that this version reads and writes. A bucket that names none is in format 1: builds before there were
/// names wrote no other.
const FORMAT_VERSION: u64 = 1;

/// Where the names are.
const FORMAT: &str = "format";

/// What has been seen of the bucket's format.
#[derive(Debug, Default)]
pub(super) struct Format {
    /// It is one that this version knows.
    known: AtomicBool,
    /// It is named in the bucket.
    named: AtomicBool,
}

impl Bucket {
    /// Refuses a bucket of a format that this version does not know. Looks once, until a probe has seen
    /// another one.
    pub(super) async fn expect_format(&self, operation: &'static str) -> Result<(), StoreError> {
        match self.format.known.load(Ordering::Relaxed) {
            true => Ok(()),
            false => self.look_at_format(operation).await,
        }
    }

    /// The same, and names the format in the bucket, before anything comes that is in it.
    pub(super) async fn name_format(&self, operation: &'static str) -> Result<(), StoreError> {
        self.expect_format(operation).await?;
        if self.format.named.load(Ordering::Relaxed) {
            return Ok(());
        }
        let key = Path::from_iter([FORMAT, &FORMAT_VERSION.to_string()]);
        let put = self.store.put_opts(&key, PutPayload::new(), PutOptions::default()).await;
        put.map_err(|error| fault(operation, error))?;
        self.look_at_format(operation).await
    }

    /// Sees which formats are named in the bucket now, and refuses those that this version does not know.
    pub(super) async fn look_at_format(&self, operation: &'static str) -> Result<(), StoreError> {
        let refused = |why| {
            self.format.known.store(false, Ordering::Relaxed);
            Err(StoreError::new(StoreErrorKind::Other, operation, why))
        };
        let listed = self.list(operation, &Path::from(FORMAT)).await?;
        let keys = listed.objects.iter().map(|object| (&object.location, true));
        let folders = listed.common_prefixes.iter().map(|folder| (folder, false));
        let mut named = false;
        // Some programs put an object where others have no folder.
        let names = keys.chain(folders).filter(|(key, _)| key.as_ref() != FORMAT);
        for (key, is_object) in names {
            match key.filename().and_then(number_of).filter(|_| is_object) {
                Some(FORMAT_VERSION) => named = true,
                Some(found) if found > FORMAT_VERSION => {
                    return refused(format!(
                        "the bucket has format {found}, and this version knows formats up to {FORMAT_VERSION}"
                    ));
                }
                _ => return refused(format!("the bucket does not say which format it has: {key} is none")),
            }
        }
        self.format.known.store(true, Ordering::Relaxed);
        if named {
            self.format.named.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
