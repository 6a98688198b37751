//! A deployment over memory, a clock that stands still, and the people who use it.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use chrono::TimeDelta;
use swr_auth::{
    Authenticated, AuthenticationError, Authenticator as _, ControlAuthenticator, DeskSettings,
    GrantAuthorizer, KeyDesk, Login, NewPassword, Presented, Secret, TokenDesk, Vault,
};
use swr_core::caller::{Caller, Identity, Origin};
use swr_core::control::credential::KeyId;
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::identity::{AccountId, AccountName, PasswordHash, Role, User, UserName};
use swr_core::control::repository::{Attributes, Visibility};
use swr_core::control::{ControlAccess, ControlLimits, ControlPlane, NewAccount, NewUser};
use swr_core::digest::Algorithm;
use swr_core::ports::{Clock, MetadataStore, Page};
use swr_core::testing::ManualClock;
use swr_core::testing::stepping::{Stepping, Steps};
use swr_core::{Error, Registry, RepositoryName};
use swr_policy::OrganisationName;
use swr_storage::memory::{MemoryBlobs, MemoryManifests};

pub(crate) const PROJECT: &str = "cn-jssz1";
pub(crate) const HOST: &str = "registry.example";
/// The one region that images can be copied to.
pub(crate) const REGION: &str = "cn-test2";
pub(crate) const PASSWORD: &str = "open sesame";

/// The account `north` has Ada, an administrator, Bob and Olga, an operator; `south` has Sue, an administrator, and
/// Sam. Ada's organisation `lib` has the private repository `lib/secret` and the public one `lib/open`; Sue's is
/// `far`, with `far/away`. Bob may do nothing yet. Everybody's password is [`PASSWORD`].
pub(crate) struct Scene {
    pub(crate) steps: Arc<Steps>,
    pub(crate) metadata: Arc<Stepping<MemoryManifests>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) settings: DeskSettings,
    pub(crate) authorizer: Arc<GrantAuthorizer>,
    pub(crate) authenticator: Arc<ControlAuthenticator>,
    pub(crate) tokens: TokenDesk,
    pub(crate) keys: KeyDesk,
    pub(crate) control: ControlPlane,
    pub(crate) ada: User,
    pub(crate) bob: User,
    pub(crate) olga: User,
    pub(crate) sue: User,
    pub(crate) sam: User,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|authorizer| authorizer).await
    }

    pub(crate) async fn with(authorizer: impl FnOnce(GrantAuthorizer) -> GrantAuthorizer) -> Self {
        let steps = Arc::new(Steps::default());
        let metadata = Arc::new(Stepping::new(MemoryManifests::new(), &steps));
        let store = Arc::clone(&metadata) as Arc<dyn MetadataStore>;
        let clock = Arc::new(ManualClock::default());
        let ticking = Arc::clone(&clock) as Arc<dyn Clock>;
        let authorizer = Arc::new(authorizer(GrantAuthorizer::new(Arc::clone(&store), Arc::clone(&ticking))));
        let registry = Registry::builder(
            Arc::new(MemoryBlobs::new()),
            Arc::clone(&metadata) as _,
            Arc::clone(&authorizer) as _,
        )
        .clock(Arc::clone(&ticking))
        .build();
        let control = ControlPlane::with(
            registry,
            Arc::clone(&store),
            Arc::clone(&authorizer) as _,
            Arc::clone(&ticking),
            ControlLimits { regions: vec![REGION.into()], ..ControlLimits::default() },
        );
        let vault = Arc::new(Vault::new(&[1; 32]));
        let settings = settings();
        let authenticator = Arc::new(ControlAuthenticator::new(
            Arc::clone(&store),
            Arc::clone(&vault),
            settings.clone(),
            Arc::clone(&ticking),
        ));
        let tokens = TokenDesk::new(Arc::clone(&authenticator), Arc::clone(&authorizer) as _);
        let keys = KeyDesk::new(Arc::clone(&vault), settings.clone(), ticking);

        let house = control.administration(Origin::default());
        static HASH: LazyLock<PasswordHash> =
            LazyLock::new(|| NewPassword::new(Secret::new(PASSWORD)).unwrap().hash().unwrap());
        let account = async |name| {
            house.create_account(NewAccount { name: AccountName::parse(name).unwrap() }).await.unwrap().id
        };
        let user = async |account: &AccountId, name, role| {
            let (account, name) = (account.clone(), UserName::parse(name).unwrap());
            let new = NewUser { account, name, role, password: Some(HASH.clone()) };
            house.create_user(new).await.unwrap()
        };
        let (north, south) = (account("north").await, account("south").await);
        let ada = user(&north, "ada", Role::Administrator).await;
        let bob = user(&north, "bob", Role::Member).await;
        let olga = user(&north, "olga", Role::Operator).await;
        let sue = user(&south, "sue", Role::Administrator).await;
        let sam = user(&south, "sam", Role::Member).await;
        let scene = Self {
            steps,
            metadata,
            clock,
            vault,
            settings,
            authorizer,
            authenticator,
            tokens,
            keys,
            control,
            ada,
            bob,
            olga,
            sue,
            sam,
        };
        for (user, organisation) in [(&scene.ada, "lib"), (&scene.sue, "far")] {
            let organisation = OrganisationName::parse(organisation).unwrap();
            scene.control_as(user).create_organisation(&organisation).await.unwrap();
        }
        scene.create(&scene.ada, "lib/secret", Visibility::Private).await;
        scene.create(&scene.ada, "lib/open", Visibility::Public).await;
        scene.create(&scene.sue, "far/away", Visibility::Private).await;
        scene
    }

    pub(crate) async fn create(&self, user: &User, name: &str, visibility: Visibility) {
        let attributes = Attributes { visibility, ..Attributes::default() };
        self.control_as(user).create_repository(&repository(name), &attributes).await.unwrap();
    }

    pub(crate) fn control_as(&self, user: &User) -> ControlAccess<'_> {
        self.control.access(caller(user), Origin::default())
    }

    pub(crate) fn house(&self) -> ControlAccess<'_> {
        self.control.administration(Origin::default())
    }

    pub(crate) fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    /// Ada grants Bob this in all of `lib`; `None` takes it away.
    pub(crate) async fn grant_bob(&self, level: Option<GrantLevel>) {
        let scope = GrantScope::Organisation(OrganisationName::parse("lib").unwrap());
        let (ada, bob) = (self.control_as(&self.ada), self.bob.id.clone());
        match level {
            Some(level) => ada.grant(&scope, &[(bob, level)]).await.unwrap(),
            None => ada.remove_grants(&scope, &[bob]).await.unwrap(),
        }
    }

    /// An access key of the user, and its secret.
    pub(crate) async fn access_key(&self, user: &User) -> (KeyId, Secret) {
        let made = self.keys.access_key(&self.control_as(user), &user.id, "").await.unwrap();
        (made.key.id, made.secret)
    }

    /// The login of a new access key of the user.
    pub(crate) async fn login(&self, user: &User) -> (KeyId, Login) {
        let (id, secret) = self.access_key(user).await;
        let login = self.keys.long_term_login(&id, &secret);
        (id, login)
    }

    pub(crate) async fn authenticate(&self, shown: &Presented) -> Result<Authenticated, AuthenticationError> {
        self.authenticator.authenticate(shown).await
    }

    pub(crate) async fn bear(&self, token: &Secret) -> Result<Authenticated, AuthenticationError> {
        self.authenticate(&Presented::Bearer(token.clone())).await
    }

    /// What comes of a pull and of a push by whoever this is.
    pub(crate) async fn try_as(&self, who: Authenticated, name: &str) -> [&'static str; 2] {
        let mut access = self.control.registry().access(who.caller, Origin::default());
        if let Some(reach) = who.reach {
            access = access.within(reach);
        }
        let repository = repository(name);
        let page = Page { after: None, limit: NonZeroU32::MIN };
        let pulled = access.tags(&repository, &page).await.map(drop);
        let pushed = access.begin_upload(&repository, Algorithm::Sha256).await.map(drop);
        [pulled, pushed].map(|done| match done {
            Ok(()) => "done",
            Err(Error::Denied(_)) => "denied",
            Err(Error::Unauthorized { .. }) => "unauthorized",
            Err(Error::NameUnknown { .. }) => "unknown",
            Err(error) => panic!("{error}"),
        })
    }
}

pub(crate) fn settings() -> DeskSettings {
    DeskSettings::new(PROJECT, HOST, "https://registry.example/token").unwrap()
}

pub(crate) fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

/// The user with all its rights, and counted with its account.
pub(crate) fn entirely(user: &User) -> Authenticated {
    let account = Some(user.account.as_str().into());
    Authenticated { account, ..caller(user).into() }
}

pub(crate) fn caller(user: &User) -> Caller {
    Caller::User(Identity::new(user.id.as_str()))
}

pub(crate) fn shown(login: &Login) -> Presented {
    Presented::Password { user: login.user.as_str().into(), password: login.password.clone() }
}

pub(crate) fn is_refused<T>(answer: &Result<T, AuthenticationError>) -> bool {
    matches!(answer, Err(AuthenticationError::Refused))
}
