//! A row of neighbouring buckets.

/// The most buckets on one side of zero. At scale 5 that is a factor of a million between least and greatest value.
pub const MAX_BUCKETS: usize = 640;

/// Counts of neighbouring buckets, from the first that is not empty to the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    offset: i32,
    counts: Vec<u64>,
}

impl Buckets {
    /// The index of the first bucket.
    pub fn offset(&self) -> i32 {
        self.offset
    }

    /// The counts from that bucket on.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Adds to a bucket; `false`, with nothing changed, when there would be too many.
    pub(super) fn add(&mut self, index: i32, times: u64) -> bool {
        if self.counts.is_empty() {
            self.offset = index;
        }
        let distance = i64::from(index) - i64::from(self.offset);
        let len = self.counts.len() as i64;
        let needed = if distance < 0 { len - distance } else { len.max(distance + 1) };
        if needed > MAX_BUCKETS as i64 {
            return false;
        }
        if distance < 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, distance.unsigned_abs() as usize));
            self.offset = index;
        } else if distance >= len {
            self.counts.resize(distance as usize + 1, 0);
        }
        let at = distance.max(0) as usize;
        self.counts[at] = self.counts[at].saturating_add(times);
        true
    }

    /// Joins each 2^`by` neighbours.
    pub(super) fn coarsen(&mut self, by: u32) {
        let by = by.min(31);
        let first = self.offset >> by;
        for place in 0..self.counts.len() {
            let joined = (((i64::from(self.offset) + place as i64) >> by) - i64::from(first)) as usize;
            let count = std::mem::take(&mut self.counts[place]);
            self.counts[joined] = self.counts[joined].saturating_add(count);
        }
        let last = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        self.counts.truncate(last);
        self.offset = first;
    }
}
