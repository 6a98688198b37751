//! The contract of [`UploadSessions`], one clause a function (feature `testing`).
//!
//! Each function wants a keeper of its own with nothing in it.

#![expect(clippy::missing_panics_doc, reason = "a clause that does not hold panics")]
#![expect(clippy::expect_used, reason = "a keeper that fails fails its test")]

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};

use swr_core::upload::UploadId;

use super::{UploadSession, UploadSessions};

/// Stamps one test for each clause of the contract on a keeper of sessions.
///
/// The block makes an empty keeper and may await; it runs once for each test. The tests run under `tokio`
/// with its features `macros` and `rt-multi-thread`.
///
/// ```
/// mod sessions {
///     use swr_storage::upload_sessions::MemorySessions;
///
///     swr_storage::upload_sessions_suite!({ MemorySessions::new() });
/// }
/// ```
#[macro_export]
macro_rules! upload_sessions_suite {
    ($empty:block) => {
        $crate::upload_sessions_suite!(@stamp $empty
            what_was_saved_is_found
            an_unknown_session_is_absent
            a_first_save_has_version_one
            a_save_follows_the_version_before_it
            a_refused_save_changes_nothing
            of_racing_saves_one_is_kept
            sessions_do_not_touch_each_other
            idle_is_what_was_touched_before_the_cutoff
            every_idle_session_is_found_once
            a_removed_session_is_gone
            the_longest_record_comes_back_whole
        );
    };
    (@stamp $empty:block $($clause:ident)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let keeper = $empty;
                $crate::upload_sessions::testing::$clause(&keeper).await;
            }
        )*
    };
}

/// Every field comes back as it was saved.
pub async fn what_was_saved_is_found(keeper: &dyn UploadSessions) {
    let saved = session(UploadId::random(), 1, at(7), r#"{"quoted": "text \u0000 'and' ünïcode 🦀"}"#);
    assert!(keeper.save(&saved).await.expect("save"));
    assert_eq!(keeper.find(&saved.id).await.expect("find"), Some(saved));
}

/// An id without a session has none.
pub async fn an_unknown_session_is_absent(keeper: &dyn UploadSessions) {
    assert_eq!(keeper.find(&UploadId::random()).await.expect("find"), None);
}

/// A session begins with version 1; no other version begins one.
pub async fn a_first_save_has_version_one(keeper: &dyn UploadSessions) {
    let id = UploadId::random();
    for version in [0, 2, 3, i64::MAX as u64] {
        assert!(!keeper.save(&session(id.clone(), version, at(1), "x")).await.expect("save"), "{version}");
        assert_eq!(keeper.find(&id).await.expect("find"), None);
    }
    assert!(keeper.save(&session(id, 1, at(1), "x")).await.expect("save"));
}

/// Version n is followed by version n + 1, which replaces it whole.
pub async fn a_save_follows_the_version_before_it(keeper: &dyn UploadSessions) {
    let id = UploadId::random();
    for version in 1..=5 {
        let next = session(id.clone(), version, at(version), &format!("record {version}"));
        assert!(keeper.save(&next).await.expect("save"));
        assert_eq!(keeper.find(&id).await.expect("find"), Some(next));
    }
}

/// A save of any version but the next one is refused, and leaves the session as it was.
pub async fn a_refused_save_changes_nothing(keeper: &dyn UploadSessions) {
    let id = UploadId::random();
    assert!(keeper.save(&session(id.clone(), 1, at(1), "first")).await.expect("save"));
    let kept = session(id.clone(), 2, at(2), "second");
    assert!(keeper.save(&kept).await.expect("save"));
    for version in [0, 1, 2, 4, i64::MAX as u64] {
        assert!(!keeper.save(&session(id.clone(), version, at(9), "no")).await.expect("save"), "{version}");
        assert_eq!(keeper.find(&id).await.expect("find"), Some(kept.clone()));
    }
}

/// Of many that save the same version at once, exactly one is told so, and it is what is kept.
pub async fn of_racing_saves_one_is_kept(keeper: &dyn UploadSessions) {
    let id = UploadId::random();
    for version in 1..=8 {
        let racers: Vec<_> =
            (0..16).map(|racer| session(id.clone(), version, at(racer), &format!("racer {racer}"))).collect();
        let answers: Vec<bool> = stream::iter(&racers)
            .map(|racer| async move { keeper.save(racer).await.expect("save") })
            .buffered(16)
            .collect()
            .await;
        let winners: Vec<_> = racers.iter().zip(&answers).filter(|(_, won)| **won).collect();
        assert_eq!(winners.len(), 1, "version {version}");
        let kept = keeper.find(&id).await.expect("find");
        assert_eq!(kept.as_ref(), winners.first().map(|(winner, _)| *winner));
    }
}

/// Versions are counted for each session alone.
pub async fn sessions_do_not_touch_each_other(keeper: &dyn UploadSessions) {
    let (one, other) = (UploadId::random(), UploadId::random());
    assert!(keeper.save(&session(one.clone(), 1, at(1), "one")).await.expect("save"));
    assert!(!keeper.save(&session(other.clone(), 2, at(1), "other")).await.expect("save"));
    assert!(keeper.save(&session(other.clone(), 1, at(2), "other")).await.expect("save"));
    assert!(keeper.save(&session(one.clone(), 2, at(3), "one")).await.expect("save"));
    keeper.remove(&one).await.expect("remove");
    assert_eq!(keeper.find(&other).await.expect("find"), Some(session(other, 1, at(2), "other")));
}

/// Idle is strictly before the cutoff, by the time that was saved last.
pub async fn idle_is_what_was_touched_before_the_cutoff(keeper: &dyn UploadSessions) {
    let before = session(UploadId::random(), 1, at(100) - TimeDelta::microseconds(1), "before");
    let exactly = session(UploadId::random(), 1, at(100), "exactly");
    let after = session(UploadId::random(), 1, at(100) + TimeDelta::microseconds(1), "after");
    let renewed = session(UploadId::random(), 1, at(1), "old");
    for session in [&before, &exactly, &after, &renewed] {
        assert!(keeper.save(session).await.expect("save"));
    }
    let renewed = UploadSession { version: 2, touched: at(200), ..renewed };
    assert!(keeper.save(&renewed).await.expect("save"));

    let idle: Vec<_> = keeper.idle_since(at(100)).try_collect().await.expect("idle");
    assert_eq!(idle, [before]);
}

/// However many are idle, each is found exactly once.
pub async fn every_idle_session_is_found_once(keeper: &dyn UploadSessions) {
    let mut expected = BTreeSet::new();
    for n in 0..300 {
        // Many share their time, so that a keeper that pages by time alone loses some.
        let idle = session(UploadId::random(), 1, at(n / 100), "idle");
        assert!(keeper.save(&idle).await.expect("save"));
        expected.insert(idle.id);
    }
    let found: Vec<_> = keeper.idle_since(at(1000)).map_ok(|idle| idle.id).try_collect().await.expect("idle");
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// Removing takes the session away, idle or not; again, it is already gone, and the id may begin anew.
pub async fn a_removed_session_is_gone(keeper: &dyn UploadSessions) {
    let gone = session(UploadId::random(), 1, at(1), "gone");
    assert!(keeper.save(&gone).await.expect("save"));
    keeper.remove(&gone.id).await.expect("remove");
    keeper.remove(&gone.id).await.expect("remove again");
    assert_eq!(keeper.find(&gone.id).await.expect("find"), None);
    assert_eq!(keeper.idle_since(at(1000)).count().await, 0);
    assert!(!keeper.save(&UploadSession { version: 2, ..gone.clone() }).await.expect("save"));
    assert!(keeper.save(&gone).await.expect("save"));
}

/// A record of the greatest length is kept.
pub async fn the_longest_record_comes_back_whole(keeper: &dyn UploadSessions) {
    let long = session(UploadId::random(), 1, at(1), &"r".repeat(UploadSession::RECORD_BYTES_MAX));
    assert!(keeper.save(&long).await.expect("save"));
    assert_eq!(keeper.find(&long.id).await.expect("find"), Some(long));
}

fn session(id: UploadId, version: u64, touched: DateTime<Utc>, record: &str) -> UploadSession {
    UploadSession { id, version, touched, record: record.to_owned() }
}

/// A time, `seconds` after some other.
fn at(seconds: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds.min(i32::MAX as u64) as i64)
}
