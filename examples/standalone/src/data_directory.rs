//! Accounts, users and keys in the data directory of a server that is stopped, past every right; and what is in it, as
//! one of its users may.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use clap::Args;
use http::{Method, Request};
use serde_json::Value;
use swr_auth::{KeyDesk, NewPassword, Signer};
use swr_core::caller::Channel;
use swr_core::control::credential::KeyId;
use swr_core::control::identity::{self, AccountName, Role, UserName};
use swr_core::control::{ControlAccess, ControlError, ControlPlane, NewAccount, NewUser};
use swr_core::ports::{Authorizer, ManifestStore, MetadataStore, Page};
use swr_http::control::administration::{AccessKey, Account, NewAccessKey, TokenKey, TokenKeyList, User};
use swr_http::control::{ManagementOptions, ManagementService};
use tower_service::Service as _;

use crate::accounts::{Accounts, administration};
use crate::administration::{Administration, Owner};
use crate::config::{Config, FactsStore};
use crate::management::{self, ANSWER_BYTES_MAX, Answer, Management};
use crate::stores::{self, Facts, chain};

/// Which data directory.
#[derive(Args, Debug)]
pub(crate) struct Here {
    /// The data directory of a server that is stopped [default: swr-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A configuration file in TOML; also named by SWR_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Here {
    pub(crate) fn config(&self) -> Result<Config, String> {
        let flags = [("data", self.data.as_ref().map(|data| data.to_string_lossy().into_owned()))];
        Config::from_command_line(self.config.clone(), flags)
    }
}

/// A data directory, which nobody else has open, as it is served.
pub(crate) enum Served {
    /// Everybody has to be somebody.
    WithAccounts(Box<DataDirectory>),
    /// Nobody is asked who they are.
    Open(Box<Config>, Facts),
}

/// A data directory that has accounts, which nobody else has open.
pub(crate) struct DataDirectory {
    config: Config,
    facts: Facts,
    metadata: Arc<dyn MetadataStore>,
    accounts: Accounts,
    plane: ControlPlane,
    desk: KeyDesk,
}

fn without_accounts(config: &Config) -> String {
    format!("data: {} has no accounts; `swr init` makes the first", config.data.display())
}

/// How many entries of a list are read at once.
const PAGE: NonZeroU32 = NonZeroU32::new(256).expect("256 is not zero");

impl DataDirectory {
    /// Opens one that has accounts.
    pub(crate) async fn open(config: Config) -> Result<Self, String> {
        match Self::open_any(config).await? {
            Served::WithAccounts(directory) => Ok(*directory),
            Served::Open(config, _) => Err(without_accounts(&config)),
        }
    }

    /// Opens one that a server has run on.
    pub(crate) async fn open_any(config: Config) -> Result<Served, String> {
        if config.storage.facts == FactsStore::Memory {
            return Err(
                "storage.facts: what is kept in memory is out of reach; ask the server with --server".into(),
            );
        }
        if !stores::has_database(&config) {
            return Err(without_accounts(&config));
        }
        let facts = Facts::open(&config).await?;
        let metadata = facts.metadata();
        let Some(accounts) = Accounts::find(&config, Arc::clone(&metadata)).await? else {
            return Ok(Served::Open(config.into(), facts));
        };
        let (plane, desk) = (accounts.plane_without_bytes(&config), accounts.desk());
        Ok(Served::WithAccounts(Box::new(Self { config, facts, metadata, accounts, plane, desk })))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn metadata(&self) -> &Arc<dyn MetadataStore> {
        &self.metadata
    }

    pub(crate) fn accounts_kept(&self) -> &Accounts {
        &self.accounts
    }

    pub(crate) fn desk(&self) -> &KeyDesk {
        &self.desk
    }

    pub(crate) fn access(&self) -> ControlAccess<'_> {
        administration(&self.plane)
    }

    /// The same with its bytes, for those who touch content.
    pub(crate) async fn with_bytes(mut self) -> Result<Self, String> {
        let manifests: Arc<dyn ManifestStore> = Arc::clone(&self.metadata) as _;
        let authorizer: Arc<dyn Authorizer> = Arc::clone(&self.accounts.authorizer) as _;
        let registry = stores::registry(&self.config, &self.facts, &manifests, authorizer).await?;
        self.plane = self.accounts.plane(&self.config, &registry);
        Ok(self)
    }

    pub(crate) fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The management protocol, spoken by this user; by the first operator where none is named.
    pub(crate) async fn managed_by(self, who: Option<&Owner>) -> Result<Managed, String> {
        let signer = self.signer(who).await?;
        let options = ManagementOptions::new(self.accounts.settings().clone());
        let authenticator = Arc::clone(&self.accounts.authenticator);
        let management = ManagementService::new(self.plane, authenticator, Arc::new(self.desk), options);
        Ok(Managed { management, signer })
    }

    /// This user, as the machine vouches for it; the first operator where none is named.
    pub(crate) async fn signer(&self, who: Option<&Owner>) -> Result<Signer, String> {
        let owner = match who {
            Some(owner) => owner.clone(),
            None => self.first_operator().await?,
        };
        let account = self.account(&owner.account).await.map_err(said)?;
        let user = self.user(&owner).await.map_err(said)?;
        Ok(Signer { user, account, key: None })
    }

    async fn first_operator(&self) -> Result<Owner, String> {
        for account in self.accounts().await? {
            let account = AccountName::parse(&account.name).map_err(|error| error.to_string())?;
            let users = self.users(&account).await?;
            if let Some(user) = users.iter().find(|user| user.role == Role::Operator.as_str()) {
                let user = UserName::parse(&user.name).map_err(|error| error.to_string())?;
                return Ok(Owner { account, user });
            }
        }
        Err("no user is an operator; name who does it with --as ACCOUNT/USER".into())
    }

    async fn account(&self, name: &AccountName) -> Result<identity::Account, ControlError> {
        self.access().account_named(name).await
    }

    async fn user(&self, owner: &Owner) -> Result<identity::User, ControlError> {
        let account = self.account(&owner.account).await?;
        self.access().user_named(&account.id, &owner.user).await
    }
}

#[async_trait]
impl Administration for DataDirectory {
    async fn create_account(&self, name: &AccountName) -> Result<Account, String> {
        let made = self.access().create_account(NewAccount { name: name.clone() }).await;
        made.map(|account| Account::from(&account)).map_err(said)
    }

    async fn accounts(&self) -> Result<Vec<Account>, String> {
        let mut page: Page<AccountName> = Page { after: None, limit: PAGE };
        let mut accounts = Vec::new();
        loop {
            let listed = self.access().accounts(&page).await.map_err(said)?;
            accounts.extend(listed.iter().map(Account::from));
            let Some(last) = listed.last() else { return Ok(accounts) };
            page.after = Some(last.name.clone());
        }
    }

    async fn create_user(
        &self,
        owner: &Owner,
        role: Role,
        password: Option<&NewPassword>,
    ) -> Result<User, String> {
        let account = self.account(&owner.account).await.map_err(said)?.id;
        let password = password.map(NewPassword::hash).transpose().map_err(|error| said(error.into()))?;
        let new = NewUser { account, name: owner.user.clone(), role, password };
        self.access().create_user(new).await.map(|user| User::from(&user)).map_err(said)
    }

    async fn users(&self, account: &AccountName) -> Result<Vec<User>, String> {
        let account = self.account(account).await.map_err(said)?.id;
        let mut page: Page<UserName> = Page { after: None, limit: PAGE };
        let mut users = Vec::new();
        loop {
            let listed = self.access().users(&account, &page).await.map_err(said)?;
            users.extend(listed.iter().map(User::from));
            let Some(last) = listed.last() else { return Ok(users) };
            page.after = Some(last.name.clone());
        }
    }

    async fn set_role(&self, owner: &Owner, role: Role) -> Result<(), String> {
        let user = self.user(owner).await.map_err(said)?;
        self.access().set_role(&user.id, role).await.map_err(said)
    }

    async fn set_password(&self, owner: &Owner, password: Option<&NewPassword>) -> Result<(), String> {
        let user = self.user(owner).await.map_err(said)?;
        let password = password.map(NewPassword::hash).transpose().map_err(|error| said(error.into()))?;
        self.access().set_password(&user.id, password).await.map_err(said)
    }

    async fn remove_user(&self, owner: &Owner) -> Result<(), String> {
        let user = self.user(owner).await.map_err(said)?;
        self.access().remove_user(&user.id).await.map_err(said)
    }

    async fn create_key(&self, owner: &Owner, description: &str) -> Result<NewAccessKey, String> {
        let user = self.user(owner).await.map_err(said)?;
        let made = self.desk.access_key(&self.access(), &user.id, description).await.map_err(said)?;
        let login = self.desk.long_term_login(&made.key.id, &made.secret);
        Ok(NewAccessKey::new(made, &login, self.accounts.settings().host()))
    }

    async fn keys(&self, owner: &Owner) -> Result<Vec<AccessKey>, String> {
        let user = self.user(owner).await.map_err(said)?;
        let keys = self.access().access_keys(&user.id).await.map_err(said)?;
        Ok(keys.iter().map(AccessKey::from).collect())
    }

    async fn remove_key(&self, owner: &Owner, key: &KeyId) -> Result<(), String> {
        let user = self.user(owner).await.map_err(said)?;
        self.access().remove_access_key(&user.id, key).await.map_err(said)
    }

    async fn token_keys(&self) -> Result<Vec<TokenKey>, String> {
        let keys = self.access().token_keys().await.map_err(said)?;
        Ok(TokenKeyList::new(&keys).token_keys)
    }

    async fn rotate_token_key(&self) -> Result<TokenKey, String> {
        let key = self.desk.token_key();
        self.access().add_token_key(key.clone()).await.map_err(said)?;
        Ok(TokenKey::signing(&key))
    }

    async fn remove_token_key(&self, key: &KeyId) -> Result<(), String> {
        self.access().remove_token_key(key).await.map_err(said)
    }
}

/// A data directory, and the user who does something in it.
pub(crate) struct Managed {
    management: ManagementService,
    signer: Signer,
}

#[async_trait]
impl Management for Managed {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<Value>,
    ) -> Result<Answer, String> {
        let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let body = Body::from(body.map(|body| body.to_string()).unwrap_or_default());
        let request = Request::builder().method(method).uri(uri);
        let request = request.extension(self.signer.clone()).extension(Channel::System).body(body);
        let request = request.map_err(|error| error.to_string())?;
        let Ok(response) = self.management.clone().call(request).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await.map_err(|error| chain(&error))?;
        management::answered(head.status, Answer { headers: head.headers, body: body.into() })
            .unwrap_or_else(|| Err(format!("{} is answered to {path}", head.status)))
    }
}

/// An error as it is printed.
pub(crate) fn said(error: ControlError) -> String {
    chain(&error)
}
