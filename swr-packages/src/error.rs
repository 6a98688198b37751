//! Why a package, or an image of one, was not taken.

use std::fmt;
use std::io;

use swr_core::Error;
use swr_core::digest::Digest;
use swr_core::stream::BodyError;

/// Why a package, or an image of one, was not taken. [`Display`](fmt::Display) is what a client may read; the chain of
/// sources is for the operator's log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is no package, or an image in it is none that the registry takes.
    #[error("invalid image format: {0}")]
    Format(#[from] Defect),
    /// The caller may not bring the image in.
    #[error("authentication failed")]
    Denied(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// It is too large, as it came or unpacked.
    #[error("a package may have at most {limit} bytes")]
    TooLarge {
        /// The bytes that it may have.
        limit: u64,
    },
    /// The package broke off on its way here.
    #[error("the package broke off before its end")]
    Interrupted(#[source] BodyError),
    /// It could not be read, or kept while it was read.
    #[error("the package could not be read")]
    Unreadable(#[source] io::Error),
    /// The registry did not take it.
    #[error(transparent)]
    Registry(Error),
}

impl ImportError {
    /// What a refusal of the engine means for an image.
    pub(crate) fn of(error: Error) -> Self {
        match error {
            Error::Denied(_) | Error::Unauthorized { .. } | Error::NameUnknown { .. } => {
                Self::Denied(Some(error.into()))
            }
            Error::NameInvalid(_)
            | Error::NameRefused(_)
            | Error::TagRefused(_)
            | Error::ManifestInvalid(_)
            | Error::ManifestTooLarge { .. }
            | Error::ManifestBlobUnknown(_)
            | Error::BlobTooLarge { .. }
            | Error::DigestMismatch { .. }
            | Error::SizeMismatch { .. } => Self::Format(Defect::of(Reason::Refused(Box::new(error)))),
            error => Self::Registry(error),
        }
    }
}

/// What is wrong with a package: where, and what.
#[derive(Debug)]
pub struct Defect {
    entry: Option<Box<str>>,
    reason: Reason,
}

impl Defect {
    pub(crate) fn of(reason: Reason) -> Self {
        Self { entry: None, reason }
    }

    pub(crate) fn at(entry: &str, reason: Reason) -> Self {
        Self { entry: Some(excerpt(entry)), reason }
    }

    /// The entry of the archive, or the name of the image, that is at fault, where it is one.
    pub fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }

    /// What is wrong with it.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry {
            Some(entry) => write!(f, "{entry:?}: {}", self.reason),
            None => self.reason.fmt(f),
        }
    }
}

impl std::error::Error for Defect {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Refused(error) => Some(error),
            _ => None,
        }
    }
}

/// What can be wrong with a package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// There is nothing in it.
    #[error("the package is empty")]
    Empty,
    /// It is something else than a tar archive, compressed with gzip or not.
    #[error("neither a tar archive nor one that is compressed with gzip")]
    NotTar,
    /// What gzip has made of it is damaged.
    #[error("damaged gzip data")]
    Gzip,
    /// A header of the archive is none.
    #[error("the header at byte {at} is damaged: {what}")]
    Header {
        /// Where in the archive.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It ends in the middle of something.
    #[error("the archive is cut off")]
    Truncated,
    /// Something follows the end of the archive.
    #[error("something follows the end of the archive")]
    TrailingData,
    /// There are too many entries.
    #[error("more than {limit} entries")]
    TooManyEntries {
        /// How many there may be.
        limit: usize,
    },
    /// An entry has a name that is no path within the archive.
    #[error("not a path within the archive: {0}")]
    Path(&'static str),
    /// Two entries have one name.
    #[error("the name stands twice in the archive")]
    Duplicate,
    /// A link leads out of the archive.
    #[error("the link leads out of the archive")]
    LinkOutside,
    /// A link leads nowhere, or round in a circle.
    #[error("the link leads to no file")]
    LinkNowhere,
    /// An entry is a device, a sparse file, or something else that no package has.
    #[error("entries of this kind have no place in a package")]
    Kind,
    /// An extended header is larger than any that is needed.
    #[error("an extended header of more than {limit} bytes")]
    LongHeader {
        /// The bytes that it may have.
        limit: u64,
    },
    /// A blob of an image layout is not what its name says.
    #[error("the content has another digest: {0}")]
    OtherDigest(Digest),
    /// Neither of the two files that say what is in a package is there.
    #[error("neither `manifest.json` nor `index.json` is there: not an image package")]
    NoManifest,
    /// There are no images in it.
    #[error("there is no image in the package")]
    NoImage,
    /// There are too many images in it.
    #[error("more than {limit} images")]
    TooManyImages {
        /// How many there may be.
        limit: usize,
    },
    /// The descriptions of images are too large.
    #[error("what describes the images has more than {limit} bytes")]
    LongDescription {
        /// The bytes that it may have.
        limit: u64,
    },
    /// A description is not the JSON that it should be.
    #[error("not the JSON that it should be: {0}")]
    Json(serde_json::Error),
    /// Something that an image needs is not in the package.
    #[error("not in the package")]
    Missing,
    /// The length of a part is not what the image says.
    #[error("the length is {actual} bytes, and the image says {said}")]
    OtherSize {
        /// What it is.
        actual: u64,
        /// What it should be.
        said: u64,
    },
    /// The config of an image and its layers do not fit.
    #[error("the layers are not those that the config of the image names")]
    OtherLayers,
    /// Indexes are nested too deeply.
    #[error("indexes are nested too deeply")]
    Depth,
    /// Nobody has said what the image is to be called.
    #[error("the package gives the image no name: name the repository and the tag that it is to become")]
    Unnamed,
    /// The text is not the name of an image.
    #[error("not `{{host}}/{{organization}}/{{repository}}[:{{tag}}]` and not `{{repository}}[:{{tag}}]`")]
    Shape,
    /// Two images have one name.
    #[error("the name is given to two images")]
    NamedTwice,
    /// A target was named for a package that has not exactly one image.
    #[error("a repository and a tag can be named for one image, and the package has {images}")]
    TargetOfMany {
        /// How many images there are.
        images: usize,
    },
    /// The registry does not take it.
    #[error("{}", Told(.0))]
    Refused(Box<Error>),
}

/// An error of the engine with what it rests on: the reason of a name is its source.
struct Told<'a>(&'a Error);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        match self.0 {
            Error::NameInvalid(source) => write!(f, ": {source}"),
            Error::NameRefused(source) | Error::TagRefused(source) => write!(f, ": {source}"),
            _ => Ok(()),
        }
    }
}

/// As much of a name as an error carries about.
fn excerpt(text: &str) -> Box<str> {
    const CHARS_MAX: usize = 300;
    text.chars().take(CHARS_MAX).collect()
}
