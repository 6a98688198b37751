//! The registry inside of axum, wherever the host puts it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use swr_auth::{AnonymousOnly, AnyoneMay};
use swr_core::Registry;
use swr_core::digest::Algorithm;
use swr_http::{MountPoint, RegistryService, ServiceOptions, router};
use swr_storage::{MemoryBlobs, MemoryManifests};
use tower_service::Service as _;

fn registry() -> Registry {
    let bytes = Arc::new(MemoryBlobs::new());
    Registry::builder(bytes, Arc::new(MemoryManifests::new()), Arc::new(AnyoneMay)).build()
}

fn service() -> RegistryService {
    RegistryService::new(registry(), Arc::new(AnonymousOnly))
}

fn mounted(outside: &str, cut_off: &str) -> RegistryService {
    let mount = MountPoint::new(outside, cut_off).unwrap();
    let options = ServiceOptions { mount, ..ServiceOptions::default() };
    RegistryService::with_options(registry(), Arc::new(AnonymousOnly), options)
}

async fn send(app: &Router, method: Method, address: &str, body: &'static str) -> Response<Body> {
    let request = Request::builder().method(method).uri(address).body(Body::from(body)).unwrap();
    app.clone().call(request).await.unwrap()
}

async fn text(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

/// A push and a pull, by the addresses that the registry gives.
async fn serves(app: &Router, base: &str) {
    assert_eq!(send(app, Method::GET, &format!("{base}/"), "").await.status(), 200, "{base}");
    let begun = send(app, Method::POST, &format!("{base}/v2/a/blobs/uploads/"), "").await;
    assert_eq!(begun.status(), 202, "{base}");
    let location = begun.headers()["location"].to_str().unwrap();
    assert!(location.starts_with(&format!("{base}/v2/a/blobs/uploads/")), "{location}");
    let digest = Algorithm::Sha256.digest(b"content");
    let put = send(app, Method::PUT, &format!("{location}?digest={digest}"), "content").await;
    assert_eq!(put.status(), 201, "{base}");
    let location = put.headers()["location"].to_str().unwrap();
    assert_eq!(location, format!("{base}/v2/a/blobs/{digest}"));
    assert_eq!(text(send(app, Method::GET, location, "").await).await, "content");
}

#[tokio::test]
async fn it_serves_wherever_it_is_put() {
    for (app, base) in [
        (router(service()), "/v2"),
        (Router::new().fallback_service(service()), "/v2"),
        (Router::new().route_service("/v2/{*rest}", service()).route_service("/v2/", service()), "/v2"),
        (Router::new().nest_service("/v2", mounted("/v2", "/v2")), "/v2"),
        (Router::new().nest_service("/one", service()), "/one/v2"),
        (Router::new().nest("/one", router(service())), "/one/v2"),
        (Router::new().nest("/one", Router::new().nest_service("/two", service())), "/one/two/v2"),
        (Router::new().nest_service("/one/v2", mounted("/one/v2", "/one/v2")), "/one/v2"),
        (router(mounted("/one/v2", "")), "/one/v2"),
        (Router::new().nest_service("/v2", router(mounted("/v2", "/v2"))), "/v2"),
    ] {
        serves(&app, base).await;
    }
}

#[tokio::test]
async fn two_registries_live_in_one_router_beside_other_routes() {
    let app = Router::new()
        .route("/livez", get(|| async { "alive" }))
        .route("/v2/manage/organisations", get(|| async { "managed" }))
        .merge(router(service()))
        .nest_service("/other", service());
    serves(&app, "/v2").await;
    serves(&app, "/other/v2").await;
    assert_eq!(text(send(&app, Method::GET, "/livez", "").await).await, "alive");
    assert_eq!(text(send(&app, Method::GET, "/v2/manage/organisations", "").await).await, "managed");

    let digest = Algorithm::Sha256.digest(b"only here");
    let address = format!("/v2/b/blobs/uploads/?digest={digest}");
    assert_eq!(send(&app, Method::POST, &address, "only here").await.status(), 201);
    assert_eq!(send(&app, Method::GET, &format!("/v2/b/blobs/{digest}"), "").await.status(), 200);
    assert_eq!(send(&app, Method::GET, &format!("/other/v2/b/blobs/{digest}"), "").await.status(), 404);
    // A name with a slash that was encoded is no name, here as elsewhere.
    assert_eq!(send(&app, Method::GET, "/v2/a%2Fb/tags/list", "").await.status(), 400);
}
