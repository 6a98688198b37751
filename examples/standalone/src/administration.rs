//! Accounts, users and keys, wherever they are looked after.

use async_trait::async_trait;
use clap::Args;
use swr_auth::NewPassword;
use swr_core::control::credential::KeyId;
use swr_core::control::identity::{AccountName, Role, UserName};
use swr_http::control::administration::{AccessKey, Account, NewAccessKey, TokenKey, User};

use crate::accounts::FIRST_ACCOUNT;
use crate::data_directory::{DataDirectory, Here};
use crate::output::{Format, Shown, yes_or_no};
use crate::server::Server;

/// What administrators do. Every error is one line.
#[async_trait]
pub(crate) trait Administration: Send + Sync {
    async fn create_account(&self, name: &AccountName) -> Result<Account, String>;
    async fn accounts(&self) -> Result<Vec<Account>, String>;

    async fn create_user(
        &self,
        owner: &Owner,
        role: Role,
        password: Option<&NewPassword>,
    ) -> Result<User, String>;
    async fn users(&self, account: &AccountName) -> Result<Vec<User>, String>;
    async fn set_role(&self, owner: &Owner, role: Role) -> Result<(), String>;
    async fn set_password(&self, owner: &Owner, password: Option<&NewPassword>) -> Result<(), String>;
    async fn remove_user(&self, owner: &Owner) -> Result<(), String>;

    async fn create_key(&self, owner: &Owner, description: &str) -> Result<NewAccessKey, String>;
    async fn keys(&self, owner: &Owner) -> Result<Vec<AccessKey>, String>;
    async fn remove_key(&self, owner: &Owner, key: &KeyId) -> Result<(), String>;

    async fn token_keys(&self) -> Result<Vec<TokenKey>, String>;
    async fn rotate_token_key(&self) -> Result<TokenKey, String>;
    async fn remove_token_key(&self, key: &KeyId) -> Result<(), String>;
}

/// A user, by its names.
#[derive(Args, Clone, Debug)]
pub(crate) struct Owner {
    /// What the user is called
    #[arg(value_name = "USER", value_parser = UserName::parse)]
    pub(crate) user: UserName,
    /// The account that the user belongs to
    #[arg(long, value_name = "NAME", default_value = FIRST_ACCOUNT, value_parser = AccountName::parse)]
    pub(crate) account: AccountName,
}

/// Where they are looked after: in the data directory of a server that is stopped, or by a server that runs.
#[derive(Args, Debug)]
pub(crate) struct Place {
    #[command(flatten)]
    pub(crate) here: Here,
    /// A server that runs, asked with the access key in SWR_ACCESS_KEY_ID and SWR_SECRET_ACCESS_KEY
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "config"])]
    pub(crate) server: Option<String>,
    /// How what was asked for is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

impl Place {
    pub(crate) async fn open(&self) -> Result<Box<dyn Administration>, String> {
        match &self.server {
            Some(url) => Ok(Box::new(Server::new(url)?)),
            None => Ok(Box::new(DataDirectory::open(self.here.config()?).await?)),
        }
    }
}

impl Shown for Account {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("account", self.name.clone()),
            ("id", self.id.clone()),
            ("project id", self.project_id.clone()),
            ("created", self.created_at.clone()),
        ]
    }
}

impl Shown for User {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("user", self.name.clone()),
            ("id", self.id.clone()),
            ("role", self.role.clone()),
            ("password", yes_or_no(self.has_password)),
            ("created", self.created_at.clone()),
        ]
    }
}

impl Shown for AccessKey {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("access key id", self.access_key_id.clone()),
            ("created", self.created_at.clone()),
            ("description", self.description.clone()),
        ]
    }
}

impl Shown for NewAccessKey {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("access key id", self.access_key_id.clone()),
            ("secret access key", self.secret_access_key.expose().to_owned()),
            ("description", self.description.clone()),
            ("created", self.created_at.clone()),
        ]
    }

    fn once(&self) -> bool {
        true
    }

    fn login(&self) -> Option<&str> {
        Some(self.login.expose())
    }
}

impl Shown for TokenKey {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("token key", self.id.clone()),
            ("created", self.created_at.clone()),
            ("signs", yes_or_no(self.signs)),
        ]
    }
}
