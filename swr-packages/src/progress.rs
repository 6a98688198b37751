//! What is told while an import runs.

use swr_core::RepositoryName;
use swr_core::digest::Digest;

use crate::import::{FileOutcome, ImageOutcome};

/// Something that has just happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The next of several files is begun.
    File {
        /// Which one, from 0.
        number: usize,
        /// What its sender calls it.
        name: &'a str,
    },
    /// More of the package has been read.
    Read {
        /// How much in all, in bytes as they come.
        bytes: u64,
        /// How much there is, where that is known before.
        of: Option<u64>,
    },
    /// An entry of the archive was found.
    Entry {
        /// Its path.
        name: &'a str,
        /// How long it is, in bytes.
        size: u64,
    },
    /// A repository holds one more blob of an image.
    Blob {
        /// The repository.
        repository: &'a RepositoryName,
        /// The blob.
        digest: &'a Digest,
        /// How long it is, in bytes.
        size: u64,
        /// Whether its bytes had to be written, since the registry did not have it where the caller may read.
        written: bool,
    },
    /// An image is a version now, or was refused.
    Image(&'a ImageOutcome),
    /// A file is done with.
    FileDone(&'a FileOutcome),
}

/// Who is told.
pub(crate) type Report<'r> = dyn FnMut(Progress<'_>) + Send + 'r;
