//! Everything that writes, over files and SQLite: dropped at each of its polls, and with each of its calls to a store
//! failing, before it is made and after. What was answered is there when the stores are opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use swr_auth::AnyoneMay;
use swr_core::caller::Task;
use swr_core::digest::{Algorithm, Digest};
use swr_core::reference::Reference;
use swr_core::registry::{Precondition, ScrubCursor, Unpaced};
use swr_core::testing::sample_images::SampleManifest;
use swr_core::testing::stepping::{Plan, Stepping, Steps, dropped_after_waking};
use swr_core::upload::UploadId;
use swr_core::{Error, Registry};
use swr_storage::FilesystemBlobs;
use swr_storage::sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

use crate::house::{access, app, bytes_in, pull_blob, pull_blob_from, push_of, tag};

/// The registry in the folder, whose stores do as they are told.
async fn open(folder: &Path, steps: &Arc<Steps>) -> Registry {
    let facts = SqliteStore::open_with(folder.join("registry.db"), options()).await.unwrap();
    let (bytes, facts) = (Stepping::new(bytes_in(folder), steps), Stepping::new(facts, steps));
    Registry::builder(Arc::new(bytes), Arc::new(facts), Arc::new(AnyoneMay)).build()
}

fn options() -> SqliteOptions {
    let mut options = SqliteOptions::default();
    (options.wal_bytes, options.reserve_bytes) = (1 << 20, 0);
    options
}

/// What a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Tag(&'static str),
    Manifest(Digest),
    Blob(&'static str, Digest),
}

/// What each may lead to: one thing where there was an answer, and one of two where there was none. And the upload that
/// was cancelled.
#[derive(Default)]
struct Told(BTreeMap<Wanted, BTreeSet<Option<Digest>>>, Option<UploadId>);

impl Told {
    fn begin(&mut self, wanted: Wanted, to: Option<Digest>) {
        self.0.entry(wanted).or_insert_with(|| BTreeSet::from([None])).insert(to);
    }

    fn end(&mut self, wanted: Wanted, to: Option<Digest>) {
        self.0.insert(wanted, BTreeSet::from([to]));
    }

    /// Asks for a removal. Asked again, it is gone already.
    async fn remove(
        &mut self,
        wanted: Wanted,
        removal: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        self.begin(wanted, None);
        match removal.await {
            Ok(()) | Err(Error::ManifestUnknown { .. } | Error::BlobUnknown { .. }) => {}
            Err(error) => return Err(error),
        }
        self.end(wanted, None);
        Ok(())
    }
}

/// Two images, by a push of each blob in one request and in several, and a blob that is mounted; a tag that moves, and
/// one that goes, with its manifest and a blob that none names; an upload that is cancelled.
async fn work(registry: &Registry, told: &mut Told) -> Result<(), Error> {
    let (to, access) = (app(), access(registry));
    for (name, chunked) in [("one", false), ("two", true)] {
        let image = SampleManifest::image(name);
        for blob in image.blobs() {
            let wanted = Wanted::Blob(APP, blob.digest);
            told.begin(wanted, Some(blob.digest));
            if chunked {
                let id = access.begin_upload(&to, Algorithm::Sha256).await?.id;
                for part in blob.bytes.chunks(blob.bytes.len() / 2 + 1) {
                    access.append_upload(&to, &id, None, blob.bytes.slice_ref(part).into()).await?;
                }
                access.finish_upload(&to, &id, &blob.digest).await?;
            } else {
                access.push_blob(&to, &blob.digest, blob.bytes.clone().into()).await?;
            }
            told.end(wanted, Some(blob.digest));
        }
        for under in [name, "latest"] {
            told.begin(Wanted::Tag(under), Some(image.digest()));
            told.begin(Wanted::Manifest(image.digest()), Some(image.digest()));
            access.push_manifest(&to, push_of(&image, tag(under))).await?;
            told.end(Wanted::Tag(under), Some(image.digest()));
            told.end(Wanted::Manifest(image.digest()), Some(image.digest()));
        }
    }
    let [one, two] = IMAGES.map(SampleManifest::image);
    let mounted = two.blobs().next().unwrap().digest;
    told.begin(Wanted::Blob(OTHER, mounted), Some(mounted));
    access.mount_blob(&OTHER.parse().unwrap(), &mounted, Some(&to)).await?;
    told.end(Wanted::Blob(OTHER, mounted), Some(mounted));

    let none = Precondition::None;
    told.remove(Wanted::Tag("one"), access.remove_tag(&to, &tag("one"), none.clone())).await?;
    told.remove(Wanted::Manifest(one.digest()), access.remove_manifest(&to, &one.digest(), none)).await?;
    let unnamed = one.blobs().next().unwrap().digest;
    told.remove(Wanted::Blob(APP, unnamed), access.unlink_blob(&to, &unnamed)).await?;

    let id = access.begin_upload(&to, Algorithm::Sha256).await?.id;
    access.append_upload(&to, &id, None, Bytes::from_static(b"nothing").into()).await?;
    access.cancel_upload(&to, &id).await?;
    told.1 = Some(id);

    registry.caretaker(Task::Collection).collect().await?;
    registry.caretaker(Task::UploadSweep).sweep_uploads().await?;
    Ok(())
}

const IMAGES: [&str; 2] = ["one", "two"];
const APP: &str = "library/app";
const OTHER: &str = "library/other";

/// What is there; an error where its bytes are not what they should be.
async fn find(registry: &Registry, wanted: Wanted) -> Result<Option<Digest>, Error> {
    let reference: Reference = match wanted {
        Wanted::Tag(under) => tag(under).into(),
        Wanted::Manifest(digest) => digest.into(),
        Wanted::Blob(repository, digest) => {
            return match pull_blob_from(registry, &repository.parse().unwrap(), &digest).await {
                Ok(bytes) => Ok(Some(digest.algorithm().digest(&bytes))),
                Err(Error::BlobUnknown { .. } | Error::NameUnknown { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        }
    };
    match access(registry).pull_manifest(&app(), &reference).await {
        Ok(found) => Ok(Some(found.digest)),
        Err(Error::ManifestUnknown { .. } | Error::NameUnknown { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything that was told holds, whatever a tag leads to is whole, and all of it can be done again.
async fn is_sound(folder: &Path, told: &Told, after: &str) {
    let registry = open(folder, &Arc::default()).await;
    for (wanted, known) in &told.0 {
        let found = find(&registry, *wanted).await.unwrap_or_else(|error| panic!("{after}: {error:?}"));
        assert!(known.contains(&found), "{after}: {wanted:?} is {found:?}, and was {known:?}");
        let images = IMAGES.map(SampleManifest::image);
        let Some(image) = images.iter().find(|image| Some(image.digest()) == found) else { continue };
        for blob in image.blobs() {
            assert_eq!(pull_blob(&registry, &blob.digest).await.unwrap(), blob.bytes, "{after}");
        }
    }
    if let Some(cancelled) = &told.1 {
        let found = access(&registry).find_upload(&app(), cancelled).await;
        assert!(matches!(found, Err(Error::UploadUnknown)), "{after}: {found:?}");
    }
    let step = registry.caretaker(Task::Scrub).scrub(&ScrubCursor::default(), &Unpaced).await.unwrap();
    // The lease of one that was dropped may still be held.
    assert!(step.is_none_or(|step| step.findings.is_empty()), "{after}");
    work(&registry, &mut Told::default()).await.unwrap();
}

/// How many rounds are on their way at once.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_holds_whichever_call_fails() {
    let plans = (1..).flat_map(|number| [Plan::FailBefore(number), Plan::FailAfter(number)]);
    let rounds = stream::iter(plans).map(async |plan| {
        let (folder, steps, mut told) = (TempDir::new().unwrap(), Arc::default(), Told::default());
        let registry = open(folder.path(), &steps).await;
        steps.plan(plan);
        let failed = match work(&registry, &mut told).await {
            Ok(()) => false,
            Err(Error::Store(_)) => true,
            Err(error) => panic!("{plan:?}: {error:?}"),
        };
        let (Plan::FailBefore(number) | Plan::FailAfter(number)) = plan else { unreachable!() };
        let is_last = number > steps.calls();
        drop(registry);
        is_sound(folder.path(), &told, &format!("{plan:?}")).await;
        (failed, is_last)
    });
    let (mut rounds, mut failures) = (pin!(rounds.buffered(AT_ONCE)), 0);
    while let Some((failed, is_last)) = rounds.next().await {
        failures += u32::from(failed);
        if is_last {
            break;
        }
    }
    assert!(failures > 80, "{failures} calls failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_holds_wherever_it_is_dropped() {
    let rounds = stream::iter(0..).map(async |polls| {
        let (folder, steps, mut told) = (TempDir::new().unwrap(), Arc::default(), Told::default());
        let registry = open(folder.path(), &steps).await;
        steps.plan(Plan::Pausing);
        let done = dropped_after_waking(polls, work(&registry, &mut told)).await;
        steps.plan(Plan::Plain);
        drop(registry);
        is_sound_once_at_rest(folder.path(), &told, polls).await;
        done.map(|done| (polls, done))
    });
    // Each in a folder of its own: while one waits for the disk, others go on.
    let mut rounds = pin!(rounds.buffered(AT_ONCE));
    while let Some(round) = rounds.next().await {
        let Some((polls, done)) = round else { continue };
        done.unwrap();
        assert!(polls > 100, "{polls} polls");
        break;
    }
}

/// What was dropped may still be at work on a thread, and have its store open.
async fn is_sound_once_at_rest(folder: &Path, told: &Told, polls: u32) {
    while FilesystemBlobs::open(folder.join("bytes")).is_err()
        || SqliteStore::open_with(folder.join("registry.db"), options()).await.is_err()
    {
        tokio::task::yield_now().await;
    }
    is_sound(folder, told, &format!("dropped after {polls} polls")).await;
}
