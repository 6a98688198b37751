//! Which operations are tried: what a client would do next, and what none would.

use std::fmt::Debug;
use std::num::NonZeroU32;

use bytes::Bytes;
use chrono::TimeDelta;
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

/// What [`Operation::CleanUp`] is made of: each wait is longer than what it waits for. The second collection deletes
/// what the first one listed and finds nothing new, since no manifest that the first one left without a holder is old
/// enough.
pub(super) const CLEANING: [(TimeDelta, Operation); 3] = [
    (TimeDelta::days(30), Operation::Sweep),
    (TimeDelta::zero(), Operation::Collect),
    (TimeDelta::days(2), Operation::Collect),
];

/// What may come next.
pub(super) fn operations(model: &RegistryModel) -> BoxedStrategy<Operation> {
    Union::new_weighted(vec![
        (24, pushing(model)),
        (14, uploading(model)),
        (4, handling_uploads(model)),
        (4, pushing_blobs()),
        (4, mounting(model)),
        (8, pushing_manifests(model)),
        (10, reading(model)),
        (8, removing(model)),
        (7, listing(model)),
        (8, upkeep()),
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
        let blobs = WORLD.blobs.iter().map(|blob| blob.digest);
        let blobs = blobs.map(|digest| Request::PullBlob { digest, ranges: vec![] });
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

/// The pages from the start and after each entry, as long as they may be: one that has more than these does not go
/// unseen.
fn pages<T: Clone>(entries: impl Iterator<Item = T>) -> impl Iterator<Item = Page<T>> {
    entries.map(Some).chain([None]).map(|after| Page { after, limit: NonZeroU32::MAX })
}

// What a client does who has something in mind.

/// The next step towards a manifest in a repository, mostly one that is not far away: the first thing that is missing,
/// or else the manifest itself.
fn pushing(model: &RegistryModel) -> BoxedStrategy<Operation> {
    let model = model.clone();
    let goals = WORLD.repositories.iter().flat_map(|of| WORLD.manifests.iter().map(move |it| (of, it)));
    let goals: Vec<_> = goals.collect();
    let nearness = prop_oneof![6 => Just(0), 2 => Just(1), 1 => Just(2)];
    let sent = select(vec![Sent::Whole, Sent::Streamed]);
    (people(), 0..goals.len(), nearness, option::of(tags()), either_way, sent)
        .prop_map(move |(by, first, nearness, tag, mounts, sent)| {
            let mut goals = goals.clone();
            goals.rotate_left(first);
            goals.sort_by_cached_key(|(of, manifest)| {
                // What is there already is the last thing to bring.
                let steps = steps_to(&model.repository(of), manifest);
                (steps == 0, steps)
            });
            let (of, manifest) = goals[nearness];
            let reference = tag.map_or(Reference::Digest(manifest.digest), Reference::Tag);
            let holders = model.repositories().filter(|_| mounts);
            let request = step_to(&model.repository(of), manifest, reference, holders, sent);
            Operation::Ask { by, of: of.clone(), request }
        })
        .boxed()
}

/// How many requests it takes until the repository holds the manifest.
fn steps_to(repository: &Repository, manifest: &'static ManifestRecord) -> usize {
    if repository.manifests.contains_key(&manifest.digest) {
        return 0;
    }
    let missing = repository.missing(manifest);
    let below = missing.map(|digest| WORLD.manifest(&digest).map_or(1, |child| steps_to(repository, child)));
    1 + below.sum::<usize>()
}

/// The next of these requests: blobs are mounted where one of `others` holds them, and sent where none does.
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

/// The next step of an upload, by whoever began it and where: it comes in two parts, and is finished.
fn uploading(model: &RegistryModel) -> BoxedStrategy<Operation> {
    let model = model.clone();
    (people(), repositories(), uploads(), blobs(), algorithms(), ways_to_send())
        .prop_map(move |(by, of, number, blob, algorithm, sent)| {
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
                    append(number, upload.bytes.len(), Bytes::copy_from_slice(&rest[..part]), sent)
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
    (people(), repositories(), uploads(), often(), blobs(), ways_to_send(), 0..4)
        .prop_map(move |(by, of, number, is_owner, blob, sent, what)| {
            let upload = model.upload(number);
            let owner = upload.filter(|_| is_owner).map(|upload| (upload.by, upload.of.clone()));
            let (by, of) = owner.unwrap_or((by, of));
            let offset = upload.map_or(0, |upload| upload.bytes.len());
            let request = match what {
                0 => append(number, offset, blob.bytes.clone(), sent),
                1 => Request::FindUpload { upload: number },
                2 => Request::FinishUpload { upload: number, digest: blob.digest },
                _ => Request::CancelUpload { upload: number },
            };
            Operation::Ask { by, of, request }
        })
        .boxed()
}

fn pushing_blobs() -> BoxedStrategy<Operation> {
    let sent = select(vec![Sent::Whole, Sent::Streamed, Sent::BrokenOff]);
    asked((blobs(), blobs(), often(), sent).prop_map(|(blob, other, is_right, sent)| {
        let digest = if is_right { blob.digest } else { other.digest };
        Request::PushBlob { digest, bytes: blob.bytes.clone(), sent }
    }))
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
    let all = WORLD.repositories.iter().flat_map(|of| WORLD.manifests.iter().map(move |it| (of, it)));
    let whole = all.filter(|(of, manifest)| model.repository(of).missing(manifest).next().is_none());
    let whole = whole.map(|(of, manifest)| (of.clone(), manifest.bytes.clone())).collect();
    let any = (
        repositories(),
        prop_oneof![
            2 => manifests().prop_map(|manifest| manifest.bytes.clone()),
            1 => Just(Bytes::from_static(b"{}")),
        ],
    );
    (people(), mostly(whole, any.boxed()), references(), often(), vec(tags(), 0..3), preconditions(model))
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
    let waits = vec![
        TimeDelta::minutes(1),
        TimeDelta::hours(13),
        TimeDelta::hours(25),
        TimeDelta::days(4),
        TimeDelta::days(8),
    ];
    prop_oneof![
        8 => select(waits).prop_map(Operation::Wait),
        6 => Just(Operation::Collect),
        2 => Just(Operation::Sweep),
        1 => Just(Operation::CleanUp),
        1 => Just(Operation::Restart),
    ]
    .boxed()
}

fn asked(requests: impl Strategy<Value = Request> + 'static) -> BoxedStrategy<Operation> {
    (people(), repositories(), requests)
        .prop_map(|(by, of, request)| Operation::Ask { by, of, request })
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

    use super::super::trial::OPERATIONS_MAX;
    use super::super::{Outcome, Refused};
    use super::*;

    /// An answer that no sequence comes to would never be compared.
    #[test]
    fn sequences_come_to_every_answer() {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut answers = Vec::new();
        for _ in 0..100 {
            let sequences = RegistryModel::sequential_strategy(1..=OPERATIONS_MAX);
            let (mut model, operations, _) = sequences.new_tree(&mut runner).unwrap().current();
            for operation in operations {
                model = RegistryModel::apply(model, &operation);
                answers.push(model.answer().clone());
            }
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
