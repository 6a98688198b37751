//! How much of a server one caller may take.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

use swr_core::caller::Caller;

/// What everybody may take of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..AdmissionLimits::default()`")]
pub struct AdmissionLimits {
    /// One caller: a user, or of strangers one address (IPv6: the first 64 bits of it). Nothing is limited.
    pub caller: Share,
    /// All users of one account together, where there are accounts. Nothing is limited.
    pub account: Share,
    /// How long a request is held back until it fits, before it is refused. 5 seconds.
    pub hold: Duration,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self { caller: Share::default(), account: Share::default(), hold: Duration::from_secs(5) }
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
/// refused. An upload that is under way is neither held back nor refused for the rate, so that what has been sent is not
/// lost; it counts, and what its caller asks for beside it waits for as long as may be.
///
/// What is remembered of callers is bounded. Where there is room for no more, those are forgotten that have asked for
/// nothing since, and what is new beyond that is counted as one.
#[derive(Clone, Debug, Default)]
pub struct Admission(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    limits: AdmissionLimits,
    standings: Mutex<HashMap<Key, Standing>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    User(Box<str>),
    Account(Box<str>),
    Address(Option<IpAddr>),
    /// All those callers, or accounts, for whom there was no room among the others.
    Others(Of),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Callers,
    Accounts,
}

/// What somebody has taken.
#[derive(Debug)]
struct Standing {
    /// When the next request would be in time.
    next: Instant,
    places: Option<Arc<Places>>,
}

#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicU32,
    count: u32,
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
}

impl Asking<'_> {
    /// Somebody who has not proved anything yet.
    #[cfg(feature = "control")]
    pub(crate) fn stranger(source: Option<IpAddr>) -> Self {
        Self { caller: &Caller::Anonymous, account: None, source, goes_on: false }
    }
}

/// A request that was let in, until it is dropped; an answer holds it by [`ResponseBody::of`](crate::ResponseBody::of).
#[derive(Debug, Default)]
pub struct Admitted {
    places: Vec<OwnedSemaphorePermit>,
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
        Self(Arc::new(Inner { limits, standings: Mutex::default() }))
    }

    /// Waits until the request may begin, for as long as [`AdmissionLimits::hold`] says. Asks for a tokio runtime with
    /// time where something is limited.
    pub async fn admit(&self, asking: Asking<'_>) -> Result<Admitted, Crowded> {
        let limits = &self.0.limits;
        let shares = [
            (Of::Callers, limits.caller, Some(key(asking.caller, asking.source))),
            (Of::Accounts, limits.account, asking.account.map(|account| Key::Account(account.into()))),
        ];
        let now = Instant::now();
        let hold = if asking.goes_on { HOLD_OF_UPLOADS.max(limits.hold) } else { limits.hold };
        let (begin, places) = self.reserve(shares, now, asking.goes_on)?;
        // Even a time that has come is waited for in a turn of the runtime.
        if begin > now {
            sleep_until(begin).await;
        }
        let mut admitted = Admitted::default();
        for places in places {
            admitted.places.push(places.take(now + hold).await?);
        }
        Ok(admitted)
    }

    /// When a request of these shares may begin, and the places that it needs then. Takes nothing of one share
    /// where the other has no more to give.
    fn reserve(
        &self,
        shares: [(Of, Share, Option<Key>); 2],
        now: Instant,
        goes_on: bool,
    ) -> Result<(Instant, Vec<Arc<Places>>), Crowded> {
        let mut standings = self.0.standings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut begin = now;
        let mut places = Vec::new();
        let mut next = Vec::new();
        for (of, share, key) in shares {
            let Some(key) = key.filter(|_| share != Share::default()) else { continue };
            let key = with_room(&mut standings, key, of, now);
            let standing = standings.entry(key.clone()).or_insert_with(|| Standing::new(share, now));
            places.extend(standing.places.clone());
            if let Some(rate) = share.rate {
                let mut due = standing.next.max(now);
                match goes_on {
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
            // Room for the second share may have been made of the first.
            standings.entry(key).or_insert_with(|| Standing::new(share, now)).next = next;
        }
        Ok((begin, places))
    }
}

/// The key, or the one of all others where there is no room for more.
fn with_room(standings: &mut HashMap<Key, Standing>, key: Key, of: Of, now: Instant) -> Key {
    if standings.len() < STANDINGS_MAX || standings.contains_key(&key) {
        return key;
    }
    standings.retain(|_, standing| standing.next > now || standing.is_taken());
    if standings.len() < STANDINGS_MAX { key } else { Key::Others(of) }
}

impl Standing {
    fn new(share: Share, now: Instant) -> Self {
        Self { next: now, places: share.concurrent.map(|count| Arc::new(Places::new(count.get()))) }
    }

    fn is_taken(&self) -> bool {
        self.places.as_ref().is_some_and(|places| Arc::strong_count(places) > 1 || places.is_taken())
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

    /// One of them, as soon as one is free; in the order in which they were asked for.
    async fn take(&self, until: Instant) -> Result<OwnedSemaphorePermit, Crowded> {
        let crowded = Crowded { retry_after: RETRY_AFTER };
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::among(self).ok_or(crowded)?;
        match timeout_at(until, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(crowded),
        }
    }
}

/// One that waits for a place.
struct Waiting<'a>(&'a Places);

impl<'a> Waiting<'a> {
    fn among(places: &'a Places) -> Option<Self> {
        let before = places.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(places);
        (before < places.count).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn key(caller: &Caller, source: Option<IpAddr>) -> Key {
    match caller {
        Caller::User(identity) => Key::User(identity.name().into()),
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
/// When to come again for a place: nobody knows when one will be free.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use swr_core::caller::Identity;

    use super::*;

    fn user(name: &str) -> Caller {
        Caller::User(Identity::new(name))
    }

    fn asking(caller: &Caller) -> Asking<'_> {
        Asking { caller, account: None, source: None, goes_on: false }
    }

    fn rate(per_second: u32, burst: u32) -> Share {
        let [per_second, burst] = [per_second, burst].map(|count| NonZeroU32::new(count).unwrap());
        Share { rate: Some(Rate { per_second, burst }), concurrent: None }
    }

    fn places(count: u32) -> Share {
        Share { rate: None, concurrent: NonZeroU32::new(count) }
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
            ];
            let now = Instant::now();
            let begin = self.reserve(shares, now, false);
            begin.map(|(begin, _)| (begin - now).as_secs()).map_err(|crowded| crowded.retry_after.as_secs())
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

    #[tokio::test]
    async fn nothing_is_limited_or_remembered_unless_told() {
        let admission = Admission::default();
        for _ in 0..1000 {
            assert_eq!(held(&admission, asking(&user("ada"))).await.map(|held| held.as_secs()), Ok(0));
        }
        assert_eq!(admission.0.standings.lock().unwrap().len(), 0);
    }
}
