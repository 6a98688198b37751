//! What part of a blob was asked for, against how much there is.

use std::ops::Range;

/// One range of bytes, as it is asked for: positions count from 0, and `last` is included (RFC 9110, 14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has these three")]
pub enum ByteRange {
    /// From a position to the end: `500-`.
    From {
        /// The first byte.
        first: u64,
    },
    /// From one position to another: `500-999`.
    Span {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// So many bytes at the end: `-500`.
    Last {
        /// How many.
        count: u64,
    },
}

impl ByteRange {
    /// The bytes that it means in content of `size` bytes, cut short at its end; `None` when there are none.
    pub fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From { first } => first..size,
            Self::Span { first, last } => first..last.saturating_add(1).min(size),
            Self::Last { count } => size.saturating_sub(count)..size,
        };
        (!range.is_empty()).then_some(range)
    }
}

/// The bytes that some ranges mean together in content of `size` bytes, each byte once: ranges that overlap
/// or touch become one, in the place of the first of them. Empty when none of them lies within the content.
pub(crate) fn resolved(ranges: &[ByteRange], size: u64) -> Vec<Range<u64>> {
    let mut wanted: Vec<(usize, Range<u64>)> =
        ranges.iter().filter_map(|range| range.within(size)).enumerate().collect();
    wanted.sort_by_key(|(_, range)| range.start);
    let mut joined: Vec<(usize, Range<u64>)> = Vec::with_capacity(wanted.len());
    for (place, range) in wanted {
        match joined.last_mut() {
            Some((first, before)) if range.start <= before.end => {
                before.end = before.end.max(range.end);
                *first = place.min(*first);
            }
            _ => joined.push((place, range)),
        }
    }
    joined.sort_by_key(|(place, _)| *place);
    joined.into_iter().map(|(_, range)| range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_and_none_beyond_it() {
        use ByteRange::*;
        for (range, size, expected) in [
            (Span { first: 500, last: 1499 }, 2000, Some(500..1500)),
            (Span { first: 500, last: 9999 }, 2000, Some(500..2000)),
            (Span { first: 500, last: 0 }, 2000, None),
            (Span { first: 2000, last: 2001 }, 2000, None),
            (Span { first: 0, last: u64::MAX }, 2000, Some(0..2000)),
            (From { first: 1999 }, 2000, Some(1999..2000)),
            (From { first: 2000 }, 2000, None),
            (From { first: 0 }, 0, None),
            (Last { count: 500 }, 2000, Some(1500..2000)),
            (Last { count: 5000 }, 2000, Some(0..2000)),
            (Last { count: 0 }, 2000, None),
            (Last { count: 5 }, 0, None),
        ] {
            assert_eq!(range.within(size), expected, "{range:?} of {size}");
        }
    }

    #[test]
    fn no_byte_is_sent_twice_and_the_order_stays() {
        use ByteRange::*;
        let ranges = [
            Span { first: 900, last: 999 },
            Span { first: 0, last: 9 },
            Span { first: 5, last: 19 },
            Span { first: 20, last: 29 },
            Span { first: 5000, last: 6000 },
        ];
        assert_eq!(resolved(&ranges, 1000), [900..1000, 0..30]);
        assert!(resolved(&ranges[4..], 1000).is_empty());
    }
}
