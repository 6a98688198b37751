//! A copy of a registry that keeps its facts in SQLite and its bytes in files, taken while it runs, and back.
//!
//! ```text
//! registry.db                             the facts, as they were at one instant
//! blobs/<algorithm>/<ab>/<hash>.<id>      the bytes that they name
//! ```
//!
//! A backup writes nothing where it reads. It copies the facts first and then the bytes that they name; where collection
//! has meanwhile removed some of these, it copies the facts anew, and the few bytes that are new then, until everything
//! that the facts name is there. So whatever had been answered when it began is in it. What is copied is hashed on its
//! way; of what an earlier backup has copied the length is compared, until it is restored.
//!
//! Repeated into the same folder it copies the bytes that are not there yet, and removes those that no fact names any
//! more. At all times there is a whole backup in the folder, the old one or the new one.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use swr_core::commit::StoredBlob;
use swr_core::digest::{Algorithm, Digest, Hasher};
use swr_core::ports::{BlobRecord, Page, StoreError};

use crate::filesystem::{self, FilesystemBlobs};
use crate::sqlite::Snapshot;

/// Where a registry keeps its facts and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct Place {
    /// The database of an [`SqliteStore`](crate::sqlite::SqliteStore).
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
        /// Which database.
        path: PathBuf,
        /// Why not.
        source: StoreError,
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

/// Copies the registry at `from` into the folder `to`, which is made if there is none. It may be in use. Blocks.
pub fn back_up(from: &Place, to: &Path) -> Result<Copied, BackupError> {
    make_folder(to)?;
    let blobs = to.join(BLOBS);
    make_folder(&blobs)?;
    let source = from.bytes.join(filesystem::BLOBS);
    let new = to.join(NEW_DATABASE);
    let facts = |source| BackupError::Facts { path: from.database.clone(), source };
    let mut missing_before = BTreeSet::new();
    for _ in 0..ROUNDS {
        let snapshot = Snapshot::take(&from.database, &new).map_err(facts)?;
        let mut copying = Copying { from: &source, to: &blobs, verify: false, folders: BTreeSet::new() };
        let mut copied = Copied::default();
        let mut missing = BTreeSet::new();
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
            match copying.blob(&stored)? {
                Outcome::Missing if !missing_before.contains(&stored.location) => {
                    missing.insert(stored.location);
                }
                // The facts named it before, and still do.
                Outcome::Missing | Outcome::Damaged => {
                    snapshot.quarantine(&stored.digest, &stored.location).map_err(facts)?;
                    copied.broken.push(stored.digest);
                }
                Outcome::There => copied.count(&stored, false),
                Outcome::Copied => copied.count(&stored, true),
            }
        }
        copying.sync()?;
        if !missing.is_empty() {
            missing_before = missing;
            continue;
        }
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
/// that is broken. The database comes last, so that what was interrupted is no registry. Blocks.
pub fn restore(from: &Path, to: &Place, set_aside: bool) -> Result<Copied, BackupError> {
    let original = from.join(DATABASE);
    let facts = |source| BackupError::Facts { path: original.clone(), source };
    let broken = |what| BackupError::Broken { path: original.clone(), what };
    if to.database.exists() {
        return Err(BackupError::NotEmpty(to.database.clone()));
    }
    if fs::read_dir(&to.bytes).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(BackupError::NotEmpty(to.bytes.clone()));
    }
    let store = FilesystemBlobs::options().low_water_bytes(0).low_water_inodes(0).open(&to.bytes);
    let store = store.map_err(|error| io_error(&to.bytes)(io::Error::other(error)))?;
    let new = beside(&to.database, ".new");
    copy_file(&original, &new)?;
    let snapshot = Snapshot::open(&new).map_err(facts)?;
    if let Some(finding) = snapshot.check().map_err(facts)?.into_iter().next() {
        return Err(broken(finding));
    }
    let mut page = Page { after: None, limit: BATCH };
    loop {
        let manifests = snapshot.kept_manifests(&page).map_err(facts)?;
        let Some(last) = manifests.last() else { break };
        page.after = Some((last.repository, last.digest));
        for kept in manifests {
            if kept.digest.algorithm().digest(&kept.bytes) != kept.digest {
                return Err(broken(format!("{}@{}", kept.name, kept.digest)));
            }
        }
    }
    let (source, target) = (from.join(BLOBS), to.bytes.join(filesystem::BLOBS));
    let mut copying = Copying { from: &source, to: &target, verify: true, folders: BTreeSet::new() };
    let mut copied = Copied::default();
    for record in Records::of(&snapshot) {
        let BlobRecord { stored, quarantined } = record?;
        if quarantined {
            continue;
        }
        match copying.blob(&stored)? {
            Outcome::There | Outcome::Copied => copied.count(&stored, true),
            Outcome::Missing | Outcome::Damaged if set_aside => {
                snapshot.quarantine(&stored.digest, &stored.location).map_err(facts)?;
                copied.broken.push(stored.digest);
            }
            Outcome::Missing => return Err(broken(format!("{} is not there", stored.digest))),
            Outcome::Damaged => return Err(broken(format!("{} is not what it should be", stored.digest))),
        }
    }
    copying.sync()?;
    drop(store);
    snapshot.close().map_err(facts)?;
    rename(&new, &to.database)?;
    sync_folder(to.database.parent().unwrap_or(Path::new(".")))?;
    Ok(copied)
}

impl Copied {
    fn count(&mut self, stored: &StoredBlob, copied: bool) {
        self.blobs += 1;
        self.bytes += stored.size;
        self.copied += u64::from(copied);
    }
}

/// Content on its way from one folder to another.
struct Copying<'a> {
    from: &'a Path,
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

impl Copying<'_> {
    fn blob(&mut self, stored: &StoredBlob) -> Result<Outcome, BackupError> {
        // Nothing that leads out of the folder, or to other content, is its location.
        if !filesystem::is_location_of(&stored.digest, &stored.location) {
            return Ok(Outcome::Damaged);
        }
        let (from, to) = (self.from.join(stored.location.as_str()), self.to.join(stored.location.as_str()));
        if !self.verify
            && fs::symlink_metadata(&to).is_ok_and(|there| there.is_file() && there.len() == stored.size)
        {
            return Ok(Outcome::There);
        }
        let mut source = match open_content(&from) {
            Ok(source) => source,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Outcome::Missing),
            Err(error) if is_damage(&error) => return Ok(Outcome::Damaged),
            Err(error) => return Err(io_error(&from)(error)),
        };
        if let Some(folder) = to.parent().filter(|folder| !self.folders.contains(*folder)) {
            make_folder(folder)?;
            self.folders.insert(folder.into());
        }
        let part = beside(&to, PART);
        let mut target = create(&part)?;
        let read = hashed(&mut source, stored.digest.algorithm(), |chunk| {
            target.write_all(chunk).map_err(io_error(&part))
        });
        match read? {
            Ok(digest) if digest == stored.digest => {}
            Err(error) if !is_damage(&error) => return Err(io_error(&from)(error)),
            Ok(_) | Err(_) => {
                fs::remove_file(&part).map_err(io_error(&part))?;
                return Ok(Outcome::Damaged);
            }
        }
        // Whatever has its name is whole, also after a power cut.
        target.sync_all().map_err(io_error(&part))?;
        rename(&part, &to)?;
        Ok(Outcome::Copied)
    }

    /// Whether what is there already hashes to its digest.
    fn has_sound(&self, stored: &StoredBlob) -> Result<bool, BackupError> {
        if !filesystem::is_location_of(&stored.digest, &stored.location) {
            return Ok(false);
        }
        let there = self.to.join(stored.location.as_str());
        let read = match open_content(&there) {
            Ok(mut file) => hashed(&mut file, stored.digest.algorithm(), |_| Ok(()))?,
            Err(error) => Err(error),
        };
        match read {
            Ok(digest) => Ok(digest == stored.digest),
            Err(error) if error.kind() == ErrorKind::NotFound || is_damage(&error) => Ok(false),
            Err(error) => Err(io_error(&there)(error)),
        }
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

/// Reads to the end, chunk by chunk; reading fails within, taking a chunk without.
fn hashed(
    source: &mut File,
    algorithm: Algorithm,
    mut take: impl FnMut(&[u8]) -> Result<(), BackupError>,
) -> Result<io::Result<Digest>, BackupError> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok(Ok(hasher.finish())),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Err(error)),
        };
        let chunk = buffer.get(..read).unwrap_or_default();
        hasher.update(chunk);
        take(chunk)?;
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
