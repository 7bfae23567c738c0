//! What blocks meant that came before: who only sends requests, or only answers, repeats its blocks byte for byte.

/// The last blocks, and what each of them means.
#[derive(Debug)]
pub(crate) struct Heads<T> {
    kept: Vec<Kept<T>>,
    next: usize,
}

#[derive(Debug)]
struct Kept<T> {
    block: Box<[u8]>,
    age: u64,
    known: T,
}

/// As many different ones as a client with three signals takes turns with, and one.
const HEADS: usize = 4;

impl<T> Default for Heads<T> {
    fn default() -> Self {
        Heads { kept: Vec::new(), next: 0 }
    }
}

impl<T> Heads<T> {
    /// What the block meant, if it came before and the table is as it was then.
    pub fn get(&self, block: &[u8], age: u64) -> Option<&T> {
        self.kept.iter().find(|kept| kept.age == age && *kept.block == *block).map(|kept| &kept.known)
    }

    /// Keeps what a block means that left the table as it was.
    pub fn keep(&mut self, block: &[u8], age: u64, known: T) {
        let kept = Kept { block: block.into(), age, known };
        match self.kept.get_mut(self.next) {
            Some(place) => *place = kept,
            None => self.kept.push(kept),
        }
        self.next = (self.next + 1) % HEADS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_known_again_only_while_the_table_is_the_same() {
        let mut heads = Heads::default();
        for block in 0..6 {
            heads.keep(&[block], 1, block);
        }
        assert_eq!((heads.get(&[5], 1), heads.get(&[2], 1)), (Some(&5), Some(&2)));
        assert!(heads.get(&[5], 2).is_none() && heads.get(&[0], 1).is_none());
        assert_eq!(heads.kept.len(), HEADS);
    }
}
