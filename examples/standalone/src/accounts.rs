//! Accounts: made by `swr init`, and from then on everybody has to be somebody.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use serde::Serialize;
use swr_auth::{
    ControlAuthenticator, DeskSettings, GrantAuthorizer, KeyDesk, NewPassword, Secret, Strangers, TokenDesk,
    Vault,
};
use swr_core::caller::{Channel, Origin};
use swr_core::control::identity::{AccountName, Role, UserName};
use swr_core::control::{ControlError, ControlLimits, ControlPlane, Courier, NewAccount, NewUser};
use swr_core::ports::{Authorizer, Clock, ControlAuthorizer, MetadataStore, Page, SystemClock};
use swr_core::registry::Registry;
use swr_http::actions::webhook::Opener;
use swr_http::control::{ManagementOptions, ManagementService, Refusals};
use swr_http::token::{TokenOptions, TokenService};

use crate::config::{Config, FactsStore};
use crate::door::Control;
use crate::messages;
use crate::stores::{self, in_one_line};

/// Whoever there is, and how they are told apart.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    pub(crate) authenticator: Arc<ControlAuthenticator>,
    pub(crate) authorizer: Arc<GrantAuthorizer>,
    settings: DeskSettings,
    metadata: Arc<dyn MetadataStore>,
    vault: Arc<Vault>,
}

impl Accounts {
    /// The accounts that the store keeps; `None` while it keeps none.
    pub(crate) async fn find(
        config: &Config,
        metadata: Arc<dyn MetadataStore>,
    ) -> Result<Option<Self>, String> {
        let page = Page { after: None, limit: NonZeroU32::MIN };
        let known = metadata.accounts(&page).await.map_err(|error| in_one_line("storage.facts", &error))?;
        match known.is_empty() {
            true => Ok(None),
            false => Self::with(config, metadata, Arc::new(kept_vault(config)?)).map(Some),
        }
    }

    fn with(config: &Config, metadata: Arc<dyn MetadataStore>, vault: Arc<Vault>) -> Result<Self, String> {
        let settings = settings(config)?;
        let strangers = match config.accounts.anonymous_pulls {
            true => Strangers::PullPublic,
            false => Strangers::Nothing,
        };
        let authorizer = GrantAuthorizer::new(Arc::clone(&metadata), clock()).with_strangers(strangers);
        let authenticator =
            ControlAuthenticator::new(Arc::clone(&metadata), Arc::clone(&vault), settings.clone(), clock());
        Ok(Self {
            authenticator: Arc::new(authenticator),
            authorizer: Arc::new(authorizer),
            settings,
            metadata,
            vault,
        })
    }

    fn plane(&self, config: &Config, registry: &Registry) -> ControlPlane {
        let limits = ControlLimits {
            organisations_per_user: config.accounts.organisations_per_user,
            organisations_per_account: config.accounts.organisations_per_account,
            regions: config.accounts.regions.iter().map(|region| region.as_str().into()).collect(),
            ..ControlLimits::default()
        };
        let authorizer: Arc<dyn ControlAuthorizer> = Arc::clone(&self.authorizer) as _;
        ControlPlane::with(registry.clone(), Arc::clone(&self.metadata), authorizer, clock(), limits)
    }

    /// Whoever does what triggers say.
    pub(crate) fn courier(&self, config: &Config, plane: &ControlPlane) -> Result<Courier, String> {
        let desk = self.desk();
        let opener: Arc<Opener> =
            Arc::new(move |trigger, sealed| desk.open_trigger(trigger, sealed).map_err(Into::into));
        let actions = messages::actions(config, self.settings.host(), opener)?;
        Ok(Courier::new(plane.clone(), Arc::new(actions)))
    }

    fn desk(&self) -> KeyDesk {
        KeyDesk::new(Arc::clone(&self.vault), self.settings.clone(), clock())
    }

    /// What is served beside the registry.
    pub(crate) fn control(
        &self,
        config: &Config,
        registry: &Registry,
        options: impl FnOnce(ManagementOptions) -> ManagementOptions,
    ) -> (Control, ControlPlane) {
        let plane = self.plane(config, registry);
        let options = options(ManagementOptions::new(self.settings.clone()));
        let tokens = TokenOptions {
            patience: options.patience,
            answer_within: options.answer_within,
            observer: options.observer.clone(),
            ..TokenOptions::new(self.settings.clone())
        };
        let authorizer: Arc<dyn Authorizer> = Arc::clone(&self.authorizer) as _;
        let token_desk = TokenDesk::new(Arc::clone(&self.authenticator), authorizer);
        let management = ManagementService::new(
            plane.clone(),
            Arc::clone(&self.authenticator),
            Arc::new(self.desk()),
            options,
        );
        (Control { management, tokens: TokenService::new(Arc::new(token_desk), tokens) }, plane)
    }
}

impl Control {
    pub(crate) fn refusals(&self) -> &Refusals {
        self.management.refusals()
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn settings(config: &Config) -> Result<DeskSettings, String> {
    let url = config.public_url();
    let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
    let delta = |span: std::time::Duration| TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    let settings = DeskSettings::new(&config.accounts.region, host, &format!("{url}/token"))
        .map_err(|error| format!("accounts: {error}"))?;
    settings
        .with_login_life(delta(config.accounts.login_life.0))
        .map_err(|error| format!("accounts.login_life: {error}"))?
        .with_token_life(delta(config.accounts.token_life.0))
        .map_err(|error| format!("accounts.token_life: {error}"))
}

// The master key.

fn master_key_file(config: &Config) -> PathBuf {
    config.accounts.master_key_file.clone().unwrap_or_else(|| config.data.join("master.key"))
}

/// The vault whose master key the host keeps.
fn kept_vault(config: &Config) -> Result<Vault, String> {
    if let Some(key) = &config.accounts.master_key {
        return Vault::read(key.expose().as_bytes()).map_err(|error| format!("accounts.master_key: {error}"));
    }
    let file = master_key_file(config);
    let key = fs::read(&file).map_err(|error| {
        format!(
            "accounts.master_key_file: {}: {error}; without it nobody who is known can be recognised",
            file.display()
        )
    })?;
    Vault::read(&key).map_err(|error| format!("accounts.master_key_file: {}: {error}", file.display()))
}

/// The vault of the key that is there, or of a new one, which is on the disk before anything is sealed with it.
fn first_vault(config: &Config) -> Result<Vault, String> {
    let file = master_key_file(config);
    if config.accounts.master_key.is_some() || file.exists() {
        return kept_vault(config);
    }
    let (vault, key) = Vault::generate();
    let write = || -> io::Result<()> {
        let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        made.write_all(key.expose().as_bytes())?;
        made.write_all(b"\n")?;
        made.sync_all()?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or_else(|| ".".as_ref()))?.sync_all()
    };
    write().map_err(|error| format!("accounts.master_key_file: {}: {error}", file.display()))?;
    Ok(vault)
}

// `swr init`.

/// Gives the registry accounts: an account, and its first administrator with a password and an access key, which are
/// shown once. The server is not running meanwhile.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The data directory [default: swr-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A configuration file in TOML; also named by SWR_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the account is called
    #[arg(long, value_name = "NAME", default_value = "default")]
    account: String,
    /// What its administrator is called
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    /// How the credentials are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
}

/// What is shown once.
#[derive(Debug, Serialize)]
struct Credentials {
    account: String,
    account_id: String,
    user: String,
    user_id: String,
    password: String,
    access_key_id: String,
    secret_access_key: String,
    project: String,
    project_id: String,
    login: String,
}

impl Init {
    /// Makes them. The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let flags = [("data", self.data.as_ref().map(|data| data.to_string_lossy().into_owned()))];
        let config = Config::from_command_line(self.config.clone(), flags)?;
        if config.storage.facts != FactsStore::Sqlite {
            return Err("storage.facts: what is kept in memory has no accounts after the end".into());
        }
        let name = |error: &dyn std::error::Error| error.to_string();
        let account = AccountName::parse(&self.account).map_err(|error| name(&error))?;
        let user = UserName::parse(&self.user).map_err(|error| name(&error))?;

        let store = stores::sqlite(&config).await?;
        let metadata: Arc<dyn MetadataStore> = store;
        let page = Page { after: None, limit: NonZeroU32::MIN };
        let known = metadata.accounts(&page).await.map_err(|error| in_one_line("storage.facts", &error))?;
        if let Some(known) = known.first() {
            return Err(format!("there are accounts already, `{}` among them", known.name));
        }
        let accounts = Accounts::with(&config, Arc::clone(&metadata), Arc::new(first_vault(&config)?))?;
        let registry = stores::without_bytes(Arc::clone(&metadata), Arc::clone(&accounts.authorizer) as _);
        let plane = accounts.plane(&config, &registry);
        let made = accounts.first_administrator(&plane, account, user).await;
        let credentials = made.map_err(|error| in_one_line("init", &error))?;
        let mut out = io::stdout();
        let printed = match self.format {
            Format::Json => serde_json::to_writer_pretty(&mut out, &credentials)
                .map_err(io::Error::other)
                .and_then(|()| writeln!(out)),
            Format::Text => credentials.print(&mut out),
        };
        printed.map_err(|error| format!("standard output: {error}"))
    }
}

impl Accounts {
    async fn first_administrator(
        &self,
        plane: &ControlPlane,
        account: AccountName,
        user: UserName,
    ) -> Result<Credentials, ControlError> {
        let origin = Origin { channel: Channel::System, ..Origin::default() };
        let administration = plane.administration(origin);
        let account = administration.create_account(NewAccount { name: account }).await?;
        let password = NewPassword::random();
        let hash = password.hash().map_err(ControlError::Store)?;
        let new =
            NewUser { account: account.id.clone(), name: user, role: Role::Operator, password: Some(hash) };
        let user = administration.create_user(new).await?;
        let desk = self.desk();
        let made = desk.access_key(&administration, &user.id, "made by swr init").await?;
        let login = desk.long_term_login(&made.key.id, &made.secret);
        let shown = |secret: &Secret| secret.expose().to_owned();
        Ok(Credentials {
            account: account.name.to_string(),
            account_id: account.id.to_string(),
            user: user.name.to_string(),
            user_id: user.id.to_string(),
            password: shown(password.secret()),
            access_key_id: made.key.id.to_string(),
            secret_access_key: shown(&made.secret),
            project: self.settings.project().to_owned(),
            project_id: account.project.to_string(),
            login: login.command(self.settings.host()),
        })
    }
}

impl Credentials {
    fn print(&self, out: &mut impl io::Write) -> io::Result<()> {
        writeln!(out, "This is shown once. Keep it.")?;
        writeln!(out)?;
        for (what, text) in [
            ("account", &self.account),
            ("user", &self.user),
            ("password", &self.password),
            ("access key id", &self.access_key_id),
            ("secret access key", &self.secret_access_key),
            ("region project", &self.project),
            ("project id", &self.project_id),
        ] {
            writeln!(out, "{what:>18}  {text}")?;
        }
        writeln!(out)?;
        writeln!(out, "{}", self.login)
    }
}
