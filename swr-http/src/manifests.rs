//! `end-3`, `end-7` and `end-9`: manifests out, in and away.

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, Response, StatusCode};

use swr_core::manifest::{ManifestDefect, StoredManifest};
use swr_core::media_type::MediaType;
use swr_core::reference::Reference;
use swr_core::registry::ManifestPush;
use swr_core::stream::BodyError;
use swr_core::{Error, RepositoryName, Tag};

use crate::accept::Accept;
use crate::body::{RequestBody, ResponseBody};
use crate::condition;
use crate::exchange::{Answer, Exchange, created, response};
use crate::headers::{self, DOCKER_CONTENT_DIGEST, OCI_SUBJECT, OCI_TAG};

pub(crate) async fn pull(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    reference: &Reference,
) -> Answer {
    let conditional = exchange.headers.contains_key(IF_NONE_MATCH);
    if exchange.is_head || conditional {
        let found = exchange.asked(exchange.access.stat_manifest(repository, reference)).await?;
        refuse_unwanted(exchange.headers, reference, &found)?;
        if conditional && condition::is_known(exchange.headers, &found.digest) {
            return Ok(described(StatusCode::NOT_MODIFIED, &found));
        }
        if exchange.is_head {
            let mut response = described(StatusCode::OK, &found);
            response.headers_mut().insert(CONTENT_LENGTH, found.size.into());
            return Ok(response);
        }
    }
    let found = exchange.asked(exchange.access.pull_manifest(repository, reference)).await?;
    refuse_unwanted(exchange.headers, reference, &found)?;
    let bytes = found.bytes.clone().unwrap_or_default();
    Ok(described(StatusCode::OK, &found).map(|body| body.bytes(bytes)))
}

/// Nothing is converted: a client that does not take the type gets nothing. Nor does one that wants what the
/// reference no longer leads to.
fn refuse_unwanted(headers: &HeaderMap, reference: &Reference, found: &StoredManifest) -> Result<(), Error> {
    if !condition::is_expected(headers, &found.digest) {
        return Err(Error::PreconditionFailed);
    }
    match headers::list(headers, &ACCEPT) {
        Some(accept) if !Accept::parse(&accept).admits(&found.media_type) => {
            Err(Error::ManifestUnacceptable {
                reference: reference.clone(),
                media_type: found.media_type.clone(),
            })
        }
        _ => Ok(()),
    }
}

fn described(status: StatusCode, found: &StoredManifest) -> Response<ResponseBody> {
    let [plain, entity_tag] = headers::digest_and_entity_tag(&found.digest);
    let headers = [
        (CONTENT_TYPE, headers::value(found.media_type.as_str())),
        (DOCKER_CONTENT_DIGEST, plain),
        (ETAG, entity_tag),
    ];
    response(status, headers, ResponseBody::empty())
}

pub(crate) async fn push(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    reference: &Reference,
    tags: &[Tag],
    body: RequestBody,
) -> Answer {
    headers::refuse_encoded(exchange.headers)?;
    let precondition = condition::precondition(exchange.headers)?;
    let media_type = media_type(exchange.headers)?;
    let limit = exchange.limits.manifest_bytes_max;
    let bytes = body.into_stream().collect(limit).await.map_err(|error| match error {
        BodyError::TooLong { .. } => Error::ManifestTooLarge { limit },
        BodyError::Length { declared } => Error::SizeMismatch { declared },
        BodyError::Stalled => Error::Stalled,
        error => Error::Interrupted(error),
    })?;
    let push =
        ManifestPush { reference: reference.clone(), tags: tags.to_vec(), media_type, bytes, precondition };
    let pushed = exchange.asked(exchange.access.push_manifest(repository, push)).await?;
    let location = format!("{}/{repository}/manifests/{}", exchange.base, pushed.digest);
    let mut response = created(location, &pushed.digest);
    let headers = response.headers_mut();
    let [_, entity_tag] = headers::digest_and_entity_tag(&pushed.digest);
    headers.insert(ETAG, entity_tag);
    if let Some(subject) = &pushed.subject {
        headers.insert(OCI_SUBJECT, headers::value(subject.to_string()));
    }
    if !tags.is_empty() {
        for tag in &pushed.tags {
            headers.append(OCI_TAG, headers::value(tag.as_str()));
        }
    }
    Ok(response)
}

/// The type that a manifest is pushed as, without the parameters that some clients add.
fn media_type(headers: &HeaderMap) -> Result<Option<MediaType>, Error> {
    let Some(line) = headers.get(CONTENT_TYPE) else { return Ok(None) };
    let text = String::from_utf8_lossy(line.as_bytes());
    let text = text.split(';').next().unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    MediaType::parse(text).map(Some).map_err(|error| ManifestDefect::from(error).into())
}

pub(crate) async fn remove(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    reference: &Reference,
) -> Answer {
    let precondition = condition::precondition(exchange.headers)?;
    match reference {
        Reference::Tag(tag) => {
            exchange.asked(exchange.access.remove_tag(repository, tag, precondition)).await?;
        }
        Reference::Digest(digest) => {
            exchange.asked(exchange.access.remove_manifest(repository, digest, precondition)).await?;
        }
    }
    Ok(response(StatusCode::ACCEPTED, [], ResponseBody::empty()))
}
