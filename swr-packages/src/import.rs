//! Packages, in: read to their end, planned, pushed image by image.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::BoxStream;
use swr_core::digest::Digest;
use swr_core::manifest::ManifestRecord;
use swr_core::registry::{ManifestPush, Mounted, Precondition};
use swr_core::{Access, Error, RepositoryName, Tag};
use tracing::instrument;

use crate::contents::Part;
use crate::error::{Defect, ImportError, Reason};
use crate::form::FormError;
use crate::intake::Archive;
use crate::layout::{Describer, Image, Whole};
use crate::names::{Destination, Version, version};
use crate::options::ImportOptions;
use crate::progress::{Progress, Report, STEP};
use crate::source::Package;

/// How many files one upload may have.
pub const FILES_MAX: usize = 10;

/// What became of an image of a package, under one of its names.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageOutcome {
    /// What the package calls it; where it gives no name, where in the package it is.
    pub name: Box<str>,
    /// The version that it is now, or why it is none.
    pub result: Result<ImportedImage, Arc<ImportError>>,
}

/// A version that an import has set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportedImage {
    /// The version.
    pub version: Version,
    /// What it points to.
    pub digest: Digest,
}

/// What became of one of several files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileOutcome {
    /// What its sender calls it. Nothing else goes by that name.
    pub name: Box<str>,
    /// Its images, or why it has none.
    pub result: Result<Vec<ImageOutcome>, Arc<ImportError>>,
}

/// Files of an upload as they come: what the sender calls each, and what is in it. One is read or dropped before the next
/// is asked for.
pub type Files = BoxStream<'static, Result<(Box<str>, Package), FormError>>;

/// Why an upload goes no further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// There are more files in it than may be.
    #[error(transparent)]
    TooManyFiles(#[from] TooManyFiles),
    /// A repository and a tag are named for more than one file.
    #[error("a repository and a tag can be named for one file")]
    TargetOfMany,
    /// There is no file in it.
    #[error("there is no file in the upload")]
    NoFile,
    /// The files do not come as they should.
    #[error(transparent)]
    Form(#[from] FormError),
}

/// An upload has more files than may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {FILES_MAX} files in one upload")]
#[expect(clippy::exhaustive_structs, reason = "it says all there is to say")]
pub struct TooManyFiles;

/// Imports the files one after the other, in the order given. One that fails does not stop those after it; more than
/// [`FILES_MAX`] of them are refused before anything is read.
pub async fn import_all(
    access: &Access<'_>,
    destination: &Destination,
    files: Vec<(Box<str>, Package)>,
    options: &ImportOptions,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<FileOutcome>, TooManyFiles> {
    if files.len() > FILES_MAX {
        return Err(TooManyFiles);
    }
    let mut outcomes = Vec::with_capacity(files.len());
    for (number, (name, package)) in files.into_iter().enumerate() {
        report(Progress::File { number, name: name.clone() });
        let result = import(access, destination, package, options, report).await;
        let outcome = FileOutcome { name, result: result.map_err(Arc::new) };
        report(Progress::FileDone(outcome.clone()));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Imports the images of a package, and says of each name what became of it.
///
/// The package is read to its end before anything of it is pushed: one that has something wrong with it as a whole, or
/// that breaks off, leaves nothing. After that each image stands for itself. It is pushed blob by blob and then its
/// manifest with its tag in one step, so that a version is there whole or not at all; its blobs are looked for in the
/// registry first. Blobs of an image that is refused at the very end, as when the store has no room left, are like
/// those of a push that was given up: nobody sees them, and collection removes them.
///
/// May be dropped at any point. Needs a tokio runtime.
#[instrument(level = "debug", skip_all, fields(organisation = %destination.organisation))]
pub async fn import(
    access: &Access<'_>,
    destination: &Destination,
    package: Package,
    options: &ImportOptions,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<ImageOutcome>, ImportError> {
    let archive = Archive::read(package.0, options, report).await?;
    let mut describer = Describer::new(&archive, access.limits().manifest_bytes_max);
    let images = describer.images().await?;
    if destination.target.is_some() && images.len() != 1 {
        return Err(Defect::of(Reason::TargetOfMany { images: images.len() }).into());
    }

    let mut outcomes = Outcomes { told: Vec::new(), report };
    let mut taken: HashMap<Version, usize> = HashMap::new();
    for (number, image) in images.iter().enumerate() {
        let mut whole = None;
        let mut holding = HashSet::new();
        for (name, version) in wanted(image, destination) {
            let version = match version {
                Ok(version) => version,
                Err(error) => {
                    outcomes.tell(name, Err(Arc::new(error)));
                    continue;
                }
            };
            if *taken.entry(version.clone()).or_insert(number) != number {
                let twice = Defect::at(&name, Reason::NamedTwice);
                outcomes.tell(name, Err(Arc::new(twice.into())));
                continue;
            }
            // Looked for once there is a name for it.
            if whole.is_none() {
                whole = Some(describer.whole(image).await.map_err(Arc::new));
            }
            let result = match &whole {
                Some(Ok(whole)) => {
                    let pushing = Pushing { access, archive: &archive, whole, version: &version };
                    pushing.push(&mut holding, outcomes.report).await.map_err(Arc::new)
                }
                Some(Err(error)) => Err(error.clone()),
                None => continue,
            };
            outcomes.tell(name, result);
        }
    }
    Ok(outcomes.told)
}

/// The names of an image, and the versions that they mean.
fn wanted(image: &Image, destination: &Destination) -> Vec<(Box<str>, Result<Version, ImportError>)> {
    let organisation = &destination.organisation;
    if let Some(target) = &destination.target {
        let name = format!("{}:{}", target.repository, target.tag).into();
        let is_inside = target.repository.components().next() == Some(organisation.as_ref());
        return vec![(name, if is_inside { Ok(target.clone()) } else { Err(ImportError::Denied(None)) })];
    }
    if image.names.is_empty() {
        let unnamed = Defect::at(&image.shown, Reason::Unnamed);
        return vec![(image.shown.clone(), Err(unnamed.into()))];
    }
    image.names.iter().map(|name| (name.clone(), version(name, organisation))).collect()
}

/// What became of images so far, and who is told.
struct Outcomes<'r, 'f> {
    told: Vec<ImageOutcome>,
    report: &'r mut Report<'f>,
}

impl Outcomes<'_, '_> {
    fn tell(&mut self, name: Box<str>, result: Result<ImportedImage, Arc<ImportError>>) {
        let outcome = ImageOutcome { name, result };
        (self.report)(Progress::Image(outcome.clone()));
        self.told.push(outcome);
    }
}

/// An image on its way to one version.
struct Pushing<'p> {
    access: &'p Access<'p>,
    archive: &'p Archive,
    whole: &'p Whole,
    version: &'p Version,
}

impl Pushing<'_> {
    /// Pushes it; `holding` are the repositories that have its content by now.
    async fn push(
        &self,
        holding: &mut HashSet<RepositoryName>,
        report: &mut Report<'_>,
    ) -> Result<ImportedImage, ImportError> {
        let Version { repository, tag } = self.version;
        let Some((own, children)) = self.whole.manifests.split_last() else {
            return Err(Defect::of(Reason::NoImage).into());
        };
        let tags = std::slice::from_ref(tag);
        // What cannot be taken is refused before a byte is written.
        self.within_limits().map_err(ImportError::of)?;
        self.access.admit_push(repository, tags, &own.digest).await.map_err(ImportError::of)?;
        if !holding.contains(repository) {
            for part in &self.whole.blobs {
                let written = self.bring(part, report).await.map_err(ImportError::of)?;
                let (repository, digest, size) = (repository.clone(), part.digest, part.size);
                report(Progress::Blob { repository, digest, size, written });
            }
            for child in children {
                self.manifest(child, &[]).await?;
            }
            holding.insert(repository.clone());
        }
        self.manifest(own, tags).await?;
        Ok(ImportedImage { version: self.version.clone(), digest: own.digest })
    }

    fn within_limits(&self) -> Result<(), Error> {
        let limits = self.access.limits();
        let (blob, manifest) = (limits.blob_bytes_max, limits.manifest_bytes_max);
        if self.whole.blobs.iter().any(|part| part.size > blob) {
            return Err(Error::BlobTooLarge { limit: blob });
        }
        if self.whole.manifests.iter().any(|record| record.bytes.len() > manifest) {
            return Err(Error::ManifestTooLarge { limit: manifest });
        }
        Ok(())
    }

    /// Gives the repository a blob, and says whether its bytes had to be written.
    async fn bring(&self, part: &Part, report: &mut Report<'_>) -> Result<bool, Error> {
        let Version { repository, .. } = self.version;
        match self.access.stat_blob(repository, &part.digest).await {
            Ok(_) => return Ok(false),
            Err(error @ (Error::Store(_) | Error::StoreFull(_))) => return Err(error),
            // Not there, or not for this caller to see.
            Err(_) => {}
        }
        if let Mounted::Linked(_) = self.access.mount_blob(repository, &part.digest, None).await? {
            return Ok(false);
        }
        let Part { digest, size, .. } = *part;
        let mut tell =
            |bytes| report(Progress::Writing { repository: repository.clone(), digest, bytes, size });
        let read = Arc::new(AtomicU64::new(0));
        let body = self.archive.stream(*part, &read);
        let mut pushing = pin!(self.access.push_blob(repository, &digest, body));
        let mut told = 0;
        tell(told);
        let pushed = poll_fn(|context| {
            let polled = pushing.as_mut().poll(context);
            let read = read.load(Ordering::Relaxed);
            if read - told >= STEP {
                told = read;
                tell(told);
            }
            polled
        });
        pushed.await?;
        Ok(true)
    }

    async fn manifest(&self, manifest: &ManifestRecord, tags: &[Tag]) -> Result<(), ImportError> {
        let push = ManifestPush {
            reference: manifest.digest.into(),
            tags: tags.to_vec(),
            media_type: Some(manifest.media_type.clone()),
            bytes: manifest.bytes.clone(),
            precondition: Precondition::None,
        };
        let pushed = self.access.push_manifest(&self.version.repository, push).await;
        pushed.map(drop).map_err(ImportError::of)
    }
}
