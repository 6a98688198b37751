//! One address for everything: the registry, its management, and where tokens are given out.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::http::{Request, Response};
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
            _ => self.registry.call(request),
        }
    }
}

/// Whether the path is the management protocol's: the registry's own has no organisation `manage`.
fn is_managed(path: &str) -> bool {
    path.strip_prefix("/v2/manage").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || path.starts_with("/v3/")
        || path.starts_with("/admin/v1/")
}

#[cfg(test)]
mod tests {
    use super::*;

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
