//! Every state that some order of steps leads to.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::{Model, Outcome, State, Step};

/// All states, each with the last step of a shortest way to it.
pub(crate) struct Explored {
    pub(crate) model: Model,
    states: Vec<State>,
    came_from: Vec<Option<(usize, Step)>>,
}

/// A way to a state that must not be.
#[derive(Debug)]
pub(crate) struct Counterexample {
    pub(crate) law: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// Explores all of them, breadth first, unless a law is broken in one.
pub(crate) fn explore(model: Model) -> Result<Explored, Counterexample> {
    let steps = model.steps();
    let mut explored = Explored { model, states: vec![State::default()], came_from: vec![None] };
    let mut known = HashMap::from([(State::default(), 0)]);
    // State → the states from which it is reached though nobody asks for anything.
    let mut unasked: Vec<Vec<usize>> = vec![Vec::new()];
    let mut at = 0;
    while at < explored.states.len() {
        let state = explored.states[at];
        for step in &steps {
            let Some((next, _)) = model.next(&state, *step) else { continue };
            let to = *known.entry(next).or_insert_with(|| {
                explored.states.push(next);
                explored.came_from.push(Some((at, *step)));
                unasked.push(Vec::new());
                explored.states.len() - 1
            });
            if step.is_unasked() && to != at {
                unasked[to].push(at);
            }
            if to + 1 == explored.states.len()
                && let Some(law) = next.broken_law()
            {
                return Err(Counterexample { law, steps: explored.way_to(to) });
            }
        }
        at += 1;
    }
    match explored.stuck(&unasked) {
        Some(stuck) => Err(Counterexample { law: "this is never cleaned up", steps: explored.way_to(stuck) }),
        None => Ok(explored),
    }
}

impl Explored {
    pub(crate) fn count(&self) -> usize {
        self.states.len()
    }

    /// The first state from which no clean one is reached.
    fn stuck(&self, unasked: &[Vec<usize>]) -> Option<usize> {
        let is_clean = |at: &usize| self.states[*at].is_clean();
        let mut clean: VecDeque<usize> = (0..self.states.len()).filter(is_clean).collect();
        let mut can_be: Vec<bool> = self.states.iter().map(State::is_clean).collect();
        while let Some(at) = clean.pop_front() {
            for from in &unasked[at] {
                if !std::mem::replace(&mut can_be[*from], true) {
                    clean.push_back(*from);
                }
            }
        }
        can_be.iter().position(|can_be| !can_be)
    }

    fn way_to(&self, mut at: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some((from, step)) = self.came_from[at] {
            steps.push(step);
            at = from;
        }
        steps.reverse();
        steps
    }

    /// Ways to `count` of the states, far and near, and one to every outcome that every step has somewhere.
    pub(crate) fn ways(&self, count: usize) -> Vec<Vec<Step>> {
        let mut ways: Vec<_> =
            (0..self.count()).step_by(self.count().div_ceil(count)).map(|at| self.way_to(at)).collect();
        let mut seen: HashSet<(Step, Outcome)> = HashSet::new();
        for (at, state) in self.states.iter().enumerate() {
            for step in self.model.steps() {
                if let Some((_, outcome)) = self.model.next(state, step)
                    && seen.insert((step, outcome))
                {
                    ways.push([self.way_to(at), vec![step]].concat());
                }
            }
        }
        ways
    }
}
