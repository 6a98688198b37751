//! What another server answers: read as far as a bound and a deadline go.

use std::error::Error;
use std::pin::pin;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

/// So many bytes of a refusal are looked at.
pub(super) const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// So many characters of a refusal are kept.
const REFUSAL_CHARS_MAX: usize = 200;

/// The first `limit` bytes of a body, or fewer where it ends, breaks off, or has not come by the deadline. The rest is
/// never read.
pub(super) async fn beginning(body: impl Body<Data = Bytes>, limit: usize, deadline: Instant) -> Vec<u8> {
    let mut body = pin!(body);
    let mut read = Vec::new();
    while read.len() < limit {
        let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await else { break };
        if let Ok(chunk) = frame.into_data() {
            read.extend_from_slice(&chunk[..chunk.len().min(limit - read.len())]);
        }
    }
    read
}

/// The first characters of a text that somebody else wrote, on one line.
pub(super) fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line.chars().take(REFUSAL_CHARS_MAX).collect()
}

/// Whether the same request gets the same refusal however often it is sent.
pub(super) fn is_lasting(status: StatusCode) -> bool {
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_client_error() && !passing.contains(&status)
}

/// Why a request got no answer: the innermost cause, which alone says something.
pub(super) fn cause<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_wrote_is_one_line_of_200_characters_at_most() {
        assert_eq!(quoted(b"<h1>\r\n\tNo\x1b[31m \x00 way </h1>\n"), "<h1> No [31m way </h1>");
        assert_eq!(quoted("ü".repeat(300).as_bytes()), "ü".repeat(200));
        assert_eq!(quoted(b"\xff"), "\u{fffd}");
        assert_eq!(quoted(b" \n"), "");
    }
}
