//! Logins: temporary ones, and those that last as long as their key.

use chrono::TimeDelta;
use data_encoding::BASE64;
use swr_auth::{Login, Presented, Secret};
use swr_core::control::ControlError;
use swr_core::control::credential::KeyId;

use crate::scene::{HOST, PROJECT, Scene, entirely, is_refused, shown};

#[tokio::test]
async fn a_long_term_login_lasts_until_its_key_is_deleted() {
    let scene = Scene::new().await;
    let (id, login) = scene.login(&scene.bob).await;
    assert_eq!(login.expires, None);
    for _ in 0..2 {
        let authenticated = scene.authenticate(&shown(&login)).await.unwrap();
        assert_eq!(authenticated, entirely(&scene.bob));
        scene.pass(TimeDelta::days(3650));
    }
    scene.control_as(&scene.bob).remove_access_key(&scene.bob.id, &id).await.unwrap();
    assert!(is_refused(&scene.authenticate(&shown(&login)).await));
}

#[tokio::test]
async fn a_temporary_login_ends_by_itself() {
    let scene = Scene::new().await;
    let bob = scene.control_as(&scene.bob);
    let (second, hour) = (TimeDelta::seconds(1), TimeDelta::hours(1));
    for (asked, lasts) in
        [(None, hour * 24), (Some(hour), hour), (Some(hour * 24), hour * 24), (Some(hour * 25), hour * 24)]
    {
        let login = scene.keys.temporary_login(&bob, None, asked).await.unwrap();
        scene.pass(lasts - second);
        let authenticated = scene.authenticate(&shown(&login)).await.unwrap();
        assert_eq!(authenticated, entirely(&scene.bob), "{asked:?}");
        scene.pass(second);
        assert!(is_refused(&scene.authenticate(&shown(&login)).await), "{asked:?}");
    }
    let login = scene.keys.temporary_login(&bob, None, Some(-hour)).await.unwrap();
    assert!(is_refused(&scene.authenticate(&shown(&login)).await));
}

#[tokio::test]
async fn a_temporary_login_ends_with_the_key_that_it_was_asked_for_with() {
    let scene = Scene::new().await;
    let (bob, ada) = (scene.control_as(&scene.bob), scene.control_as(&scene.ada));
    let (id, _) = scene.access_key(&scene.bob).await;
    let with = scene.keys.temporary_login(&bob, Some(&id), None).await.unwrap();
    let without = scene.keys.temporary_login(&bob, None, None).await.unwrap();
    let refused = scene.keys.temporary_login(&ada, Some(&id), None).await;
    assert!(matches!(refused, Err(ControlError::Unauthorized)), "{refused:?}");
    bob.remove_access_key(&scene.bob.id, &id).await.unwrap();
    assert!(is_refused(&scene.authenticate(&shown(&with)).await));
    assert!(scene.authenticate(&shown(&without)).await.is_ok());
}

#[tokio::test]
async fn getting_a_login_ends_no_other_and_a_user_that_is_gone_has_none() {
    let scene = Scene::new().await;
    let bob = scene.control_as(&scene.bob);
    let mut logins = vec![scene.login(&scene.bob).await.1, scene.login(&scene.bob).await.1];
    for _ in 0..3 {
        logins.push(scene.keys.temporary_login(&bob, None, None).await.unwrap());
    }
    for login in &logins {
        assert!(scene.authenticate(&shown(login)).await.is_ok(), "{login:?}");
    }
    scene.control_as(&scene.ada).remove_user(&scene.bob.id).await.unwrap();
    for login in &logins {
        assert!(is_refused(&scene.authenticate(&shown(login)).await), "{login:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_whatever_is_wrong_with_it() {
    let scene = Scene::new().await;
    let (id, secret) = scene.access_key(&scene.bob).await;
    let (other, other_login) = scene.login(&scene.ada).await;
    let right = scene.keys.long_term_login(&id, &secret);
    let temporary = scene.keys.temporary_login(&scene.control_as(&scene.bob), None, None).await.unwrap();
    let password = right.password.expose();
    let user = &*right.user;
    for (user, password) in [
        (user, ""),
        (user, &password[1..]),
        (user, &password.to_uppercase()),
        (user, &format!("{password} ")),
        (user, secret.expose()),
        (user, other_login.password.expose()),
        (user, temporary.password.expose()),
        (&temporary.user, password),
        (&temporary.user, &temporary.password.expose().to_uppercase()),
        (&other_login.user, password),
        (&format!("cn-other@{id}"), password),
        (&format!("@{id}"), password),
        (&format!("{PROJECT}@{other}"), password),
        (&format!("{PROJECT}@{PROJECT}@{id}"), password),
        (&format!("{PROJECT}@{}", id.as_str().to_lowercase()), password),
        (&format!("{PROJECT}@NOSUCHKEY"), password),
        (&format!("{PROJECT}@"), password),
        (PROJECT, password),
        (id.as_str(), password),
        ("", ""),
        (scene.bob.name.as_str(), crate::scene::PASSWORD),
    ] {
        let shown = Presented::Password { user: user.into(), password: Secret::new(password) };
        assert!(is_refused(&scene.authenticate(&shown).await), "{user} {password}");
    }
    assert!(scene.authenticate(&shown(&right)).await.is_ok());
    assert!(scene.authenticate(&shown(&temporary)).await.is_ok());
    assert_eq!(
        scene.authenticate(&Presented::Nothing).await.unwrap(),
        swr_core::caller::Caller::Anonymous.into()
    );
}

#[tokio::test]
async fn a_login_is_written_as_clients_take_it() {
    let (key, secret) = (KeyId::parse("AKEXAMPLE0000000001").unwrap(), Secret::new("SKexample"));
    let login = Login::long_term(PROJECT, &key, &secret);
    let password = "cad168f5dc596e2cc8bca4ac453a6e7e1c0ec59c854127ad9b4add641a357560";
    assert_eq!(
        login.command(HOST),
        format!("docker login -u cn-jssz1@AKEXAMPLE0000000001 -p {password} {HOST}")
    );
    let auth = BASE64.decode(login.auth().as_bytes()).unwrap();
    assert_eq!(auth, format!("cn-jssz1@AKEXAMPLE0000000001:{password}").as_bytes());
    assert!(!format!("{login:?}").contains(password));
}

/// The secret of a temporary login is not kept, and that of an access key is sealed.
#[tokio::test]
async fn no_store_holds_a_secret_that_it_could_show() {
    let scene = Scene::new().await;
    let (_, secret) = scene.access_key(&scene.bob).await;
    let login = scene.keys.temporary_login(&scene.control_as(&scene.bob), None, None).await.unwrap();
    let kept = {
        use swr_core::ports::MetadataStore as _;
        scene.metadata.access_keys(&scene.bob.id).await.unwrap()
    };
    let sealed = kept[0].secret.as_ref().unwrap().as_bytes();
    assert!(!sealed.windows(8).any(|bytes| secret.expose().as_bytes().starts_with(bytes)));
    let listed = scene.control_as(&scene.bob).access_keys(&scene.bob.id).await.unwrap();
    assert_eq!(listed[0].secret, None);
    let printed = format!("{:?} {kept:?} {listed:?} {:?}", scene.vault, scene.authenticator);
    for secret in [&secret, &login.password] {
        assert!(!printed.contains(secret.expose()), "{printed}");
    }
}
