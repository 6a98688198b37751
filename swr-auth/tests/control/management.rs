//! The management protocol's ways in: passwords, tokens got with them, and signatures.

use chrono::TimeDelta;
use swr_auth::{AuthenticationError, NewPassword, Secret, SignedRequest, Signer};
use swr_core::control::credential::KeyId;
use swr_core::control::identity::{AccountName, User, UserName};

use crate::scene::{HOST, PASSWORD, Scene, caller, is_refused};

fn names(account: &str, user: &str) -> (AccountName, UserName) {
    (AccountName::parse(account).unwrap(), UserName::parse(user).unwrap())
}

async fn sign_in(
    scene: &Scene,
    account: &str,
    user: &str,
    password: &str,
) -> Result<Signer, AuthenticationError> {
    let (account, user) = names(account, user);
    scene.authenticator.password(&account, &user, &Secret::new(password)).await
}

async fn change_password(scene: &Scene, user: &User, password: &str) {
    let hash = scene.authenticator.hash(&NewPassword::new(Secret::new(password)).unwrap()).await.unwrap();
    scene.control_as(user).set_password(&user.id, Some(hash)).await.unwrap();
}

#[tokio::test]
async fn only_the_password_of_that_user_in_that_account_is_taken() {
    let scene = Scene::new().await;
    for _ in 0..2 {
        let signer = sign_in(&scene, "north", "bob", PASSWORD).await.unwrap();
        assert_eq!((&signer.user, signer.account.name.as_str(), signer.key), (&scene.bob, "north", None));
        for (account, user, password) in [
            ("north", "bob", "open sesam"),
            ("north", "bob", ""),
            ("north", "nobody", PASSWORD),
            ("south", "bob", PASSWORD),
            ("nowhere", "bob", PASSWORD),
        ] {
            assert!(
                is_refused(&sign_in(&scene, account, user, password).await),
                "{account} {user} {password}"
            );
        }
    }
    change_password(&scene, &scene.bob, "another sesame").await;
    assert!(is_refused(&sign_in(&scene, "north", "bob", PASSWORD).await));
    assert!(sign_in(&scene, "north", "bob", "another sesame").await.is_ok());
    scene.control_as(&scene.bob).set_password(&scene.bob.id, None).await.unwrap();
    assert!(is_refused(&sign_in(&scene, "north", "bob", "another sesame").await));
}

#[tokio::test]
async fn a_management_token_lasts_for_a_day_at_most_and_no_longer_than_its_password() {
    let scene = Scene::new().await;
    let get = async |user: &str| {
        let (account, user) = names("north", user);
        scene.tokens.management(&account, &user, &Secret::new(PASSWORD)).await.unwrap()
    };
    let (signer, issued) = get("bob").await;
    assert_eq!((signer.user.id.clone(), issued.seconds()), (scene.bob.id.clone(), 24 * 3600));
    assert_eq!(signer.caller(), caller(&scene.bob));
    let use_of = async |token: &Secret| scene.authenticator.management_token(token).await;
    assert_eq!(use_of(&issued.token).await.unwrap(), signer);

    scene.pass(TimeDelta::hours(24) - TimeDelta::seconds(1));
    assert!(use_of(&issued.token).await.is_ok());
    scene.pass(TimeDelta::seconds(1));
    assert!(is_refused(&use_of(&issued.token).await));

    let (_, bobs) = get("bob").await;
    let (_, adas) = get("ada").await;
    assert!(is_refused(&scene.bear(&bobs.token).await), "it is none for the registry");
    change_password(&scene, &scene.bob, "another sesame").await;
    assert!(is_refused(&use_of(&bobs.token).await));
    scene.control_as(&scene.bob).set_password(&scene.bob.id, None).await.unwrap();
    assert!(is_refused(&use_of(&bobs.token).await));
    assert!(use_of(&adas.token).await.is_ok());
    scene.control_as(&scene.olga).remove_user(&scene.ada.id).await.unwrap();
    assert!(is_refused(&use_of(&adas.token).await));
}

#[tokio::test]
async fn a_wrong_password_gets_no_management_token() {
    let scene = Scene::new().await;
    let (account, user) = names("north", "bob");
    assert!(is_refused(&scene.tokens.management(&account, &user, &Secret::new("wrong")).await));
    for token in ["", "a.b.c", PASSWORD] {
        assert!(is_refused(&scene.authenticator.management_token(&Secret::new(token)).await), "{token}");
    }
}

/// The first minute of 2026, which the clock of the scene shows.
const DATE: &str = "20260101T000000Z";

async fn send(scene: &Scene, key: &KeyId, secret: &Secret) -> Result<Signer, AuthenticationError> {
    let unsigned = [("host", HOST), ("x-sdk-date", DATE)];
    let request = SignedRequest {
        method: "GET",
        path: "/v2/manage/namespaces",
        query: "",
        headers: &unsigned,
        body: Some(b""),
    };
    let authorization = request.sign(key, secret).unwrap();
    let headers = [&unsigned[..], &[("authorization", &authorization)]].concat();
    scene.authenticator.signed(&SignedRequest { headers: &headers, ..request }).await
}

#[tokio::test]
async fn a_signature_shows_who_has_the_access_key_while_it_lasts() {
    let scene = Scene::new().await;
    let (id, secret) = scene.access_key(&scene.sam).await;
    let (other, _) = scene.access_key(&scene.sam).await;
    let signer = send(&scene, &id, &secret).await.unwrap();
    assert_eq!(
        (&signer.user, signer.account.name.as_str(), &signer.key),
        (&scene.sam, "south", &Some(id.clone()))
    );
    assert_eq!(signer.caller(), caller(&scene.sam));

    let absent = KeyId::parse("NOSUCHKEY").unwrap();
    let wrong = Secret::new("0000000000000000000000000000000000000000");
    let login = scene.keys.temporary_login(&scene.control_as(&scene.sam), None, None).await.unwrap();
    let temporary = KeyId::parse(login.user.split('@').nth(1).unwrap()).unwrap();
    for (key, secret) in [
        (&id, &wrong),
        (&other, &secret),
        (&absent, &secret),
        (&absent, &wrong),
        (&temporary, &login.password),
        (&temporary, &wrong),
    ] {
        assert!(is_refused(&send(&scene, key, secret).await), "{key}");
    }
    let unsigned =
        SignedRequest { method: "GET", path: "/", query: "", headers: &[("host", HOST)], body: Some(b"") };
    assert!(is_refused(&scene.authenticator.signed(&unsigned).await));

    scene.pass(TimeDelta::minutes(15));
    assert!(send(&scene, &id, &secret).await.is_ok());
    scene.pass(TimeDelta::seconds(1));
    assert!(is_refused(&send(&scene, &id, &secret).await), "it is too old");
    scene.pass(TimeDelta::minutes(-15));
    scene.control_as(&scene.sam).remove_access_key(&scene.sam.id, &id).await.unwrap();
    assert!(is_refused(&send(&scene, &id, &secret).await));
}
