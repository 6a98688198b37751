//! `swr key`: the access keys of a user.

use clap::{Args, Subcommand};
use swr_core::control::credential::KeyId;

use crate::administration::{Owner, Place};
use crate::output;

/// Looks after the access keys of a user.
#[derive(Args, Debug)]
pub(crate) struct KeyCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Gives a user an access key; its secret is shown once
    Create {
        #[command(flatten)]
        owner: Owner,
        /// What the key is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        #[command(flatten)]
        place: Place,
    },
    /// Lists the access keys of a user
    List {
        #[command(flatten)]
        owner: Owner,
        #[command(flatten)]
        place: Place,
    },
    /// Deletes an access key: it is worth nothing from the next request on
    Remove {
        #[command(flatten)]
        owner: Owner,
        /// The id of the key
        #[arg(value_name = "ACCESS_KEY_ID", value_parser = KeyId::parse)]
        key: KeyId,
        #[command(flatten)]
        place: Place,
    },
}

impl KeyCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::Create { owner, description, place } => {
                output::one(place.format, &place.open().await?.create_key(&owner, &description).await?)
            }
            Task::List { owner, place } => {
                output::many(place.format, &place.open().await?.keys(&owner).await?)
            }
            Task::Remove { owner, key, place } => place.open().await?.remove_key(&owner, &key).await,
        }
    }
}
