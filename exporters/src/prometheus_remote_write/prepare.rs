//! A request as messages that a receiver can take as a whole.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::{Reason, Request};
use streamgauge_prometheus::translate::NO_POINT;
use streamgauge_prometheus::write::{HistogramSample, Sample, Series, Writer, compress};
use streamgauge_prometheus::{Dropped, Translated, Translator};

use super::sent::{Key, Last, Sent};

/// Which times are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Zero is any age.
    pub max_age: Duration,
    pub max_future: Duration,
}

/// Series that go out together.
#[derive(Debug)]
pub(super) struct Message {
    pub series: Vec<Series>,
    /// Compressed.
    pub body: Bytes,
}

/// Data points that do not arrive, each with its first reason.
#[derive(Debug, Default)]
pub(super) struct Lost {
    points: HashMap<u32, Reason>,
    /// Those that never had a series.
    without_series: Vec<(Reason, u64)>,
}

impl Lost {
    pub fn point(&mut self, point: u32, reason: Reason) {
        if point != NO_POINT {
            self.points.entry(point).or_insert(reason);
        }
    }

    pub fn series(&mut self, series: &Series, reason: Reason) {
        series.samples.iter().for_each(|s| self.point(s.point, reason));
        series.histograms.iter().for_each(|h| self.point(h.point, reason));
    }

    /// Points by reason.
    pub fn counts(&self) -> Vec<(Reason, u64)> {
        let mut counts = self.without_series.clone();
        for reason in self.points.values() {
            match counts.iter_mut().find(|(r, _)| r == reason) {
                Some((_, n)) => *n += 1,
                None => counts.push((*reason, 1)),
            }
        }
        counts.sort_unstable();
        counts
    }
}

/// What a request came to.
#[derive(Debug)]
pub(super) struct Prepared {
    pub messages: Vec<Message>,
    /// Types, helps and units, compressed; apart from the samples, which must not suffer from them.
    pub metadata: Option<Bytes>,
    pub lost: Lost,
}

/// Makes the messages of a request. `now_ms` is the wall clock in milliseconds since 1970.
pub(super) fn prepare(
    request: &Request,
    translator: &Translator,
    sent: &Sent,
    bounds: Bounds,
    max_bytes: usize,
    now_ms: i64,
) -> Result<Prepared, String> {
    let mut translated = <Translated>::default();
    let mut lost = Lost::default();
    for part in &request.parts {
        if let Err(fault) = translator.translate(part, &mut translated) {
            tracing::debug!(%fault, "a metrics request cannot be read to its end");
        }
    }
    translator.finish(&mut translated);
    for (reason, points) in &translated.dropped {
        lost.without_series.push((reason_of(*reason), *points));
    }
    // Points inside a metric or resource that is broken as a whole were never seen.
    let unseen = (request.items as u64).saturating_sub(u64::from(translated.points));
    match lost.without_series.iter_mut().find(|(reason, _)| *reason == Reason::Malformed) {
        Some((_, n)) => *n += unseen,
        None if unseen > 0 => lost.without_series.push((Reason::Malformed, unseen)),
        None => {}
    }
    let metadata = metadata(&translated, max_bytes)?;
    let (mut series, twins) = translated.series.into_sorted();
    twins.into_iter().for_each(|point| lost.point(point, Reason::Duplicate));
    for one in &mut series {
        let last = sent.last(sent.key(&one.labels));
        let mut keeps = |time: i64, bits: u64, point: u32| {
            let verdict = judge(time, bits, last, bounds, now_ms);
            if let Err(Some(reason)) = verdict {
                lost.point(point, reason);
            }
            verdict.is_ok()
        };
        one.samples.retain(|s| keeps(s.timestamp_ms, sample_bits(s), s.point));
        one.histograms.retain(|h| keeps(h.histogram.timestamp_ms, histogram_bits(h), h.point));
    }
    series.retain(|one| !one.samples.is_empty() || !one.histograms.is_empty());
    Ok(Prepared { messages: messages(series, max_bytes)?, metadata, lost })
}

/// Whether a sample may be sent; else the reason, unless it has been sent already.
fn judge(
    time: i64,
    bits: u64,
    last: Option<Last>,
    bounds: Bounds,
    now_ms: i64,
) -> Result<(), Option<Reason>> {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    if time <= 0 || (!bounds.max_age.is_zero() && time < now_ms.saturating_sub(millis(bounds.max_age))) {
        return Err(Some(Reason::TooOld));
    }
    if time > now_ms.saturating_add(millis(bounds.max_future)) {
        return Err(Some(Reason::TooFarInFuture));
    }
    match last {
        Some(last) if time < last.timestamp_ms => Err(Some(Reason::OutOfOrder)),
        Some(last) if time == last.timestamp_ms && bits == last.bits => Err(None),
        Some(last) if time == last.timestamp_ms => Err(Some(Reason::Duplicate)),
        _ => Ok(()),
    }
}

/// Packs series into messages.
pub(super) fn messages(series: Vec<Series>, max_bytes: usize) -> Result<Vec<Message>, String> {
    let mut writer = Writer::new(max_bytes);
    let (mut messages, mut open) = (Vec::new(), Vec::new());
    for one in series {
        if let Some(full) = writer.series(&one) {
            messages.push(Message { series: std::mem::take(&mut open), body: pack(&full)? });
        }
        open.push(one);
    }
    if let Some(rest) = writer.finish() {
        messages.push(Message { series: open, body: pack(&rest)? });
    }
    Ok(messages)
}

fn metadata(translated: &Translated, max_bytes: usize) -> Result<Option<Bytes>, String> {
    let mut writer = Writer::new(max_bytes);
    // More metadata than a whole message holds is not worth a second one: it comes again with the next request.
    let full = translated.metadata.iter().find_map(|family| writer.metadata(family));
    full.or_else(|| writer.finish()).map(|message| pack(&message)).transpose()
}

fn pack(message: &[u8]) -> Result<Bytes, String> {
    compress(message).map(Bytes::from).map_err(|error| format!("cannot pack a message: {error}"))
}

/// Two halves of a message, by series, and within a single series by time; `None` for a single sample.
pub(super) fn halves(series: &[Series]) -> Option<(Vec<Series>, Vec<Series>)> {
    match series {
        [] => None,
        [one] => {
            let (samples, histograms) = (one.samples.len(), one.histograms.len());
            if samples + histograms < 2 {
                return None;
            }
            let part = |samples: &[Sample], histograms: &[HistogramSample]| {
                vec![Series {
                    labels: one.labels.clone(),
                    samples: samples.to_vec(),
                    histograms: histograms.to_vec(),
                }]
            };
            let (s1, s2) = one.samples.split_at(samples / 2);
            let (h1, h2) = one.histograms.split_at(histograms - histograms / 2);
            Some((part(s1, h1), part(s2, h2)))
        }
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            Some((left.to_vec(), right.to_vec()))
        }
    }
}

/// What is to be remembered once a series has been taken by the receiver.
pub(super) fn last_of(series: &Series, sent: &Sent) -> Option<(Key, Last)> {
    let sample = series.samples.last().map(|s| Last { timestamp_ms: s.timestamp_ms, bits: sample_bits(s) });
    let histogram = series
        .histograms
        .last()
        .map(|h| Last { timestamp_ms: h.histogram.timestamp_ms, bits: histogram_bits(h) });
    let last = [sample, histogram].into_iter().flatten().max_by_key(|last| last.timestamp_ms)?;
    Some((sent.key(&series.labels), last))
}

fn sample_bits(sample: &Sample) -> u64 {
    sample.value.to_bits()
}

fn histogram_bits(sample: &HistogramSample) -> u64 {
    sample.histogram.count ^ sample.histogram.sum.to_bits().rotate_left(1)
}

fn reason_of(dropped: Dropped) -> Reason {
    match dropped {
        Dropped::Delta => Reason::DeltaTemporality,
        Dropped::Unsupported => Reason::Unsupported,
        Dropped::Malformed => Reason::Malformed,
    }
}
