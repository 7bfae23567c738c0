//! Remote write 1.0: series gathered from translated points, and `prometheus.WriteRequest` messages of them.
//!
//! Gathering puts a batch's samples under their series, so that a message names each series once and a
//! series' samples are in order, whatever order the points came in.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Labels;
use crate::native::{Buckets, NativeHistogram};

mod encode;
mod expand;
pub use encode::{Metadata, MetadataType, Writer, compress};

/// A value at a time.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The value; [`crate::stale`] ends the series.
    pub value: f64,
    /// The data point it came from, as counted by the translation: what a drop is accounted by.
    pub point: u32,
}

/// A native histogram at a time.
#[derive(Debug, Clone)]
pub struct HistogramSample {
    /// The histogram and its time.
    pub histogram: NativeHistogram,
    /// The data point it came from.
    pub point: u32,
}

/// One series of a batch.
#[derive(Debug, Clone)]
pub struct Series {
    /// The labels as wire fields: what the message holds, and the series' identity (equal labels, equal bytes).
    pub labels: Arc<[u8]>,
    /// As left by [`SeriesSet::into_sorted`]: by time, each time once.
    pub samples: Vec<Sample>,
    /// Alike.
    pub histograms: Vec<HistogramSample>,
}

/// The series of a batch by their labels.
#[derive(Debug, Default)]
pub struct SeriesSet {
    index: HashMap<Arc<[u8]>, usize>,
    series: Vec<Series>,
    scratch: Vec<u8>,
    expand: expand::Scratch,
}

impl SeriesSet {
    /// Adds a sample. The labels must be finished.
    pub fn sample(&mut self, labels: &Labels, sample: Sample) {
        self.series(labels).samples.push(sample);
    }

    /// Adds a native histogram. The labels must be finished.
    pub fn histogram(&mut self, labels: &Labels, histogram: HistogramSample) {
        self.series(labels).histograms.push(histogram);
    }

    fn series(&mut self, labels: &Labels) -> &mut Series {
        self.scratch.clear();
        encode::labels(labels, &mut self.scratch);
        let at = match self.index.get(self.scratch.as_slice()) {
            Some(at) => *at,
            None => {
                let labels: Arc<[u8]> = self.scratch.as_slice().into();
                self.index.insert(Arc::clone(&labels), self.series.len());
                self.series.push(Series { labels, samples: Vec::new(), histograms: Vec::new() });
                self.series.len() - 1
            }
        };
        &mut self.series[at]
    }

    /// The series in the order first seen, each one's samples by time. Of samples with one time the last stays, and a
    /// value before an end (it goes on under another resource); of the others those that said something else are given
    /// back by their points (they are lost).
    #[must_use]
    pub fn into_sorted(self) -> (Vec<Series>, Vec<u32>) {
        let mut lost = Vec::new();
        let mut all = self.series;
        for series in &mut all {
            let ends = |value: f64| value.to_bits() == crate::STALE_BITS;
            let same = |a: &Sample, b: &Sample| a.value.to_bits() == b.value.to_bits();
            let key = |s: &Sample| (s.timestamp_ms, ends(s.value), s.point);
            sort_unique(&mut series.samples, key, same, &mut lost);
            let same = |a: &HistogramSample, b: &HistogramSample| a.histogram == b.histogram;
            let key = |h: &HistogramSample| (h.histogram.timestamp_ms, ends(h.histogram.sum), h.point);
            sort_unique(&mut series.histograms, key, same, &mut lost);
        }
        (all, lost)
    }
}

/// Sorts by time; of one time the last pushed stays, and whatever is no end.
fn sort_unique<T>(
    items: &mut Vec<T>,
    time_end_and_point: impl Fn(&T) -> (i64, bool, u32),
    same: impl Fn(&T, &T) -> bool,
    lost: &mut Vec<u32>,
) {
    items.reverse();
    let time_and_end = |item: &T| {
        let (time, end, _) = time_end_and_point(item);
        (time, end)
    };
    items.sort_by_key(time_and_end);
    items.dedup_by(|later, kept| {
        let (time, end, point) = time_end_and_point(later);
        let twin = time == time_end_and_point(kept).0;
        if twin && !end && !same(later, kept) {
            lost.push(point);
        }
        twin
    });
}

#[cfg(test)]
mod tests;
