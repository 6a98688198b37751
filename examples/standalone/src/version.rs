//! `swr version`: what is pushed and pulled.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;
use swr_core::{RepositoryName, Tag};

use crate::management::{Manager, Repository, page};
use crate::output::text;

/// Looks after versions: the tags of repositories.
#[derive(Args, Debug)]
pub(crate) struct VersionCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Lists the versions of a repository
    List {
        #[command(flatten)]
        repository: Repository,
        #[command(flatten)]
        manager: Manager,
    },
    /// Shows a version
    Show {
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        manager: Manager,
    },
    /// Removes versions: their content goes when nothing refers to it any more
    Remove {
        /// The versions: a repository and a tag each
        #[arg(value_name = "ORG/REPO:TAG", value_parser = version, required = true)]
        versions: Vec<(RepositoryName, Tag)>,
        #[command(flatten)]
        manager: Manager,
    },
}

#[derive(Args, Clone, Debug)]
struct Version {
    /// The version: its repository and its tag
    #[arg(value_name = "ORG/REPO:TAG", value_parser = version)]
    version: (RepositoryName, Tag),
}

/// A version, as `ORG/REPO:TAG`.
pub(crate) fn version(text: &str) -> Result<(RepositoryName, Tag), String> {
    let (repository, tag) =
        text.rsplit_once(':').ok_or("it is a repository and a tag with `:` between them")?;
    let repository = Repository::parse(repository)?;
    Ok((repository.name, Tag::parse(tag).map_err(|error| error.to_string())?))
}

/// Where the protocol has a version.
pub(crate) fn path((repository, tag): &(RepositoryName, Tag)) -> String {
    format!("{}/tags/{tag}", Repository { name: repository.clone() }.path())
}

impl VersionCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::List { repository, manager } => {
                let path = format!("{}/tags", repository.path());
                let versions = manager.open().await?.all(Method::GET, &path, "", page, None).await?;
                manager.list(versions, in_list)
            }
            Task::Show { version, manager } => {
                let found = manager.open().await?.get(&path(&version.version), "").await?;
                manager.show(found, shown)
            }
            Task::Remove { versions, manager } => {
                let registry = manager.open().await?;
                for version in &versions {
                    let done = registry.done(Method::DELETE, &path(version), None).await;
                    done.map_err(|error| format!("{}:{}: {error}", version.0, version.1))?;
                }
                Ok(())
            }
        }
    }
}

fn in_list(version: &Value) -> Vec<(&'static str, String)> {
    let part = |name: &str| text(&version[name]);
    vec![
        ("tag", part("Tag")),
        ("bytes", part("size")),
        ("updated", part("updated")),
        ("created", part("created")),
        ("digest", part("digest")),
    ]
}

fn shown(version: &Value) -> Vec<(&'static str, String)> {
    let part = |name: &str| text(&version[name]);
    vec![
        ("path", part("path")),
        ("digest", part("digest")),
        ("bytes", part("size")),
        ("created", part("created")),
        ("updated", part("updated")),
    ]
}
