//! Sessions of people on pages: begun, known again, and over.

use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::TimeDelta;
use swr_auth::session_desk::NewSession;
use swr_auth::{AuthenticationError, NewPassword, Secret, SessionDesk, SessionLimits, Signer};
use swr_core::control::credential::KeyId;
use swr_core::control::identity::{AccountName, Role, UserName};
use swr_core::control::session::SessionId;
use swr_core::ports::{Clock as _, MetadataStore as _};

use crate::scene::{PASSWORD, Scene, is_refused};

fn desk(scene: &Scene, limits: SessionLimits) -> SessionDesk {
    let (metadata, clock) = (Arc::clone(&scene.metadata), Arc::clone(&scene.clock));
    SessionDesk::new(metadata, Arc::clone(&scene.authenticator), clock, limits)
}

async fn bob(desk: &SessionDesk) -> NewSession {
    let (account, user) = (AccountName::parse("north").unwrap(), UserName::parse("bob").unwrap());
    desk.sign_in(&account, &user, &Secret::new(PASSWORD)).await.unwrap()
}

async fn signer(desk: &SessionDesk, session: &NewSession) -> Option<Signer> {
    desk.resume(&session.token).await.unwrap().map(|session| session.signer)
}

#[tokio::test]
async fn a_session_is_worth_what_its_user_is_worth_by_now() {
    let scene = Scene::new().await;
    let desk = desk(&scene, SessionLimits::default());
    let session = bob(&desk).await;
    let as_was = signer(&desk, &session).await.unwrap();
    assert_eq!((as_was.user.name.as_str(), as_was.account.name.as_str(), as_was.key), ("bob", "north", None));
    scene.house().set_role(&scene.bob.id, Role::Administrator).await.unwrap();
    assert_eq!(signer(&desk, &session).await.unwrap().user.role, Role::Administrator);
    let hash = NewPassword::new(Secret::new(PASSWORD)).unwrap().hash().unwrap();
    scene.house().set_password(&scene.bob.id, Some(hash)).await.unwrap();
    assert_eq!(signer(&desk, &session).await, None);

    let session = bob(&desk).await;
    scene.house().set_password(&scene.bob.id, None).await.unwrap();
    assert_eq!(signer(&desk, &session).await, None);
}

#[tokio::test]
async fn a_session_by_a_key_ends_with_the_key_and_takes_no_other_secret() {
    let scene = Scene::new().await;
    let desk = desk(&scene, SessionLimits::default());
    let access = scene.control_as(&scene.bob);
    let key = scene.keys.access_key(&access, &scene.bob.id, "").await.unwrap();
    let other = scene.keys.access_key(&access, &scene.bob.id, "").await.unwrap();
    let login = scene.keys.temporary_login(&access, None, None).await.unwrap();
    let temporary = KeyId::parse(login.user.split_once('@').unwrap().1).unwrap();
    let nobodys = KeyId::parse("AK").unwrap();
    for (id, secret) in [
        (&key.key.id, &other.secret),
        (&key.key.id, &Secret::new("")),
        (&key.key.id, &scene.keys.long_term_login(&key.key.id, &key.secret).password),
        (&nobodys, &Secret::new("0".repeat(40))),
        (&temporary, &login.password),
        (&temporary, &Secret::new("0".repeat(40))),
    ] {
        let refused = desk.sign_in_with_key(id, secret).await;
        assert!(matches!(refused, Err(AuthenticationError::Refused)), "{id}");
    }
    let session = desk.sign_in_with_key(&key.key.id, &key.secret).await.unwrap();
    assert_eq!(signer(&desk, &session).await.unwrap().key, Some(key.key.id.clone()));
    access.remove_access_key(&scene.bob.id, &key.key.id).await.unwrap();
    assert_eq!(signer(&desk, &session).await, None);
    assert!(is_refused(&desk.sign_in_with_key(&key.key.id, &key.secret).await));
}

#[tokio::test]
async fn nobody_has_the_token_but_its_owner() {
    let scene = Scene::new().await;
    let desk = desk(&scene, SessionLimits::default());
    let session = bob(&desk).await;
    assert_eq!(session.token.expose().len(), 64);
    let form_token = desk.resume(&session.token).await.unwrap().unwrap().form_token;
    // What forms have in them opens nothing, and nothing that is close to the token does.
    for other in
        [form_token.expose(), &session.token.expose()[1..], &session.token.expose().to_uppercase(), ""]
    {
        assert!(desk.resume(&Secret::new(other)).await.unwrap().is_none(), "{other}");
    }
    let mut id = [0; 32];
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&session.token.expose()[2 * at..][..2], 16).unwrap();
    }
    assert_eq!(scene.metadata.session(&SessionId(id)).await.unwrap(), None);
    // It is another one for each session.
    let another = bob(&desk).await;
    assert_ne!(desk.resume(&another.token).await.unwrap().unwrap().form_token, form_token);
    desk.end(&session.token).await.unwrap();
    assert_eq!(signer(&desk, &session).await, None);
    assert!(signer(&desk, &another).await.is_some());
}

#[tokio::test]
async fn a_session_lasts_while_it_is_used_and_no_longer_than_its_life() {
    let scene = Scene::new().await;
    let limits = SessionLimits {
        idle: TimeDelta::minutes(10),
        life: TimeDelta::minutes(25),
        ..SessionLimits::default()
    };
    let desk = desk(&scene, limits);
    let (used, unused) = (bob(&desk).await, bob(&desk).await);
    for _ in 0..2 {
        scene.pass(TimeDelta::minutes(9));
        assert!(signer(&desk, &used).await.is_some());
    }
    assert_eq!(signer(&desk, &unused).await, None);
    scene.pass(TimeDelta::minutes(7) - TimeDelta::seconds(1));
    assert!(signer(&desk, &used).await.is_some());
    scene.pass(TimeDelta::seconds(1));
    assert_eq!(signer(&desk, &used).await, None);
    // Those that nobody comes back to go as well.
    bob(&desk).await;
    scene.pass(TimeDelta::minutes(11));
    let many = NonZeroU32::new(9).unwrap();
    assert_eq!((desk.trim(many).await.unwrap(), desk.trim(many).await.unwrap()), (1, 0));
}

#[tokio::test]
async fn one_session_more_than_there_may_be_ends_the_one_that_was_used_longest_ago() {
    let scene = Scene::new().await;
    let limits = SessionLimits { per_user: NonZeroU32::new(2).unwrap(), ..SessionLimits::default() };
    let desk = desk(&scene, limits);
    let first = bob(&desk).await;
    scene.pass(TimeDelta::minutes(1));
    let second = bob(&desk).await;
    scene.pass(TimeDelta::minutes(1));
    assert!(signer(&desk, &first).await.is_some());
    scene.pass(TimeDelta::minutes(1));
    let third = bob(&desk).await;
    assert_eq!(signer(&desk, &second).await, None);
    assert!(signer(&desk, &first).await.is_some() && signer(&desk, &third).await.is_some());
}

#[tokio::test]
async fn sessions_last_as_long_as_the_host_says_however_long_or_short_that_is() {
    let scene = Scene::new().await;
    let nine = NonZeroU32::new(9).unwrap();
    for (idle, life) in [
        (TimeDelta::MAX, TimeDelta::MAX),
        (TimeDelta::hours(1), TimeDelta::MAX),
        (TimeDelta::MAX, TimeDelta::days(7 << 20)),
    ] {
        let desk = desk(&scene, SessionLimits { idle, life, ..SessionLimits::default() });
        let session = bob(&desk).await;
        assert!(session.expires > scene.clock.now() + TimeDelta::days(1 << 20));
        scene.clock.advance(TimeDelta::minutes(59));
        assert_eq!(desk.trim(nine).await.unwrap(), 0);
        assert!(signer(&desk, &session).await.is_some(), "{idle} {life}");
    }
    // One that is used lasts, however soon it would have ended.
    for idle in [TimeDelta::seconds(30), TimeDelta::seconds(1)] {
        let desk = desk(&scene, SessionLimits { idle, ..SessionLimits::default() });
        let session = bob(&desk).await;
        for _ in 0..10 {
            scene.clock.advance(idle * 3 / 4);
            assert!(signer(&desk, &session).await.is_some(), "{idle}");
        }
        scene.clock.advance(idle);
        assert!(signer(&desk, &session).await.is_none());
    }
}
