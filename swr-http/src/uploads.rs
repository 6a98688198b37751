//! `end-4` to `end-6`, `end-11`, `end-13` and `end-14`: blobs in.

use http::header::{CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, Response, StatusCode};

use swr_core::digest::{Algorithm, Digest};
use swr_core::registry::Mounted;
use swr_core::upload::UploadId;
use swr_core::{Error, RepositoryName};

use crate::body::{RequestBody, ResponseBody};
use crate::content_range::{ChunkRange, parse_content_range};
use crate::error_response::Failure;
use crate::exchange::{Answer, Exchange, created, response};
use crate::headers::{self, DOCKER_UPLOAD_UUID, OCI_CHUNK_MIN_LENGTH};

pub(crate) async fn begin(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    algorithm: Algorithm,
) -> Answer {
    let opening = exchange.open_upload(repository)?;
    let upload = exchange.asked(exchange.access.begin_upload(repository, algorithm)).await?;
    opening.begun(&upload.id);
    let mut response = under_way(exchange, StatusCode::ACCEPTED, repository, &upload.id, upload.offset);
    if let Some(bytes) = exchange.limits.chunk_bytes_min {
        response.headers_mut().insert(OCI_CHUNK_MIN_LENGTH, bytes.into());
    }
    Ok(response)
}

pub(crate) async fn push(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    digest: &Digest,
    body: RequestBody,
) -> Answer {
    headers::refuse_encoded(exchange.headers)?;
    exchange.taken(exchange.access.push_blob(repository, digest, body.into_stream())).await?;
    Ok(created(exchange.blob_path(repository, digest), digest))
}

/// A blob that cannot be mounted is uploaded, and with the algorithm of its digest.
pub(crate) async fn mount(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    digest: &Digest,
    from: Option<&RepositoryName>,
) -> Answer {
    match exchange.asked(exchange.access.mount_blob(repository, digest, from)).await? {
        Mounted::Linked(_) => Ok(created(exchange.blob_path(repository, digest), digest)),
        Mounted::NotHere => begin(exchange, repository, digest.algorithm()).await,
    }
}

pub(crate) async fn find(exchange: &Exchange<'_>, repository: &RepositoryName, id: &UploadId) -> Answer {
    let upload = exchange.asked(exchange.access.find_upload(repository, id)).await?;
    Ok(under_way(exchange, StatusCode::NO_CONTENT, repository, id, upload.offset))
}

pub(crate) async fn append(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    id: &UploadId,
    body: RequestBody,
) -> Answer {
    let offset = append_body(exchange, repository, id, body).await?;
    Ok(under_way(exchange, StatusCode::ACCEPTED, repository, id, offset))
}

async fn append_body(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    id: &UploadId,
    body: RequestBody,
) -> Result<u64, Failure> {
    headers::refuse_encoded(exchange.headers)?;
    let (offset, body) = match chunk_range(exchange.headers)? {
        None => (None, body.into_stream()),
        Some(range) => {
            if body.declared().is_some_and(|declared| declared != range.length) {
                return Err(Error::SizeMismatch { declared: range.length }.into());
            }
            (Some(range.first), body.into_stream_of(Some(range.length)))
        }
    };
    exchange.taken(exchange.access.append_upload(repository, id, offset, body)).await
}

fn chunk_range(headers: &HeaderMap) -> Result<Option<ChunkRange>, Error> {
    match headers::list(headers, &CONTENT_RANGE) {
        None => Ok(None),
        Some(text) => parse_content_range(&text).map(Some).ok_or(Error::UploadInvalid(
            "the content range is not the first and the last byte of a chunk, such as `0-1023`".into(),
        )),
    }
}

/// The last chunk may come with the end, or have come before.
pub(crate) async fn finish(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    id: &UploadId,
    digest: &Digest,
    body: RequestBody,
) -> Answer {
    let has_chunk = body.declared() != Some(0) || exchange.headers.contains_key(CONTENT_RANGE);
    if has_chunk {
        match append_body(exchange, repository, id, body).await {
            // The answer to the same request may have been lost: the engine knows whether it was done.
            Ok(_) | Err(Failure::Registry(Error::UploadUnknown)) => {}
            Err(failure) => return Err(failure),
        }
    }
    exchange.taken(exchange.access.finish_upload(repository, id, digest)).await?;
    Ok(created(exchange.blob_path(repository, digest), digest))
}

pub(crate) async fn cancel(exchange: &Exchange<'_>, repository: &RepositoryName, id: &UploadId) -> Answer {
    exchange.asked(exchange.access.cancel_upload(repository, id)).await?;
    Ok(response(StatusCode::NO_CONTENT, [], ResponseBody::empty()))
}

/// An upload has one address for its whole life, whatever was sent to it.
fn under_way(
    exchange: &Exchange<'_>,
    status: StatusCode,
    repository: &RepositoryName,
    id: &UploadId,
    offset: u64,
) -> Response<ResponseBody> {
    let headers = [
        (LOCATION, headers::value(format!("{}/{repository}/blobs/uploads/{id}", exchange.base))),
        (RANGE, headers::upload_range(offset)),
        (DOCKER_UPLOAD_UUID, headers::value(id.as_str())),
    ];
    response(status, headers, ResponseBody::empty())
}
