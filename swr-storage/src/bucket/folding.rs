//! Which segments of an upload are to become one.
//!
//! Every append brings a segment, and clients may append a byte at a time. So what is small is read back and
//! written as one: seldom enough that each byte is read back a few times at most, and often enough that
//! neither a session nor a location has to name more segments than [`SEGMENTS_MAX`].

use std::ops::Range;

/// No upload has more segments: its session has at most 64 KiB for naming them.
pub(super) const SEGMENTS_MAX: usize = 256;

/// How many segments are folded at least, and how many where there are too many and none fit together well.
const RUN: usize = 16;

/// How many bytes are read back while there are not too many segments.
const RUN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How many times as long as the longest segment in it the new one has to be: whatever a byte is in has grown
/// so many times when it is read back once more.
const GROWTH: u64 = 4;

/// The segments of these lengths that are folded before the next one comes, if any.
pub(super) fn folding(lengths: &[u64]) -> Option<Range<usize>> {
    latest_run(lengths).or_else(|| if lengths.len() < SEGMENTS_MAX { None } else { shortest_run(lengths) })
}

/// The longest run at the end that is worth being one.
fn latest_run(lengths: &[u64]) -> Option<Range<usize>> {
    let (mut total, mut longest) = (0u64, 0);
    let mut found = None;
    for (start, &length) in lengths.iter().enumerate().rev() {
        total = total.saturating_add(length);
        longest = longest.max(length);
        if total > RUN_BYTES_MAX {
            break;
        }
        if lengths.len() - start >= RUN && total >= longest.saturating_mul(GROWTH) {
            found = Some(start..lengths.len());
        }
    }
    found
}

/// The run that takes the fewest bytes to be read back.
fn shortest_run(lengths: &[u64]) -> Option<Range<usize>> {
    let runs = lengths.windows(RUN).enumerate();
    let bytes = |run: &[u64]| run.iter().fold(0u64, |total, length| total.saturating_add(*length));
    runs.min_by_key(|(_, run)| bytes(run)).map(|(start, _)| start..start + RUN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What became of the segments after each of these appends, how many there were at most, and how many
    /// bytes were read back.
    fn after(appends: impl IntoIterator<Item = u64>) -> (Vec<u64>, usize, u64) {
        let (mut lengths, mut most, mut read) = (Vec::new(), 0, 0);
        for append in appends {
            if let Some(run) = folding(&lengths) {
                let folded = lengths[run.clone()].iter().sum();
                read += folded;
                lengths.splice(run, [folded]);
            }
            lengths.push(append);
            most = most.max(lengths.len());
        }
        (lengths, most, read)
    }

    #[test]
    fn few_segments_and_large_ones_stay_as_they_are() {
        assert_eq!(folding(&[]), None);
        assert_eq!(folding(&[1; RUN - 1]), None);
        assert_eq!(folding(&[RUN_BYTES_MAX; SEGMENTS_MAX - 1]), None);
    }

    /// With a client that brings chunks of one size, as most do.
    #[test]
    fn chunks_of_one_size_are_read_back_a_few_times() {
        for size in [1, 1000, 65_536, 1 << 20, 5 << 20, 100 << 20] {
            for count in [100, 1000, 10_000] {
                let (_, most, read) = after(std::iter::repeat_n(size, count));
                assert!(most <= SEGMENTS_MAX, "{most} segments of {size}");
                assert!(read <= 5 * size * count as u64, "{read} bytes read back of {count} times {size}");
            }
        }
        // A gigabyte in pieces that a client may call small.
        let (lengths, _, _) = after(std::iter::repeat_n(1 << 20, 1000));
        assert!(lengths.len() <= 40, "{} segments", lengths.len());
    }

    proptest! {
        #[test]
        fn no_bytes_get_lost_and_segments_stay_few(
            appends in prop::collection::vec((0u32..45).prop_map(|bits| 1u64 << bits), 0..3000)
        ) {
            let expected: u64 = appends.iter().sum();
            let (lengths, most, _) = after(appends);
            prop_assert_eq!(lengths.iter().sum::<u64>(), expected);
            prop_assert!(most <= SEGMENTS_MAX, "{} segments", most);
        }
    }
}
