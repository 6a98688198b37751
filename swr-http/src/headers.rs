//! The protocol's headers: names, and how their values are written.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};

use swr_core::Error;
use swr_core::digest::Digest;

/// The digest of what is sent or was taken.
pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Says that this is a registry.
pub(crate) const DOCKER_DISTRIBUTION_API_VERSION: HeaderName =
    HeaderName::from_static("docker-distribution-api-version");
/// The id of an upload.
pub(crate) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// The smallest chunk that is asked for.
pub(crate) const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// The filters that a list was made with.
pub(crate) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// The manifest that a pushed one refers to.
pub(crate) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The tags that a pushed manifest was given.
pub(crate) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// A value out of text that this crate writes: printable ASCII. What is not would be left empty.
pub(crate) fn value(text: impl Into<String>) -> HeaderValue {
    HeaderValue::try_from(text.into()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// As [`value`], of text that is not to be printed, nor kept by whoever packs headers.
#[cfg(feature = "control")]
pub(crate) fn secret(text: impl Into<String>) -> HeaderValue {
    let mut value = value(text);
    value.set_sensitive(true);
    value
}

/// The digest of content, and its entity tag: a strong one, since the bytes are always the same.
pub(crate) fn digest_and_entity_tag(digest: &Digest) -> [HeaderValue; 2] {
    // Two digits a byte, and the algorithm's name.
    let mut quoted = String::with_capacity(2 * digest.as_bytes().len() + 16);
    // A text takes whatever is written.
    let _: fmt::Result = write!(quoted, "\"{digest}\"");
    let quoted = Bytes::from(quoted);
    let plain = quoted.slice(1..quoted.len() - 1);
    [plain, quoted]
        .map(|text| HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("")))
}

/// The bytes of an upload that are here, as `Range` has them. Of none it has no form; `0-0` is what clients
/// know.
pub(crate) fn upload_range(offset: u64) -> HeaderValue {
    value(format!("0-{}", offset.saturating_sub(1)))
}

/// Every line of a header as one list, as if they had been sent in one line. `None` without any; what is not
/// ASCII is left out.
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    let first = Cow::from(lines.next()?);
    Some(lines.fold(first, |list, line| list + "," + line))
}

/// Refuses a body that is anything but itself: what has a digest is taken as it is, or not at all. That holds for
/// its way here as well, of which a server undoes HTTP's own chunks and nothing else.
pub(crate) fn refuse_encoded(headers: &HeaderMap) -> Result<(), Error> {
    for (name, plain) in [(CONTENT_ENCODING, "identity"), (TRANSFER_ENCODING, "chunked")] {
        if let Some(encoding) = list(headers, &name)
            && !encoding.trim().eq_ignore_ascii_case(plain)
        {
            return Err(Error::EncodingUnsupported { encoding: encoding.chars().take(160).collect() });
        }
    }
    Ok(())
}
