//! What content is called: an algorithm and the hash it gives.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

/// The algorithms a [`Digest`] may be made with: the two that the image specification registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "a backend lays out its folders and columns by algorithm")]
pub enum Algorithm {
    /// SHA-256, the default of every client.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name in front of the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The digest of some content, such as `sha256:e3b0…`: a known algorithm, a colon, and lowercase
/// hexadecimal of exactly the length that the algorithm gives.
///
/// Ordered as its text is. Safe in a path: letters, digits and one colon.
///
/// ```
/// use swr_core::digest::{Algorithm, Digest};
///
/// let empty = Algorithm::Sha256.digest(b"");
/// assert_eq!(Digest::parse(&empty.to_string()), Ok(empty));
/// assert!(Digest::parse("sha256:E3B0").is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Hash);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Hash {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

impl Digest {
    /// Reads a digest as it is written in manifests and addresses.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let error = |kind| DigestError { text: text.chars().take(160).collect(), kind };
        let (name, hex) = text.split_once(':').ok_or_else(|| error(DigestErrorKind::NoAlgorithm))?;
        let algorithm = Algorithm::parse(name).ok_or_else(|| {
            error(if is_algorithm_name(name) {
                DigestErrorKind::UnsupportedAlgorithm
            } else {
                DigestErrorKind::NoAlgorithm
            })
        })?;
        let bytes = HEXLOWER.decode(hex.as_bytes()).map_err(|_| error(DigestErrorKind::Hash))?;
        Self::from_bytes(algorithm, &bytes).ok_or_else(|| error(DigestErrorKind::Hash))
    }

    /// A digest from the hash itself; `None` when the length is not the algorithm's.
    pub fn from_bytes(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        Some(Self(match algorithm {
            Algorithm::Sha256 => Hash::Sha256(hash.try_into().ok()?),
            Algorithm::Sha512 => Hash::Sha512(hash.try_into().ok()?),
        }))
    }

    /// What the content was hashed with.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Hash::Sha256(_) => Algorithm::Sha256,
            Hash::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The hash: 32 or 64 bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Hash::Sha256(hash) => hash,
            Hash::Sha512(hash) => hash,
        }
    }

    /// The hash in lowercase hexadecimal: 64 or 128 characters.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(self.as_bytes())
    }
}

/// Algorithm names as the image specification's grammar has them, known here or not.
fn is_algorithm_name(name: &str) -> bool {
    name.split(['+', '.', '_', '-'])
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 128];
        f.write_str(self.algorithm().as_str())?;
        f.write_str(":")?;
        f.write_str(HEXLOWER.encode_mut_str(self.as_bytes(), &mut hex[..2 * self.as_bytes().len()]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("digest `{text}` {kind}")]
pub struct DigestError {
    text: String,
    kind: DigestErrorKind,
}

impl DigestError {
    /// What is wrong with it.
    pub const fn kind(&self) -> DigestErrorKind {
        self.kind
    }
}

/// What can be wrong with a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestErrorKind {
    /// It does not begin with an algorithm's name and a colon.
    #[error("does not begin with an algorithm and a colon")]
    NoAlgorithm,
    /// The algorithm is well formed and none of ours.
    #[error("uses an algorithm other than sha256 and sha512")]
    UnsupportedAlgorithm,
    /// What follows the colon is not lowercase hexadecimal of the algorithm's length.
    #[error("is not lowercase hexadecimal of its algorithm's length")]
    Hash,
}

/// A digest in the making, whose state can be kept and taken up again, also by another process.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// The algorithm it was made for.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes in what comes next.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that was taken in.
    pub fn finish(self) -> Digest {
        Digest(match self.0 {
            State::Sha256(hasher) => Hash::Sha256(hasher.finalize().into()),
            State::Sha512(hasher) => Hash::Sha512(hasher.finalize().into()),
        })
    }

    /// The state as text, with a version in front. It holds no key and is worth no more than the content.
    pub fn save(&self) -> String {
        let state = match &self.0 {
            State::Sha256(hasher) => HEXLOWER.encode(&hasher.serialize()),
            State::Sha512(hasher) => HEXLOWER.encode(&hasher.serialize()),
        };
        format!("{STATE_VERSION}:{}:{state}", self.algorithm())
    }

    /// Takes up a saved state. `None` when its version or shape is not ours: the content has to be read
    /// again.
    pub fn restore(saved: &str) -> Option<Self> {
        let mut parts = saved.splitn(3, ':');
        if parts.next()? != STATE_VERSION {
            return None;
        }
        let algorithm = Algorithm::parse(parts.next()?)?;
        let state = HEXLOWER.decode(parts.next()?.as_bytes()).ok()?;
        Some(Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(deserialized(&state)?),
            Algorithm::Sha512 => State::Sha512(deserialized(&state)?),
        }))
    }
}

/// Names the layout of the state in use: that of the `sha2` crate's 0.11 line.
const STATE_VERSION: &str = "sha2-0.11";

fn deserialized<H: SerializableState>(state: &[u8]) -> Option<H> {
    H::deserialize(&SerializedState::<H>::try_from(state).ok()?).ok()
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.algorithm()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_state_goes_on_where_it_stopped() {
        for algorithm in Algorithm::ALL {
            let content = vec![7u8; 1000];
            for cut in [0, 1, 63, 64, 65, 127, 128, 500, 1000] {
                let mut first = Hasher::new(algorithm);
                first.update(&content[..cut]);
                let mut second = Hasher::restore(&first.save()).unwrap();
                second.update(&content[cut..]);
                assert_eq!(second.finish(), algorithm.digest(&content));
            }
        }
    }

    #[test]
    fn a_state_of_another_version_is_refused() {
        let saved = Hasher::new(Algorithm::Sha256).save();
        for bad in ["", "sha2-0.10:sha256:00", "sha2-0.11:sha256:00", "sha2-0.11:md5:00", "sha2-0.11"] {
            assert!(Hasher::restore(bad).is_none(), "{bad}");
        }
        assert!(Hasher::restore(&saved[..saved.len() - 2]).is_none());
    }

    #[test]
    fn malformed_digests_say_what_is_wrong() {
        use DigestErrorKind::*;
        let hex = "a".repeat(64);
        for (text, kind) in [
            (String::new(), NoAlgorithm),
            ("latest".into(), NoAlgorithm),
            (format!("SHA256:{hex}"), NoAlgorithm),
            (format!("md5:{hex}"), UnsupportedAlgorithm),
            (format!("sha256+b64u:{hex}"), UnsupportedAlgorithm),
            ("sha256:baddigeststring".into(), Hash),
            (format!("sha256:{}", "A".repeat(64)), Hash),
            (format!("sha256:{hex}a"), Hash),
            (format!("sha256:{hex} "), Hash),
            (format!("sha512:{hex}"), Hash),
        ] {
            assert_eq!(Digest::parse(&text).unwrap_err().kind(), kind, "{text}");
        }
    }
}
