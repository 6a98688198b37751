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
    /// Its body is larger than any that is read here.
    #[cfg(feature = "control")]
    BodyTooLarge {
        /// The bytes that are read.
        limit: usize,
    },
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
        #[cfg(feature = "control")]
        Failure::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Failure::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
        #[cfg(feature = "serve")]
        Failure::Draining => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The status of what the engine says no to.
pub(crate) fn status_of(error: &Error) -> StatusCode {
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
        #[cfg(feature = "control")]
        Failure::BodyTooLarge { limit } => {
            entry(format!("the body has more than {limit} bytes"), Value::Null)
        }
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
        // Also where none is needed: clients that find no detail show the code alone, without the message.
        Error::Unauthorized { needs } => {
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
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever prints an error wraps it")]
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

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

#[cfg(test)]
mod tests {
    use swr_auth::Challenge;
    use swr_core::digest::Algorithm;
    use swr_core::manifest::ManifestDefect;
    use swr_core::media_type::MediaType;
    use swr_core::ports::{StoreError, StoreErrorKind};
    use swr_core::reference::Reference;
    use swr_core::{RepositoryName, Tag};
    use swr_policy::{NamingPolicy as _, SwrNaming};

    use std::future::Future as _;

    use super::*;

    fn tag() -> Tag {
        Tag::parse("v1").unwrap()
    }

    fn store(kind: StoreErrorKind) -> StoreError {
        StoreError::new(kind, "test", "the name of a disk")
    }

    /// Every way in which the engine says no: its status and code.
    fn errors() -> Vec<(Error, u16, &'static str)> {
        let digest = Algorithm::Sha256.digest(b"");
        let repository = RepositoryName::parse("a").unwrap();
        let media_type = MediaType::parse(MediaType::OCI_INDEX).unwrap();
        let refusal = SwrNaming::new().admit_repository(&repository).unwrap_err();
        vec![
            (Error::BlobUnknown { digest }, 404, "BLOB_UNKNOWN"),
            (Error::UploadUnknown, 404, "BLOB_UPLOAD_UNKNOWN"),
            (Error::UploadOffset { offset: 5 }, 416, "BLOB_UPLOAD_INVALID"),
            (Error::UploadBusy, 503, "BLOB_UPLOAD_INVALID"),
            (Error::UploadInvalid("why".into()), 400, "BLOB_UPLOAD_INVALID"),
            (Error::Interrupted(BodyError::Interrupted("gone".into())), 400, "BLOB_UPLOAD_INVALID"),
            (Error::Stalled, 408, "BLOB_UPLOAD_INVALID"),
            (Error::SizeMismatch { declared: 5 }, 400, "SIZE_INVALID"),
            (Error::BlobTooLarge { limit: 5 }, 413, "SIZE_INVALID"),
            (Error::DigestMismatch { actual: digest }, 400, "DIGEST_INVALID"),
            (swr_core::digest::Digest::parse("x").unwrap_err().into(), 400, "DIGEST_INVALID"),
            (ManifestDefect::NoType.into(), 400, "MANIFEST_INVALID"),
            (Error::ManifestTooLarge { limit: 5 }, 413, "MANIFEST_INVALID"),
            (Error::ManifestBlobUnknown(vec![digest]), 404, "MANIFEST_BLOB_UNKNOWN"),
            (Error::ManifestUnknown { reference: tag().into() }, 404, "MANIFEST_UNKNOWN"),
            (
                Error::ManifestUnacceptable { reference: Reference::Digest(digest), media_type },
                404,
                "MANIFEST_UNKNOWN",
            ),
            (RepositoryName::parse("A").unwrap_err().into(), 400, "NAME_INVALID"),
            (Error::NameRefused(refusal.clone()), 400, "NAME_INVALID"),
            (Error::TagRefused(refusal), 400, "NAME_INVALID"),
            (Error::NameUnknown { repository: repository.clone() }, 404, "NAME_UNKNOWN"),
            (Error::TagImmutable { tag: tag() }, 403, "DENIED"),
            (Error::Denied(Refusal::default()), 403, "DENIED"),
            (
                Error::Unauthorized { needs: vec![Need { repository, actions: Vec::new() }] },
                401,
                "UNAUTHORIZED",
            ),
            (Error::BlobNamed { digest, manifests: vec![digest] }, 405, "UNSUPPORTED"),
            (Error::Unsupported("this".into()), 405, "UNSUPPORTED"),
            (Error::TooManyRequests { retry_after: None }, 429, "TOOMANYREQUESTS"),
            (Error::RangeUnsatisfiable { size: 5 }, 416, "SIZE_INVALID"),
            (Error::PreconditionFailed, 412, "DENIED"),
            (Error::TooManyTags { limit: 5 }, 414, "UNSUPPORTED"),
            (Error::EncodingUnsupported { encoding: "gzip".into() }, 415, "UNSUPPORTED"),
            (Error::StoreFull(store(StoreErrorKind::Full)), 507, "UNAVAILABLE"),
            (Error::Store(store(StoreErrorKind::Unavailable)), 503, "UNAVAILABLE"),
            (Error::Store(store(StoreErrorKind::Corrupt)), 500, "UNKNOWN"),
            (Error::Store(store(StoreErrorKind::Other)), 500, "UNKNOWN"),
        ]
    }

    fn body(response: Response<ResponseBody>) -> String {
        use http_body_util::BodyExt as _;
        let mut body = response.into_body();
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut text = Vec::new();
        while let std::task::Poll::Ready(Some(frame)) = std::pin::pin!(body.frame()).poll(&mut cx) {
            text.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_failure_has_a_status_and_a_code() {
        let challenge = Challenge::basic("a registry").unwrap();
        let asked = Asked { endpoint: None, base: "/v2", challenge: Some(&challenge) };
        for (error, status, code) in errors() {
            let name = format!("{error:?}");
            let response = error_response(Failure::Registry(error), asked);
            assert_eq!(response.status().as_u16(), status, "{name}");
            let again = matches!(status, 429 | 503 | 507);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), again, "{name}");
            assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401, "{name}");
            assert_eq!(response.headers().contains_key(ALLOW), status == 405, "{name}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json", "{name}");
            let body = body(response);
            let document: Value = serde_json::from_str(&body).unwrap();
            let error = &document["errors"][0];
            assert_eq!(error["code"], code, "{name}");
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{name}");
            // What went wrong within is for the log alone.
            assert!(!body.contains("disk"), "{body}");
        }
    }

    #[test]
    fn an_error_is_logged_with_all_its_causes() {
        let error = Error::Store(store(StoreErrorKind::Other));
        assert_eq!(
            Chain(&error).to_string(),
            "the store failed: the store failed (test): the name of a disk"
        );
    }
}
