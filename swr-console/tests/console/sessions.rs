//! Signing in and out, and what ends a session.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::TimeDelta;
use http::Request;
use swr_console::ConsoleOptions;
use swr_core::caller::Origin;
use swr_http::{Admission, AdmissionLimits, PeerAddress, Rate, Share};

use super::house::{Browser, House, PASSWORD, logged};

fn cookie(browser: &Browser<'_>) -> Option<String> {
    let cookies = browser.cookies.lock().unwrap();
    cookies.iter().find(|(name, _)| name == "__Host-swr-session").map(|(_, value)| value.clone())
}

async fn is_in(browser: &Browser<'_>) -> bool {
    browser.get("/console").await.status == 200
}

#[tokio::test]
async fn somebody_signs_in_with_a_password_and_out_again() {
    let house = House::new().await;
    let browser = house.browser();
    browser.get("/console").await.goes_to("/console/sign-in");
    browser.get("/console/sign-in").await.is(200).says("Sign in");
    let browser = house.signed_in(&house.ada).await;
    let page = browser.get("/console").await.is(200).says("acme").says("ada");
    browser.get("/console/sign-in").await.goes_to("/console/");
    let (token, session) = (page.form_token().unwrap().to_owned(), cookie(&browser).unwrap());
    assert_ne!(token, session);
    browser
        .post("/console/sign-out", &format!("form_token={token}"))
        .await
        .goes_to("/console/sign-in?done=signed-out");
    assert_eq!(cookie(&browser), None);
    browser.get("/console/sign-in?done=signed-out").await.is(200).says("You have signed out");
    // Whoever has kept it has nothing.
    browser.cookies.lock().unwrap().push(("__Host-swr-session".to_owned(), session));
    assert!(!is_in(&browser).await);
}

#[tokio::test]
async fn who_signs_in_again_is_who_it_says_and_the_session_before_ends() {
    let house = House::new().await;
    let browser = house.signed_in(&house.ada).await;
    let before = cookie(&browser).unwrap();
    let wrong = "account=acme&user=bob&password=wrong";
    browser.post("/console/sign-in", wrong).await.is(401);
    browser.get("/console/credentials").await.is(200).says(house.ada.user.id.as_str());
    let form = "account=acme&user=bob&password=open+sesame";
    browser.post("/console/sign-in", form).await.goes_to("/console/");
    let page = browser.get("/console/credentials").await.is(200).says(house.bob.user.id.as_str());
    page.lacks(house.ada.user.id.as_str());
    browser.get("/console/sign-in").await.goes_to("/console/");
    // Whoever has kept it has nothing.
    browser.cookies.lock().unwrap().clear();
    browser.cookies.lock().unwrap().push(("__Host-swr-session".to_owned(), before));
    assert!(!is_in(&browser).await);
}

#[tokio::test]
async fn somebody_signs_in_with_an_access_key_until_it_is_deleted() {
    let house = House::new().await;
    let access = house.access(&house.bob);
    let made = house.desk.access_key(&access, &house.bob.user.id, "").await.unwrap();
    let browser = house.browser();
    let form = |secret: &str| format!("with=key&key={}&secret={secret}", made.key.id);
    browser.post("/console/sign-in", &form("wrong")).await.is(401).lacks("wrong\"");
    browser.post("/console/sign-in", &form(made.secret.expose())).await.goes_to("/console/");
    browser.get("/console").await.is(200).says("bob");
    access.remove_access_key(&house.bob.user.id, &made.key.id).await.unwrap();
    assert!(!is_in(&browser).await);
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_one_way_and_begins_nothing() {
    let house = House::new().await;
    let browser = house.browser();
    let mut seen = Vec::new();
    for form in [
        "with=password&account=acme&user=ada&password=wrong",
        "with=password&account=acme&user=nobody&password=open+sesame",
        "with=password&account=nowhere&user=ada&password=open+sesame",
        "with=password&account=globex&user=ada&password=open+sesame",
        "with=password&account=acme&user=%3Cb%3E&password=open+sesame",
        "with=key&key=AK&secret=SK",
        "with=key&key=%22%3E&secret=SK",
        "",
    ] {
        let answer = browser.post("/console/sign-in", form).await.is(401);
        let (_, alert) = answer.text.split_once("role=\"alert\">").unwrap();
        seen.push(alert.split('<').next().unwrap().to_owned());
        assert!(!answer.headers.contains_key("set-cookie"), "{form}");
    }
    seen.dedup();
    assert_eq!(seen, ["That did not match. Check what you entered and try again."]);
}

#[tokio::test]
async fn a_refused_sign_in_is_logged_without_what_was_typed() {
    let house = House::new().await;
    for form in [
        "account=acme&user=ada&password=typed-secret",
        "account=acme&user=typed-secret&password=x",
        "with=key&key=typed-secret&secret=typed-secret",
    ] {
        let before = logged().len();
        let request = Request::post("/console/sign-in")
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(PeerAddress("192.0.2.7:1234".parse().unwrap()));
        house.browser().send(request, form).await.is(401);
        let line = logged().split_off(before);
        assert!(line.contains("WARN") && line.contains("source=\"192.0.2.7\""), "{form}: {line}");
        assert!(!line.contains("typed"), "{form}: {line}");
    }
    let before = logged().len();
    house.signed_in(&house.ada).await;
    assert_eq!(&logged()[before..], "");
}

#[tokio::test]
async fn a_session_ends_with_the_password_and_with_the_user() {
    let house = House::new().await;
    let (one, other) = (house.signed_in(&house.bob).await, house.signed_in(&house.ada).await);
    assert!(is_in(&one).await && is_in(&other).await);
    let administration = house.plane.administration(Origin::default());
    let hash = swr_auth::NewPassword::new(PASSWORD.into()).unwrap().hash().unwrap();
    administration.set_password(&house.bob.user.id, Some(hash)).await.unwrap();
    assert!(!is_in(&one).await);
    administration.remove_user(&house.ada.user.id).await.unwrap();
    assert!(!is_in(&other).await);
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let house = House::new().await;
    let idle = house.signed_in(&house.bob).await;
    house.clock.advance(TimeDelta::minutes(59));
    assert!(is_in(&idle).await);
    house.clock.advance(TimeDelta::minutes(60));
    assert!(!is_in(&idle).await);

    let busy = house.signed_in(&house.bob).await;
    for _ in 0..23 {
        house.clock.advance(TimeDelta::minutes(30));
        assert!(is_in(&busy).await);
    }
    house.clock.advance(TimeDelta::minutes(30));
    assert!(!is_in(&busy).await);
    // What is left of them goes.
    house.signed_in(&house.ada).await;
    house.clock.advance(TimeDelta::hours(13));
    assert_eq!(house.sessions.trim(std::num::NonZeroU32::new(9).unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn one_goes_on_where_one_wanted_to_go_and_never_elsewhere() {
    let house = House::new().await;
    let browser = house.browser();
    browser
        .get("/console/organisations?name=a%26b")
        .await
        .goes_to("/console/sign-in?next=%2Forganisations%3Fname%3Da%2526b");
    for (next, goes_on) in [
        ("%2Forganisations%3Fname%3Da", "/console/organisations?name=a"),
        ("%2F%2Fevil.example", "/console/"),
        ("https%3A%2F%2Fevil.example", "/console/"),
        ("%2F%5Cevil.example", "/console/"),
        ("%2Fa%0D%0Ax%3A1", "/console/"),
        ("", "/console/"),
    ] {
        let form = format!("account=acme&user=ada&password=open+sesame&next={next}");
        house.browser().post("/console/sign-in", &form).await.goes_to(goes_on);
    }
}

#[tokio::test]
async fn the_cookie_is_the_browsers_alone() {
    let house = House::new().await;
    let answer = house.browser().post("/console/sign-in", "account=acme&user=ada&password=open+sesame").await;
    let line = answer.headers["set-cookie"].to_str().unwrap();
    let (pair, rest) = line.split_once(';').unwrap();
    assert!(
        pair.starts_with("__Host-swr-session=") && pair.len() == "__Host-swr-session=".len() + 64,
        "{pair}"
    );
    assert_eq!(rest, " Path=/; HttpOnly; SameSite=Lax; Secure");

    let plain = House::with(|options| swr_console::ConsoleOptions { secure: false, ..options }).await;
    let answer = plain.browser().post("/console/sign-in", "account=acme&user=ada&password=open+sesame").await;
    let line = answer.headers["set-cookie"].to_str().unwrap();
    assert!(line.starts_with("swr-session=") && line.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{line}");
}

#[tokio::test]
async fn what_another_site_sends_changes_nothing() {
    let house = House::new().await;
    let browser = house.signed_in(&house.ada).await;
    let page = browser.get("/console").await;
    let token = page.form_token().unwrap();
    let other = house.signed_in(&house.bob).await;
    let others = other.get("/console").await.form_token().unwrap().to_owned();
    let form = "application/x-www-form-urlencoded";
    for (site, media_type, body, status) in [
        ("cross-site", form, format!("form_token={token}"), 403),
        ("same-site", form, format!("form_token={token}"), 403),
        ("same-origin", form, String::new(), 403),
        ("same-origin", form, "form_token=".to_owned(), 403),
        ("same-origin", form, format!("form_token={others}"), 403),
        ("same-origin", "text/plain", format!("form_token={token}"), 415),
    ] {
        let request = Request::post("/console/sign-out")
            .header("sec-fetch-site", site)
            .header("content-type", media_type);
        browser.send(request, &body).await.is(status);
        assert!(is_in(&browser).await, "{site} {media_type} {body}");
    }
    let request = Request::post("/console/sign-in").header("origin", "https://evil.example");
    house.browser().send(request, "account=acme&user=ada&password=open+sesame").await.is(403);
}

#[tokio::test(start_paused = true)]
async fn sign_ins_count_as_a_strangers_and_pages_as_those_of_whoever_has_signed_in() {
    let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(2).unwrap() };
    let caller = Share { rate: Some(rate), ..Share::default() };
    let limits = AdmissionLimits { caller, hold: Duration::ZERO, ..AdmissionLimits::default() };
    let admission = Admission::new(limits);
    let house = House::with(|options| ConsoleOptions { admission: admission.clone(), ..options }).await;
    let ada = house.signed_in(&house.ada).await;
    let wrong = "with=password&account=acme&user=ada&password=wrong";
    let other = house.browser();
    other.post("/console/sign-in", wrong).await.is(401);
    let refused = other.post("/console/sign-in", wrong).await.is(429);
    assert_eq!(refused.headers["retry-after"], "1");

    ada.get("/console").await.is(200);
    ada.get("/console/images").await.is(200);
    ada.get("/console").await.is(429);
    tokio::time::advance(Duration::from_secs(2)).await;
    ada.get("/console").await.is(200);
    other.post("/console/sign-in", wrong).await.is(401);
}

#[tokio::test]
async fn nobody_keeps_a_request_open_that_is_no_upload() {
    let house = House::with(|options| swr_console::ConsoleOptions { patience: None, ..options }).await;
    let (ada, nobody) = (house.signed_in(&house.ada).await, house.browser());
    // From now on an hour is over as soon as nothing else happens.
    tokio::time::pause();
    let files = "multipart/form-data; boundary=b";
    let form = "application/x-www-form-urlencoded";
    for (browser, method, path, media_type, status) in [
        (&nobody, "POST", "/sign-in", files, 415),
        (&nobody, "POST", "/sign-in", "text/plain", 415),
        (&nobody, "POST", "/sign-in", form, 503),
        (&nobody, "POST", "/upload", files, 303),
        (&ada, "POST", "/organisations", files, 415),
        (&ada, "POST", "/organisations", form, 503),
        (&ada, "POST", "/upload", files, 503),
        (&ada, "GET", "/upload", files, 200),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("/console{path}"))
            .header("content-type", media_type)
            .header("sec-fetch-site", "same-origin");
        let answer = browser.send_without_end(request, "--b\r\n");
        let answer = tokio::time::timeout(std::time::Duration::from_secs(3600), answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method} {path} {media_type} is never answered"));
        assert_eq!(answer.status, status, "{method} {path} {media_type}");
    }
}
