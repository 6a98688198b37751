//! Everything read again: what is broken is set aside, what nobody knows is removed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use swr_policy::RepositoryName;
use tracing::{error, instrument, warn};

use super::caretaker::{Caretaker, Held};
use super::collect::BATCH;
use crate::caller::Task;
use crate::commit::{BlobLocation, RepositoryId, StoredBlob};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::planted::is_planted;
use crate::ports::{BlobRecord, ContentState, KeptManifest, ListedBlob, Page, StoreError, StoreErrorKind};
use crate::stream::BodyError;

/// How fast a scrub may read.
#[async_trait]
pub trait Pace: Send + Sync {
    /// So many more bytes have been read: comes back when reading may go on.
    async fn after(&self, bytes: u64);

    /// When the next pass may begin, of whichever process, once this one is over; `None` for at once.
    fn next_pass(&self) -> Option<DateTime<Utc>> {
        None
    }
}

/// Reads as fast as it can.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to be said")]
pub struct Unpaced;

#[async_trait]
impl Pace for Unpaced {
    async fn after(&self, _: u64) {}
}

/// How far a pass over everything has come; the default is its start. Whoever runs the passes keeps it between two
/// steps, so that one that was interrupted goes on where it was. In time it may name what is gone: the next step goes
/// on behind that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScrubCursor(Place);

/// Content comes first, then manifests, then what is in the blob store and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Blobs(Option<Digest>),
    Manifests(Option<(RepositoryId, Digest)>),
    Strays,
}

impl Default for Place {
    fn default() -> Self {
        Self::Blobs(None)
    }
}

/// What a step of a scrub has done.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Scrubbed {
    /// Contents that were looked at, sound or not.
    pub blobs: u64,
    /// Bytes that were read of them.
    pub bytes: u64,
    /// Manifests that were looked at, sound or not.
    pub manifests: u64,
    /// What is not as it should be; at most some thousands.
    pub findings: Vec<Finding>,
    /// Where the next step begins; `None` when this pass over everything is over.
    pub next: Option<ScrubCursor>,
}

impl Scrubbed {
    fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }

    /// How much is asked for of a page that cannot be read; `None` where not even its first row can, which is told:
    /// nobody knows where the next one is.
    fn less(&mut self, limit: NonZeroU32, error: StoreError) -> Result<Option<NonZeroU32>, StoreError> {
        if error.kind() != StoreErrorKind::Corrupt {
            return Err(error);
        }
        let half = NonZeroU32::new(limit.get() / 2);
        if half.is_none() {
            self.fail(error);
        }
        Ok(half)
    }

    /// Notes that some of what is kept could not be looked at. The pass goes on.
    fn fail(&mut self, error: StoreError) {
        warn!(?error, "some of what is kept could not be looked at");
        self.findings.push(Finding::Fault { location: None, error });
    }
}

/// Something that is not as it should be.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finding {
    /// Content was set aside: it is unknown to readers until a push brings it again.
    Quarantined {
        /// What it should be.
        blob: StoredBlob,
        /// What is wrong with it.
        damage: Damage,
    },
    /// Content was set aside some time ago, and no push has brought it again.
    Unhealed(StoredBlob),
    /// A manifest is not what its digest says. A push of it mends it.
    BrokenManifest {
        /// Whose it is.
        repository: RepositoryName,
        /// What its bytes should hash to.
        digest: Digest,
    },
    /// Content that nobody knows, older than an unfinished upload may grow: it is garbage from here on.
    Stray {
        /// Where it is.
        location: BlobLocation,
        /// Its length in bytes.
        size: u64,
    },
    /// Something could not be looked at, and is left for the next pass.
    Fault {
        /// Where it is, if that is known.
        location: Option<BlobLocation>,
        /// Why not.
        error: StoreError,
    },
}

impl Finding {
    /// Its name in metrics and reports.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Quarantined { .. } => "quarantined",
            Self::Unhealed(_) => "unhealed",
            Self::BrokenManifest { .. } => "broken_manifest",
            Self::Stray { .. } => "stray",
            Self::Fault { .. } => "fault",
        }
    }
}

/// What is wrong with content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It is not there.
    #[error("is not there")]
    Missing,
    /// It has another length, in bytes.
    #[error("has {0} bytes")]
    Length(u64),
    /// It hashes to something else.
    #[error("has the digest {0}")]
    Hash(Digest),
    /// The store says that it is damaged.
    #[error("cannot be read")]
    Unreadable,
}

/// How much one step reads, in bytes, unless the first content that it reads is larger.
const STEP_BYTES: u64 = 256 << 20;

/// After how many bytes the pace is asked at the latest, so that the lease outlasts the wait.
const PACED_BYTES: u64 = 256 << 10;

/// How many contents may be missing, whatever part of those that were looked for they are.
const MISSING_MIN: usize = 8;

/// Bytes do not get lost in such numbers: it is the wrong store that was asked.
#[derive(Debug, thiserror::Error)]
#[error(
    "{missing} of {read} contents are not there: the blob store is another one, or behind; nothing is set aside"
)]
struct MostIsMissing {
    missing: usize,
    read: usize,
}

/// Content does not get unknown in such numbers: it is the wrong records that were asked.
#[derive(Debug, thiserror::Error)]
#[error(
    "{unknown} of {listed} contents are known to nobody: the records are others' than the blob store's, or behind; \
     nothing is discarded"
)]
struct MostIsUnknown {
    unknown: usize,
    listed: usize,
}

/// How much is looked for in the records at once, in bytes of locations: up to ten times as much in memory.
const UNREAD_BYTES: usize = 4 << 20;

/// How many manifests one step asks for.
const MANIFESTS: NonZeroU32 = NonZeroU32::new(100).expect("100 is not zero");

/// How many findings one step makes among what nobody knows.
const FINDINGS_MAX: usize = 5_000;

/// What became of reading content.
enum Hashed {
    As(Digest),
    Absent,
    Failed(StoreError),
}

/// How it stands with content.
enum Verdict {
    Sound,
    Damaged(Damage),
    Fault(StoreError),
}

impl Caretaker<'_> {
    /// One step of a pass over everything that is kept: the bytes of each content are read and hashed, and compared
    /// with what its record says; so are manifests; and content that neither a record nor the list of garbage knows
    /// becomes garbage once it is twice as old as [`Limits::upload_idle`](super::Limits::upload_idle). `None` when
    /// another process is at a pass, or was and the [next](Pace::next_pass) is not due. A pass that is not gone on with
    /// for some minutes is nobody's, and another process may begin one.
    ///
    /// What is broken or lost is set aside, and answers as unknown until a push brings it again. What merely could not
    /// be read is left alone, and told. No client waits for a scrub.
    ///
    /// Where most of what a step has looked for is not there, and that is eight contents at least, the blob store is
    /// rather another one than it should be, or behind: nothing is set aside, and the error is
    /// [`StoreErrorKind::Unavailable`]. Where most of what the blob store has is unknown, and only its bytes tell what
    /// digest it has, the records are rather others: nothing of it is discarded, and a fault is told.
    #[instrument(level = "debug", skip_all, fields(task = self.task().as_str()))]
    pub async fn scrub(&self, from: &ScrubCursor, pace: &dyn Pace) -> Result<Option<Scrubbed>, StoreError> {
        let Some(mut held) = self.parts.hold(Task::Scrub.as_str()).await? else {
            return Ok(None);
        };
        let mut scrubbed = Scrubbed::default();
        let next = match &from.0 {
            Place::Blobs(after) => self.scrub_blobs(*after, pace, &mut held, &mut scrubbed).await?,
            Place::Manifests(after) => self.scrub_manifests(*after, pace, &mut held, &mut scrubbed).await?,
            Place::Strays => self.discard_strays(pace, &mut held, &mut scrubbed).await?,
        };
        scrubbed.next = next.map(ScrubCursor);
        match (&scrubbed.next, pace.next_pass()) {
            // The pass is this process's until the next step.
            (Some(_), _) => {}
            (None, Some(at)) => held.rest(at).await?,
            (None, None) => held.release().await?,
        }
        Ok(Some(scrubbed))
    }

    /// Content, as its records say where it is.
    async fn scrub_blobs(
        &self,
        mut after: Option<Digest>,
        pace: &dyn Pace,
        held: &mut Held<'_>,
        scrubbed: &mut Scrubbed,
    ) -> Result<Option<Place>, StoreError> {
        let mut page = Page { after, limit: BATCH };
        let records = loop {
            match self.parts.manifests.records(&page).await {
                Ok(records) => break records,
                Err(error) => match scrubbed.less(page.limit, error)? {
                    Some(limit) => page.limit = limit,
                    None => break Vec::new(),
                },
            }
        };
        if records.is_empty() {
            return Ok(Some(Place::Manifests(None)));
        }
        let (mut read, mut damaged) = (0, Vec::new());
        for BlobRecord { stored, quarantined } in records {
            after = Some(stored.digest);
            scrubbed.blobs += 1;
            if quarantined {
                scrubbed.findings.push(Finding::Unhealed(stored));
                continue;
            }
            read += 1;
            match self.verdict(&stored, pace, held, &mut scrubbed.bytes).await? {
                Verdict::Sound => {}
                Verdict::Damaged(damage) => damaged.push((stored, damage)),
                Verdict::Fault(error) => {
                    warn!(?error, digest = %stored.digest, "content could not be looked at");
                    scrubbed.findings.push(Finding::Fault { location: Some(stored.location), error });
                }
            }
            if scrubbed.bytes >= STEP_BYTES {
                break;
            }
        }
        let mut missing = 0;
        for (blob, damage) in &damaged {
            missing += usize::from(*damage == Damage::Missing && self.is_recorded(blob).await?);
        }
        if missing >= MISSING_MIN && missing > read / 2 {
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "scrub",
                MostIsMissing { missing, read },
            ));
        }
        for (blob, damage) in damaged {
            scrubbed.findings.extend(self.set_aside(blob, damage).await?);
        }
        Ok(Some(Place::Blobs(after)))
    }

    /// Reads content to its end.
    async fn verdict(
        &self,
        stored: &StoredBlob,
        pace: &dyn Pace,
        held: &mut Held<'_>,
        bytes: &mut u64,
    ) -> Result<Verdict, StoreError> {
        let fault = |error: StoreError| match error.kind() {
            StoreErrorKind::Corrupt => Ok(Verdict::Damaged(Damage::Unreadable)),
            _ => Ok(Verdict::Fault(error)),
        };
        match self.parts.blobs.stat(&stored.location).await {
            Ok(None) => return Ok(Verdict::Damaged(Damage::Missing)),
            Ok(Some(stat)) if stat.size != stored.size => {
                return Ok(Verdict::Damaged(Damage::Length(stat.size)));
            }
            Ok(Some(_)) => {}
            Err(error) => return fault(error),
        }
        match self.hash(&stored.location, stored.size, stored.digest.algorithm(), pace, held, bytes).await? {
            Hashed::As(actual) if actual == stored.digest || is_planted("a scrub that trusts") => {
                Ok(Verdict::Sound)
            }
            Hashed::As(actual) => Ok(Verdict::Damaged(Damage::Hash(actual))),
            Hashed::Absent => Ok(Verdict::Damaged(Damage::Missing)),
            Hashed::Failed(error) => fault(error),
        }
    }

    /// Reads content to its end, at the pace.
    async fn hash(
        &self,
        location: &BlobLocation,
        size: u64,
        algorithm: Algorithm,
        pace: &dyn Pace,
        held: &mut Held<'_>,
        bytes: &mut u64,
    ) -> Result<Hashed, StoreError> {
        let mut body = match self.parts.blobs.read(location, 0..size).await {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(Hashed::Absent),
            Err(error) => return Ok(Hashed::Failed(error)),
        };
        let mut hasher = Hasher::new(algorithm);
        while let Some(chunk) = body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(BodyError::Store(error)) => return Ok(Hashed::Failed(error)),
                Err(error) => {
                    let failed = StoreError::new(StoreErrorKind::Other, "blobs.read", error);
                    return Ok(Hashed::Failed(failed));
                }
            };
            hasher.update(&chunk);
            *bytes += chunk.len() as u64;
            held.keep_pace(pace, chunk.len() as u64).await?;
        }
        Ok(Hashed::As(hasher.finish()))
    }

    /// Sets content aside, unless its record is elsewhere by now, or gone: then its bytes may rightly be.
    async fn set_aside(&self, blob: StoredBlob, damage: Damage) -> Result<Option<Finding>, StoreError> {
        if !self.is_recorded(&blob).await? {
            return Ok(None);
        }
        let StoredBlob { digest, location, .. } = &blob;
        self.parts.manifests.quarantine(digest, location).await?;
        error!(%digest, %location, %damage, "content is unknown until it is pushed again");
        Ok(Some(Finding::Quarantined { blob, damage }))
    }

    async fn is_recorded(&self, blob: &StoredBlob) -> Result<bool, StoreError> {
        let state = self.parts.manifests.content_state(&blob.digest, &blob.location).await?;
        Ok(state == ContentState::Recorded)
    }

    async fn scrub_manifests(
        &self,
        mut after: Option<(RepositoryId, Digest)>,
        pace: &dyn Pace,
        held: &mut Held<'_>,
        scrubbed: &mut Scrubbed,
    ) -> Result<Option<Place>, StoreError> {
        let mut page = Page { after, limit: MANIFESTS };
        let manifests = loop {
            match self.parts.manifests.kept_manifests(&page).await {
                Ok(manifests) => break manifests,
                Err(error) => match scrubbed.less(page.limit, error)? {
                    Some(limit) => page.limit = limit,
                    None => break Vec::new(),
                },
            }
        };
        if manifests.is_empty() {
            return Ok(Some(Place::Strays));
        }
        for KeptManifest { repository, name, digest, bytes } in manifests {
            after = Some((repository, digest));
            scrubbed.manifests += 1;
            scrubbed.bytes += bytes.len() as u64;
            if digest.algorithm().digest(&bytes) != digest {
                error!(repository = %name, %digest, "a manifest is not what its digest says");
                scrubbed.findings.push(Finding::BrokenManifest { repository: name, digest });
            }
            held.keep_pace(pace, bytes.len() as u64).await?;
        }
        Ok(Some(Place::Manifests(after)))
    }

    /// Content that only the blob store knows. An upload that is under way is younger; one that was left has been swept.
    async fn discard_strays(
        &self,
        pace: &dyn Pace,
        held: &mut Held<'_>,
        scrubbed: &mut Scrubbed,
    ) -> Result<Option<Place>, StoreError> {
        let grace = self.parts.limits.upload_idle.checked_mul(2);
        let Some(before) = grace.and_then(|grace| self.ago(grace)) else {
            return Ok(None);
        };
        let mut unread = Unread::default();
        let mut listed = self.parts.blobs.list();
        while let Some(found) = listed.next().await {
            if scrubbed.is_full() {
                break;
            }
            held.prolong().await?;
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    scrubbed.fail(error);
                    continue;
                }
            };
            let Some(brought) = found.brought.filter(|brought| brought.at < before) else { continue };
            let ListedBlob { location, size, .. } = found;
            match brought.digest {
                Some(digest) => {
                    self.discard_stray(StoredBlob { digest, size, location }, held, scrubbed).await?
                }
                None => {
                    let kin = self.kin(&location).to_owned();
                    unread.add(kin, location, size);
                    let is_enough = unread.weight >= UNREAD_BYTES;
                    if is_enough
                        && !self.discard_unnamed(std::mem::take(&mut unread), pace, held, scrubbed).await?
                    {
                        return Ok(None);
                    }
                }
            }
        }
        // Few of many say nothing of whether the records are the right ones.
        if !scrubbed.is_full() {
            self.discard_unnamed(unread, pace, held, scrubbed).await?;
        }
        // What is garbage by now is not found again; faults alone would be, for ever.
        let is_found = |finding: &Finding| matches!(finding, Finding::Stray { .. });
        let goes_on = scrubbed.is_full() && scrubbed.findings.iter().any(is_found);
        Ok(goes_on.then_some(Place::Strays))
    }

    /// Discards what is a stray among content whose digest only its bytes tell. No upload knew of it when it was listed,
    /// so that it is recorded by now, or never. Where most of it is not, it is rather the wrong records that were asked:
    /// says whether they can be relied on.
    async fn discard_unnamed(
        &self,
        Unread { mut by_kin, .. }: Unread,
        pace: &dyn Pace,
        held: &mut Held<'_>,
        scrubbed: &mut Scrubbed,
    ) -> Result<bool, StoreError> {
        let listed = by_kin.len();
        let mut page = Page { after: None, limit: BATCH };
        while !by_kin.is_empty() {
            held.prolong().await?;
            let records = match self.parts.manifests.records(&page).await {
                Ok(records) => records,
                // What it names is not known.
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    scrubbed.fail(error);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            let Some(last) = records.last() else { break };
            page.after = Some(last.stored.digest);
            for BlobRecord { stored, .. } in &records {
                by_kin.remove(self.kin(&stored.location));
            }
        }
        let mut page = Page { after: None, limit: BATCH };
        while !by_kin.is_empty() {
            held.prolong().await?;
            let garbage = self.parts.manifests.garbage(self.parts.now(), &page).await?;
            let Some(last) = garbage.last() else { break };
            page.after = Some(last.clone());
            for location in &garbage {
                by_kin.remove(self.kin(location));
            }
        }
        let unknown = by_kin.len();
        if unknown >= MISSING_MIN && unknown > listed / 2 {
            let error = MostIsUnknown { unknown, listed };
            scrubbed.fail(StoreError::new(StoreErrorKind::Unavailable, "scrub", error));
            return Ok(false);
        }
        for (location, size) in by_kin.into_values().flatten() {
            if scrubbed.is_full() {
                break;
            }
            match self.hash(&location, size, Algorithm::Sha256, pace, held, &mut scrubbed.bytes).await? {
                Hashed::As(digest) => {
                    self.discard_stray(StoredBlob { digest, size, location }, held, scrubbed).await?;
                }
                Hashed::Absent => {}
                Hashed::Failed(error) => {
                    warn!(?error, %location, "content that nobody knows could not be read");
                    scrubbed.findings.push(Finding::Fault { location: Some(location), error });
                }
            }
        }
        Ok(true)
    }

    fn kin<'a>(&self, location: &'a BlobLocation) -> &'a str {
        match is_planted("parts taken for strays") {
            true => location.as_str(),
            false => self.parts.blobs.kin(location),
        }
    }

    /// Makes garbage of content, unless it is somebody's or garbage already.
    async fn discard_stray(
        &self,
        stored: StoredBlob,
        held: &Held<'_>,
        scrubbed: &mut Scrubbed,
    ) -> Result<(), StoreError> {
        let (manifests, StoredBlob { digest, size, location }) = (&self.parts.manifests, &stored);
        let gone = match manifests.content_state(digest, location).await? {
            ContentState::Recorded | ContentState::Listed => return Ok(()),
            // It was deleted, and a power cut took that back. No commit can name it.
            ContentState::Spent => self.parts.blobs.delete(location).await,
            ContentState::Unknown if is_planted("strays overlooked") => return Ok(()),
            ContentState::Unknown => {
                match manifests.discard_stray(&stored, self.parts.now(), &held.fence).await? {
                    true => Ok(()),
                    false => return Ok(()),
                }
            }
        };
        let size = *size;
        scrubbed.findings.push(match gone {
            Ok(()) => {
                warn!(%location, size, "content that nobody knows is garbage now");
                Finding::Stray { location: stored.location, size }
            }
            Err(error) => Finding::Fault { location: Some(stored.location), error },
        });
        Ok(())
    }
}

impl Held<'_> {
    /// Waits as the pace has it, and prolongs the lease meanwhile.
    async fn keep_pace(&mut self, pace: &dyn Pace, bytes: u64) -> Result<(), StoreError> {
        let mut left = bytes;
        while left > 0 {
            let some = left.min(PACED_BYTES);
            pace.after(some).await;
            self.prolong().await?;
            left -= some;
        }
        Ok(())
    }
}

/// Content whose digest only its bytes tell, by its [kin](crate::ports::BlobStore::kin): a record that names one of them
/// may have the bytes of all.
#[derive(Default)]
struct Unread {
    by_kin: BTreeMap<String, Vec<(BlobLocation, u64)>>,
    /// How long the locations are, in bytes.
    weight: usize,
}

impl Unread {
    fn add(&mut self, kin: String, location: BlobLocation, size: u64) {
        self.weight += location.as_str().len();
        self.by_kin.entry(kin).or_default().push((location, size));
    }
}
