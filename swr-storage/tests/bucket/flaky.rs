//! A bucket in memory and a keeper of sessions whose calls go as a test says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use futures_util::{FutureExt as _, future};
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartId, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use swr_core::ports::{StoreError, StoreErrorKind};
use swr_core::testing::minute;
use swr_core::upload::UploadId;
use swr_storage::upload_sessions::{MemorySessions, UploadSession, UploadSessions};

/// What is asked of the bucket or of the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Put,
    Create,
    Part,
    Complete,
    Abort,
    Get,
    Head,
    Delete,
    List,
    Find,
    Save,
    Remove,
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    Well,
    /// It fails and has done nothing.
    Unheard,
    /// It has done what was asked, and fails all the same.
    Unanswered,
    /// There is no bucket.
    Nowhere,
    /// The bytes break off after so many; a list ends after so many entries, as if there were no more.
    BreaksOff(usize),
}

type Plan = Box<dyn FnMut(Call, &str) -> Goes + Send>;

/// What becomes of each call, in a bucket and a keeper alike; and what has been called.
pub(crate) struct Flaky {
    plan: Mutex<Plan>,
    calls: Mutex<Vec<Call>>,
}

impl Flaky {
    /// From here on calls go as `plan` says, which is told each call and its key.
    pub(crate) fn plan(&self, plan: impl FnMut(Call, &str) -> Goes + Send + 'static) {
        *self.plan.lock().unwrap() = Box::new(plan);
    }

    /// From here on all calls go well.
    pub(crate) fn recover(&self) {
        self.plan(|_, _| Goes::Well);
    }

    /// What was called since this was asked last.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn goes(&self, call: Call, key: &str) -> Goes {
        self.calls.lock().unwrap().push(call);
        (self.plan.lock().unwrap())(call, key)
    }
}

impl Default for Flaky {
    fn default() -> Self {
        Self { plan: Mutex::new(Box::new(|_, _| Goes::Well)), calls: Mutex::default() }
    }
}

impl fmt::Debug for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flaky")
    }
}

/// The bucket. It notes what nobody may do to it: write a key twice, copy, rely on conditions, list all of it, or
/// begin a multipart upload whose id is not told.
#[derive(Clone, Debug, Default)]
pub(crate) struct FlakyBucket {
    kept: InMemory,
    flaky: Arc<Flaky>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// What its clock says.
    now: Mutex<DateTime<Utc>>,
    /// When.
    written: Mutex<BTreeMap<Path, DateTime<Utc>>>,
    /// With how many parts each of them has.
    multiparts: Mutex<BTreeMap<(Path, MultipartId), usize>>,
    parts: AtomicUsize,
    parts_most: AtomicUsize,
    /// A panic would be taken for one more fault of the store.
    abuses: Mutex<Vec<String>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            now: Mutex::new(minute(0)),
            written: Mutex::default(),
            multiparts: Mutex::default(),
            parts: AtomicUsize::default(),
            parts_most: AtomicUsize::default(),
            abuses: Mutex::default(),
        }
    }
}

impl FlakyBucket {
    pub(crate) fn new(flaky: &Arc<Flaky>) -> Self {
        Self { flaky: flaky.clone(), ..Self::default() }
    }

    /// What was done to it that nobody may do.
    pub(crate) fn abuses(&self) -> Vec<String> {
        self.state.abuses.lock().unwrap().clone()
    }

    fn abused<T>(&self, how: String) -> Result<T> {
        let source = how.clone().into();
        self.state.abuses.lock().unwrap().push(how);
        Err(Error::NotSupported { source })
    }

    /// Every key in the bucket, but for the one that names its format.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let keys = self.kept.list(None).map_ok(|meta| meta.location.to_string());
        keys.try_filter(|key| future::ready(key != "format/1")).try_collect().await.unwrap()
    }

    /// Multipart uploads that hold something, and have been neither completed nor aborted.
    pub(crate) fn multiparts(&self) -> usize {
        self.state.multiparts.lock().unwrap().values().filter(|parts| **parts > 0).count()
    }

    /// How many parts were on their way at once.
    pub(crate) fn parts_most(&self) -> usize {
        self.state.parts_most.load(Ordering::SeqCst)
    }

    /// Puts something there that the store does not know of.
    pub(crate) async fn plant(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let key = Path::from(key);
        self.kept.put_opts(&key, bytes.as_ref().to_vec().into(), PutOptions::default()).await.unwrap();
        self.state.written.lock().unwrap().entry(key).or_insert(self.now());
    }

    /// Removes something.
    pub(crate) async fn lose(&self, key: &str) {
        let one = stream::iter([Ok(Path::from(key))]).boxed();
        self.kept.delete_stream(one).try_collect::<Vec<_>>().await.unwrap();
    }

    /// Has it be this time, for what is written from here on.
    pub(crate) fn turn_clock(&self, now: DateTime<Utc>) {
        *self.state.now.lock().unwrap() = now;
    }

    fn now(&self) -> DateTime<Utc> {
        *self.state.now.lock().unwrap()
    }

    /// What is below a prefix, and when it was written.
    async fn listed(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.kept.list_with_delimiter(prefix).await?;
        let written = self.state.written.lock().unwrap();
        for meta in &mut listed.objects {
            meta.last_modified = written.get(&meta.location).copied().unwrap_or_default();
        }
        Ok(listed)
    }

    async fn call<T>(&self, call: Call, key: &Path, done: impl Future<Output = Result<T>>) -> Result<T> {
        // So that whatever else is under way goes on.
        tokio::task::yield_now().await;
        match self.flaky.goes(call, key.as_ref()) {
            Goes::Unheard => Err(broken()),
            Goes::Nowhere => Err(nowhere(key)),
            Goes::Unanswered => {
                done.await?;
                Err(broken())
            }
            Goes::Well | Goes::BreaksOff(_) => done.await,
        }
    }

    fn write(&self, key: &Path) -> Result<()> {
        // It is the same whoever writes it.
        let before = self.state.written.lock().unwrap().insert(key.clone(), self.now());
        if key.as_ref() == "format/1" || before.is_none() {
            return Ok(());
        }
        self.abused(format!("{key} was written twice"))
    }
}

fn broken() -> Error {
    Error::Generic { store: "flaky", source: "503 Slow Down".into() }
}

fn nowhere(key: &Path) -> Error {
    Error::NotFound { path: key.to_string(), source: "NoSuchBucket".into() }
}

impl fmt::Display for FlakyBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlakyBucket")
    }
}

#[async_trait]
impl ObjectStore for FlakyBucket {
    async fn put_opts(&self, key: &Path, bytes: PutPayload, options: PutOptions) -> Result<PutResult> {
        if options != PutOptions::default() {
            return self.abused(format!("{key} is written with {options:?}"));
        }
        self.call(Call::Put, key, async {
            self.write(key)?;
            self.kept.put_opts(key, bytes, options).await
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.abused(format!("{key} is written in parts whose upload cannot be named"))
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            return self.call(Call::Head, key, self.kept.get_opts(key, options)).await;
        }
        tokio::task::yield_now().await;
        match self.flaky.goes(Call::Get, key.as_ref()) {
            Goes::Unheard | Goes::Unanswered => Err(broken()),
            Goes::Nowhere => Err(nowhere(key)),
            Goes::Well => self.kept.get_opts(key, options).await,
            Goes::BreaksOff(after) => {
                let mut found = self.kept.get_opts(key, options).await?;
                let (meta, range) = (found.meta.clone(), found.range.clone());
                found.payload = GetResultPayload::Stream(stream::empty().boxed());
                let whole = self.kept.get_opts(key, GetOptions::default()).await?.bytes().await?;
                let asked = whole.slice(range.start as usize..range.end as usize);
                let beginning = asked.slice(..after.min(asked.len()));
                let chunks = stream::iter([Ok(beginning), Err(broken())]);
                Ok(GetResult { payload: GetResultPayload::Stream(chunks.boxed()), meta, range, ..found })
            }
        }
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        keys.and_then(move |key| {
            let store = store.clone();
            async move {
                let done = async {
                    let one = stream::iter([Ok(key.clone())]).boxed();
                    store.kept.delete_stream(one).try_collect::<Vec<_>>().await
                };
                store.call(Call::Delete, &key, done).await?;
                Ok(key)
            }
        })
        .boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.abused("what is below a prefix is listed whole".into());
        stream::iter([listed]).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let key = prefix.cloned().unwrap_or_default();
        tokio::task::yield_now().await;
        match self.flaky.goes(Call::List, key.as_ref()) {
            Goes::Unheard | Goes::Unanswered => Err(broken()),
            Goes::Nowhere => Err(nowhere(&key)),
            Goes::Well => self.listed(prefix).await,
            Goes::BreaksOff(after) => {
                let mut listed = self.listed(prefix).await?;
                listed.objects.truncate(after);
                listed.common_prefixes.truncate(after);
                Ok(listed)
            }
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        self.abused(format!("{from} is copied to {to}"))
    }
}

#[async_trait]
impl MultipartStore for FlakyBucket {
    async fn create_multipart(&self, key: &Path) -> Result<MultipartId> {
        tokio::task::yield_now().await;
        match self.flaky.goes(Call::Create, key.as_ref()) {
            Goes::Nowhere => Err(nowhere(key)),
            // One whose id is not answered is out of anybody's reach.
            Goes::Unheard | Goes::Unanswered => Err(broken()),
            Goes::Well | Goes::BreaksOff(_) => {
                let id = self.kept.create_multipart(key).await?;
                self.state.multiparts.lock().unwrap().insert((key.clone(), id.clone()), 0);
                Ok(id)
            }
        }
    }

    async fn put_part(&self, key: &Path, id: &MultipartId, at: usize, bytes: PutPayload) -> Result<PartId> {
        let now = self.state.parts.fetch_add(1, Ordering::SeqCst) + 1;
        self.state.parts_most.fetch_max(now, Ordering::SeqCst);
        let part = self.call(Call::Part, key, async {
            let part = self.kept.put_part(key, id, at, bytes).await?;
            *self.state.multiparts.lock().unwrap().entry((key.clone(), id.clone())).or_default() += 1;
            Ok(part)
        });
        let part = part.await;
        self.state.parts.fetch_sub(1, Ordering::SeqCst);
        part
    }

    async fn complete_multipart(
        &self,
        key: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        self.call(Call::Complete, key, async {
            self.write(key)?;
            let done = self.kept.complete_multipart(key, id, parts).await?;
            self.state.multiparts.lock().unwrap().remove(&(key.clone(), id.clone()));
            Ok(done)
        })
        .await
    }

    async fn abort_multipart(&self, key: &Path, id: &MultipartId) -> Result<()> {
        self.call(Call::Abort, key, async {
            if self.state.multiparts.lock().unwrap().remove(&(key.clone(), id.clone())).is_none() {
                return Err(nowhere(key));
            }
            self.kept.abort_multipart(key, id).await
        })
        .await
    }
}

/// The keeper.
#[derive(Debug)]
pub(crate) struct FlakySessions {
    kept: MemorySessions,
    flaky: Arc<Flaky>,
}

impl FlakySessions {
    pub(crate) fn new(flaky: &Arc<Flaky>) -> Self {
        Self { kept: MemorySessions::new(), flaky: flaky.clone() }
    }

    /// The session, whatever the plan says.
    pub(crate) fn kept(&self, id: &UploadId) -> Option<UploadSession> {
        self.kept.find(id).now_or_never().unwrap().unwrap()
    }

    async fn call<T>(
        &self,
        call: Call,
        id: &UploadId,
        done: impl Future<Output = std::result::Result<T, StoreError>>,
    ) -> std::result::Result<T, StoreError> {
        tokio::task::yield_now().await;
        let broken = || StoreError::new(StoreErrorKind::Unavailable, "flaky", "503 Slow Down");
        match self.flaky.goes(call, id.as_str()) {
            Goes::Well => done.await,
            Goes::Unanswered => {
                done.await?;
                Err(broken())
            }
            _ => Err(broken()),
        }
    }
}

#[async_trait]
impl UploadSessions for FlakySessions {
    async fn find(&self, id: &UploadId) -> std::result::Result<Option<UploadSession>, StoreError> {
        self.call(Call::Find, id, self.kept.find(id)).await
    }

    async fn save(&self, session: &UploadSession) -> std::result::Result<bool, StoreError> {
        self.call(Call::Save, &session.id, self.kept.save(session)).await
    }

    fn idle_since(
        &self,
        cutoff: DateTime<Utc>,
    ) -> BoxStream<'_, std::result::Result<UploadSession, StoreError>> {
        self.kept.idle_since(cutoff)
    }

    async fn remove(&self, id: &UploadId) -> std::result::Result<(), StoreError> {
        self.call(Call::Remove, id, self.kept.remove(id)).await
    }
}
