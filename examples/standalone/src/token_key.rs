//! `swr token-key`: the keys that tokens are signed with.

use clap::{Args, Subcommand};
use swr_core::control::credential::KeyId;

use crate::administration::Place;
use crate::output;

/// Looks after the keys that tokens are signed with.
#[derive(Args, Debug)]
pub(crate) struct TokenKeyCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Lists the keys
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Signs tokens with a new key from now on; the others verify until they are removed
    Rotate {
        #[command(flatten)]
        place: Place,
    },
    /// Removes a key: the tokens that it has signed are worth nothing from the next request on
    Remove {
        /// The id of the key
        #[arg(value_name = "ID", value_parser = KeyId::parse)]
        key: KeyId,
        #[command(flatten)]
        place: Place,
    },
}

impl TokenKeyCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::List { place } => output::many(place.format, &place.open().await?.token_keys().await?),
            Task::Rotate { place } => {
                output::one(place.format, &place.open().await?.rotate_token_key().await?)
            }
            Task::Remove { key, place } => place.open().await?.remove_token_key(&key).await,
        }
    }
}
