//! Every question, a row each: where the store fails, that is the answer, and never that nothing is there or that
//! somebody may not.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;

use swr_auth::Authenticator as _;
use swr_core::control::grant::GrantScope;
use swr_core::control::trace::TraceQuery;
use swr_core::ports::{Page, RepositoryList, RepositoryOrder, RepositoryQuery, UsageKind};
use swr_core::testing::stepping::Plan;

use super::stage::{
    Failure, Stage, account, all_versions, hook, key_id, many, on_secret, organisation, page,
};
use crate::scene::{caller, repository, shown};

type Run = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

macro_rules! questions {
    ($($name:ident, |$stage:ident| $call:expr;)*) => {
        &[$((stringify!($name), |$stage| Box::pin(async move {
            let _ = $call.await?;
            Ok(())
        }))),*]
    };
}

const QUESTIONS: &[(&str, Run)] = questions! {
    user, |stage| stage.ada().user();
    viewer, |stage| stage.ada().viewer();
    organisations, |stage| stage.ada().organisations(true);
    organisation, |stage| stage.bob().organisation(&organisation("lib"));
    organisation_of_mine, |stage| stage.ada().organisation(&organisation("lib"));
    no_organisation, |stage| stage.ada().organisation(&organisation("nowhere"));
    organisation_quota, |stage| stage.ada().organisation_quota();
    repository, |stage| stage.ada().repository(&repository("lib/secret"));
    public_repository, |stage| stage.scene.control_as(&stage.scene.sam).repository(&repository("lib/open"));
    hidden_repository, |stage| stage.scene.control_as(&stage.scene.sam).repository(&repository("lib/nowhere"));
    repositories, |stage| async { stage.ada().repositories(&all(stage).await?).await };
    versions, |stage| stage.ada().versions(&repository("lib/secret"), &all_versions());
    grants, |stage| stage.ada().grants(&on_secret());
    grants_in_organisation, |stage| stage.ada().grants(&GrantScope::Organisation(organisation("lib")));
    shares, |stage| stage.ada().shares(&repository("lib/secret"), many());
    share_with, |stage| stage.ada().share_with(&repository("lib/secret"), &account("south"));
    share_with_nobody, |stage| stage.ada().share_with(&repository("lib/secret"), &account("nowhere"));
    accounts, |stage| stage.olga().accounts(&page());
    account_named, |stage| stage.olga().account_named(&account("south"));
    no_account_named, |stage| stage.olga().account_named(&account("nowhere"));
    hidden_account_named, |stage| stage.bob().account_named(&account("south"));
    own_account, |stage| stage.bob().own_account();
    users, |stage| stage.ada().users(&stage.guy.account, &page());
    user_named, |stage| stage.ada().user_named(&stage.guy.account, &stage.guy.name);
    access_keys, |stage| stage.bob().access_keys(&stage.scene.bob.id);
    token_keys, |stage| stage.olga().token_keys();
    rule, |stage| stage.ada().rule(&repository("lib/secret"));
    cleared, |stage| stage.ada().cleared(&repository("lib/secret"), 0, many());
    dry_run, |stage| stage.ada().dry_run(&repository("lib/secret"));
    triggers, |stage| stage.ada().triggers(&repository("lib/secret"));
    trigger, |stage| stage.ada().trigger(&repository("lib/secret"), &hook(), many());
    syncs, |stage| stage.ada().syncs(&repository("lib/secret"));
    sync_jobs, |stage| stage.ada().sync_jobs(&repository("lib/secret"), false, 0, many());
    admit_packages, |stage| stage.ada().admit_packages(&organisation("lib"));
    usage, |stage| stage.ada().usage(UsageKind::Stored, 30);
    overview, |stage| stage.ada().overview();
    traces, |stage| stage.ada().traces(&TraceQuery::of(stage.guy.account.clone(), many()));
    own_traces, |stage| stage.bob().traces(&TraceQuery::of(stage.guy.account.clone(), many()));
    session, |stage| stage.sessions.resume(&stage.session.token);
    login, |stage| async {
        let login = stage.scene.keys.long_term_login(&stage.key.0, &stage.key.1);
        stage.scene.authenticator.authenticate(&shown(&login)).await
    };
    login_of_nobody, |stage| async {
        let login = stage.scene.keys.long_term_login(&key_id("NOBODY"), &stage.key.1);
        stage.scene.authenticator.authenticate(&shown(&login)).await
    };
    catalogue, |stage| async {
        let access = stage.scene.control.registry().access(caller(&stage.scene.bob), Default::default());
        access.repositories(&Page { after: None, limit: many() }).await.map_err(swr_core::control::ControlError::from)
    };
};

/// What Ada sees of her account.
async fn all(stage: &Stage) -> Result<RepositoryQuery, swr_core::control::ControlError> {
    Ok(RepositoryQuery {
        viewer: stage.ada().viewer().await?,
        now: stage.scene.control.now(),
        list: RepositoryList::Own,
        organisation: None,
        name: None,
        account: None,
        category: None,
        visibility: None,
        after_id: None,
        order: RepositoryOrder::Name,
        descending: false,
        offset: 0,
        limit: NonZeroU32::MIN,
    })
}

#[tokio::test]
async fn whoever_asks_is_told_of_a_fault_and_never_that_nothing_is_there() {
    let stage = Stage::set().await;
    for (name, ask) in QUESTIONS {
        let mut faults = 0;
        for number in 1.. {
            let mut calls = 0;
            for plan in [Plan::FailBefore(number), Plan::FailAfter(number)] {
                stage.scene.steps.plan(plan);
                let answer = ask(&stage).await;
                calls = stage.scene.steps.calls();
                match answer {
                    Err(Failure::Fault) => faults += 1,
                    answer => assert!(calls < number, "{name}, {plan:?}: {answer:?}"),
                }
            }
            if number > calls {
                break;
            }
        }
        assert!(faults > 0, "{name} asks the store");
    }
}
