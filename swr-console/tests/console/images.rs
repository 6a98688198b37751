//! Images on pages: their lists, what each right finds in one, rules before and after they are kept, packages.

use std::time::Duration;

use chrono::TimeDelta;
use http::Request;
use serde_json::json;
use swr_console::ConsoleOptions;
use swr_core::OrganisationName;
use swr_core::caller::{Channel, Origin};
use swr_core::control::NewUser;
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::identity::{AccountName, Role, UserName};
use swr_core::control::repository::{Attributes, Visibility};
use swr_core::control::share::Deadline;
use swr_core::control::trace::Operation as O;

use super::house::{Answer, Browser, House};
use super::package::package;
use super::pages::{HOSTILE, expect_only_text, expect_well_formed};

const APP: &str = "/console/images/lib/app";
const TABS: [&str; 7] = ["", "/attributes", "/grants", "/sharing", "/triggers", "/aging", "/guide"];

/// A house with an image of ada's: `v1`, and a day later `v2`, which have a layer in common.
async fn furnished() -> House {
    let house = House::new().await;
    let lib = OrganisationName::parse("lib").unwrap();
    house.access(&house.ada).create_organisation(&lib).await.unwrap();
    house.push(&house.ada, "lib/app:v1", &["base", "one"], json!({})).await;
    house.clock.advance(TimeDelta::days(1));
    house.push(&house.ada, "lib/app:v2", &["base", "two"], json!({ "note": "<b>&\"'</b>" })).await;
    house
}

async fn granted(house: &House, level: GrantLevel) {
    let scope = GrantScope::Repository("lib/app".parse().unwrap());
    let access = house.access(&house.ada);
    let levels = [(house.bob.user.id.clone(), level)];
    if access.change_grants(&scope, &levels).await.is_err() {
        access.grant(&scope, &levels).await.unwrap();
    }
}

async fn shared(house: &House) {
    let globex = AccountName::parse("globex").unwrap();
    let share = house.access(&house.ada);
    share.share(&"lib/app".parse().unwrap(), &globex, Deadline::Never, "").await.unwrap();
}

/// Sends a form of ada's image, with the token that a page of it has.
async fn submit(browser: &Browser<'_>, to: &str, form: &str) -> Answer {
    browser.submit(APP, &format!("{APP}{to}"), form).await
}

/// The piece of the tab that a script asks for.
async fn fragment(browser: &Browser<'_>, tab: &str, form: &str) -> Answer {
    submit(browser, &format!("{tab}/preview"), &format!("fragment=yes&{form}")).await.is(200).lacks("<html")
}

#[tokio::test]
async fn lists_show_what_is_ours_and_what_others_share() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    ada.get("/console/images").await.is(200).says("href=\"/console/images/lib/app\"");
    ada.get("/console/images?list=shared").await.is(200).lacks("lib/app");
    ada.get("/console/images?by-us=yes").await.is(200).lacks("lib/app");
    ada.get("/console/images?name=ap&organisation=li&category=other&visibility=private")
        .await
        .says("lib/app");
    for question in ["name=x", "organisation=x", "category=linux", "visibility=public"] {
        ada.get(&format!("/console/images?{question}")).await.is(200).lacks("lib/app");
    }
    let eve = house.signed_in(&house.eve).await;
    eve.get("/console/images?list=shared").await.is(200).lacks("lib/app");
    shared(&house).await;
    eve.get("/console/images?list=shared").await.says("lib/app").says("acme");
    eve.get("/console/images").await.lacks("lib/app");
    ada.get("/console/images?by-us=yes").await.says("lib/app");
    house.signed_in(&house.bob).await.get("/console/images").await.is(200).lacks("lib/app");
}

#[tokio::test]
async fn lists_are_sorted_and_come_in_parts() {
    let house = furnished().await;
    for number in 0..55 {
        house.clock.advance(TimeDelta::seconds(1));
        let name = format!("lib/x{number:02}").parse().unwrap();
        house.access(&house.ada).create_repository(&name, &Attributes::default()).await.unwrap();
    }
    let ada = house.signed_in(&house.ada).await;
    let newest = ada.get("/console/images").await.is(200).says(">x54<").lacks(">app<").says("56 in all");
    newest.says("href=\"/console/images?from=50\"");
    ada.get("/console/images?from=50").await.says(">app<").lacks(">x54<").lacks("rel=\"next\"");
    let by_name = ada.get("/console/images?order=name").await.says(">app<");
    assert!(by_name.text.find(">x00<") < by_name.text.find(">x01<"));
}

#[tokio::test]
async fn each_right_finds_what_it_may_do_and_nothing_more() {
    let house = furnished().await;
    let bob = house.signed_in(&house.bob).await;
    for tab in TABS {
        bob.get(&format!("{APP}{tab}")).await.is(404).lacks("v1");
    }
    // What each level may open, and which forms it is offered.
    for (level, sharing, attributes, deletes) in [
        (GrantLevel::Read, 403, false, false),
        (GrantLevel::Edit, 403, true, false),
        (GrantLevel::Manage, 200, true, true),
    ] {
        granted(&house, level).await;
        let may = |page: Answer, what: &str, may: bool| if may { page.says(what) } else { page.lacks(what) };
        let versions = bob.get(APP).await.is(200).says("docker pull registry.example/lib/app:v1");
        let versions = may(versions, "/versions/delete\"", deletes);
        let versions = may(versions, "href=\"/console/images/lib/app/sharing\"", sharing == 200);
        may(versions, "app/delete\"", deletes);
        may(bob.get(&format!("{APP}/attributes")).await.is(200), "<textarea", attributes);
        may(bob.get(&format!("{APP}/triggers")).await.is(200), "add-trigger", attributes);
        may(bob.get(&format!("{APP}/grants")).await.is(200), "add-grant", deletes);
        may(bob.get(&format!("{APP}/aging")).await.is(200), "name=\"number\"", deletes);
        may(bob.get(&format!("{APP}/guide")).await.is(200), "docker push", attributes);
        bob.get(&format!("{APP}/sharing")).await.is(sharing);
    }
    // An account that it is shared with.
    shared(&house).await;
    let eve = house.signed_in(&house.eve).await;
    eve.get(APP).await.is(200).says("v2").says("docker pull").lacks("/delete\"").lacks("/aging\"");
    eve.get(&format!("{APP}/versions/v2")).await.is(200).says("COPY two");
    eve.get(&format!("{APP}/attributes")).await.is(200).lacks("<textarea");
    eve.get(&format!("{APP}/guide")).await.is(200).lacks("docker push");
    for tab in ["/grants", "/sharing", "/triggers", "/aging"] {
        let status = eve.get(&format!("{APP}{tab}")).await.status;
        assert!(status == 403 || status == 404, "{tab}: {status}");
    }
    for asked in
        ["kind=all", "kind=count&number=1", "fragment=yes&kind=all", "fragment=yes&kind=count&number=1"]
    {
        for tab in ["/triggers", "/aging"] {
            let address = format!("{APP}{tab}/preview");
            let refused = eve.submit("/console/credentials", &address, asked).await;
            assert!(matches!(refused.status.as_u16(), 403 | 404), "{tab}, {asked}: {}", refused.status);
        }
    }
}

#[tokio::test]
async fn what_is_sent_without_the_right_changes_nothing_and_is_in_the_trail() {
    let house = furnished().await;
    shared(&house).await;
    granted(&house, GrantLevel::Read).await;
    for person in [&house.bob, &house.eve] {
        let browser = house.signed_in(person).await;
        for (to, form, operation) in [
            ("/delete", "word=DELETE", O::DeleteImageRepository),
            ("/versions/delete", "word=DELETE&tag=v1", O::DeleteImageTag),
            ("/attributes", "visibility=public&category=linux&description=x", O::UpdateImageRepository),
            ("/grants", &format!("user={}&level=7", house.olga.user.id), O::CreateUserRepositoryAuth),
            ("/sharing", "account=globex", O::CreateImageRepositoryAccessDomain),
            ("/sharing/end", "account=globex&word=DELETE", O::DeleteImageRepositoryAccessDomain),
            (
                "/triggers",
                "name=t&kind=all&action=webhook&url=https://a.example&secret=0123456789abcdef",
                O::CreateTrigger,
            ),
            ("/triggers/delete", "trigger=t&word=DELETE", O::DeleteTrigger),
            ("/aging", "kind=count&number=1", O::CreateRetention),
        ] {
            let answer = browser.submit("/console", &format!("{APP}{to}"), form).await;
            assert!(matches!(answer.status.as_u16(), 403 | 404), "{to}: {}", answer.text);
            assert_eq!(house.outcomes(person, operation).await, [answer.status.as_u16()], "{to}");
        }
    }
    let ada = house.signed_in(&house.ada).await;
    ada.get(APP).await.is(200).says("v1").says("v2").says("Private");
    ada.get(&format!("{APP}/triggers")).await.says("The image has no trigger.");
}

/// Whether it is the image that is not there, the form that is wrong, or the word.
#[tokio::test]
async fn whatever_is_refused_is_in_the_trail_once() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    for (to, form, operation) in [
        ("/images/lib/none/delete", "word=DELETE", O::DeleteImageRepository),
        ("/images/lib/app/versions/delete", "word=no&tag=v1", O::DeleteImageTag),
        ("/images/lib/none/attributes", "", O::UpdateImageRepository),
        ("/images/lib/app/grants", "user=nobody&level=1", O::CreateUserRepositoryAuth),
        ("/images/lib/app/grants/change", "user=x", O::UpdateUserRepositoryAuth),
        ("/images/lib/app/grants/remove", "word=no", O::DeleteUserRepositoryAuth),
        ("/images/lib/app/sharing", "account=globex&last-day=x", O::CreateImageRepositoryAccessDomain),
        ("/images/lib/app/sharing/change", "account=", O::UpdateImageRepositoryAccessDomain),
        ("/images/lib/app/sharing/end", "account=globex", O::DeleteImageRepositoryAccessDomain),
        ("/images/lib/app/triggers", "name=-", O::CreateTrigger),
        ("/images/lib/app/triggers/enable", "trigger=-", O::UpdateTrigger),
        ("/images/lib/app/triggers/delete", "trigger=t", O::DeleteTrigger),
        ("/images/lib/app/aging", "kind=count&number=0", O::CreateRetention),
        ("/images/lib/app/aging/change", "kind=age&number=1&rule=x", O::UpdateRetention),
        ("/images/lib/app/aging/delete", "rule=1", O::DeleteRetention),
        ("/organisations/lib/delete", "word=no", O::DeleteUserNamespace),
        ("/organisations/lib/grants", "user=nobody", O::CreateUserNamespaceAuth),
        ("/organisations/lib/grants/change", "user=x", O::UpdateUserNamespaceAuth),
        ("/organisations/lib/grants/remove", "user=x", O::DeleteUserNamespaceAuth),
        ("/users/nowhere", "name=dan&role=member", O::CreateUser),
        ("/users/acme/role", "user=bob&role=king", O::UpdateUser),
        ("/users/acme/delete", "user=bob&word=no", O::DeleteUser),
        ("/credentials/delete", "key=x&word=no", O::DeleteAccessKey),
    ] {
        let answer = ada.submit("/console", &format!("/console{to}"), form).await;
        assert!(answer.status.is_client_error(), "{to}: {}", answer.text);
        // Before, somebody was given something.
        let mut outcomes = house.outcomes(&house.ada, operation).await;
        outcomes.retain(|code| *code != 200);
        assert_eq!(outcomes, [answer.status.as_u16()], "{to}");
    }
}

#[tokio::test]
async fn nothing_is_done_without_the_token_of_the_session() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let others = house.signed_in(&house.bob).await.get("/console").await.form_token().unwrap().to_owned();
    for token in ["", "form_token=&", &format!("form_token={others}&")] {
        for (to, form) in [
            ("/delete", "word=DELETE"),
            ("/versions/delete", "word=DELETE&tag=v1"),
            ("/aging", "kind=count&number=1"),
        ] {
            ada.post(&format!("{APP}{to}"), &format!("{token}{form}")).await.is(403);
        }
    }
    ada.get(APP).await.is(200).says("v1").says("v2");
}

#[tokio::test]
async fn several_versions_are_deleted_at_once_with_the_word() {
    let house = furnished().await;
    house.push(&house.ada, "lib/app:v3", &["three"], json!({})).await;
    let ada = house.signed_in(&house.ada).await;
    submit(&ada, "/versions/delete", "tag=v1&tag=v2&word=delete")
        .await
        .is(400)
        .says("the word did not match");
    submit(&ada, "/versions/delete", "word=DELETE").await.is(400).says("Mark the versions");
    let deleted = submit(&ada, "/versions/delete", "tag=v1&tag=v2&word=DELETE").await;
    deleted.goes_to("/console/images/lib/app?done=versions-deleted");
    ada.get(APP).await.is(200).says("v3").lacks("value=\"v1\"").lacks("value=\"v2\"");
    submit(&ada, "/versions/delete", "tag=v1&word=DELETE").await.is(404).says("Version v1 does not exist.");
    submit(&ada, "/delete", "word=DELETE!").await.is(400);
    submit(&ada, "/delete", "word=DELETE").await.goes_to("/console/images?done=deleted");
    ada.get(APP).await.is(404);
}

#[tokio::test]
async fn versions_are_found_and_sorted() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let newest = ada.get(APP).await.is(200);
    assert!(newest.text.find("value=\"v2\"") < newest.text.find("value=\"v1\""));
    let by_tag = ada.get(&format!("{APP}?order=tag")).await.is(200);
    assert!(by_tag.text.find("value=\"v1\"") < by_tag.text.find("value=\"v2\""));
    ada.get(&format!("{APP}?tag=1")).await.is(200).says("value=\"v1\"").lacks("value=\"v2\"");
}

#[tokio::test]
async fn an_owner_says_something_else_of_an_image() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let form = "visibility=public&category=database&description=%0D%0Afirst%0D%0A%3Cb%3E";
    submit(&ada, "/attributes", form).await.goes_to("/console/images/lib/app/attributes?done=saved");
    let saved = ada.get(&format!("{APP}/attributes")).await.is(200).says("Database").says("Public");
    saved.says("\nfirst\n&lt;b&gt;").lacks("<b>");
    let details = house.access(&house.ada).repository(&"lib/app".parse().unwrap()).await.unwrap();
    assert_eq!(details.attributes.visibility, Visibility::Public);
    assert_eq!(&*details.attributes.description, "\nfirst\n<b>");
    let long = format!("category=linux&description={}", "x".repeat(30_001));
    submit(&ada, "/attributes", &long)
        .await
        .is(413)
        .says("more than 30000 characters")
        .says(&"x".repeat(30_001));
}

#[tokio::test]
async fn grants_are_given_changed_and_taken() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let bob = &house.bob.user.id;
    submit(&ada, "/grants", "user=bob&level=1").await.goes_to("/console/images/lib/app/grants?done=granted");
    submit(&ada, "/grants", "user=bob&level=1").await.is(409).says("already");
    submit(&ada, "/grants", "user=eve&level=1").await.is(400);
    ada.get(&format!("{APP}/grants")).await.is(200).says("<option value=\"1\" selected>");
    let change = format!("user={bob}&level=3");
    submit(&ada, "/grants/change", &change).await.goes_to("/console/images/lib/app/grants?done=changed");
    ada.get(&format!("{APP}/grants")).await.is(200).says("<option value=\"3\" selected>");
    submit(&ada, "/grants/remove", &format!("user={bob}&word=x")).await.is(400);
    let remove = format!("user={bob}&word=DELETE");
    submit(&ada, "/grants/remove", &remove).await.goes_to("/console/images/lib/app/grants?done=removed");
    ada.get(&format!("{APP}/grants")).await.is(200).says("No user has a permission");
}

#[tokio::test]
async fn grants_come_in_parts() {
    let house = furnished().await;
    let scope = GrantScope::Repository("lib/app".parse().unwrap());
    let administration = house.plane.administration(Origin::default());
    let mut levels = Vec::new();
    for number in 0..101 {
        let name = UserName::parse(&format!("user{number:03}")).unwrap();
        let account = house.ada.account.id.clone();
        let new = NewUser { account, name, role: Role::Member, password: None };
        levels.push((administration.create_user(new).await.unwrap().id, GrantLevel::Read));
    }
    for levels in levels.chunks(10) {
        house.access(&house.ada).grant(&scope, levels).await.unwrap();
    }
    let ada = house.signed_in(&house.ada).await;
    let row = |number: u8| format!("<th scope=\"row\">user{number:03}</th>");
    let first = ada.get(&format!("{APP}/grants")).await.is(200).says(&row(99)).lacks(&row(100));
    let next = format!("{APP}/grants?after=user099");
    first.says(&format!("href=\"{next}\""));
    ada.get(&next).await.is(200).says(&row(100)).lacks(&row(99)).lacks("rel=\"next\"");
}

#[tokio::test]
async fn an_image_is_shared_until_the_end_of_a_day() {
    let house = furnished().await;
    let (ada, eve) = (house.signed_in(&house.ada).await, house.signed_in(&house.eve).await);
    eve.get(APP).await.is(404);
    let day = (house.plane.now() + TimeDelta::days(1)).format("%Y-%m-%d").to_string();
    let form = format!("account=globex&last-day={day}&description=%3Cb%3E");
    submit(&ada, "/sharing", &form).await.goes_to("/console/images/lib/app/sharing?done=shared");
    submit(&ada, "/sharing", &form).await.is(409).says("shared with account globex already");
    ada.get(&format!("{APP}/sharing")).await.is(200).says(&day).says("Valid").says("&lt;b&gt;").lacks("<b>");
    eve.get(APP).await.is(200);
    let change = "account=globex&last-day=";
    submit(&ada, "/sharing/change", change).await.goes_to("/console/images/lib/app/sharing?done=changed");
    ada.get(&format!("{APP}/sharing")).await.is(200).says("For ever");
    submit(&ada, "/sharing/end", "account=globex").await.is(400);
    let end = "account=globex&word=DELETE";
    submit(&ada, "/sharing/end", end).await.goes_to("/console/images/lib/app/sharing?done=ended");
    eve.get(APP).await.is(404);
    for (form, status) in
        [("account=nobody", 400), ("account=acme", 400), ("account=globex&last-day=tomorrow", 400)]
    {
        submit(&ada, "/sharing", form).await.is(status).says("value=\"");
    }
}

#[tokio::test]
async fn triggers_are_added_switched_and_deleted() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let webhook = "name=hook&kind=pattern&condition=%5Ev2.*&action=webhook&url=https://hooks.example/x&secret=0123456789abcdef";
    let created = "/console/images/lib/app/triggers?done=created";
    submit(&ada, "/triggers", &format!("{webhook}&enabled=yes")).await.goes_to(created);
    submit(&ada, "/triggers", webhook)
        .await
        .is(400)
        .says("Trigger hook already exists.")
        .lacks("0123456789abcdef");
    let update = "name=deploy&kind=all&condition=&action=update&mode=cce&cluster-id=c1&cluster-name=main\
                  &namespace=default&workload=deployments&application=web&container=app";
    submit(&ada, "/triggers", update).await.goes_to(created);
    let page =
        ada.get(&format!("{APP}/triggers")).await.is(200).says("^v2.*").says("https://hooks.example/x");
    page.says("--").says("default").says("web").says("Disabled").lacks("0123456789abcdef");
    let switch = "trigger=hook&enabled=no";
    let disabled = "/console/images/lib/app/triggers?done=disabled";
    submit(&ada, "/triggers/enable", switch).await.goes_to(disabled);
    let history = ada.get(&format!("{APP}/triggers?history=hook")).await.is(200);
    history.says("It has not been fired yet.").lacks("Enabled</span>");
    submit(&ada, "/triggers/replay", "trigger=hook&delivery=x").await.is(404);
    submit(&ada, "/triggers/delete", "trigger=hook").await.is(400);
    let deleted = "/console/images/lib/app/triggers?done=deleted";
    submit(&ada, "/triggers/delete", "trigger=hook&word=DELETE").await.goes_to(deleted);
    ada.get(&format!("{APP}/triggers")).await.is(200).lacks("hooks.example").says("deploy");
    for wrong in [
        "name=-x&kind=all&action=webhook&url=https://a.example&secret=0123456789abcdef",
        "name=x&kind=all&action=webhook&url=https://u:p@a.example&secret=0123456789abcdef",
        "name=x&kind=all&action=webhook&url=https://a.example&secret=short",
        "name=x&kind=pattern&condition=(&action=webhook&url=https://a.example&secret=0123456789abcdef",
        "name=x&kind=tag&condition=a/b&action=webhook&url=https://a.example&secret=0123456789abcdef",
        "name=x&kind=all&action=update&mode=cce&namespace=default&workload=deployments&application=web",
        "name=x&kind=all&action=update&mode=cci&namespace=../x&workload=deployments&application=web",
    ] {
        submit(&ada, "/triggers", wrong).await.is(400).says("role=\"alert\"");
    }
}

#[tokio::test]
async fn a_condition_is_shown_at_work_before_it_is_kept() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let preview = async |form: &str| fragment(&ada, "/triggers", form).await;
    preview("kind=all").await.says("2 of 2").says("<code>v1</code>");
    preview("kind=pattern&condition=%5Ev2").await.says("1 of 2").says("<code>v2</code>").lacks("v1");
    preview("kind=tag&condition=v1").await.says("1 of 2").lacks("v2");
    preview("kind=pattern&condition=v(")
        .await
        .says("The pattern is wrong at character")
        .says("class=\"wrong\"");
    preview("kind=pattern&condition=").await.lacks("of 2");
    // Without a script, a button asks.
    let asked =
        submit(&ada, "/triggers/preview", "name=x&kind=pattern&condition=*2&action=webhook").await.is(200);
    asked.says("1 of 2").says("value=\"*2\"").says("The image has no trigger.");
}

/// What the script may send as one types, and that it puts nothing into an address.
#[tokio::test]
async fn a_preview_asks_with_what_it_shows_alone() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    for (tab, fields) in
        [("/triggers", "form_token kind condition"), ("/aging", "form_token kind number tags patterns")]
    {
        let page = ada.get(&format!("{APP}{tab}")).await.is(200);
        assert_eq!(page.text.matches("data-preview=").count(), 1, "{tab}");
        let page = page.says(&format!("data-preview-fields=\"{fields}\""));
        let (_, script) = page.text.split_once("<script src=\"").unwrap();
        let script = ada.get(script.split('"').next().unwrap()).await.is(200);
        script
            .says("previewFields.split")
            .says("fetch(form.dataset.preview,")
            .lacks("URLSearchParams(new FormData");
        for field in fields.split(' ') {
            assert!(page.text.contains(&format!("name=\"{field}\"")), "{tab} has no {field}");
        }
    }
}

#[tokio::test]
async fn a_rule_is_shown_at_work_before_it_is_kept() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let preview = async |form: &str| fragment(&ada, "/aging", form).await;
    let count = preview("kind=count&number=1").await.says("1 of 2 versions would go.");
    count.says("<svg class=\"timeline\"").says("Enough newer ones stay.").says("when 1 newer have come");
    preview("kind=count&number=1&tags=v1").await.says("0 of 2").says("v1 filters it.");
    preview("kind=count&number=1&patterns=%5Ev1").await.says("0 of 2").says("^v1 filters it.");
    // The session is over by then.
    house.clock.advance(TimeDelta::days(3));
    let ada = house.signed_in(&house.ada).await;
    let preview = async |form: &str| fragment(&ada, "/aging", form).await;
    preview("kind=age&number=3").await.says("1 of 2").says("It is too old.").says("after 20");
    preview("kind=age&number=0").await.says("1 to 365 days");
    preview("kind=count&number=1001").await.says("1 to 1000");
    preview("kind=age&number=3&patterns=(").await.says("The pattern is wrong");
    preview("kind=age&number=3&tags=a/b").await.says("a/b is no version");
    preview("kind=age").await.says("Say how many");
    // None is read where there are too many.
    preview(&format!("kind=age&number=3&patterns={}", "(%0A".repeat(101))).await.says("at most 100 filters");
    // The longest rule there may be is longer than any address.
    let longest = format!("patterns={}", format!("%5E{}%0A", "%5C.".repeat(255)).repeat(100));
    assert!(longest.len() > 1 << 16, "{}", longest.len());
    preview(&format!("kind=age&number=3&{longest}")).await.says("1 of 2");
    // Without a script, a button asks; nothing is kept and nothing goes.
    let asked = submit(&ada, "/aging/preview", "kind=count&number=1&tags=v9&patterns=x").await.is(200);
    asked.says("1 of 2").says("\nv9</textarea>").says("value=\"1\"");
    assert_eq!(house.access(&house.ada).rule(&"lib/app".parse().unwrap()).await.unwrap(), None);
    ada.get(APP).await.says("v1").says("v2");
}

#[tokio::test]
async fn a_rule_is_kept_runs_is_changed_and_deleted() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let aging = format!("{APP}/aging");
    let kept = "kind=count&number=1&tags=old,older&patterns=%5Ex%0D%0Aglob:y*";
    submit(&ada, "/aging", kept).await.goes_to("/console/images/lib/app/aging?done=created");
    submit(&ada, "/aging", kept).await.is(400).says("has an aging rule already");
    let card = ada.get(&aging).await.is(200).says("those beyond the newest 1 are removed");
    card.says("old, older").says("^x").says("glob:y*").lacks("name=\"number\"");
    house.plane.age(TimeDelta::hours(1)).await.unwrap();
    ada.get(&aging).await.is(200).says("<th scope=\"row\">v1</th>");
    ada.get(APP).await.lacks("value=\"v1\"").says("value=\"v2\"");
    let form = ada.get(&format!("{aging}?edit=yes")).await.is(200).says("\nold older</textarea>");
    let (_, id) = form.text.split_once("name=\"rule\" value=\"").unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    form.lacks("<option value=\"age\"");
    let change = format!("rule={id}&kind=count&number=7");
    submit(&ada, "/aging/change", &change).await.goes_to("/console/images/lib/app/aging?done=changed");
    ada.get(&aging).await.says("beyond the newest 7").says("not set");
    submit(&ada, "/aging/change", &format!("rule={id}&kind=age&number=7"))
        .await
        .is(400)
        .says("cannot be changed");
    submit(&ada, "/aging/delete", &format!("rule={id}")).await.is(400);
    let delete = format!("rule={id}&word=DELETE");
    submit(&ada, "/aging/delete", &delete).await.goes_to("/console/images/lib/app/aging?done=deleted");
    // What it has cleared stays in the log.
    ada.get(&aging).await.is(200).says("<th scope=\"row\">v1</th>").says("Add rule");
}

#[tokio::test]
async fn a_version_shows_its_layers_and_which_are_shared() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let page = ada.get(&format!("{APP}/versions/v2")).await.is(200).says("<svg class=\"layers\"");
    assert_eq!(page.text.matches("<rect class=\"shared\"").count(), 1);
    assert_eq!(page.text.matches("<rect class=\"own\"").count(), 1);
    let page = page.says("<span class=\"tag\">v1</span>").says("COPY base").says("linux/amd64");
    page.says("&lt;b&gt;&amp;&quot;'&lt;/b&gt;")
        .lacks("<b>")
        .says("docker pull registry.example/lib/app@sha256:");
    ada.get(&format!("{APP}/versions/v9")).await.is(404).says("Version v9 does not exist.");
    ada.get(&format!("{APP}/versions/v2?manifest=sha256:x")).await.is(404);
}

/// A form with files, as browsers send it.
fn files(token: &str, fields: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let mut text = part("form_token", token);
    text.extend(fields.iter().map(|(name, value)| part(name, value)));
    for (name, content) in files {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"");
        text.push_str(&format!("{head}\r\nContent-Type: application/x-tar\r\n\r\n{content}\r\n"));
    }
    text + "--b--\r\n"
}

async fn upload(browser: &Browser<'_>, body: &str) -> Answer {
    let request = Request::post("/console/upload")
        .header("content-type", "multipart/form-data; boundary=b")
        .header("sec-fetch-site", "same-origin");
    browser.send(request, body).await
}

#[tokio::test]
async fn packages_are_taken_in_and_what_became_of_each_is_said() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let page =
        ada.get("/console/upload").await.is(200).says("<option value=\"lib\"").says("multipart/form-data");
    let token = page.form_token().unwrap().to_owned();
    let archive = package("elsewhere.example/lib/web:v1");
    let body = files(
        &token,
        &[("organisation", "lib"), ("repository", ""), ("tag", "")],
        &[
            ("a.tar", &archive),
            ("<b>.tar", "no package"),
            ("c.tar", &package("elsewhere.example/globex/web:v1")),
        ],
    );
    let outcome = upload(&ada, &body).await.is(200).says("href=\"/console/images/lib/web/versions/v1\"");
    outcome.says("&lt;b&gt;.tar").says("Invalid image format").says("Authentication failed.").lacks("<b>");
    ada.get("/console/images/lib/web").await.is(200).says("v1");
    // A script asks for each by itself, and gets a piece of the page.
    let one =
        files(&token, &[("organisation", "lib"), ("fragment", "yes")], &[("a.tar", &package("two:v2"))]);
    upload(&ada, &one).await.is(200).says("lib/two:v2").lacks("<html");
    let named = [("organisation", "lib"), ("repository", "mine"), ("tag", "v3")];
    upload(&ada, &files(&token, &named, &[("a.tar", &archive)])).await.is(200).says("lib/mine:v3");
    let twice = [("a.tar", &*archive), ("b.tar", &*archive)];
    upload(&ada, &files(&token, &named, &twice)).await.is(200).says("for one file");
    upload(&ada, &files(&token, &[("organisation", "lib")], &[])).await.is(200).says("no file");
    let eleven = [("a.tar", "x"); 11];
    upload(&ada, &files(&token, &[("organisation", "lib")], &eleven)).await.says("At most 10 files at once.");
    let uploaded = house.traces(&house.ada, O::UploadImagePackage).await;
    let taken = uploaded.iter().filter(|trace| trace.outcome.code == 201).count();
    assert_eq!(taken, 4, "{uploaded:?}");
    assert!(uploaded.iter().all(|trace| trace.origin.channel == Channel::Console));
}

#[tokio::test]
async fn what_brings_a_package_in_takes_longer_than_a_page_may() {
    let at_once = |options| ConsoleOptions { answer_within: Some(Duration::ZERO), ..options };
    let house = House::with(at_once).await;
    let access = house.access(&house.ada);
    access.create_organisation(&OrganisationName::parse("lib").unwrap()).await.unwrap();
    let made = house.desk.access_key(&access, &house.ada.user.id, "").await.unwrap();
    let ada = house.browser();
    let form = format!("with=key&key={}&secret={}", made.key.id, made.secret.expose());
    ada.post("/console/sign-in", &form).await.goes_to("/console/");
    let token = ada.get("/console/upload").await.is(200).form_token().unwrap().to_owned();
    // It is kept and read again by another thread, which is not there at once.
    let archive = package("web:v1");
    let one = files(&token, &[("organisation", "lib")], &[("a.tar", &archive)]);
    upload(&ada, &one).await.is(200).says("href=\"/console/images/lib/web/versions/v1\"");
}

#[tokio::test]
async fn nobody_brings_packages_where_they_may_not_or_in_the_name_of_another() {
    let house = furnished().await;
    granted(&house, GrantLevel::Manage).await;
    let archive = package("elsewhere.example/lib/web:v1");
    let one = [("a.tar", &*archive)];
    let bob = house.signed_in(&house.bob).await;
    let page = bob.get("/console/upload").await.is(200).says("no organization that you may upload to");
    let token = page.form_token().unwrap().to_owned();
    // A grant on a repository is not enough.
    upload(&bob, &files(&token, &[("organisation", "lib")], &one)).await.is(404);
    upload(&bob, &files(&token, &[("organisation", "none")], &one)).await.is(404);
    upload(&bob, &files(&token, &[("organisation", "<b>")], &one)).await.is(400).lacks("<b>");
    let ada = house.signed_in(&house.ada).await;
    for token in ["", &*token] {
        upload(&ada, &files(token, &[("organisation", "lib")], &one)).await.is(403);
    }
    // What vouches for it comes first.
    let own = ada.get("/console").await.form_token().unwrap().to_owned();
    let last = files(&own, &[], &[]).replace("form_token", "other");
    upload(&ada, &last).await.is(403);
    ada.get("/console/images/lib/web").await.is(404);
}

#[tokio::test]
async fn what_is_wrong_with_a_form_of_files_is_said_as_it_is() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let token = ada.get("/console").await.form_token().unwrap().to_owned();
    let long = "x".repeat(1025);
    upload(&ada, &files(&token, &[("tag", &long)], &[])).await.is(413).says("What you sent is too long.");
    upload(&ada, &files(&long, &[], &[])).await.is(413).says("What you sent is too long.");
    let cut = files(&token, &[("tag", "v1")], &[]).replace("--b--", "");
    upload(&ada, &cut).await.is(400).says("The request broke off");
    let request = Request::post("/console/upload")
        .header("content-type", "multipart/form-data")
        .header("sec-fetch-site", "same-origin");
    ada.send(request, &cut).await.is(415).says("The request is not a form.");
    let plain = format!("form_token={token}");
    ada.post("/console/upload", &plain).await.is(415).says("The request is not a form.");
}

#[tokio::test]
async fn a_version_is_taken_out_as_a_package() {
    let house = furnished().await;
    shared(&house).await;
    let address = format!("{APP}/versions/v1/package");
    for person in [&house.ada, &house.eve] {
        let browser = house.signed_in(person).await;
        browser.get(&format!("{APP}/versions/v1")).await.says(&format!("href=\"{address}\""));
        let package =
            browser.get(&address).await.is(200).says("oci-layout").says("registry.example/lib/app:v1");
        assert_eq!(package.headers["content-type"], "application/x-tar");
        assert_eq!(package.headers["content-disposition"], "attachment; filename=\"app_v1.tar\"");
        assert_eq!(package.headers["content-length"], package.text.len().to_string().as_str());
    }
    house.signed_in(&house.bob).await.get(&address).await.is(404);
    let without = House::with(|options| ConsoleOptions { packages: None, ..options }).await;
    let ada = without.signed_in(&without.ada).await;
    ada.get("/console/upload").await.is(404);
    ada.get("/console/images").await.is(200).lacks("/console/upload");
}

#[tokio::test]
async fn every_page_of_an_image_is_there_in_both_languages() {
    let house = furnished().await;
    shared(&house).await;
    granted(&house, GrantLevel::Read).await;
    let mut ada = house.signed_in(&house.ada).await;
    let hook = "name=hook&kind=all&action=webhook&url=https://a.example&secret=0123456789abcdef";
    submit(&ada, "/triggers", hook).await;
    submit(&ada, "/aging", "kind=age&number=30").await;
    let mut addresses: Vec<String> = TABS.iter().map(|tab| format!("{APP}{tab}")).collect();
    let others = ["/versions/v2", "/aging?edit=yes", "/triggers?history=hook"];
    addresses.extend(others.iter().map(|tab| format!("{APP}{tab}")));
    addresses.extend(["", "?list=shared"].map(|list| format!("/console/images{list}")));
    addresses.push("/console/upload".to_owned());
    for (languages, mine) in [("en", "My images"), ("zh", "我的镜像")] {
        ada.languages = languages;
        for address in &addresses {
            let page = ada.get(address).await.is(200).says(mine);
            expect_well_formed(&page.text);
            assert_eq!(page.text.matches("<h1>").count(), 1, "{address}");
            let is_han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
            let others = page.text.replace("中文", "").chars().filter(|c| is_han(*c)).count();
            assert_eq!(others > 0, languages == "zh", "{address}");
        }
    }
}

#[tokio::test]
async fn what_is_typed_into_any_field_of_an_image_stays_text() {
    let house = furnished().await;
    let ada = house.signed_in(&house.ada).await;
    let forms = [
        ("/versions/delete", "tag"),
        ("/attributes", "description"),
        ("/attributes", "category"),
        ("/grants", "user"),
        ("/grants/change", "user"),
        ("/sharing", "account"),
        ("/sharing", "last-day"),
        ("/triggers", "name"),
        ("/triggers", "condition"),
        ("/triggers", "url"),
        ("/triggers", "cluster-name"),
        ("/triggers/preview", "condition"),
        ("/triggers/replay", "delivery"),
        ("/aging", "number"),
        ("/aging", "tags"),
        ("/aging/preview", "patterns"),
        ("/aging/preview", "kind"),
    ];
    let rest = "word=DELETE&kind=pattern&number=3&level=1&action=update&trigger=t&mode=cce&cluster-id=c\
                &namespace=n&workload=deployments&application=a";
    for hostile in HOSTILE {
        for (to, field) in forms {
            expect_only_text(&submit(&ada, to, &format!("{field}={hostile}&{rest}")).await);
        }
        for name in ["list", "name", "organisation", "category", "order", "direction", "from", "tag", "done"]
        {
            expect_only_text(&ada.get(&format!("/console/images?{name}={hostile}")).await);
            expect_only_text(&ada.get(&format!("{APP}?{name}={hostile}")).await);
        }
        for name in ["condition", "patterns", "tags", "number", "kind"] {
            let rest = "number=3&kind=pattern";
            for tab in ["/triggers", "/aging"] {
                expect_only_text(&fragment(&ada, tab, &format!("{name}={hostile}&{rest}")).await);
            }
        }
        expect_only_text(&ada.get(&format!("/console/images/lib/{hostile}")).await);
        expect_only_text(&ada.get(&format!("{APP}/versions/{hostile}")).await);
        expect_only_text(&ada.get(&format!("{APP}/triggers?history={hostile}")).await);
    }
    for tab in TABS {
        expect_only_text(&ada.get(&format!("{APP}{tab}")).await);
    }
}
