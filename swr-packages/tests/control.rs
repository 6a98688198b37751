//! Packages by the users of a control plane: what they may, and what the trail says of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "packages/archives.rs"]
#[allow(dead_code, reason = "a part of what the tests of packages use")]
mod archives;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use swr_auth::GrantAuthorizer;
use swr_core::caller::{Caller, Channel, Identity, Origin};
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::identity::{AccountName, Role, User, UserName};
use swr_core::control::trace::{Operation, TraceQuery};
use swr_core::control::{ControlError, ControlPlane};
use swr_core::control::{NewAccount, NewUser};
use swr_core::ports::{Clock, MetadataStore, Page};
use swr_core::stream::ByteStream;
use swr_core::testing::ManualClock;
use swr_core::{OrganisationName, Registry, RepositoryName, Tag};
use swr_packages::control::import_for_user;
use swr_packages::upload::{AdmissionError, PackageDesk};
use swr_packages::{Destination, ImageOutcome, ImportError, ImportOptions, Package, Progress};
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

impl Scene {
    fn desk(&self, spool: &tempfile::TempDir, at_once: usize) -> PackageDesk {
        PackageDesk::new(self.plane.clone(), ImportOptions::new(spool.path()), at_once)
    }

    /// What is told of an upload by Ada.
    async fn told(&self, destination: Destination, files: Vec<(&str, &[u8])>) -> Vec<String> {
        let spool = tempfile::tempdir().unwrap();
        let files: Vec<_> = files
            .into_iter()
            .map(|(name, content)| Ok((name.into(), Package::stream(Bytes::copy_from_slice(content).into()))))
            .collect();
        let admitted = self.desk(&spool, 1).admit(caller(&self.ada), origin(), destination).await.unwrap();
        let told = admitted.files(stream::iter(files).boxed()).filter_map(async |progress| {
            Some(match progress {
                Progress::File { number, name } => format!("{number} {name}"),
                Progress::Image(image) => format!("{} {}", image.name, image.result.is_ok()),
                Progress::FileDone(file) => format!("{} {}", file.name, file.result.is_ok()),
                Progress::Broken(error) => error.to_string(),
                _ => return None,
            })
        });
        told.collect().await
    }
}

#[tokio::test]
async fn what_happens_to_an_upload_is_told_in_order() {
    let scene = Scene::new().await;
    let archive = docker(&images(&["app:v1"])).end();
    let told =
        scene.told(Destination::new(team()), vec![("a", &archive), ("b", b"nonsense"), ("c", &archive)]);
    assert_eq!(
        told.await,
        ["0 a", "app:v1 true", "a true", "1 b", "b false", "2 c", "app:v1 true", "c true"]
    );
    let none = scene.told(Destination::new(team()), vec![]).await;
    assert_eq!(none, ["there is no file in the upload"]);
}

#[tokio::test]
async fn an_eleventh_file_ends_an_upload_whose_files_come_one_by_one() {
    let scene = Scene::new().await;
    let archive = docker(&images(&["app:v1"])).end();
    let told = scene.told(Destination::new(team()), vec![("x", &archive[..]); 11]).await;
    assert_eq!(told.len(), 31);
    assert_eq!(told[30], "at most 10 files in one upload");
    let target = (RepositoryName::parse("team/other").unwrap(), Tag::parse("v7").unwrap());
    let destination = Destination::new(team()).with_target(target.0, target.1);
    let told = scene.told(destination, vec![("a", &archive), ("b", &archive)]).await;
    assert_eq!(
        told,
        ["0 a", "team/other:v7 true", "a true", "a repository and a tag can be named for one file"]
    );
}

#[tokio::test]
async fn nobody_is_admitted_without_the_right_or_without_room() {
    let scene = Scene::new().await;
    let spool = tempfile::tempdir().unwrap();
    let desk = scene.desk(&spool, 1);
    let admit = |who: &User| desk.admit(caller(who), origin(), Destination::new(team()));
    assert!(matches!(
        admit(&scene.bob).await,
        Err(AdmissionError::Control(ControlError::OrganisationUnknown(_)))
    ));
    scene.grant_bob(GrantScope::Organisation(team()), GrantLevel::Read).await;
    assert!(matches!(admit(&scene.bob).await, Err(AdmissionError::Control(ControlError::Denied(_)))));

    let uploading = admit(&scene.ada).await.unwrap().package("a", Package::stream(ByteStream::empty()));
    assert!(matches!(admit(&scene.ada).await, Err(AdmissionError::Busy)));
    drop(uploading);
    admit(&scene.ada).await.unwrap();
    assert_eq!(scene.trail().await, []);
}

#[tokio::test]
async fn one_user_has_no_more_than_half_of_the_places() {
    let scene = Scene::new().await;
    scene.grant_bob(GrantScope::Organisation(team()), GrantLevel::Edit).await;
    let spool = tempfile::tempdir().unwrap();
    let desk = scene.desk(&spool, 5);
    let admit = async |who: &User| desk.admit(caller(who), origin(), Destination::new(team())).await;
    let first = admit(&scene.ada).await.unwrap();
    let _second = admit(&scene.ada).await.unwrap();
    assert!(matches!(admit(&scene.ada).await, Err(AdmissionError::Busy)));
    let _others = [admit(&scene.bob).await.unwrap(), admit(&scene.bob).await.unwrap()];
    drop(first);
    let _third = admit(&scene.ada).await.unwrap();
    assert!(matches!(admit(&scene.ada).await, Err(AdmissionError::Busy)));
}

#[tokio::test]
async fn an_upload_that_is_dropped_leaves_the_traces_of_what_it_has_done() {
    let scene = Scene::new().await;
    let spool = tempfile::tempdir().unwrap();
    let names = ["app:v1", "app:v2", "app:v3"];
    let package = Package::stream(docker(&images(&names)).end().into());
    let desk = scene.desk(&spool, 1);
    let admitted = desk.admit(caller(&scene.ada), origin(), Destination::new(team())).await.unwrap();
    let mut uploading = admitted.package("a", package);
    let mut done = 0;
    while done < 2 {
        done += usize::from(matches!(uploading.next().await.unwrap(), Progress::Image(_)));
    }
    drop(uploading);
    let names: Vec<String> = scene.trail().await.into_iter().map(|(name, ..)| name).collect();
    assert!(names.ends_with(&["team/app:v2".to_owned(), "team/app:v1".to_owned()]), "{names:?}");
}

#[tokio::test]
async fn a_form_is_no_longer_than_one_of_as_many_packages_as_may_be() {
    let scene = Scene::new().await;
    let mut options = ImportOptions::new(std::env::temp_dir());
    options.package_bytes_max = 1000;
    let desk = PackageDesk::new(scene.plane.clone(), options, 1);
    let head = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\n";
    for (bytes, is_whole) in [(9_000 + (512 << 10), true), (11_000 + (512 << 10), false)] {
        let body = Bytes::from([head, &"x".repeat(bytes), "\r\n--b--\r\n"].concat());
        let mut form = desk.form("multipart/form-data; boundary=b", body.into()).unwrap();
        let whole = match form.next().await {
            Ok(part) => part.unwrap().body.collect(1 << 20).await.is_ok(),
            Err(_) => false,
        };
        assert_eq!(whole, is_whole, "{bytes}");
    }
}

#[tokio::test]
async fn a_layer_is_told_of_while_it_is_written() {
    let scene = Scene::new().await;
    let spool = tempfile::tempdir().unwrap();
    let layer = "x".repeat(3 << 20);
    let package = Package::stream(docker(&[SavedImage::new(&["app:v1"], &[&layer])]).end().into());
    let destination = Destination::new(team())
        .with_target(RepositoryName::parse("team/app").unwrap(), Tag::parse("v1").unwrap());
    let admitted = scene.desk(&spool, 1).admit(caller(&scene.ada), origin(), destination).await.unwrap();
    let written = admitted.package("a", package).filter_map(async |progress| match progress {
        Progress::Writing { bytes, size, .. } if size >= 3 << 20 => Some(bytes),
        _ => None,
    });
    let written: Vec<u64> = written.collect().await;
    // How often depends on how much is read at a time.
    assert!(written.len() >= 2 && written[0] == 0 && written.is_sorted_by(|a, b| a < b), "{written:?}");
}
