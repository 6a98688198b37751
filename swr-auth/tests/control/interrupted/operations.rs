//! Every change that is one step for whoever looks, a row each.

use std::future::Future;
use std::pin::Pin;

use chrono::TimeDelta;
use swr_core::TriggerName;
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::identity::{PasswordHash, Role, UserId, UserName};
use swr_core::control::repository::{Attributes, Visibility};
use swr_core::control::share::Deadline;
use swr_core::control::trace::{Operation as Traced, Outcome};
use swr_core::control::{Founder, NewAccount};
use swr_core::ports::MetadataStore as _;
use swr_policy::{TriggerCondition, TriggerRule};

use super::stage::{
    Failure, Stage, access_key, account, hook, key_id, many, new_user, newest, on_secret, organisation, tag,
    target, temporary_key, there, token_key,
};
use crate::scene::repository;

/// A change, and what comes of asking for it when it was made.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) again: Again,
    pub(super) run: Run,
}

type Run = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

pub(super) enum Again {
    /// It is made, and everything is as it was.
    Nothing,
    /// It is made once more.
    OnceMore,
    /// It is refused with the error of this name.
    Refused(&'static str),
}

use Again::{Nothing, OnceMore, Refused};

/// A row: the name, what comes of asking again, and the call.
macro_rules! operations {
    ($($name:ident, $again:expr, |$stage:ident| $call:expr;)*) => {
        &[$(Operation {
            name: stringify!($name),
            again: $again,
            run: |$stage| Box::pin(async move {
                let _ = $call.await?;
                Ok(())
            }),
        }),*]
    };
}

pub(super) const OPERATIONS: &[Operation] = operations! {
    // Organisations and repositories.
    create_organisation, Refused("OrganisationTaken"), |stage| stage.ada().create_organisation(&organisation("new"));
    remove_organisation, Refused("OrganisationUnknown"),
        |stage| stage.ada().remove_organisation(&organisation("empty"));
    create_repository, Refused("RepositoryTaken"),
        |stage| stage.ada().create_repository(&repository("lib/new"), &public());
    set_attributes, Nothing, |stage| stage.ada().set_attributes(&repository("lib/secret"), &public());
    remove_repository, Refused("RepositoryUnknown"),
        |stage| stage.ada().remove_repository(&repository("lib/secret"));
    copy_version, Refused("VersionTaken"),
        |stage| stage.ada().copy_version(&repository("lib/secret"), &tag("v1"), &tag("stable"), false);
    remove_version, Refused("VersionUnknown"),
        |stage| stage.ada().remove_version(&repository("lib/secret"), &tag("v1"));

    // Grants and shares.
    grant, Refused("GrantTaken"), |stage| stage.ada().grant(
        &GrantScope::Organisation(organisation("lib")),
        &[(stage.scene.bob.id.clone(), GrantLevel::Edit), (stage.guy.id.clone(), GrantLevel::Read)],
    );
    change_grants, Nothing,
        |stage| stage.ada().change_grants(&on_secret(), &[(stage.scene.bob.id.clone(), GrantLevel::Manage)]);
    remove_grants, Refused("GrantUnknown"),
        |stage| stage.ada().remove_grants(&on_secret(), std::slice::from_ref(&stage.scene.bob.id));
    share, Refused("ShareTaken"),
        |stage| stage.ada().share(&repository("lib/secret"), &account("east"), Deadline::Never, "for a while");
    change_share, Nothing,
        |stage| stage.ada().change_share(&repository("lib/secret"), &account("south"), Deadline::Never, "longer");
    end_share, Refused("ShareUnknown"),
        |stage| stage.ada().end_share(&repository("lib/secret"), &account("south"));

    // Accounts, users and keys.
    create_account, Refused("AccountTaken"),
        |stage| stage.olga().create_account(NewAccount { name: account("west") });
    found_account, Refused("AccountTaken"),
        |stage| stage.olga().found_account(NewAccount { name: account("west") }, founder(stage));
    create_agency, Refused("AgencyExists"), |stage| stage.ada().create_agency();
    create_user, Refused("UserTaken"), |stage| stage.ada().create_user(new_user(&stage.scene, "eve"));
    set_password, Nothing,
        |stage| stage.bob().set_password(&stage.scene.bob.id, Some(PasswordHash::new("another")));
    set_role, Nothing, |stage| stage.ada().set_role(&stage.scene.bob.id, Role::Administrator);
    remove_user, Refused("UserUnknown"), |stage| stage.ada().remove_user(&stage.scene.bob.id);
    add_access_key, Refused("Busy"),
        |stage| stage.bob().add_access_key(access_key(&stage.scene, "NEW", &stage.scene.bob));
    remove_access_key, Refused("KeyUnknown"),
        |stage| stage.bob().remove_access_key(&stage.scene.bob.id, &stage.key.0);
    add_temporary_key, Refused("Busy"),
        |stage| stage.bob().add_temporary_key(temporary_key(&stage.scene, "NEWTEMPORARY", Some(&stage.key.0)));
    make_access_key, OnceMore,
        |stage| stage.scene.keys.access_key(&stage.bob(), &stage.scene.bob.id, "made by the desk");
    add_token_key, OnceMore, |stage| stage.olga().add_token_key(token_key(&stage.scene, "NEWTOKEN"));
    remove_token_key, Refused("KeyUnknown"), |stage| stage.olga().remove_token_key(&key_id("OLDTOKEN"));

    // Sessions.
    sign_in_with_key, Nothing, |stage| stage.sessions.sign_in_with_key(&stage.key.0, &stage.key.1);
    resume, Nothing, |stage| stage.sessions.resume(&stage.session.token);
    resume_what_has_ended, Nothing, |stage| stage.sessions.resume(&stage.ended.token);
    sign_out, Nothing, |stage| stage.sessions.end(&stage.session.token);
    trim_sessions, Nothing, |stage| stage.sessions.trim(many());

    // What runs for a repository.
    create_rule, Refused("RuleTaken"), |stage| stage.ada().create_rule(&repository("lib/open"), &newest(3));
    change_rule, Nothing,
        |stage| stage.ada().change_rule(&repository("lib/secret"), stage.rule, |_| newest(5));
    remove_rule, Refused("RuleUnknown"), |stage| stage.ada().remove_rule(&repository("lib/secret"), stage.rule);
    create_trigger, Refused("TriggerTaken"),
        |stage| stage.ada().create_trigger(&repository("lib/secret"), &other_hook(), every(), target());
    enable_trigger, Nothing, |stage| stage.ada().enable_trigger(&repository("lib/secret"), &hook(), false);
    remove_trigger, Refused("TriggerUnknown"),
        |stage| stage.ada().remove_trigger(&repository("lib/secret"), &hook());
    revive_delivery, Refused("DeliveryUnknown"),
        |stage| stage.ada().revive_delivery(&repository("lib/secret"), &hook(), &stage.dead);
    put_sync, Nothing, |stage| stage.ada().put_sync(&repository("lib/secret"), &there("other"), true, true);
    remove_sync, Refused("SyncUnknown"),
        |stage| stage.ada().remove_sync(&repository("lib/secret"), &there("step"));
    sync_versions, OnceMore, |stage| stage.ada().sync_versions(
        &repository("lib/secret"),
        &there("step"),
        &[tag("v1"), tag("nowhere"), tag("v2")],
        true,
    );

    // The trail and what is counted.
    record_packages, OnceMore, |stage| stage.ada().record_packages(
        &organisation("lib"),
        [("app:v1".into(), Outcome::done(Traced::UploadImagePackage))],
    );
    note_usage, Nothing, |stage| stage.scene.control.note_usage();
    trim_usage, Nothing, |stage| stage.scene.control.trim_usage(1);
    trim_history, Nothing, |stage| stage.scene.control.trim_history(TimeDelta::hours(1));
    trim_temporary_keys, Nothing,
        |stage| stage.scene.metadata.trim_temporary_keys(stage.scene.control.now(), many());
};

fn public() -> Attributes {
    Attributes { visibility: Visibility::Public, description: "told".into(), ..Attributes::default() }
}

fn every() -> TriggerRule {
    TriggerRule { condition: TriggerCondition::All, enabled: true }
}

fn other_hook() -> TriggerName {
    TriggerName::parse("other").unwrap()
}

fn founder(stage: &Stage) -> Founder {
    let key = access_key(&stage.scene, "FOUNDER", &stage.guy);
    Founder {
        name: UserName::parse("ann").unwrap(),
        role: Role::Administrator,
        password: None,
        key: swr_core::control::credential::AccessKey { user: UserId::random(), ..key },
    }
}
