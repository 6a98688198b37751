//! Users and accounts on pages.

use super::house::House;

const USERS: &str = "/console/users";
const ACME: &str = "/console/users/acme";

#[tokio::test]
async fn an_administrator_looks_after_the_users_of_its_account() {
    let house = House::new().await;
    let ada = house.signed_in(&house.ada).await;
    ada.get(USERS).await.is(200).says("ada").says("bob").lacks("eve");
    let form = "name=dan&role=member&password=dans+password";
    ada.submit(USERS, ACME, form).await.goes_to("/console/users/acme?done=created");
    ada.get("/console/users/acme?done=created").await.is(200).says("The user was created.").says("dan");
    ada.submit(USERS, ACME, form).await.is(409).says("There is a user dan in this account already.");
    for (form, said) in [
        ("name=1&role=member", "The name is none"),
        ("name=fay&role=member&password=short", "too short or too long"),
        ("name=fay&role=king", "broke off"),
    ] {
        ada.submit(USERS, ACME, form).await.is(400).says(said).lacks("short\"");
    }
    let dan = house.browser();
    dan.post("/console/sign-in", "account=acme&user=dan&password=dans+password").await.goes_to("/console/");
    dan.get(USERS).await.is(403);

    ada.submit(USERS, &format!("{ACME}/role"), "user=dan&role=administrator")
        .await
        .goes_to("/console/users/acme?done=changed");
    dan.get(USERS).await.is(200);
    ada.submit(USERS, &format!("{ACME}/password"), "user=dan&password=")
        .await
        .goes_to("/console/users/acme?done=changed");
    dan.get(USERS).await.goes_to("/console/sign-in?next=%2Fusers");
    ada.submit(USERS, &format!("{ACME}/delete"), "user=dan&word=delete").await.is(400);
    ada.submit(USERS, &format!("{ACME}/delete"), "user=dan&word=DELETE")
        .await
        .goes_to("/console/users/acme?done=deleted");
    ada.submit(USERS, &format!("{ACME}/delete"), "user=dan&word=DELETE").await.is(400);
}

#[tokio::test]
async fn nobody_sets_their_own_password_without_the_one_before() {
    let house = House::new().await;
    for (person, page) in [(&house.ada, ACME), (&house.olga, "/console/users/base")] {
        let browser = house.signed_in(person).await;
        for password in ["another+sesame", ""] {
            let form = format!("user={}&password={password}", person.user.name);
            let refused = browser.submit(page, &format!("{page}/password"), &form).await.is(400);
            refused.says("Change your own password under My credentials.");
        }
        // The session ends with the password.
        browser.get(page).await.is(200);
    }
}

#[tokio::test]
async fn nobody_becomes_an_operator_through_an_administrator() {
    let house = House::new().await;
    let ada = house.signed_in(&house.ada).await;
    ada.get(USERS).await.is(200).lacks("value=\"operator\"");
    ada.submit(USERS, ACME, "name=dan&role=operator").await.is(403);
    ada.submit(USERS, &format!("{ACME}/role"), "user=bob&role=operator").await.is(403);
    ada.get("/console/users/globex").await.is(404);
    ada.submit(USERS, "/console/users/globex", "name=dan&role=member").await.is(404);
    ada.get("/console/accounts").await.is(403);
    ada.submit(USERS, "/console/accounts", "name=initech").await.is(403);
}

#[tokio::test]
async fn an_operator_looks_after_accounts() {
    let house = House::new().await;
    let olga = house.signed_in(&house.olga).await;
    let accounts = "/console/accounts";
    olga.get(accounts).await.is(200).says("acme").says("globex").says("base");
    olga.submit(accounts, accounts, "name=initech").await.goes_to("/console/users/initech?done=account");
    let page = olga.get("/console/users/initech?done=account").await.is(200);
    page.says("The account was created.").says("There is no user in this account yet.");
    olga.submit(accounts, accounts, "name=initech")
        .await
        .is(409)
        .says("There is an account initech already.");
    let form = "name=ida&role=administrator&password=idas+password";
    olga.submit(accounts, "/console/users/initech", form)
        .await
        .goes_to("/console/users/initech?done=created");
    olga.submit(accounts, &format!("{ACME}/role"), "user=bob&role=operator")
        .await
        .goes_to("/console/users/acme?done=changed");
}
