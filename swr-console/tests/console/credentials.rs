//! One's own keys and password.

use swr_core::control::trace::Operation;

use super::house::House;

const PAGE: &str = "/console/credentials";

#[tokio::test]
async fn a_key_is_shown_once_and_deleted_with_the_word() {
    let house = House::new().await;
    let browser = house.signed_in(&house.bob).await;
    browser
        .get(PAGE)
        .await
        .is(200)
        .says("You have no access key yet.")
        .says(house.bob.account.project.as_str());
    let made = browser
        .submit(PAGE, PAGE, "description=my+laptop")
        .await
        .is(200)
        .says("download=\"credentials.csv\"");
    let keys = house.access(&house.bob).access_keys(&house.bob.user.id).await.unwrap();
    let key = keys[0].id.as_str();
    assert_eq!((keys.len(), &*keys[0].description), (1, "my laptop"));
    let (_, secret) = made.text.split_once("id=\"made-secret\">").unwrap();
    let secret = secret[..40].to_owned();
    let file = format!(
        "User%20Name%2CAccess%20Key%20Id%2CSecret%20Access%20Key%0D%0A%22bob%22%2C{key}%2C{secret}%0D%0A"
    );
    let login = house.desk.long_term_login(&keys[0].id, &secret.as_str().into()).command("registry.example");
    let made = made.says(&file).says(&login);
    assert_eq!(made.headers["cache-control"], "no-store");
    browser.get(PAGE).await.is(200).says(key).says("my laptop").lacks(&secret).lacks("download=");

    let delete = format!("{PAGE}/delete");
    browser.submit(PAGE, &delete, &format!("key={key}&word=no")).await.is(400);
    browser
        .submit(PAGE, &delete, &format!("key={key}&word=DELETE"))
        .await
        .goes_to("/console/credentials?done=deleted");
    browser.submit(PAGE, &delete, &format!("key={key}&word=DELETE")).await.is(404);
    browser.submit(PAGE, &delete, "key=%3Cb%3E&word=DELETE").await.is(400).lacks("<b>");
}

#[tokio::test]
async fn keys_are_so_many_and_nobody_elses() {
    let house = House::new().await;
    let browser = house.signed_in(&house.bob).await;
    for _ in 0..10 {
        browser.submit(PAGE, PAGE, "").await.is(200);
    }
    browser.submit(PAGE, PAGE, "").await.is(400).says("A user may have 10 access keys.");
    let long = "x".repeat(256);
    let eve = house.signed_in(&house.eve).await;
    eve.submit(PAGE, PAGE, &format!("description={long}")).await.is(413).says("more than 255 characters");
    let of_bob = house.access(&house.bob).access_keys(&house.bob.user.id).await.unwrap();
    eve.submit(PAGE, &format!("{PAGE}/delete"), &format!("key={}&word=DELETE", of_bob[0].id)).await.is(404);
    assert_eq!(house.access(&house.bob).access_keys(&house.bob.user.id).await.unwrap(), of_bob);
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_it() {
    let house = House::new().await;
    let browser = house.signed_in(&house.bob).await;
    let change = format!("{PAGE}/password");
    browser
        .submit(PAGE, &change, "current=wrong&new=another+sesame")
        .await
        .is(400)
        .says("The current password is another.");
    browser
        .submit(PAGE, &change, "current=open+sesame&new=short")
        .await
        .is(400)
        .says("too short or too long");
    assert_eq!(house.outcomes(&house.bob, Operation::UpdateUser).await, [400, 400]);
    let changed = browser.submit(PAGE, &change, "current=open+sesame&new=another+sesame").await;
    changed.goes_to("/console/sign-in?done=password");
    browser.get("/console/sign-in?done=password").await.is(200).says("The password was changed.");
    browser.get("/console").await.goes_to("/console/sign-in");
    let form = "account=acme&user=bob&password=another+sesame";
    browser.post("/console/sign-in", form).await.goes_to("/console/");
}

#[tokio::test]
async fn who_has_signed_in_with_a_key_stays_and_is_told_that_the_password_is_another() {
    let house = House::new().await;
    let made = house.desk.access_key(&house.access(&house.bob), &house.bob.user.id, "").await.unwrap();
    let browser = house.browser();
    let form = format!("with=key&key={}&secret={}", made.key.id, made.secret.expose());
    browser.post("/console/sign-in", &form).await.goes_to("/console/");
    browser.get(PAGE).await.is(200).says("begun with an access key and goes on").lacks("this one as well");
    house.signed_in(&house.bob).await.get(PAGE).await.says("this one as well").lacks("goes on");
    let change = format!("{PAGE}/password");
    let changed = browser.submit(PAGE, &change, "current=open+sesame&new=another+sesame").await;
    changed.goes_to("/console/credentials?done=password");
    browser.get(&format!("{PAGE}?done=password")).await.is(200).says("The password was changed.");
}

#[tokio::test]
async fn a_temporary_login_ends_with_the_key_that_was_signed_in_with() {
    let house = House::new().await;
    let browser = house.signed_in(&house.bob).await;
    let page = browser.submit("/console", "/console/login", "").await.is(200);
    let page = page.says("docker login -u cn-test1@").says("id=\"temporary-login\"");
    assert_eq!(page.headers["cache-control"], "no-store");
    browser.get("/console").await.lacks("id=\"temporary-login\"");
}
