//! `swr account`: the tenants of the deployment.

use clap::{Args, Subcommand};
use swr_core::control::identity::AccountName;

use crate::administration::Place;
use crate::output;

/// Looks after accounts: tenants that own users and organisations.
#[derive(Args, Debug)]
pub(crate) struct AccountCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Adds an account
    Create {
        /// What it is called
        #[arg(value_name = "NAME", value_parser = AccountName::parse)]
        name: AccountName,
        #[command(flatten)]
        place: Place,
    },
    /// Lists the accounts
    List {
        #[command(flatten)]
        place: Place,
    },
}

impl AccountCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        match self.task {
            Task::Create { name, place } => {
                output::one(place.format, &place.open().await?.create_account(&name).await?)
            }
            Task::List { place } => output::many(place.format, &place.open().await?.accounts().await?),
        }
    }
}
