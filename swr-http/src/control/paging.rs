//! The families of pages that lists have. Pure.

use std::num::NonZeroU32;

use http::HeaderValue;

use crate::headers;

/// A part of a list by its place: families A and D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct OffsetPage {
    /// How many entries come before it.
    pub offset: u64,
    /// How many it has at most.
    pub limit: NonZeroU32,
}

/// How many entries a page has where nothing is said, and how many it may have.
#[derive(Clone, Copy)]
pub(super) struct PageSize {
    pub(super) usual: NonZeroU32,
    pub(super) most: NonZeroU32,
}

/// Repositories, tags and logs.
pub(super) const LISTS: PageSize = PageSize {
    usual: NonZeroU32::new(100).expect("100 is not zero"),
    most: NonZeroU32::new(1000).expect("1000 is not zero"),
};
/// The tags that a signature signs.
pub(super) const REFERENCES: PageSize = PageSize {
    usual: NonZeroU32::new(10).expect("10 is not zero"),
    most: NonZeroU32::new(10).expect("10 is not zero"),
};
/// What is attached to an image.
pub(super) const ACCESSORIES: PageSize = PageSize {
    usual: NonZeroU32::new(10).expect("10 is not zero"),
    most: NonZeroU32::new(100).expect("100 is not zero"),
};
/// The trail.
pub(super) const TRACES: PageSize = PageSize {
    usual: NonZeroU32::new(10).expect("10 is not zero"),
    most: NonZeroU32::new(200).expect("200 is not zero"),
};

/// The header of family A: where the page begins, how many entries it has, how many there are in all.
pub(super) fn content_range(offset: u64, count: usize, total: u64) -> HeaderValue {
    headers::value(format!("{offset}-{count}/{total}"))
}

/// Splits off what was asked for beyond the page to know whether there is more.
pub(super) fn first<T>(mut entries: Vec<T>, limit: NonZeroU32) -> (Vec<T>, bool) {
    let most = usize::try_from(limit.get()).unwrap_or(usize::MAX);
    let more = entries.len() > most;
    entries.truncate(most);
    (entries, more)
}
