//! What people may do, by the store and through the engine.

use std::num::NonZeroU32;

use chrono::TimeDelta;
use swr_core::caller::{Caller, Identity};
use swr_core::control::ControlError;
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::identity::{AccountName, Role};
use swr_core::control::repository::Visibility;
use swr_core::control::share::Deadline;
use swr_core::ports::{
    Action, Ask, Authorizer as _, Candidates, Clock as _, ControlAsk, ControlAuthorizer as _,
    ManifestStore as _, MetadataStore as _, Page, Verdict,
};
use swr_policy::OrganisationName;

use crate::scene::{Scene, caller, repository};

const NAMES: [&str; 6] = ["far/away", "lib/absent", "lib/open", "lib/secret", "nowhere/absent", "single"];

/// What comes of a pull and of a push, for each of the names.
async fn tried(scene: &Scene, who: &Caller) -> Vec<[&'static str; 2]> {
    let mut tried = Vec::new();
    for name in NAMES {
        tried.push(scene.try_as(who.clone().into(), name).await);
    }
    tried
}

#[tokio::test]
async fn private_absent_and_foreign_are_refused_alike() {
    let scene = Scene::new().await;
    let (denied, pulls) = (["denied", "denied"], ["done", "denied"]);
    let nothing = [denied, denied, pulls, denied, denied, denied];
    assert_eq!(tried(&scene, &caller(&scene.bob)).await, nothing);
    let unknown = ["unauthorized", "unauthorized"];
    let stranger = [unknown, unknown, ["done", "unauthorized"], unknown, unknown, unknown];
    assert_eq!(tried(&scene, &Caller::Anonymous).await, stranger);
    // A name that is no user's is nobody's, and one that is gone is a stranger's with a name.
    assert_eq!(tried(&scene, &Caller::User(Identity::new("ada"))).await, nothing);

    scene.grant_bob(Some(GrantLevel::Read)).await;
    let reads = [denied, ["unknown", "denied"], pulls, pulls, denied, denied];
    assert_eq!(tried(&scene, &caller(&scene.bob)).await, reads);
    let whole = ["done", "done"];
    let owns = [denied, ["unknown", "done"], whole, whole, denied, denied];
    assert_eq!(tried(&scene, &caller(&scene.ada)).await, owns);
    assert_eq!(tried(&scene, &caller(&scene.olga)).await[3], whole);
}

#[tokio::test]
async fn a_push_without_its_organisation_says_what_to_do() {
    let scene = Scene::new().await;
    for (name, sentence) in [
        ("nowhere/image", "Image organization does not exist, you should create it first"),
        ("single", "Image organization does not exist, you should create it first"),
        ("far/image", "you do not have the permission"),
    ] {
        let (repository, ada) = (repository(name), caller(&scene.ada));
        let ask = |action| Ask { action, repository: &repository, tags: &[] };
        let said = async |action| match scene.authorizer.decide(&ada, ask(action)).await.unwrap() {
            Verdict::Deny(refusal) => refusal.sentence().to_owned(),
            verdict => panic!("{verdict:?}"),
        };
        assert_eq!(said(Action::Push).await, sentence, "{name}");
        for action in [Action::Pull, Action::Delete] {
            assert_eq!(said(action).await, "you do not have the permission", "{name}");
        }
    }
}

#[tokio::test]
async fn a_share_is_worth_a_pull_until_its_deadline() {
    let scene = Scene::new().await;
    let (name, south) = (repository("lib/secret"), AccountName::parse("south").unwrap());
    let end = scene.clock.now() + TimeDelta::days(1);
    let ada = scene.control_as(&scene.ada);
    ada.share(&name, &south, Deadline::At(end), "").await.unwrap();
    let sam = caller(&scene.sam);
    scene.pass(TimeDelta::days(1) - TimeDelta::seconds(1));
    assert_eq!(scene.try_as(sam.clone().into(), "lib/secret").await, ["done", "denied"]);
    assert!(scene.control_as(&scene.sam).repository(&name).await.is_ok());
    let grants = scene.control_as(&scene.sam).grants(&GrantScope::Repository(name.clone())).await;
    assert!(matches!(grants, Err(ControlError::Denied(_))), "{grants:?}");
    scene.pass(TimeDelta::seconds(1));
    assert_eq!(scene.try_as(sam.clone().into(), "lib/secret").await, ["denied", "denied"]);
    let hidden = scene.control_as(&scene.sam).repository(&name).await;
    assert!(matches!(hidden, Err(ControlError::RepositoryUnknown(_))), "{hidden:?}");
    ada.change_share(&name, &south, Deadline::Never, "").await.unwrap();
    assert_eq!(scene.try_as(sam.clone().into(), "lib/secret").await, ["done", "denied"]);
    ada.end_share(&name, &south).await.unwrap();
    assert_eq!(scene.try_as(sam.into(), "lib/secret").await, ["denied", "denied"]);
}

#[tokio::test]
async fn what_can_be_listed_is_what_can_be_pulled() {
    for strangers in [swr_auth::Strangers::PullPublic, swr_auth::Strangers::Nothing] {
        let scene = Scene::with(|authorizer| authorizer.with_strangers(strangers)).await;
        scene.create(&scene.sue, "far/open", Visibility::Public).await;
        let south = AccountName::parse("south").unwrap();
        let ada = scene.control_as(&scene.ada);
        ada.share(&repository("lib/secret"), &south, Deadline::Never, "").await.unwrap();
        let scope = GrantScope::Repository(repository("lib/secret"));
        ada.grant(&scope, &[(scene.bob.id.clone(), GrantLevel::Read)]).await.unwrap();

        let page = Page { after: None, limit: NonZeroU32::new(100).unwrap() };
        let all = scene.metadata.repositories(&page).await.unwrap();
        assert_eq!(all.len(), 4);
        let people = [&scene.ada, &scene.bob, &scene.olga, &scene.sue, &scene.sam];
        let mut lists = Vec::new();
        for who in people.map(caller).into_iter().chain([Caller::Anonymous, Caller::User(Identity::new("x"))])
        {
            let mut expected = Vec::new();
            for name in &all {
                let ask = Ask { action: Action::Pull, repository: name, tags: &[] };
                if let Verdict::Allow(_) = scene.authorizer.decide(&who, ask).await.unwrap() {
                    expected.push(name.clone());
                }
            }
            let listed = scene.authorizer.readable(&who, Candidates::All(&page)).await.unwrap();
            assert_eq!(listed.as_ref(), Some(&expected), "{who:?}");
            lists.push(expected.len());
        }
        let public = if strangers == swr_auth::Strangers::PullPublic { 2 } else { 0 };
        assert_eq!(lists, [3, 3, 3, 4, 3, public, public]);
    }
}

#[tokio::test]
async fn each_control_ask_looks_at_what_it_is_about() {
    let scene = Scene::new().await;
    let (lib, far) = (OrganisationName::parse("lib").unwrap(), OrganisationName::parse("far").unwrap());
    let nowhere = OrganisationName::parse("nowhere").unwrap();
    let (secret, away, absent) = (repository("lib/secret"), repository("far/away"), repository("lib/absent"));
    let gone = swr_core::control::identity::UserId::random();
    let manage = GrantLevel::Manage;
    let asks = [
        ControlAsk::Operate,
        ControlAsk::Administer(&scene.ada.account),
        ControlAsk::Administer(&scene.sue.account),
        ControlAsk::CreateOrganisation,
        ControlAsk::Organisation(&lib, manage),
        ControlAsk::Organisation(&far, manage),
        ControlAsk::Organisation(&nowhere, manage),
        ControlAsk::Repository(&secret, manage),
        ControlAsk::Repository(&away, manage),
        ControlAsk::Repository(&absent, manage),
        ControlAsk::ViewRepository(&secret),
        ControlAsk::ViewRepository(&away),
        ControlAsk::Oneself(&scene.bob.id),
        ControlAsk::Oneself(&scene.olga.id),
        ControlAsk::Oneself(&scene.sam.id),
        ControlAsk::Oneself(&gone),
    ];
    scene.grant_bob(Some(GrantLevel::Read)).await;
    for (who, expected) in [
        (Caller::Anonymous, "dddd ddd ddd dd dddd"),
        (Caller::User(Identity::new(gone.as_str())), "dhhd hhh hhh hh hhhh"),
        (caller(&scene.bob), "ddhd dhh dhd yh yhhh"),
        (caller(&scene.ada), "dyhy yhh yhy yh ydhh"),
        (caller(&scene.olga), "yyyy yhh yhy yh yyyh"),
        (caller(&scene.sam), "dhdd hhh hhh hh hhyh"),
        (caller(&scene.sue), "dhyy hyh hyh hy hhyh"),
    ] {
        let mut answers = String::new();
        for ask in asks {
            answers.push(match scene.authorizer.decide_control(&who, ask).await.unwrap() {
                Verdict::Allow(grounds) => {
                    assert!(grounds.rights.is_some());
                    'y'
                }
                Verdict::Deny(_) => 'd',
                Verdict::Hide => 'h',
            });
        }
        assert_eq!(answers, expected.replace(' ', ""), "{who:?}");
    }
}

/// What a decision rests on is another thing once a right has changed.
#[tokio::test]
async fn the_grounds_of_a_decision_fall_with_the_rights() {
    let scene = Scene::new().await;
    scene.grant_bob(Some(GrantLevel::Edit)).await;
    let (name, bob) = (repository("lib/secret"), caller(&scene.bob));
    let decide = async || {
        let ask = Ask { action: Action::Push, repository: &name, tags: &[] };
        scene.authorizer.decide(&bob, ask).await.unwrap()
    };
    let Verdict::Allow(grounds) = decide().await else { panic!("Bob may push") };
    let details = scene.metadata.repository_details(&name).await.unwrap().unwrap();
    assert_eq!(grounds.repository, Some(details.id));
    assert_eq!(decide().await, Verdict::Allow(grounds.clone()));
    scene.house().set_role(&scene.sam.id, Role::Administrator).await.unwrap();
    let Verdict::Allow(later) = decide().await else { panic!("Bob may push") };
    assert!(later.rights > grounds.rights);
}
