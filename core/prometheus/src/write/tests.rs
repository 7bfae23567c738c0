use prost::Message;

use super::{HistogramSample, Metadata, MetadataType, Sample, SeriesSet, Writer, compress};
use crate::labels::{Labels, Rank};
use crate::native::{Exponential, NativeHistogram};
use crate::oracle;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let mut labels = Labels::default();
    for (name, value) in pairs {
        labels.push(Rank::Attribute, name, value);
    }
    labels.finish();
    labels
}

fn sample(timestamp_ms: i64, value: f64) -> Sample {
    Sample { timestamp_ms, value, point: 0 }
}

#[test]
fn a_message_reads_back_as_what_was_gathered() {
    let mut set = SeriesSet::default();
    let a = labels(&[("job", "j"), ("__name__", "a_total")]);
    let long = "x".repeat(300);
    let b = labels(&[("__name__", "b"), ("long", &long)]);
    set.sample(&a, sample(1_700_000_000_000, 0.0));
    set.sample(&b, sample(-5, -1.5));
    set.sample(&a, sample(1_700_000_000_001, crate::stale()));
    let point = Exponential {
        count: 40,
        sum: Some(12.5),
        scale: -2,
        zero_count: 0,
        zero_threshold: 0.25,
        positive: (3, &[10, 0, 0, 20, 5, 2]),
        negative: (-9, &[3]),
    };
    let histogram = NativeHistogram::from_exponential(9, &point).unwrap();
    set.histogram(&b, HistogramSample { histogram, point: 0 });
    let mut writer = Writer::new(usize::MAX);
    for series in set.into_sorted().0 {
        assert!(writer.series(&series).is_none());
    }
    let help =
        Metadata { kind: MetadataType::Counter, name: "a_total".into(), help: "h".into(), unit: "".into() };
    assert!(writer.metadata(&help).is_none());
    let bytes = writer.finish().unwrap();

    let read = oracle::WriteRequest::decode(bytes.as_slice()).unwrap();
    assert_eq!(read.encode_to_vec(), bytes, "the same bytes as the derived encoder");
    let [a, b] = &read.timeseries[..] else { panic!("{read:?}") };
    let names = |s: &oracle::TimeSeries| s.labels.iter().map(|l| l.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(a), ["__name__", "job"]);
    assert_eq!(a.samples[0], oracle::Sample { value: 0.0, timestamp: 1_700_000_000_000 });
    assert_eq!(a.samples[1].value.to_bits(), crate::STALE_BITS);
    assert_eq!(b.samples, [oracle::Sample { value: -1.5, timestamp: -5 }]);
    assert_eq!(b.labels[1].value, long);
    let h = &b.histograms[0];
    assert_eq!((h.count.clone(), h.sum, h.schema, h.timestamp), (Some(oracle::Count::Int(40)), 12.5, -2, 9));
    assert_eq!((h.zero_count.clone(), h.zero_threshold), (Some(oracle::ZeroCount::Int(0)), 0.25));
    assert_eq!(h.positive_spans.iter().map(|s| (s.offset, s.length)).collect::<Vec<_>>(), [(4, 1), (2, 3)]);
    assert_eq!((&h.positive_deltas[..], &h.negative_deltas[..]), (&[10, 10, -15, -3][..], &[3][..]));
    assert_eq!(h.negative_spans[0].offset, -8);
    assert_eq!(read.metadata[0].metric_family_name, "a_total");
}

#[test]
fn a_series_samples_are_ordered_and_a_time_occurs_once() {
    let mut set = SeriesSet::default();
    let a = labels(&[("__name__", "a")]);
    for (point, (time, value)) in (0..).zip([(30, 1.0), (10, 2.0), (30, 3.0), (20, 4.0), (20, 4.0)]) {
        set.sample(&a, Sample { timestamp_ms: time, value, point });
    }
    let (all, lost) = set.into_sorted();
    assert_eq!(lost, [0], "a twin that says the same is not lost");
    assert_eq!(all.len(), 1);
    let got: Vec<_> = all[0].samples.iter().map(|s| (s.timestamp_ms, s.value)).collect();
    assert_eq!(got, [(10, 2.0), (20, 4.0), (30, 3.0)], "the later of two with one time wins");
}

#[test]
fn messages_are_cut_at_the_limit_between_series() {
    let mut set = SeriesSet::default();
    for i in 0..100 {
        set.sample(&labels(&[("__name__", "m"), ("i", &i.to_string())]), sample(i, 1.0));
    }
    let mut writer = Writer::new(200);
    let mut messages: Vec<_> = set.into_sorted().0.iter().filter_map(|s| writer.series(s)).collect();
    messages.extend(writer.finish());
    assert!(messages.len() > 10 && messages.iter().all(|m| m.len() <= 200));
    let series: usize =
        messages.iter().map(|m| oracle::WriteRequest::decode(m.as_slice()).unwrap().timeseries.len()).sum();
    assert_eq!(series, 100);
}

#[test]
fn a_series_larger_than_the_limit_goes_alone() {
    let mut set = SeriesSet::default();
    for (name, samples) in [("a", 1), ("big", 50), ("c", 1)] {
        for t in 0..samples {
            set.sample(&labels(&[("__name__", name)]), sample(t + 1, 1.0));
        }
    }
    let mut writer = Writer::new(100);
    let mut messages: Vec<_> = set.into_sorted().0.iter().filter_map(|s| writer.series(s)).collect();
    messages.extend(writer.finish());
    assert_eq!(messages.len(), 3);
}

#[test]
fn compression_is_the_snappy_block_format() {
    let message = vec![7_u8; 10_000];
    let packed = compress(&message).unwrap();
    assert!(packed.len() < 1_000);
    assert_eq!(snap::raw::Decoder::new().decompress_vec(&packed).unwrap(), message);
}
