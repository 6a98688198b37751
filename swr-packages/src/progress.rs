//! What is told while an import runs.

use std::sync::Arc;

use swr_core::RepositoryName;
use swr_core::digest::Digest;

use crate::import::{FileOutcome, ImageOutcome, UploadError};

/// After how many bytes it is told again how far something has come.
pub(crate) const STEP: u64 = 1 << 20;

/// Something that has just happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// The next of several files is begun.
    File {
        /// Which one, from 0.
        number: usize,
        /// What its sender calls it.
        name: Box<str>,
    },
    /// More of the package has been read: told about once a mebibyte, and at its end.
    Read {
        /// How much in all, in bytes as they come.
        bytes: u64,
        /// How much there is, where that is known before.
        of: Option<u64>,
    },
    /// An entry of the archive was found.
    Entry {
        /// Its path.
        name: Box<str>,
        /// How long it is, in bytes.
        size: u64,
    },
    /// A blob of an image is being written: told when it is begun, and about once a mebibyte.
    Writing {
        /// The repository that it is for.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
        /// How much of it has been written, in bytes.
        bytes: u64,
        /// How long it is, in bytes.
        size: u64,
    },
    /// A repository holds one more blob of an image.
    Blob {
        /// The repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
        /// How long it is, in bytes.
        size: u64,
        /// Whether its bytes had to be written, since the registry did not have it where the caller may read.
        written: bool,
    },
    /// An image is a version now, or was refused.
    Image(ImageOutcome),
    /// A file is done with.
    FileDone(FileOutcome),
    /// The upload goes no further: what comes after this in it is not read.
    Broken(Arc<UploadError>),
}

/// Who is told.
pub(crate) type Report<'r> = dyn FnMut(Progress) + Send + 'r;
