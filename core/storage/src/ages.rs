//! When records came, to the second, without remembering it of each.

use std::collections::VecDeque;

/// More marks than this are thinned out to half: the answer becomes coarser, the memory stays.
const MOST: usize = 8192;

/// The first record of each second in which records came.
#[derive(Debug, Default)]
pub(crate) struct Ages(VecDeque<(u64, u32)>);

impl Ages {
    /// Records from `seq` on came at `at`, seconds since the Unix epoch. In order of `seq`.
    pub(crate) fn push(&mut self, seq: u64, at: u32) {
        if self.0.back().is_some_and(|(_, last)| *last == at) {
            return;
        }
        if self.0.len() == MOST {
            let mut nth = 0_u32;
            self.0.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
        }
        self.0.push_back((seq, at));
    }

    /// When a record came, or somewhat earlier. Forgets what lies before it.
    pub(crate) fn of(&mut self, seq: u64) -> Option<u32> {
        while self.0.get(1).is_some_and(|(first, _)| *first <= seq) {
            self.0.pop_front();
        }
        self.0.front().map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_never_younger_than_said_and_memory_is_bounded() {
        let mut ages = Ages::default();
        for seq in 0..100_000 {
            ages.push(seq, 1_000 + seq as u32 / 2);
        }
        assert!(ages.0.len() <= MOST);
        for seq in [0, 10, 50_000, 99_999] {
            let (said, real) = (ages.of(seq).unwrap(), 1_000 + seq as u32 / 2);
            assert!(said <= real && real - said < 100, "{seq}: {said}, {real}");
        }
    }
}
