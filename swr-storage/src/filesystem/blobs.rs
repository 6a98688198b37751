//! Finished bytes: opened once, then read from the page cache where they are, or else on a thread.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use rustix::io::{pread, retry_on_intr};
use swr_core::commit::BlobLocation;
use swr_core::digest::Algorithm;
use swr_core::ports::{BlobStat, BlobStore, Brought, ListedBlob, StoreError, StoreErrorKind};
use swr_core::stream::{BodyError, ByteStream};

use super::layout::{self, Place};
use super::walk::{foreign, walk};
use super::{FilesystemBlobs, Root, blocking, fault};

#[async_trait]
impl BlobStore for FilesystemBlobs {
    async fn stat(&self, at: &BlobLocation) -> Result<Option<BlobStat>, StoreError> {
        let place = place("blobs.stat", at)?;
        let size = self.root.size_at(&place).map_err(|error| fault("blobs.stat", error))?;
        Ok(size.map(|size| BlobStat { location: at.clone(), size }))
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn read(&self, at: &BlobLocation, range: Range<u64>) -> Result<Option<ByteStream>, StoreError> {
        const OPERATION: &str = "blobs.read";
        let place = place(OPERATION, at)?;
        let Some((file, size)) = self.root.open_at(&place).map_err(|error| fault(OPERATION, error))? else {
            return Ok(None);
        };
        if range.end > size || range.start > range.end {
            let short = format!("{at} has {size} bytes, and {}..{} were asked for", range.start, range.end);
            return Err(StoreError::new(StoreErrorKind::Corrupt, OPERATION, short));
        }
        Ok(Some(self.root.clone().stream(file, range)))
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn delete(&self, at: &BlobLocation) -> Result<(), StoreError> {
        const OPERATION: &str = "blobs.delete";
        let place = place(OPERATION, at)?;
        let root = self.root.clone();
        blocking(OPERATION, move || {
            let failed = |error| fault(OPERATION, error);
            if let Some(folder) = root.folders.folder_of(&place).map_err(failed)? {
                layout::remove(&folder, &place.name()).map_err(failed)?;
            }
            Ok(())
        })
        .await
    }

    fn list(&self) -> BoxStream<'_, Result<ListedBlob, StoreError>> {
        const OPERATION: &str = "blobs.list";
        let folders = Algorithm::ALL
            .into_iter()
            .flat_map(|algorithm| layout::prefixes().map(move |prefix| (algorithm, prefix)));
        stream::iter(folders)
            .flat_map(|(algorithm, prefix)| {
                let wanted = prefix.clone();
                walk(
                    &self.root,
                    OPERATION,
                    move |root| layout::found(layout::open_folder(root.folders.of(algorithm), &prefix)),
                    move |root, name| {
                        let Some(place) =
                            Place::named(algorithm, name).filter(|place| place.prefix() == wanted)
                        else {
                            foreign(name);
                            return Ok(None);
                        };
                        let found = root.status_at(&place).map_err(|error| fault(OPERATION, error))?;
                        Ok(found.map(|(size, at)| ListedBlob {
                            location: place.location(),
                            size,
                            brought: Some(Brought { digest: Some(place.digest()), at }),
                        }))
                    },
                )
            })
            .boxed()
    }
}

/// Reads a location. One that this store does not write is damage in the facts, not absence.
fn place(operation: &'static str, at: &BlobLocation) -> Result<Place, StoreError> {
    Place::parse(at).ok_or_else(|| {
        let what = format!("{:?} is no location of this store", at.as_str());
        StoreError::new(StoreErrorKind::Corrupt, operation, what)
    })
}

impl Root {
    /// How many bytes there are at `place`.
    pub(super) fn size_at(&self, place: &Place) -> io::Result<Option<u64>> {
        Ok(self.status_at(place)?.map(|(size, _)| size))
    }

    /// How many bytes there are at `place`, and when the last of them was written.
    fn status_at(&self, place: &Place) -> io::Result<Option<(u64, DateTime<Utc>)>> {
        let Some(folder) = self.folders.folder_of(place)? else { return Ok(None) };
        let Some(status) = layout::status(&folder, &place.name())? else { return Ok(None) };
        let size = layout::file_length(&status).ok_or_else(not_a_file)?;
        // A time that cannot be is no reason to take it for old.
        let written = DateTime::from_timestamp(status.st_mtime, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Ok(Some((size, written)))
    }

    fn open_at(&self, place: &Place) -> io::Result<Option<(Arc<File>, u64)>> {
        let Some(file) = self.folders.file_at(place)? else { return Ok(None) };
        let size = layout::file_length(&rustix::fs::fstat(&file)?).ok_or_else(not_a_file)?;
        Ok(Some((Arc::new(file), size)))
    }

    /// The bytes of `range`. The file stays open until the stream is dropped, so that a removal does not
    /// disturb it; of the content, one buffer at a time is in memory.
    fn stream(self: Arc<Self>, file: Arc<File>, range: Range<u64>) -> ByteStream {
        let length = range.end - range.start;
        let chunks = stream::try_unfold(range.start, move |at| {
            let (root, file) = (self.clone(), file.clone());
            async move {
                if at == range.end {
                    return Ok(None);
                }
                let chunk = root.read_some(file, at, range.end - at).await.map_err(BodyError::Store)?;
                let next = at + chunk.len() as u64;
                Ok(Some((chunk, next)))
            }
        });
        ByteStream::new(chunks.boxed(), Some(length))
    }

    /// Some of the `wanted` bytes at `at`: at least one.
    async fn read_some(&self, file: Arc<File>, at: u64, wanted: u64) -> Result<Bytes, StoreError> {
        const OPERATION: &str = "blobs.read";
        let mut buffer = self.buffers.take(wanted);
        let read = match self.read_cached(&file, buffer.as_mut(), at) {
            Some(read) => read,
            None => {
                let (filled, read) = blocking(OPERATION, move || {
                    let read = retry_on_intr(|| pread(&file, buffer.as_mut(), at))
                        .map_err(|error| fault(OPERATION, error.into()))?;
                    Ok::<_, StoreError>((buffer, read))
                })
                .await?;
                buffer = filled;
                read
            }
        };
        if read == 0 {
            let short = format!("the content ends at byte {at}, {wanted} bytes early");
            return Err(StoreError::new(StoreErrorKind::Corrupt, OPERATION, short));
        }
        Ok(buffer.filled(read))
    }

    /// What the page cache has of it now; `None` when that cannot be told without waiting.
    #[cfg(target_os = "linux")]
    fn read_cached(&self, file: &File, buffer: &mut [u8], at: u64) -> Option<usize> {
        use std::sync::atomic::Ordering::Relaxed;

        use rustix::io::Errno;

        if !self.nowait.load(Relaxed) {
            return None;
        }
        match read_nowait(file, buffer, at) {
            Ok(read) => Some(read),
            Err(Errno::AGAIN | Errno::INTR) => None,
            // Whatever else is wrong shows when it is read on a thread.
            Err(error) => {
                if cannot_tell(error) {
                    self.nowait.store(false, Relaxed);
                }
                None
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_cached(&self, _: &File, _: &mut [u8], _: u64) -> Option<usize> {
        None
    }
}

#[cfg(target_os = "linux")]
fn read_nowait(file: &File, buffer: &mut [u8], at: u64) -> rustix::io::Result<usize> {
    use std::io::IoSliceMut;

    use rustix::io::{ReadWriteFlags, preadv2};

    preadv2(file, &mut [IoSliceMut::new(buffer)], at, ReadWriteFlags::NOWAIT)
}

/// Whether the file system, or a filter of system calls, knows no read that does not wait.
#[cfg(target_os = "linux")]
fn cannot_tell(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;

    matches!(error, Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM)
}

/// Whether `file`'s file system can say that a read would wait.
#[cfg(target_os = "linux")]
pub(super) fn tells_waiting(file: &File) -> bool {
    !read_nowait(file, &mut [0], 0).is_err_and(cannot_tell)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn tells_waiting(_: &File) -> bool {
    false
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "there is something other than a plain file")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use swr_core::upload::UploadId;

    use super::*;

    /// Where the file system cannot say that a read would wait, all of it is read on threads.
    #[tokio::test]
    async fn content_is_the_same_read_on_threads() {
        let folder = tempfile::tempdir().unwrap();
        let store = FilesystemBlobs::options().low_water_bytes(0).open(folder.path()).unwrap();
        let bytes: Vec<_> = (0..700_000u32).map(|at| (at % 251) as u8).collect();
        let place = Place::new(Algorithm::Sha256.digest(&bytes), UploadId::random());
        store.root.folders.folder_for(&place).unwrap();
        std::fs::write(folder.path().join("blobs").join(place.location().as_str()), &bytes).unwrap();
        for nowait in [true, false] {
            store.root.nowait.store(nowait, Ordering::Relaxed);
            let body = store.read(&place.location(), 1..699_999).await.unwrap().unwrap();
            assert_eq!(body.collect(usize::MAX).await.unwrap(), bytes[1..699_999]);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_that_cannot_tell_is_told_from_one_that_would_wait() {
        use rustix::io::Errno;

        assert!(cannot_tell(Errno::OPNOTSUPP) && cannot_tell(Errno::INVAL));
        assert!(!cannot_tell(Errno::AGAIN) && !cannot_tell(Errno::IO));
    }
}
