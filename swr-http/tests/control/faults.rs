//! A fault of the store at the doors where somebody has to be known first: it is told as one, and never as a wrong
//! password, a missing right or a thing that is not there.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use swr_core::digest::Algorithm;

use crate::house::{Answer, CONFIG, House, LAYER, PASSWORD, descriptor, image, send};

#[tokio::test]
async fn a_fault_is_no_refusal_to_those_who_push_and_pull() {
    let house = House::furnished().await;
    let (config, layer) = (Algorithm::Sha256.digest(CONFIG), Algorithm::Sha256.digest(LAYER));
    let absent = Algorithm::Sha256.digest(b"absent");
    let manifest = serde_json::to_vec(&image("v3")).unwrap();
    let other = descriptor("application/vnd.oci.image.config.v1+json", b"other");
    let other = other["digest"].as_str().unwrap();
    for (method, address, body, status) in [
        (Method::GET, "/v2/".to_owned(), &b""[..], 200),
        (Method::GET, "/v2/_catalog".to_owned(), b"", 200),
        (Method::GET, "/v2/group/app/tags/list".to_owned(), b"", 200),
        (Method::GET, "/v2/group/app/manifests/v1".to_owned(), b"", 200),
        (Method::HEAD, "/v2/group/app/manifests/v1".to_owned(), b"", 200),
        (Method::GET, "/v2/group/app/manifests/absent".to_owned(), b"", 404),
        (Method::HEAD, format!("/v2/group/app/blobs/{layer}"), b"", 200),
        (Method::GET, format!("/v2/group/app/blobs/{layer}"), b"", 200),
        (Method::GET, format!("/v2/group/app/blobs/{absent}"), b"", 404),
        (Method::GET, format!("/v2/group/app/referrers/{config}"), b"", 200),
        (Method::POST, format!("/v2/group/app/blobs/uploads/?digest={other}"), b"other", 201),
        (Method::POST, format!("/v2/group/new/blobs/uploads/?mount={layer}&from=group/app"), b"", 201),
        (Method::PUT, "/v2/group/app/manifests/v3".to_owned(), &manifest, 201),
        (Method::DELETE, "/v2/group/app/manifests/v3".to_owned(), b"", 202),
        (Method::DELETE, format!("/v2/group/app/blobs/{other}"), b"", 202),
    ] {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let ask = async || house.content(&house.ada, method.clone(), &address, media_type, body).await;
        house.past_every_fault(ask).await.is(status);
    }
}

#[tokio::test]
async fn a_fault_is_no_refusal_to_those_who_ask_for_tokens_and_bear_them() {
    let house = House::furnished().await;
    let basic = format!("Basic {}", house.ada.login().auth());
    let get = async |authorization: &str| -> Answer {
        let address = "/token?service=registry.example&scope=repository:group/app:pull&offline_token=true";
        let request = Request::get(address).header("authorization", authorization);
        send(&house.tokens, request.body(Full::<Bytes>::default()).unwrap()).await
    };
    let issued = house.past_every_fault(async || get(&basic).await).await.is(200).json();
    let form = format!(
        "grant_type=refresh_token&service=registry.example&refresh_token={}",
        issued["refresh_token"].as_str().unwrap()
    );
    let refresh = async || -> Answer {
        let request = Request::post("/token").header("content-type", "application/x-www-form-urlencoded");
        send(&house.tokens, request.body(Full::from(form.clone())).unwrap()).await
    };
    house.past_every_fault(refresh).await.is(200);
    let bearer = format!("Bearer {}", issued["token"].as_str().unwrap());
    let pull = async || -> Answer {
        let request = Request::get("/v2/group/app/manifests/v1").header("authorization", &bearer);
        send(&house.registry, request.body(Full::<Bytes>::default()).unwrap()).await
    };
    house.past_every_fault(pull).await.is(200);
}

#[tokio::test]
async fn a_fault_is_no_wrong_password_at_the_door_of_management() {
    let house = House::furnished().await;
    let body = json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": {
            "name": "ada", "password": PASSWORD, "domain": { "name": "acme" },
        } } },
        "scope": { "domain": { "name": "acme" } },
    } });
    let body = serde_json::to_vec(&body).unwrap();
    let sign_in = async || -> Answer {
        let request = Request::post("/v3/auth/tokens").header("content-type", "application/json");
        send(&house.tokens, request.body(Full::from(body.clone())).unwrap()).await
    };
    let token = house.past_every_fault(sign_in).await.is(201).header("x-subject-token").to_owned();
    let ask = async || -> Answer {
        let request = Request::get("/v2/manage/namespaces").header("x-auth-token", &token);
        send(&house.management, request.body(Full::<Bytes>::default()).unwrap()).await
    };
    house.past_every_fault(ask).await.is(200);
}
