//! What every answer has around it: headers, languages, the style and the script, and pages that are none.

use http::Request;

use super::house::{House, method};

#[tokio::test]
async fn every_page_has_the_headers_that_keep_others_out() {
    let house = House::new().await;
    let browser = house.signed_in(&house.ada).await;
    for address in ["/console", "/console/sign-in", "/console/nowhere", "/elsewhere"] {
        let answer = browser.get(address).await;
        let header = |name: &str| answer.headers[name].to_str().unwrap();
        let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
        assert_eq!(header("content-security-policy"), policy, "{address}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn no_page_has_a_script_or_a_style_in_it() {
    let house = House::new().await;
    let browser = house.signed_in(&house.ada).await;
    for page in [browser.get("/console").await, house.browser().get("/console/sign-in").await] {
        let page = page.is(200).lacks("<style").lacks(" style=").lacks(" onclick").lacks("javascript:");
        for (at, _) in page.text.match_indices("<script") {
            assert!(
                page.text[at..].starts_with("<script src=\"/console/assets/console-"),
                "{}",
                &page.text[at..]
            );
        }
    }
}

#[tokio::test]
async fn the_style_and_the_script_are_kept_for_ever() {
    let house = House::new().await;
    let browser = house.browser();
    let page = browser.get("/console/sign-in").await;
    for (attribute, media_type) in
        [("href", "text/css; charset=utf-8"), ("src", "text/javascript; charset=utf-8")]
    {
        let (_, rest) = page.text.split_once(&format!("{attribute}=\"/console/assets/")).unwrap();
        let address = format!("/console/assets/{}", rest.split('"').next().unwrap());
        let asset = browser.get(&address).await.is(200);
        assert_eq!(asset.headers["content-type"], media_type);
        assert_eq!(asset.headers["cache-control"], "public, max-age=31536000, immutable");
        let again = Request::get(&address).header("if-none-match", &asset.headers["etag"]);
        assert_eq!(browser.send(again, "").await.is(304).text, "");
        let other = Request::get(&address).header("if-none-match", "\"another\"");
        assert_eq!(browser.send(other, "").await.is(200).text, asset.text);
    }
    browser.get("/console/assets/console.css").await.goes_to("/console/sign-in?next=%2Fassets%2Fconsole.css");
}

#[tokio::test]
async fn a_language_is_preferred_chosen_and_remembered() {
    let house = House::new().await;
    let mut browser = house.browser();
    browser.languages = "zh-CN,zh;q=0.9,en;q=0.8";
    browser.get("/console/sign-in").await.is(200).says("<html lang=\"zh-CN\">").says("登录");
    let chosen = browser.get("/console/sign-in?lang=en&next=%2Faudit").await.is(200);
    let chosen = chosen.says("<html lang=\"en\">").says("Sign in");
    // The way back keeps what the address says beside that.
    chosen.says("href=\"/console/sign-in?next=%2Faudit&amp;lang=zh\"");
    browser.get("/console/sign-in").await.is(200).says("<html lang=\"en\">");
}

#[tokio::test]
async fn there_are_no_pages_but_those_there_are() {
    let house = House::new().await;
    let browser = house.signed_in(&house.ada).await;
    for address in ["/console/nowhere", "/console/a/b/c", "/console/%3Cb%3E"] {
        browser.get(address).await.is(404).says("There is no such page").lacks("<b>");
    }
    for name in ["PUT", "DELETE", "PATCH"] {
        let answer = browser.send(Request::builder().method(method(name)).uri("/console"), "").await.is(405);
        assert_eq!(answer.headers["allow"], "GET, POST");
    }
    browser.submit("/console", "/console", "").await.is(405);
    browser.submit("/console", "/console/nowhere", "").await.is(404);
}

#[tokio::test]
async fn a_form_has_an_end() {
    let house = House::new().await;
    let long = "a".repeat((512 << 10) + 1);
    house.browser().post("/console/sign-in", &long).await.is(413);
}
