//! Manifests and blobs, out.

use std::ops::Range;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use swr_policy::RepositoryName;
use tracing::{instrument, warn};

use super::access::{Access, Permitted};
use crate::byte_range::{self, ByteRange};
use crate::commit::{Change, Require, StoredBlob};
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest::StoredManifest;
use crate::planted::is_planted;
use crate::ports::{Action, LinkedBlob, StoreError, StoreErrorKind, WithBytes};
use crate::reference::Reference;
use crate::stream::{BodyError, ByteStream};

/// A blob of no more bytes than this is small: once it was read it is remembered.
const SMALL_BYTES_MAX: usize = 16 << 10;
/// As many of them are remembered.
pub(super) const SMALL_BLOBS_MAX: usize = 512;
/// What has this digest now has it always.
const UNCHANGED: Option<u64> = Some(0);

/// A blob on its way out.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a door takes it apart")]
pub struct PulledBlob {
    /// What it is.
    pub digest: Digest,
    /// The length of the whole blob in bytes.
    pub size: u64,
    /// What was asked for.
    pub content: Content,
}

/// What was asked for of a blob.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a door answers for every one")]
pub enum Content {
    /// All of it: no range was asked for, or more of them than the registry serves.
    Whole(ByteStream),
    /// At least one part; none of them overlap or touch. Each with the bytes that it is, not empty.
    Parts(Vec<(Range<u64>, ByteStream)>),
    /// It may be read at this address for a short time, whatever the ranges.
    Redirect(String),
}

impl Access<'_> {
    /// The facts of a manifest, without its bytes.
    ///
    /// A manifest that nothing holds any more stays for at least half of
    /// [`Limits::untagged_keep`](super::Limits::untagged_keep) after this.
    #[instrument(level = "debug", skip_all, fields(%repository, %reference))]
    pub async fn stat_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<StoredManifest, Error> {
        let permitted = self.permit(Action::Pull, repository, &[]).await?;
        let found = permitted.manifest(reference, WithBytes::No).await?;
        permitted.keep_manifest(&found, reference).await?;
        Ok(found)
    }

    /// A manifest with its bytes. Counts as a pull, and lasts as after [`Self::stat_manifest`].
    #[instrument(level = "debug", skip_all, fields(%repository, %reference))]
    pub async fn pull_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<StoredManifest, Error> {
        let permitted = self.permit(Action::Pull, repository, &[]).await?;
        let found = permitted.manifest(reference, WithBytes::Yes).await?;
        match permitted.keep_manifest(&found, reference).await {
            // Its bytes are at hand: the puller has what it came for.
            Err(Error::Store(error)) => {
                warn!(?error, digest = %found.digest, "a pulled manifest was not kept")
            }
            kept => kept?,
        }
        permitted.parts.pulls.count(repository, reference, permitted.now());
        Ok(found)
    }

    /// A blob of the repository, without its bytes.
    ///
    /// The repository holds it for at least half of [`Limits::link_hold`](super::Limits::link_hold) after
    /// this, so that a client who is told of it need not push it.
    #[instrument(level = "debug", skip_all, fields(%repository, %digest))]
    pub async fn stat_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<StoredBlob, Error> {
        let permitted = self.permit(Action::Pull, repository, &[]).await?;
        let linked = permitted.blob(digest).await?.ok_or(Error::BlobUnknown { digest: *digest })?;
        permitted.keep_link(&linked).await?;
        Ok(linked.stored)
    }

    /// The bytes of a blob, or those of its bytes that the ranges mean: at most
    /// [`Limits::ranges_max`](super::Limits::ranges_max) parts after those that overlap or touch have become
    /// one.
    #[instrument(level = "debug", skip_all, fields(%repository, %digest))]
    pub async fn pull_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        ranges: &[ByteRange],
    ) -> Result<PulledBlob, Error> {
        let permitted = self.permit(Action::Pull, repository, &[]).await?;
        let mut stored = permitted.blob(digest).await?.ok_or(Error::BlobUnknown { digest: *digest })?.stored;
        let size = stored.size;
        let pulled = |content| Ok(PulledBlob { digest: *digest, size, content });

        if self.redirects()
            && let Some(address) = permitted.parts.blobs.direct_url(&stored.location).await?
        {
            return pulled(Content::Redirect(address));
        }
        let wanted = byte_range::resolved(ranges, size);
        if wanted.is_empty() && !ranges.is_empty() {
            return Err(Error::RangeUnsatisfiable { size });
        }
        if wanted.is_empty() || wanted.len() > self.limits().ranges_max {
            return pulled(Content::Whole(permitted.read(&mut stored, 0..size).await?));
        }
        let mut parts = Vec::with_capacity(wanted.len());
        for range in wanted {
            parts.push((range.clone(), permitted.read(&mut stored, range).await?));
        }
        pulled(Content::Parts(parts))
    }
}

impl Permitted<'_> {
    pub(super) async fn manifest(
        &self,
        reference: &Reference,
        bytes: WithBytes,
    ) -> Result<StoredManifest, Error> {
        let found = self.parts.manifests.resolve(self.repository, reference, bytes).await?;
        found.ok_or_else(|| Error::ManifestUnknown { reference: reference.clone() })
    }

    pub(super) async fn blob(&self, digest: &Digest) -> Result<Option<LinkedBlob>, StoreError> {
        self.parts.manifests.blob(self.repository, digest).await
    }

    /// Starts the time of an unused manifest again in its second half, so that few requests write.
    async fn keep_manifest(&self, found: &StoredManifest, reference: &Reference) -> Result<(), Error> {
        let (Some(since), Some(keep)) = (found.unused_since, self.parts.limits.untagged_keep) else {
            return Ok(());
        };
        if !self.is_in_second_half(since, keep) {
            return Ok(());
        }
        let requires = vec![Require::ManifestPresent(found.digest)];
        let kept = self.commit(requires, vec![Change::KeepManifest(found.digest)]).await;
        self.unless_full(
            kept.map_err(|refused| refused.or(Error::ManifestUnknown { reference: reference.clone() })),
        )
    }

    /// Renews a link in the second half of its time, so that few requests write.
    pub(super) async fn keep_link(&self, linked: &LinkedBlob) -> Result<(), Error> {
        if !self.is_in_second_half(linked.renewed, self.parts.limits.link_hold) {
            return Ok(());
        }
        let digest = linked.stored.digest;
        let kept = self.commit(vec![Require::BlobLinked(digest)], vec![Change::LinkExisting(digest)]).await;
        if is_planted("a renewal that trusts") {
            return Ok(());
        }
        self.unless_full(kept.map_err(|refused| refused.or(Error::BlobUnknown { digest })))
    }

    fn is_in_second_half(&self, since: DateTime<Utc>, whole: TimeDelta) -> bool {
        self.now().signed_duration_since(since) >= whole / 2
    }

    /// Reading goes on when there is no room left to write down that something was read.
    fn unless_full<T>(&self, kept: Result<T, Error>) -> Result<(), Error> {
        match kept {
            Err(Error::StoreFull(error)) => {
                warn!(?error, repository = %self.repository, "no room to renew what was asked after");
                Ok(())
            }
            kept => kept.map(drop),
        }
    }

    /// Opens a range of a blob.
    async fn read(&self, stored: &mut StoredBlob, range: Range<u64>) -> Result<ByteStream, Error> {
        if stored.size > SMALL_BYTES_MAX as u64 {
            return self.read_stored(stored, range).await;
        }
        let small = self.small(stored).await?;
        let at = |at: u64| usize::try_from(at).map_or(small.len(), |at| at.min(small.len()));
        whole_range(small.slice(at(range.start)..at(range.end)).into(), &range)
    }

    /// The whole of a small blob: an error unless it is what it should be.
    async fn small(&self, stored: &mut StoredBlob) -> Result<Bytes, Error> {
        let digest = stored.digest;
        if let Some(small) = self.parts.small_blobs.get(UNCHANGED, &digest) {
            return Ok(small);
        }
        let read = self.read_stored(stored, 0..stored.size).await?;
        let small = read.collect(SMALL_BYTES_MAX).await.map_err(|error| match error {
            BodyError::Store(error) => Error::from(error),
            error => damaged(format!("{digest} as it is read: {error}")),
        })?;
        let actual = digest.algorithm().digest(&small);
        if actual != digest {
            return Err(damaged(format!("{actual} where {digest} should be")));
        }
        // What was read may be a part of something larger.
        self.parts.small_blobs.keep(UNCHANGED, digest, Bytes::copy_from_slice(&small));
        Ok(small)
    }

    /// Opens a range of what is stored. Content that is not where the record said is looked for once more, since a
    /// push may have replaced it and collection removed it meanwhile.
    async fn read_stored(&self, stored: &mut StoredBlob, range: Range<u64>) -> Result<ByteStream, Error> {
        if let Some(body) = self.parts.blobs.read(&stored.location, range.clone()).await? {
            return whole_range(body, &range);
        }
        let digest = stored.digest;
        let again = self.blob(&digest).await?.ok_or(Error::BlobUnknown { digest })?.stored;
        if again.location != stored.location
            && let Some(body) = self.parts.blobs.read(&again.location, range.clone()).await?
        {
            *stored = again;
            return whole_range(body, &range);
        }
        Err(damaged(format!("no content of {digest} at {}", again.location)))
    }
}

/// Content that is shorter than its record is not sent as if it were whole.
fn whole_range(body: ByteStream, range: &Range<u64>) -> Result<ByteStream, Error> {
    match body.length() {
        Some(length) if length == range.end - range.start => Ok(body),
        length => Err(damaged(format!("{length:?} bytes for the range {range:?}"))),
    }
}

fn damaged(what: String) -> Error {
    StoreError::new(StoreErrorKind::Corrupt, "blobs.read", what).into()
}
