//! Pushes, deletions and collection at the same time, each a process of its own over the same memory, on schedules of
//! their threads that are chosen: `.ci/harness schedules`.
//!
//! Each lock of the stores in memory is a place where a schedule may turn to another thread. Time moves only where
//! collection moves it, so that what a hold promises can be told to the second.

#![cfg(shuttle)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, Runner, future, thread};

use swr_core::caller::{Caller, Origin, Task};
use swr_core::commit::Grounds;
use swr_core::digest::Digest;
use swr_core::event::{Event, EventSeq};
use swr_core::ports::{
    Ask, Authorizer, BlobStore, ManifestStore, StoreError, StoreErrorKind, UploadStore, Verdict,
};
use swr_core::registry::{Content, Limits, ManifestPush, Mounted, Precondition};
use swr_core::testing::ManualClock;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::{Access, Error, Registry, RepositoryName, Tag};
use swr_storage::memory::{MemoryBlobs, MemoryManifests};

#[test]
fn nothing_acknowledged_is_lost_on_random_schedules() {
    on_schedules(RandomScheduler::new(schedules()));
}

#[test]
fn nothing_acknowledged_is_lost_on_schedules_of_few_preemptions() {
    on_schedules(PctScheduler::new(3, schedules()));
}

#[test]
#[ignore = "looks into a failure: `SCHEDULE` is what it printed"]
fn nothing_acknowledged_is_lost_on_this_schedule() {
    on_schedules(ReplayScheduler::new_from_encoded(&std::env::var("SCHEDULE").unwrap()));
}

/// On how many schedules each of the two runs: half of `SCHEDULES`.
fn schedules() -> usize {
    std::env::var("SCHEDULES").map_or(1000, |number| number.parse().unwrap()) / 2
}

fn on_schedules(scheduler: impl Scheduler + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    Runner::new(scheduler, config).run(|| {
        let world = World::default();
        future::block_on(world.begin());
        let actors = [
            world.spawn(async |process| process.push("o/app", "v1", &a()).await),
            world.spawn(async |process| process.push("p/app", "v1", &b()).await),
            world.spawn(async |process| process.push("p/app", "v2", &a()).await),
            world.spawn(async |process| process.delete_and_push_again().await),
            world.spawn(async |process| process.collect_as_time_goes_by().await),
            world.spawn(async |process| process.collect().await),
        ];
        for actor in actors {
            actor.join().unwrap();
        }
        future::block_on(world.process().end());
    });
}

/// What is in [`OLD`] before, and what is pushed. They share their config; A has a layer that has lain in [`OLD`]
/// since the last hold, unnamed, and B has that layer as well.
fn old() -> SampleManifest {
    SampleManifest::artifact("application/sample", "old")
}

fn a() -> SampleManifest {
    SampleManifest::artifact("application/sample", "a")
}

fn b() -> SampleManifest {
    a().blobs().skip(1).fold(SampleManifest::artifact("application/sample", "b"), SampleManifest::with_layer)
}

/// Where things are deleted. Nothing is anywhere else.
const OLD: &str = "q/old";

/// The shortest that the engine offers.
const HOLD: TimeDelta = TimeDelta::hours(1);

/// What the processes have in common.
#[derive(Clone, Default)]
struct World {
    bytes: Arc<MemoryBlobs>,
    manifests: Arc<MemoryManifests>,
    clock: Arc<ManualClock>,
    kept: Arc<std::sync::Mutex<Kept>>,
}

/// What was answered and not deleted since: by repository and tag.
type Kept = BTreeMap<(&'static str, &'static str), SampleManifest>;

impl World {
    async fn begin(&self) {
        let process = self.process();
        process.push(OLD, "v1", &old()).await;
        for blob in a().blobs() {
            process.bring(OLD, blob).await;
        }
        self.clock.advance(HOLD + TimeDelta::minutes(1));
    }

    fn process(&self) -> Process {
        let limits = Limits {
            link_hold: TimeDelta::zero(),
            untagged_keep: Some(TimeDelta::zero()),
            upload_idle: TimeDelta::zero(),
            ..Limits::default()
        };
        let (bytes, manifests) = (Arc::clone(&self.bytes), Arc::clone(&self.manifests));
        let registry = Registry::builder(bytes, manifests, Arc::new(Open));
        let registry = registry.limits(limits).clock(Arc::clone(&self.clock) as Arc<_>).build();
        assert_eq!(registry.limits().link_hold, HOLD);
        Process { world: self.clone(), registry }
    }

    fn spawn(&self, act: impl AsyncFnOnce(Process) + Send + 'static) -> thread::JoinHandle<()> {
        let process = self.process();
        thread::spawn(|| future::block_on(act(process)))
    }

    fn now(&self) -> DateTime<Utc> {
        swr_core::ports::Clock::now(&*self.clock)
    }
}

/// One that has its registry over what all have in common.
struct Process {
    world: World,
    registry: Registry,
}

impl Process {
    fn access(&self) -> Access<'_> {
        self.registry.access(Caller::Anonymous, Origin::default())
    }

    /// An image, as clients do: its blobs, then the manifest. A blob that was acknowledged waits for it for as long as
    /// the hold; after that it is brought again.
    async fn push(&self, to: &'static str, under: &'static str, image: &SampleManifest) {
        let push = ManifestPush {
            reference: tag(under).into(),
            tags: Vec::new(),
            media_type: Some(image.media_type()),
            bytes: image.bytes(),
            precondition: Precondition::None,
        };
        loop {
            let mut held_until = BTreeMap::new();
            for blob in image.blobs() {
                held_until.insert(blob.digest, self.bring(to, blob).await);
            }
            match self.access().push_manifest(&repository(to), push.clone()).await {
                Ok(_) => break,
                Err(Error::ManifestBlobUnknown(unknown)) => {
                    for digest in unknown {
                        assert!(self.world.now() > held_until[&digest], "{to} has lost {digest} in its hold");
                    }
                }
                Err(error) => panic!("{to}:{under} is refused: {error}"),
            }
        }
        self.world.kept.lock().unwrap().insert((to, under), image.clone());
        self.is_whole(to, under, image).await;
    }

    /// In one of the ways that there are, and says until when it is held. An upload is swept only after it was idle, if
    /// only for a moment: when time has moved.
    async fn bring(&self, to: &'static str, blob: &SampleBlob) -> DateTime<Utc> {
        let way = thread_rng().gen_range(0..4);
        loop {
            let begun = self.world.now();
            let brought = match way {
                0 => self.mount(to, blob, Some(OLD)).await,
                1 => self.mount(to, blob, None).await,
                2 => self.send(to, blob).await,
                _ => self.send_in_chunks(to, blob).await,
            };
            match brought {
                // Whoever ends an upload that was swept may be told of a blob that has been there for some time.
                Ok(()) if way == 3 => return begun + HOLD / 2,
                Ok(()) => return begun + HOLD,
                Err(Error::UploadUnknown) if self.world.now() > begun => {}
                Err(error) => panic!("{to} does not take {}: {error}", blob.digest),
            }
        }
    }

    async fn mount(&self, to: &str, blob: &SampleBlob, from: Option<&str>) -> Result<(), Error> {
        let from = from.map(repository);
        match self.access().mount_blob(&repository(to), &blob.digest, from.as_ref()).await? {
            Mounted::Linked(_) => Ok(()),
            Mounted::NotHere => self.send(to, blob).await,
        }
    }

    async fn send(&self, to: &str, blob: &SampleBlob) -> Result<(), Error> {
        self.access().push_blob(&repository(to), &blob.digest, blob.bytes.clone().into()).await.map(drop)
    }

    async fn send_in_chunks(&self, to: &str, blob: &SampleBlob) -> Result<(), Error> {
        let (to, access) = (repository(to), self.access());
        let upload = access.begin_upload(&to, blob.digest.algorithm()).await?;
        let (first, second) = (blob.bytes.slice(..1), blob.bytes.slice(1..));
        let offset = access.append_upload(&to, &upload.id, Some(0), first.into()).await?;
        access.append_upload(&to, &upload.id, Some(offset), second.into()).await?;
        access.finish_upload(&to, &upload.id, &blob.digest).await.map(drop)
    }

    /// The tag leads to the image, and each of its blobs is there, byte for byte.
    async fn is_whole(&self, at: &str, under: &str, image: &SampleManifest) {
        let (at, access) = (repository(at), self.access());
        let found = access.pull_manifest(&at, &tag(under).into()).await;
        let found = found.unwrap_or_else(|error| panic!("{at} has lost {under}: {error}"));
        assert_eq!(found.bytes, Some(image.bytes()), "{at} has another {under}");
        for SampleBlob { digest, bytes, .. } in image.blobs() {
            let pulled = access.pull_blob(&at, digest, &[]).await;
            let pulled = pulled.unwrap_or_else(|error| panic!("{at} has lost {digest}: {error}"));
            let Content::Whole(body) = pulled.content else { panic!("a whole blob was asked for") };
            assert_eq!(body.collect(1 << 20).await.unwrap(), *bytes, "{at} has another {digest}");
        }
    }

    /// In one of the ways that there are. What is pushed again after that is there.
    async fn delete_and_push_again(&self) {
        let (old, image) = (repository(OLD), old());
        self.world.kept.lock().unwrap().remove(&(OLD, "v1"));
        match thread_rng().gen_range(0..3) {
            0 => self.access().remove_repository(&old).await.unwrap(),
            1 => self.access().remove_tag(&old, &tag("v1"), Precondition::None).await.unwrap(),
            _ => {
                self.access().remove_manifest(&old, &image.digest(), Precondition::None).await.unwrap();
                for blob in image.blobs() {
                    match self.access().unlink_blob(&old, &blob.digest).await {
                        // Collection may have been quicker.
                        Ok(()) | Err(Error::BlobUnknown { .. }) => {}
                        Err(error) => panic!("{} is not unlinked: {error}", blob.digest),
                    }
                }
            }
        }
        if thread_rng().r#gen() {
            self.push(OLD, "v2", &image).await;
        }
    }

    async fn collect_as_time_goes_by(&self) {
        for _ in 0..3 {
            let minutes = *[1, 10, 40, 61].get(thread_rng().gen_range(0..4)).unwrap();
            self.world.clock.advance(TimeDelta::minutes(minutes));
            self.collect().await;
        }
    }

    /// Where another process has the lease, or got it meanwhile, that one collects.
    async fn collect(&self) {
        let swept = self.registry.caretaker(Task::UploadSweep).sweep_uploads().await.map(drop);
        let collected = self.registry.caretaker(Task::Collection).collect().await.map(drop);
        for done in [swept, collected] {
            match done {
                Err(error) if error.kind() != StoreErrorKind::Fenced => panic!("collection fails: {error}"),
                _ => {}
            }
        }
    }

    /// What was kept is whole, the log tells what there is, and nothing else is left.
    async fn end(&self) {
        for time in [TimeDelta::days(30), TimeDelta::seconds(1), TimeDelta::seconds(1)] {
            self.world.clock.advance(time);
            self.collect().await;
        }
        let kept = self.world.kept.lock().unwrap().clone();
        for ((repository, tag), image) in &kept {
            self.is_whole(repository, tag, image).await;
        }
        let named = |((repository, tag), image): (&(&str, &str), &SampleManifest)| {
            ((*repository).to_owned(), (*tag).to_owned(), image.digest())
        };
        assert_eq!(self.told().await, kept.iter().map(named).collect(), "the log tells otherwise");
        let blobs: BTreeSet<_> =
            kept.values().flat_map(|image| image.blobs()).map(|blob| blob.digest).collect();
        let left: Vec<_> =
            self.world.bytes.list().map_ok(|listed| listed.brought).try_collect().await.unwrap();
        let left: Vec<Digest> = left.into_iter().map(|brought| brought.unwrap().digest.unwrap()).collect();
        assert_eq!((left.len(), left.into_iter().collect()), (blobs.len(), blobs), "content is left");
        assert_eq!(
            self.world.bytes.idle_since(DateTime::<Utc>::MAX_UTC).count().await,
            0,
            "uploads are left"
        );
    }

    /// The tags that are set, as the log of events has it, and where each leads.
    async fn told(&self) -> BTreeSet<(String, String, Digest)> {
        let events =
            self.world.manifests.events(EventSeq::START, u32::MAX.try_into().unwrap()).await.unwrap();
        let mut set = BTreeMap::new();
        for recorded in events {
            let repository = recorded.repository.to_string();
            match recorded.event {
                Event::TagSet { tag, digest, .. } => drop(set.insert((repository, tag.to_string()), digest)),
                Event::TagRemoved { tag, .. } => drop(set.remove(&(repository, tag.to_string()))),
                Event::RepositoryRemoved => set.retain(|(of, _), _| *of != repository),
                Event::ManifestRemoved { tags, .. } => {
                    set.retain(|(of, tag), _| {
                        *of != repository || tags.iter().all(|gone| gone.as_str() != tag)
                    });
                }
                _ => {}
            }
        }
        set.into_iter().map(|((repository, tag), digest)| (repository, tag, digest)).collect()
    }
}

#[derive(Debug)]
struct Open;

#[async_trait]
impl Authorizer for Open {
    async fn decide(&self, _: &Caller, _: Ask<'_>) -> Result<Verdict, StoreError> {
        Ok(Verdict::Allow(Grounds::default()))
    }
}

fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}
