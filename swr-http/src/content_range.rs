//! The grammar of `Range` and of `Content-Range`. Pure.

use swr_core::ByteRange;

/// Ranges in one header that are looked at; with more, the header is taken as if it were not there.
const RANGES_MAX: usize = 256;

/// Reads a `Range` header (RFC 9110, 14.2). `None` where it has another unit, is malformed, or asks for too many
/// ranges: a server then serves the whole.
///
/// A range whose last byte is before its first is read like any other: it lies in no content.
pub fn parse_range(text: &str) -> Option<Vec<ByteRange>> {
    let (unit, set) = text.trim().split_once('=')?;
    if !unit.trim_end().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let ranges: Vec<&str> = set.split(',').map(str::trim).filter(|range| !range.is_empty()).collect();
    if ranges.is_empty() || ranges.len() > RANGES_MAX {
        return None;
    }
    ranges.into_iter().map(parse_one).collect()
}

fn parse_one(text: &str) -> Option<ByteRange> {
    let (first, last) = text.split_once('-')?;
    match (first, last) {
        ("", count) => Some(ByteRange::Last { count: number(count)? }),
        (first, "") => Some(ByteRange::From { first: number(first)? }),
        (first, last) => Some(ByteRange::Span { first: number(first)?, last: number(last)? }),
    }
}

/// The bytes of a chunk within its upload: the first, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the grammar has these two")]
pub struct ChunkRange {
    /// Where the chunk belongs.
    pub first: u64,
    /// Its length in bytes; at least 1.
    pub length: u64,
}

/// Reads the `Content-Range` of a chunk: `0-1023` as the specification has it (`end-5`), or the form that HTTP
/// has, `bytes 0-1023/*`.
pub fn parse_content_range(text: &str) -> Option<ChunkRange> {
    let text = text.trim();
    let text = match text.get(..6) {
        Some(unit) if unit.eq_ignore_ascii_case("bytes ") => {
            let (range, size) = text.get(6..)?.split_once('/')?;
            if size != "*" {
                number(size)?;
            }
            range.trim_start()
        }
        _ => text,
    };
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let length = last.checked_sub(first)?.checked_add(1)?;
    Some(ChunkRange { first, length })
}

/// A number of any length; what does not fit is larger than anything there is.
fn number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_written() {
        use ByteRange::*;
        for (text, expected) in [
            ("bytes=500-1499", vec![Span { first: 500, last: 1499 }]),
            ("bytes=500-", vec![From { first: 500 }]),
            ("bytes=-500", vec![Last { count: 500 }]),
            ("bytes=500-0", vec![Span { first: 500, last: 0 }]),
            ("Bytes = 0-0 , 5-", vec![Span { first: 0, last: 0 }, From { first: 5 }]),
            ("bytes=,0-1,,", vec![Span { first: 0, last: 1 }]),
            ("bytes=0-99999999999999999999", vec![Span { first: 0, last: u64::MAX }]),
        ] {
            assert_eq!(parse_range(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_set_of_byte_ranges_is_ignored() {
        let many = format!("bytes={}", vec!["0-0"; RANGES_MAX + 1].join(","));
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=0-1,x",
            "bytes=+1-2",
            "items=0-1",
            &many,
        ] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }

    #[test]
    fn a_chunk_says_where_it_belongs() {
        for (text, first, length) in [
            ("0-0", 0, 1),
            ("0-1023", 0, 1024),
            ("1024-2047", 1024, 1024),
            ("bytes 5-9/*", 5, 5),
            ("Bytes 5-9/10", 5, 5),
        ] {
            assert_eq!(parse_content_range(text), Some(ChunkRange { first, length }), "{text}");
        }
        for text in [
            "",
            "-",
            "5-",
            "-5",
            "9-5",
            "a-b",
            "0-5/*",
            "bytes 0-5",
            "bytes */10",
            "bytes=0-5",
            "0-99999999999999999999",
        ] {
            assert_eq!(parse_content_range(text), None, "{text}");
        }
    }
}
