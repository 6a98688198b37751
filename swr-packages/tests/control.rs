//! Packages by the users of a control plane: what they may, and what the trail says of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "packages/archives.rs"]
#[allow(dead_code, reason = "a part of what the tests of packages use")]
mod archives;

use std::sync::Arc;

use swr_auth::GrantAuthorizer;
use swr_core::caller::{Caller, Channel, Identity, Origin};
use swr_core::control::ControlPlane;
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::identity::{AccountName, Role, User, UserName};
use swr_core::control::trace::{Operation, TraceQuery};
use swr_core::control::{NewAccount, NewUser};
use swr_core::ports::{Clock, MetadataStore, Page};
use swr_core::stream::ByteStream;
use swr_core::testing::ManualClock;
use swr_core::{OrganisationName, Registry, RepositoryName};
use swr_packages::control::import_for_user;
use swr_packages::{Destination, ImageOutcome, ImportError, ImportOptions, Package};
use swr_storage::memory::{MemoryBlobs, MemoryManifests};

use archives::{SavedImage, docker};

struct Scene {
    plane: ControlPlane,
    ada: User,
    bob: User,
}

impl Scene {
    /// Ada administers the account of the organisation `team`; Bob may do nothing yet.
    async fn new() -> Self {
        let metadata = Arc::new(MemoryManifests::new());
        let clock = Arc::new(ManualClock::default()) as Arc<dyn Clock>;
        let store = Arc::clone(&metadata) as Arc<dyn MetadataStore>;
        let authorizer = Arc::new(GrantAuthorizer::new(Arc::clone(&store), Arc::clone(&clock)));
        let registry =
            Registry::builder(Arc::new(MemoryBlobs::new()), metadata, Arc::clone(&authorizer) as _)
                .clock(Arc::clone(&clock))
                .build();
        let plane = ControlPlane::with(registry, store, authorizer, clock, Default::default());
        let house = plane.administration(Origin::default());
        let name = AccountName::parse("north").unwrap();
        let account = house.create_account(NewAccount { name }).await.unwrap().id;
        let user = async |name, role| {
            let (account, name) = (account.clone(), UserName::parse(name).unwrap());
            house.create_user(NewUser { account, name, role, password: None }).await.unwrap()
        };
        let (ada, bob) = (user("ada", Role::Administrator).await, user("bob", Role::Member).await);
        plane.access(caller(&ada), Origin::default()).create_organisation(&team()).await.unwrap();
        Self { plane, ada, bob }
    }

    async fn grant_bob(&self, scope: GrantScope, level: GrantLevel) {
        let ada = self.plane.access(caller(&self.ada), Origin::default());
        ada.grant(&scope, &[(self.bob.id.clone(), level)]).await.unwrap();
    }

    async fn import(&self, who: &Caller, images: &[SavedImage]) -> Result<Vec<ImageOutcome>, ImportError> {
        let spool = tempfile::tempdir().unwrap();
        let package = Package::stream(ByteStream::from(docker(images).end()));
        let destination = Destination::new(team());
        let options = ImportOptions::new(spool.path());
        import_for_user(&self.plane, who, &origin(), &destination, package, &options, &mut |_| {}).await
    }

    /// The traces of uploads: the resource, who, the status and the reason, the newest first.
    async fn trail(&self) -> Vec<(String, String, u16, String)> {
        let mut query = TraceQuery::of(self.ada.account.clone(), 100.try_into().unwrap());
        query.operation = Some(Operation::UploadImagePackage);
        let traces = self.plane.metadata().traces(&query).await.unwrap();
        let line = |trace: swr_core::control::trace::Trace| {
            assert_eq!(trace.origin, origin());
            let (_, user) = trace.user.unwrap();
            let (resource, outcome) = (trace.traced.resource_name, trace.outcome);
            (resource.to_string(), user.to_string(), outcome.code, outcome.reason.to_string())
        };
        traces.into_iter().map(line).collect()
    }
}

fn team() -> OrganisationName {
    OrganisationName::parse("team").unwrap()
}

fn caller(user: &User) -> Caller {
    Caller::User(Identity::new(user.id.as_str()))
}

fn origin() -> Origin {
    Origin { channel: Channel::Console, call: Some("POST /packages".into()), ..Origin::default() }
}

fn images(names: &[&str]) -> Vec<SavedImage> {
    names.iter().map(|name| SavedImage::new(&[name], &[name])).collect()
}

#[tokio::test]
async fn whoever_may_edit_the_organisation_brings_packages_in_and_the_trail_has_each_image() {
    let scene = Scene::new().await;
    scene.grant_bob(GrantScope::Organisation(team()), GrantLevel::Edit).await;
    let outcomes =
        scene.import(&caller(&scene.bob), &images(&["app:v1", "a.b/other/app:v1", "b.c/team/tool:v2"])).await;
    let done: Vec<bool> = outcomes.unwrap().iter().map(|outcome| outcome.result.is_ok()).collect();
    assert_eq!(done, [true, false, true]);
    let line = |name: &str, code, reason: &str| (name.to_owned(), "bob".to_owned(), code, reason.to_owned());
    assert_eq!(
        scene.trail().await,
        [
            line("team/tool:v2", 201, ""),
            line("a.b/other/app:v1", 403, "authentication failed"),
            line("team/app:v1", 201, ""),
        ]
    );
    // What came of it has its own.
    let mut query = TraceQuery::of(scene.ada.account.clone(), 100.try_into().unwrap());
    query.operation = Some(Operation::CreateVersion);
    assert_eq!(scene.plane.metadata().traces(&query).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_grant_on_a_repository_or_one_to_read_is_not_enough_and_nothing_is_read() {
    let scene = Scene::new().await;
    let ada = caller(&scene.ada);
    scene.import(&ada, &images(&["app:v1"])).await.unwrap();
    let app = RepositoryName::parse("team/app").unwrap();
    scene.grant_bob(GrantScope::Repository(app), GrantLevel::Manage).await;
    let bob = caller(&scene.bob);
    let refused = scene.import(&bob, &images(&["app:v2"])).await;
    assert!(matches!(refused, Err(ImportError::Denied(_))), "{refused:?}");
    scene.grant_bob(GrantScope::Organisation(team()), GrantLevel::Read).await;
    let refused = scene.import(&bob, &images(&["app:v2", "new:v1"])).await;
    assert!(matches!(refused, Err(ImportError::Denied(_))), "{refused:?}");
    let refused = scene.import(&Caller::Anonymous, &images(&["app:v2"])).await;
    assert!(matches!(refused, Err(ImportError::Denied(_))), "{refused:?}");

    let line = |user: &str, name: &str, code, reason: &str| {
        (name.to_owned(), user.to_owned(), code, reason.to_owned())
    };
    assert_eq!(
        scene.trail().await,
        [
            line("bob", "team", 403, "authentication failed"),
            line("bob", "team", 403, "authentication failed"),
            line("ada", "team/app:v1", 201, ""),
        ]
    );
    let access = scene.plane.registry().access(ada, Origin::default());
    let page = Page { after: None, limit: 10.try_into().unwrap() };
    let tags = access.tags(&RepositoryName::parse("team/app").unwrap(), &page).await.unwrap();
    assert_eq!(tags.entries.len(), 1);
}
