//! Everything that writes, over files and SQLite: dropped at each of its polls, and with each of its calls to a store
//! failing, before it is made and after. What was answered is there when the stores are opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use swr_auth::AnyoneMay;
use swr_core::caller::Task;
use swr_core::digest::{Algorithm, Digest};
use swr_core::registry::{Precondition, ScrubCursor, Unpaced};
use swr_core::testing::sample_images::SampleManifest;
use swr_core::testing::stepping::{Plan, Stepping, Steps};
use swr_core::{Error, Registry};
use swr_storage::FilesystemBlobs;
use swr_storage::sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

use crate::house::{access, app, bytes_in, pull_blob, push_of, tag};

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

/// What each tag may lead to: one thing where there was an answer, and one of two where there was none.
#[derive(Default)]
struct Told(BTreeMap<&'static str, BTreeSet<Option<Digest>>>);

impl Told {
    fn begin(&mut self, tag: &'static str, to: Option<Digest>) {
        self.0.entry(tag).or_insert_with(|| BTreeSet::from([None])).insert(to);
    }

    fn end(&mut self, tag: &'static str, to: Option<Digest>) {
        self.0.insert(tag, BTreeSet::from([to]));
    }
}

/// Two images, by a push of each blob in one request and in several; a tag that moves, and one that goes.
async fn work(registry: &Registry, told: &mut Told) -> Result<(), Error> {
    let (to, access) = (app(), access(registry));
    for (name, chunked) in [("one", false), ("two", true)] {
        let image = SampleManifest::image(name);
        for blob in image.blobs() {
            if chunked {
                let id = access.begin_upload(&to, Algorithm::Sha256).await?.id;
                for part in blob.bytes.chunks(blob.bytes.len() / 2 + 1) {
                    access.append_upload(&to, &id, None, blob.bytes.slice_ref(part).into()).await?;
                }
                access.finish_upload(&to, &id, &blob.digest).await?;
            } else {
                access.push_blob(&to, &blob.digest, blob.bytes.clone().into()).await?;
            }
        }
        for under in [name, "latest"] {
            told.begin(under, Some(image.digest()));
            access.push_manifest(&to, push_of(&image, tag(under))).await?;
            told.end(under, Some(image.digest()));
        }
    }
    told.begin("one", None);
    match access.remove_tag(&to, &tag("one"), Precondition::None).await {
        // Asked again, it is gone already.
        Ok(()) | Err(Error::ManifestUnknown { .. }) => told.end("one", None),
        Err(error) => return Err(error),
    }
    registry.caretaker(Task::Collection).collect().await?;
    registry.caretaker(Task::UploadSweep).sweep_uploads().await?;
    Ok(())
}

/// Everything that was told holds, whatever a tag leads to is whole, and all of it can be done again.
async fn is_sound(folder: &Path, told: &Told, after: &str) {
    let registry = open(folder, &Arc::default()).await;
    for (under, known) in &told.0 {
        let found = match access(&registry).pull_manifest(&app(), &tag(under).into()).await {
            Ok(found) => Some(found.digest),
            Err(Error::ManifestUnknown { .. }) => None,
            Err(error) => panic!("{after}: {error:?}"),
        };
        assert!(known.contains(&found), "{after}: {under} is {found:?}, and was {known:?}");
        let images = ["one", "two"].map(SampleManifest::image);
        let Some(image) = images.iter().find(|image| Some(image.digest()) == found) else { continue };
        for blob in image.blobs() {
            assert_eq!(pull_blob(&registry, &blob.digest).await.unwrap(), blob.bytes, "{after}");
        }
    }
    let step = registry.caretaker(Task::Scrub).scrub(&ScrubCursor::default(), &Unpaced).await.unwrap();
    // The lease of one that was dropped may still be held.
    assert!(step.is_none_or(|step| step.findings.is_empty()), "{after}");
    work(&registry, &mut Told::default()).await.unwrap();
}

/// Polls the future so often, each time when it is woken, and then drops it.
async fn polled<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_holds_whichever_call_fails() {
    let mut failed = 0;
    for number in 1.. {
        let mut calls = 0;
        for plan in [Plan::FailBefore(number), Plan::FailAfter(number)] {
            let (folder, steps, mut told) = (TempDir::new().unwrap(), Arc::default(), Told::default());
            let registry = open(folder.path(), &steps).await;
            steps.plan(plan);
            match work(&registry, &mut told).await {
                Ok(()) => {}
                Err(Error::Store(_)) => failed += 1,
                Err(error) => panic!("{plan:?}: {error:?}"),
            }
            calls = steps.calls();
            drop(registry);
            is_sound(folder.path(), &told, &format!("{plan:?}")).await;
        }
        if number > calls {
            break;
        }
    }
    assert!(failed > 40, "{failed} calls failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_holds_wherever_it_is_dropped() {
    for polls in (0..).step_by(5) {
        let (folder, steps, mut told) = (TempDir::new().unwrap(), Arc::default(), Told::default());
        let registry = open(folder.path(), &steps).await;
        steps.plan(Plan::Pausing);
        let done = polled(polls, work(&registry, &mut told)).await;
        steps.plan(Plan::Plain);
        drop(registry);
        is_sound_once_at_rest(folder.path(), &told, polls).await;
        if let Some(done) = done {
            done.unwrap();
            assert!(polls > 100, "{polls} polls");
            break;
        }
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
