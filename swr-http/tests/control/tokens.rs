//! Tokens: for the registry's protocol and for the management protocol.

use std::num::NonZeroU32;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use swr_http::control::ManagementOptions;
use swr_http::{Admission, AdmissionLimits, Share};
use tower_service::Service as _;

use crate::house::{Answer, HOST, House, PASSWORD, Person, send};

async fn get(house: &House, person: Option<&Person>, query: &str) -> Answer {
    let mut request = Request::get(format!("/token?{query}"));
    if let Some(person) = person {
        request = request.header("authorization", format!("Basic {}", person.login().auth()));
    }
    send(&house.tokens, request.body(Full::default()).unwrap()).await
}

async fn post(house: &House, form: &str) -> Answer {
    let request = Request::post("/token").header("content-type", "application/x-www-form-urlencoded");
    send(&house.tokens, request.body(Full::from(form.to_owned())).unwrap()).await
}

/// The status of a request to the registry that shows the token.
async fn with(house: &House, token: &str, method: Method, address: &str) -> u16 {
    let request = Request::builder().method(method).uri(address);
    let request = request.header("authorization", format!("Bearer {token}"));
    send(&house.registry, request.body(Full::default()).unwrap()).await.status.as_u16()
}

fn code(answer: &Answer) -> Value {
    answer.json()["errors"][0]["code"].clone()
}

#[tokio::test]
async fn a_login_gets_a_token_for_what_it_may() {
    let house = House::furnished().await;
    let answer = get(
        &house,
        Some(&house.ada),
        "service=registry.example&scope=repository:group/app:pull,push&scope=repository:other/x:pull&account=x",
    )
    .await
    .is(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let document = answer.json();
    assert_eq!(document["token"], document["access_token"]);
    assert_eq!(
        (&document["expires_in"], &document["issued_at"]),
        (&json!(300), &json!("2026-01-01T00:00:00Z"))
    );
    assert!(document.get("refresh_token").is_none());
    let token = document["token"].as_str().unwrap();
    assert_eq!(with(&house, token, Method::GET, "/v2/group/app/manifests/v1").await, 200);
    assert_eq!(with(&house, token, Method::DELETE, "/v2/group/app/manifests/v1").await, 403);

    house.clock.advance(chrono::TimeDelta::minutes(5));
    assert_eq!(with(&house, token, Method::GET, "/v2/group/app/manifests/v1").await, 401);
}

#[tokio::test]
async fn several_scopes_come_in_one_field_or_in_several() {
    let house = House::furnished().await;
    house.push(&house.ada, "group/lib", "v1").await;
    for query in [
        "scope=repository:group/app:pull&scope=repository:group/lib:pull",
        "scope=repository:group/app:pull+repository:group/lib:pull",
        "scope=repository:group/app:pull%20repository:group/lib:pull&service=registry.example&client_id=c",
    ] {
        let token = get(&house, Some(&house.ada), query).await.is(200).json();
        for repository in ["app", "lib"] {
            let address = format!("/v2/group/{repository}/manifests/v1");
            let status = with(&house, token["token"].as_str().unwrap(), Method::GET, &address).await;
            assert_eq!(status, 200, "{query} {repository}");
        }
    }
}

#[tokio::test]
async fn a_stranger_gets_a_token_for_what_is_public() {
    let house = House::furnished().await;
    let scope = "scope=repository:group/app:pull";
    let token = get(&house, None, scope).await.is(200).json();
    let status =
        with(&house, token["token"].as_str().unwrap(), Method::GET, "/v2/group/app/manifests/v1").await;
    assert_eq!(status, 401);
    let app = "/v2/manage/namespaces/group/repos/app";
    house.ada(Method::PATCH, app, json!({ "is_public": true })).await.is(201);
    let token = get(&house, None, scope).await.is(200).json();
    let status =
        with(&house, token["token"].as_str().unwrap(), Method::GET, "/v2/group/app/manifests/v1").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_form_gets_a_token_and_a_refresh_token_gets_another() {
    let house = House::furnished().await;
    let login = house.ada.login();
    let user = login.user.replace('@', "%40");
    let form = format!(
        "grant_type=password&username={user}&password={}&service={HOST}&client_id=c&access_type=offline\
         &scope=repository:group/app:pull",
        login.password.expose()
    );
    let first = post(&house, &form).await.is(200).json();
    let refresh = first["refresh_token"].as_str().unwrap();
    house.clock.advance(chrono::TimeDelta::days(30));
    let form = format!(
        "grant_type=refresh_token&refresh_token={refresh}&service={HOST}&client_id=c\
         &scope=repository:group/app:pull"
    );
    let second = post(&house, &form).await.is(200).json();
    let token = second["access_token"].as_str().unwrap();
    assert_eq!(with(&house, token, Method::GET, "/v2/group/app/manifests/v1").await, 200);
    // One is not good for the other.
    assert_eq!(with(&house, refresh, Method::GET, "/v2/group/app/manifests/v1").await, 401);
    post(&house, &format!("grant_type=refresh_token&refresh_token={token}&service={HOST}")).await.is(401);
    let offline = get(&house, Some(&house.ada), "offline_token=true&service=registry.example").await.is(200);
    assert!(offline.json()["refresh_token"].is_string());
    // A stranger has nothing to refresh.
    assert!(get(&house, None, "offline_token=true").await.is(200).json().get("refresh_token").is_none());
}

#[tokio::test]
async fn what_is_wrong_is_refused_as_the_registry_does() {
    let house = House::furnished().await;
    // With a detail: clients that find none do not show the message.
    let error = json!({
        "code": "UNAUTHORIZED", "message": "authentication required", "detail": { "scopes": [] },
    });
    let expected = json!({ "errors": [error] });
    let wrong = |person: &Person| {
        let login = person.login();
        data_encoding::BASE64.encode(format!("{}:{}x", login.user, login.password.expose()).as_bytes())
    };
    for authorization in [
        format!("Basic {}", wrong(&house.ada)),
        "Basic !".to_owned(),
        "Negotiate x".to_owned(),
        "Bearer x".to_owned(),
    ] {
        let request = Request::get("/token").header("authorization", &authorization);
        let answer = send(&house.tokens, request.body(Full::default()).unwrap()).await.is(401);
        assert_eq!(answer.json(), expected, "{authorization}");
        assert!(answer.header("www-authenticate").starts_with("Basic "), "{authorization}");
    }
    for form in [
        "grant_type=password&username=cn-test1%40AK&password=x&service=registry.example",
        "grant_type=refresh_token&refresh_token=x&service=registry.example",
    ] {
        assert_eq!(post(&house, form).await.is(401).json(), expected, "{form}");
    }
    let many: String = (0..17).map(|at| format!("scope=repository:group/a{at}:pull&")).collect();
    for query in ["service=elsewhere.example", "service=a&service=b", "scope=%ff", &many] {
        let answer = get(&house, Some(&house.ada), query).await.is(400);
        assert_eq!(code(&answer), "UNSUPPORTED", "{query}");
    }
    for form in ["", "grant_type=client_credentials", "grant_type=password&username=a", "%ff=1"] {
        assert_eq!(code(&post(&house, form).await.is(400)), "UNSUPPORTED", "{form}");
    }
    post(&house, &"x".repeat((64 << 10) + 1)).await.is(413);
    for (method, address, status) in [
        (Method::PUT, "/token", 405),
        (Method::GET, "/v3/auth/tokens", 405),
        (Method::GET, "/token/", 404),
        (Method::GET, "/v3/auth", 404),
    ] {
        let request = Request::builder().method(method).uri(address).body(Full::default()).unwrap();
        let answer = send(&house.tokens, request).await.is(status);
        assert_eq!(answer.headers.contains_key("allow"), status == 405);
    }
}

fn identity(change: impl Fn(&mut Value)) -> Bytes {
    let mut body = json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": {
            "name": "ada", "password": PASSWORD, "domain": { "name": "acme" },
        } } },
        "scope": { "project": { "name": "cn-test1" } },
    } });
    change(&mut body);
    serde_json::to_vec(&body).unwrap().into()
}

async fn identify(house: &House, body: impl Into<Bytes>) -> Answer {
    let request = Request::post("/v3/auth/tokens").header("content-type", "application/json");
    send(&house.tokens, request.body(Full::new(body.into())).unwrap()).await
}

#[tokio::test]
async fn a_password_gets_a_management_token() {
    let house = House::new().await;
    let answer = identify(&house, identity(|_| {})).await.is(201);
    assert!(answer.header("x-subject-token").len() > 32);
    let ada = &house.ada;
    let expected = json!({ "token": {
        "methods": ["password"],
        "user": {
            "id": ada.id(), "name": "ada",
            "domain": { "id": ada.account.id.as_str(), "name": "acme" },
        },
        "project": { "id": ada.account.project.as_str(), "name": "cn-test1" },
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2026-01-02T00:00:00.000000Z",
        "catalog": [],
        "roles": [],
    } });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn a_wrong_name_account_or_password_is_one_and_the_same() {
    let house = House::new().await;
    let user = |key: &'static str, value: &'static str| {
        move |body: &mut Value| body["auth"]["identity"]["password"]["user"][key] = value.into()
    };
    let expected = json!({ "error": {
        "code": 401, "title": "Unauthorized", "message": "authentication required",
    } });
    let domain = |name: &'static str| {
        move |body: &mut Value| {
            body["auth"]["identity"]["password"]["user"]["domain"]["name"] = name.into();
        }
    };
    for body in [
        identity(user("password", "open sesam")),
        identity(user("password", "")),
        identity(user("name", "nobody")),
        identity(user("name", "eve")),
        identity(user("name", "no body")),
        identity(domain("globex")),
        identity(domain("nothing")),
        identity(domain("")),
    ] {
        let answer = identify(&house, body).await.is(401);
        assert_eq!(answer.json(), expected);
        assert!(!answer.headers.contains_key("x-subject-token"));
    }
    for body in [
        Bytes::new(),
        Bytes::from_static(b"{}"),
        Bytes::from_static(b"{\"auth\":{\"identity\":{\"methods\":[\"token\"],\"token\":{\"id\":\"x\"}}}}"),
        identity(|body| body["auth"]["identity"]["methods"] = json!(["password", "token"])),
        identity(|body| body["auth"]["identity"]["password"]["user"]["password"] = json!(7)),
        identity(|body| drop(body["auth"]["identity"].as_object_mut().unwrap().remove("password"))),
    ] {
        assert_eq!(identify(&house, body).await.is(400).json()["error"]["title"], "Bad Request");
    }
    identify(&house, "x".repeat((64 << 10) + 1)).await.is(413);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_tokens_has_a_place_until_the_end_of_the_answer_and_no_more_than_a_stranger() {
    let caller = Share { concurrent: NonZeroU32::new(1), ..Share::default() };
    let limits = AdmissionLimits { caller, ..AdmissionLimits::default() };
    let admission = Admission::new(limits);
    let house = House::with(|options| ManagementOptions { admission: admission.clone(), ..options }).await;
    let login = format!("Basic {}", house.ada.login().auth());
    let request = Request::get("/token").header("authorization", login).body(Full::<Bytes>::default());
    let unread = house.tokens.clone().call(request.unwrap()).await.unwrap();
    assert_eq!(unread.status(), 200);

    let refused = get(&house, Some(&house.bob), "").await.is(429);
    assert_eq!((code(&refused), refused.header("retry-after")), (json!("TOOMANYREQUESTS"), "1"));
    let wrong = Request::post("/v3/auth/tokens").body(Full::<Bytes>::default()).unwrap();
    let refused = send(&house.tokens, wrong).await.is(429);
    assert_eq!((&refused.json()["error"]["code"], refused.header("retry-after")), (&json!(429), "1"));

    drop(unread);
    get(&house, Some(&house.bob), "").await.is(200);
}
