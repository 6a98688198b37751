//! What is known of an upload between two requests: a small file beside its bytes.
//!
//! The file has two slots, written in turn: whatever happens to the one being written, the other has what was
//! true before. To replace a file by a rename would do as well, and cost a third more CPU a push: a new inode
//! each time, and file systems that write its content out at once.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use chrono::{DateTime, Utc};
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use swr_core::commit::StoredBlob;
use swr_core::digest::{Algorithm, Hasher};
use swr_core::upload::{Upload, UploadId};

use super::layout::{self, Folders};

/// How long one of the two slots of a session file is, in bytes: the most that a session can take.
const SLOT: usize = 8 * 1024;

/// An upload as its session file has it. The first `upload.offset` bytes were on the disk before this was
/// saved, and `hash` is the state after exactly these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    /// How many sessions were saved before it: of two slots, the later one counts.
    turn: u64,
    /// The upload, at the offset that the next bytes are taken at.
    pub(super) upload: Upload,
    /// When it was begun, or last grew.
    pub(super) touched: DateTime<Utc>,
    /// The saved hash state.
    hash: String,
    /// What finishing it gave; set before the bytes move there.
    pub(super) stored: Option<StoredBlob>,
}

/// What there is of a session.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A file that is no session of this upload, or not all of it.
    Torn,
    /// The session.
    Whole(Box<Session>),
}

impl Session {
    /// A new upload's.
    pub(super) fn begun(upload: &Upload) -> Self {
        let hash = Hasher::new(upload.algorithm).save();
        let upload = Upload { offset: 0, ..upload.clone() };
        Self { turn: 0, touched: upload.begun, upload, hash, stored: None }
    }

    /// The same upload after it grew.
    pub(super) fn grown(&self, offset: u64, hasher: &Hasher, at: DateTime<Utc>) -> Self {
        let upload = Upload { offset, ..self.upload.clone() };
        Self { turn: self.turn + 1, upload, touched: at, hash: hasher.save(), stored: None }
    }

    /// The same upload once it is known where its content goes.
    pub(super) fn finished(self, stored: StoredBlob) -> Self {
        Self { turn: self.turn + 1, stored: Some(stored), ..self }
    }

    /// The hash state after the bytes that are here. `None` when it was saved by a version that writes
    /// another shape: the bytes have to be read again.
    pub(super) fn hasher(&self) -> Option<Hasher> {
        Hasher::restore(&self.hash).filter(|hasher| hasher.algorithm() == self.upload.algorithm)
    }

    /// Reads the session of `id`.
    pub(super) fn load(folders: &Folders, id: &UploadId) -> io::Result<Found> {
        let file = match layout::open(&folders.uploads, &layout::session_name(id), OFlags::RDONLY) {
            Ok(file) => file,
            Err(error) => {
                return match Errno::from_io_error(&error) {
                    Some(Errno::NOENT) => Ok(Found::Nothing),
                    Some(Errno::LOOP | Errno::NXIO) => Ok(Found::Torn),
                    _ => Err(error),
                };
            }
        };
        let mut text = vec![0; 2 * SLOT];
        match read_all(&file, &mut text) {
            Ok(length) => text.truncate(length),
            Err(error) => {
                return match Errno::from_io_error(&error) {
                    Some(Errno::ISDIR | Errno::SPIPE) => Ok(Found::Torn),
                    _ => Err(error),
                };
            }
        }
        let slots = text.chunks(SLOT).filter_map(Self::decode).filter(|session| session.upload.id == *id);
        let latest = slots.max_by_key(|session| session.turn);
        Ok(latest.map_or(Found::Torn, |session| Found::Whole(Box::new(session))))
    }

    /// Writes the session of an upload that is not there yet.
    pub(super) fn create(&self, folders: &Folders) -> io::Result<()> {
        let name = layout::session_name(&self.upload.id);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let created = self.write(&layout::open(&folders.uploads, &name, flags)?);
        if created.is_err() {
            // What there is no room for must not take any.
            let _ = layout::remove(&folders.uploads, &name);
        }
        created
    }

    /// Saves the session in place of the one before the last.
    pub(super) fn save(&self, folders: &Folders) -> io::Result<()> {
        let name = layout::session_name(&self.upload.id);
        self.write(&layout::open(&folders.uploads, &name, OFlags::WRONLY)?)
    }

    fn write(&self, file: &File) -> io::Result<()> {
        file.write_all_at(self.encode()?.as_bytes(), self.turn % 2 * SLOT as u64)
    }

    /// The session as a line of JSON, and the digest of that line: what a crash tears is not taken for
    /// whole. What follows is left of a longer one.
    fn encode(&self) -> io::Result<String> {
        let line = serde_json::to_string(self)?;
        let digest = Algorithm::Sha256.digest(line.as_bytes());
        let text = format!("{line}\n{digest}\n");
        if text.len() > SLOT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the upload's owner has too long a name",
            ));
        }
        Ok(text)
    }

    fn decode(text: &[u8]) -> Option<Self> {
        let mut lines = text.split(|byte| *byte == b'\n');
        let (line, digest) = (lines.next()?, lines.next()?);
        if digest != Algorithm::Sha256.digest(line).to_string().as_bytes() {
            return None;
        }
        serde_json::from_slice(line).ok()
    }
}

/// Reads from the beginning for as long as there is room and something to read; says how much there was.
fn read_all(file: &File, into: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = into.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use swr_core::caller::Caller;

    use super::*;

    fn session() -> Session {
        let upload = Upload {
            id: UploadId::random(),
            repository: "library/hello".parse().unwrap(),
            owner: Caller::Anonymous,
            algorithm: Algorithm::Sha256,
            begun: DateTime::UNIX_EPOCH,
            offset: 0,
        };
        Session::begun(&upload)
    }

    #[test]
    fn a_session_reads_back_as_it_was_written() {
        let session = session();
        assert_eq!(Session::decode(session.encode().unwrap().as_bytes()), Some(session));
    }

    #[test]
    fn no_part_of_a_session_is_taken_for_it() {
        let text = session().encode().unwrap().into_bytes();
        for cut in 0..text.len() - 1 {
            assert_eq!(Session::decode(&text[..cut]), None, "{cut}");
            let mut zeroed = text.clone();
            zeroed[cut..].fill(0);
            assert_eq!(Session::decode(&zeroed), None, "{cut}");
            let mut flipped = text.clone();
            flipped[cut] ^= 1;
            assert_eq!(Session::decode(&flipped), None, "{cut}");
        }
    }

    #[test]
    fn what_is_left_of_a_longer_session_does_no_harm() {
        let (short, mut long) = (session(), session());
        long.hash.push_str(&long.hash.clone());
        let mut slot = long.encode().unwrap().into_bytes();
        let text = short.encode().unwrap();
        slot[..text.len()].copy_from_slice(text.as_bytes());
        assert_eq!(Session::decode(&slot), Some(short));
    }

    #[test]
    fn a_hash_state_of_another_version_or_algorithm_is_not_taken_up() {
        let mut session = session();
        assert!(session.hasher().is_some());
        session.hash = "sha2-9.9:sha256:00".into();
        assert!(session.hasher().is_none());
        session.hash = Hasher::new(Algorithm::Sha512).save();
        assert!(session.hasher().is_none());
    }
}
