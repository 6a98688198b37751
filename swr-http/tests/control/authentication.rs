//! Who may speak to the management protocol at all.

use std::convert::Infallible;
use std::future::pending;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::stream;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use serde_json::json;
use swr_auth::Signer;
use swr_core::caller::{Channel, Origin};
use swr_http::control::ManagementOptions;
use swr_http::{Admission, AdmissionLimits, PeerAddress, RequestId, Share};
use tower_service::Service as _;

use crate::house::{HOST, House, PASSWORD, send};

const NAMESPACES: &str = "/v2/manage/namespaces";

#[tokio::test]
async fn whoever_shows_nothing_or_something_wrong_is_told_so_by_the_gate() {
    let house = House::furnished().await;
    let signed = |address| house.signed(&house.ada, Method::GET, address, Bytes::new());
    let mut requests = Vec::new();
    requests.push(Request::get(NAMESPACES).body(Full::default()).unwrap());
    for authorization in [
        "",
        "Basic YWRhOm9wZW4gc2VzYW1l",
        "Bearer x",
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=00",
    ] {
        let mut request = signed(NAMESPACES);
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        requests.push(request);
    }
    // A signature is of one method, path, query, set of headers and body, and of nothing else.
    let mut other = signed(NAMESPACES);
    *other.method_mut() = Method::DELETE;
    *other.uri_mut() = "/v2/manage/namespaces/group".parse().unwrap();
    requests.push(other);
    for address in ["/v2/manage/repos", "/v2/manage/namespaces?namespace=group"] {
        let mut other = signed(NAMESPACES);
        *other.uri_mut() = address.parse().unwrap();
        requests.push(other);
    }
    let mut other = signed(NAMESPACES);
    other.headers_mut().insert("host", HeaderValue::from_static("elsewhere.example"));
    requests.push(other);
    let mut twice = signed(NAMESPACES);
    twice.headers_mut().append("host", HeaderValue::from_static(HOST));
    requests.push(twice);
    requests.push(signed(NAMESPACES).map(|_| Full::from(Bytes::from_static(b"x"))));
    let mut without_host = signed(NAMESPACES);
    without_host.headers_mut().remove("host");
    requests.push(without_host);
    let unknown = swr_core::control::credential::KeyId::parse("AKNOBODYHASTHISONE00").unwrap();
    let stranger = crate::house::Person {
        user: house.ada.user.clone(),
        account: house.ada.account.clone(),
        key: unknown,
        secret: house.ada.secret.clone(),
    };
    requests.push(house.signed(&stranger, Method::GET, NAMESPACES, Bytes::new()));

    for request in requests {
        let what = format!("{request:?}");
        let answer = send(&house.management, request).await;
        assert_eq!(answer.status, 401, "{what}");
        let expected = json!({
            "error_code": "APIGW.0301",
            "error_msg": "the request is not signed, or its signature does not verify",
            "request_id": answer.header("x-request-id"),
        });
        assert_eq!(answer.json(), expected, "{what}");
    }
    assert_eq!(house.management.refusals().record().await.unwrap(), 0);
    // The trail is asked through the same gate, and so is what is not offered.
    for address in ["/v3/p/traces?trace_type=system", "/v2/manage/regions", "/v2/manage/repos?limit=0"] {
        let request = Request::get(address).body(Full::default()).unwrap();
        let answer = send(&house.management, request).await.is(401);
        assert_eq!(answer.json()["error_code"], "APIGW.0301");
    }
}

#[tokio::test]
async fn a_signature_is_good_for_a_quarter_of_an_hour() {
    let house = House::new().await;
    for (minutes, status) in [(15, 200), (-15, 200), (16, 401), (-16, 401)] {
        let request = house.signed(&house.ada, Method::GET, NAMESPACES, Bytes::new());
        house.clock.advance(TimeDelta::minutes(minutes));
        send(&house.management, request).await.is(status);
        house.clock.advance(TimeDelta::minutes(-minutes));
    }
}

#[tokio::test]
async fn a_key_that_is_deleted_is_worth_nothing_for_the_next_request() {
    let house = House::new().await;
    house.ada(Method::GET, NAMESPACES, "").await.is(200);
    let administration = house.plane.administration(Origin::default());
    administration.remove_access_key(&house.ada.user.id, &house.ada.key).await.unwrap();
    house.ada(Method::GET, NAMESPACES, "").await.is(401);
}

#[tokio::test]
async fn a_token_stands_for_a_password() {
    let house = House::furnished().await;
    let body = json!({ "auth": { "identity": { "methods": ["password"], "password": { "user": {
        "name": "ada", "password": PASSWORD, "domain": { "name": "acme" },
    } } } } });
    let body = Bytes::from(serde_json::to_vec(&body).unwrap());
    let request = Request::post("/v3/auth/tokens").body(Full::new(body)).unwrap();
    let token = send(&house.tokens, request).await.is(201).header("x-subject-token").to_owned();

    let with = |token: &str, method: Method, address: &str, body: &'static str| {
        let request = Request::builder().method(method).uri(address).header("x-auth-token", token);
        request.body(Full::from(body)).unwrap()
    };
    let shown = send(&house.management, with(&token, Method::GET, NAMESPACES, "")).await.is(200).json();
    assert_eq!(shown["namespaces"][0]["name"], "group");
    let created = with(&token, Method::POST, NAMESPACES, "{\"namespace\":\"other\"}");
    send(&house.management, created).await.is(201);
    // Logins that it gets name no access key, and work.
    let made =
        send(&house.management, with(&token, Method::POST, "/v2/manage/utils/secret", "")).await.is(200);
    assert!(made.header("x-swr-dockerlogin").starts_with("docker login -u cn-test1@"));

    for wrong in ["", "x", &token[..token.len() - 1], &"x".repeat(9000)] {
        let answer = send(&house.management, with(wrong, Method::GET, NAMESPACES, "")).await.is(401);
        assert_eq!(answer.number(), "4010000", "{wrong}");
    }
    let answer = with("x", Method::GET, "/v3/p/traces?trace_type=system", "");
    assert_eq!(send(&house.management, answer).await.is(401).json()["error_code"], "APIGW.0301");

    // It ends with the password, and by itself.
    house.clock.advance(TimeDelta::hours(23));
    send(&house.management, with(&token, Method::GET, NAMESPACES, "")).await.is(200);
    house.clock.advance(TimeDelta::hours(1));
    send(&house.management, with(&token, Method::GET, NAMESPACES, "")).await.is(401);
}

#[tokio::test]
async fn a_request_keeps_the_id_that_its_host_gave_it() {
    let house = House::new().await;
    let mut request = house.signed(&house.ada, Method::GET, NAMESPACES, Bytes::new());
    request.extensions_mut().insert(RequestId("the-id".into()));
    assert_eq!(send(&house.management, request).await.header("x-request-id"), "the-id");
    // What a client says of itself is another thing.
    let mut request = house.signed(&house.ada, Method::GET, NAMESPACES, Bytes::new());
    request.headers_mut().insert("x-request-id", HeaderValue::from_static("forged"));
    request.extensions_mut().insert(PeerAddress(([127, 0, 0, 1], 80).into()));
    let answer = send(&house.management, request).await.is(200);
    assert!(answer.header("x-request-id").len() == 32);
}

#[tokio::test]
async fn what_http_2_says_of_the_host_is_signed_like_the_header() {
    let house = House::new().await;
    let mut request = house.signed(&house.ada, Method::GET, NAMESPACES, Bytes::new());
    request.headers_mut().remove("host");
    *request.uri_mut() = format!("https://{HOST}{NAMESPACES}").parse().unwrap();
    *request.version_mut() = http::Version::HTTP_2;
    send(&house.management, request).await.is(200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_waited_for_only_so_long() {
    let house = House::with(|options| ManagementOptions {
        patience: Some(swr_http::Patience { within: Duration::from_secs(5), bytes_min: 1 }),
        ..options
    })
    .await;
    let request = house.signed(&house.ada, Method::POST, NAMESPACES, Bytes::new());
    let body = http_body_util::StreamBody::new(futures_util::stream::once(pending::<
        Result<http_body::Frame<Bytes>, std::io::Error>,
    >()));
    let request = request.map(|_| body);
    let response = tower_service::Service::call(&mut house.management.clone(), request).await.unwrap();
    assert_eq!(response.status(), 408);
}

#[tokio::test]
async fn whom_the_host_vouches_for_needs_no_signature_and_has_no_more_rights() {
    let house = House::furnished().await;
    let asked = async |person: &crate::house::Person, method: Method, address: &str| {
        let (user, account) = (person.user.clone(), person.account.clone());
        let mut request = Request::builder().method(method).uri(address).body(Full::default()).unwrap();
        request.extensions_mut().insert(Signer { user, account, key: None });
        request.extensions_mut().insert(Channel::Console);
        send(&house.management, request).await
    };
    let listed = asked(&house.ada, Method::GET, NAMESPACES).await.is(200).json();
    assert_eq!(listed["namespaces"][0]["name"], "group");
    let app = "/v2/manage/namespaces/group/repos/app";
    asked(&house.eve, Method::DELETE, app).await.is(404);
    asked(&house.ada, Method::DELETE, app).await.is(204);
    let trail = format!("/v3/{}/traces?trace_type=system", house.ada.account.project);
    let last = asked(&house.ada, Method::GET, &trail).await.is(200).json();
    assert_eq!(
        (&last["traces"][0]["user"]["name"], &last["traces"][0]["code"]),
        (&json!("ada"), &json!("204"))
    );
    assert_eq!(last["traces"][0]["trace_type"], "ConsoleAction");
}

#[tokio::test(start_paused = true)]
async fn no_body_is_waited_for_before_there_is_room_for_whoever_is_known() {
    let caller = Share { concurrent: NonZeroU32::new(1), ..Share::default() };
    let admission = Admission::new(AdmissionLimits { caller, ..AdmissionLimits::default() });
    let house = House::with(|options| ManagementOptions { admission: admission.clone(), ..options }).await;
    let signer = || Signer { user: house.ada.user.clone(), account: house.ada.account.clone(), key: None };
    let unread = Request::get(NAMESPACES).extension(signer()).body(Full::<Bytes>::default()).unwrap();
    let unread = house.management.clone().call(unread).await.unwrap();

    let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request = Request::post(NAMESPACES).extension(signer()).body(body).unwrap();
    let refused = send(&house.management, request).await.is(403);
    assert_eq!(refused.number(), "4031032");
    drop(unread);
    let request = Request::get(NAMESPACES).extension(signer()).body(Full::<Bytes>::default()).unwrap();
    send(&house.management, request).await.is(200);
}
