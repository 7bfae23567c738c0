//! A set of the settled records of one segment, by their place in it.

use std::ops::Range;

/// Grows with what is set: a segment that nobody has settled anything of takes no memory.
#[derive(Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Whether it is new.
    pub(crate) fn set(&mut self, at: u64) -> bool {
        let (word, bit) = ((at / 64) as usize, 1 << (at % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let before = self.0[word];
        self.0[word] |= bit;
        before & bit == 0
    }

    pub(crate) fn has(&self, at: u64) -> bool {
        self.0.get((at / 64) as usize).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    /// The first that is not set.
    pub(crate) fn first_clear(&self) -> u64 {
        let full = self.0.iter().take_while(|word| **word == u64::MAX).count();
        full as u64 * 64 + self.0.get(full).map_or(0, |word| u64::from(word.trailing_ones()))
    }

    /// The runs of what is set.
    pub(crate) fn runs(&self) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for at in (0..self.0.len() as u64 * 64).filter(|at| self.has(*at)) {
            match runs.last_mut().filter(|run| run.end == at) {
                Some(run) => run.end += 1,
                None => runs.push(at..at + 1),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    proptest::proptest! {
        #[test]
        fn it_is_a_set(values in proptest::collection::vec(0_u64..300, 0..400)) {
            let (mut bits, mut model) = (Bits::default(), BTreeSet::new());
            for value in values {
                assert_eq!(bits.set(value), model.insert(value));
            }
            assert!((0..310).all(|at| bits.has(at) == model.contains(&at)));
            assert_eq!(bits.first_clear(), (0..).find(|at| !model.contains(at)).unwrap());
            let runs = bits.runs();
            assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            assert_eq!(runs.into_iter().flatten().collect::<BTreeSet<_>>(), model);
        }
    }
}
