//! Pages that were written: who asks again before anything has changed gets the same bytes.

use std::time::Instant;

use bytes::Bytes;

use super::render::Wish;

/// The longest page that is kept: a long one is asked for once and then changed, and would only be there twice.
const LONGEST: usize = 4 << 20;

/// A page.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Of the store that it shows.
    pub version: u64,
    /// When the first of its series expires; `None` when it shows none.
    pub until: Option<Instant>,
    /// The language, and whether packed was asked for.
    pub wish: (Wish, bool),
    pub body: Bytes,
    pub is_packed: bool,
    /// Of the text before it was packed.
    pub length: usize,
}

/// The last page in each language.
#[derive(Debug, Default)]
pub(super) struct WrittenPages {
    pages: Vec<Written>,
    length: usize,
}

impl WrittenPages {
    /// What was written of this version, as long as it is what would be written now.
    pub fn find(&self, version: u64, wish: (Wish, bool), now: Instant) -> Option<Written> {
        let holds = |page: &&Written| page.version == version && page.until.is_none_or(|until| now <= until);
        self.pages.iter().filter(holds).find(|page| page.wish == wish).cloned()
    }

    pub fn keep(&mut self, page: &Written) {
        self.length = page.length;
        // What is older is shown to nobody.
        self.pages.retain(|kept| kept.version == page.version && kept.wish != page.wish);
        if page.body.len() <= LONGEST {
            self.pages.push(page.clone());
        }
    }

    /// Room for a page: a little more than the last one took.
    pub fn room(&self) -> usize {
        self.length + self.length / 64
    }
}
