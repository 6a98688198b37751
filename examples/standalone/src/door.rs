//! One address for everything: the registry, its management, its console, and where tokens are given out.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
#[cfg(feature = "console")]
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::RETRY_AFTER;
#[cfg(feature = "console")]
use axum::http::{HeaderMap, HeaderValue, header};
use axum::http::{Method, Request, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
#[cfg(feature = "console")]
use swr_auth::SessionDesk;
#[cfg(feature = "console")]
use swr_console::ConsoleService;
use swr_http::control::ManagementService;
use swr_http::token::TokenService;
use swr_http::{RegistryService, ResponseBody};
use tower_service::Service;

/// What is served.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) registry: RegistryService,
    /// `None` where the registry is open.
    pub(crate) control: Option<Control>,
}

/// What is served beside the registry where there are accounts.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) management: ManagementService,
    pub(crate) tokens: TokenService,
    #[cfg(feature = "console")]
    pub(crate) console: ConsoleService,
    /// Those of the console.
    #[cfg(feature = "console")]
    pub(crate) sessions: Arc<SessionDesk>,
}

impl<B> Service<Request<B>> for Door
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(control) = &mut self.control else { return self.registry.call(request) };
        match request.uri().path() {
            "/token" | "/v3/auth/tokens" => control.tokens.call(request),
            path if is_managed(path) => control.management.call(request),
            #[cfg(feature = "console")]
            path if is_of_console(path) => control.console.call(request),
            #[cfg(feature = "console")]
            "/" if request.method() == Method::GET && is_browser(request.headers()) => {
                Box::pin(std::future::ready(Ok(to_console())))
            }
            _ => self.registry.call(request),
        }
    }
}

/// Passes on what changes nothing: reads, and the questions that signing in consists of.
pub(crate) async fn reads_alone(request: Request<Body>, next: Next) -> Response<Body> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_read || matches!(request.uri().path(), "/token" | "/v3/auth/tokens") {
        return next.run(request).await;
    }
    let again = [(RETRY_AFTER, "60")];
    (StatusCode::SERVICE_UNAVAILABLE, again, "the registry serves reads alone at the moment\n")
        .into_response()
}

/// Whether the path is the management protocol's: the registry's own has no organisation `manage`.
fn is_managed(path: &str) -> bool {
    path.strip_prefix("/v2/manage").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || path.starts_with("/v3/")
        || path.starts_with("/admin/v1/")
}

#[cfg(feature = "console")]
fn is_of_console(path: &str) -> bool {
    path.strip_prefix("/console").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether somebody looks at pages: clients of the registry ask for no HTML.
#[cfg(feature = "console")]
fn is_browser(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accepted| accepted.as_bytes().starts_with(b"text/html"))
}

#[cfg(feature = "console")]
fn to_console() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/console"));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "console")]
    #[test]
    fn the_console_has_its_own_paths_and_browsers_are_told_from_clients() {
        for (path, is_its_own) in
            [("/console", true), ("/console/", true), ("/console/a/b", true), ("/consoles", false)]
        {
            assert_eq!(is_of_console(path), is_its_own, "{path}");
        }
        for (accepted, is_one) in [
            (Some("text/html,application/xhtml+xml"), true),
            (Some("*/*"), false),
            (Some("application/vnd.oci.image.manifest.v1+json, text/html"), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(accepted.map(|accepted| (header::ACCEPT, HeaderValue::from_static(accepted))));
            assert_eq!(is_browser(&headers), is_one, "{accepted:?}");
        }
    }

    #[test]
    fn the_management_protocol_has_its_own_paths() {
        for path in [
            "/v2/manage",
            "/v2/manage/namespaces",
            "/v3/manage/repos",
            "/v3/0123/traces",
            "/admin/v1/accounts",
        ] {
            assert!(is_managed(path), "{path}");
        }
        for path in
            ["/v2/", "/v2/managed/app/tags/list", "/v2/manager/app/manifests/v1", "/", "/v3", "/admin"]
        {
            assert!(!is_managed(path), "{path}");
        }
    }
}
