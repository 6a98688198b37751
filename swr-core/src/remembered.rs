//! Answers that hold for as long as what they rest on has not changed.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::sync::{PoisonError, RwLock};

/// What was answered under one number of a store's changes, such as
/// [`MetadataStore::decided_on`](crate::ports::MetadataStore::decided_on). Under the next one nothing of it is known
/// any more.
///
/// ```
/// use swr_core::remembered::Remembered;
///
/// let answers = Remembered::new(1000);
/// answers.keep(Some(7), "who", 1);
/// assert_eq!(answers.get(Some(7), &"who"), Some(1));
/// assert_eq!(answers.get(Some(8), &"who"), None);
/// ```
#[derive(Debug)]
pub struct Remembered<K, V> {
    most: usize,
    answers: RwLock<Answers<K, V>>,
}

#[derive(Debug)]
struct Answers<K, V> {
    changes: u64,
    of: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// Remembers nothing yet, and never more than `most` answers: with one more all are forgotten, and it begins anew.
    pub fn new(most: usize) -> Self {
        Self { most, answers: RwLock::new(Answers { changes: 0, of: HashMap::new() }) }
    }

    /// The answer, if it still holds now that this is the number.
    pub fn get(&self, changes: Option<u64>, asked: &K) -> Option<V> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        (changes == Some(answers.changes)).then(|| answers.of.get(asked).cloned())?
    }

    /// Remembers what was answered, and that this was the number before the store was asked.
    pub fn keep(&self, changes: Option<u64>, asked: K, answer: V) {
        let Some(changes) = changes else { return };
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        if changes < answers.changes {
            return;
        }
        let mut old = HashMap::new();
        let is_full = answers.of.len() >= self.most && !answers.of.contains_key(&asked);
        if changes > answers.changes || is_full {
            old = mem::take(&mut answers.of);
        }
        answers.changes = changes;
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
        let answers = Remembered::new(9);
        answers.keep(Some(7), "who", 1);
        assert_eq!(answers.get(Some(7), &"who"), Some(1));
        assert_eq!(answers.get(Some(7), &"else"), None);
        for other in [None, Some(6), Some(8)] {
            assert_eq!(answers.get(other, &"who"), None, "{other:?}");
        }
    }

    #[test]
    fn what_was_asked_before_a_change_is_not_kept_after_it() {
        let answers = Remembered::new(9);
        answers.keep(Some(8), "who", 2);
        answers.keep(Some(7), "who", 1);
        answers.keep(None, "who", 1);
        assert_eq!(answers.get(Some(8), &"who"), Some(2));
        answers.keep(Some(9), "else", 3);
        assert_eq!(answers.get(Some(9), &"who"), None);
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let answers = Remembered::new(9);
        for asked in 0..=9 {
            answers.keep(Some(1), asked, asked);
        }
        assert_eq!(answers.get(Some(1), &9), Some(9));
        assert_eq!(answers.get(Some(1), &0), None);
    }
}
