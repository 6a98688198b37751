//! What a failure looks like on the wire: the only place that knows the statuses of failures.

use std::fmt;
use std::time::Duration;

use http::header::{
    ALLOW, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use swr_auth::{Challenge, Scope};
use tracing::{debug, error};

use swr_core::error::Need;
use swr_core::ports::Refusal;
use swr_core::stream::BodyError;
use swr_core::{Error, ErrorCode, NameError};

use crate::body::ResponseBody;
use crate::condition::ConditionError;
use crate::endpoint::{Endpoint, EndpointError};
use crate::headers::{self, DOCKER_UPLOAD_UUID};

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine says so.
    Registry(Error),
    /// Its address is none.
    Endpoint(EndpointError),
    /// Its conditions cannot be checked.
    Condition(ConditionError),
    /// Its headers are larger than any that are looked at.
    HeadersTooLarge,
    /// The engine, or a store below it, has not answered in time.
    TooSlow,
    /// The server takes no new requests, because it is about to end.
    #[cfg(feature = "serve")]
    Draining,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Registry(error)
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Value(error) => Self::Registry(error),
            error => Self::Endpoint(error),
        }
    }
}

impl From<ConditionError> for Failure {
    fn from(error: ConditionError) -> Self {
        Self::Condition(error)
    }
}

/// What an answer has to know of the request: what it asked for, where clients find the protocol, and how they
/// are asked to sign in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) endpoint: Option<&'a Endpoint>,
    pub(crate) base: &'a str,
    pub(crate) challenge: Option<&'a Challenge>,
}

/// The answer to a request that was not done.
pub(crate) fn error_response(failure: Failure, asked: Asked<'_>) -> Response<ResponseBody> {
    let failure = match failure {
        // Where nobody can sign in, asking for it would only mislead.
        Failure::Registry(Error::Unauthorized { .. }) if asked.challenge.is_none() => {
            Failure::Registry(Error::Denied(Refusal::default()))
        }
        failure => failure,
    };
    let status = status(&failure);
    log(&failure, status);
    let body = serde_json::to_vec(&Body { errors: entries(&failure, status) }).unwrap_or_default();
    let mut response = Response::new(ResponseBody::empty().bytes(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(after) = retry_after(&failure) {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
    match &failure {
        Failure::Registry(Error::Unauthorized { needs }) => {
            if let Some(challenge) = asked.challenge {
                let scopes: Vec<Scope> = match asked.endpoint {
                    Some(Endpoint::ListRepositories { .. }) => vec![Scope::Catalogue],
                    _ => needs.iter().map(scope).collect(),
                };
                headers.insert(WWW_AUTHENTICATE, headers::value(challenge.header(&scopes)));
            }
        }
        Failure::Registry(Error::UploadOffset { offset }) => {
            headers.insert(RANGE, headers::upload_range(*offset));
            if let Some(
                Endpoint::AppendUpload { repository, id } | Endpoint::FinishUpload { repository, id, .. },
            ) = asked.endpoint
            {
                let base = asked.base;
                headers.insert(LOCATION, headers::value(format!("{base}/{repository}/blobs/uploads/{id}")));
                headers.insert(DOCKER_UPLOAD_UUID, headers::value(id.as_str()));
            }
        }
        Failure::Registry(Error::RangeUnsatisfiable { size }) => {
            headers.insert(CONTENT_RANGE, headers::value(format!("bytes */{size}")));
        }
        Failure::Registry(Error::Stalled) => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Failure::Registry(Error::BlobNamed { .. } | Error::Unsupported(_)) => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        Failure::Endpoint(EndpointError::Method { allowed }) => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        _ => {}
    }
    response
}

fn status(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Registry(error) => status_of(error),
        Failure::Endpoint(error) => match error {
            EndpointError::NoSuchPath | EndpointError::NoSuchTag(_) => StatusCode::NOT_FOUND,
            EndpointError::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            EndpointError::Encoding | EndpointError::Query(_) => StatusCode::BAD_REQUEST,
            EndpointError::Value(error) => status_of(error),
        },
        Failure::Condition(_) => StatusCode::BAD_REQUEST,
        Failure::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Failure::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
        #[cfg(feature = "serve")]
        Failure::Draining => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::BlobUnknown { .. }
        | Error::UploadUnknown
        | Error::ManifestBlobUnknown(_)
        | Error::ManifestUnknown { .. }
        | Error::ManifestUnacceptable { .. }
        | Error::NameUnknown { .. } => StatusCode::NOT_FOUND,
        Error::UploadOffset { .. } | Error::RangeUnsatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
        Error::UploadInvalid(_)
        | Error::Interrupted(_)
        | Error::SizeMismatch { .. }
        | Error::DigestMismatch { .. }
        | Error::DigestMalformed(_)
        | Error::ManifestInvalid(_)
        | Error::NameInvalid(_)
        | Error::NameRefused(_)
        | Error::TagRefused(_) => StatusCode::BAD_REQUEST,
        Error::Stalled => StatusCode::REQUEST_TIMEOUT,
        Error::BlobTooLarge { .. } | Error::ManifestTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::TagImmutable { .. } | Error::Denied(_) => StatusCode::FORBIDDEN,
        Error::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
        Error::BlobNamed { .. } | Error::Unsupported(_) => StatusCode::METHOD_NOT_ALLOWED,
        Error::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Error::TooManyTags { .. } => StatusCode::URI_TOO_LONG,
        Error::EncodingUnsupported { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        // The other request ends by itself: a client does best to come again.
        Error::UploadBusy => StatusCode::SERVICE_UNAVAILABLE,
        Error::StoreFull(_) => StatusCode::INSUFFICIENT_STORAGE,
        Error::Store(error) if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        // `Store`, and what the engine may come to say that this door has not heard of.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn retry_after(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::Registry(Error::TooManyRequests { retry_after }) => {
            Some(retry_after.unwrap_or(Duration::from_secs(1)))
        }
        Failure::Registry(Error::UploadBusy) => Some(Duration::from_secs(1)),
        Failure::Registry(Error::StoreFull(_)) => Some(Duration::from_secs(60)),
        Failure::Registry(Error::Store(error)) if error.is_retryable() => Some(Duration::from_secs(5)),
        Failure::TooSlow => Some(Duration::from_secs(5)),
        #[cfg(feature = "serve")]
        Failure::Draining => Some(Duration::from_secs(1)),
        _ => None,
    }
}

/// The code where the specification has none. It asks that a 4xx has one of its own, so the nearest is taken;
/// for a 5xx these are the words that clients know.
fn nearest_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::RANGE_NOT_SATISFIABLE => ErrorCode::SizeInvalid.as_str(),
        StatusCode::PRECONDITION_FAILED => ErrorCode::Denied.as_str(),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => "UNAVAILABLE",
        status if status.is_server_error() => "UNKNOWN",
        _ => ErrorCode::Unsupported.as_str(),
    }
}

#[derive(Serialize)]
struct Body {
    errors: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    detail: Value,
}

fn entries(failure: &Failure, status: StatusCode) -> Vec<Entry> {
    let entry = |message: String, detail| vec![Entry { code: nearest_code(status), message, detail }];
    match failure {
        Failure::Registry(error) => {
            let code = error.code().map_or_else(|| nearest_code(status), ErrorCode::as_str);
            match error {
                Error::ManifestBlobUnknown(digests) => digests
                    .iter()
                    .map(|digest| Entry {
                        code,
                        message: format!("{digest} is unknown to this repository"),
                        detail: json!({ "digest": digest }),
                    })
                    .collect(),
                error => vec![Entry { code, message: error.to_string(), detail: detail(error) }],
            }
        }
        Failure::Endpoint(error @ EndpointError::NoSuchTag(name)) => vec![Entry {
            code: ErrorCode::ManifestUnknown.as_str(),
            message: error.to_string(),
            detail: name_detail(name),
        }],
        Failure::Endpoint(error) => entry(error.to_string(), Value::Null),
        Failure::Condition(error) => entry(error.to_string(), Value::Null),
        Failure::HeadersTooLarge => entry("the headers are too large".to_owned(), Value::Null),
        Failure::TooSlow => entry("the registry did not answer in time".to_owned(), Value::Null),
        #[cfg(feature = "serve")]
        Failure::Draining => entry("the registry is about to end".to_owned(), Value::Null),
    }
}

/// What helps a client on. It says nothing that the request or the message has not said, so that it tells no
/// more of what is there.
fn detail(error: &Error) -> Value {
    match error {
        Error::BlobUnknown { digest } => json!({ "digest": digest }),
        Error::UploadOffset { offset } => json!({ "offset": offset }),
        Error::SizeMismatch { declared } => json!({ "declared": declared }),
        Error::BlobTooLarge { limit } => json!({ "limit": limit }),
        Error::ManifestTooLarge { limit } | Error::TooManyTags { limit } => json!({ "limit": limit }),
        Error::DigestMismatch { actual } => json!({ "actual": actual }),
        Error::ManifestUnknown { reference } => json!({ "reference": reference.to_string() }),
        Error::ManifestUnacceptable { reference, media_type } => {
            json!({ "reference": reference.to_string(), "mediaType": media_type })
        }
        Error::NameInvalid(error) => name_detail(error),
        Error::NameRefused(refusal) | Error::TagRefused(refusal) => json!({ "reason": refusal.to_string() }),
        Error::NameUnknown { repository } => json!({ "name": repository }),
        Error::TagImmutable { tag } => json!({ "tag": tag }),
        Error::BlobNamed { digest, manifests } => json!({ "digest": digest, "manifests": manifests }),
        Error::RangeUnsatisfiable { size } => json!({ "size": size }),
        Error::EncodingUnsupported { encoding } => json!({ "encoding": encoding }),
        Error::Unauthorized { needs } if !needs.is_empty() => {
            let scopes: Vec<String> = needs.iter().map(|need| scope(need).to_string()).collect();
            json!({ "scopes": scopes })
        }
        _ => Value::Null,
    }
}

fn name_detail(error: &NameError) -> Value {
    json!({ "name": error.text(), "reason": error.to_string() })
}

fn scope(need: &Need) -> Scope {
    Scope::repository(need.repository.clone(), need.actions.iter().copied())
}

/// Faults of the registry are for the operator to see, whole; what clients do is not.
fn log(failure: &Failure, status: StatusCode) {
    match failure {
        Failure::Registry(Error::UploadBusy) => {}
        Failure::Registry(error) if status.is_server_error() => {
            error!(status = status.as_u16(), error = %Chain(error), "a request failed");
        }
        Failure::TooSlow => error!(status = status.as_u16(), "a request was not answered in time"),
        Failure::Registry(Error::Interrupted(error @ BodyError::Interrupted(_))) => {
            debug!(error = %Chain(error), "a client broke off");
        }
        _ => {}
    }
}

/// An error and all that caused it, in one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
