//! `swr repository`: what versions are in.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use swr_core::OrganisationName;

use crate::management::{Manager, Repository, listed, not_understood};
use crate::output::{text, yes_or_no};

/// Looks after repositories, which versions are in.
#[derive(Args, Debug)]
pub(crate) struct RepositoryCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Adds an empty repository; a push does as well
    Create {
        #[command(flatten)]
        repository: Repository,
        /// Everybody may pull from it
        #[arg(long)]
        public: bool,
        #[command(flatten)]
        manager: Manager,
    },
    /// Lists the repositories of the account of whoever does it
    List {
        /// Those of this organisation alone
        #[arg(long, value_name = "NAME", value_parser = OrganisationName::parse)]
        organisation: Option<OrganisationName>,
        #[command(flatten)]
        manager: Manager,
    },
    /// Shows a repository
    Show {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        manager: Manager,
    },
    /// Removes a repository with its versions, rules and grants
    Remove {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        manager: Manager,
    },
}

impl RepositoryCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::Create { repository, public, manager } => {
                let new = json!({ "repository": repository.within(), "is_public": public });
                manager.open().await?.done(Method::POST, &repository.siblings(), Some(new)).await
            }
            Task::List { organisation, manager } => {
                manager.list(repositories(&manager, organisation.as_ref()).await?, in_list)
            }
            Task::Show { repository, manager } => {
                let found = manager.open().await?.get(&repository.path(), "").await?;
                manager.show(found, shown)
            }
            Task::Remove { repository, manager } => {
                manager.open().await?.done(Method::DELETE, &repository.path(), None).await
            }
        }
    }
}

/// Where the protocol has the repositories of an account, page by page.
const PAGES: &str = "/v3/manage/repos";

/// All of them, of one organisation where it is named.
async fn repositories(
    manager: &Manager,
    organisation: Option<&OrganisationName>,
) -> Result<Vec<Value>, String> {
    let registry = manager.open().await?;
    // The protocol takes a part of a name for the whole.
    let like = organisation.map(|name| format!("&namespace={name}")).unwrap_or_default();
    let is_meant = |repository: &Value| {
        organisation.is_none_or(|name| repository["namespace_name"].as_str() == Some(name.as_str()))
    };
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let answer = registry.get(PAGES, &format!("limit=1000{like}{marker}")).await?;
        let next = answer["nextMarker"].as_i64();
        let page = listed(answer, "repos").ok_or_else(|| not_understood(PAGES))?;
        found.extend(page.into_iter().filter(is_meant));
        let Some(next) = next else { return Ok(found) };
        marker = format!("&marker={next}");
    }
}

fn in_list(repository: &Value) -> Vec<(&'static str, String)> {
    let part = |name: &str| text(&repository[name]);
    vec![
        ("repository", format!("{}/{}", part("namespace_name"), part("name"))),
        ("public", yes_or_no(repository["is_public"] == true)),
        ("tags", part("num_images")),
        ("bytes", part("size")),
        ("pulls", part("num_download")),
        ("updated", part("updated_at")),
    ]
}

fn shown(repository: &Value) -> Vec<(&'static str, String)> {
    let part = |name: &str| text(&repository[name]);
    vec![
        ("path", part("path")),
        ("public", yes_or_no(repository["is_public"] == true)),
        ("category", part("category")),
        ("description", part("description")),
        ("tags", part("num_images")),
        ("bytes", part("size")),
        ("pulls", part("num_download")),
        ("creator", part("creator_name")),
        ("created", part("created")),
        ("updated", part("updated")),
    ]
}
