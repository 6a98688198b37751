//! A store that is read beside the process that has it open.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use swr_core::commit::BlobLocation;
use swr_core::ports::{BlobStat, BlobStore, ListedBlob, StoreError, StoreErrorKind};
use swr_core::stream::ByteStream;

use super::layout::Folders;
use super::{FilesystemBlobs, OpenError, read_format};

/// The blobs of a store that another process may have open at the same time: to be read, and for nothing else.
#[derive(Debug)]
pub struct FilesystemReader {
    store: FilesystemBlobs,
}

impl FilesystemReader {
    /// Opens the store in the folder `path`, where there is one, and changes nothing there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let failed = |source| OpenError::Io { path: path.into(), source };
        let folder = File::open(path).map_err(failed)?;
        if !read_format(&folder, path)? {
            return Err(OpenError::UnknownFormat { path: path.into() });
        }
        let folders = Folders::find(folder).map_err(failed)?;
        Ok(Self { store: FilesystemBlobs::options().over(path, folders, None)? })
    }
}

#[async_trait]
impl BlobStore for FilesystemReader {
    async fn stat(&self, at: &BlobLocation) -> Result<Option<BlobStat>, StoreError> {
        self.store.stat(at).await
    }

    async fn read(&self, at: &BlobLocation, range: Range<u64>) -> Result<Option<ByteStream>, StoreError> {
        self.store.read(at, range).await
    }

    /// Refused, always.
    async fn delete(&self, _: &BlobLocation) -> Result<(), StoreError> {
        Err(StoreError::new(StoreErrorKind::Other, "blobs.delete", "the store was opened to be read"))
    }

    fn list(&self) -> BoxStream<'_, Result<ListedBlob, StoreError>> {
        self.store.list()
    }
}
