//! Everything read again: what is broken is set aside, what nobody knows is removed.

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
use crate::digest::{Digest, Hasher};
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

/// How many manifests one step asks for.
const MANIFESTS: NonZeroU32 = NonZeroU32::new(100).expect("100 is not zero");

/// How many findings one step makes among what nobody knows.
const FINDINGS_MAX: usize = 5_000;

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
    /// [`StoreErrorKind::Unavailable`].
    #[instrument(level = "debug", skip_all, fields(task = self.task().as_str()))]
    pub async fn scrub(&self, from: &ScrubCursor, pace: &dyn Pace) -> Result<Option<Scrubbed>, StoreError> {
        let Some(mut held) = self.parts.hold(Task::Scrub.as_str()).await? else {
            return Ok(None);
        };
        let mut scrubbed = Scrubbed::default();
        let next = match &from.0 {
            Place::Blobs(after) => self.scrub_blobs(*after, pace, &mut held, &mut scrubbed).await?,
            Place::Manifests(after) => self.scrub_manifests(*after, pace, &mut scrubbed).await?,
            Place::Strays => self.discard_strays(&mut held, &mut scrubbed).await?,
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
        let records = self.parts.manifests.records(&Page { after, limit: BATCH }).await?;
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
        let blobs = &self.parts.blobs;
        match blobs.stat(&stored.location).await {
            Ok(None) => return Ok(Verdict::Damaged(Damage::Missing)),
            Ok(Some(stat)) if stat.size != stored.size => {
                return Ok(Verdict::Damaged(Damage::Length(stat.size)));
            }
            Ok(Some(_)) => {}
            Err(error) => return fault(error),
        }
        let mut body = match blobs.read(&stored.location, 0..stored.size).await {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(Verdict::Damaged(Damage::Missing)),
            Err(error) => return fault(error),
        };
        let mut hasher = Hasher::new(stored.digest.algorithm());
        while let Some(chunk) = body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(BodyError::Store(error)) => return fault(error),
                Err(error) => return fault(StoreError::new(StoreErrorKind::Other, "blobs.read", error)),
            };
            hasher.update(&chunk);
            *bytes += chunk.len() as u64;
            pace.after(chunk.len() as u64).await;
            held.prolong().await?;
        }
        let actual = hasher.finish();
        let is_sound = actual == stored.digest || is_planted("a scrub that trusts");
        Ok(if is_sound { Verdict::Sound } else { Verdict::Damaged(Damage::Hash(actual)) })
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
        scrubbed: &mut Scrubbed,
    ) -> Result<Option<Place>, StoreError> {
        let manifests = self.parts.manifests.kept_manifests(&Page { after, limit: MANIFESTS }).await?;
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
            pace.after(bytes.len() as u64).await;
        }
        Ok(Some(Place::Manifests(after)))
    }

    /// Content that only the blob store knows. An upload that is under way is younger; one that was left has been swept.
    async fn discard_strays(
        &self,
        held: &mut Held<'_>,
        scrubbed: &mut Scrubbed,
    ) -> Result<Option<Place>, StoreError> {
        let grace = self.parts.limits.upload_idle.checked_mul(2);
        let Some(before) = grace.and_then(|grace| self.ago(grace)) else {
            return Ok(None);
        };
        let manifests = &self.parts.manifests;
        let mut listed = self.parts.blobs.list();
        while let Some(found) = listed.next().await {
            if scrubbed.findings.len() >= FINDINGS_MAX {
                return Ok(Some(Place::Strays));
            }
            held.prolong().await?;
            let ListedBlob { location, size, brought } = match found {
                Ok(found) => found,
                Err(error) => {
                    warn!(?error, "some of what is kept could not be listed");
                    scrubbed.findings.push(Finding::Fault { location: None, error });
                    continue;
                }
            };
            let Some(brought) = brought.filter(|brought| brought.at < before) else { continue };
            let digest = brought.digest;
            let gone = match manifests.content_state(&digest, &location).await? {
                ContentState::Recorded | ContentState::Listed => continue,
                // It was deleted, and a power cut took that back. No commit can name it.
                ContentState::Spent => self.parts.blobs.delete(&location).await,
                ContentState::Unknown => {
                    let stray = StoredBlob { digest, size, location: location.clone() };
                    match manifests.discard_stray(&stray, self.parts.now(), &held.fence).await? {
                        true => Ok(()),
                        false => continue,
                    }
                }
            };
            scrubbed.findings.push(match gone {
                Ok(()) => {
                    warn!(%location, size, "content that nobody knows is garbage now");
                    Finding::Stray { location, size }
                }
                Err(error) => Finding::Fault { location: Some(location), error },
            });
        }
        Ok(None)
    }
}
