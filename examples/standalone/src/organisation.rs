//! `swr organisation`: what repositories are in.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use swr_core::OrganisationName;

use crate::management::{Manager, ORGANISATIONS, level};
use crate::output::text;

/// Looks after organisations, which repositories are in.
#[derive(Args, Debug)]
pub(crate) struct OrganisationCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Adds an organisation to the account of whoever does it
    Create {
        #[command(flatten)]
        organisation: Organisation,
        #[command(flatten)]
        manager: Manager,
    },
    /// Lists the organisations of the account of whoever does it
    List {
        #[command(flatten)]
        manager: Manager,
    },
    /// Removes an organisation without repositories, and the grants on it
    Remove {
        #[command(flatten)]
        organisation: Organisation,
        #[command(flatten)]
        manager: Manager,
    },
}

#[derive(Args, Debug)]
struct Organisation {
    /// What it is called
    #[arg(value_name = "NAME", value_parser = OrganisationName::parse)]
    name: OrganisationName,
}

impl OrganisationCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::Create { organisation, manager } => {
                let new = json!({ "namespace": organisation.name.as_str() });
                manager.open().await?.done(Method::POST, ORGANISATIONS, Some(new)).await
            }
            Task::List { manager } => {
                manager.list(manager.open().await?.list(ORGANISATIONS, "", "namespaces").await?, shown)
            }
            Task::Remove { organisation, manager } => {
                let path = format!("{ORGANISATIONS}/{}", organisation.name);
                manager.open().await?.done(Method::DELETE, &path, None).await
            }
        }
    }
}

fn shown(organisation: &Value) -> Vec<(&'static str, String)> {
    vec![
        ("organisation", text(&organisation["name"])),
        ("creator", text(&organisation["creator_name"])),
        ("level", level(&organisation["auth"])),
    ]
}
