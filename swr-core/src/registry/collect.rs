//! What nobody needs: swept, released, discarded, deleted, forgotten.

use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use futures_util::future::join_all;
use tracing::{instrument, warn};

use super::caretaker::{Caretaker, Held};
use crate::caller::Task;
use crate::commit::BlobLocation;
use crate::ports::{AbandonError, Fence, Page, Released, StoreError, Unused};
use crate::upload::Upload;

/// What a sweep of uploads has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Uploads removed with what came of them.
    pub abandoned: u64,
    /// Finished uploads forgotten; content of theirs that nothing names has become garbage.
    pub forgotten: u64,
    /// Uploads left for the next time, because somebody is at work on them or a store failed.
    pub left: u64,
}

/// What a round of collection has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// What repositories let go of.
    pub released: Released,
    /// Records of content that no repository links any more, now garbage.
    pub discarded: u64,
    /// Locations whose content was deleted.
    pub deleted: u64,
    /// Locations whose content could not be deleted; they are tried again in the next round.
    pub undeletable: u64,
    /// Whether the round came to its bound: there may be more to do at once.
    pub more: bool,
}

/// How much one call to a store is asked to do.
pub(crate) const BATCH: NonZeroU32 = NonZeroU32::new(500).expect("500 is not zero");

/// How many calls of each kind one round makes.
const CALLS_MAX: u32 = 20;

/// How many locations are deleted at once, and forgotten in one commit.
const DELETED_AT_ONCE: usize = 16;

/// How many uploads one sweep looks at.
const SWEEP_MAX: usize = 10_000;

/// How long a location that was deleted stays known as spent, beyond the time that an upload may lie idle. A
/// request that finished its upload before has long ended by then, one way or the other.
const SPENT_KEEP: TimeDelta = TimeDelta::days(7);

impl Caretaker<'_> {
    /// Removes uploads without a byte since [`Limits::upload_idle`](super::Limits::upload_idle). `None` when
    /// another process is at it. An upload that cannot be removed stops none after it.
    #[instrument(level = "debug", skip_all, fields(task = self.task().as_str()))]
    pub async fn sweep_uploads(&self) -> Result<Option<Swept>, StoreError> {
        let Some(mut held) = self.parts.hold(Task::UploadSweep.as_str()).await? else {
            return Ok(None);
        };
        let mut swept = Swept::default();
        if let Some(cutoff) = self.ago(self.parts.limits.upload_idle) {
            let mut idle = self.parts.uploads.idle_since(cutoff).take(SWEEP_MAX);
            while let Some(upload) = idle.next().await {
                held.prolong().await?;
                let removed = match upload {
                    Ok(upload) => self.sweep(&upload, &held.fence).await,
                    Err(error) => Err(error),
                };
                match removed {
                    Ok(Removed::Abandoned) => swept.abandoned += 1,
                    Ok(Removed::Forgotten) => swept.forgotten += 1,
                    Ok(Removed::NotYet) => swept.left += 1,
                    Err(error) => {
                        warn!(?error, "an idle upload is left for the next sweep");
                        swept.left += 1;
                    }
                }
            }
        }
        held.release().await?;
        Ok(Some(swept))
    }

    async fn sweep(&self, upload: &Upload, fence: &Fence) -> Result<Removed, StoreError> {
        match self.parts.uploads.abandon(&upload.id).await {
            Ok(()) => Ok(Removed::Abandoned),
            Err(AbandonError::Busy) => Ok(Removed::NotYet),
            Err(AbandonError::Finished(stored)) => {
                // Once its content is listed as garbage no commit can name it any more, and only then may the
                // upload that knows of it go.
                self.parts.manifests.discard_stray(&stored, self.parts.now(), fence).await?;
                self.parts.uploads.forget(&upload.id).await?;
                Ok(Removed::Forgotten)
            }
            Err(AbandonError::Store(error)) => Err(error),
        }
    }

    /// One round of collection: repositories let go of what they no longer use, records that no repository
    /// links are discarded, and the content of what was discarded is deleted. `None` when another process is
    /// at it.
    ///
    /// No client waits for it, is refused because of it, or sees a blob vanish that its repository holds.
    /// What it costs follows what there is to collect, not what there is.
    #[instrument(level = "debug", skip_all, fields(task = self.task().as_str()))]
    pub async fn collect(&self) -> Result<Option<Collected>, StoreError> {
        let Some(mut held) = self.parts.hold(Task::Collection.as_str()).await? else {
            return Ok(None);
        };
        let mut collected = Collected::default();
        self.release_unused(&mut held, &mut collected).await?;
        self.discard_unlinked(&mut held, &mut collected).await?;
        self.delete_garbage(&mut held, &mut collected).await?;
        let idle = self.ago(self.parts.limits.upload_idle);
        if let Some(spent_before) = idle.and_then(|idle| idle.checked_sub_signed(SPENT_KEEP)) {
            self.parts.manifests.trim_spent(spent_before, BATCH).await?;
        }
        held.release().await?;
        Ok(Some(collected))
    }

    /// What repositories have not used for long enough.
    async fn release_unused(&self, held: &mut Held<'_>, collected: &mut Collected) -> Result<(), StoreError> {
        let limits = &self.parts.limits;
        let Some(links_before) = self.ago(limits.link_hold) else {
            return Ok(());
        };
        let manifests_before = limits.untagged_keep.and_then(|keep| self.ago(keep));
        for _ in 0..CALLS_MAX {
            held.prolong().await?;
            let unused = Unused { manifests_before, links_before, at: self.parts.now() };
            let released = self.parts.manifests.release_unused(&unused, &held.fence, BATCH).await?;
            if released.is_nothing() {
                return Ok(());
            }
            // What is let go of is in the log.
            self.parts.committed.send_replace(());
            collected.released.manifests += released.manifests;
            collected.released.links += released.links;
            collected.released.repositories += released.repositories;
        }
        collected.more = true;
        Ok(())
    }

    /// Content that no repository links: its place is garbage from here on.
    async fn discard_unlinked(
        &self,
        held: &mut Held<'_>,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        for _ in 0..CALLS_MAX {
            held.prolong().await?;
            let now = self.parts.now();
            match self.parts.manifests.discard_unlinked(now, now, &held.fence, BATCH).await? {
                0 => return Ok(()),
                discarded => collected.discarded += discarded,
            }
        }
        collected.more = true;
        Ok(())
    }

    /// Garbage that no reader can still be at. A location that cannot be deleted stops none after it.
    async fn delete_garbage(&self, held: &mut Held<'_>, collected: &mut Collected) -> Result<(), StoreError> {
        let reader_hold = TimeDelta::from_std(self.parts.blobs.reader_hold()).unwrap_or(TimeDelta::MAX);
        let Some(listed_before) = self.ago(reader_hold) else {
            return Ok(());
        };
        let mut page = Page { after: None, limit: BATCH };
        for _ in 0..CALLS_MAX {
            let garbage = self.parts.manifests.garbage(listed_before, &page).await?;
            let Some(last) = garbage.last() else {
                return Ok(());
            };
            page.after = Some(last.clone());
            for some in garbage.chunks(DELETED_AT_ONCE) {
                // A backup that holds the lease by now copies what is still there.
                held.prolong().await?;
                let deleted: Vec<_> = join_all(some.iter().map(|location| self.delete(location)))
                    .await
                    .into_iter()
                    .flatten()
                    .collect();
                collected.deleted += deleted.len() as u64;
                collected.undeletable += (some.len() - deleted.len()) as u64;
                if !deleted.is_empty() {
                    self.parts.manifests.forget_garbage(&deleted, self.parts.now(), &held.fence).await?;
                }
            }
        }
        collected.more = true;
        Ok(())
    }

    /// The location, when there is nothing at it any more.
    async fn delete(&self, location: &BlobLocation) -> Option<BlobLocation> {
        let deleted = self.parts.blobs.delete(location).await;
        deleted
            .inspect_err(|error| warn!(?error, %location, "garbage is left for the next round"))
            .ok()
            .map(|()| location.clone())
    }

    pub(super) fn ago(&self, time: TimeDelta) -> Option<DateTime<Utc>> {
        self.parts.now().checked_sub_signed(time)
    }
}

/// How an idle upload went.
enum Removed {
    Abandoned,
    Forgotten,
    NotYet,
}
