//! How a manifest is asked for.

use std::fmt;
use std::str::FromStr;

use swr_policy::{NameError, Tag};

use crate::digest::{Digest, DigestError};

/// A tag or a digest: the last part of a manifest's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the specification knows these two")]
pub enum Reference {
    /// By the name that was given to it.
    Tag(Tag),
    /// By what it contains.
    Digest(Digest),
}

impl Reference {
    /// Reads a reference. A text with a colon can only be a digest, one without only a tag.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Self::Digest(Digest::parse(text)?))
        } else {
            Ok(Self::Tag(Tag::parse(text)?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

/// Why a text is neither a tag nor a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// It has a colon and is no digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// It has no colon and is no tag.
    #[error(transparent)]
    Tag(#[from] NameError),
}
