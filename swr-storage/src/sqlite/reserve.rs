//! Room on the disk that is kept for the day when there is none.
//!
//! The WAL has its length from the beginning and is never shrunk or removed, so that commits overwrite blocks
//! that are there. What a full disk still refuses is the growth of the database, when the WAL is moved into
//! it. For that a file of zeros stands beside the database. When the disk is full, it is turned into free
//! pages of the database, piece by piece, so that nobody else takes the room; they are for removals, until
//! there is room to put the file back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use swr_core::planted::is_planted;

/// The file of zeros.
#[derive(Debug)]
pub(super) struct Reserve {
    /// None where there is no disk, or nothing to be kept.
    file: Option<PathBuf>,
    bytes: u64,
}

impl Reserve {
    /// What is given at a time, in bytes.
    pub(super) const PIECE: u32 = 256 << 10;

    pub(super) fn new(file: PathBuf, bytes: u64) -> Self {
        Self { file: (bytes > 0 && !is_planted("no reserve")).then_some(file), bytes }
    }

    pub(super) const fn none() -> Self {
        Self { file: None, bytes: 0 }
    }

    /// Puts the file there, whole, or leaves what there is.
    pub(super) fn put(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let length = fs::metadata(file).map_or(0, |found| found.len());
        fill(file, self.bytes).inspect_err(|_| {
            // No more than there was is kept from others.
            let _: io::Result<()> =
                File::options().write(true).open(file).and_then(|file| file.set_len(length));
        })
    }

    /// Gives a piece of its room away. Says whether there was one; the last piece is kept for [`Self::give`].
    pub(super) fn give_piece(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let shrunk = File::options().write(true).open(file).and_then(|file| {
            let length = file.metadata()?.len();
            let shorter = length.saturating_sub(Self::PIECE.into()).max(Self::PIECE.into());
            if shorter < length { file.set_len(shorter).map(|()| true) } else { Ok(false) }
        });
        match shrunk {
            Ok(given) => given,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                tracing::error!(file = %file.display(), %error, "the reserve cannot be given up");
                false
            }
        }
    }

    /// Gives away all its room.
    pub(super) fn give(&self) {
        // One that is not there has no room.
        let _: Option<io::Result<()>> = self.file.as_ref().map(fs::remove_file);
    }
}

/// Brings the file to `bytes` at least by adding zeros, and waits until they are on the disk.
pub(super) fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    const ZEROS: &[u8] = &[0; 64 << 10];
    let mut file = File::options().create(true).append(true).open(path)?;
    let mut missing = bytes.saturating_sub(file.metadata()?.len());
    if missing == 0 {
        return Ok(());
    }
    while missing > 0 {
        let zeros = usize::try_from(missing).ok().and_then(|missing| ZEROS.get(..missing)).unwrap_or(ZEROS);
        file.write_all(zeros)?;
        missing -= zeros.len() as u64;
    }
    file.sync_all()
}

/// A file that one process at a time holds. It is let go with the value, however the process ends.
pub(super) fn hold(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.try_lock()?;
    Ok(file)
}
