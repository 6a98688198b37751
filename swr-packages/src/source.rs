//! Where a package comes from.

use std::fs::File;
use std::io::{self, Seek};

use swr_core::stream::ByteStream;

/// Where a package comes from: `.tar` or `.tar.gz`, told apart by the first bytes.
#[derive(Debug)]
pub struct Package(pub(crate) Source);

#[derive(Debug)]
pub(crate) enum Source {
    File { file: File, is_regular: bool },
    Stream(ByteStream),
}

impl Package {
    /// The file, from its beginning; a pipe from where it is. Blocks for a moment.
    ///
    /// A plain archive is read in place, twice, and nobody may change it meanwhile: what does not have the digest any
    /// more that it had is not taken.
    pub fn file(mut file: File) -> io::Result<Self> {
        let is_regular = file.metadata()?.is_file();
        if is_regular {
            file.rewind()?;
        }
        Ok(Self(Source::File { file, is_regular }))
    }

    /// A body that can be read once.
    pub fn stream(body: ByteStream) -> Self {
        Self(Source::Stream(body))
    }
}

impl Source {
    /// How long it is as it comes, in bytes, where that is known before.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::File { file, is_regular: true } => file.metadata().ok().map(|it| it.len()),
            Self::File { .. } => None,
            Self::Stream(body) => body.length(),
        }
    }
}
