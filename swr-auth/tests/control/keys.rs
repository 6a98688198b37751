//! Keys: how they look, and how they come under another master key.

use std::num::NonZeroU32;
use std::sync::Arc;

use swr_auth::{
    Authenticator as _, ControlAuthenticator, KeyDesk, Presented, Secret, TokenAsk, TokenDesk, Vault,
};
use swr_core::control::ControlError;
use swr_core::control::identity::{AccountName, Role, UserName};
use swr_core::control::trigger::{TriggerCondition, TriggerRule, TriggerTarget};
use swr_core::ports::{MetadataStore, Page};
use swr_core::{RepositoryName, TriggerName};

use crate::scene::{Scene, entirely, shown};

#[tokio::test]
async fn an_access_key_is_20_capitals_and_digits_and_its_secret_40_letters_and_digits() {
    let scene = Scene::new().await;
    let bob = scene.control_as(&scene.bob);
    let mut ids = Vec::new();
    for number in 0..10 {
        let made = scene.keys.access_key(&bob, &scene.bob.id, &format!("key {number}")).await.unwrap();
        let (id, secret) = (made.key.id.as_str(), made.secret.expose());
        assert!(id.len() == 20 && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{id}");
        assert!(secret.len() == 40 && secret.bytes().all(|b| b.is_ascii_alphanumeric()), "{secret}");
        assert_eq!(made.key.secret, None);
        ids.push(made.key.id);
    }
    let listed = bob.access_keys(&scene.bob.id).await.unwrap();
    assert_eq!(listed.iter().find(|key| key.id == ids[3]).unwrap().description.as_ref(), "key 3");
    let refused = scene.keys.access_key(&bob, &scene.bob.id, "").await;
    assert!(matches!(refused, Err(ControlError::KeyQuota { limit: 10 })), "{refused:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn keys_are_made_for_oneself_and_by_administrators() {
    let scene = Scene::new().await;
    for (by, owner, is_made) in [
        (&scene.bob, &scene.bob, true),
        (&scene.ada, &scene.bob, true),
        (&scene.olga, &scene.bob, true),
        (&scene.olga, &scene.sam, true),
        (&scene.sam, &scene.bob, false),
        (&scene.sue, &scene.bob, false),
        (&scene.bob, &scene.ada, false),
        // Who could take an operator's key could take the deployment.
        (&scene.ada, &scene.olga, false),
    ] {
        let made = scene.keys.access_key(&scene.control_as(by), &owner.id, "").await;
        assert_eq!(made.is_ok(), is_made, "{} {}: {made:?}", by.name, owner.name);
        let set = scene.control_as(by).set_password(&owner.id, None).await;
        assert_eq!(set.is_ok(), is_made, "{} {}: {set:?}", by.name, owner.name);
    }
}

#[tokio::test]
async fn an_account_comes_with_its_first_user_and_its_key_or_not_at_all() {
    let scene = Scene::new().await;
    let (house, ada) = (scene.house(), scene.control_as(&scene.ada));
    let found = async |access, name: &str| {
        let (account, user) = (AccountName::parse(name).unwrap(), UserName::parse("wim").unwrap());
        scene.keys.found_account(access, account, user, Role::Operator, None).await
    };
    let founded = found(&house, "west").await.unwrap();
    assert_eq!(scene.metadata.user(&founded.user.id).await.unwrap(), Some(founded.user.clone()));
    assert_eq!(founded.user.account, founded.account.id);
    let login = scene.keys.long_term_login(&founded.key.key.id, &founded.key.secret);
    assert_eq!(scene.authenticate(&shown(&login)).await.unwrap(), entirely(&founded.user));

    let everybody = async || {
        let page = Page { after: None, limit: 100.try_into().unwrap() };
        let keys = Page { after: None, limit: 100.try_into().unwrap() };
        (scene.metadata.accounts(&page).await.unwrap(), scene.metadata.all_access_keys(&keys).await.unwrap())
    };
    let before = everybody().await;
    let taken = found(&house, "west").await;
    assert!(matches!(taken, Err(ControlError::AccountTaken(_))), "{taken:?}");
    let denied = found(&ada, "east").await;
    assert!(matches!(denied, Err(ControlError::Denied(_))), "{denied:?}");
    assert_eq!(everybody().await, before);
}

#[tokio::test]
async fn the_keys_of_tokens_are_for_operators_and_are_listed_without_their_secrets() {
    let scene = Scene::new().await;
    let olga = scene.control_as(&scene.olga);
    olga.add_token_key(scene.keys.token_key()).await.unwrap();
    scene.pass(chrono::TimeDelta::seconds(1));
    let newest = scene.keys.token_key();
    olga.add_token_key(newest.clone()).await.unwrap();
    let listed = olga.token_keys().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed.last().unwrap().id, newest.id);
    assert!(listed.iter().all(|key| key.secret.is_none()));
    for other in [&scene.ada, &scene.bob] {
        let denied = scene.control_as(other).token_keys().await;
        assert!(matches!(denied, Err(ControlError::Denied(_))), "{denied:?}");
    }
}

#[tokio::test]
async fn everything_comes_under_another_master_key_and_works_on() {
    let scene = Scene::new().await;
    let mut logins = Vec::new();
    for user in [&scene.ada, &scene.bob, &scene.sam] {
        logins.push((user, scene.login(user).await.1));
    }
    let repository = RepositoryName::parse("lib/secret").unwrap();
    let hook = TriggerName::parse("hook").unwrap();
    let rule = TriggerRule { condition: TriggerCondition::All, enabled: true };
    let sealed = scene.keys.seal_trigger(&repository, &hook, &Secret::new("of the hook"));
    let target = TriggerTarget::Webhook { url: "https://ci.example/".into(), secret: Some(sealed) };
    scene.control_as(&scene.ada).create_trigger(&repository, &hook, rule, target).await.unwrap();
    let token = scene.tokens.issue(&shown(&logins[0].1), &TokenAsk::default()).await.unwrap().token;
    let store = Arc::clone(&scene.metadata) as Arc<dyn MetadataStore>;
    let with = |vault: Vault| {
        let (clock, settings) = (Arc::clone(&scene.clock) as Arc<_>, scene.settings.clone());
        ControlAuthenticator::new(Arc::clone(&store), Arc::new(vault), settings, clock)
    };

    let new = || Vault::new(&[2; 32]);
    assert!(with(new()).authenticate(&shown(&logins[0].1)).await.is_err());
    let both = Arc::new(new().with_previous(Vault::new(&[1; 32])));
    let desk = KeyDesk::new(both, scene.settings.clone(), Arc::clone(&scene.clock) as _);
    assert_eq!(desk.reseal(&*store).await.unwrap(), 5);
    assert_eq!(desk.reseal(&*store).await.unwrap(), 0);

    let desk = KeyDesk::new(Arc::new(new()), scene.settings.clone(), Arc::clone(&scene.clock) as _);
    let triggers = store.sealed_triggers(None, NonZeroU32::MIN).await.unwrap();
    let (_, trigger) = &triggers[0];
    let opened = desk.open_trigger(trigger, trigger.target.secret().unwrap()).unwrap();
    assert_eq!(opened.expose(), "of the hook");
    let after = Arc::new(with(new()));
    for (user, login) in &logins {
        assert_eq!(after.authenticate(&shown(login)).await.unwrap(), entirely(user));
    }
    assert!(after.authenticate(&Presented::Bearer(token)).await.is_ok());
    let desk = TokenDesk::new(after, Arc::clone(&scene.authorizer) as _);
    assert!(desk.issue(&shown(&logins[0].1), &TokenAsk::default()).await.is_ok());
    assert!(
        scene.authenticate(&shown(&logins[0].1)).await.is_err(),
        "the old key alone opens nothing any more"
    );
}
