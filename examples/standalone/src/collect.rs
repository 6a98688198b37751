//! `swr collect`: removes what nothing refers to, in the data directory of a server that is stopped.

use clap::Args;
use serde::Serialize;
use swr_core::caller::Task;

use crate::data_directory::{DataDirectory, Here, Served};
use crate::output::{self, Format, Shown};
use crate::stores::{self, chain};

/// Removes what nothing refers to any more, as the server does while it runs.
#[derive(Args, Debug)]
pub(crate) struct Collect {
    #[command(flatten)]
    here: Here,
    /// How it is printed what was removed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What was removed.
#[derive(Default, Serialize)]
struct Collected {
    manifests: u64,
    links: u64,
    repositories: u64,
    blobs: u64,
    /// Blobs whose bytes could not be removed.
    undeletable: u64,
    uploads: u64,
}

impl Shown for Collected {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("manifests", self.manifests.to_string()),
            ("links", self.links.to_string()),
            ("repositories", self.repositories.to_string()),
            ("blobs", self.blobs.to_string()),
            ("undeletable", self.undeletable.to_string()),
            ("uploads", self.uploads.to_string()),
        ]
    }
}

impl Collect {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let registry = match DataDirectory::open_any(self.here.config()?).await? {
            Served::WithAccounts(directory) => directory.with_bytes().await?.plane().registry().clone(),
            Served::Open(config, facts) => stores::open_registry(&config, &facts).await?,
        };
        let failed = |error: swr_core::ports::StoreError| chain(&error);
        let mut collected = Collected::default();
        while let Some(round) = registry.caretaker(Task::Collection).collect().await.map_err(failed)? {
            collected.manifests += round.released.manifests;
            collected.links += round.released.links;
            collected.repositories += round.released.repositories;
            collected.blobs += round.deleted;
            collected.undeletable = round.undeletable;
            if !round.more {
                break;
            }
        }
        if let Some(swept) = registry.caretaker(Task::UploadSweep).sweep_uploads().await.map_err(failed)? {
            collected.uploads = swept.abandoned + swept.forgotten;
        }
        output::one(self.format, &collected)
    }
}
