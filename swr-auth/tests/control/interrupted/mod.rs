//! What if it stops here? Every change to who there is and what they may do is dropped at each of its awaits, and has
//! each of its calls to the store fail, before it is made and after; and whatever is asked meets a store that fails.

mod chores;
mod operations;
mod questions;
mod stage;

use swr_core::testing::stepping::{Plan, dropped_after};

use operations::{Again, OPERATIONS, Operation};
use stage::{Failure, Stage};

/// What is seen before an operation and after it.
async fn before_and_after(operation: &Operation) -> (Vec<String>, Vec<String>) {
    let stage = Stage::set().await;
    let before = stage.seen().await;
    (operation.run)(&stage).await.unwrap();
    let after = stage.seen().await;
    assert_ne!(before, after, "{} changes nothing", operation.name);
    (before, after)
}

/// Says which of the two it is; the lines that neither has are the failure.
fn is_done(name: &str, seen: &[String], [before, after]: [&[String]; 2], when: &dyn std::fmt::Debug) -> bool {
    let unknown = || seen.iter().filter(|line| !before.contains(line) && !after.contains(line));
    assert!(seen == before || seen == after, "{name}, {when:?}: {:#?}", unknown().collect::<Vec<_>>());
    seen == after
}

/// Asked again, an operation is done: now, or it was before and that is what is said.
async fn is_done_when_asked_again(operation: &Operation, stage: &Stage, was_done: bool, after: &[String]) {
    let Operation { name, again, run } = operation;
    let answer = run(stage).await;
    let expected = match (was_done, again, &answer) {
        (true, Again::Refused(expected), Err(Failure::Refused(said))) => said.starts_with(expected),
        (_, _, Ok(())) => !(was_done && matches!(again, Again::Refused(_))),
        _ => false,
    };
    assert!(expected, "{name}, asked again when it was done: {was_done}: {answer:?}");
    if !(was_done && matches!(again, Again::OnceMore)) {
        assert_eq!(stage.seen().await, after, "{name}, asked again");
    }
}

#[tokio::test]
async fn a_change_that_is_dropped_anywhere_is_made_or_not_and_can_be_asked_for_again() {
    for operation in OPERATIONS {
        let name = operation.name;
        let (before, after) = before_and_after(operation).await;
        let (mut unmade, mut made) = (0, 0);
        for polls in 0.. {
            let stage = Stage::set().await;
            stage.scene.steps.plan(Plan::Pausing);
            let answer = dropped_after(polls, (operation.run)(&stage));
            stage.scene.steps.plan(Plan::Plain);

            let done = is_done(name, &stage.seen().await, [&before, &after], &polls);
            assert!(done || answer.is_none(), "{name} was answered: {answer:?}");
            *if done { &mut made } else { &mut unmade } += 1;
            is_done_when_asked_again(operation, &stage, done, &after).await;
            if answer.is_some() {
                break;
            }
        }
        assert!(unmade > 1 && made > 1, "{name} was dropped before its change and after it");
    }
}

#[tokio::test]
async fn a_change_whose_store_fails_says_so_and_what_was_answered_holds() {
    for operation in OPERATIONS {
        let name = operation.name;
        let (before, after) = before_and_after(operation).await;
        let (mut unmade, mut made) = (0, 0);
        for number in 1.. {
            let mut calls = 0;
            for plan in [Plan::FailBefore(number), Plan::FailAfter(number)] {
                let stage = Stage::set().await;
                stage.scene.steps.plan(plan);
                let answer = (operation.run)(&stage).await;
                calls = stage.scene.steps.calls();
                stage.scene.steps.plan(Plan::Plain);

                let done = is_done(name, &stage.seen().await, [&before, &after], &plan);
                match answer {
                    Ok(()) => assert!(done && calls < number, "{name} was answered, {plan:?}"),
                    Err(Failure::Fault) => *if done { &mut made } else { &mut unmade } += 1,
                    Err(refused) => panic!("{name}, {plan:?}: {refused:?}"),
                }
                is_done_when_asked_again(operation, &stage, done, &after).await;
            }
            if number > calls {
                break;
            }
        }
        assert!(unmade > 0 && made > 0, "{name} failed before its change and after it");
    }
}
