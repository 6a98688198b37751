//! Bytes in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure, through the `object_store`
//! crate. What changes about an upload is kept elsewhere, in [`UploadSessions`].
//!
//! ```text
//! blobs/<ab>/<upload id>/<number>          a segment: some of an upload's bytes
//! blobs/<ab>/<upload id>/<number>.index    the location of what it brought, where that has several segments
//! format/<number>                          says that everything else is in this format, or a later one that is named
//! ```
//!
//! Apart from the last, an object is written once, under a key that nobody had before, and never changed, copied or
//! renamed: the location of finished bytes names the segments that their appends wrote, nearly always one. No
//! condition of the store is relied on; what must not happen twice is decided by the version of the session.
//!
//! # What is in the bucket when
//!
//! A key is in the session before anything is written there, and counts once the session says so, together
//! with the offset and the state of the hash. Everything else follows from that.
//!
//! | call | asks of the bucket | saves | what a crash before the answer leaves |
//! |---|---|---|---|
//! | `begin` | nothing, once the format is named | 1 | an upload that nobody asks for; the sweep finds it |
//! | `append` | one object, in parts if it is longer than one; a fold now and then | 2, or 3 in parts; none if no byte came | the old offset, and an object or parts that the session names |
//! | `finish` | nothing; an object for empty content, or an index for several segments | 1, and 1 for an object | the old state, or one that the next `finish` answers from |
//! | `forget` | nothing, unless something was left | 1 | an upload that is finished; the sweep finds it |
//! | `abandon` | that all of it goes | 2 | an upload that is unknown; the sweep finds it |
//!
//! What a session names beside the bytes that count is removed with the upload at the latest. One thing escapes
//! it: an object that the store brings into being after a process was killed and the upload has gone. So does what
//! sessions knew of that were lost. [`list`](swr_core::ports::BlobStore::list) shows it, and a scrub finds it. Of a
//! multipart upload whose id was not answered before the
//! end of the process nobody knows; give the bucket a rule that removes unfinished ones after some days.
//!
//! # Two at a time
//!
//! Within a process a second appender is refused while the first is listening. Of two in different processes
//! the first that ends wins, and the other is told so; what it wrote is removed.
//!
//! # What is in memory
//!
//! An append holds the part that is being filled; parts on their way are as many as
//! [`parts_at_once`](BucketOptions::parts_at_once) says, for all appends together. A reader holds what its
//! connection holds. Nothing grows with the store or with the length of a blob.

mod blobs;
mod folding;
mod format;
mod keys;
mod segment_writer;
mod sessions;
mod uploads;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt as _};
use object_store::multipart::MultipartStore;
use object_store::signer::Signer;
use object_store::{GetOptions, ListResult, ObjectStore, PutOptions, PutPayload};
use swr_core::ports::{StoreError, StoreErrorKind};
use swr_core::upload::UploadId;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::claims::Claims;
use crate::upload_sessions::UploadSessions;

use format::Format;
use keys::Object;
use sessions::Reserved;

/// Blobs and uploads in a bucket. See the [module](self) for what is there when.
///
/// One registry has the bucket, or a prefix of it: a scrub takes what another one keeps there for strays.
/// Several processes may have the same bucket and sessions open. All calls need a tokio runtime; what one has
/// begun to write comes to its end also when the call is dropped.
pub struct BucketBlobs {
    bucket: Arc<Bucket>,
}

impl BucketBlobs {
    /// Opens the bucket with the default options. Asks it nothing:
    /// [`probe`](swr_core::ports::UploadStore::probe) says whether it is there. One of a format that this version does not
    /// know is refused by whatever is asked of it first.
    ///
    /// The store retries and gives up as its own options say. A prefix is given by
    /// [`PrefixStore`](object_store::prefix::PrefixStore).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use object_store::memory::InMemory;
    /// use swr_storage::{BucketBlobs, MemorySessions};
    ///
    /// let bytes = BucketBlobs::open(Arc::new(InMemory::new()), Arc::new(MemorySessions::new()));
    /// ```
    pub fn open<S: ObjectStore + MultipartStore>(store: Arc<S>, sessions: Arc<dyn UploadSessions>) -> Self {
        Self::options().open(store, sessions)
    }

    /// What can be chosen, all of it at its default.
    pub fn options() -> BucketOptions {
        BucketOptions {
            part_bytes: 5 * 1024 * 1024,
            parts_at_once: 16,
            signer: None,
            address_life: Duration::from_secs(15 * 60),
            reader_hold: Duration::from_secs(60 * 60),
        }
    }
}

impl fmt::Debug for BucketBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketBlobs").field("store", &self.bucket.store.to_string()).finish_non_exhaustive()
    }
}

/// What can be chosen of a [`BucketBlobs`].
#[derive(Clone, Debug)]
pub struct BucketOptions {
    part_bytes: usize,
    parts_at_once: usize,
    signer: Option<Arc<dyn Signer>>,
    address_life: Duration,
    reader_hold: Duration,
}

impl BucketOptions {
    /// How long the parts are that a long segment is written in, in bytes: 5 MiB unless said, which is the
    /// least that S3 takes. A segment has at most 10 000 parts; after that another one begins.
    pub fn part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes.max(1);
        self
    }

    /// How many parts are on their way to the store at once, of all appends together: 16 unless said.
    pub fn parts_at_once(mut self, parts: usize) -> Self {
        self.parts_at_once = parts.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Who signs addresses at which clients read from the bucket itself: the store, nearly always. There are
    /// none unless said, and none for content in several segments.
    pub fn signer(mut self, signer: Arc<dyn Signer>) -> Self {
        self.signer = Some(signer);
        self
    }

    /// How long a signed address can be used: 15 minutes unless said.
    pub fn address_life(mut self, life: Duration) -> Self {
        self.address_life = life;
        self
    }

    /// How long a pull may take to read what has become garbage meanwhile: an hour unless said, and at least
    /// as long as an address can be used.
    pub fn reader_hold(mut self, hold: Duration) -> Self {
        self.reader_hold = hold;
        self
    }

    /// Opens the bucket.
    pub fn open<S: ObjectStore + MultipartStore>(
        self,
        store: Arc<S>,
        sessions: Arc<dyn UploadSessions>,
    ) -> BucketBlobs {
        let bucket = Bucket {
            name: UploadId::random(),
            multiparts: store.clone(),
            store,
            sessions,
            claims: Arc::default(),
            format: Format::default(),
            parts: Arc::new(Semaphore::new(self.parts_at_once)),
            options: self,
        };
        BucketBlobs { bucket: Arc::new(bucket) }
    }
}

/// Everything that calls share, and whatever they leave running.
struct Bucket {
    /// Tells this opened store from others that share its sessions.
    name: UploadId,
    store: Arc<dyn ObjectStore>,
    multiparts: Arc<dyn MultipartStore>,
    sessions: Arc<dyn UploadSessions>,
    claims: Arc<Claims>,
    format: Format,
    /// One for each part that may be on its way.
    parts: Arc<Semaphore>,
    options: BucketOptions,
}

impl Bucket {
    /// Writes an object whole.
    async fn put(
        &self,
        operation: &'static str,
        id: &UploadId,
        object: Object,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let put = self.store.put_opts(&object.key(id), PutPayload::from(bytes), PutOptions::default()).await;
        put.map(drop).map_err(|error| fault(operation, error))
    }

    /// How long an object is; `None` when there is none.
    async fn length_of(
        &self,
        operation: &'static str,
        id: &UploadId,
        object: Object,
    ) -> Result<Option<u64>, StoreError> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        match self.store.get_opts(&object.key(id), head).await {
            Ok(found) => Ok(Some(found.meta.size)),
            Err(object_store::Error::NotFound { .. }) => {
                self.check_absent(operation, id, &[object]).await?;
                Ok(None)
            }
            Err(error) => Err(fault(operation, error)),
        }
    }

    /// Makes sure that an object is absent that was not found: a store that has lost its bucket finds nothing
    /// either.
    async fn check_absent(
        &self,
        operation: &'static str,
        id: &UploadId,
        objects: &[Object],
    ) -> Result<(), StoreError> {
        let there = self.folder(operation, id).await?;
        match there.keys().find(|object| objects.contains(object)) {
            None => Ok(()),
            Some(object) => {
                let both = format!("{} is not found and is there", object.key(id));
                Err(StoreError::new(StoreErrorKind::Unavailable, operation, both))
            }
        }
    }

    /// What an upload's folder holds.
    async fn folder(
        &self,
        operation: &'static str,
        id: &UploadId,
    ) -> Result<BTreeMap<Object, Listed>, StoreError> {
        let listed = self.list(operation, &keys::folder(id)).await?;
        let known = listed.objects.into_iter().filter_map(|meta| {
            let object = meta.location.filename().and_then(Object::parse);
            if object.is_none() {
                foreign(meta.location.as_ref());
            }
            Some((object?, Listed { length: meta.size, written: meta.last_modified }))
        });
        Ok(known.collect())
    }

    async fn list(
        &self,
        operation: &'static str,
        folder: &object_store::path::Path,
    ) -> Result<ListResult, StoreError> {
        self.store.list_with_delimiter(Some(folder)).await.map_err(|error| fault(operation, error))
    }

    /// Removes whatever has come of these. What is absent is removed already.
    async fn remove(
        &self,
        operation: &'static str,
        id: &UploadId,
        unwanted: &[Reserved],
    ) -> Result<(), StoreError> {
        for Reserved { object, multipart } in unwanted {
            let Some(multipart) = multipart else { continue };
            match self.multiparts.abort_multipart(&object.key(id), multipart).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                // One that became an object cannot be given up any more.
                Err(error) => self
                    .length_of(operation, id, *object)
                    .await?
                    .map(drop)
                    .ok_or_else(|| fault(operation, error))?,
            }
        }
        if unwanted.is_empty() {
            return Ok(());
        }
        let objects: Vec<_> = unwanted.iter().map(|reserved| reserved.object).collect();
        self.delete(operation, id, &objects).await
    }

    /// Removes these objects. What is absent is removed already.
    async fn delete(
        &self,
        operation: &'static str,
        id: &UploadId,
        objects: &[Object],
    ) -> Result<(), StoreError> {
        let keys: Vec<_> = objects.iter().map(|object| Ok(object.key(id))).collect();
        let mut deleted = self.store.delete_stream(stream::iter(keys).boxed());
        let mut all_found = true;
        while let Some(one) = deleted.next().await {
            match one {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) => all_found = false,
                Err(error) => return Err(fault(operation, error)),
            }
        }
        if all_found { Ok(()) } else { self.check_absent(operation, id, objects).await }
    }
}

/// An object as a list has it.
struct Listed {
    length: u64,
    /// When, as the store's clock has it.
    written: DateTime<Utc>,
}

/// Has `work` done, to its end also when the caller goes away.
fn going_on<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(work.in_current_span())
}

/// What has come of work that went on by itself.
async fn ended<T, E: From<StoreError>>(
    operation: &'static str,
    work: JoinHandle<Result<T, E>>,
) -> Result<T, E> {
    match work.await {
        Ok(result) => result,
        Err(stopped) => Err(StoreError::new(StoreErrorKind::Unavailable, operation, stopped).into()),
    }
}

/// What an operator has to know of `error`.
fn fault(operation: &'static str, error: object_store::Error) -> StoreError {
    use object_store::Error::*;

    let status = status_of(&error);
    let kind = match &error {
        _ if status == Some(507) || says_full(&error) => StoreErrorKind::Full,
        AlreadyExists { .. } | JoinError { .. } => StoreErrorKind::Unavailable,
        // Its own retries have come to nothing: it is out of reach, too slow, or has trouble.
        Generic { .. } if matches!(status, None | Some(408 | 429 | 500..)) => StoreErrorKind::Unavailable,
        // The bucket is not there, the keys are refused, or the store cannot do what is asked.
        _ => StoreErrorKind::Other,
    };
    StoreError::new(kind, operation, error)
}

/// The status that a store answered with, where it answered. Only the text of an error has it.
fn status_of(error: &dyn Error) -> Option<u16> {
    let said = error.to_string();
    let status = said.split_once("status code: ").and_then(|(_, status)| status.get(..3)?.parse().ok());
    status.or_else(|| error.source().and_then(status_of))
}

/// Whether a store has no room left, however it says so.
fn says_full(error: &dyn Error) -> bool {
    const SAID: [&str; 2] = ["QuotaExceeded", "StorageFull"];
    let text = error.to_string();
    SAID.iter().any(|said| text.contains(said)) || error.source().is_some_and(says_full)
}

/// Reports a key that is none of ours. What it names is left alone.
fn foreign(key: &str) {
    tracing::warn!(key, "there is something in the bucket that the store did not put there");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the clients of S3, Google and Azure put it.
    #[test]
    fn a_failure_is_told_by_what_the_store_answered() {
        use StoreErrorKind::*;

        let generic = |said: &str| object_store::Error::Generic { store: "S3", source: said.into() };
        let refused =
            |said: &str| object_store::Error::PermissionDenied { path: "key".into(), source: said.into() };
        let answered = |status: &str| format!("Server returned non-2xx status code: {status}: <Error/>");
        for (error, kind) in [
            (generic("HTTP error: error sending request"), Unavailable),
            (generic("Server returned error response: <Error><Code>SlowDown</Code></Error>"), Unavailable),
            (generic(&answered("503 Service Unavailable")), Unavailable),
            (generic(&answered("500 Internal Server Error")), Unavailable),
            (generic(&answered("429 Too Many Requests")), Unavailable),
            (generic(&answered("507 Insufficient Storage")), Full),
            (generic(&answered("400 Bad Request")), Other),
            (generic(&answered("404 Not Found")), Other),
            (refused(&answered("403 Forbidden")), Other),
            (refused("<Error><Code>QuotaExceeded</Code></Error>"), Full),
            (object_store::Error::NotFound { path: "key".into(), source: "gone".into() }, Other),
        ] {
            let said = error.to_string();
            assert_eq!(fault("test", error).kind(), kind, "{said}");
        }
    }
}
