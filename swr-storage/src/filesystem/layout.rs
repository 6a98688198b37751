//! Where everything lies: digest and upload id → path. No location is given twice, and none leads out.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use swr_core::commit::BlobLocation;
use swr_core::digest::{Algorithm, Digest};
use swr_core::upload::UploadId;

/// Names the format of everything else.
pub(super) const FORMAT: &str = "format";
/// The format file as it is being written.
pub(super) const NEW_FORMAT: &str = "format.new";
/// Held locked by the process that has the store open.
pub(super) const LOCK: &str = "lock";

/// The folder of finished bytes.
pub(super) const BLOBS: &str = "blobs";

/// The folder of uploads.
const UPLOADS: &str = "uploads";

/// What comes behind an upload's id in the name of its session file.
const SESSION: &str = ".session";

/// The folders that are held open. Whatever lies in them is opened by one plain name at a time and never
/// through a symbolic link, so that neither a location nor something planted can lead elsewhere.
#[derive(Debug)]
pub(super) struct Folders {
    /// The store's own folder.
    pub(super) root: File,
    /// Uploads: `<id>` has the bytes, `<id>.session` says what they are.
    pub(super) uploads: File,
    sha256: File,
    sha512: File,
    /// The folders of content that will be there after a power cut: 512 at most.
    durable: Mutex<BTreeSet<(Algorithm, String)>>,
}

impl Folders {
    /// Opens the folders below `root`; makes those that are missing, durably.
    pub(super) fn open(root: File) -> io::Result<Self> {
        let (uploads, made_uploads) = make_folder(&root, UPLOADS)?;
        let (blobs, made_blobs) = make_folder(&root, BLOBS)?;
        let (sha256, made_sha256) = make_folder(&blobs, Algorithm::Sha256.as_str())?;
        let (sha512, made_sha512) = make_folder(&blobs, Algorithm::Sha512.as_str())?;
        if made_sha256 | made_sha512 {
            blobs.sync_all()?;
        }
        if made_uploads | made_blobs {
            root.sync_all()?;
        }
        let folders = Self { root, uploads, sha256, sha512, durable: Mutex::default() };
        for algorithm in Algorithm::ALL {
            let prefixes = prefixes_in(folders.of(algorithm))?;
            // A process that was killed may have left some that are not on the disk yet.
            folders.of(algorithm).sync_all()?;
            folders.durable().extend(prefixes.into_iter().map(|prefix| (algorithm, prefix)));
        }
        Ok(folders)
    }

    /// Opens the folders below `root` to read in them: none is made, nor is anything written to the disk.
    pub(super) fn find(root: File) -> io::Result<Self> {
        let uploads = open_folder(&root, UPLOADS)?;
        let blobs = open_folder(&root, BLOBS)?;
        let sha256 = open_folder(&blobs, Algorithm::Sha256.as_str())?;
        let sha512 = open_folder(&blobs, Algorithm::Sha512.as_str())?;
        Ok(Self { root, uploads, sha256, sha512, durable: Mutex::default() })
    }

    /// The folder of all content under this algorithm.
    pub(super) fn of(&self, algorithm: Algorithm) -> &File {
        match algorithm {
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512 => &self.sha512,
        }
    }

    /// The folder that `place` lies in; `None` when there is none.
    pub(super) fn folder_of(&self, place: &Place) -> io::Result<Option<File>> {
        found(open_folder(self.of(place.digest.algorithm()), &place.prefix()))
    }

    /// Opens what lies at `place` to read it; `None` when nothing does.
    pub(super) fn file_at(&self, place: &Place) -> io::Result<Option<File>> {
        // At once, where the kernel can promise to follow no link on the way.
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{ResolveFlags, openat2};

            let path = format!("{}/{}", place.prefix(), place.name());
            let (above, flags) = (self.of(place.digest.algorithm()), OFlags::RDONLY | GUARDED);
            let open = || openat2(above, &path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
            match rustix::io::retry_on_intr(open) {
                Err(Errno::NOSYS | Errno::PERM) => {}
                Err(Errno::NOENT) => return Ok(None),
                opened => return Ok(Some(File::from(opened?))),
            }
        }
        let Some(folder) = self.folder_of(place)? else { return Ok(None) };
        found(open(&folder, &place.name(), OFlags::RDONLY))
    }

    /// The folder that `place` is to lie in: made if it is missing, and on the disk either way.
    pub(super) fn folder_for(&self, place: &Place) -> io::Result<File> {
        let (algorithm, prefix) = (place.digest.algorithm(), place.prefix());
        let above = self.of(algorithm);
        let mut durable = self.durable();
        if !durable.contains(&(algorithm, prefix.clone())) {
            make_name(above, &prefix)?;
            if let Err(error) = above.sync_all() {
                // Made anew, it is written anew: to sync once more would say nothing about this one.
                let _ = rustix::fs::unlinkat(above, &prefix, AtFlags::REMOVEDIR);
                return Err(error);
            }
            durable.insert((algorithm, prefix.clone()));
        }
        drop(durable);
        open_folder(above, &prefix)
    }

    fn durable(&self) -> MutexGuard<'_, BTreeSet<(Algorithm, String)>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of the folders that content is spread over: `00` to `ff`.
pub(super) fn prefixes() -> impl Iterator<Item = String> + Send {
    (0..=u8::MAX).map(|byte| format!("{byte:02x}"))
}

/// A place for finished bytes: `sha256/ab/<hash>.<upload id>`. The digest tells what ought to be there, and
/// the upload's id makes the place its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    digest: Digest,
    upload: UploadId,
}

impl Place {
    /// The place for what `upload` brought.
    pub(super) fn new(digest: Digest, upload: UploadId) -> Self {
        Self { digest, upload }
    }

    /// Reads a location; `None` for every text that [`Self::location`] does not write.
    pub(super) fn parse(location: &BlobLocation) -> Option<Self> {
        let (algorithm, rest) = location.as_str().split_once('/')?;
        let (prefix, name) = rest.split_once('/')?;
        let place = Self::named(Algorithm::parse(algorithm)?, name)?;
        (place.prefix() == prefix).then_some(place)
    }

    /// The place of the file `name` among the content of `algorithm`.
    pub(super) fn named(algorithm: Algorithm, name: &str) -> Option<Self> {
        let (hash, upload) = name.split_once('.')?;
        let digest = Digest::parse(&format!("{algorithm}:{hash}")).ok()?;
        Some(Self { digest, upload: UploadId::parse(upload).ok()? })
    }

    /// What ought to be there.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The place as it is kept in the facts.
    pub(super) fn location(&self) -> BlobLocation {
        BlobLocation::new(format!("{}/{}/{}", self.digest.algorithm(), self.prefix(), self.name()))
    }

    /// The folder's name, below that of the algorithm.
    pub(super) fn prefix(&self) -> String {
        self.digest.hex().chars().take(2).collect()
    }

    /// The file's name.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.digest.hex(), self.upload)
    }
}

/// The name of an upload's session file.
pub(super) fn session_name(id: &UploadId) -> String {
    format!("{id}{SESSION}")
}

/// What a name among the uploads is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UploadFile {
    /// The session of this upload.
    Session(UploadId),
    /// The bytes of this upload.
    Bytes(UploadId),
}

impl UploadFile {
    /// Reads a name; `None` when it is none of ours.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name.strip_suffix(SESSION) {
            Some(id) => UploadId::parse(id).ok().map(Self::Session),
            None => UploadId::parse(name).ok().map(Self::Bytes),
        }
    }
}

/// The folders that content is spread over, as far as they are there.
fn prefixes_in(folder: &File) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_str().ok();
        found.extend(prefixes().find(|prefix| Some(prefix.as_str()) == name));
    }
    Ok(found)
}

/// What was looked for, or that it is not there.
pub(super) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Opens the folder `name` in `parent`, when it is one.
pub(super) fn open_folder(parent: &File, name: &str) -> io::Result<File> {
    open(parent, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Neither a link is followed, nor the other end of a pipe awaited.
const GUARDED: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Opens the file `name` in `folder`. Never follows a link, and never waits for the other end of a pipe.
pub(super) fn open(folder: &File, name: &str, flags: OFlags) -> io::Result<File> {
    let flags = flags | GUARDED;
    let mode = Mode::RUSR | Mode::WUSR;
    Ok(File::from(rustix::io::retry_on_intr(|| rustix::fs::openat(folder, name, flags, mode))?))
}

/// What `name` in `folder` is, not what it points to; `None` when there is nothing.
pub(super) fn status(folder: &File, name: &str) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => Ok(Some(status)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The length of a plain file; `None` for everything else.
pub(super) fn file_length(status: &Stat) -> Option<u64> {
    let plain = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    u64::try_from(status.st_size).ok().filter(|_| plain)
}

/// Removes the file `name`; says whether there was one.
pub(super) fn remove(folder: &File, name: &str) -> io::Result<bool> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens the folder `path`; makes it and those above it where they are missing, durably. Links in `path`
/// itself are the operator's and are followed.
pub(super) fn make_path(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let parent = match path.parent() {
        None => return File::open(path),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    let above = make_path(parent)?;
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    above.sync_all()?;
    File::open(path)
}

/// Opens the folder `name`; says whether it had to be made.
fn make_folder(parent: &File, name: &str) -> io::Result<(File, bool)> {
    let made = make_name(parent, name)?;
    Ok((open_folder(parent, name)?, made))
}

fn make_name(parent: &File, name: &str) -> io::Result<bool> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_reads_back_as_the_place_that_wrote_it() {
        for algorithm in Algorithm::ALL {
            let place = Place::new(algorithm.digest(b"layer"), UploadId::random());
            assert_eq!(Place::parse(&place.location()), Some(place));
        }
    }

    #[test]
    fn no_other_text_is_a_location() {
        let place = Place::new(Algorithm::Sha256.digest(b"layer"), UploadId::random());
        let good = place.location();
        let good = good.as_str();
        for bad in [
            String::new(),
            "/etc/passwd".into(),
            "../../etc/passwd".into(),
            format!("/{good}"),
            format!("{good}/"),
            format!("{good}/.."),
            format!("./{good}"),
            good.to_uppercase(),
            good.replace("sha256", "sha512"),
            good.replace("sha256", ".."),
            good.replacen('/', "//", 1),
            good.replace('.', "/"),
            good.replace('.', ".."),
            good.replacen(&place.prefix(), "..", 1),
            good.replacen(&place.prefix(), if place.prefix() == "00" { "01" } else { "00" }, 1),
            format!("{good}\0"),
            format!("{good}.session"),
        ] {
            assert_eq!(Place::parse(&BlobLocation::new(bad.as_str())), None, "{bad:?}");
        }
    }

    #[test]
    fn names_among_the_uploads_are_told_apart() {
        let id = UploadId::random();
        assert_eq!(UploadFile::parse(&session_name(&id)), Some(UploadFile::Session(id.clone())));
        assert_eq!(UploadFile::parse(id.as_str()), Some(UploadFile::Bytes(id.clone())));
        for foreign in ["", "lost+found", ".session", &format!("{id}.session.session"), &format!("{id}~")] {
            assert_eq!(UploadFile::parse(foreign), None, "{foreign}");
        }
    }
}
