//! `end-2` and `end-10`: blobs out and away.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::Range;

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, RANGE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use swr_core::digest::Digest;
use swr_core::ports::{StoreError, StoreErrorKind};
use swr_core::registry::{Content, Precondition};
use swr_core::stream::ByteStream;
use swr_core::{ByteRange, Error, RepositoryName};

use crate::body::ResponseBody;
use crate::condition;
use crate::content_range::parse_range;
use crate::exchange::{Answer, Exchange, response};
use crate::headers::{self, DOCKER_CONTENT_DIGEST};

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(crate) async fn pull(exchange: &Exchange<'_>, repository: &RepositoryName, digest: &Digest) -> Answer {
    // What a blob's address gives never changes, so that nobody has to be asked for it.
    if !condition::is_expected(exchange.headers, digest) {
        return Err(Error::PreconditionFailed.into());
    }
    let conditional = exchange.headers.contains_key(IF_NONE_MATCH);
    if exchange.is_head || conditional {
        let stored = exchange.asked(exchange.access.stat_blob(repository, digest)).await?;
        if conditional && condition::is_known(exchange.headers, digest) {
            return Ok(described(StatusCode::NOT_MODIFIED, digest));
        }
        if exchange.is_head {
            let mut response = described(StatusCode::OK, digest);
            response.headers_mut().insert(CONTENT_TYPE, OCTETS);
            response.headers_mut().insert(CONTENT_LENGTH, stored.size.into());
            return Ok(response);
        }
    }
    let ranges = wanted(exchange.headers, digest);
    let pulled = exchange.asked(exchange.access.pull_blob(repository, digest, &ranges)).await?;
    let body = || ResponseBody::empty().within(exchange.options.store_within);
    match pulled.content {
        Content::Whole(stream) => {
            let mut response = described(StatusCode::OK, digest);
            response.headers_mut().insert(CONTENT_TYPE, OCTETS);
            Ok(response.map(|_| body().stream(stream, pulled.size)))
        }
        Content::Parts(parts) => {
            let mut response = described(StatusCode::PARTIAL_CONTENT, digest);
            let headers = response.headers_mut();
            match <[_; 1]>::try_from(parts) {
                Ok([(range, stream)]) => {
                    headers.insert(CONTENT_TYPE, OCTETS);
                    headers.insert(CONTENT_RANGE, headers::value(content_range(&range, pulled.size)));
                    Ok(response.map(|_| body().stream(stream, range.end - range.start)))
                }
                Err(parts) => {
                    let boundary = boundary();
                    let of = format!("multipart/byteranges; boundary={boundary}");
                    headers.insert(CONTENT_TYPE, headers::value(of));
                    Ok(response.map(|_| multipart(body(), parts, pulled.size, &boundary)))
                }
            }
        }
        Content::Redirect(address) => {
            // The address is the store's: one that cannot be sent is its fault.
            let address = HeaderValue::try_from(address).map_err(|error| {
                Error::from(StoreError::new(StoreErrorKind::Other, "blobs.direct_url", error))
            })?;
            let mut response = described(StatusCode::TEMPORARY_REDIRECT, digest);
            response.headers_mut().insert(LOCATION, address);
            Ok(response)
        }
    }
}

/// The ranges that are asked for; none where the whole is.
fn wanted(headers: &HeaderMap, digest: &Digest) -> Vec<ByteRange> {
    let mut lines = headers.get_all(RANGE).iter();
    match (lines.next().and_then(|line| line.to_str().ok()), lines.next()) {
        (Some(line), None) if condition::range_applies(headers, digest) => {
            parse_range(line).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn described(status: StatusCode, digest: &Digest) -> Response<ResponseBody> {
    let [plain, entity_tag] = headers::digest_and_entity_tag(digest);
    let headers = [
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (DOCKER_CONTENT_DIGEST, plain),
        (ETAG, entity_tag),
    ];
    response(status, headers, ResponseBody::empty())
}

/// The range is not empty: the engine serves no empty part.
fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

/// Several parts in one body (RFC 9110, 14.6).
fn multipart(
    mut body: ResponseBody,
    parts: Vec<(Range<u64>, ByteStream)>,
    size: u64,
    boundary: &str,
) -> ResponseBody {
    for (range, stream) in parts {
        let of = content_range(&range, size);
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {of}\r\n\r\n"
        );
        body = body.bytes(head).stream(stream, range.end - range.start);
    }
    body.bytes(format!("\r\n--{boundary}--\r\n"))
}

/// What stands between parts: nothing that anybody could have put into a blob, since nobody knows it before.
fn boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

pub(crate) async fn remove(exchange: &Exchange<'_>, repository: &RepositoryName, digest: &Digest) -> Answer {
    match condition::precondition(exchange.headers)? {
        Precondition::None | Precondition::Exists => {}
        Precondition::Is(digests) if digests.contains(digest) => {}
        Precondition::Is(_) | Precondition::Absent => return Err(Error::PreconditionFailed.into()),
    }
    exchange.asked(exchange.access.unlink_blob(repository, digest)).await?;
    Ok(response(StatusCode::ACCEPTED, [], ResponseBody::empty()))
}
