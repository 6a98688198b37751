//! The bodies of requests: read up to a limit, and taken for what an operation wants.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;

use swr_core::stream::BodyError;

use crate::body::RequestBody;

/// No body is longer, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// No message about a body is longer, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// All of a body, where it is not too long.
pub(super) async fn collected(body: RequestBody, limit: usize) -> Result<Bytes, BodyDefect> {
    body.into_stream().collect(limit).await.map_err(|error| match error {
        BodyError::TooLong { .. } => BodyDefect::TooLong { limit },
        BodyError::Stalled => BodyDefect::Stalled,
        _ => BodyDefect::Interrupted,
    })
}

/// What an operation wants to be told. A body without a word of its own is none, whatever its type says.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyDefect> {
    serde_json::from_slice(body).map_err(|error| {
        // A message may repeat what was sent.
        let said: String = error.to_string().chars().take(MESSAGE_CHARS_MAX).collect();
        match error.classify() {
            Category::Syntax | Category::Eof | Category::Io => BodyDefect::Malformed(said),
            // The only way to tell what is missing from what is wrong.
            Category::Data if said.starts_with("missing field") => BodyDefect::Missing(said),
            Category::Data => BodyDefect::Wrong(said),
        }
    })
}

/// A value that is written as an object, with the names of its fields, and in no other way.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Object)
    }
}

/// Why a body is not what an operation wants.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyDefect {
    #[error("the body has more than {limit} bytes")]
    TooLong { limit: usize },
    #[error("the body stood still for too long")]
    Stalled,
    #[error("the body broke off before its end")]
    Interrupted,
    /// It is no JSON.
    #[error("the body is no JSON: {0}")]
    Malformed(String),
    /// A field is not there.
    #[error("the body is incomplete: {0}")]
    Missing(String),
    /// A field is not known, or has a value of another type.
    #[error("the body is invalid: {0}")]
    Wrong(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[expect(dead_code, reason = "only its type is of interest")]
        name: String,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_apart() {
        for text in ["", " ", "{", "nonsense", "{\"name\":\"x\"} x", "{\"name\":\"\\ud800\"}"] {
            assert!(
                matches!(read::<Object<Wanted>>(text.as_bytes()), Err(BodyDefect::Malformed(_))),
                "{text}"
            );
        }
        assert!(matches!(read::<Object<Wanted>>(b"{}"), Err(BodyDefect::Missing(_))));
        for text in [
            "[]",
            "[\"x\"]",
            "null",
            "7",
            "{\"name\":7}",
            "{\"name\":null}",
            "{\"name\":\"x\",\"more\":1}",
            "{\"name\":\"x\",\"name\":\"y\"}",
        ] {
            let defect = read::<Object<Wanted>>(text.as_bytes()).map(drop).unwrap_err();
            assert!(matches!(defect, BodyDefect::Wrong(_)), "{text}: {defect}");
        }
        assert!(read::<Object<Wanted>>(b" {\"name\":\"x\"} ").is_ok());
    }

    #[test]
    fn a_body_that_is_nested_for_its_own_sake_is_refused() {
        let deep = "[".repeat(100_000);
        assert!(read::<serde_json::Value>(deep.as_bytes()).is_err());
    }
}
