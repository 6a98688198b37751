//! Ways of the model, led by a store.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use swr_core::caller::{Actor, Caller, Origin};
use swr_core::commit::{Change, Commit, CommitError, Require, StoredBlob};
use swr_core::digest::Algorithm;
use swr_core::ports::{
    AbandonError, Brought, ContentState, Fence, FinishError, Lease, ManifestStore, Page, StoreErrorKind,
    Unused, WithBytes,
};
use swr_core::reference::Reference;
use swr_core::testing::minute;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::upload_store::Bytestore;
use swr_core::upload::{Upload as Session, UploadId};

use crate::model::{
    Bytes, Caretaker, Known, MOUNTED, Model, Outcome, PLACES, PUSHED, Places, Pusher, Scrubber, State, Step,
    Upload,
};

/// The names of the two repositories.
const REPOSITORIES: [&str; 2] = ["o/pushed", "o/mounted"];

/// A store in the model's world.
struct World<'a> {
    store: &'a dyn ManifestStore,
    bytes: &'a dyn Bytestore,
    blob: SampleBlob,
    manifest: SampleManifest,
    /// A second passes with every step.
    now: DateTime<Utc>,
    uploads: [UploadId; PLACES],
    stored: [Option<StoredBlob>; PLACES],
    /// Whether a deletion of the bytes was taken back.
    is_back: [bool; PLACES],
    fences: [Option<Fence>; 2],
    sweep: Fence,
    holders: u32,
    lapsed: bool,
}

/// Leads new, empty stores along the way: every step has to come to what the model says, and so has whatever can be
/// asked after it.
pub(crate) async fn replay(model: &Model, store: &dyn ManifestStore, bytes: &dyn Bytestore, way: &[Step]) {
    let mut world = World::new(store, bytes).await;
    let mut state = State::default();
    for (number, step) in way.iter().enumerate() {
        let (next, outcome) = model.next(&state, *step).unwrap();
        let so_far = || format!("after {:?}", &way[..=number]);
        assert_eq!(world.take(&state, &next, *step).await, outcome, "{}", so_far());
        world.is_as(&next, so_far).await;
        state = next;
    }
}

impl<'a> World<'a> {
    async fn new(store: &'a dyn ManifestStore, bytes: &'a dyn Bytestore) -> Self {
        let blob = SampleBlob::new("content");
        let lease =
            Lease { name: "upload_sweep", holder: "the sweep", now: minute(0), until: minute(1_000_000) };
        Self {
            store,
            bytes,
            manifest: SampleManifest::image("an image").with_layer(&blob),
            blob,
            now: minute(0),
            uploads: std::array::from_fn(|_| UploadId::random()),
            stored: [const { None }; PLACES],
            is_back: [false; PLACES],
            fences: [const { None }; 2],
            sweep: store.lease(&lease).await.unwrap().unwrap(),
            holders: 0,
            lapsed: false,
        }
    }

    async fn take(&mut self, state: &State, next: &State, step: Step) -> Outcome {
        self.now += TimeDelta::seconds(1);
        let digest = self.blob.digest;
        let pusher = step.pusher().map_or(Pusher::Idle, |who| state.pushers[who]);
        match (step, pusher) {
            (Step::Begin(_, place), _) => {
                let begun = Session {
                    id: self.uploads[place].clone(),
                    repository: REPOSITORIES[PUSHED].parse().unwrap(),
                    owner: Caller::Anonymous,
                    algorithm: Algorithm::Sha256,
                    begun: self.now,
                    offset: 0,
                };
                self.bytes.begin(&begun).await.unwrap();
                let body = self.blob.bytes.clone().into();
                self.bytes.append(&begun.id, 0, body, self.now).await.unwrap();
                Outcome::Done
            }
            (Step::Resume(_, place), _) => match self.bytes.find(&self.uploads[place]).await.unwrap() {
                Some(_) => Outcome::Done,
                None => Outcome::Unknown,
            },
            (Step::Finish(_), Pusher::Finishing(place)) => {
                match self.bytes.finish(&self.uploads[place], &digest).await {
                    Ok(stored) => {
                        self.stored[place] = Some(stored);
                        Outcome::Done
                    }
                    Err(FinishError::Unknown) => Outcome::Unknown,
                    Err(error) => panic!("{error:?}"),
                }
            }
            (Step::LinkStored(_), Pusher::Linking(place)) => {
                let change = Change::LinkStored(self.stored[place].clone().unwrap());
                self.commit(PUSHED, Vec::new(), change).await
            }
            (Step::ForgetUpload(_), Pusher::Forgetting(place)) => self.forget(place).await,
            (Step::AskToMount(_), _) => Outcome::Answer(self.holds(PUSHED).await),
            (Step::Mount(_), _) => {
                let repository = REPOSITORIES[PUSHED].parse().unwrap();
                let requires = vec![Require::BlobLinkedIn { repository, digest }];
                self.commit(MOUNTED, requires, Change::LinkExisting(digest)).await
            }
            (Step::Renew(repository), _) => {
                let requires = vec![Require::BlobLinked(digest)];
                self.commit(repository, requires, Change::LinkExisting(digest)).await
            }
            (Step::Name, _) => {
                let change = Change::PutManifest(self.manifest.record());
                self.commit(PUSHED, vec![Require::BlobLinked(digest)], change).await
            }
            (Step::Unlink(repository), _) => {
                let requires = vec![Require::BlobLinked(digest), Require::BlobUnnamed(digest)];
                self.commit(repository, requires, Change::UnlinkBlob(digest)).await
            }
            (Step::Unname, _) => {
                let manifest = self.manifest.digest();
                let requires = vec![Require::ManifestPresent(manifest)];
                self.commit(PUSHED, requires, Change::RemoveManifest(manifest)).await
            }
            (Step::RemoveRepository, _) => self.commit(PUSHED, Vec::new(), Change::RemoveRepository).await,
            (Step::Cancel(place), _) => self.abandon(place).await,
            (Step::FindKept(place), _) => self.find_kept(place).await,
            (Step::FindRotten | Step::ScrubberEnds | Step::Rot | Step::PusherEnds(_), _) => Outcome::Done,
            (Step::SetAside | Step::AskOfKept | Step::DiscardKept | Step::DeleteAgain, _) => {
                self.scrub(state.scrubber).await
            }
            (Step::PowerFails(place), _) => {
                match next.places[place].bytes == state.places[place].bytes {
                    true => self.bytes.forget(&self.uploads[place]).await.unwrap(),
                    false => self.is_back[place] = true,
                }
                Outcome::Done
            }
            (Step::LeaseLapses, _) => {
                self.lapsed = true;
                Outcome::Done
            }
            (Step::Trim, _) => {
                self.store.trim_spent(self.now, 100.try_into().unwrap()).await.unwrap();
                Outcome::Done
            }
            (step, _) => self.look_after(state, next, step).await,
        }
    }

    /// Whatever is there is listed; and where its digest is not told, as a stray may be once no upload knows of it.
    async fn find_kept(&self, place: usize) -> Outcome {
        if !self.is_back[place] {
            let listed: Vec<_> = self.bytes.list().try_collect().await.unwrap();
            let location = &self.stored[place].as_ref().unwrap().location;
            let found = listed.iter().find(|listed| listed.location == *location).unwrap();
            let is_known = self.bytes.find(&self.uploads[place]).await.unwrap().is_some();
            match found.brought {
                Some(Brought { digest: Some(digest), .. }) => assert_eq!(digest, self.blob.digest),
                brought => assert_eq!(brought.is_none(), is_known),
            }
        }
        Outcome::Done
    }

    async fn scrub(&mut self, scrubber: Scrubber) -> Outcome {
        let stored = |place: usize| self.stored[place].as_ref().unwrap();
        match scrubber {
            Scrubber::Idle => panic!("nobody scrubs"),
            Scrubber::SettingAside(place) => {
                self.store.quarantine(&self.blob.digest, &stored(place).location).await.unwrap();
                Outcome::Done
            }
            Scrubber::Asking(place) => {
                let content = self.store.content_state(&self.blob.digest, &stored(place).location).await;
                Outcome::Content(known(content.unwrap()))
            }
            Scrubber::Discarding(place) => {
                let is_stray = self.store.discard_stray(stored(place), self.now, &self.sweep).await;
                Outcome::Answer(is_stray.unwrap())
            }
            Scrubber::DeletingAgain(place) => self.delete(place).await,
        }
    }

    async fn delete(&mut self, place: usize) -> Outcome {
        self.bytes.delete(&self.stored[place].as_ref().unwrap().location).await.unwrap();
        self.is_back[place] = false;
        Outcome::Done
    }

    async fn look_after(&mut self, state: &State, next: &State, step: Step) -> Outcome {
        let limit = 100.try_into().unwrap();
        let (Step::Hold(who)
        | Step::Release(who)
        | Step::Discard(who)
        | Step::ListGarbage(who)
        | Step::Delete(who)
        | Step::Spend(who)
        | Step::FindIdle(who, _)
        | Step::Abandon(who)
        | Step::DiscardStray(who)
        | Step::ForgetStray(who)
        | Step::CaretakerEnds(who)) = step
        else {
            panic!("{step:?} of nobody");
        };
        let fence = self.fences[who].clone();
        let fence = || fence.clone().unwrap();
        let outcome = match (step, state.caretakers[who]) {
            (Step::Hold(_), _) => return self.hold(who).await,
            (Step::Release(_), _) => {
                let unused = Unused { manifests_before: None, links_before: self.now, at: self.now };
                let released = self.store.release_unused(&unused, &fence(), limit).await;
                unless_fenced(released.map(|released| Outcome::Count(released.links)))
            }
            (Step::Discard(_), _) => {
                let discarded = self.store.discard_unlinked(self.now, self.now, &fence(), limit).await;
                unless_fenced(discarded.map(Outcome::Count))
            }
            (Step::ListGarbage(_), _) => Outcome::Garbage(self.garbage().await),
            (Step::Delete(_), Caretaker::Deleting { left, .. }) => self.delete(left.first().unwrap()).await,
            (Step::Spend(_), Caretaker::Spending(listed)) => {
                let stored = listed.each().map(|place| self.stored[place].as_ref().unwrap());
                let locations: Vec<_> = stored.map(|stored| stored.location.clone()).collect();
                let spent = self.store.forget_garbage(&locations, self.now, &fence()).await;
                unless_fenced(spent.map(|()| Outcome::Done))
            }
            (Step::FindIdle(_, place), _) => {
                let idle: Vec<_> = self.bytes.idle_since(self.now).try_collect().await.unwrap();
                return Outcome::Answer(idle.iter().any(|idle| idle.id == self.uploads[place]));
            }
            (Step::Abandon(_), Caretaker::Abandoning(place)) => return self.abandon(place).await,
            (Step::DiscardStray(_), Caretaker::DiscardingStray(place)) => {
                let stored = self.stored[place].as_ref().unwrap();
                let is_stray = self.store.discard_stray(stored, self.now, &self.sweep).await.unwrap();
                return Outcome::Answer(is_stray);
            }
            (Step::ForgetStray(_), Caretaker::ForgettingStray(place)) => return self.forget(place).await,
            (Step::CaretakerEnds(_), _) => return Outcome::Done,
            (step, caretaker) => panic!("{step:?} of {caretaker:?}"),
        };
        if outcome != Outcome::Fenced && next.caretakers[who] == Caretaker::Idle {
            self.store.release_lease(&fence()).await.unwrap();
        }
        outcome
    }

    async fn hold(&mut self, who: usize) -> Outcome {
        self.holders += 1;
        let until = minute(1_000_000);
        let now = if self.lapsed { until } else { self.now };
        let holder = format!("process {}", self.holders);
        match self.store.lease(&Lease { name: "collection", holder: &holder, now, until }).await.unwrap() {
            Some(fence) => {
                (self.fences[who], self.lapsed) = (Some(fence), false);
                Outcome::Done
            }
            None => Outcome::Held,
        }
    }

    async fn commit(&self, repository: usize, requires: Vec<Require>, change: Change) -> Outcome {
        let commit = Commit {
            repository: REPOSITORIES[repository].parse().unwrap(),
            actor: Actor::Caller(Caller::Anonymous),
            origin: Origin::default(),
            at: self.now,
            requires,
            changes: vec![change],
        };
        match self.store.commit(commit).await {
            Ok(_) => Outcome::Done,
            Err(CommitError::Unmet(_)) => Outcome::Unmet,
            Err(CommitError::BytesGone(_)) => Outcome::BytesGone,
            Err(CommitError::Store(error)) => panic!("{error:?}"),
        }
    }

    async fn forget(&self, place: usize) -> Outcome {
        self.bytes.forget(&self.uploads[place]).await.unwrap();
        Outcome::Done
    }

    async fn abandon(&self, place: usize) -> Outcome {
        match self.bytes.abandon(&self.uploads[place]).await {
            Ok(()) => Outcome::Done,
            Err(AbandonError::Finished(_)) => Outcome::Finished,
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn holds(&self, repository: usize) -> bool {
        let name = REPOSITORIES[repository].parse().unwrap();
        self.store.blob(&name, &self.blob.digest).await.unwrap().is_some()
    }

    /// What is listed by now.
    async fn garbage(&self) -> Places {
        let page = Page { after: None, limit: 100.try_into().unwrap() };
        let after_now = self.now + TimeDelta::seconds(1);
        let listed = self.store.garbage(after_now, &page).await.unwrap();
        let is_listed = |place: &usize| {
            self.stored[*place].as_ref().is_some_and(|stored| listed.contains(&stored.location))
        };
        (0..PLACES).filter(is_listed).fold(Places::default(), Places::with)
    }

    /// Compares whatever can be asked.
    async fn is_as(&self, state: &State, so_far: impl Fn() -> String) {
        let digest = &self.blob.digest;
        let same = |what: &dyn Debug, is: &dyn Debug, should: &dyn Debug| {
            assert_eq!(format!("{is:?}"), format!("{should:?}"), "{what:?} {}", so_far());
        };
        for repository in [PUSHED, MOUNTED] {
            same(&("holds", repository), &self.holds(repository).await, &state.holds(repository));
        }
        let page = Page { after: None, limit: 100.try_into().unwrap() };
        let records = self.store.records(&page).await.unwrap();
        let records: Vec<_> = records.iter().map(|record| (&record.stored, record.quarantined)).collect();
        let expected =
            state.record.map(|record| (self.stored[record.place].as_ref().unwrap(), record.quarantined));
        same(&"records", &records, &Vec::from_iter(expected));
        same(&"garbage", &self.garbage().await, &state.garbage());
        let named = Reference::Digest(self.manifest.digest());
        let pushed = REPOSITORIES[PUSHED].parse().unwrap();
        let manifest = self.store.resolve(&pushed, &named, WithBytes::No).await.unwrap();
        same(&"the manifest is there", &manifest.is_some(), &state.named);
        for (place, at) in state.places.iter().enumerate() {
            let upload = self.bytes.find(&self.uploads[place]).await.unwrap();
            let is_known = matches!(at.upload, Upload::Open | Upload::Finished);
            same(&("upload", place), &upload.is_some(), &is_known);
            let Some(stored) = &self.stored[place] else { continue };
            let bytes = self.bytes.stat(&stored.location).await.unwrap();
            let is_there = bytes.is_some() || self.is_back[place];
            same(&("bytes", place), &is_there, &(at.bytes != Bytes::Absent));
            let content = self.store.content_state(digest, &stored.location).await.unwrap();
            same(&("content", place), &known(content), &state.known(place));
        }
    }
}

fn known(content: ContentState) -> Known {
    match content {
        ContentState::Recorded => Known::Recorded,
        ContentState::Listed => Known::Listed,
        ContentState::Spent => Known::Spent,
        ContentState::Unknown => Known::Nothing,
    }
}

fn unless_fenced(outcome: Result<Outcome, swr_core::ports::StoreError>) -> Outcome {
    match outcome {
        Ok(outcome) => outcome,
        Err(error) if error.kind() == StoreErrorKind::Fenced => Outcome::Fenced,
        Err(error) => panic!("{error:?}"),
    }
}
