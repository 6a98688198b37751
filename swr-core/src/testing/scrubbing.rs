//! What comes of content that something happened to, in a registry over stores that somebody wrote.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::caller::{Caller, Origin, Task};
use crate::commit::StoredBlob;
use crate::digest::{Algorithm, Digest};
use crate::registry::{Content, Damage, Finding, Registry, ScrubCursor, Unpaced};
use crate::{Access, Error, RepositoryName};

/// What befalls the bytes that are kept; `None` where they get lost.
type Blow = fn(Vec<u8>) -> Option<Vec<u8>>;

const BLOWS: [Blow; 6] = [
    |bytes| flipped(bytes, 0),
    |bytes| flipped(bytes, usize::MAX),
    |mut bytes| bytes.pop().map(|_| bytes),
    |_| Some(Vec::new()),
    |mut bytes| {
        bytes.push(0);
        Some(bytes)
    },
    |_| None,
];

fn flipped(mut bytes: Vec<u8>, at: usize) -> Option<Vec<u8>> {
    let last = bytes.len().checked_sub(1)?;
    if let Some(byte) = bytes.get_mut(at.min(last)) {
        *byte ^= 1;
    }
    Some(bytes)
}

/// A whole pass, and what it finds.
pub async fn scrub(registry: &Registry) -> Vec<Finding> {
    let (mut cursor, mut findings) = (ScrubCursor::default(), Vec::new());
    loop {
        let step = registry.caretaker(Task::Scrub).scrub(&cursor, &Unpaced).await.unwrap().unwrap();
        findings.extend(step.findings);
        match step.next {
            Some(next) => cursor = next,
            None => return findings,
        }
    }
}

/// A scrub finds it and nothing else; it is unknown then; a push heals it, and the next scrub finds nothing.
///
/// Anybody may do anything in the registry, and it is empty. `keep` puts other bytes in the place of content, all of
/// which came at once, or removes it.
pub async fn whatever_befalls_content_is_found_and_a_push_heals_it(
    registry: &Registry,
    keep: impl AsyncFn(&StoredBlob, Option<Vec<u8>>),
) {
    let access = registry.access(Caller::Anonymous, Origin::default());
    let app = RepositoryName::parse("library/app").unwrap();
    for length in [1, 1000, 700_000] {
        let mut all = Vec::new();
        for seed in 0..BLOWS.len() + 3 {
            let bytes = content(seed, length.max(seed + 1));
            let digest = Algorithm::ALL[seed % Algorithm::ALL.len()].digest(&bytes);
            let stored = access.push_blob(&app, &digest, bytes.clone().into()).await.unwrap();
            all.push((stored, bytes));
        }
        let mut expected = BTreeMap::new();
        for ((blob, bytes), blow) in all.iter().zip(BLOWS) {
            let kept = blow(bytes.to_vec());
            expected.insert(blob.digest, kept.is_none());
            keep(blob, kept).await;
        }
        // Two that have each other's bytes.
        let [.., (one, one_bytes), (other, other_bytes)] = all.as_slice() else { panic!("there are some") };
        keep(one, Some(other_bytes.to_vec())).await;
        keep(other, Some(one_bytes.to_vec())).await;
        expected.extend([(one.digest, false), (other.digest, false)]);

        let found = scrub(registry).await.into_iter().map(|finding| match finding {
            Finding::Quarantined { blob, damage } => (blob.digest, damage == Damage::Missing),
            other => panic!("{other:?}"),
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected, "{length} bytes");

        for (blob, bytes) in &all {
            let is_whole = !expected.contains_key(&blob.digest);
            match pull(&access, &app, &blob.digest).await {
                Ok(pulled) => assert!(is_whole && pulled == *bytes),
                Err(Error::BlobUnknown { .. }) => assert!(!is_whole),
                Err(error) => panic!("{error:?}"),
            }
            access.push_blob(&app, &blob.digest, bytes.clone().into()).await.unwrap();
            assert_eq!(pull(&access, &app, &blob.digest).await.unwrap(), *bytes);
        }
        let left = scrub(registry).await;
        assert!(left.is_empty(), "{left:?}");
    }
}

async fn pull(access: &Access<'_>, from: &RepositoryName, digest: &Digest) -> Result<Bytes, Error> {
    match access.pull_blob(from, digest, &[]).await?.content {
        Content::Whole(body) => Ok(body.collect(usize::MAX).await.unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Bytes that are no others'.
fn content(seed: usize, length: usize) -> Bytes {
    (0..length).map(|at| (at.wrapping_mul(31) ^ seed.wrapping_mul(7919) ^ (at >> 8)) as u8).collect()
}
