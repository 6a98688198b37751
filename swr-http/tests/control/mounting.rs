//! The doors beside each other in a host's router, wherever it puts them.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use swr_http::MountPoint;
use swr_http::control::ManagementOptions;
use tower_service::Service as _;

use crate::house::House;

fn app(house: &House) -> Router {
    Router::new()
        .merge(swr_http::router(house.registry.clone()))
        .merge(swr_http::control::router(house.management.clone()))
        .merge(swr_http::token::router(house.tokens.clone()))
}

async fn send(app: &Router, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
    let response = app.clone().call(request.map(Body::new)).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn what_is_managed_is_not_taken_for_a_repository() {
    let house = House::furnished().await;
    for (app, base) in [(app(&house), ""), (Router::new().nest("/one", app(&house)), "/one")] {
        let signed =
            |address: &str| house.signed(&house.ada, Method::GET, &format!("{base}{address}"), Bytes::new());
        let (status, body) = send(&app, signed("/v2/manage/namespaces")).await;
        assert_eq!((status.as_u16(), &body["namespaces"][0]["name"]), (200, &"group".into()), "{base}");
        let (status, body) = send(&app, signed("/v3/manage/repos?limit=1")).await;
        assert_eq!((status.as_u16(), &body["repos"][0]["name"]), (200, &"app".into()), "{base}");
        let traces = format!("/v3/{}/traces?trace_type=system", house.ada.account.project);
        assert_eq!(send(&app, signed(&traces)).await.0, 200, "{base}");
        let (status, body) = send(&app, signed("/admin/v1/accounts/acme/users")).await;
        assert_eq!((status.as_u16(), &body["users"][0]["name"]), (200, &"ada".into()), "{base}");
        // Even where there is nothing, it is the management protocol that says so.
        for address in
            ["/v2/manage", "/v2/manage/nothing", "/v2/manage/app/tags/list", "/v3/manage/x", "/admin/v1/x"]
        {
            let (status, body) = send(&app, signed(address)).await;
            assert_eq!(
                (status.as_u16(), &body["error_code"]),
                (404, &"SVCSTG.SWR.4040083".into()),
                "{address}"
            );
        }
        let plain = |address: &str| Request::get(format!("{base}{address}")).body(Full::default()).unwrap();
        let (status, body) = send(&app, plain("/v2/managed/app/tags/list")).await;
        assert_eq!((status.as_u16(), &body["errors"][0]["code"]), (401, &"UNAUTHORIZED".into()), "{base}");
        assert_eq!(send(&app, plain("/v2/")).await.0, 401, "{base}");
        assert!(send(&app, plain("/token")).await.1["token"].is_string(), "{base}");
        assert_eq!(send(&app, plain("/v2/manage/openapi.json")).await.0, 200, "{base}");
    }
}

#[tokio::test]
async fn a_signature_is_of_the_path_that_clients_see() {
    for (outside, cut_off) in [("/one", ""), ("/one", "/one"), ("", "")] {
        let house = House::with(|options| ManagementOptions {
            mount: MountPoint::new(outside, cut_off).unwrap(),
            ..options
        })
        .await;
        let inside = outside.strip_prefix(cut_off).unwrap();
        let address = format!("{outside}/v2/manage/namespaces");
        let mut request = house.signed(&house.ada, Method::GET, &address, Bytes::new());
        *request.uri_mut() = format!("{inside}/v2/manage/namespaces").parse().unwrap();
        crate::house::send(&house.management, request).await.is(200);
    }
}
