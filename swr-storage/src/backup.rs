//! A copy of a registry in a folder, taken while it runs, and back: the same wherever the registry keeps its facts and
//! its bytes, so that it can be restored to other places than it was taken from.
//!
//! ```text
//! registry.db                             the facts, as they were at one instant, in SQLite
//! blobs/<algorithm>/<ab>/<hash>.<id>      the bytes that they name
//! ```
//!
//! A backup writes nothing where it reads. It copies the facts first and then the bytes that they name; where collection
//! has meanwhile removed some of these, it copies the facts anew, and the few bytes that are new then, until everything
//! that the facts name is there. So whatever had been answered when it began is in it. What is copied is hashed on its
//! way; of what an earlier backup has copied the length is compared, until it is restored. What cannot be read twice in a
//! row is set aside in the copy.
//!
//! Repeated into the same folder it copies the bytes that are not there yet, and removes those that no fact names any
//! more. At all times there is a whole backup in the folder, the old one or the new one.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroU32;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::runtime::Handle;

use swr_core::commit::{BlobLocation, StoredBlob};
use swr_core::digest::{Algorithm, Digest, Hasher};
use swr_core::planted::is_planted;
use swr_core::ports::{BlobRecord, BlobStat, BlobStore, ListedBlob, Page, StoreError, StoreErrorKind};
use swr_core::stream::{BodyError, ByteStream};
#[cfg(all(feature = "control", feature = "postgres"))]
use swr_core::upload::UploadId;

use crate::filesystem::{self, FilesystemBlobs};
#[cfg(all(feature = "control", feature = "postgres"))]
use crate::postgres::{self, PostgresOptions};
use crate::sqlite::Snapshot;

/// Where a registry keeps its facts that is copied, in use or not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Facts {
    /// In the database of an [`SqliteStore`](crate::SqliteStore).
    Sqlite(PathBuf),
    /// In that of a [`PostgresStore`](crate::postgres::PostgresStore).
    #[cfg(all(feature = "control", feature = "postgres"))]
    Postgres(PostgresOptions),
}

impl Facts {
    /// Copies them as they are at one instant to `to`, where nothing of importance is.
    async fn copy(&self, to: &Path) -> Result<Snapshot, BackupError> {
        let (copied, from) = match self {
            Self::Sqlite(path) => (Snapshot::take(path, to), path.as_path()),
            #[cfg(all(feature = "control", feature = "postgres"))]
            Self::Postgres(options) => {
                (postgres::snapshot(options.clone(), to).await, Path::new("PostgreSQL"))
            }
        };
        copied.map_err(|source| BackupError::Facts { path: from.into(), source })
    }
}

/// Where a registry is restored that keeps its facts in SQLite and its bytes in files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct Place {
    /// The database of an [`SqliteStore`](crate::SqliteStore).
    pub database: PathBuf,
    /// The folder of a [`FilesystemBlobs`].
    pub bytes: PathBuf,
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Contents that the facts name, broken ones apart.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of these contents had to be copied; the others were there.
    pub copied: u64,
    /// Files that no fact names any more, and that were removed.
    pub removed: u64,
    /// Contents that are not what they should be, or are not there: what was copied has them set aside, so that they
    /// answer as unknown until a push brings them again.
    pub broken: Vec<Digest>,
}

/// Why nothing was copied; what was begun is not taken for a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file or folder refused.
    #[error("{} refuses", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The facts could not be read, or copied.
    #[error("{} cannot be copied", path.display())]
    Facts {
        /// Which database; of one that is no file, what keeps it.
        path: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// The store of the bytes failed.
    #[error("{digest} cannot be read")]
    Bytes {
        /// Which content was asked for.
        digest: Digest,
        /// What the store said.
        source: BodyError,
    },
    /// There is something already where a registry is to be restored.
    #[error("there is something in {} already", .0.display())]
    NotEmpty(PathBuf),
    /// What is in a backup is not what was put there.
    #[error("{} is broken: {what}", path.display())]
    Broken {
        /// The database of the backup.
        path: PathBuf,
        /// What is wrong with it, or which content is.
        what: String,
    },
    /// Each time that the facts were copied, collection removed some of what they name.
    #[error("collection was faster {ROUNDS} times; try again")]
    Overtaken,
    /// The runtime has ended before it was done.
    #[error("it was stopped")]
    Stopped(#[source] tokio::task::JoinError),
}

/// How often the facts are copied before a backup is given up.
const ROUNDS: usize = 10;

/// How many records are looked at at once.
const BATCH: NonZeroU32 = NonZeroU32::new(500).expect("500 is not zero");

/// The facts in a backup.
const DATABASE: &str = "registry.db";
/// The same as they are being copied.
const NEW_DATABASE: &str = "registry.db.new";
/// The bytes in a backup.
const BLOBS: &str = "blobs";
/// What comes behind the name of a file as it is being written.
const PART: &str = ".part";

/// Copies a registry into the folder `to`, which is made if there is none: its facts, and the bytes that they name, which
/// are in `bytes`. It may be in use. Runs on a thread of the runtime's that may wait; dropped, it goes on.
pub async fn back_up(facts: Facts, bytes: Arc<dyn BlobStore>, to: PathBuf) -> Result<Copied, BackupError> {
    on_a_thread(async move || copy(&facts, &*bytes, &to).await).await
}

async fn copy(from: &Facts, bytes: &dyn BlobStore, to: &Path) -> Result<Copied, BackupError> {
    make_folder(to)?;
    let blobs = to.join(BLOBS);
    make_folder(&blobs)?;
    let new = to.join(NEW_DATABASE);
    let facts = |source| BackupError::Facts { path: new.clone(), source };
    let mut unread_before = BTreeSet::new();
    for _ in 0..ROUNDS {
        let mut snapshot = from.copy(&new).await?;
        if is_planted("facts before bytes") {
            fs::copy(&new, to.join(DATABASE)).map_err(io_error(&new))?;
        }
        let mut copying = Copying { from: bytes, to: &blobs, verify: false, folders: BTreeSet::new() };
        let mut copied = Copied::default();
        let mut unread = BTreeSet::new();
        for record in Records::of(&snapshot) {
            let BlobRecord { stored, quarantined } = record?;
            if quarantined {
                // An earlier backup may have it as it was.
                if copying.has_sound(&stored)? {
                    snapshot.restore(&stored.digest, &stored.location).map_err(facts)?;
                    copied.count(&stored, false);
                }
                continue;
            }
            match copying.blob(&stored).await? {
                Outcome::There => copied.count(&stored, false),
                Outcome::Copied => copied.count(&stored, true),
                // Collection may have it, or it was the wire.
                Outcome::Missing | Outcome::Damaged if !unread_before.contains(&stored.location) => {
                    unread.insert(stored.location);
                }
                // The facts named it before, and still do.
                Outcome::Missing | Outcome::Damaged => {
                    snapshot.quarantine(&stored.digest, &stored.location).map_err(facts)?;
                    copied.broken.push(stored.digest);
                }
            }
        }
        copying.sync()?;
        if !unread.is_empty() {
            unread_before = unread;
            continue;
        }
        snapshot.relocate(filesystem::location_for).map_err(facts)?;
        snapshot.close().map_err(facts)?;
        rename(&new, &to.join(DATABASE))?;
        sync_folder(to)?;
        copied.removed = remove_unnamed(to)?;
        return Ok(copied);
    }
    Err(BackupError::Overtaken)
}

/// Makes a registry at `to` of the backup in the folder `from`. Nothing is there yet: neither the database, nor anything
/// in the folder of the bytes. Everything is verified on its way: the database, each manifest, each content. With
/// `set_aside` broken content is, and the rest is restored; otherwise it ends the restoration, as does everything else
/// that is broken. The database comes last, so that what was interrupted is no registry. Runs on a thread
/// of the runtime's that may wait.
pub async fn restore(from: PathBuf, to: Place, set_aside: bool) -> Result<Copied, BackupError> {
    on_a_thread(async move || restore_files(&from, &to, set_aside).await).await
}

async fn restore_files(from: &Path, to: &Place, set_aside: bool) -> Result<Copied, BackupError> {
    if to.database.exists() {
        return Err(BackupError::NotEmpty(to.database.clone()));
    }
    if fs::read_dir(&to.bytes).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(BackupError::NotEmpty(to.bytes.clone()));
    }
    let store = FilesystemBlobs::options().low_water_bytes(0).low_water_inodes(0).open(&to.bytes);
    let store = store.map_err(|error| io_error(&to.bytes)(io::Error::other(error)))?;
    let new = beside(&to.database, ".new");
    let snapshot = open_copy(from, &new)?;
    let (source, target) = (Contents(from.join(BLOBS)), to.bytes.join(filesystem::BLOBS));
    let mut copying = Copying { from: &source, to: &target, verify: true, folders: BTreeSet::new() };
    let mut copied = Copied::default();
    for record in Records::of(&snapshot) {
        let BlobRecord { stored, quarantined } = record?;
        if quarantined {
            continue;
        }
        match copying.blob(&stored).await? {
            Outcome::There | Outcome::Copied => copied.count(&stored, true),
            Outcome::Missing | Outcome::Damaged if set_aside => {
                set_aside_in(&snapshot, &new, &stored)?;
                copied.broken.push(stored.digest);
            }
            outcome => return Err(broken_in(from, outcome.of(&stored.digest))),
        }
    }
    copying.sync()?;
    drop(store);
    snapshot.close().map_err(|source| BackupError::Facts { path: new.clone(), source })?;
    rename(&new, &to.database)?;
    sync_folder(to.database.parent().unwrap_or(Path::new(".")))?;
    Ok(copied)
}

/// A backup that is restored to where a [`Move`](crate::postgres::Move) takes it: a copy of its facts in a folder that goes
/// with this value, and its bytes.
#[cfg(all(feature = "control", feature = "postgres"))]
#[derive(Debug)]
pub struct Unpacked {
    folder: PathBuf,
    bytes: Contents,
    broken: Vec<Digest>,
}

#[cfg(all(feature = "control", feature = "postgres"))]
impl Unpacked {
    /// The database that the copy of the facts is in, of the newest format.
    pub fn database(&self) -> PathBuf {
        self.folder.join(DATABASE)
    }

    /// The bytes that these facts name.
    pub fn bytes(&self) -> &dyn BlobStore {
        &self.bytes
    }

    /// What was set aside in the copy, because it is broken.
    pub fn broken(&self) -> &[Digest] {
        &self.broken
    }
}

#[cfg(all(feature = "control", feature = "postgres"))]
impl Drop for Unpacked {
    fn drop(&mut self) {
        // What stays is a copy of what is in the backup.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Opens the backup in the folder `from` to be restored elsewhere. Its database and each manifest are verified at once,
/// content by whoever copies it; with `set_aside` content is as well, and the broken is set aside. In the folder `work`
/// there has to be room for the facts. Runs on a thread of the runtime's that may wait.
#[cfg(all(feature = "control", feature = "postgres"))]
pub async fn unpack(from: PathBuf, work: PathBuf, set_aside: bool) -> Result<Unpacked, BackupError> {
    on_a_thread(async move || {
        let folder = work.join(format!("swr-restore-{}", UploadId::random()));
        make_folder(&folder)?;
        let mut unpacked = Unpacked { folder, bytes: Contents(from.join(BLOBS)), broken: Vec::new() };
        let database = unpacked.database();
        let snapshot = open_copy(&from, &database)?;
        for record in Records::of(&snapshot).filter(|_| set_aside) {
            let BlobRecord { stored, quarantined } = record?;
            if !quarantined && !is_sound(&unpacked.bytes.0, &stored)? {
                set_aside_in(&snapshot, &database, &stored)?;
                unpacked.broken.push(stored.digest);
            }
        }
        let facts = |source| BackupError::Facts { path: database.clone(), source };
        snapshot.close().map_err(facts)?;
        // It may be of an earlier format.
        drop(crate::SqliteStore::open(&database).await.map_err(facts)?);
        Ok(unpacked)
    })
    .await
}

/// Runs on a thread what waits for disks in between.
async fn on_a_thread<T: Send + 'static, W: Future<Output = Result<T, BackupError>>>(
    work: impl FnOnce() -> W + Send + 'static,
) -> Result<T, BackupError> {
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work())).await;
    done.map_err(BackupError::Stopped)?
}

/// Copies the facts of a backup to `to`, and sees that they are sound: the database, and each manifest.
fn open_copy(backup: &Path, to: &Path) -> Result<Snapshot, BackupError> {
    let original = backup.join(DATABASE);
    let facts = |source| BackupError::Facts { path: original.clone(), source };
    copy_file(&original, to)?;
    let snapshot = Snapshot::open(to).map_err(facts)?;
    if let Some(finding) = snapshot.check().map_err(facts)?.into_iter().next() {
        return Err(broken_in(backup, finding));
    }
    let mut page = Page { after: None, limit: BATCH };
    loop {
        let manifests = snapshot.kept_manifests(&page).map_err(facts)?;
        let Some(last) = manifests.last() else { return Ok(snapshot) };
        page.after = Some((last.repository, last.digest));
        for kept in manifests {
            if kept.digest.algorithm().digest(&kept.bytes) != kept.digest {
                return Err(broken_in(backup, format!("{}@{}", kept.name, kept.digest)));
            }
        }
    }
}

fn broken_in(backup: &Path, what: String) -> BackupError {
    BackupError::Broken { path: backup.join(DATABASE), what }
}

fn set_aside_in(snapshot: &Snapshot, path: &Path, stored: &StoredBlob) -> Result<(), BackupError> {
    let set_aside = snapshot.quarantine(&stored.digest, &stored.location);
    set_aside.map_err(|source| BackupError::Facts { path: path.into(), source })
}

impl Copied {
    fn count(&mut self, stored: &StoredBlob, copied: bool) {
        self.blobs += 1;
        self.bytes += stored.size;
        self.copied += u64::from(copied);
    }
}

/// Content on its way into a folder.
struct Copying<'a> {
    from: &'a dyn BlobStore,
    to: &'a Path,
    /// Whether what is there already is not trusted.
    verify: bool,
    /// Where something was written.
    folders: BTreeSet<PathBuf>,
}

enum Outcome {
    /// It was there, and as long as it should be.
    There,
    Copied,
    /// There is nothing to be copied.
    Missing,
    /// What is there is not what it should be, or cannot be read.
    Damaged,
}

impl Outcome {
    /// What a person is told of it.
    fn of(&self, digest: &Digest) -> String {
        match self {
            Self::There | Self::Copied => format!("{digest} is there"),
            Self::Missing => format!("{digest} is not there"),
            Self::Damaged => format!("{digest} is not what it should be"),
        }
    }
}

impl Copying<'_> {
    async fn blob(&mut self, stored: &StoredBlob) -> Result<Outcome, BackupError> {
        let to = path_in(self.to, stored);
        if !self.verify
            && fs::symlink_metadata(&to).is_ok_and(|there| there.is_file() && there.len() == stored.size)
        {
            return Ok(Outcome::There);
        }
        let mut source = match self.from.read(&stored.location, 0..stored.size).await {
            Ok(Some(source)) => source,
            Ok(None) => return Ok(Outcome::Missing),
            Err(error) => return self.unread(stored, error.into()).await,
        };
        if let Some(folder) = to.parent().filter(|folder| !self.folders.contains(*folder)) {
            make_folder(folder)?;
            self.folders.insert(folder.into());
        }
        let part = beside(&to, PART);
        let mut target = create(&part)?;
        let mut hasher = Hasher::new(stored.digest.algorithm());
        while let Some(chunk) = source.next().await {
            match chunk {
                Ok(chunk) => {
                    hasher.update(&chunk);
                    target.write_all(&chunk).map_err(io_error(&part))?;
                }
                Err(error) => {
                    fs::remove_file(&part).map_err(io_error(&part))?;
                    return self.unread(stored, error).await;
                }
            }
        }
        if hasher.finish() != stored.digest {
            fs::remove_file(&part).map_err(io_error(&part))?;
            return Ok(Outcome::Damaged);
        }
        // Whatever has its name is whole, also after a power cut.
        target.sync_all().map_err(io_error(&part))?;
        rename(&part, &to)?;
        Ok(Outcome::Copied)
    }

    /// What it means that content could not be read: an error, unless it is about this content alone.
    async fn unread(&self, stored: &StoredBlob, error: BodyError) -> Result<Outcome, BackupError> {
        if let BodyError::Store(said) = &error {
            let cause = said.source().and_then(<dyn Error>::downcast_ref::<io::Error>);
            if said.kind() == StoreErrorKind::Corrupt || cause.is_some_and(is_damage) {
                return Ok(Outcome::Damaged);
            }
            // Some of it may have been there still when reading began.
            if matches!(self.from.stat(&stored.location).await, Ok(None)) {
                return Ok(Outcome::Missing);
            }
        }
        Err(BackupError::Bytes { digest: stored.digest, source: error })
    }

    /// Whether what is there already hashes to its digest.
    fn has_sound(&self, stored: &StoredBlob) -> Result<bool, BackupError> {
        is_sound(self.to, stored)
    }

    /// From here on the names of what was written are on the disk.
    fn sync(&self) -> Result<(), BackupError> {
        for folder in &self.folders {
            sync_folder(folder)?;
        }
        let above: BTreeSet<_> = self.folders.iter().filter_map(|folder| folder.parent()).collect();
        above.into_iter().try_for_each(sync_folder)?;
        sync_folder(self.to)
    }
}

/// Where content is among that of a backup, or of a [`FilesystemBlobs`]: nothing leads out of the folder.
fn path_in(blobs: &Path, stored: &StoredBlob) -> PathBuf {
    blobs.join(filesystem::location_for(&stored.digest, &stored.location).as_str())
}

/// Whether what is among the content of a backup hashes to its digest.
fn is_sound(blobs: &Path, stored: &StoredBlob) -> Result<bool, BackupError> {
    let there = path_in(blobs, stored);
    let read = open_content(&there).and_then(|mut file| hashed(&mut file, stored.digest.algorithm()));
    match read {
        Ok(digest) => Ok(digest == stored.digest),
        Err(error) if error.kind() == ErrorKind::NotFound || is_damage(&error) => Ok(false),
        Err(error) => Err(io_error(&there)(error)),
    }
}

/// Opens what lies among content. Never follows a link, and never waits for the other end of a pipe.
fn open_content(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?))
}

/// Whether it speaks of this file alone: the disk cannot read it, or it is no plain file.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::BADMSG | Errno::IO | Errno::ISDIR | Errno::LOOP | Errno::NXIO | Errno::UCLEAN)
    )
}

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

fn hashed(source: &mut File, algorithm: Algorithm) -> io::Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    loop {
        match read_some(source)? {
            chunk if chunk.is_empty() => return Ok(hasher.finish()),
            chunk => hasher.update(&chunk),
        }
    }
}

/// Some of what comes next; nothing at the end.
fn read_some(source: &mut File) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    source.take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}

/// The bytes of a backup, in its folder of content, to be read and for nothing else.
#[derive(Debug)]
struct Contents(PathBuf);

impl Contents {
    const READ: &'static str = "backup.read";

    /// The file at `at`, and how long it is.
    fn open(&self, at: &BlobLocation) -> Result<Option<(File, u64)>, StoreError> {
        let corrupt = |what: String| StoreError::new(StoreErrorKind::Corrupt, Self::READ, what);
        let failed = |error: io::Error| match is_damage(&error) {
            true => StoreError::new(StoreErrorKind::Corrupt, Self::READ, error),
            false => StoreError::new(StoreErrorKind::Other, Self::READ, error),
        };
        if !filesystem::is_location(at) {
            return Err(corrupt(format!("{:?} is no location of a backup", at.as_str())));
        }
        let file = match open_content(&self.0.join(at.as_str())) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let told = file.metadata().map_err(failed)?;
        match told.is_file() {
            true => Ok(Some((file, told.len()))),
            false => Err(corrupt(format!("{at} is no file"))),
        }
    }
}

#[async_trait]
impl BlobStore for Contents {
    async fn stat(&self, at: &BlobLocation) -> Result<Option<BlobStat>, StoreError> {
        Ok(self.open(at)?.map(|(_, size)| BlobStat { location: at.clone(), size }))
    }

    /// Whole content alone.
    async fn read(&self, at: &BlobLocation, range: Range<u64>) -> Result<Option<ByteStream>, StoreError> {
        let Some((file, size)) = self.open(at)? else { return Ok(None) };
        if range != (0..size) {
            let other = format!("{at} has {size} bytes, and {}..{} were asked for", range.start, range.end);
            return Err(StoreError::new(StoreErrorKind::Corrupt, Self::READ, other));
        }
        let chunks = stream::try_unfold(file, |mut file| async move {
            let read = tokio::task::spawn_blocking(move || Ok((read_some(&mut file)?, file))).await;
            let read: io::Result<(Bytes, File)> =
                read.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
            match read {
                Ok((chunk, _)) if chunk.is_empty() => Ok(None),
                Ok(read) => Ok(Some(read)),
                Err(error) => Err(StoreError::new(StoreErrorKind::Other, Self::READ, error).into()),
            }
        });
        Ok(Some(ByteStream::new(chunks.boxed(), Some(size))))
    }

    /// Refused, always.
    async fn delete(&self, _: &BlobLocation) -> Result<(), StoreError> {
        Err(StoreError::new(StoreErrorKind::Other, "backup.delete", "a backup is opened to be read"))
    }

    /// Nothing: what there is, the facts of the backup tell.
    fn list(&self) -> BoxStream<'_, Result<ListedBlob, StoreError>> {
        stream::empty().boxed()
    }
}

/// Removes what the facts of the backup do not name; what is set aside they name too. Digests and folders stand in the same order, so that the names of
/// one folder are in memory, and no more.
fn remove_unnamed(backup: &Path) -> Result<u64, BackupError> {
    let path = backup.join(DATABASE);
    let snapshot = Snapshot::open(&path).map_err(|source| BackupError::Facts { path, source })?;
    let blobs = backup.join(BLOBS);
    let mut named = Records::of(&snapshot).peekable();
    let mut removed = 0;
    for algorithm in entries(&blobs)? {
        for folder in entries(&algorithm)? {
            let mut unnamed = entries(&folder)?;
            while let Some(Ok(record)) =
                named.next_if(|record| record.as_ref().is_ok_and(|of| is_up_to(&of.stored, &blobs, &folder)))
            {
                unnamed.remove(&blobs.join(record.stored.location.as_str()));
            }
            // What cannot be read names perhaps everything.
            if let Some(Err(_)) = named.peek() {
                named.next().transpose()?;
            }
            for file in unnamed {
                fs::remove_file(&file).map_err(io_error(&file))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Whether the content lies in the folder, or in one before it.
fn is_up_to(stored: &StoredBlob, blobs: &Path, folder: &Path) -> bool {
    let file = blobs.join(stored.location.as_str());
    file.parent().is_none_or(|of| of <= folder)
}

/// What a snapshot has records of, in the order of the digests.
struct Records<'a> {
    snapshot: &'a Snapshot,
    page: Page<Digest>,
    read: std::vec::IntoIter<BlobRecord>,
}

impl<'a> Records<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, page: Page { after: None, limit: BATCH }, read: Vec::new().into_iter() }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<BlobRecord, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.read.next() {
            return Some(Ok(record));
        }
        match self.snapshot.records(&self.page) {
            Ok(records) => {
                self.page.after = Some(records.last()?.stored.digest);
                self.read = records.into_iter();
                self.read.next().map(Ok)
            }
            Err(source) => Some(Err(BackupError::Facts { path: DATABASE.into(), source })),
        }
    }
}

fn entries(folder: &Path) -> Result<BTreeSet<PathBuf>, BackupError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    entries.map_err(io_error(folder))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes a folder that nobody else may look into, where there is none.
fn make_folder(path: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error(path))
}

fn create(path: &Path) -> Result<File, BackupError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(io_error(path))
}

fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut source = File::open(from).map_err(io_error(from))?;
    let mut target = create(to)?;
    io::copy(&mut source, &mut target).map_err(io_error(to))?;
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::rename(from, to).map_err(io_error(from))
}

fn sync_folder(path: &Path) -> Result<(), BackupError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error(path))
}
