//! Bytes in files, below one folder.
//!
//! ```text
//! format                                        1, the format of everything else
//! lock                                          held locked while a process has the store open
//! blobs/<algorithm>/<ab>/<hash>.<upload id>     finished bytes; what is below `blobs` is the location
//! uploads/<upload id>                           bytes on their way
//! uploads/<upload id>.session                   what they are, how many count, and their hash state
//! ```
//!
//! # What is on the disk when
//!
//! Bytes are synced before a session counts them, and a session names the location before the bytes move.
//! Everything else follows from that.
//!
//! | call | syncs | once it has answered | what a crash before the answer leaves |
//! |---|---|---|---|
//! | `begin` | never | the upload survives the process | an upload that nobody asks for; the sweep finds it |
//! | `append` | once, and once more every 256 MiB; never if no byte came | the bytes survive a power cut, the session that counts them the process | bytes that do not count, cut off by whoever goes on |
//! | `finish` | once: the bytes are synced already; twice for empty content, after a crash, or when the location needs a new folder | content and location survive a power cut | the old state, or one that the next `finish` completes |
//! | `forget`, `abandon`, `delete` | never | gone for every process | all, some or nothing of it; asking again removes the rest |
//!
//! A power cut may also take back what did not wait for the disk: an upload is then at an earlier offset, or
//! unknown; it is never at a later one than its bytes are. Content whose upload was forgotten so is in
//! [`list`](swr_core::ports::BlobStore::list), as is a removal that was taken back.
//!
//! A push of one blob, be it POST and PUT or POST, PATCH and PUT, syncs twice and makes some 30 system calls, and
//! seven more for each MiB. When syncing fails, the upload is removed and unknown from there on: nobody knows what
//! the disk has, and to ask again would only hear that nothing is left to be written.
//!
//! Where an append has 64 KiB and more to write at once, its whole pages go past the page cache (`O_DIRECT`) and wait for
//! the disk as they are written, where the file system takes that and unless
//! [told otherwise](FilesystemOptions::direct_writes). They are synced all the same, for the file's length and for what
//! the disk itself holds back.
//!
//! # When it is full
//!
//! Below a [low-water mark](FilesystemOptions::low_water_bytes) `begin` and `append` are refused, before the
//! disk refuses everything; an append that cannot be written is cut back to where it began. Reading, finishing
//! and removing go on.
//!
//! # What is in memory
//!
//! An append holds up to two batches of 1 MiB, and one buffer while it writes past the page cache; a reader holds one.
//! A buffer has 256 KiB, or 64 KiB while more than 64 are in use. Nothing grows with the store.

mod blobs;
mod buffers;
mod layout;
mod reader;
mod session;
mod uploads;
mod walk;
mod writing;

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::{FlockOperation, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
#[cfg(all(feature = "sqlite", unix))]
use swr_core::commit::BlobLocation;
#[cfg(all(feature = "sqlite", unix))]
use swr_core::digest::{Algorithm, Digest};
use swr_core::ports::{StoreError, StoreErrorKind};
#[cfg(all(feature = "sqlite", unix))]
use swr_core::upload::UploadId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use buffers::Buffers;
use layout::Folders;
pub use reader::FilesystemReader;

use crate::claims::Claims;

/// The format that this version reads and writes.
const FORMAT_VERSION: u32 = 1;

/// The folder of finished bytes: locations are paths below it.
#[cfg(all(feature = "sqlite", unix))]
pub(crate) const BLOBS: &str = layout::BLOBS;

/// Whether a store of files may have given the location: it leads nowhere else.
#[cfg(all(feature = "sqlite", unix))]
pub(crate) fn is_location(location: &BlobLocation) -> bool {
    layout::Place::parse(location).is_some()
}

/// Where a store of files has content that is elsewhere at `location`: there, where it may be a location of such content
/// here, or else always in the same place.
#[cfg(all(feature = "sqlite", unix))]
#[expect(clippy::expect_used, reason = "a hash has more digits than an id")]
pub(crate) fn location_for(digest: &Digest, location: &BlobLocation) -> BlobLocation {
    if layout::Place::parse(location).is_some_and(|place| place.digest() == *digest) {
        return location.clone();
    }
    let mut id = Algorithm::Sha256.digest(location.as_str().as_bytes()).hex();
    id.truncate(32);
    layout::Place::new(*digest, UploadId::parse(&id).expect("32 lowercase hexadecimal digits are an id"))
        .location()
}

/// How many threads write at once, so that a slow disk does not take all that a runtime has.
const WRITERS: usize = 32;

/// Blobs and uploads as files below one folder. See the [module](self) for what is on the disk when.
///
/// One process has the folder at a time. All calls need a tokio runtime of either kind.
pub struct FilesystemBlobs {
    root: Arc<Root>,
}

impl FilesystemBlobs {
    /// Opens the store in the folder `path` with the default options; makes it where there is none. Blocks
    /// for a moment: it reads no content and walks no uploads.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// What can be chosen, all of it at its default.
    pub fn options() -> FilesystemOptions {
        FilesystemOptions { low_water_bytes: 256 * 1024 * 1024, low_water_inodes: 1024, direct_writes: true }
    }
}

impl fmt::Debug for FilesystemBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesystemBlobs").field("path", &self.root.path).finish_non_exhaustive()
    }
}

/// What can be chosen of a [`FilesystemBlobs`].
#[derive(Clone, Debug)]
pub struct FilesystemOptions {
    low_water_bytes: u64,
    low_water_inodes: u64,
    direct_writes: bool,
}

impl FilesystemOptions {
    /// How many bytes of the file system uploads leave free, for what must go on when it is full: a database
    /// beside the store, logs, and removal itself. 256 MiB unless said.
    pub fn low_water_bytes(mut self, bytes: u64) -> Self {
        self.low_water_bytes = bytes;
        self
    }

    /// How many files the file system must still have room for, where it counts them. 1024 unless said.
    pub fn low_water_inodes(mut self, inodes: u64) -> Self {
        self.low_water_inodes = inodes;
        self
    }

    /// Whether content goes past the page cache, where the file system takes that. It then waits for the disk after each
    /// 256 KiB: one that takes many milliseconds for a write, and many writes at once, is faster without. `true` unless
    /// said.
    pub fn direct_writes(mut self, direct: bool) -> Self {
        self.direct_writes = direct;
        self
    }

    /// Opens the store in the folder `path`; makes it where there is none.
    pub fn open(self, path: impl AsRef<Path>) -> Result<FilesystemBlobs, OpenError> {
        let path = path.as_ref();
        let failed = |source| OpenError::Io { path: path.into(), source };
        let folder = layout::make_path(path).map_err(failed)?;
        let flags = OFlags::RDWR | OFlags::CREATE;
        let lock = layout::open(&folder, layout::LOCK, flags).map_err(failed)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(OpenError::InUse { path: path.into() }),
            Err(error) => return Err(failed(error.into())),
        }
        let known = read_format(&folder, path)?;
        let folders = Folders::open(folder).map_err(failed)?;
        if !known {
            write_format(&folders).map_err(failed)?;
        }
        self.over(path, folders, Some(lock))
    }

    /// The store in these folders.
    fn over(self, path: &Path, folders: Folders, lock: Option<File>) -> Result<FilesystemBlobs, OpenError> {
        let failed = |source| OpenError::Io { path: path.into(), source };
        let format = layout::open(&folders.root, layout::FORMAT, OFlags::RDONLY).map_err(failed)?;
        let root = Root {
            path: path.into(),
            nowait: AtomicBool::new(blobs::tells_waiting(&format)),
            direct: AtomicBool::new(self.direct_writes),
            folders,
            options: self,
            claims: Arc::default(),
            writers: Arc::new(Semaphore::new(WRITERS)),
            buffers: Buffers::default(),
            _lock: lock,
        };
        Ok(FilesystemBlobs { root: Arc::new(root) })
    }
}

/// Why a folder was not opened as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Somebody has it open: another process, or this one a second time.
    #[error("{} is in use: a store has one process at a time", path.display())]
    InUse {
        /// The store's folder.
        path: PathBuf,
    },
    /// It was written by a version that this one cannot follow.
    #[error("{} has format {found}, and this version knows formats up to {FORMAT_VERSION}", path.display())]
    NewerFormat {
        /// The store's folder.
        path: PathBuf,
        /// The format it has.
        found: u32,
    },
    /// Its format file is not one.
    #[error("{} does not say which format it has: its file `format` is damaged", path.display())]
    UnknownFormat {
        /// The store's folder.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{} cannot be opened as a store", path.display())]
    Io {
        /// The store's folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Everything that calls share, and whatever they leave running on a thread.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    folders: Folders,
    options: FilesystemOptions,
    claims: Arc<Claims>,
    writers: Arc<Semaphore>,
    buffers: Buffers,
    /// Whether a read that would wait says so; found out at the start, and again by every read.
    nowait: AtomicBool,
    /// Whether the file system takes writes past the page cache, as far as was seen.
    direct: AtomicBool,
    /// Locked as long as it is open.
    _lock: Option<File>,
}

impl Root {
    /// Refuses when `coming` more bytes would take what is kept free.
    fn check_room(&self, operation: &'static str, coming: u64) -> Result<(), StoreError> {
        let full = |what| Err(StoreError::new(StoreErrorKind::Full, operation, what));
        let FilesystemOptions { low_water_bytes, low_water_inodes, .. } = self.options;
        let room =
            rustix::fs::fstatvfs(&self.folders.root).map_err(|error| fault(operation, error.into()))?;
        if room.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Err(fault(operation, Errno::ROFS.into()));
        }
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        if free.saturating_sub(coming) < low_water_bytes {
            return full(format!(
                "{free} bytes are free, {coming} are to come, {low_water_bytes} are kept free"
            ));
        }
        // A file system without a table of inodes says that it has none at all.
        if room.f_files > 0 && room.f_favail < low_water_inodes {
            return full(format!("{} inodes are free, {low_water_inodes} are kept free", room.f_favail));
        }
        Ok(())
    }

    /// Waits until one more may write. Never `None`: nobody closes the semaphore.
    async fn writer(&self) -> Option<OwnedSemaphorePermit> {
        self.writers.clone().acquire_owned().await.ok()
    }
}

/// Runs `work` on a thread that may block. It ends by itself when the caller goes away.
async fn blocking<T, E>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result,
        Err(stopped) => Err(StoreError::new(StoreErrorKind::Unavailable, operation, stopped).into()),
    }
}

/// What an operator has to know of `error`.
fn fault(operation: &'static str, error: io::Error) -> StoreError {
    let kind = match Errno::from_io_error(&error) {
        Some(Errno::NOSPC | Errno::DQUOT) => StoreErrorKind::Full,
        Some(
            Errno::AGAIN
            | Errno::BUSY
            | Errno::INTR
            | Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::ROFS
            | Errno::TIMEDOUT,
        ) => StoreErrorKind::Unavailable,
        // Something that is no plain file, or no folder, where one was put.
        Some(Errno::ISDIR | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => StoreErrorKind::Corrupt,
        _ if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            StoreErrorKind::Corrupt
        }
        _ => StoreErrorKind::Other,
    };
    StoreError::new(kind, operation, error)
}

/// Whether the store says which format it has; an error when that is not ours.
fn read_format(folder: &File, path: &Path) -> Result<bool, OpenError> {
    let mut text = String::new();
    let read = layout::open(folder, layout::FORMAT, OFlags::RDONLY)
        .and_then(|file| file.take(64).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
        Err(source) => return Err(OpenError::Io { path: path.into(), source }),
    }
    match text.strip_suffix('\n').and_then(|text| text.parse().ok()) {
        Some(FORMAT_VERSION) => Ok(true),
        Some(found) if found > FORMAT_VERSION => Err(OpenError::NewerFormat { path: path.into(), found }),
        _ => Err(OpenError::UnknownFormat { path: path.into() }),
    }
}

fn write_format(folders: &Folders) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let mut file = layout::open(&folders.root, layout::NEW_FORMAT, flags)?;
    file.write_all(format!("{FORMAT_VERSION}\n").as_bytes())?;
    file.sync_all()?;
    rustix::fs::renameat(&folders.root, layout::NEW_FORMAT, &folders.root, layout::FORMAT)?;
    folders.root.sync_all()
}
