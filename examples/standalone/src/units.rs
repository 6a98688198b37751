//! Lengths and times as people write them: `10GiB`, `24h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes: a number, or a text such as `512KiB`, `10GiB` or `2GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

/// A span of time: a text such as `30s`, `15m`, `24h` or `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

const SIZES: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A whole number and one of `units` behind it, multiplied out.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let bytes = match Written::deserialize(deserializer) {
            Ok(Written::Number(bytes)) => Some(bytes),
            Ok(Written::Text(text)) => measure(&text, &SIZES),
            Err(_) => None,
        };
        bytes.map(Self).ok_or_else(|| de::Error::custom("expected a size such as `512KiB` or `10GiB`"))
    }
}

impl Span {
    /// The span that people write so.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let millis = measure(text, &TIMES).ok_or("expected a time such as `30s`, `15m`, `24h` or `7d`")?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What is no text is no time either.
        Self::parse(&String::deserialize(deserializer).unwrap_or_default()).map_err(de::Error::custom)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&written(self.0, &SIZES[..4], "B"))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        serializer.serialize_str(&written(millis, &TIMES[1..], "ms"))
    }
}

/// The number in the largest unit that it is a multiple of; of `least` where it is of none.
fn written(number: u64, units: &[(&str, u64)], least: &str) -> String {
    let unit = units.iter().rev().find(|(_, factor)| number > 0 && number.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", number / factor),
        None => format!("{number}{least}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for bytes in [0, 1, 1023, 1024, 1 << 30, 10 << 30, (1 << 40) + 1, u64::MAX] {
            assert_eq!(measure(&written(bytes, &SIZES[..4], "B"), &SIZES), Some(bytes));
        }
        for (millis, text) in
            [(0, "0ms"), (250, "250ms"), (60_000, "1m"), (86_400_000, "1d"), (90_000_000, "25h")]
        {
            assert_eq!(written(millis, &TIMES[1..], "ms"), text);
            assert_eq!(measure(text, &TIMES), Some(millis));
        }
    }

    #[test]
    fn sizes_and_times_are_read_as_written() {
        for (text, bytes) in
            [("512KiB", 524_288), ("10GiB", 10_737_418_240), ("2GB", 2_000_000_000), ("7B", 7)]
        {
            assert_eq!(measure(text, &SIZES), Some(bytes), "{text}");
        }
        for (text, millis) in [("30s", 30_000), ("15m", 900_000), ("24 h", 86_400_000), ("250ms", 250)] {
            assert_eq!(measure(text, &TIMES), Some(millis), "{text}");
        }
        for bad in ["", "5", "h", "-1s", "1.5h", "1w", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(measure(bad, &TIMES), None, "{bad}");
        }
    }
}
