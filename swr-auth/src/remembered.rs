//! Answers that hold for as long as what they rest on has not changed.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::sync::{PoisonError, RwLock};

/// More are not remembered: then all are forgotten, and it begins anew.
const MOST: usize = 4096;

/// What was answered under one number of
/// [`MetadataStore::decided_on`](swr_core::ports::MetadataStore::decided_on). Under the next one nothing of it is
/// known any more.
#[derive(Debug)]
pub(crate) struct Remembered<K, V>(RwLock<Answers<K, V>>);

#[derive(Debug)]
struct Answers<K, V> {
    decided_on: u64,
    of: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    pub(crate) fn new() -> Self {
        Self(RwLock::new(Answers { decided_on: 0, of: HashMap::new() }))
    }

    /// The answer, if it still holds now that this is the number.
    pub(crate) fn get(&self, decided_on: Option<u64>, asked: &K) -> Option<V> {
        let answers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (decided_on == Some(answers.decided_on)).then(|| answers.of.get(asked).cloned())?
    }

    /// Remembers what was answered, and that this was the number before the store was asked.
    pub(crate) fn keep(&self, decided_on: Option<u64>, asked: K, answer: V) {
        let Some(decided_on) = decided_on else { return };
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if decided_on < answers.decided_on {
            return;
        }
        let mut old = HashMap::new();
        if decided_on > answers.decided_on || answers.of.len() >= MOST {
            old = mem::take(&mut answers.of);
        }
        answers.decided_on = decided_on;
        answers.of.insert(asked, answer);
        // Nobody has to wait for that.
        drop(answers);
        drop(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_under_its_number_alone() {
        let answers = Remembered::new();
        answers.keep(Some(7), "who", 1);
        assert_eq!(answers.get(Some(7), &"who"), Some(1));
        assert_eq!(answers.get(Some(7), &"else"), None);
        for other in [None, Some(6), Some(8)] {
            assert_eq!(answers.get(other, &"who"), None, "{other:?}");
        }
    }

    #[test]
    fn what_was_asked_before_a_change_is_not_kept_after_it() {
        let answers = Remembered::new();
        answers.keep(Some(8), "who", 2);
        answers.keep(Some(7), "who", 1);
        answers.keep(None, "who", 1);
        assert_eq!(answers.get(Some(8), &"who"), Some(2));
        answers.keep(Some(9), "else", 3);
        assert_eq!(answers.get(Some(9), &"who"), None);
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let answers = Remembered::new();
        for asked in 0..=MOST {
            answers.keep(Some(1), asked, asked);
        }
        assert_eq!(answers.get(Some(1), &MOST), Some(MOST));
        assert!(answers.0.read().unwrap().of.len() <= MOST);
    }
}
