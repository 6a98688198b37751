//! Tokens for the registry's protocol: what they list, what they are worth, and when they end.

use std::sync::Arc;

use chrono::TimeDelta;
use swr_auth::token_desk::TokenDeskError;
use swr_auth::{
    AuthenticationError, Authenticator as _, ControlAuthenticator, DeskSettings, Presented, Scope, Secret,
    Strangers, TokenAsk, TokenDesk, Vault,
};
use swr_core::caller::Caller;
use swr_core::control::grant::GrantLevel;
use swr_core::ports::{Action, MetadataStore as _, StoreErrorKind};

use crate::scene::{HOST, Scene, caller, is_refused, repository, shown};

fn ask(scopes: &[&str]) -> TokenAsk {
    TokenAsk {
        service: Some(HOST.into()),
        scopes: scopes.iter().map(|text| Scope::parse(text).unwrap()).collect(),
        offline: false,
    }
}

const LISTED: [&str; 4] = [
    "repository:lib/secret:pull,push,delete",
    "repository:lib/open:pull,push",
    "repository:lib/open:delete",
    "repository:far/away:*",
];

#[tokio::test]
async fn a_token_lists_everything_that_was_asked_for_with_what_the_subject_may_do_now() {
    let scene = Scene::new().await;
    let (_, login) = scene.login(&scene.bob).await;
    let (pull, push, delete) = (Action::Pull, Action::Push, Action::Delete);
    for (level, secret, open) in [
        (None, vec![], vec![pull]),
        (Some(GrantLevel::Read), vec![pull], vec![pull]),
        (Some(GrantLevel::Edit), vec![pull, push], vec![pull, push]),
        (Some(GrantLevel::Manage), vec![pull, push, delete], vec![pull, push, delete]),
    ] {
        if level.is_some() {
            scene.grant_bob(level).await;
        }
        let issued = scene.tokens.issue(&shown(&login), &ask(&LISTED)).await.unwrap();
        let authenticated = scene.bear(&issued.token).await.unwrap();
        assert_eq!(authenticated.caller, caller(&scene.bob));
        let reach = authenticated.reach.unwrap();
        for (name, given) in [("lib/secret", secret), ("lib/open", open), ("far/away", vec![])] {
            let listed = reach.of(&repository(name)).unwrap();
            assert_eq!(listed.iter().copied().collect::<Vec<_>>(), given, "{level:?} {name}");
        }
        assert_eq!(reach.of(&repository("lib/other")), None);
        if level.is_some() {
            scene.grant_bob(None).await;
        }
    }
}

#[tokio::test]
async fn a_token_is_worth_no_more_than_it_lists_and_no_more_than_its_subject_may() {
    let scene = Scene::new().await;
    let (_, login) = scene.login(&scene.bob).await;
    scene.grant_bob(Some(GrantLevel::Edit)).await;
    let token = async |scopes: &[&str]| scene.tokens.issue(&shown(&login), &ask(scopes)).await.unwrap().token;
    let to_pull = token(&["repository:lib/secret:pull"]).await;
    let to_push = token(&["repository:lib/secret:pull,push"]).await;
    let to_nothing = token(&[]).await;
    let use_of = async |token: &Secret, name| scene.try_as(scene.bear(token).await.unwrap(), name).await;

    assert_eq!(use_of(&to_pull, "lib/secret").await, ["done", "denied"]);
    assert_eq!(use_of(&to_push, "lib/secret").await, ["done", "done"]);
    for name in ["lib/open", "far/away", "lib/absent"] {
        assert_eq!(use_of(&to_push, name).await, ["unauthorized", "unauthorized"], "{name}");
    }
    assert_eq!(use_of(&to_nothing, "lib/secret").await, ["unauthorized", "unauthorized"]);

    scene.grant_bob(None).await;
    for token in [&to_pull, &to_push] {
        assert_eq!(use_of(token, "lib/secret").await, ["denied", "denied"]);
    }
    // What was not given then is not given now.
    scene.grant_bob(Some(GrantLevel::Manage)).await;
    assert_eq!(use_of(&to_pull, "lib/secret").await, ["done", "denied"]);
}

#[tokio::test]
async fn a_token_ends_with_the_key_that_it_was_got_with() {
    let scene = Scene::new().await;
    let bob = scene.control_as(&scene.bob);
    let (id, long_term) = scene.login(&scene.bob).await;
    let (_, other) = scene.login(&scene.bob).await;
    let minute = TimeDelta::minutes(1);
    let temporary = scene.keys.temporary_login(&bob, None, Some(minute * 3)).await.unwrap();
    let with_key = scene.keys.temporary_login(&bob, Some(&id), None).await.unwrap();
    let offline = TokenAsk { offline: true, ..ask(&["repository:lib/open:pull"]) };
    let mut issued = Vec::new();
    for login in [&long_term, &other, &temporary, &with_key] {
        issued.push(scene.tokens.issue(&shown(login), &offline).await.unwrap());
    }
    let good = async || {
        let mut good = Vec::new();
        for issued in &issued {
            let token = scene.bear(&issued.token).await;
            let refreshed = scene.tokens.refresh(issued.refresh.as_ref().unwrap(), &offline).await;
            match &refreshed {
                Ok(_) | Err(TokenDeskError::Authentication(AuthenticationError::Refused)) => {}
                Err(error) => panic!("{error}"),
            }
            assert_eq!(token.is_ok(), refreshed.is_ok());
            assert!(token.is_ok() || is_refused(&token));
            good.push(token.is_ok());
        }
        good
    };
    assert_eq!(good().await, [true, true, true, true]);
    bob.remove_access_key(&scene.bob.id, &id).await.unwrap();
    assert_eq!(good().await, [false, true, true, false]);
    scene.pass(minute * 3);
    assert_eq!(good().await, [false, true, false, false]);
    scene.control_as(&scene.ada).remove_user(&scene.bob.id).await.unwrap();
    assert_eq!(good().await, [false, false, false, false]);
}

#[tokio::test]
async fn a_token_lasts_for_its_life_and_a_refresh_token_for_its_keys() {
    let scene = Scene::new().await;
    let (_, login) = scene.login(&scene.bob).await;
    let offline = TokenAsk { offline: true, ..ask(&[]) };
    let issued = scene.tokens.issue(&shown(&login), &offline).await.unwrap();
    assert_eq!(issued.seconds(), 300);
    let second = TimeDelta::seconds(1);
    scene.pass(TimeDelta::minutes(5) - second);
    assert!(scene.bear(&issued.token).await.is_ok());
    scene.pass(second);
    assert!(is_refused(&scene.bear(&issued.token).await));

    let refresh = issued.refresh.unwrap();
    for _ in 0..3 {
        scene.pass(TimeDelta::days(365));
        let again = scene.tokens.refresh(&refresh, &ask(&LISTED)).await.unwrap();
        assert_eq!(again.refresh, None);
        assert_eq!(scene.bear(&again.token).await.unwrap().caller, caller(&scene.bob));
    }
    // One is no token of the other kind, and neither is a login or a token for management.
    assert!(is_refused(&scene.bear(&refresh).await));
    assert!(is_refused(&scene.authenticator.management_token(&refresh).await));
    assert!(is_refused(&scene.authenticator.management_token(&issued.token).await));
    let token = scene.tokens.issue(&shown(&login), &offline).await.unwrap().token;
    assert!(scene.tokens.refresh(&token, &offline).await.is_err());
    assert!(scene.tokens.issue(&Presented::Bearer(token), &offline).await.is_err());
}

#[tokio::test]
async fn strangers_get_tokens_for_what_strangers_may_do() {
    for (strangers, pulled) in [(Strangers::PullPublic, "done"), (Strangers::Nothing, "unauthorized")] {
        let scene = Scene::with(|authorizer| authorizer.with_strangers(strangers)).await;
        let offline = TokenAsk { offline: true, ..ask(&LISTED) };
        let issued = scene.tokens.issue(&Presented::Nothing, &offline).await.unwrap();
        assert_eq!(issued.refresh, None);
        let authenticated = scene.bear(&issued.token).await.unwrap();
        assert_eq!(authenticated.caller, Caller::Anonymous);
        let reach = authenticated.reach.as_ref().unwrap();
        assert_eq!(reach.covers(&repository("lib/open"), Action::Pull), pulled == "done");
        assert!(!reach.covers(&repository("lib/secret"), Action::Pull));
        assert_eq!(scene.try_as(authenticated.clone(), "lib/open").await, [pulled, "unauthorized"]);
        assert_eq!(scene.try_as(authenticated, "lib/secret").await, ["unauthorized", "unauthorized"]);
    }
}

#[tokio::test]
async fn a_wrong_login_gets_no_token_and_is_not_taken_for_a_stranger() {
    let scene = Scene::new().await;
    let (_, mut login) = scene.login(&scene.bob).await;
    login.password = Secret::new("wrong");
    let refused = scene.tokens.issue(&shown(&login), &ask(&[])).await;
    assert!(matches!(refused, Err(TokenDeskError::Authentication(AuthenticationError::Refused))));
}

#[tokio::test]
async fn a_token_is_for_this_deployment_alone() {
    let scene = Scene::new().await;
    let (_, login) = scene.login(&scene.bob).await;
    for (service, is_ours) in
        [(None, true), (Some(HOST), true), (Some("other.example"), false), (Some(""), false)]
    {
        let ask = TokenAsk { service: service.map(Into::into), ..ask(&[]) };
        let issued = scene.tokens.issue(&shown(&login), &ask).await;
        assert_eq!(issued.is_ok(), is_ours, "{service:?}");
        assert!(is_ours || matches!(issued, Err(TokenDeskError::Service { .. })));
    }
    // Another deployment over the same store would take it otherwise.
    let settings = DeskSettings::new("cn-jssz1", "other.example", "https://other.example/token").unwrap();
    let other = ControlAuthenticator::new(
        Arc::clone(&scene.metadata) as _,
        Arc::clone(&scene.vault),
        settings,
        Arc::clone(&scene.clock) as _,
    );
    let token = scene.tokens.issue(&shown(&login), &ask(&[])).await.unwrap().token;
    assert!(is_refused(&other.authenticate(&Presented::Bearer(token)).await));
}

#[tokio::test]
async fn the_longest_token_fits_into_a_header() {
    let scene = Scene::new().await;
    let (_, login) = scene.login(&scene.ada).await;
    let scopes = |count: usize| -> Vec<String> {
        (0..count).map(|number| format!("repository:lib/{:a>251}:*", number)).collect()
    };
    let mut issued = Err(());
    for count in [TokenDesk::REPOSITORIES_MAX, TokenDesk::REPOSITORIES_MAX + 1] {
        let scopes = scopes(count);
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let answer = scene.tokens.issue(&shown(&login), &ask(&scopes)).await;
        match answer {
            Ok(token) => issued = Ok(token),
            Err(error) => {
                assert_eq!(count, TokenDesk::REPOSITORIES_MAX + 1);
                assert!(matches!(error, TokenDeskError::TooManyRepositories { limit: 16 }), "{error}");
            }
        }
    }
    let token = issued.unwrap().token;
    assert!("Bearer ".len() + token.expose().len() <= 8 * 1024, "{} bytes", token.expose().len());
    let reach = scene.bear(&token).await.unwrap().reach.unwrap();
    assert!(reach.covers(&repository(&format!("lib/{:a>251}", 15)), Action::Delete));
}

#[tokio::test]
async fn the_first_token_makes_the_key_and_the_newest_key_signs() {
    let scene = Scene::new().await;
    assert_eq!(scene.metadata.token_keys().await.unwrap(), []);
    let (_, login) = scene.login(&scene.bob).await;
    let token = async || scene.tokens.issue(&shown(&login), &ask(&[])).await.unwrap().token;
    let (first, second) = (token().await, token().await);
    let keys = scene.metadata.token_keys().await.unwrap();
    assert_eq!(keys.len(), 1);

    scene.pass(TimeDelta::seconds(1));
    let newer = scene.keys.token_key();
    scene.house().add_token_key(newer.clone()).await.unwrap();
    let third = token().await;
    for token in [&first, &second, &third] {
        assert!(scene.bear(token).await.is_ok());
    }
    scene.house().remove_token_key(&keys[0].id).await.unwrap();
    for (token, is_good) in [(&first, false), (&second, false), (&third, true)] {
        assert_eq!(scene.bear(token).await.is_ok(), is_good);
    }
    scene.house().remove_token_key(&newer.id).await.unwrap();
    assert!(is_refused(&scene.bear(&third).await));
    assert!(scene.bear(&token().await).await.is_ok());
}

/// A deployment with the wrong master key says so to whoever runs it, and refuses nobody for it.
#[tokio::test]
async fn the_wrong_master_key_is_a_fault_and_no_refusal() {
    let scene = Scene::new().await;
    let (_, login) = scene.login(&scene.bob).await;
    let token = scene.tokens.issue(&shown(&login), &ask(&[])).await.unwrap().token;
    let wrong = ControlAuthenticator::new(
        Arc::clone(&scene.metadata) as _,
        Arc::new(Vault::new(&[9; 32])),
        scene.settings.clone(),
        Arc::clone(&scene.clock) as _,
    );
    for shown in [shown(&login), Presented::Bearer(token)] {
        match wrong.authenticate(&shown).await {
            Err(AuthenticationError::Store(error)) => {
                assert_eq!((error.kind(), error.operation()), (StoreErrorKind::Other, "vault.open"));
            }
            other => panic!("{other:?}"),
        }
    }
}
