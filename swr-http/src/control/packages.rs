//! Image packages, in and out, as they stream past (feature `packages`).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{ACCEPT, CONNECTION, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Version, request};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use swr_core::control::ControlError;
use swr_core::media_type::MediaType;
use swr_core::reference::Reference;
use swr_core::{OrganisationName, RepositoryName, Tag};
use swr_packages::import::{FILES_MAX, TooManyFiles};
use swr_packages::upload::{AdmissionError, Uploading};
use swr_packages::{Destination, FileOutcome, Form, ImageOutcome, Package, Progress, UploadError, export};

use super::endpoint::{Kind, ManagementEndpointError};
use super::error::{ManagementFailure, status};
use super::exchange::{Answer, Exchange, Reply};
use super::refusals::Attempt;
use crate::accept::Accept;
use crate::body::{self, RequestBody, ResponseBody};
use crate::exchange::{in_time, while_moving};
use crate::headers::{self, DOCKER_CONTENT_DIGEST};

/// Who stands between is not to keep what is told until there is more of it.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const EVENTS: &str = "text/event-stream";
const TAR: &str = "application/x-tar";
/// After how long it is worth another try when as many packages as may be are taken in.
const ROOM_AFTER: Duration = Duration::from_secs(10);

/// What became of an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[expect(clippy::exhaustive_structs, reason = "clients put it together of what they are told")]
pub struct PackageOutcome {
    /// Its files, in their order.
    pub files: Vec<PackageFile>,
    /// Why the upload went no further than these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What became of a file of an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[expect(clippy::exhaustive_structs, reason = "clients put it together of what they are told")]
pub struct PackageFile {
    /// What its sender calls it.
    pub name: String,
    /// Its images; none where it is no package.
    pub images: Vec<PackageImage>,
    /// Why it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What became of an image of a package, under one of its names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[expect(clippy::exhaustive_structs, reason = "clients put it together of what they are told")]
pub struct PackageImage {
    /// What the package calls it.
    pub name: String,
    /// The repository of the version that it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The tag of that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What it points to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Why it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<&FileOutcome> for PackageFile {
    fn from(file: &FileOutcome) -> Self {
        let images = file.result.iter().flatten().map(PackageImage::from).collect();
        Self {
            name: file.name.to_string(),
            images,
            error: file.result.as_ref().err().map(ToString::to_string),
        }
    }
}

impl From<&ImageOutcome> for PackageImage {
    fn from(image: &ImageOutcome) -> Self {
        let done = image.result.as_ref().ok();
        Self {
            name: image.name.to_string(),
            repository: done.map(|done| done.version.repository.to_string()),
            tag: done.map(|done| done.version.tag.to_string()),
            digest: done.map(|done| done.digest.to_string()),
            error: image.result.as_ref().err().map(ToString::to_string),
        }
    }
}

/// What the address says.
pub(super) struct Wanted<'a> {
    pub(super) organisation: &'a OrganisationName,
    /// The version that the one image becomes.
    pub(super) target: Option<&'a (RepositoryName, Tag)>,
    /// How many files its sender says that there are.
    pub(super) files: Option<u64>,
    /// What the trail is told where it fails once its answer says that it has begun.
    pub(super) attempt: Option<Attempt>,
}

/// Leaves a trace of what the status of the answer does not say.
fn trace(attempt: &mut Option<Attempt>, failure: &ManagementFailure) {
    if let Some(attempt) = attempt.take() {
        attempt.refused(status(failure, Some(Kind::UploadImagePackage)), failure);
    }
}

/// Takes packages in. Whoever accepts events is told what happens while it does; everybody else what became of it, and
/// of one package that is none at all that it is refused.
pub(super) async fn upload(
    exchange: &Exchange<'_>,
    mut wanted: Wanted<'_>,
    head: &request::Parts,
    body: RequestBody,
) -> Answer {
    let desk = exchange.options.packages.as_ref().ok_or(ManagementEndpointError::NoSuchPath)?;
    let mut destination = Destination::new(wanted.organisation.clone());
    if let Some((repository, tag)) = wanted.target {
        destination = destination.with_target(repository.clone(), tag.clone());
    }
    let admitted = desk.admit(exchange.signer.caller(), exchange.origin.clone(), destination);
    let admitted = in_time(exchange.options.answer_within, admitted).await?.map_err(|error| match error {
        AdmissionError::Control(error) => error.into(),
        _ => ManagementFailure::Busy { retry_after: ROOM_AFTER },
    })?;
    if wanted.files.is_some_and(|files| files > FILES_MAX as u64) {
        return Err(upload_failure(TooManyFiles.into()));
    }

    let progress = body.progress();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = header(CONTENT_TYPE);
    let is_form = Form::is_one(content_type);
    let uploading = if is_form {
        let form = desk.form(content_type, body.into_stream());
        admitted.files(form.map_err(|error| upload_failure(error.into()))?.into_files())
    } else {
        admitted.package("", Package::stream(body.into_stream()))
    };
    let mut watched = Watched { uploading, within: exchange.options.store_within, progress };
    let events = MediaType::parse(EVENTS).is_ok_and(|events| {
        let accept = header(ACCEPT);
        accept.contains(EVENTS) && Accept::parse(accept).admits(&events)
    });
    if !events {
        let mut outcome = PackageOutcome::default();
        while let Some(progress) = watched.next().await? {
            match progress {
                Progress::FileDone(FileOutcome { result: Err(error), .. }) if !is_form => {
                    return Err(ManagementFailure::Package(error));
                }
                Progress::FileDone(file) => outcome.files.push((&file).into()),
                Progress::Broken(error) if outcome.files.is_empty() => {
                    return Err(ManagementFailure::Upload(error));
                }
                Progress::Broken(error) => {
                    outcome.error = Some(error.to_string());
                    trace(&mut wanted.attempt, &ManagementFailure::Upload(error));
                }
                _ => {}
            }
        }
        return Ok(Reply::json(&outcome));
    }

    // It is not answered before something has come: a client may wait for leave to send it.
    let mut begun = Vec::new();
    while let Some(progress) = watched.next().await? {
        let is_first = matches!(progress, Progress::File { .. });
        begun.push(progress);
        if !is_first {
            break;
        }
    }
    let outcome = Some(PackageOutcome::default());
    let told = Telling { begun: begun.into_iter(), watched, outcome, attempt: wanted.attempt };
    let told = stream::unfold(told, async |mut told| told.next().await.map(|event| (event, told)));
    let mut reply = Reply::content(EVENTS, ResponseBody::empty().open(told.boxed()));
    if head.version < Version::HTTP_2 {
        // Not all of the body may be read.
        reply = reply.with(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(reply.with(X_ACCEL_BUFFERING, HeaderValue::from_static("no")))
}

fn upload_failure(error: UploadError) -> ManagementFailure {
    ManagementFailure::Upload(Arc::new(error))
}

/// An upload whose bytes have to move.
struct Watched {
    uploading: Uploading,
    within: Option<Duration>,
    progress: Arc<body::Progress>,
}

impl Watched {
    async fn next(&mut self) -> Result<Option<Progress>, ManagementFailure> {
        Ok(while_moving(self.within, &self.progress, self.uploading.next()).await?)
    }
}

/// An upload that is told of as server-sent events.
struct Telling {
    begun: std::vec::IntoIter<Progress>,
    watched: Watched,
    /// `None` once it was told.
    outcome: Option<PackageOutcome>,
    attempt: Option<Attempt>,
}

impl Telling {
    async fn next(&mut self) -> Option<Bytes> {
        let mut outcome = self.outcome.take()?;
        loop {
            let progress = match self.begun.next() {
                Some(progress) => Ok(Some(progress)),
                None => self.watched.next().await,
            };
            let event = match progress {
                Ok(Some(Progress::Broken(error))) => {
                    outcome.error = Some(error.to_string());
                    trace(&mut self.attempt, &ManagementFailure::Upload(error));
                    None
                }
                Ok(Some(progress)) => outcome.event(progress),
                Ok(None) => return Some(event("end", &outcome)),
                Err(failure) => {
                    outcome.error = Some(failure.to_string());
                    trace(&mut self.attempt, &failure);
                    return Some(event("end", &outcome));
                }
            };
            if let Some(event) = event {
                self.outcome = Some(outcome);
                return Some(event);
            }
        }
    }
}

impl PackageOutcome {
    /// What is told of it, where anything is.
    fn event(&mut self, progress: Progress) -> Option<Bytes> {
        Some(match progress {
            Progress::File { number, name } => event("file", &json!({ "number": number, "name": name })),
            Progress::Read { bytes, of } => event("read", &json!({ "bytes": bytes, "of": of })),
            Progress::Writing { repository, digest, bytes, size } => {
                let layer =
                    json!({ "repository": repository, "digest": digest, "bytes": bytes, "size": size });
                event("writing", &layer)
            }
            Progress::Blob { repository, digest, size, written } => {
                let layer =
                    json!({ "repository": repository, "digest": digest, "size": size, "written": written });
                event("blob", &layer)
            }
            Progress::Image(image) => event("image", &PackageImage::from(&image)),
            Progress::FileDone(file) => {
                let file = PackageFile::from(&file);
                let done = event("done", &file);
                self.files.push(file);
                done
            }
            _ => return None,
        })
    }
}

/// An event as it is sent. JSON has no line ends of its own.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    let mut text = format!("event: {name}\ndata: ");
    // Plain values serialise, and writing to a String does not fail.
    let _ = write!(text, "{}\n\n", serde_json::to_string(data).unwrap_or_default());
    text.into()
}

/// A version as a package, streamed: the same bytes each time.
pub(super) async fn download(exchange: &Exchange<'_>, repository: &RepositoryName, tag: &Tag) -> Answer {
    if exchange.options.packages.is_none() {
        return Err(ManagementEndpointError::NoSuchPath.into());
    }
    exchange.access.repository(repository).await?;
    let reference = Reference::Tag(tag.clone());
    let (caller, origin) = (exchange.signer.caller(), exchange.origin.clone());
    let host = exchange.options.settings.host();
    let exported = export(exchange.plane.registry(), caller, origin, repository, &reference, host).await;
    let exported = exported.map_err(ControlError::from)?;
    let file = format!("attachment; filename=\"{}\"", exported.file_name);
    let length = exported.body.length().unwrap_or_default();
    let body = ResponseBody::empty().stream(exported.body, length).within(exchange.options.store_within);
    Ok(Reply::content(TAR, body)
        .with(CONTENT_DISPOSITION, headers::value(file))
        .with(DOCKER_CONTENT_DIGEST, headers::value(exported.digest.to_string())))
}
