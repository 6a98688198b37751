//! Finished bytes: read from the segments that a location names.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::signer::Method;
use object_store::{GetOptions, GetRange};
use swr_core::commit::BlobLocation;
use swr_core::ports::{BlobStat, BlobStore, Brought, ListedBlob, StoreError, StoreErrorKind};
use swr_core::stream::{BodyError, ByteStream};
use swr_core::upload::UploadId;

use super::keys::{self, Object, Piece, Place, Segment};
use super::{Bucket, BucketBlobs, Listed, fault, foreign};

/// How many of a blob's segments, or of the blobs of a list, are asked for at once.
const AT_ONCE: usize = 8;

/// How long an index may be, in bytes. None is longer than the session that named its segments.
const INDEX_BYTES_MAX: u64 = 64 * 1024;

const READ: &str = "blobs.read";
const LIST: &str = "blobs.list";

#[async_trait]
impl BlobStore for BucketBlobs {
    async fn stat(&self, at: &BlobLocation) -> Result<Option<BlobStat>, StoreError> {
        const OPERATION: &str = "blobs.stat";
        let place = place(OPERATION, at)?;
        self.bucket.expect_format(OPERATION).await?;
        let there = self.bucket.is_there(OPERATION, &place).await?;
        Ok(there.then(|| BlobStat { location: at.clone(), size: place.length() }))
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn read(&self, at: &BlobLocation, range: Range<u64>) -> Result<Option<ByteStream>, StoreError> {
        let place = place(READ, at)?;
        self.bucket.expect_format(READ).await?;
        let size = place.length();
        if range.end > size || range.start > range.end {
            let short = format!("{at} has {size} bytes, and {}..{} were asked for", range.start, range.end);
            return Err(corrupt(READ, short));
        }
        if range.is_empty() {
            let there = self.bucket.is_there(READ, &place).await?;
            return Ok(there.then(ByteStream::empty));
        }
        let length = range.end - range.start;
        let reading = Reading::new(&self.bucket, place.upload(), place.segments(), range);
        let Some(reading) = reading.begin().await? else { return Ok(None) };
        let chunks = reading.into_chunks(READ).map_err(BodyError::Store);
        Ok(Some(ByteStream::new(chunks.boxed(), Some(length))))
    }

    #[tracing::instrument(level = "debug", skip(self))]
    async fn delete(&self, at: &BlobLocation) -> Result<(), StoreError> {
        const OPERATION: &str = "blobs.delete";
        let place = place(OPERATION, at)?;
        self.bucket.expect_format(OPERATION).await?;
        let objects: Vec<_> = place.objects().collect();
        self.bucket.delete(OPERATION, place.upload(), &objects).await
    }

    /// Everything that this store keeps. What is in the bucket and was never counted by an upload, or whose
    /// upload nobody knows any more, is listed as well, each object by itself. A key does not tell a digest.
    ///
    /// What an upload still knows of is nobody's stray, so that nothing is said of when it was brought.
    fn list(&self) -> BoxStream<'_, Result<ListedBlob, StoreError>> {
        let bucket = &self.bucket;
        stream::once(bucket.expect_format(LIST))
            .map_ok(|()| stream::iter(keys::prefixes().map(Ok)))
            .try_flatten()
            .map_ok(move |prefix| async move { bucket.list(LIST, &prefix).await })
            .try_buffered(AT_ONCE)
            .map_ok(move |listed| {
                listed.objects.iter().for_each(|meta| foreign(meta.location.as_ref()));
                let uploads = listed.common_prefixes.into_iter().filter_map(|folder| {
                    let upload = keys::upload_of(&folder);
                    if upload.is_none() {
                        foreign(folder.as_ref());
                    }
                    upload
                });
                stream::iter(uploads.map(Ok))
            })
            .try_flatten()
            .map_ok(move |id| async move { bucket.kept_of(&id).await })
            .try_buffered(AT_ONCE)
            .map_ok(|kept| stream::iter(kept.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    /// The upload: where a list lacks an index, its segments look like content of their own.
    fn kin<'a>(&self, at: &'a BlobLocation) -> &'a str {
        at.as_str().split_once('/').map_or(at.as_str(), |(upload, _)| upload)
    }

    /// Where a signer was given, and the content is in one segment.
    async fn direct_url(&self, at: &BlobLocation) -> Result<Option<String>, StoreError> {
        const OPERATION: &str = "blobs.direct_url";
        let place = place(OPERATION, at)?;
        self.bucket.expect_format(OPERATION).await?;
        let options = &self.bucket.options;
        match (&options.signer, place.segments()) {
            (Some(signer), [segment]) => {
                let key = segment.object().key(place.upload());
                let signed = signer.signed_url(Method::GET, &key, options.address_life).await;
                signed.map(|url| Some(url.into())).map_err(|error| fault(OPERATION, error))
            }
            _ => Ok(None),
        }
    }

    fn reader_hold(&self) -> Duration {
        let options = &self.bucket.options;
        let addresses = options.signer.as_ref().map(|_| options.address_life).unwrap_or_default();
        options.reader_hold.max(addresses)
    }
}

/// Reads a location. One that this store does not write is damage in the facts, not absence.
fn place(operation: &'static str, at: &BlobLocation) -> Result<Place, StoreError> {
    Place::parse(at)
        .ok_or_else(|| corrupt(operation, format!("{:?} is no location of this store", at.as_str())))
}

impl Bucket {
    /// Whether all of the content is there.
    async fn is_there(&self, operation: &'static str, place: &Place) -> Result<bool, StoreError> {
        let mut lengths = stream::iter(place.segments().iter().copied())
            .map(|segment| async move {
                let found = self.length_of(operation, place.upload(), segment.object()).await?;
                found.map(|found| check_length(operation, place.upload(), segment, found)).transpose()
            })
            .buffered(AT_ONCE);
        while let Some(found) = lengths.try_next().await? {
            if found.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is kept of an upload's folder.
    async fn kept_of(&self, id: &UploadId) -> Result<Vec<ListedBlob>, StoreError> {
        // Asked for first: once there is none, nothing that was finished changes in the folder any more.
        let session = self.session(id).await?;
        let is_known = session.is_some();
        let mut there = self.folder(LIST, id).await?;
        let indexes: Vec<_> =
            there.keys().filter(|object| matches!(object, Object::Index(_))).copied().collect();
        let named = match (session.map(|session| session.record.stored), indexes.as_slice()) {
            (Some(None), _) => return Ok(Vec::new()),
            (Some(Some(stored)), _) => {
                let named = place(LIST, &stored.location)?;
                // The session removes what else is there.
                there.retain(|object, _| named.objects().any(|of_it| of_it == *object));
                Some(named)
            }
            (None, []) => None,
            (None, [index]) => Some(self.read_index(id, *index).await?),
            (None, _) => return Err(corrupt(LIST, format!("{id} has several indexes"))),
        };
        let mut kept = Vec::new();
        if let Some(named) = named {
            let is_whole = |s: &Segment| there.get(&s.object()).is_some_and(|found| found.length == s.length);
            let whole = named.segments().iter().all(is_whole);
            let written = named.objects().filter_map(|object| Some(there.remove(&object)?.written)).max();
            kept.extend(written.filter(|_| whole).map(|written| (named, written)));
        }
        kept.extend(there.into_iter().filter_map(|(object, Listed { length, written })| match object {
            Object::Segment(number) => Some((Place::whole(id.clone(), Segment { number, length }), written)),
            Object::Index(_) => None,
        }));
        let listed = kept.into_iter().map(|(place, at)| ListedBlob {
            location: place.location(),
            size: place.length(),
            brought: (!is_known).then_some(Brought { digest: None, at }),
        });
        Ok(listed.collect())
    }

    /// The place that an index names.
    async fn read_index(&self, id: &UploadId, index: Object) -> Result<Place, StoreError> {
        let key = index.key(id);
        let failed = |error| fault(LIST, error);
        let found = self.store.get_opts(&key, GetOptions::default()).await.map_err(failed)?;
        if found.meta.size > INDEX_BYTES_MAX {
            return Err(corrupt(LIST, format!("{key} is longer than any index")));
        }
        let text = found.bytes().await.map_err(failed)?;
        std::str::from_utf8(&text)
            .ok()
            .and_then(|text| Place::parse(&BlobLocation::new(text)))
            .filter(|place| place.upload() == id && place.objects().any(|object| object == index))
            .ok_or_else(|| corrupt(LIST, format!("{key} does not name its segments")))
    }
}

/// Bytes of several segments, on their way out.
pub(super) struct Reading {
    bucket: Arc<Bucket>,
    id: UploadId,
    /// What is still to come. The first of it is what `source` brings.
    rest: VecDeque<Piece>,
    source: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    /// Whether `source` has brought anything.
    flows: bool,
}

impl Reading {
    /// The bytes of `range` of these segments of `id`.
    pub(super) fn new(bucket: &Arc<Bucket>, id: &UploadId, segments: &[Segment], range: Range<u64>) -> Self {
        let rest = keys::pieces(segments, range).collect();
        Self { bucket: bucket.clone(), id: id.clone(), rest, source: None, flows: false }
    }

    /// Asks for the first bytes; `None` when there are none.
    async fn begin(mut self) -> Result<Option<Self>, StoreError> {
        let there = self.open(READ).await?;
        Ok(there.then_some(self))
    }

    /// The bytes as they come. One connection at a time is open; one that breaks after it has brought
    /// something is followed by another, from where it broke.
    pub(super) fn into_chunks(
        self,
        operation: &'static str,
    ) -> BoxStream<'static, Result<Bytes, StoreError>> {
        stream::try_unfold(self, move |mut reading| async move {
            Ok(reading.next(operation).await?.map(|chunk| (chunk, reading)))
        })
        .boxed()
    }

    async fn next(&mut self, operation: &'static str) -> Result<Option<Bytes>, StoreError> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            if self.source.is_none() && !self.open(operation).await? {
                return Err(StoreError::new(StoreErrorKind::Other, operation, "the content is gone by now"));
            }
            let (Some(source), Some(piece)) = (&mut self.source, self.rest.front_mut()) else {
                return Ok(None);
            };
            match source.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    self.flows = true;
                    piece.range.start = piece.range.start.saturating_add(chunk.len() as u64);
                    if piece.range.start > piece.range.end {
                        return Err(corrupt(operation, "more came than was asked for"));
                    }
                    if piece.range.is_empty() {
                        self.rest.pop_front();
                        self.source = None;
                    }
                    return Ok(Some(chunk));
                }
                Some(Err(error)) if !self.flows => return Err(fault(operation, error)),
                None if !self.flows => return Err(corrupt(operation, "less came than was asked for")),
                Some(Err(_)) | None => self.source = None,
            }
        }
    }

    /// Asks for what comes next; says whether it is there.
    async fn open(&mut self, operation: &'static str) -> Result<bool, StoreError> {
        let Some(Piece { segment, range }) = self.rest.front() else { return Ok(true) };
        let key = segment.object().key(&self.id);
        let bounded = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        match self.bucket.store.get_opts(&key, bounded).await {
            Ok(found) => {
                check_length(operation, &self.id, *segment, found.meta.size)?;
                if found.range != *range {
                    return Err(corrupt(operation, format!("other bytes of {key} came than were asked for")));
                }
                self.source = Some(found.into_stream());
                self.flows = false;
                Ok(true)
            }
            Err(object_store::Error::NotFound { .. }) => {
                self.bucket.check_absent(operation, &self.id, &[segment.object()]).await?;
                Ok(false)
            }
            Err(error) => Err(fault(operation, error)),
        }
    }
}

fn check_length(
    operation: &'static str,
    id: &UploadId,
    segment: Segment,
    found: u64,
) -> Result<(), StoreError> {
    if found == segment.length {
        return Ok(());
    }
    let key = segment.object().key(id);
    Err(corrupt(operation, format!("{key} has {found} bytes, and {} were stored", segment.length)))
}

fn corrupt(operation: &'static str, what: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, operation, what.into())
}
