//! Which operations are tried: what a client would do next, and what none would.

use std::fmt::Debug;
use std::num::NonZeroU32;

use bytes::Bytes;
use proptest::bool::ANY as either_way;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, Union};
use swr_policy::{RepositoryName, Tag};

use super::model::{RegistryModel, Repository};
use super::world::WORLD;
use super::{Operation, Person, Request, Sent};
use crate::byte_range::ByteRange;
use crate::digest::{Algorithm, Digest};
use crate::manifest::ManifestRecord;
use crate::ports::Page;
use crate::reference::Reference;
use crate::registry::{ManifestPush, Precondition};
use crate::testing::sample_images::SampleBlob;

/// How many uploads can be told apart.
const UPLOADS: u8 = 2;

/// In minutes.
pub(super) const HOUR: i64 = 60;
/// In minutes.
pub(super) const DAY: i64 = 24 * HOUR;

/// What [`Operation::CleanUp`] is made of. The first wait is longer than anything is held. The second collection
/// deletes what the first one listed, and finds nothing new: no manifest that the first one left without a holder is
/// old enough.
pub(super) const CLEANING: [Operation; 5] = [
    Operation::Wait { minutes: 30 * DAY },
    Operation::Sweep,
    Operation::Collect,
    Operation::Wait { minutes: 2 * DAY },
    Operation::Collect,
];

/// A manifest in a repository.
pub(super) type Wish = (&'static RepositoryName, &'static ManifestRecord);

/// All that can be wished for, in any order.
pub(super) fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    Just(everywhere().collect::<Vec<_>>()).prop_shuffle()
}

fn everywhere() -> impl Iterator<Item = Wish> {
    WORLD.repositories.iter().flat_map(|of| WORLD.manifests.iter().map(move |manifest| (of, manifest)))
}

/// What may come next.
pub(super) fn operations(model: &RegistryModel) -> BoxedStrategy<Operation> {
    Union::new_weighted(vec![
        (34, pushing(model)),
        (14, uploading(model)),
        (4, handling_uploads(model)),
        (4, pushing_blobs()),
        (4, mounting(model)),
        (8, pushing_manifests(model)),
        (10, reading(model)),
        (12, removing(model)),
        (7, listing(model)),
        (10, upkeep()),
    ])
    .boxed()
}

/// Everything that can be asked by somebody who may, and what somebody else sees of it.
pub(super) fn everything(model: &RegistryModel) -> Vec<Operation> {
    let mut everything = Vec::new();
    for by in Person::ALL {
        let pages = pages(WORLD.repositories.iter().cloned());
        everything.extend(pages.map(|page| Operation::List { by, page }));
    }
    for of in &WORLD.repositories {
        let repository = model.repository(of);
        let asked = |by, request| Operation::Ask { by, of: of.clone(), request };
        let tags = WORLD.tags.iter().cloned().map(Reference::Tag);
        let manifests = WORLD.all_manifests().map(|manifest| Reference::Digest(manifest.digest));
        let pulls = tags.chain(manifests).map(|reference| Request::PullManifest { reference });
        let blobs = WORLD.blobs.iter().flat_map(|blob| {
            let digest = blob.digest;
            [Request::PullBlob { digest, ranges: vec![] }, Request::StatBlob { digest }]
        });
        let tags = pages(repository.tags.keys().cloned()).map(|page| Request::Tags { page });
        let referrers = WORLD.all_manifests().map(|manifest| manifest.digest).flat_map(|subject| {
            let pages = pages(repository.referring(&subject).into_keys());
            pages.map(move |page| Request::Referrers { subject, of_type: None, page })
        });
        let all = pulls.chain(blobs).chain(tags).chain(referrers);
        everything.extend(all.map(|request| asked(Person::Ada, request)));
        let uploads = (0..UPLOADS).map(|upload| Request::FindUpload { upload });
        everything.extend(uploads.flat_map(|request| Person::ALL.map(|by| asked(by, request.clone()))));
    }
    everything
}

/// Pages of one entry, from the start and after each entry: whether there are more says whether there are others.
fn pages<T: Clone>(entries: impl Iterator<Item = T>) -> impl Iterator<Item = Page<T>> {
    entries.map(Some).chain([None]).map(|after| Page { after, limit: NonZeroU32::MIN })
}

// What a client does who has something in mind.

/// The next step towards what is wished for.
fn pushing(model: &RegistryModel) -> BoxedStrategy<Operation> {
    if model.wishes.is_empty() {
        return pushing_manifests(model);
    }
    let model = model.clone();
    let place = prop_oneof![6 => Just(0usize), 2 => Just(1), 1 => Just(2)];
    let sent = select(vec![Sent::Whole, Sent::Streamed]);
    (people(), place, option::of(tags()), either_way, sent)
        .prop_map(move |(by, place, tag, mounts, sent)| {
            let (of, manifest) = model.wishes[place.min(model.wishes.len() - 1)];
            let reference = tag.map_or(Reference::Digest(manifest.digest), Reference::Tag);
            let others = model.repositories().filter(|_| mounts);
            let request = step_to(&model.repository(of), manifest, reference, others, sent);
            Operation::Ask { by, of: of.clone(), request }
        })
        .boxed()
}

/// The first thing that is missing, or else the manifest itself. Blobs are mounted where one of `others` holds them,
/// and sent where none does.
fn step_to<'a>(
    repository: &Repository,
    manifest: &'static ManifestRecord,
    reference: Reference,
    mut others: impl Iterator<Item = (&'a RepositoryName, &'a Repository)>,
    sent: Sent,
) -> Request {
    let Some(digest) = repository.missing(manifest).next() else {
        return Request::PushManifest(ManifestPush {
            reference,
            tags: Vec::new(),
            media_type: Some(manifest.media_type.clone()),
            bytes: manifest.bytes.clone(),
            precondition: Precondition::None,
        });
    };
    match WORLD.blob(&digest) {
        None => step_to(repository, WORLD.manifest(&digest).unwrap(), digest.into(), others, sent),
        Some(blob) => match others.find(|(_, other)| other.blobs.contains_key(&digest)) {
            Some((from, _)) => Request::MountBlob { digest, from: Some(from.clone()) },
            None => Request::PushBlob { digest, bytes: blob.bytes.clone(), sent },
        },
    }
}

/// The next step of an upload, by whoever began it and where: it comes in two parts, or three where one has no bytes,
/// and is finished.
fn uploading(model: &RegistryModel) -> BoxedStrategy<Operation> {
    let model = model.clone();
    (people(), repositories(), uploads(), blobs(), algorithms(), often(), ways_to_send())
        .prop_map(move |(by, of, number, blob, algorithm, goes_on, sent)| {
            let Some(upload) = model.upload(number) else {
                let request = Request::BeginUpload { upload: number, algorithm };
                return Operation::Ask { by, of, request };
            };
            let mut all = [blob].into_iter().chain(&WORLD.blobs);
            let begun = all.find_map(|blob| Some((blob, blob.bytes.strip_prefix(&*upload.bytes)?)));
            let request = match begun {
                Some((_, rest)) if !rest.is_empty() => {
                    // A first byte alone could not be told from none where `Range` tells of it.
                    let is_first = upload.bytes.is_empty() && rest.len() >= 4;
                    let part = if is_first { rest.len() / 2 } else { rest.len() };
                    let part = if goes_on { &rest[..part] } else { &[] };
                    append(number, upload.bytes.len(), Bytes::copy_from_slice(part), sent)
                }
                whole => {
                    let digest = whole.map_or(blob, |(blob, _)| blob).digest;
                    Request::FinishUpload { upload: number, digest }
                }
            };
            Operation::Ask { by: upload.by, of: upload.of.clone(), request }
        })
        .boxed()
}

fn append(upload: u8, offset: usize, bytes: Bytes, sent: Sent) -> Request {
    let sent = match sent {
        // No bytes are at no place.
        Sent::At(_) if bytes.is_empty() => Sent::Whole,
        Sent::At(beyond) => Sent::At(offset as u64 + beyond),
        sent => sent,
    };
    Request::AppendUpload { upload, bytes, sent }
}

/// Where a place is said, it is how far beyond the right one.
fn ways_to_send() -> impl Strategy<Value = Sent> {
    prop_oneof![
        3 => Just(Sent::At(0)),
        1 => (1..8u64).prop_map(Sent::At),
        2 => Just(Sent::Whole),
        2 => Just(Sent::Streamed),
        1 => Just(Sent::BrokenOff),
    ]
}

// What anybody may send.

/// Mostly by whoever began it, and where.
fn handling_uploads(model: &RegistryModel) -> BoxedStrategy<Operation> {
    let model = model.clone();
    let bytes = prop_oneof![
        2 => blobs().prop_map(|blob| blob.bytes.clone()),
        1 => Just(WORLD.too_large.bytes.clone()),
    ];
    (people(), repositories(), uploads(), often(), (bytes, ways_to_send()), blobs(), 0..4)
        .prop_map(move |(by, of, number, is_owner, (bytes, sent), blob, what)| {
            let upload = model.upload(number);
            let owner = upload.filter(|_| is_owner).map(|upload| (upload.by, upload.of.clone()));
            let (by, of) = owner.unwrap_or((by, of));
            let offset = upload.map_or(0, |upload| upload.bytes.len());
            let request = match what {
                0 => append(number, offset, bytes, sent),
                1 => Request::FindUpload { upload: number },
                2 => Request::FinishUpload { upload: number, digest: blob.digest },
                _ => Request::CancelUpload { upload: number },
            };
            Operation::Ask { by, of, request }
        })
        .boxed()
}

fn pushing_blobs() -> BoxedStrategy<Operation> {
    let brought = prop_oneof![9 => blobs(), 1 => Just(&WORLD.too_large)];
    let sent = select(vec![Sent::Whole, Sent::Streamed, Sent::BrokenOff]);
    (people(), repositories(), brought, blobs(), often(), sent)
        .prop_map(|(by, of, blob, other, is_right, sent)| {
            let digest = if is_right { blob.digest } else { other.digest };
            let request = Request::PushBlob { digest, bytes: blob.bytes.clone(), sent };
            Operation::Ask { by, of, request }
        })
        .boxed()
}

fn mounting(model: &RegistryModel) -> BoxedStrategy<Operation> {
    (people(), repositories(), known_blobs(model), either_way)
        .prop_map(|(by, of, (from, digest), says)| {
            let from = says.then_some(from);
            Operation::Ask { by, of, request: Request::MountBlob { digest, from } }
        })
        .boxed()
}

/// Mostly where everything is that the manifest names.
fn pushing_manifests(model: &RegistryModel) -> BoxedStrategy<Operation> {
    let is_whole = |(of, manifest): &Wish| model.repository(of).missing(manifest).next().is_none();
    let whole = everywhere().filter(is_whole).map(|(of, manifest)| (of.clone(), manifest.bytes.clone()));
    let bytes = prop_oneof![
        2 => manifests().prop_map(|manifest| manifest.bytes.clone()),
        1 => Just(Bytes::from_static(b"{}")),
    ];
    let pushed = mostly(whole.collect(), (repositories(), bytes).boxed());
    (people(), pushed, references(), often(), vec(tags(), 0..3), preconditions(model))
        .prop_map(|(by, (of, bytes), reference, is_right, tags, precondition)| {
            let reference = match reference {
                Reference::Digest(digest) if is_right => digest.algorithm().digest(&bytes).into(),
                reference => reference,
            };
            let push = ManifestPush { reference, tags, media_type: None, bytes, precondition };
            Operation::Ask { by, of, request: Request::PushManifest(push) }
        })
        .boxed()
}

fn reading(model: &RegistryModel) -> BoxedStrategy<Operation> {
    let manifests = (known_references(model), either_way).prop_map(|((of, reference), with_bytes)| {
        let request = match with_bytes {
            true => Request::PullManifest { reference },
            false => Request::StatManifest { reference },
        };
        (of, request)
    });
    let blobs = (known_blobs(model), option::of(ranges())).prop_map(|((of, digest), ranges)| {
        let request = match ranges {
            Some(ranges) => Request::PullBlob { digest, ranges },
            None => Request::StatBlob { digest },
        };
        (of, request)
    });
    (people(), prop_oneof![manifests, blobs])
        .prop_map(|(by, (of, request))| Operation::Ask { by, of, request })
        .boxed()
}

fn removing(model: &RegistryModel) -> BoxedStrategy<Operation> {
    let manifests =
        (known_references(model), preconditions(model)).prop_map(|((of, reference), precondition)| {
            (of, Request::RemoveManifest { reference, precondition })
        });
    let blobs = known_blobs(model).prop_map(|(of, digest)| (of, Request::RemoveBlob { digest }));
    (people(), prop_oneof![2 => manifests, 1 => blobs])
        .prop_map(|(by, (of, request))| Operation::Ask { by, of, request })
        .boxed()
}

fn listing(model: &RegistryModel) -> BoxedStrategy<Operation> {
    let limits = || (1..5u32).prop_map(|limit| NonZeroU32::new(limit).unwrap());
    let repositories = (people(), option::of(repositories()), limits())
        .prop_map(|(by, after, limit)| Operation::List { by, page: Page { after, limit } });
    let tags = (people(), known_references(model), option::of(tags()), limits()).prop_map(
        |(by, (of, _), after, limit)| {
            let page = Page { after, limit };
            Operation::Ask { by, of, request: Request::Tags { page } }
        },
    );
    let of_type = option::of(select(&*WORLD.types));
    let after = option::weighted(0.3, manifests().prop_map(|manifest| manifest.digest));
    let referrers = (people(), known_subjects(model), of_type, after, limits()).prop_map(
        |(by, (of, subject), of_type, after, limit)| {
            let page = Page { after, limit };
            Operation::Ask { by, of, request: Request::Referrers { subject, of_type, page } }
        },
    );
    prop_oneof![1 => repositories, 2 => tags, 3 => referrers].boxed()
}

fn upkeep() -> BoxedStrategy<Operation> {
    // Also a little longer than half of a hold: what is renewed then lives through the next one.
    let minutes = prop_oneof![1 => Just(1), 3 => Just(13 * HOUR), 2 => Just(4 * DAY), 2 => Just(8 * DAY)];
    prop_oneof![
        8 => minutes.prop_map(|minutes| Operation::Wait { minutes }),
        6 => Just(Operation::Collect),
        2 => Just(Operation::Sweep),
        1 => Just(Operation::CleanUp),
        1 => Just(Operation::Restart),
    ]
    .boxed()
}

// What it is about.

fn people() -> impl Strategy<Value = Person> {
    prop_oneof![9 => Just(Person::Ada), 1 => Just(Person::Bob)]
}

fn repositories() -> impl Strategy<Value = RepositoryName> {
    select(&*WORLD.repositories)
}

fn tags() -> impl Strategy<Value = Tag> {
    select(&*WORLD.tags)
}

/// Mostly the same, so that it comes to its end.
fn uploads() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(0), 1 => 1..UPLOADS]
}

fn algorithms() -> impl Strategy<Value = Algorithm> {
    select(&Algorithm::ALL[..])
}

fn blobs() -> impl Strategy<Value = &'static SampleBlob> {
    (0..WORLD.blobs.len()).prop_map(|number| &WORLD.blobs[number])
}

fn manifests() -> impl Strategy<Value = &'static ManifestRecord> {
    let one_of = |manifests: &'static [ManifestRecord]| {
        (0..manifests.len()).prop_map(move |number| &manifests[number])
    };
    prop_oneof![8 => one_of(&WORLD.manifests), 1 => one_of(&WORLD.long_manifests)]
}

fn references() -> BoxedStrategy<Reference> {
    let digests = manifests().prop_map(|manifest| Reference::Digest(manifest.digest));
    prop_oneof![tags().prop_map(Reference::Tag), digests].boxed()
}

fn ranges() -> impl Strategy<Value = Vec<ByteRange>> {
    let byte = || 0..20u64;
    let range = prop_oneof![
        byte().prop_map(|first| ByteRange::From { first }),
        (byte(), byte()).prop_map(|(first, last)| ByteRange::Span { first, last }),
        byte().prop_map(|count| ByteRange::Last { count }),
    ];
    vec(range, 0..5)
}

/// Mostly none.
fn preconditions(model: &RegistryModel) -> BoxedStrategy<Precondition> {
    let digests = vec((known_references(model), manifests()), 0..3).prop_map(|several| {
        let digests = several.into_iter().map(|((_, reference), manifest)| match reference {
            Reference::Digest(digest) => digest,
            Reference::Tag(_) => manifest.digest,
        });
        Precondition::Is(digests.collect())
    });
    prop_oneof![
        6 => Just(Precondition::None),
        1 => Just(Precondition::Exists),
        1 => Just(Precondition::Absent),
        2 => digests,
    ]
    .boxed()
}

fn known_references(model: &RegistryModel) -> BoxedStrategy<(RepositoryName, Reference)> {
    let there = model.repositories().flat_map(|(name, repository)| {
        let tags = repository.tags.keys().cloned().map(Reference::Tag);
        let manifests = repository.manifests.keys().copied().map(Reference::Digest);
        tags.chain(manifests).map(|reference| (name.clone(), reference))
    });
    mostly(there.collect(), (repositories(), references()).boxed())
}

fn known_blobs(model: &RegistryModel) -> BoxedStrategy<(RepositoryName, Digest)> {
    let there = model
        .repositories()
        .flat_map(|(name, repository)| repository.blobs.keys().map(|digest| (name.clone(), *digest)));
    mostly(there.collect(), (repositories(), blobs().prop_map(|blob| blob.digest)).boxed())
}

/// Mostly manifests that others refer to.
fn known_subjects(model: &RegistryModel) -> BoxedStrategy<(RepositoryName, Digest)> {
    let there = model.repositories().flat_map(|(name, repository)| {
        let subjects = WORLD.all_manifests().map(|manifest| manifest.digest);
        let referred_to = subjects.filter(|subject| !repository.referring(subject).is_empty());
        referred_to.map(|subject| (name.clone(), subject))
    });
    mostly(there.collect(), (repositories(), manifests().prop_map(|manifest| manifest.digest)).boxed())
}

/// Mostly one of those that are there.
fn mostly<T: Clone + Debug + 'static>(there: Vec<T>, any: BoxedStrategy<T>) -> BoxedStrategy<T> {
    match there.is_empty() {
        true => any,
        false => prop_oneof![4 => select(there), 1 => any].boxed(),
    }
}

fn often() -> impl Strategy<Value = bool> {
    proptest::bool::weighted(0.8)
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    use proptest_state_machine::ReferenceStateMachine;

    use super::super::trial::{OPERATIONS_MAX, told};
    use super::super::{Outcome, Refused};
    use super::*;

    /// An answer that no sequence comes to would never be compared.
    #[test]
    fn sequences_come_to_every_answer() {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let sequences = RegistryModel::sequential_strategy(1..=OPERATIONS_MAX);
        let mut answers = Vec::new();
        for _ in 0..50 {
            let (model, operations, _) = sequences.new_tree(&mut runner).unwrap().current();
            answers.extend(told(model, operations).into_iter().map(|(_, answer)| answer));
        }
        macro_rules! assert_met {
            ($($wanted:pat,)*) => {
                $(
                    let is_met = answers.iter().any(|answer| matches!(answer, $wanted));
                    assert!(is_met, "{}", stringify!($wanted));
                )*
            };
        }
        assert_met!(
            Outcome::Done,
            Outcome::Offset(1..),
            Outcome::Held(_),
            Outcome::NotHere,
            Outcome::Size(_),
            Outcome::Whole(_),
            Outcome::Parts(_),
            Outcome::Pushed { subject: Some(_), .. },
            Outcome::Manifest { bytes: None, .. },
            Outcome::Manifest { bytes: Some(_), .. },
            Outcome::Names { more: true, .. },
            Outcome::Referrers { more: true, .. },
            Outcome::Swept(1..),
            Outcome::Collected { manifests: 1.., .. },
            Outcome::Collected { links: 1.., .. },
            Outcome::Collected { repositories: 1.., .. },
            Outcome::Kept(1..),
            Outcome::Refused(Refused::BlobUnknown),
            Outcome::Refused(Refused::UploadUnknown),
            Outcome::Refused(Refused::UploadOffset(_)),
            Outcome::Refused(Refused::Interrupted),
            Outcome::Refused(Refused::BlobTooLarge),
            Outcome::Refused(Refused::DigestMismatch(_)),
            Outcome::Refused(Refused::ManifestInvalid),
            Outcome::Refused(Refused::ManifestBlobUnknown(_)),
            Outcome::Refused(Refused::ManifestUnknown),
            Outcome::Refused(Refused::NameUnknown),
            Outcome::Refused(Refused::TagImmutable(_)),
            Outcome::Refused(Refused::BlobNamed(_)),
            Outcome::Refused(Refused::RangeUnsatisfiable(_)),
            Outcome::Refused(Refused::PreconditionFailed),
        );
    }
}
