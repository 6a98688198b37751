//! All pages: in both languages, without markup of anybody else's, and well-formed.

use swr_core::OrganisationName;
use swr_core::control::repository::Attributes;

use super::house::House;

const PAGES: [&str; 8] = [
    "/console",
    "/console/organisations",
    "/console/organisations/lib",
    "/console/audit",
    "/console/credentials",
    "/console/users",
    "/console/accounts",
    "/console/users/acme",
];

async fn furnished() -> House {
    let house = House::new().await;
    let olga = house.access(&house.olga);
    olga.create_organisation(&OrganisationName::parse("lib").unwrap()).await.unwrap();
    olga.create_repository(&"lib/app".parse().unwrap(), &Attributes::default()).await.unwrap();
    house.desk.access_key(&olga, &house.olga.user.id, "<img src=x onerror=alert(1)>").await.unwrap();
    house
}

/// Elements that have no end.
const VOID: [&str; 5] = ["input", "link", "meta", "br", "img"];

/// Holds that every element ends where it should, that no id is there twice, and that what refers to an id finds it.
pub(crate) fn expect_well_formed(text: &str) {
    let (mut open, mut ids, mut referred) = (Vec::new(), std::collections::BTreeSet::new(), Vec::new());
    let mut rest = text.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "in {text}");
            continue;
        }
        let name = tag.split(' ').next().unwrap();
        for part in tag.split("\" ") {
            let Some((key, value)) = part.split_once("=\"") else { continue };
            let value = value.trim_end_matches('"').to_owned();
            match key.rsplit(' ').next().unwrap() {
                "id" => assert!(ids.insert(value.clone()), "{value} is there twice in {text}"),
                "for" | "aria-labelledby" | "aria-describedby" | "popovertarget" | "list" | "data-filter"
                | "data-copy" => {
                    referred.push(value);
                }
                _ => {}
            }
        }
        if !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
    for id in referred {
        assert!(ids.contains(&id), "nothing has the id {id} in {text}");
    }
}

#[tokio::test]
async fn every_page_is_there_in_both_languages() {
    let house = furnished().await;
    let mut browser = house.signed_in(&house.olga).await;
    for (languages, tag, overview) in [("en", "en", "Overview"), ("zh", "zh-CN", "总览")] {
        browser.languages = languages;
        for address in PAGES {
            let page =
                browser.get(address).await.is(200).says(&format!("<html lang=\"{tag}\">")).says(overview);
            expect_well_formed(&page.text);
            assert_eq!(page.text.matches("<h1>").count(), 1, "{address}");
            assert_eq!(page.text.matches("<main").count(), 1, "{address}");
            let is_han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
            let others = page.text.replace("中文", "").chars().filter(|c| is_han(*c)).count();
            assert_eq!(others > 0, languages == "zh", "{address}");
        }
        let page = house.browser();
        expect_well_formed(&page.get("/console/sign-in").await.text);
        expect_well_formed(&browser.get("/console/nowhere").await.text);
    }
}

pub(crate) const HOSTILE: [&str; 3] = [
    "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "%27%20onfocus%3Dalert(1)%20%3Cb%3E",
    "%3C%2Ftitle%3E%3C!--%00%FF",
];

pub(crate) fn expect_only_text(answer: &super::house::Answer) {
    for markup in ["<script>", "<b>", "<!--", "\" onfocus", "<img src=x"] {
        assert!(!answer.text.contains(markup), "{markup} in {}", answer.text);
    }
    if answer.text.starts_with("<!DOCTYPE") {
        expect_well_formed(&answer.text);
    }
}

#[tokio::test]
async fn what_is_typed_into_any_field_stays_text() {
    let house = furnished().await;
    let browser = house.signed_in(&house.olga).await;
    let forms = [
        ("/console/organisations", "name"),
        ("/console/organisations/lib/grants", "user"),
        ("/console/organisations/lib/grants/change", "user"),
        ("/console/organisations/lib/grants/remove", "user"),
        ("/console/organisations/lib/delete", "word"),
        ("/console/credentials", "description"),
        ("/console/credentials/delete", "key"),
        ("/console/credentials/password", "new"),
        ("/console/users/acme", "name"),
        ("/console/users/acme/role", "user"),
        ("/console/users/acme/password", "user"),
        ("/console/users/acme/delete", "user"),
        ("/console/accounts", "name"),
        ("/console/login", "any"),
    ];
    for hostile in HOSTILE {
        for (address, field) in forms {
            let form = format!("{field}={hostile}&level=1&role=member&word=DELETE&{field}={hostile}");
            expect_only_text(&browser.submit("/console", address, &form).await);
        }
        for name in ["done", "after", "from", "lang", "next", "before"] {
            for address in PAGES {
                expect_only_text(&browser.get(&format!("{address}?{name}={hostile}")).await);
            }
        }
        for name in ["period", "rating", "name", "type", "resource", "user", "id", "from", "until", "before"]
        {
            expect_only_text(&browser.get(&format!("/console/audit?period=between&{name}={hostile}")).await);
            expect_only_text(&browser.get(&format!("/console/audit?{name}={hostile}")).await);
        }
        expect_only_text(&browser.get(&format!("/console/{hostile}")).await);
        expect_only_text(&browser.get(&format!("/console/organisations/{hostile}")).await);
        expect_only_text(&browser.get(&format!("/console/audit/{hostile}")).await);
        for field in ["account", "user", "password", "key", "secret", "next", "with"] {
            expect_only_text(&house.browser().post("/console/sign-in", &format!("{field}={hostile}")).await);
        }
    }
    // What was kept of it is shown as what it is.
    for address in PAGES {
        expect_only_text(&browser.get(address).await);
    }
    browser.get("/console/credentials").await.says("&lt;img src=x onerror=alert(1)&gt;");
}

#[tokio::test]
async fn nobody_sees_a_page_who_has_not_signed_in() {
    let house = furnished().await;
    for address in PAGES {
        assert_eq!(house.browser().get(address).await.status, 303, "{address}");
        let answer = house.browser().post(address, "name=x").await;
        answer.goes_to("/console/sign-in?done=ended");
    }
}

#[tokio::test]
async fn an_address_that_takes_forms_leads_to_its_page() {
    let house = furnished().await;
    let browser = house.signed_in(&house.olga).await;
    for (address, page) in [
        ("/console/login", "/console/"),
        ("/console/credentials/delete", "/console/credentials"),
        ("/console/organisations/lib/delete", "/console/organisations/lib"),
        ("/console/organisations/lib/grants", "/console/organisations/lib"),
        ("/console/organisations/lib/grants/remove", "/console/organisations/lib"),
        ("/console/users/acme/role", "/console/users/acme"),
        ("/console/images/lib/app/delete", "/console/images/lib/app"),
        ("/console/images/lib/app/grants/change", "/console/images/lib/app/grants"),
        ("/console/images/lib/app/sharing/end", "/console/images/lib/app/sharing"),
        ("/console/images/lib/app/triggers/enable", "/console/images/lib/app/triggers"),
        ("/console/images/lib/app/aging/delete", "/console/images/lib/app/aging"),
        ("/console/images/lib/app/aging/preview", "/console/images/lib/app/aging"),
        ("/console/images/lib/app/triggers/preview", "/console/images/lib/app/triggers"),
    ] {
        browser.get(address).await.goes_to(page);
    }
    // A version may have that name; none has it here.
    browser.get("/console/images/lib/app/versions/delete").await.is(404).says("Version delete");
    browser.get("/console/organisations/lib/nowhere").await.is(404);
    // What was done is said once: no other language says it again.
    browser.get("/console/organisations/lib?done=created").await.is(200).lacks("?done=");
}

#[tokio::test]
async fn the_page_of_a_refused_form_leads_on_from_its_own_address() {
    let house = furnished().await;
    let olga = house.access(&house.olga);
    for number in 0..101 {
        let name = format!("lib/x{number:03}").parse().unwrap();
        olga.create_repository(&name, &Attributes::default()).await.unwrap();
    }
    let browser = house.signed_in(&house.olga).await;
    for (to, page) in [
        ("/images/lib/app/delete", "/images/lib/app"),
        ("/images/lib/app/versions/delete", "/images/lib/app"),
        ("/images/lib/app/attributes", "/images/lib/app/attributes"),
        ("/images/lib/app/grants", "/images/lib/app/grants"),
        ("/images/lib/app/grants/remove", "/images/lib/app/grants"),
        ("/images/lib/app/sharing/end", "/images/lib/app/sharing"),
        ("/images/lib/app/triggers/delete", "/images/lib/app/triggers"),
        ("/images/lib/app/triggers/preview", "/images/lib/app/triggers"),
        ("/images/lib/app/aging/preview", "/images/lib/app/aging"),
        ("/organisations/lib/delete", "/organisations/lib"),
        ("/organisations/lib/grants/change", "/organisations/lib"),
        ("/users/acme/role", "/users/acme"),
        ("/credentials/delete", "/credentials"),
    ] {
        let long = "x".repeat(30_001);
        let refused =
            browser.submit("/console", &format!("/console{to}"), &format!("description={long}")).await;
        assert!(matches!(refused.status.as_u16(), 200 | 400 | 413), "{to}: {}", refused.text);
        let links = refused.text.matches("?lang=").count();
        let leading = refused.text.matches(&format!("href=\"/console{page}?lang=")).count();
        assert!(links > 0 && links == leading, "{to}: {}", refused.text);
        if page == "/organisations/lib" {
            refused.says("href=\"/console/organisations/lib?from=");
        }
    }
}

#[tokio::test]
async fn navigation_leads_where_there_is_something() {
    let house = House::new().await;
    let page = house.signed_in(&house.bob).await.get("/console").await;
    page.lacks("href=\"/console/users\"").lacks("href=\"/console/accounts\"");
    let page = house.signed_in(&house.ada).await.get("/console").await;
    page.says("href=\"/console/users\"").lacks("href=\"/console/accounts\"");
    let page = house.signed_in(&house.olga).await.get("/console").await;
    page.says("href=\"/console/users\"").says("href=\"/console/accounts\"");
}
