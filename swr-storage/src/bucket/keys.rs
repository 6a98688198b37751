//! What everything is called: an upload's id and a number → a key; and what a location says.
//!
//! A number is the version of the session that set it aside, so that no two objects of an upload share one,
//! whatever the processes. Everything of one upload lies in a folder of its own:
//!
//! ```text
//! blobs/<ab>/<upload id>/<number>          a segment
//! blobs/<ab>/<upload id>/<number>.index    names the segments of a finished blob, where it has several
//! ```

use std::fmt;
use std::ops::Range;

use object_store::path::Path;
use serde::{Deserialize, Serialize};
use swr_core::commit::BlobLocation;
use swr_core::upload::UploadId;

/// Where all folders are.
const BLOBS: &str = "blobs";

/// What comes behind the number of an index.
const INDEX: &str = ".index";

/// One of the objects of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Object {
    /// Some of its bytes.
    Segment(u64),
    /// The location of what it brought.
    Index(u64),
}

impl Object {
    /// Its key.
    pub(super) fn key(self, id: &UploadId) -> Path {
        folder(id).join(self.to_string())
    }

    /// Reads the last part of a key; `None` when it is none of ours.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name.strip_suffix(INDEX) {
            Some(number) => number_of(number).map(Self::Index),
            None => number_of(name).map(Self::Segment),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(number) => write!(f, "{number}"),
            Self::Index(number) => write!(f, "{number}{INDEX}"),
        }
    }
}

/// The folder of all that an upload brought.
pub(super) fn folder(id: &UploadId) -> Path {
    let prefix: String = id.as_str().chars().take(2).collect();
    Path::from_iter([BLOBS, &prefix, id.as_str()])
}

/// What all folders are spread over: `blobs/00` to `blobs/ff`.
pub(super) fn prefixes() -> impl Iterator<Item = Path> + Send {
    (0..=u8::MAX).map(|byte| Path::from_iter([BLOBS, &format!("{byte:02x}")]))
}

/// The upload whose folder this is; `None` when it is no folder of ours.
pub(super) fn upload_of(folder: &Path) -> Option<UploadId> {
    let id = UploadId::parse(folder.filename()?).ok()?;
    (self::folder(&id) == *folder).then_some(id)
}

/// A part of some content, and the object that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    /// The object's number.
    pub(super) number: u64,
    /// How many bytes it has.
    pub(super) length: u64,
}

impl Segment {
    pub(super) fn object(self) -> Object {
        Object::Segment(self.number)
    }
}

/// A place for finished bytes: `<upload id>/<number>-<length>`. Where there are several segments they are
/// listed, in order, behind the number of the index that names them: `<upload id>/9:3-1000,5-1000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    upload: UploadId,
    index: Option<u64>,
    segments: Vec<Segment>,
}

impl Place {
    /// The place of content in one segment.
    pub(super) fn whole(upload: UploadId, segment: Segment) -> Self {
        Self { upload, index: None, segments: vec![segment] }
    }

    /// The place of content in several segments, which `index` names.
    pub(super) fn indexed(upload: UploadId, index: u64, segments: Vec<Segment>) -> Self {
        Self { upload, index: Some(index), segments }
    }

    /// Reads a location; `None` for every text that [`Self::location`] does not write.
    pub(super) fn parse(location: &BlobLocation) -> Option<Self> {
        let (upload, rest) = location.as_str().split_once('/')?;
        let (index, segments) = match rest.split_once(':') {
            Some((index, segments)) => (Some(number_of(index)?), segments),
            None => (None, rest),
        };
        let segment = |text: &str| {
            let (number, length) = text.split_once('-')?;
            Some(Segment { number: number_of(number)?, length: number_of(length)? })
        };
        let segments: Vec<_> = segments.split(',').map(segment).collect::<Option<_>>()?;
        segments.iter().try_fold(0u64, |length, segment| length.checked_add(segment.length))?;
        let one = segments.len() == 1;
        (one == index.is_none()).then_some(Self { upload: UploadId::parse(upload).ok()?, index, segments })
    }

    /// The place as it is kept in the facts.
    pub(super) fn location(&self) -> BlobLocation {
        let segments = self.segments.iter().map(|Segment { number, length }| format!("{number}-{length}"));
        let segments: Vec<_> = segments.collect();
        let index = self.index.map(|index| format!("{index}:")).unwrap_or_default();
        BlobLocation::new(format!("{}/{index}{}", self.upload, segments.join(",")))
    }

    /// The upload that brought it.
    pub(super) fn upload(&self) -> &UploadId {
        &self.upload
    }

    /// The segments, in order.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Every object that is there because of it.
    pub(super) fn objects(&self) -> impl Iterator<Item = Object> {
        self.segments.iter().map(|segment| segment.object()).chain(self.index.map(Object::Index))
    }

    /// How many bytes the content has.
    pub(super) fn length(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }
}

/// What some of the bytes of several segments are in each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The segment.
    pub(super) segment: Segment,
    /// Which of its bytes; at least one.
    pub(super) range: Range<u64>,
}

/// Where the bytes of `range` are.
pub(super) fn pieces(segments: &[Segment], range: Range<u64>) -> impl Iterator<Item = Piece> {
    let mut end = 0;
    segments.iter().filter_map(move |&segment| {
        let start = end;
        end += segment.length;
        let within = range.start.clamp(start, end) - start..range.end.clamp(start, end) - start;
        (!within.is_empty()).then_some(Piece { segment, range: within })
    })
}

/// A number as it is written, without signs and leading zeros.
pub(super) fn number_of(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(lengths: &[u64]) -> Vec<Segment> {
        lengths.iter().zip(2..).map(|(&length, number)| Segment { number, length }).collect()
    }

    #[test]
    fn a_location_reads_back_as_the_place_that_wrote_it() {
        let id = UploadId::random();
        for segment in segments(&[0, 1, u64::MAX]) {
            let place = Place::whole(id.clone(), segment);
            assert_eq!(Place::parse(&place.location()), Some(place));
        }
        let place = Place::indexed(id, 9, segments(&[5, 1, 7]));
        assert_eq!(place.length(), 13);
        assert_eq!(Place::parse(&place.location()), Some(place));
    }

    #[test]
    fn no_other_text_is_a_location() {
        let id = UploadId::random();
        for bad in [
            "",
            "/etc/passwd",
            "../2-5",
            &format!("{id}"),
            &format!("{id}/"),
            &format!("{id}/2"),
            &format!("{id}/2-"),
            &format!("{id}/-5"),
            &format!("{id}/02-5"),
            &format!("{id}/2-+5"),
            &format!("{id}/2-5/"),
            &format!("{id}/../2-5"),
            &format!("{id}/2-5,3-5"),
            &format!("{id}/9:2-5"),
            &format!("{id}/9:"),
            &format!("{id}/9:2-5,,3-5"),
            &format!("{id}/9:2-5,3-5,"),
            &format!("{id}/9:2-18446744073709551615,3-1"),
            &format!("{}/2-5", id.as_str().to_uppercase().replace('0', "A")),
            &format!("{id}/2-5\0"),
        ] {
            assert_eq!(Place::parse(&BlobLocation::new(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn a_range_is_found_in_the_segments_that_hold_it() {
        let all = segments(&[3, 0, 4, 1]);
        let content: Vec<_> = all.iter().flat_map(|s| (0..s.length).map(|at| (s.number, at))).collect();
        for start in 0..=8 {
            for end in start..=8 {
                let found = pieces(&all, start..end).flat_map(|Piece { segment, range }| {
                    assert!(!range.is_empty());
                    range.map(move |at| (segment.number, at))
                });
                let expected = &content[start as usize..end as usize];
                assert_eq!(found.collect::<Vec<_>>(), expected, "{start}..{end}");
            }
        }
    }

    #[test]
    fn keys_tell_what_they_are_of() {
        let id = UploadId::random();
        for object in [Object::Segment(1), Object::Index(u64::MAX)] {
            let key = object.key(&id);
            assert_eq!(Object::parse(key.filename().unwrap()), Some(object));
            let mut parts: Vec<_> = key.parts().collect();
            parts.pop();
            assert_eq!(upload_of(&parts.into_iter().collect()), Some(id.clone()));
        }
        for foreign in ["", "index", ".index", "1.index.index", "01", "-1", "1~"] {
            assert_eq!(Object::parse(foreign), None, "{foreign}");
        }
        assert_eq!(prefixes().count(), 256);
        assert_eq!(prefixes().filter(|prefix| folder(&id).prefix_matches(prefix)).count(), 1);
        assert_eq!(upload_of(&Path::from(format!("blobs/zz/{id}"))), None);
    }
}
