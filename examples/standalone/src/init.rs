//! `swr init`: accounts before the first start, under names of one's own.

use std::num::NonZeroU32;

use clap::Args;
use swr_core::control::identity::{AccountName, UserName};
use swr_core::ports::Page;

use crate::accounts::{Accounts, FIRST_ACCOUNT, FIRST_USER};
use crate::config::FactsStore;
use crate::data_directory::Here;
use crate::output::{self, Format};
use crate::stores::{Facts, in_one_line};

/// Gives the registry accounts: an account, and its first administrator with a password and an access key, which are
/// shown once. The server is not running meanwhile; it does the same by itself when it starts without accounts.
#[derive(Args, Debug)]
pub(crate) struct Init {
    #[command(flatten)]
    here: Here,
    /// What the account is called
    #[arg(long, value_name = "NAME", default_value = FIRST_ACCOUNT, value_parser = AccountName::parse)]
    account: AccountName,
    /// What its administrator is called
    #[arg(long, value_name = "NAME", default_value = FIRST_USER, value_parser = UserName::parse)]
    user: UserName,
    /// How the credentials are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Init {
    /// Makes them. The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let config = self.here.config()?;
        if config.storage.facts == FactsStore::Memory {
            return Err("storage.facts: what is kept in memory has no accounts after the end".into());
        }
        let metadata = Facts::open(&config).await?.metadata();
        let page = Page { after: None, limit: NonZeroU32::MIN };
        let known = metadata.accounts(&page).await.map_err(|error| in_one_line("storage.facts", &error))?;
        if let Some(known) = known.first() {
            return Err(format!("there are accounts already, `{}` among them", known.name));
        }
        let (_, credentials) = Accounts::found(&config, metadata, self.account, self.user).await?;
        output::one(self.format, &credentials)
    }
}
