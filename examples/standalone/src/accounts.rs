//! Accounts: whoever there is, and how they are told apart. Everybody has to be somebody, unless the registry is open.

use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::TimeDelta;
use swr_auth::key_desk::NewAccessKey;
use swr_auth::{
    ControlAuthenticator, DeskSettings, GrantAuthorizer, KeyDesk, NewPassword, Strangers, TokenDesk, Vault,
};
#[cfg(feature = "console")]
use swr_auth::{SessionDesk, SessionLimits};
#[cfg(feature = "console")]
use swr_console::{ConsoleOptions, ConsoleService};
use swr_core::caller::{Channel, Origin};
use swr_core::control::identity::{Account, AccountName, Role, User, UserName};
use swr_core::control::{ControlAccess, ControlError, ControlLimits, ControlPlane, Courier};
use swr_core::ports::{Authorizer, Clock, ControlAuthorizer, MetadataStore, Page, SystemClock};
use swr_core::registry::Registry;
use swr_http::actions::webhook::Opener;
use swr_http::control::{ManagementOptions, ManagementService, Refusals};
use swr_http::token::{TokenOptions, TokenService};
use swr_packages::upload::PackageDesk;

use crate::config::{Config, FactsStore};
use crate::credentials::Credentials;
use crate::door::Control;
use crate::master_key;
use crate::messages;
use crate::stores::{self, in_one_line};

/// What the first account and its administrator are called unless somebody says otherwise.
pub(crate) const FIRST_ACCOUNT: &str = "default";
pub(crate) const FIRST_USER: &str = "admin";

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
    /// The accounts that the store keeps; `None` where it keeps none.
    pub(crate) async fn find(
        config: &Config,
        metadata: Arc<dyn MetadataStore>,
    ) -> Result<Option<Self>, String> {
        let page = Page { after: None, limit: NonZeroU32::MIN };
        let known = metadata.accounts(&page).await.map_err(|error| in_one_line("storage.facts", &error))?;
        match known.is_empty() {
            true => Ok(None),
            false => Self::with(config, metadata, master_key::kept(config)?).map(Some),
        }
    }

    /// The first account of a store that keeps none, and its administrator, who looks after the deployment.
    pub(crate) async fn found(
        config: &Config,
        metadata: Arc<dyn MetadataStore>,
        account: AccountName,
        user: UserName,
    ) -> Result<(Self, Credentials), String> {
        let vault = match config.storage.facts {
            FactsStore::Postgres | FactsStore::Sqlite => master_key::first(config)?,
            // What is forgotten at the end needs no key that is kept.
            FactsStore::Memory => Vault::generate().0,
        };
        let accounts = Self::with(config, metadata, vault)?;
        let plane = accounts.plane_without_bytes(config);
        let made = async {
            let password = NewPassword::random();
            let hash = password.hash()?;
            let administration = administration(&plane);
            let desk = accounts.desk();
            let founded =
                desk.found_account(&administration, account, user, Role::Operator, Some(hash)).await?;
            Ok(accounts.credentials(&founded.account, &founded.user, &password, founded.key))
        };
        let credentials = made.await.map_err(|error: ControlError| in_one_line("accounts", &error))?;
        Ok((accounts, credentials))
    }

    fn with(config: &Config, metadata: Arc<dyn MetadataStore>, vault: Vault) -> Result<Self, String> {
        let vault = Arc::new(vault);
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

    pub(crate) fn plane(&self, config: &Config, registry: &Registry) -> ControlPlane {
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
    pub(crate) async fn courier(&self, config: &Config, plane: &ControlPlane) -> Result<Courier, String> {
        let desk = self.desk();
        let opener: Arc<Opener> =
            Arc::new(move |trigger, sealed| desk.open_trigger(trigger, sealed).map_err(Into::into));
        let actions = messages::actions(config, self.settings.host(), opener).await?;
        Ok(Courier::new(plane.clone(), Arc::new(actions)))
    }

    /// The control plane, for those who look after accounts and touch no content.
    pub(crate) fn plane_without_bytes(&self, config: &Config) -> ControlPlane {
        let authorizer: Arc<dyn Authorizer> = Arc::clone(&self.authorizer) as _;
        self.plane(config, &stores::without_bytes(Arc::clone(&self.metadata), authorizer))
    }

    pub(crate) fn desk(&self) -> KeyDesk {
        KeyDesk::new(Arc::clone(&self.vault), self.settings.clone(), clock())
    }

    pub(crate) fn settings(&self) -> &DeskSettings {
        &self.settings
    }

    /// What somebody is shown once, who has a new password and a new key.
    pub(crate) fn credentials(
        &self,
        account: &Account,
        user: &User,
        password: &NewPassword,
        made: NewAccessKey,
    ) -> Credentials {
        let login = self.desk().long_term_login(&made.key.id, &made.secret);
        Credentials {
            account: account.name.to_string(),
            account_id: account.id.to_string(),
            user: user.name.to_string(),
            user_id: user.id.to_string(),
            password: password.secret().clone(),
            access_key_id: made.key.id.to_string(),
            secret_access_key: made.secret,
            project: self.settings.project().to_owned(),
            project_id: account.project.to_string(),
            login: login.command(self.settings.host()).into(),
        }
    }

    /// What is served beside the registry.
    pub(crate) fn control(
        &self,
        config: &Config,
        registry: &Registry,
        options: impl FnOnce(ManagementOptions) -> ManagementOptions,
    ) -> Result<(Control, ControlPlane), String> {
        let plane = self.plane(config, registry);
        let mut options = options(ManagementOptions::new(self.settings.clone()));
        options.packages = Some(packages(config, &plane));
        let tokens = TokenOptions {
            trusted_proxies: options.trusted_proxies.clone(),
            patience: options.patience,
            answer_within: options.answer_within,
            admission: options.admission.clone(),
            observer: options.observer.clone(),
            ..TokenOptions::new(self.settings.clone())
        };
        #[cfg(feature = "console")]
        let console = ConsoleOptions {
            secure: config.public_url().starts_with("https://"),
            trusted_proxies: options.trusted_proxies.clone(),
            patience: options.patience,
            answer_within: options.answer_within,
            store_within: options.store_within,
            admission: options.admission.clone(),
            packages: options.packages.clone(),
            observer: options.observer.clone(),
            ..ConsoleOptions::new(self.settings.clone()).map_err(|error| format!("console: {error}"))?
        };
        let authorizer: Arc<dyn Authorizer> = Arc::clone(&self.authorizer) as _;
        let token_desk = TokenDesk::new(Arc::clone(&self.authenticator), authorizer);
        let management = ManagementService::new(
            plane.clone(),
            Arc::clone(&self.authenticator),
            Arc::new(self.desk()),
            options,
        );
        #[cfg(feature = "console")]
        let (sessions, console) = {
            let sessions = Arc::new(SessionDesk::new(
                Arc::clone(&self.metadata),
                Arc::clone(&self.authenticator),
                clock(),
                SessionLimits { per_user: config.accounts.sessions_per_user, ..SessionLimits::default() },
            ));
            let console = ConsoleService::new(
                plane.clone(),
                Arc::clone(&self.authenticator),
                Arc::new(self.desk()),
                Arc::clone(&sessions),
                management.refusals().clone(),
                console,
            );
            (sessions, console)
        };
        let control = Control {
            management,
            tokens: TokenService::new(Arc::new(token_desk), tokens),
            #[cfg(feature = "console")]
            sessions,
            #[cfg(feature = "console")]
            console,
        };
        Ok((control, plane))
    }
}

impl Control {
    pub(crate) fn refusals(&self) -> &Refusals {
        self.management.refusals()
    }
}

/// Where image packages are handed in.
fn packages(config: &Config, plane: &ControlPlane) -> PackageDesk {
    PackageDesk::new(plane.clone(), stores::imports(config), config.packages.at_once as usize)
}

/// The control plane as whoever has the machine may use it.
pub(crate) fn administration(plane: &ControlPlane) -> ControlAccess<'_> {
    plane.administration(Origin { channel: Channel::System, ..Origin::default() })
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn settings(config: &Config) -> Result<DeskSettings, String> {
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
