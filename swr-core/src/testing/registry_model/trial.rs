//! The model beside a registry, operation by operation.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine as _;
use tokio::runtime::Builder;

use super::sequences::{DAY, HOUR};
use super::world::{self, Rules, WORLD};
use super::{Door, Operation, Outcome, Refused, RegistryModel, Uploads, sequences};
use crate::caller::Task;
use crate::ports::{BlobStore, Clock, ManifestStore, UploadStore};
use crate::registry::Registry;
use crate::testing::ManualClock;

/// How many operations a sequence has at most, before all is asked.
pub(super) const OPERATIONS_MAX: usize = 100;

/// How often a sequence that fails is made shorter or simpler.
const SHRINKS_MAX: u32 = 2000;

/// Tries sequences of operations on the model and on a registry, and panics with the simplest that it finds where
/// they answer differently.
///
/// `make` makes a new place for each sequence, and `open` opens the stores there: empty at first, and later with
/// what they kept, once everything that was opened before has been dropped. `door` is the way in. The sequences are
/// the same every time: `cases` of them, unless the environment variable `PROPTEST_CASES` says another number.
pub fn agrees_with_the_model<P, B, D>(
    cases: u32,
    make: impl Fn() -> P,
    open: impl AsyncFn(&P) -> (Arc<B>, Arc<dyn ManifestStore>),
    door: impl Fn(Registry) -> D,
) where
    B: BlobStore + UploadStore,
    D: Door,
{
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    let config =
        Config { cases, max_shrink_iters: SHRINKS_MAX, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let tried =
        runner.run(&RegistryModel::sequential_strategy(1..=OPERATIONS_MAX), |(model, operations, seen)| {
            let place = make();
            let clock = Arc::<ManualClock>::default();
            let start = async || {
                let (bytes, manifests) = open(&place).await;
                Running::over(bytes, manifests, &clock, &door)
            };
            runtime.block_on(async {
                let mut running = start().await;
                let mut uploads = Uploads::default();
                for (number, (operation, expected)) in told(model, operations).into_iter().enumerate() {
                    if let Some(seen) = &seen {
                        seen.fetch_add(1, Ordering::SeqCst);
                    }
                    let answer = match &operation {
                        Operation::Restart => {
                            drop(running);
                            running = start().await;
                            Outcome::Done
                        }
                        other => running.play(other, &mut uploads).await,
                    };
                    if answer != expected {
                        let number = number + 1;
                        let said = format!(
                            "  the model says\n    {expected:?}\n  the registry says\n    {answer:?}"
                        );
                        return Err(TestCaseError::fail(format!(
                            "operation {number}, {operation:?}\n{said}"
                        )));
                    }
                }
                Ok(())
            })
        });
    match tried {
        Ok(()) => {}
        Err(TestError::Fail(why, (_, operations, _))) => {
            let operations: Vec<_> = operations.iter().map(|operation| format!("  {operation:?}")).collect();
            panic!("{}", WORLD.in_words(&format!("{why}\nof\n{}", operations.join("\n"))));
        }
        Err(aborted @ TestError::Abort(_)) => panic!("{aborted}"),
    }
}

/// The operations with the model's answers. After them everything is asked of a registry that goes on from what was
/// kept; what it told of is still there a little less than half of its time later; and once everything is gone that
/// nothing needs, all is asked again.
pub(super) fn told(mut model: RegistryModel, operations: Vec<Operation>) -> Vec<(Operation, Outcome)> {
    let mut told = Vec::new();
    let mut tell = |operations: Vec<Operation>| {
        for operation in operations {
            model.go_on(&operation);
            told.push((operation, model.answer().clone()));
        }
        sequences::everything(&model)
    };
    tell(operations);
    let questions = tell(vec![Operation::Restart]);
    tell(questions);
    for minutes in [12 * HOUR - 1, 3 * DAY] {
        tell(vec![Operation::Wait { minutes }, Operation::Sweep, Operation::Collect]);
    }
    let questions = tell(vec![Operation::CleanUp]);
    tell(questions);
    told
}

/// A registry over stores that are open.
pub(super) struct Running<B, D> {
    bytes: Arc<B>,
    registry: Registry,
    door: D,
    clock: Arc<ManualClock>,
}

impl<B: BlobStore + UploadStore, D: Door> Running<B, D> {
    pub(super) fn over(
        bytes: Arc<B>,
        manifests: Arc<dyn ManifestStore>,
        clock: &Arc<ManualClock>,
        door: impl Fn(Registry) -> D,
    ) -> Self {
        let registry = Registry::builder(Arc::clone(&bytes), manifests, Arc::new(Rules))
            .tag_guard(Arc::new(Rules))
            .clock(Arc::clone(clock) as Arc<dyn Clock>)
            .limits(world::limits())
            .build();
        Self { bytes, door: door(registry.clone()), registry, clock: Arc::clone(clock) }
    }

    pub(super) async fn play(&self, operation: &Operation, uploads: &mut Uploads) -> Outcome {
        match operation {
            Operation::Ask { by, of, request } => self.door.ask(*by, of, request, uploads).await,
            Operation::List { by, page } => self.door.list(*by, page).await,
            Operation::Wait { minutes } => {
                self.clock.advance(TimeDelta::minutes(*minutes));
                Outcome::Done
            }
            Operation::Sweep => match self.registry.caretaker(Task::UploadSweep).sweep_uploads().await {
                Ok(Some(swept)) if (swept.forgotten, swept.left) == (0, 0) => Outcome::Swept(swept.abandoned),
                other => unexpected(other),
            },
            Operation::Collect => match self.registry.caretaker(Task::Collection).collect().await {
                Ok(Some(collected)) if collected.undeletable == 0 && !collected.more => Outcome::Collected {
                    manifests: collected.released.manifests,
                    links: collected.released.links,
                    repositories: collected.released.repositories,
                },
                other => unexpected(other),
            },
            Operation::CleanUp => {
                for step in &sequences::CLEANING {
                    if let refused @ Outcome::Refused(_) = Box::pin(self.play(step, uploads)).await {
                        return refused;
                    }
                }
                match self.bytes.idle_since(DateTime::<Utc>::MAX_UTC).count().await {
                    0 => Outcome::Kept(self.bytes.list().count().await as u64),
                    left => unexpected(left),
                }
            }
            Operation::Restart => unexpected("the stores are opened elsewhere"),
        }
    }
}

fn unexpected(answer: impl Debug) -> Outcome {
    Outcome::Refused(Refused::Otherwise(format!("{answer:?}")))
}
