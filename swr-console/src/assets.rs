//! The console's own style and script, which are part of the program.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use swr_core::digest::Algorithm;
use swr_http::ResponseBody;

/// A file at an address that has its hash in it, so that it can be kept for ever.
pub(crate) struct Asset {
    /// What follows `/assets/`.
    pub(crate) name: String,
    tag: HeaderValue,
    media_type: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, media_type: &'static str, content: &'static str) -> Self {
        let digest = Algorithm::Sha256.digest(content.as_bytes());
        let hash: String = digest.as_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let tag = HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        Self { name: format!("{stem}-{hash}.{extension}"), tag, media_type, content }
    }
}

pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "css", "text/css; charset=utf-8", include_str!("../assets/console.css"))
});

pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "js", "text/javascript; charset=utf-8", include_str!("../assets/console.js"))
});

/// The file of this name, for a client that may have it already.
pub(crate) fn answer(name: &str, headers: &HeaderMap) -> Option<Response<ResponseBody>> {
    let asset = [&STYLE, &SCRIPT].into_iter().find(|asset| asset.name == name)?;
    let has_it = headers.get(IF_NONE_MATCH).is_some_and(|tags| {
        tags.to_str()
            .unwrap_or_default()
            .split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == asset.tag)
    });
    let content = if has_it { "" } else { asset.content };
    let mut response = Response::new(ResponseBody::from(Bytes::from_static(content.as_bytes())));
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(ETAG, asset.tag.clone());
    Some(response)
}
