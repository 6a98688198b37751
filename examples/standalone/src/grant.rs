//! `swr grant`: what users may do in an organisation or a repository.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use swr_core::control::grant::GrantLevel;
use swr_core::{OrganisationName, RepositoryName};

use crate::administration::Owner;
use crate::management::{
    LEVELS, Management, Manager, ORGANISATIONS, Repository, level, listed, not_understood,
};
use crate::output::text;

/// Looks after grants: what users may do in an organisation or a repository.
#[derive(Args, Debug)]
pub(crate) struct GrantCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Grants a level to a user, in place of the one before
    Set {
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        user: Owner,
        /// read pulls, edit pushes, manage deletes, grants, shares and sets rules
        #[arg(value_name = "LEVEL", value_parser = granted)]
        level: GrantLevel,
        #[command(flatten)]
        manager: Manager,
    },
    /// Lists the grants, that of whoever asks first
    List {
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        manager: Manager,
    },
    /// Takes a user's grant away
    Remove {
        #[command(flatten)]
        scope: Scope,
        #[command(flatten)]
        user: Owner,
        #[command(flatten)]
        manager: Manager,
    },
}

/// What is granted on.
#[derive(Args, Debug)]
struct Scope {
    /// The organisation, or a repository in it
    #[arg(value_name = "ORG[/REPO]", value_parser = on)]
    on: On,
}

#[derive(Clone, Debug)]
struct On {
    path: String,
}

fn on(text: &str) -> Result<On, String> {
    let path = match text.contains('/') {
        true => {
            let name = RepositoryName::parse(text).map_err(|error| error.to_string())?;
            Repository { name }.path()
        }
        false => {
            let name = OrganisationName::parse(text).map_err(|error| error.to_string())?;
            format!("{ORGANISATIONS}/{name}")
        }
    };
    Ok(On { path: format!("{path}/access") })
}

fn granted(text: &str) -> Result<GrantLevel, String> {
    let found = LEVELS.into_iter().find(|(_, name)| *name == text);
    found.map(|(level, _)| level).ok_or_else(|| "it is `read`, `edit` or `manage`".to_owned())
}

impl GrantCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::Set { scope, user, level, manager } => {
                let registry = manager.open().await?;
                let id = id(&*registry, &user).await?;
                let has_one = grants(&*registry, &scope).await?.iter().any(|grant| grant["user_id"] == id);
                let method = if has_one { Method::PATCH } else { Method::POST };
                let grant = json!({ "user_id": id, "user_name": user.user.as_str(), "auth": level.value() });
                registry.done(method, &scope.on.path, Some(json!([grant]))).await
            }
            Task::List { scope, manager } => {
                manager.list(grants(&*manager.open().await?, &scope).await?, shown)
            }
            Task::Remove { scope, user, manager } => {
                let registry = manager.open().await?;
                let id = id(&*registry, &user).await?;
                registry.done(Method::DELETE, &scope.on.path, Some(json!([id]))).await
            }
        }
    }
}

/// The id of the user, which alone says to the protocol who is meant.
async fn id(registry: &dyn Management, user: &Owner) -> Result<Value, String> {
    let path = format!("/admin/v1/accounts/{}/users/{}", user.account, user.user);
    Ok(registry.get(&path, "").await?["id"].take())
}

async fn grants(registry: &dyn Management, scope: &Scope) -> Result<Vec<Value>, String> {
    let mut answer = registry.get(&scope.on.path, "").await?;
    let own = Some(answer["self_auth"].take()).filter(|grant| !grant.is_null());
    let others = listed(answer, "others_auths").ok_or_else(|| not_understood(&scope.on.path))?;
    Ok(own.into_iter().chain(others).collect())
}

fn shown(grant: &Value) -> Vec<(&'static str, String)> {
    vec![
        ("user", text(&grant["user_name"])),
        ("id", text(&grant["user_id"])),
        ("level", level(&grant["auth"])),
    ]
}
