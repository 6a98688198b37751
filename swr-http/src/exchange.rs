//! One request on its way through the door.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use swr_core::digest::Digest;
use swr_core::registry::Limits;
use swr_core::{Access, Error, RepositoryName};

use crate::admission::{Admitted, Crowded, Opening};
use crate::body::{Progress, ResponseBody};
use crate::endpoint::Endpoint;
use crate::error_response::Failure;
use crate::headers::{self, DOCKER_CONTENT_DIGEST};
use crate::service::ServiceOptions;

/// What every endpoint needs of a request.
pub(crate) struct Exchange<'a> {
    pub(crate) access: Access<'a>,
    pub(crate) limits: &'a Limits,
    pub(crate) options: &'a ServiceOptions,
    /// Where clients find the protocol: `/v2`, and what the host has put in front of it.
    pub(crate) base: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) admitted: &'a Admitted,
    pub(crate) is_head: bool,
    pub(crate) progress: Arc<Progress>,
}

/// What an endpoint makes of a request.
pub(crate) type Answer = Result<Response<ResponseBody>, Failure>;

impl Exchange<'_> {
    /// Waits for the engine where it only asks and writes facts.
    pub(crate) async fn asked<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        Ok(in_time(self.options.answer_within, pin!(call)).await??)
    }

    /// Waits for the engine where it takes bytes: as long as they move, or the client is waited for.
    pub(crate) async fn taken<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        Ok(while_moving(self.options.store_within, &self.progress, pin!(call)).await??)
    }

    /// Makes room for one more open upload of the caller.
    pub(crate) fn open_upload<'a>(&'a self, repository: &'a RepositoryName) -> Result<Opening<'a>, Failure> {
        let opening = self.options.admission.open_upload(self.admitted, repository, self.upload_idle());
        opening.map_err(|Crowded { retry_after }| {
            Error::TooManyRequests { retry_after: Some(retry_after) }.into()
        })
    }

    /// Keeps count of what became of an upload that was asked for. One that is unknown, or was refused, may be there
    /// all the same.
    pub(crate) fn note_upload(&self, asked: &Endpoint, answer: &Answer) {
        let admission = &self.options.admission;
        match (asked, answer) {
            (Endpoint::AppendUpload { repository, id }, Ok(_)) => {
                admission.upload_goes_on(self.admitted, repository, id, self.upload_idle());
            }
            (
                Endpoint::FinishUpload { repository, id, .. },
                Ok(_) | Err(Failure::Registry(Error::DigestMismatch { .. })),
            )
            | (Endpoint::CancelUpload { repository, id }, Ok(_)) => {
                admission.upload_ended(self.admitted, repository, id);
            }
            _ => {}
        }
    }

    fn upload_idle(&self) -> Duration {
        // None is negative.
        self.limits.upload_idle.to_std().unwrap_or_default()
    }

    pub(crate) fn blob_path(&self, repository: &RepositoryName, digest: &Digest) -> String {
        format!("{}/{repository}/blobs/{digest}", self.base)
    }
}

/// Waits no longer than the host wants to.
pub(crate) async fn in_time<T>(
    within: Option<Duration>,
    call: impl Future<Output = T>,
) -> Result<T, Failure> {
    match within {
        Some(within) => tokio::time::timeout(within, call).await.map_err(|_| Failure::TooSlow),
        None => Ok(call.await),
    }
}

/// Waits for what takes the bytes of a body: as long as they move, or the client is waited for, and then no longer than
/// the host wants to.
pub(crate) async fn while_moving<T>(
    within: Option<Duration>,
    progress: &Progress,
    call: impl Future<Output = T>,
) -> Result<T, Failure> {
    let Some(within) = within else { return Ok(call.await) };
    let mut call = pin!(call);
    loop {
        let before = progress.bytes();
        match tokio::time::timeout(within, call.as_mut()).await {
            Ok(done) => return Ok(done),
            Err(_) if progress.waits_for_client() || progress.bytes() != before => {}
            Err(_) => return Err(Failure::TooSlow),
        }
    }
}

/// Room for the headers that every response has, and those that say what its body is.
const HEADERS_OF_ALL: usize = 5;

pub(crate) fn response<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, HeaderValue); N],
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut all = HeaderMap::with_capacity(N + HEADERS_OF_ALL);
    all.extend(headers);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = all;
    response
}

/// Something came to be, and is to be found there.
pub(crate) fn created(location: String, digest: &Digest) -> Response<ResponseBody> {
    let headers =
        [(LOCATION, headers::value(location)), (DOCKER_CONTENT_DIGEST, headers::value(digest.to_string()))];
    response(StatusCode::CREATED, headers, ResponseBody::empty())
}

/// A document that is made here. Serialising plain values does not fail.
pub(crate) fn json(media_type: &'static str, document: &impl Serialize) -> Response<ResponseBody> {
    let body = serde_json::to_vec(document).unwrap_or_default();
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(media_type))];
    response(StatusCode::OK, headers, ResponseBody::empty().bytes(body))
}
