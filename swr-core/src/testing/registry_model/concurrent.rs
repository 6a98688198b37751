//! Requests under way at the same time, and a collection among them: whatever the order of their steps, what they are
//! answered is what some order of whole requests is, among the rounds in which the collection lets go of what is unused.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine as _;
use tokio::runtime::Builder;

use super::sequences::{DAY, HOUR};
use super::trial::{OPERATIONS_MAX, Running};
use super::world::WORLD;
use super::{Direct, Operation, Outcome, RegistryModel, Request, Uploads, sequences};
use crate::ports::{BlobStore, ManifestStore, UploadStore};
use crate::testing::ManualClock;
use crate::testing::stepping::{Plan, Stepping, Steps, interleaved};

/// How many clients ask at the same time.
const CLIENTS: usize = 3;
/// How many different requests they make.
const REQUESTS: usize = 4;
/// In how many orders of steps each sequence is tried, told by how many minutes pass before: nothing is collected at first,
/// and more and more later.
const ORDERS: [i64; 4] = [0, 13 * HOUR, 2 * DAY, 8 * DAY];

/// A request, or a collection, that was answered, and when.
#[derive(Clone, Debug)]
struct Answered {
    operation: Operation,
    answer: Outcome,
    begun: u32,
    ended: u32,
}

/// Tries sequences of operations whose last requests are made by several clients at the same time, while it is collected,
/// in many orders of their steps, and panics where neither the answers nor what is there afterwards can be told by the
/// model in any order of the requests in which none comes before one that had ended when it began.
///
/// `open` opens stores, new and empty, none of whose calls has to wait for anything, and which let go of what is unused
/// in one step. The sequences and the orders are
/// the same every time: `cases` of them, unless the environment variable `PROPTEST_CASES` says another number.
pub fn some_order_agrees_with_the_model<B, M>(cases: u32, open: impl Fn() -> (B, M))
where
    B: BlobStore + UploadStore,
    M: ManifestStore,
{
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    let config = Config { cases, max_shrink_iters: 100, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let runtime = Builder::new_current_thread().build().unwrap();
    let sequences = RegistryModel::sequential_strategy(REQUESTS..=OPERATIONS_MAX);
    let tried = runner.run(&sequences, |(model, mut operations, _)| {
        // A store that is opened anew has nothing to do with what is tried here.
        operations.retain(|operation| !matches!(operation, Operation::Restart));
        let at_once = split_off_requests(&mut operations);
        for (order, minutes) in (0..).zip(ORDERS) {
            let mut before = operations.clone();
            before.push(Operation::Wait { minutes });
            let tried = runtime.block_on(one_order(model.clone(), &before, &at_once, order, open()));
            tried.map_err(TestCaseError::fail)?;
        }
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{}", WORLD.in_words(&failure.to_string())));
}

/// The last requests of the operations, as clients make them. An upload that is begun takes the place of another one,
/// for whoever learns of it: there is none among them. What is asked of one upload, one client asks, who alone was told
/// of it. Whatever else is asked, two of them ask, so that they get into each other's way.
fn split_off_requests(operations: &mut Vec<Operation>) -> [Vec<Operation>; CLIENTS] {
    let is_one = |operation: &Operation| matches!(operation, Operation::Ask { request, .. } if !matches!(request, Request::BeginUpload { .. }));
    let mut requests: [Vec<_>; CLIENTS] = Default::default();
    for number in 0..REQUESTS {
        let Some(at) = operations.iter().rposition(is_one) else { break };
        let operation = operations.remove(at);
        match upload_of(&operation) {
            Some(upload) => requests[usize::from(upload) % CLIENTS].insert(0, operation),
            None => {
                requests[number % CLIENTS].insert(0, operation.clone());
                requests[(number + 1) % CLIENTS].insert(0, operation);
            }
        }
    }
    requests
}

fn upload_of(operation: &Operation) -> Option<u8> {
    let Operation::Ask { request, .. } = operation else { return None };
    match request {
        Request::AppendUpload { upload, .. }
        | Request::FindUpload { upload }
        | Request::FinishUpload { upload, .. }
        | Request::CancelUpload { upload } => Some(*upload),
        _ => None,
    }
}

async fn one_order<B, M>(
    mut model: RegistryModel,
    before: &[Operation],
    at_once: &[Vec<Operation>; CLIENTS],
    order: u64,
    (bytes, manifests): (B, M),
) -> Result<(), String>
where
    B: BlobStore + UploadStore,
    M: ManifestStore,
{
    let steps = Arc::<Steps>::default();
    let (bytes, manifests) = (Stepping::new(bytes, &steps), Stepping::new(manifests, &steps));
    let clock = Arc::<ManualClock>::default();
    let running = Running::over(Arc::new(bytes), Arc::new(manifests), &clock, Direct::new);
    let mut uploads = Uploads::default();
    for operation in before {
        model.go_on(operation);
        let answer = running.play(operation, &mut uploads).await;
        if answer != *model.answer() {
            return Err(format!("{operation:?}: {answer:?} where the model says {:?}", model.answer()));
        }
    }

    let (answered, time) = (Mutex::new(Vec::new()), AtomicU32::new(0));
    let client = async |requests: &[Operation], mut uploads: Uploads| {
        for operation in requests {
            let begun = time.fetch_add(1, Ordering::Relaxed);
            let answer = running.play(operation, &mut uploads).await;
            let ended = time.fetch_add(1, Ordering::Relaxed);
            answered.lock().unwrap().push(Answered { operation: operation.clone(), answer, begun, ended });
        }
    };
    steps.plan(Plan::Pausing);
    let all = at_once.iter().map(Vec::as_slice).chain([&[Operation::Collect][..]]);
    interleaved(order, all.map(|requests| Box::pin(client(requests, uploads.clone())) as _).collect());
    steps.plan(Plan::Plain);

    let answered = answered.into_inner().unwrap();
    let outcomes = outcomes(&model, &answered);
    for outcome in &outcomes {
        if is_as(outcome.clone(), &running, &mut uploads).await {
            return Ok(());
        }
    }
    let orders = outcomes.len();
    Err(format!(
        "in order {order}, {orders} orders of requests explain the answers, none the state: {answered:#?}"
    ))
}

/// The models after every order of the requests, and of the rounds of collections, that explains all answers.
fn outcomes(model: &RegistryModel, answered: &[Answered]) -> Vec<RegistryModel> {
    if answered.is_empty() {
        return vec![model.clone()];
    }
    let mut all = Vec::new();
    for (at, next) in answered.iter().enumerate() {
        if answered.iter().any(|other| other.ended < next.begun) {
            continue;
        }
        let mut model = model.clone();
        model.go_on(&next.operation);
        let mut rest = [&answered[..at], &answered[at + 1..]].concat();
        if *model.answer() != next.answer || is_more_than_nothing(&next.answer) {
            let Some(answer) = later_rounds(&next.answer, model.answer()) else { continue };
            rest.push(Answered { answer, ..next.clone() });
        }
        all.extend(outcomes(&model, &rest));
    }
    all
}

/// What a collection finds in the rounds after one that has found something: it ends with one that finds nothing.
fn later_rounds(all: &Outcome, found: &Outcome) -> Option<Outcome> {
    let counts = |outcome: &Outcome| match *outcome {
        Outcome::Collected { manifests, links, repositories } => Some([manifests, links, repositories]),
        _ => None,
    };
    let (all, found) = (counts(all)?, counts(found)?);
    let [manifests, links, repositories] = [0, 1, 2].map(|at| all[at].checked_sub(found[at]));
    let later = Outcome::Collected { manifests: manifests?, links: links?, repositories: repositories? };
    (found != [0; 3]).then_some(later)
}

/// Whether it is a collection that has found something.
fn is_more_than_nothing(answer: &Outcome) -> bool {
    let nothing = Outcome::Collected { manifests: 0, links: 0, repositories: 0 };
    matches!(answer, Outcome::Collected { .. }) && *answer != nothing
}

/// Whether the registry answers everything that can be asked as the model does.
async fn is_as<B: BlobStore + UploadStore>(
    mut model: RegistryModel,
    running: &Running<B, Direct>,
    uploads: &mut Uploads,
) -> bool {
    for question in sequences::everything(&model) {
        model.go_on(&question);
        if running.play(&question, uploads).await != *model.answer() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::strategy::{Strategy as _, ValueTree as _};

    use super::super::{Person, Refused, Sent};
    use super::*;

    fn empty() -> RegistryModel {
        RegistryModel::init_state().new_tree(&mut TestRunner::deterministic()).unwrap().current()
    }

    fn answered(request: Request, answer: Outcome, begun: u32, ended: u32) -> Answered {
        let of = WORLD.repositories[0].clone();
        Answered { operation: Operation::Ask { by: Person::Ada, of, request }, answer, begun, ended }
    }

    #[test]
    fn only_what_some_order_of_requests_is_answered_is_explained() {
        let blob = &WORLD.blobs[0];
        let (digest, bytes) = (blob.digest, Bytes::clone(&blob.bytes));
        let push = || Request::PushBlob { digest, bytes: bytes.clone(), sent: Sent::Whole };
        let stat = || Request::StatBlob { digest };
        let unknown = || Outcome::Refused(Refused::BlobUnknown);
        let explained = |answered: &[Answered]| !outcomes(&empty(), answered).is_empty();
        let held = || Outcome::Held(digest);
        assert!(explained(&[answered(push(), held(), 0, 2), answered(stat(), unknown(), 1, 3)]));
        assert!(!explained(&[answered(push(), held(), 0, 1), answered(stat(), unknown(), 2, 3)]));
        let size = || Outcome::Size(bytes.len() as u64);
        assert!(explained(&[answered(push(), held(), 0, 2), answered(stat(), size(), 1, 3)]));
        assert!(!explained(&[answered(stat(), size(), 0, 1), answered(push(), held(), 2, 3)]));
    }

    #[test]
    fn a_collection_is_seen_between_its_beginning_and_its_end() {
        let (blob, mut model) = (&WORLD.blobs[0], empty());
        let (digest, bytes) = (blob.digest, Bytes::clone(&blob.bytes));
        let of = WORLD.repositories[0].clone();
        let request = Request::PushBlob { digest, bytes: bytes.clone(), sent: Sent::Whole };
        model.go_on(&Operation::Ask { by: Person::Ada, of, request });
        model.go_on(&Operation::Wait { minutes: 2 * DAY });
        let collected = |links, repositories, begun, ended| {
            let answer = Outcome::Collected { manifests: 0, links, repositories };
            Answered { operation: Operation::Collect, answer, begun, ended }
        };
        let pull = |answer, begun, ended| {
            answered(Request::PullBlob { digest, ranges: vec![] }, answer, begun, ended)
        };
        let there = |begun, ended| pull(Outcome::Whole(bytes.clone()), begun, ended);
        let gone = |begun, ended| pull(Outcome::Refused(Refused::BlobUnknown), begun, ended);
        let explained = |answered: &[Answered]| !outcomes(&model, answered).is_empty();
        assert!(explained(&[collected(1, 1, 0, 5), there(1, 2), gone(3, 4)]));
        assert!(!explained(&[collected(1, 1, 0, 5), gone(1, 2), there(3, 4)]));
        assert!(!explained(&[collected(1, 1, 0, 1), there(2, 3)]));
        assert!(!explained(&[collected(0, 0, 0, 5), there(1, 2)]), "it must have let go of it");
        assert!(!explained(&[collected(2, 1, 0, 5), gone(1, 2)]));
    }
}
