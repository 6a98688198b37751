//! Packages: images that are brought in as files, and versions that are taken out as such.

use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Response};
use maud::{Markup, html};
use swr_core::control::ControlError;
use swr_core::control::grant::GrantLevel;
use swr_core::control::trace::Operation;
use swr_core::reference::Reference;
use swr_core::{OrganisationName, RepositoryName, Tag};
use swr_http::ResponseBody;
use swr_http::door::while_moving;
use swr_packages::form::FormError;
use swr_packages::import::FILES_MAX;
use swr_packages::upload::{AdmissionError, PackageDesk};
use swr_packages::{Destination, FileOutcome, Files, ImageOutcome, Package, Progress, export};

use super::{Image, address};
use crate::exchange::{Answer, Attempt, Exchange, Page, Problem, Reply, SentFiles};
use crate::form::Form;
use crate::layout::Section;
use crate::pieces::{Field, empty, heading, size, token, trail};

/// How many fields stand before the files, and how long each may be, in bytes.
const FIELDS_MAX: usize = 16;
const FIELD_BYTES_MAX: usize = 1024;

pub(crate) async fn show(exchange: &Exchange<'_>) -> Answer {
    let desk = desk(exchange)?;
    page(exchange, desk, exchange.frame.query, None, None).await
}

fn desk<'a>(exchange: &Exchange<'a>) -> Result<&'a PackageDesk, Problem> {
    exchange.parts.options.packages.as_ref().ok_or(Problem::NoSuchPage)
}

/// What became of an upload.
#[derive(Default)]
struct Outcome {
    files: Vec<FileOutcome>,
    /// Why it went no further.
    broken: Option<String>,
}

/// Takes in what was sent. A script asks for a piece of the page, for each file by itself.
pub(crate) async fn take(exchange: &Exchange<'_>, sent: SentFiles) -> Answer {
    let desk = desk(exchange)?;
    let (form, files, progress) = fields(sent).await?;
    let is_piece = form.get("fragment").is_some();
    let outcome = match destination(exchange, &form) {
        Ok(destination) => {
            let what = Attempt::new(Operation::UploadImagePackage, &destination.organisation)
                .within(&destination.organisation);
            let admission = async {
                let admitted = desk.admit(exchange.signer.caller(), exchange.origin.clone(), destination);
                admitted.await.map_err(|error| match error {
                    AdmissionError::Control(error) => error,
                    _ => ControlError::Busy,
                })
            };
            exchange.attempt(what, admission).await
        }
        Err(problem) => Err(problem),
    };
    let mut uploading = match outcome {
        Ok(admitted) => admitted.files(files),
        Err(problem) if is_piece => return Err(problem),
        Err(problem) => return page(exchange, desk, &form, Some(&problem), None).await,
    };
    let mut outcome = Outcome::default();
    let within = exchange.parts.options.store_within;
    loop {
        match while_moving(within, &progress, uploading.next()).await {
            Some(Some(Progress::FileDone(file))) => outcome.files.push(file),
            Some(Some(Progress::Broken(error))) => {
                outcome.broken = Some(exchange.texts().upload.broken(&error));
            }
            Some(Some(_)) => {}
            Some(None) => break,
            None => {
                outcome.broken = Some(exchange.texts().errors.explain(&Problem::TooSlow));
                break;
            }
        }
    }
    if is_piece {
        return Ok(Reply::Fragment(outcomes(exchange, &outcome)));
    }
    page(exchange, desk, &form, None, Some(&outcome)).await
}

/// The fields that stand before the files, and the files as they come.
async fn fields(sent: SentFiles) -> Result<(Form, Files, std::sync::Arc<swr_http::door::Progress>), Problem> {
    let SentFiles { form: mut parts, progress } = sent;
    let mut form = Form::default();
    for _ in 0..FIELDS_MAX {
        let Some(part) = parts.next().await.map_err(of_form)? else {
            return Ok((form, stream::empty().boxed(), progress));
        };
        let Some(name) = part.file_name else {
            let value = part.body.collect(FIELD_BYTES_MAX).await?;
            form.add(&part.name, &String::from_utf8_lossy(&value));
            continue;
        };
        let first = (name, Package::stream(part.body));
        let rest = parts.into_files();
        return Ok((form, stream::once(async { Ok(first) }).chain(rest).boxed(), progress));
    }
    Err(Problem::TooLong)
}

pub(crate) fn of_form(error: FormError) -> Problem {
    match error {
        FormError::TooLong { .. } => Problem::TooLong,
        FormError::NoBoundary | FormError::Malformed(_) => Problem::MediaType,
        _ => Problem::Interrupted,
    }
}

/// Where the images go, as the form says.
fn destination(exchange: &Exchange<'_>, form: &Form) -> Result<Destination, Problem> {
    let organisation = OrganisationName::parse(form.text("organisation")).map_err(ControlError::from)?;
    let target = match form.given("repository") {
        None => None,
        Some(within) => {
            let repository = RepositoryName::parse(&format!("{organisation}/{within}"));
            let tag = Tag::parse(form.given("tag").unwrap_or("latest"));
            match (repository, tag) {
                (Ok(repository), Ok(tag)) => Some((repository, tag)),
                _ => return Err(Problem::Field(exchange.texts().upload.bad_target.to_owned())),
            }
        }
    };
    let destination = Destination::new(organisation);
    Ok(match target {
        Some((repository, tag)) => destination.with_target(repository, tag),
        None => destination,
    })
}

async fn page(
    exchange: &Exchange<'_>,
    desk: &PackageDesk,
    form: &Form,
    problem: Option<&Problem>,
    outcome: Option<&Outcome>,
) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().upload);
    let listed = exchange.access().organisations(false).await?;
    let organisations: Vec<&str> = listed
        .iter()
        .filter(|listed| listed.level >= Some(GrantLevel::Edit))
        .map(|listed| listed.organisation.name.as_str())
        .collect();
    let most = size(desk.options().package_bytes_max);
    let body = html! {
        (trail(all, &[(all.images.title, Some(exchange.link("/images"))), (texts.title, None)]))
        (heading(texts.title, Some(texts.lead), html! {}))
        @if let Some(outcome) = outcome {
            section.card aria-labelledby="outcome-title" {
                h2 #outcome-title { (texts.outcome) }
                (outcomes(exchange, outcome))
            }
        }
        @if organisations.is_empty() { (empty(texts.no_organisation)) } @else {
            section.card aria-labelledby="files-title" {
                h2 #files-title { (texts.choose) }
                form method="post" action=(exchange.link("/upload")) enctype="multipart/form-data"
                    data-upload="uploads" data-most=(FILES_MAX) data-too-many=((texts.too_many)(FILES_MAX))
                    data-taking=(texts.taking) data-failed=(texts.failed) {
                    // It comes before what it vouches for.
                    (token(exchange))
                    (Field { id: "organisation", name: "organisation", label: all.images.organisation, hint: Some(texts.organisation_hint) }
                        .choice(form.text("organisation"), organisations.iter().map(|name| (*name, *name))))
                    details {
                        summary { (texts.target) }
                        p.hint { (texts.target_hint) }
                        div.inline {
                            (Field { id: "repository", name: "repository", label: texts.repository, hint: None }
                                .line("text", form.text("repository"), "off", false, 128))
                            (Field { id: "tag", name: "tag", label: all.images.version, hint: None }
                                .line("text", form.text("tag"), "off", false, 128))
                        }
                    }
                    div.field {
                        label for="files" { (texts.files) }
                        input #files type="file" name="file" multiple required
                            accept=".tar,.gz,.tgz,application/x-tar,application/gzip" aria-describedby="files-hint";
                        p.hint #files-hint { ((texts.files_hint)(FILES_MAX, &most)) }
                    }
                    button.primary type="submit" { (texts.send) }
                }
                ul #uploads.uploads aria-live="polite" {}
            }
        }
    };
    Ok(Page::new(Section::Images, texts.title, body).problem(problem, all).into())
}

fn outcomes(exchange: &Exchange<'_>, outcome: &Outcome) -> Markup {
    html! {
        @for file in &outcome.files { (file_outcome(exchange, file)) }
        @if let Some(broken) = &outcome.broken { p.wrong { (broken) } }
    }
}

fn file_outcome(exchange: &Exchange<'_>, file: &FileOutcome) -> Markup {
    let texts = &exchange.texts().upload;
    html! {
        div.outcome {
            h3 { (file.name) }
            @match &file.result {
                Err(error) => p.wrong { (texts.explain(error)) },
                Ok(images) => ul {
                    @for ImageOutcome { name, result, .. } in images {
                        li {
                            @match result {
                                Ok(done) => {
                                    @let (repository, tag) = (&done.version.repository, &done.version.tag);
                                    span.tag.good { (texts.taken) } " "
                                    a href=(exchange.link(&format!("{}/versions/{tag}", address(repository)))) { (repository) ":" (tag) }
                                }
                                Err(error) => {
                                    span.tag.bad { (texts.refused) } " " (name) ": " (texts.explain(error))
                                }
                            }
                        }
                    }
                },
            }
        }
    }
}

/// A version as a package, as it streams.
pub(super) async fn download(exchange: &Exchange<'_>, image: &Image, tag: &Tag) -> Answer {
    desk(exchange)?;
    let host = exchange.parts.options.settings.host();
    let (caller, origin) = (exchange.signer.caller(), exchange.origin.clone());
    let reference = Reference::Tag(tag.clone());
    let exported =
        export(exchange.parts.plane.registry(), caller, origin, &image.name, &reference, host).await;
    let exported = exported.map_err(ControlError::from)?;
    let file = format!("attachment; filename=\"{}\"", exported.file_name);
    let length = exported.body.length().unwrap_or_default();
    let within = exchange.parts.options.store_within;
    let body = ResponseBody::from(bytes::Bytes::new()).stream(exported.body, length).within(within);
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    // Names and tags have nothing that a header cannot have.
    if let Ok(file) = HeaderValue::try_from(file) {
        headers.insert(CONTENT_DISPOSITION, file);
    }
    Ok(Reply::Download(Box::new(response)))
}
