//! Organisations on pages: created, granted, deleted, and who may.

use swr_core::OrganisationName;
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::repository::Attributes;

use super::house::{Browser, House};

const LIST: &str = "/console/organisations";
const LIB: &str = "/console/organisations/lib";

fn lib() -> OrganisationName {
    OrganisationName::parse("lib").unwrap()
}

/// A house with an organisation of ada's, and her browser.
async fn with_lib(house: &House) -> Browser<'_> {
    let browser = house.signed_in(&house.ada).await;
    browser.submit(LIST, LIST, "name=lib").await.goes_to("/console/organisations/lib?done=created");
    browser
}

#[tokio::test]
async fn an_organisation_is_created_and_deleted_with_the_word() {
    let house = House::new().await;
    let browser = with_lib(&house).await;
    browser
        .get("/console/organisations/lib?done=created")
        .await
        .is(200)
        .says("The organization was created.");
    browser.get(LIST).await.is(200).says("href=\"/console/organisations/lib\"");
    for word in ["", "delete", "DELETE!"] {
        let form = format!("word={word}");
        browser.submit(LIB, &format!("{LIB}/delete"), &form).await.is(400).says("the word did not match");
    }
    let delete = format!("{LIB}/delete");
    browser.submit(LIB, &delete, "word=DELETE").await.goes_to("/console/organisations?done=deleted");
    browser.get(LIB).await.is(404);
    browser.get("/console/organisations?done=deleted").await.is(200).says("The organization was deleted.");
}

#[tokio::test]
async fn what_cannot_be_created_is_said_beside_what_was_typed() {
    let house = House::new().await;
    let browser = with_lib(&house).await;
    for (name, status, said) in [
        ("lib", 409, "already exists"),
        ("Lib", 400, "The name is invalid."),
        ("manage", 400, "is reserved"),
        ("", 400, "The name is invalid."),
    ] {
        let answer = browser.submit(LIST, LIST, &format!("name={name}")).await.is(status).says(said);
        answer.says(&format!("value=\"{name}\""));
    }
    for name in ["a", "b", "c", "d"] {
        browser.submit(LIST, LIST, &format!("name={name}")).await;
    }
    browser.submit(LIST, LIST, "name=e").await.is(400).says("The quota of 5 organizations is used up.");
    browser.get(LIST).await.says("You have created 5 of 5.");
}

#[tokio::test]
async fn an_organisation_that_holds_something_stays() {
    let house = House::new().await;
    let browser = with_lib(&house).await;
    let repository = "lib/app".parse().unwrap();
    house.access(&house.ada).create_repository(&repository, &Attributes::default()).await.unwrap();
    browser.get(LIB).await.is(200).says("href=\"/console/images/lib/app\"");
    let refused = browser.submit(LIB, &format!("{LIB}/delete"), "word=DELETE").await.is(406);
    refused.says("still holds repositories (1)");
    // Names of which this one is a part are others.
    browser.submit(LIST, LIST, "name=glib").await;
    browser.get("/console/organisations/glib").await.is(200).lacks("href=\"/console/images/lib/app\"");
}

#[tokio::test]
async fn rights_are_given_changed_and_taken() {
    let house = House::new().await;
    let browser = with_lib(&house).await;
    let bob = &house.bob.user.id;
    let level = async || {
        let granted = house.access(&house.ada).grants(&GrantScope::Organisation(lib())).await.unwrap();
        granted.iter().find(|granted| granted.user == *bob).map(|granted| granted.level)
    };
    let grants = format!("{LIB}/grants");
    browser.submit(LIB, &grants, "user=bob&level=1").await.goes_to("/console/organisations/lib?done=granted");
    assert_eq!(level().await, Some(GrantLevel::Read));
    browser.submit(LIB, &grants, "user=bob&level=3").await.is(409).says("has a permission here already");
    browser.submit(LIB, &grants, "user=nobody&level=3").await.is(400).says("The user does not exist.");
    browser.submit(LIB, &grants, "user=eve&level=3").await.is(400).says("The user does not exist.");
    browser
        .submit(LIB, &grants, "user=ada&level=3")
        .await
        .is(403)
        .says("Nobody changes their own permission.");
    browser.submit(LIB, &grants, "user=bob&level=2").await.is(400);
    let change = format!("user={bob}&level=3");
    browser
        .submit(LIB, &format!("{grants}/change"), &change)
        .await
        .goes_to("/console/organisations/lib?done=changed");
    assert_eq!(level().await, Some(GrantLevel::Edit));
    let remove = format!("{grants}/remove");
    browser.submit(LIB, &remove, &format!("user={bob}&word=delete")).await.is(400);
    assert_eq!(level().await, Some(GrantLevel::Edit));
    browser
        .submit(LIB, &remove, &format!("user={bob}&word=DELETE"))
        .await
        .goes_to("/console/organisations/lib?done=removed");
    assert_eq!(level().await, None);
    browser.submit(LIB, &remove, &format!("user={bob}&word=DELETE")).await.is(404);
}

#[tokio::test]
async fn a_page_lets_nobody_do_more_than_the_protocol_does() {
    let house = House::new().await;
    let ada = with_lib(&house).await;
    let (bob, eve) = (house.signed_in(&house.bob).await, house.signed_in(&house.eve).await);
    let delete = format!("{LIB}/delete");
    let grants = format!("{LIB}/grants");
    let own = format!("user={}&level=7", house.bob.user.id);
    // Without any right there is nothing, as for the other account.
    for browser in [&bob, &eve] {
        browser.get(LIB).await.is(404);
        browser.submit("/console", &delete, "word=DELETE").await.is(404);
        browser.submit("/console", &grants, &own).await.is(404);
    }
    bob.submit("/console", LIST, "name=mine").await.is(403).says("You do not have the permission.");
    bob.get(LIST)
        .await
        .is(200)
        .says("You have no organization yet.")
        .lacks("action=\"/console/organisations\"");
    // Who may read sees it, and can change nothing: no form, and none that is sent all the same.
    ada.submit(LIB, &grants, "user=bob&level=1").await;
    bob.get(LIB).await.is(200).says("bob").lacks("/grants").lacks("/delete");
    bob.submit("/console", &delete, "word=DELETE").await.is(403);
    bob.submit("/console", &grants, &format!("user={}&level=7", house.eve.user.id)).await.is(403);
    bob.submit("/console", &format!("{grants}/change"), &own).await.is(403);
    bob.submit("/console", &format!("{grants}/remove"), &format!("user={}&word=DELETE", house.ada.user.id))
        .await
        .is(403);
    house.access(&house.ada).organisation(&lib()).await.unwrap();
}

#[tokio::test]
async fn a_member_who_manages_names_users_by_their_ids() {
    let house = House::new().await;
    let ada = with_lib(&house).await;
    let grants = format!("{LIB}/grants");
    ada.submit(LIB, &grants, "user=bob&level=7").await;
    let bob = house.signed_in(&house.bob).await;
    bob.submit(LIB, &grants, "user=ada&level=1").await.is(400).says("That is no ID of a user");
    bob.submit(LIB, &grants, &format!("user={}&level=1", house.eve.user.id)).await.is(400);
    bob.get(LIB).await.lacks("<option value=\"ada\"");
}
