//! `swr share`: the accounts that may pull from a private repository.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use swr_core::control::identity::AccountName;

use crate::management::{Manager, Repository};
use crate::output::{text, yes_or_no};

/// Looks after shares: the accounts whose users may pull from a private repository.
#[derive(Args, Debug)]
pub(crate) struct ShareCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Shares a repository with an account
    Create {
        #[command(flatten)]
        share: Share,
        /// A time of the last day of it, such as 2030-12-31T00:00:00Z
        #[arg(long, value_name = "TIME", default_value = "forever")]
        until: String,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        #[command(flatten)]
        manager: Manager,
    },
    /// Lists the accounts that a repository is shared with
    List {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        manager: Manager,
    },
    /// Shares a repository with an account no more
    Remove {
        #[command(flatten)]
        share: Share,
        #[command(flatten)]
        manager: Manager,
    },
}

#[derive(Args, Debug)]
struct Share {
    #[command(flatten)]
    repository: Repository,
    /// The account that it is shared with
    #[arg(value_name = "ACCOUNT", value_parser = AccountName::parse)]
    account: AccountName,
}

impl ShareCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::Create { share, until, description, manager } => {
                let new = json!({
                    "access_domain": share.account.as_str(),
                    "permit": "read",
                    "deadline": until,
                    "description": description,
                });
                manager.open().await?.done(Method::POST, &shares_path(&share.repository), Some(new)).await
            }
            Task::List { repository, manager } => {
                manager.list(manager.open().await?.list(&shares_path(&repository), "", "").await?, shown)
            }
            Task::Remove { share, manager } => {
                let path = format!("{}/{}", shares_path(&share.repository), share.account);
                manager.open().await?.done(Method::DELETE, &path, None).await
            }
        }
    }
}

fn shares_path(repository: &Repository) -> String {
    format!("{}/access-domains", repository.path_among("repositories"))
}

fn shown(share: &Value) -> Vec<(&'static str, String)> {
    let part = |name: &str| text(&share[name]);
    vec![
        ("account", part("access_domain")),
        ("lasts", yes_or_no(share["status"] == true)),
        ("until", part("deadline")),
        ("creator", part("creator_name")),
        ("description", part("description")),
    ]
}
