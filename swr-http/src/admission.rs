//! How much of a server one caller may take.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

use swr_core::RepositoryName;
use swr_core::caller::{Caller, Identity};
use swr_core::planted::is_planted;
use swr_core::upload::UploadId;

/// What everybody may take of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..AdmissionLimits::default()`")]
pub struct AdmissionLimits {
    /// One caller: a user, or of strangers one address (IPv6: the first 64 bits of it). Nothing is limited.
    pub caller: Share,
    /// All users of one account together, where there are accounts. Nothing is limited.
    pub account: Share,
    /// Everybody together. Nothing is limited.
    pub total: Share,
    /// How long a request is held back until it fits, before it is refused. One that is refused without that, since it would
    /// wait for longer or too many wait already, is told so after a tenth of a second, or after this where that is less.
    /// 5 seconds.
    pub hold: Duration,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        let [caller, account, total] = [Share::default(); 3];
        Self { caller, account, total, hold: Duration::from_secs(5) }
    }
}

/// What somebody may take of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..Share::default()`")]
pub struct Share {
    /// How often something may be asked, in the long run.
    pub rate: Option<Rate>,
    /// How many requests may be under way, from the first byte of each to the last one of its answer. As many more
    /// wait until one ends.
    pub concurrent: Option<NonZeroU32>,
    /// How many bytes of bodies may be on their way in, a KiB at least: each body counts as long as it is said to be, and
    /// as 4 MiB where it is longer, or nobody says, since no more of it is held at a time. As many more wait.
    pub body_bytes: Option<NonZeroU64>,
    /// How many uploads may be open, begun and neither finished nor cancelled, until they have lain idle for so long
    /// that they are swept.
    pub uploads: Option<NonZeroU32>,
}

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it")]
pub struct Rate {
    /// In a second, in the long run.
    pub per_second: NonZeroU32,
    /// At once, after a time of rest.
    pub burst: NonZeroU32,
}

impl Rate {
    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.per_second.get()
    }

    /// How far ahead of its time a request may come.
    fn tolerance(&self) -> Duration {
        self.interval() * (self.burst.get() - 1)
    }
}

/// Lets requests in, so that whoever asks for too much waits, and delays nobody else. Cheap to clone; all clones
/// count together.
///
/// A request that does not fit is held back first, since most clients know no better than to fail when they are
/// refused. A refusal takes its time as well, so that whoever asks anew at once, again and again, costs little. An upload
/// that is under way is neither held back nor refused for the rate, so that what has been sent is not lost; it counts,
/// and what its caller asks for beside it waits for as long as may be.
///
/// What is remembered of callers is bounded. Where there is room for no more, those are forgotten that have asked for
/// nothing since, and what is new beyond that is counted as one.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: AdmissionLimits,
    standings: Mutex<HashMap<Key, Standing>>,
    /// Places for refusals that take their time, since that costs memory. What finds none is refused at once.
    refusals: Semaphore,
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(AdmissionLimits::default())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    User(Identity),
    Account(Arc<str>),
    Address(Option<IpAddr>),
    Everybody,
    /// All those callers, or accounts, for whom there was no room among the others.
    Others(Of),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Callers,
    Accounts,
    Everybody,
}

/// What somebody has taken.
#[derive(Debug)]
struct Standing {
    /// When the next request would be in time.
    next: Instant,
    places: Option<Arc<Places>>,
    /// Of a KiB each.
    body_places: Option<Arc<Places>>,
    /// And when each has lain idle for too long.
    uploads: HashMap<OpenUpload, Instant>,
}

#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicU32,
    count: u32,
}

/// An upload, as the only one who can end it asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OpenUpload {
    caller: Key,
    repository: RepositoryName,
    id: UploadId,
}

/// Who asks, and for what kind of thing.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a door writes it")]
pub struct Asking<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The account that the caller is of, where there is one.
    pub account: Option<&'a str>,
    /// Where the request comes from: strangers are told apart by it.
    pub source: Option<IpAddr>,
    /// Whether it goes on with an upload.
    pub goes_on: bool,
    /// The length of its body in bytes, where that is known before; 0 where there is none.
    pub body: Option<u64>,
}

impl Asking<'_> {
    /// Somebody who has not proved anything yet.
    #[cfg(feature = "control")]
    pub(crate) fn stranger(source: Option<IpAddr>) -> Self {
        Self { caller: &Caller::Anonymous, account: None, source, goes_on: false, body: Some(0) }
    }
}

/// A request that was let in, until it is dropped; an answer holds it by [`ResponseBody::of`](crate::ResponseBody::of).
#[derive(Debug, Default)]
pub struct Admitted {
    places: Vec<OwnedSemaphorePermit>,
    /// Whose open uploads are counted, and the caller among them.
    counted: Vec<(Key, NonZeroU32)>,
    caller: Option<Key>,
}

/// A request that was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests")]
#[expect(clippy::exhaustive_structs, reason = "it says all there is to say")]
pub struct Crowded {
    /// After how long it is worth another try.
    pub retry_after: Duration,
}

impl Admission {
    /// Lets in what fits into the limits.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self(Arc::new(Inner { limits, standings: Mutex::default(), refusals: Semaphore::new(REFUSALS_MAX) }))
    }

    /// Waits until the request may begin, for as long as [`AdmissionLimits::hold`] says. Asks for a tokio runtime with
    /// time where something is limited.
    pub async fn admit(&self, asking: Asking<'_>) -> Result<Admitted, Crowded> {
        let began = Instant::now();
        let admitted = self.admit_held_back(asking, began).await;
        if admitted.is_err() {
            self.refuse_after(began).await;
        }
        admitted
    }

    /// Lets a refusal take its time, unless that has passed `since`.
    pub(crate) async fn refuse_after(&self, since: Instant) {
        if is_planted("a refusal at once") {
            return;
        }
        if let Ok(_place) = self.0.refusals.try_acquire() {
            sleep_until(since + REFUSED_AFTER.min(self.0.limits.hold)).await;
        }
    }

    async fn admit_held_back(&self, asking: Asking<'_>, now: Instant) -> Result<Admitted, Crowded> {
        let limits = &self.0.limits;
        let caller = key(asking.caller, asking.source);
        let shares = [
            (Of::Callers, limits.caller, Some(caller.clone())),
            (Of::Accounts, limits.account, asking.account.map(|account| Key::Account(account.into()))),
            (Of::Everybody, limits.total, Some(Key::Everybody)),
        ];
        let hold = if asking.goes_on { HOLD_OF_UPLOADS.max(limits.hold) } else { limits.hold };
        let Reserved { begin, places, counted } = self.reserve(shares, now, &asking)?;
        // Even a time that has come is waited for in a turn of the runtime.
        if begin > now {
            sleep_until(begin).await;
        }
        let caller = (!counted.is_empty()).then_some(caller);
        let mut admitted = Admitted { places: Vec::with_capacity(places.len()), counted, caller };
        for (places, count) in places {
            admitted.places.push(places.take(count, now + hold).await?);
        }
        Ok(admitted)
    }

    /// When a request of these shares may begin, and the places that it needs then. Takes nothing of one share
    /// where the other has no more to give.
    fn reserve(
        &self,
        shares: [(Of, Share, Option<Key>); 3],
        now: Instant,
        asking: &Asking<'_>,
    ) -> Result<Reserved, Crowded> {
        let mut standings = self.0.standings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut begin = now;
        let mut places = Vec::new();
        let mut counted = Vec::new();
        let mut next = Vec::new();
        for (of, share, key) in shares {
            let Some(key) = key.filter(|_| share != Share::default()) else { continue };
            let key = with_room(&mut standings, key, of, now);
            let standing = standings.entry(key.clone()).or_insert_with(|| Standing::new(share, now));
            places.extend(standing.places.clone().map(|places| (places, 1)));
            if let Some(body_places) = &standing.body_places
                && asking.body != Some(0)
            {
                places.push((Arc::clone(body_places), body_places.for_body(asking.body)));
            }
            counted.extend(share.uploads.map(|most| (key.clone(), most)));
            if let Some(rate) = share.rate {
                let mut due = standing.next.max(now);
                match asking.goes_on {
                    // It owes no more than whoever has waited for as long as may be.
                    true => due = due.min(now + rate.tolerance() + self.0.limits.hold),
                    false => begin = begin.max(due.checked_sub(rate.tolerance()).unwrap_or(now)),
                }
                next.push((key, share, due + rate.interval()));
            }
        }
        let wait = begin - now;
        if wait > self.0.limits.hold {
            return Err(Crowded { retry_after: wait });
        }
        for (key, share, next) in next {
            // Room for a later share may have been made of the first.
            standings.entry(key).or_insert_with(|| Standing::new(share, now)).next = next;
        }
        Ok(Reserved { begin, places, counted })
    }

    /// Makes room for an upload that is about to be begun in the repository by whoever was let in, and lies idle for
    /// `idle` at most.
    pub(crate) fn open_upload<'a>(
        &'a self,
        admitted: &'a Admitted,
        repository: &'a RepositoryName,
        idle: Duration,
    ) -> Result<Opening<'a>, Crowded> {
        let now = Instant::now();
        let mut standings = self.0.standings.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, most) in &admitted.counted {
            let Some(Standing { uploads, .. }) = standings.get_mut(key) else { continue };
            if uploads.len() >= most.get() as usize {
                uploads.retain(|_, lapses| *lapses > now);
            }
            if uploads.len() >= most.get() as usize {
                // Another one may end before the first one lapses.
                let lapses = uploads.values().min().map_or(RETRY_AFTER, |first| *first - now);
                return Err(Crowded { retry_after: lapses.min(RETRY_AFTER_UPLOADS) });
            }
        }
        drop(standings);
        let opening = Opening { admission: self, admitted, repository, idle, id: UploadId::random() };
        self.upload_goes_on(admitted, repository, &opening.id, idle);
        Ok(opening)
    }

    /// An upload of whoever was let in is there, and has just been active.
    pub(crate) fn upload_goes_on(
        &self,
        admitted: &Admitted,
        repository: &RepositoryName,
        id: &UploadId,
        idle: Duration,
    ) {
        let now = Instant::now();
        // What lasts beyond all time lasts for ever.
        let lapses = now.checked_add(idle).unwrap_or(now + FOR_EVER);
        self.of_counted(admitted, repository, id, |uploads, upload| {
            uploads.insert(upload, lapses);
        });
    }

    /// An upload of whoever was let in is there no more.
    pub(crate) fn upload_ended(&self, admitted: &Admitted, repository: &RepositoryName, id: &UploadId) {
        self.of_counted(admitted, repository, id, |uploads, upload| {
            uploads.remove(&upload);
        });
    }

    fn of_counted(
        &self,
        admitted: &Admitted,
        repository: &RepositoryName,
        id: &UploadId,
        note: impl Fn(&mut HashMap<OpenUpload, Instant>, OpenUpload),
    ) {
        let Some(caller) = &admitted.caller else { return };
        let upload = OpenUpload { caller: caller.clone(), repository: repository.clone(), id: id.clone() };
        let mut standings = self.0.standings.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, _) in &admitted.counted {
            if let Some(standing) = standings.get_mut(key) {
                note(&mut standing.uploads, upload.clone());
            }
        }
    }
}

/// What a request may have, and when.
struct Reserved {
    begin: Instant,
    /// And how many of each.
    places: Vec<(Arc<Places>, u32)>,
    counted: Vec<(Key, NonZeroU32)>,
}

/// Room for an upload that is about to be begun: given back unless it is.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    admission: &'a Admission,
    admitted: &'a Admitted,
    repository: &'a RepositoryName,
    idle: Duration,
    /// Stands for the upload until that has an id.
    id: UploadId,
}

impl Opening<'_> {
    /// The upload has been begun.
    pub(crate) fn begun(self, id: &UploadId) {
        self.admission.upload_goes_on(self.admitted, self.repository, id, self.idle);
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.admission.upload_ended(self.admitted, self.repository, &self.id);
    }
}

/// The key, or the one of all others where there is no room for more.
fn with_room(standings: &mut HashMap<Key, Standing>, key: Key, of: Of, now: Instant) -> Key {
    if standings.len() < STANDINGS_MAX || key == Key::Everybody || standings.contains_key(&key) {
        return key;
    }
    standings.retain(|_, standing| standing.next > now || standing.is_taken(now));
    if standings.len() < STANDINGS_MAX { key } else { Key::Others(of) }
}

impl Standing {
    fn new(share: Share, now: Instant) -> Self {
        let places = |count: u32| Arc::new(Places::new(count));
        let kibibytes = |bytes: NonZeroU64| u32::try_from(bytes.get() / KIB).unwrap_or(u32::MAX).max(1);
        Self {
            next: now,
            places: share.concurrent.map(|count| places(count.get())),
            body_places: share.body_bytes.map(|bytes| places(kibibytes(bytes))),
            uploads: HashMap::new(),
        }
    }

    fn is_taken(&self, now: Instant) -> bool {
        let mut places = [&self.places, &self.body_places].into_iter().flatten();
        places.any(|places| Arc::strong_count(places) > 1 || places.is_taken())
            || self.uploads.values().any(|lapses| *lapses > now)
    }
}

impl Places {
    fn new(count: u32) -> Self {
        let free = Arc::new(Semaphore::new((count as usize).min(Semaphore::MAX_PERMITS)));
        Self { free, waiting: AtomicU32::new(0), count }
    }

    fn is_taken(&self) -> bool {
        self.free.available_permits() < self.count as usize
    }

    /// How many a body of this length takes; all of them, where there are fewer.
    fn for_body(&self, length: Option<u64>) -> u32 {
        let held = length.unwrap_or(u64::MAX).min(BODY_HELD_MAX);
        u32::try_from(held.div_ceil(KIB)).unwrap_or(u32::MAX).min(self.count)
    }

    /// So many of them, as soon as they are free; in the order in which they were asked for.
    async fn take(&self, count: u32, until: Instant) -> Result<OwnedSemaphorePermit, Crowded> {
        let crowded = Crowded { retry_after: RETRY_AFTER };
        if let Ok(places) = Arc::clone(&self.free).try_acquire_many_owned(count) {
            return Ok(places);
        }
        let _waiting = Waiting::among(self, count).ok_or(crowded)?;
        match timeout_at(until, Arc::clone(&self.free).acquire_many_owned(count)).await {
            Ok(Ok(places)) => Ok(places),
            _ => Err(crowded),
        }
    }
}

/// One that waits for so many places.
struct Waiting<'a>(&'a Places, u32);

impl<'a> Waiting<'a> {
    fn among(places: &'a Places, count: u32) -> Option<Self> {
        let before = places.waiting.fetch_add(count, Ordering::Relaxed);
        let waiting = Self(places, count);
        before.checked_add(count).is_some_and(|all| all <= places.count).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(self.1, Ordering::Relaxed);
    }
}

fn key(caller: &Caller, source: Option<IpAddr>) -> Key {
    match caller {
        Caller::User(identity) => Key::User(identity.clone()),
        Caller::Anonymous => Key::Address(source.map(|source| match source {
            // Whoever has one of them has all of its network.
            IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
            source => source,
        })),
    }
}

/// So many callers and accounts are told apart. What there is room for beyond is counted as one.
const STANDINGS_MAX: usize = 16 << 10;
/// What goes on with an upload is held back for so long at least.
const HOLD_OF_UPLOADS: Duration = Duration::from_secs(60);
/// How long a refusal takes.
const REFUSED_AFTER: Duration = Duration::from_millis(100);
/// So many take it at once.
const REFUSALS_MAX: usize = 1024;
/// When to come again for a place: nobody knows when one will be free.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// When to come again at the latest where too many uploads are open.
const RETRY_AFTER_UPLOADS: Duration = Duration::from_secs(60);
/// So much of one body is held at a time, in bytes: the largest manifest, unless the host says otherwise.
const BODY_HELD_MAX: u64 = 4 << 20;
const KIB: u64 = 1 << 10;
/// Some thirty years.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use swr_core::caller::Identity;

    use super::*;

    fn user(name: &str) -> Caller {
        Caller::User(Identity::new(name))
    }

    fn asking(caller: &Caller) -> Asking<'_> {
        Asking { caller, account: None, source: None, goes_on: false, body: Some(0) }
    }

    fn rate(per_second: u32, burst: u32) -> Share {
        let [per_second, burst] = [per_second, burst].map(|count| NonZeroU32::new(count).unwrap());
        Share { rate: Some(Rate { per_second, burst }), ..Share::default() }
    }

    fn places(count: u32) -> Share {
        Share { concurrent: NonZeroU32::new(count), ..Share::default() }
    }

    fn to_each(caller: Share) -> Admission {
        Admission::new(AdmissionLimits { caller, ..AdmissionLimits::default() })
    }

    /// How long it waits to be let in, or after how long it is told to come again.
    async fn held(admission: &Admission, asking: Asking<'_>) -> Result<Duration, Duration> {
        let began = Instant::now();
        match admission.admit(asking).await {
            Ok(_) => Ok(began.elapsed()),
            Err(crowded) => Err(crowded.retry_after),
        }
    }

    /// Up to what tokio's clock rounds to.
    fn seconds(held: Result<Duration, Duration>) -> Result<u64, u64> {
        let rounded = |time: Duration| (time + Duration::from_millis(10)).as_secs();
        held.map(rounded).map_err(rounded)
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_let_in_at_once_and_the_rest_in_time() {
        let (admission, ada, bob) = (to_each(rate(1, 3)), user("ada"), user("bob"));
        for expected in [0, 0, 0, 1, 1, 1] {
            assert_eq!(seconds(held(&admission, asking(&ada)).await), Ok(expected));
        }
        assert_eq!(seconds(held(&admission, asking(&bob)).await), Ok(0), "somebody else has their own");
        tokio::time::advance(Duration::from_secs(2)).await;
        for expected in [0, 0, 1] {
            assert_eq!(seconds(held(&admission, asking(&ada)).await), Ok(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_would_wait_for_too_long_is_told_when_to_come_again() {
        let (admission, ada) = (to_each(rate(1, 1)), user("ada"));
        let waiting: Vec<_> = (0..6).map(|_| admission.reserve_for(&ada)).collect();
        assert_eq!(waiting, [0, 1, 2, 3, 4, 5].map(Ok));
        assert_eq!(admission.reserve_for(&ada), Err(6));
        assert_eq!(admission.reserve_for(&ada), Err(6), "a refusal takes nothing");
        let goes_on = Asking { goes_on: true, ..asking(&ada) };
        assert_eq!(held(&admission, goes_on).await, Ok(Duration::ZERO), "an upload goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_goes_on_and_the_rest_waits_for_it_within_bounds() {
        let (admission, ada) = (to_each(rate(1, 2)), user("ada"));
        let goes_on = Asking { goes_on: true, ..asking(&ada) };
        for _ in 0..3 {
            assert_eq!(held(&admission, goes_on).await, Ok(Duration::ZERO));
        }
        assert_eq!(seconds(held(&admission, asking(&ada)).await), Ok(2), "what goes on counts");
        for _ in 0..100 {
            assert_eq!(held(&admission, goes_on).await, Ok(Duration::ZERO));
        }
        assert_eq!(admission.reserve_for(&ada), Err(6), "and is owed for no longer than may be");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(admission.reserve_for(&ada), Ok(5));
    }

    impl Admission {
        fn reserve_for(&self, caller: &Caller) -> Result<u64, u64> {
            let shares = [
                (Of::Callers, self.0.limits.caller, Some(key(caller, None))),
                (Of::Accounts, Share::default(), None),
                (Of::Everybody, Share::default(), None),
            ];
            let now = Instant::now();
            let reserved = self.reserve(shares, now, &asking(caller));
            reserved
                .map(|reserved| (reserved.begin - now).as_secs())
                .map_err(|crowded| crowded.retry_after.as_secs())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_given_back_and_as_many_wait_for_one() {
        let (admission, ada, bob) = (to_each(places(2)), user("ada"), user("bob"));
        let first = admission.admit(asking(&ada)).await.unwrap();
        let _second = admission.admit(asking(&ada)).await.unwrap();
        assert_eq!(held(&admission, asking(&bob)).await, Ok(Duration::ZERO));

        let (third, fourth, fifth, ()) = tokio::join!(
            held(&admission, asking(&ada)),
            held(&admission, asking(&ada)),
            held(&admission, asking(&ada)),
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(first);
            },
        );
        assert_eq!(seconds(third), Ok(1));
        assert_eq!(seconds(fourth), Ok(1), "it takes the place of the third");
        assert_eq!(fifth, Err(RETRY_AFTER), "no more wait than there are places");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_place_for_ever() {
        let (admission, ada) = (to_each(places(1)), user("ada"));
        let _taken = admission.admit(asking(&ada)).await.unwrap();
        let began = Instant::now();
        assert_eq!(held(&admission, asking(&ada)).await, Err(RETRY_AFTER));
        assert_eq!(began.elapsed().as_secs(), 5);
        let goes_on = Asking { goes_on: true, ..asking(&ada) };
        assert_eq!(held(&admission, goes_on).await, Err(RETRY_AFTER));
        assert_eq!(began.elapsed().as_secs(), 5 + 60);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_again_at_once_is_told_no_more_often_than_a_refusal_takes() {
        let (admission, ada) = (to_each(rate(1, 1)), user("ada"));
        for _ in 0..6 {
            admission.reserve_for(&ada).unwrap();
        }
        let began = Instant::now();
        let refused = || held(&admission, asking(&ada));
        for count in 1..=5 {
            refused().await.unwrap_err();
            assert_eq!(began.elapsed().as_millis() / 100, count);
        }
        let many = join_all((0..REFUSALS_MAX).map(|_| refused()));
        let one_more = async {
            tokio::task::yield_now().await;
            refused().now_or_never().is_some()
        };
        assert!(tokio::join!(many, one_more).1, "what waits is bounded");
        assert!(began.elapsed() < Duration::from_secs(1), "they wait beside each other");

        let limits =
            AdmissionLimits { caller: places(1), hold: Duration::ZERO, ..AdmissionLimits::default() };
        let admission = Admission::new(limits);
        let _taken = admission.admit(asking(&ada)).await.unwrap();
        let began = Instant::now();
        assert_eq!(held(&admission, asking(&ada)).await, Err(RETRY_AFTER));
        assert!(began.elapsed() < Duration::from_millis(10), "nobody is held who is not to be");
    }

    #[tokio::test(start_paused = true)]
    async fn users_of_an_account_share_what_it_has() {
        let limits = AdmissionLimits { account: rate(1, 2), ..AdmissionLimits::default() };
        let (admission, ada, bob) = (Admission::new(limits), user("ada"), user("bob"));
        let of = |caller, account| Asking { account: Some(account), ..asking(caller) };
        assert_eq!(seconds(held(&admission, of(&ada, "one")).await), Ok(0));
        assert_eq!(seconds(held(&admission, of(&bob, "one")).await), Ok(0));
        assert_eq!(seconds(held(&admission, of(&bob, "one")).await), Ok(1));
        assert_eq!(seconds(held(&admission, of(&user("carl"), "two")).await), Ok(0));
        assert_eq!(seconds(held(&admission, asking(&Caller::Anonymous)).await), Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_are_told_apart_by_their_network() {
        let admission = to_each(rate(1, 1));
        let mut waited = Vec::new();
        for source in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"] {
            let source = Some(source.parse().unwrap());
            waited.push(held(&admission, Asking { source, ..asking(&Caller::Anonymous) }).await);
        }
        assert_eq!(waited.into_iter().map(seconds).collect::<Vec<_>>(), [0, 0, 0, 1, 0].map(Ok));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_of_callers_is_bounded() {
        let admission = to_each(rate(1, 1));
        for number in 0..STANDINGS_MAX + 100 {
            let _ = admission.reserve_for(&user(&number.to_string()));
        }
        let count = || admission.0.standings.lock().unwrap().len();
        assert_eq!(count(), STANDINGS_MAX + 1, "the rest is counted as one");
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(held(&admission, asking(&user("late"))).await, Ok(Duration::ZERO));
        assert_eq!(count(), 1, "those that asked for nothing since are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_is_counted_where_room_for_its_account_was_made_of_it() {
        let (caller, account) = (rate(1, 1), rate(100, 100));
        let admission = Admission::new(AdmissionLimits { caller, account, ..AdmissionLimits::default() });
        for number in 0..STANDINGS_MAX - 1 {
            let _ = admission.reserve_for(&user(&number.to_string()));
        }
        tokio::time::advance(Duration::from_secs(600)).await;
        let ada = user("ada");
        let of_account = Asking { account: Some("one"), ..asking(&ada) };
        for expected in [0, 1, 1] {
            assert_eq!(seconds(held(&admission, of_account).await), Ok(expected));
        }
    }

    fn bytes(count: u64) -> Share {
        Share { body_bytes: NonZeroU64::new(count), ..Share::default() }
    }

    /// Whether the request is let in at once, until what is given is dropped.
    fn at_once(admission: &Admission, asking: Asking<'_>) -> Option<Admitted> {
        admission.admit_held_back(asking, Instant::now()).now_or_never().transpose().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_let_in_as_long_as_there_is_room_for_their_bytes() {
        let (admission, ada, bob) = (to_each(bytes(8 << 20)), user("ada"), user("bob"));
        let of = |caller, body| Asking { body, ..asking(caller) };
        let _unknown = at_once(&admission, of(&ada, None)).expect("4 MiB");
        let known = at_once(&admission, of(&ada, Some(3 << 20))).expect("3 MiB");
        assert!(at_once(&admission, of(&ada, Some((1 << 20) + 1))).is_none(), "1 MiB is left");
        let _rest = at_once(&admission, of(&ada, Some(1 << 20))).expect("1 MiB");
        assert!(at_once(&admission, of(&ada, Some(1))).is_none());
        assert!(at_once(&admission, asking(&ada)).is_some(), "what has no body needs no room");
        assert!(at_once(&admission, of(&bob, None)).is_some(), "somebody else has their own");
        assert_eq!(held(&admission, of(&ada, Some(1))).await, Err(RETRY_AFTER));
        drop(known);
        assert!(at_once(&admission, of(&ada, Some(3 << 20))).is_some());
        let small = to_each(bytes(1));
        assert!(at_once(&small, of(&ada, None)).is_some(), "what is longer than all of it comes in alone");
    }

    /// However much it asks for, and for however long that goes on.
    #[tokio::test(start_paused = true)]
    async fn an_account_that_takes_all_it_can_leaves_others_their_part() {
        let account = Share { concurrent: NonZeroU32::new(4), ..bytes(16 << 20) };
        let total = Share { concurrent: NonZeroU32::new(6), ..bytes(24 << 20) };
        let admission = Admission::new(AdmissionLimits { account, total, ..AdmissionLimits::default() });
        let (greedy, modest) = (user("greedy"), user("modest"));
        let of = |caller, account| Asking { account: Some(account), body: None, ..asking(caller) };
        let another = || Box::pin(admission.admit_held_back(of(&greedy, "one"), Instant::now()));
        let mut waiting: Vec<_> = (0..100).map(|_| another()).collect();
        let mut taken = VecDeque::new();
        for round in 0..50 {
            let mut refused = 0;
            waiting.retain_mut(|request| match request.as_mut().now_or_never() {
                None => true,
                Some(Ok(admitted)) => {
                    taken.push_back(admitted);
                    false
                }
                Some(Err(_)) => {
                    refused += 1;
                    false
                }
            });
            assert_eq!((taken.len(), waiting.len()), (4, 4), "no more than its part, and as many wait");
            assert!(at_once(&admission, of(&modest, "two")).is_some(), "round {round}");
            // One ends, the first that waits takes its place, and others come instead of the refused.
            taken.pop_front();
            waiting.extend((0..=refused).map(|_| another()));
        }
    }

    fn repository(name: &str) -> RepositoryName {
        RepositoryName::parse(name).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn uploads_are_counted_until_they_end_or_have_lain_idle() {
        let uploads = Share { uploads: NonZeroU32::new(2), ..Share::default() };
        let (admission, ada, bob) = (to_each(uploads), user("ada"), user("bob"));
        let (one, other, idle) = (repository("o/one"), repository("o/other"), Duration::from_secs(3600));
        let hers = admission.admit(asking(&ada)).await.unwrap();
        let ids = [UploadId::random(), UploadId::random()];
        let open = |admitted| admission.open_upload(admitted, &one, idle).map(drop);

        drop(admission.open_upload(&hers, &one, idle).unwrap());
        for id in &ids {
            admission.open_upload(&hers, &one, idle).unwrap().begun(id);
        }
        assert_eq!(open(&hers), Err(Crowded { retry_after: RETRY_AFTER_UPLOADS }));
        let his = admission.admit(asking(&bob)).await.unwrap();
        assert_eq!(open(&his), Ok(()), "somebody else has their own");

        admission.upload_ended(&hers, &other, &ids[0]);
        admission.upload_ended(&his, &one, &ids[0]);
        assert!(open(&hers).is_err(), "it ends where it was begun, by whoever began it");
        admission.upload_ended(&hers, &one, &ids[0]);
        assert_eq!(open(&hers), Ok(()));

        admission.open_upload(&hers, &one, idle).unwrap().begun(&ids[0]);
        tokio::time::advance(idle - Duration::from_secs(10)).await;
        assert_eq!(open(&hers), Err(Crowded { retry_after: Duration::from_secs(10) }));
        admission.upload_goes_on(&hers, &one, &ids[0], idle);
        tokio::time::advance(Duration::from_secs(10)).await;
        admission.open_upload(&hers, &one, idle).unwrap().begun(&ids[1]);
        assert!(open(&hers).is_err(), "one lapsed, and one went on");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_uploads_open_is_remembered() {
        let uploads = Share { uploads: NonZeroU32::new(1), ..Share::default() };
        let (admission, ada, one) = (to_each(uploads), user("ada"), repository("o/one"));
        let hers = admission.admit(asking(&ada)).await.unwrap();
        let idle = Duration::from_secs(3600);
        admission.open_upload(&hers, &one, idle).unwrap().begun(&UploadId::random());
        drop(hers);
        for number in 0..STANDINGS_MAX + 1 {
            admission.admit(asking(&user(&number.to_string()))).await.unwrap();
        }
        let hers = admission.admit(asking(&ada)).await.unwrap();
        assert!(admission.open_upload(&hers, &one, idle).is_err());
    }

    #[tokio::test]
    async fn nothing_is_limited_or_remembered_unless_told() {
        let admission = Admission::default();
        for _ in 0..1000 {
            assert_eq!(held(&admission, asking(&user("ada"))).await.map(|held| held.as_secs()), Ok(0));
        }
        assert_eq!(admission.0.standings.lock().unwrap().len(), 0);
    }
}
