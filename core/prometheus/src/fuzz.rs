//! What every sequence of bytes must survive. Driven by a test for a moment, and by cargo-fuzz for longer.

use crate::classic::Classic;
use crate::exposition::{Exposition, Format, Of, label_text};
use crate::name::{Namer, Strategy};
use crate::point::{Family, Point, Sink, Value};
use crate::preset::Preset;
use crate::translate::{Dropped, NO_POINT, ResourceLabels, Settings, Translated, Translator};
use crate::write::{SeriesSet, Writer};

/// Translates the bytes and writes the messages: times in order, no point out of range.
pub fn translate(data: &[u8]) {
    let settings = Settings {
        namer: Namer::new(Strategy::default(), ""),
        external_labels: vec![("zone".to_owned(), "z".to_owned())],
        scope_labels: true,
        target_info: true,
        resource_labels: ResourceLabels::all(),
        metadata: true,
        presets: Vec::new(),
    };
    let translator = Translator::new(settings);
    let mut out = Translated::<SeriesSet>::default();
    // The bytes may end in the middle of a record: what came before is translated all the same.
    let _ = translator.translate(data, &mut out);
    translator.finish(&mut out);
    let points = out.points;
    let (series, lost) = out.series.into_sorted();
    assert!(
        lost.iter().all(|point| *point < points || *point == NO_POINT),
        "a lost point that was never seen"
    );
    let mut writer = Writer::new(1 << 16);
    for one in &series {
        assert!(!one.samples.is_empty() || !one.histograms.is_empty(), "a series without samples");
        assert!(one.samples.is_sorted_by(|a, b| a.timestamp_ms < b.timestamp_ms), "samples out of order");
        let of_samples = one.samples.iter().map(|s| s.point);
        let of_histograms = one.histograms.iter().map(|h| h.point);
        assert!(of_samples.chain(of_histograms).all(|point| point < points || point == NO_POINT));
        writer.series(one);
    }
    assert_eq!(writer.finish().is_none(), series.is_empty(), "a series without a message");
    expose(data);
}

/// The same as text, with every preset and with exemplars.
fn expose(data: &[u8]) {
    struct Scribe(Exposition);
    impl Sink for Scribe {
        const EXEMPLARS: bool = true;
        const DELTAS: bool = true;

        fn point(&mut self, point: &Point<'_>) -> Result<(), Dropped> {
            let Scribe(out) = self;
            let mut labels = point.labels.clone();
            labels.finish();
            let Family { name, kind, help, unit } = point.family;
            out.family(name, *kind, help, unit);
            let text = label_text(&labels, *kind, false);
            let of = Of { labels: &text, time_ms: Some(point.time_ms), exemplars: point.exemplars };
            match point.value {
                Value::Number(value) => out.number(of, value),
                Value::Histogram(h) => out.histogram(of, h.bounds, h.below, h.count, h.sum),
                Value::Exponential(e) => {
                    let classic = Classic::from_exponential(&e);
                    assert!(classic.bounds.is_sorted_by(|a, b| a < b), "bounds that do not rise");
                    assert!(classic.below.is_sorted(), "cumulative counts that fall");
                    out.histogram(of, &classic.bounds, &classic.below, e.count, e.sum);
                }
                Value::Summary { count, sum, quantiles } => out.summary(of, quantiles, count, sum),
            }
            Ok(())
        }
    }
    let presets = vec![
        Preset::redis_exporter("redis"),
        Preset::postgres_writer("postgres_writer", "g"),
        Preset::consumer_lag("event"),
        Preset::jeex("jeex"),
    ];
    let translator = Translator::new(Settings {
        namer: Namer::new(Strategy::NoTranslation, ""),
        external_labels: Vec::new(),
        scope_labels: true,
        target_info: true,
        resource_labels: ResourceLabels::all(),
        metadata: false,
        presets,
    });
    let mut out = Translated::new(Scribe(Exposition::new(Format::OpenMetrics)));
    let _ = translator.translate(data, &mut out);
    translator.finish(&mut out);
    let text = out.series.0.finish();
    assert!(text.ends_with("# EOF\n"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use streamgauge_pdata::build::MetricsBuilder;
    use streamgauge_pdata::view::Temporality::Cumulative;

    fn seed() -> Vec<u8> {
        let mut builder = MetricsBuilder::new();
        {
            let mut resource = builder.resource([("service.name", "svc"), ("zone", "a")]);
            let mut scope = resource.scope_with("redis", "1.0", [("k", "v")]);
            scope
                .gauge("g", "By", "help")
                .point(5_000_000)
                .exemplar(4_000_000, 1.0, [1; 16], [2; 8])
                .attribute("a.b", "1")
                .attribute("a_b", "2")
                .int(1);
            scope
                .histogram("h", "s", "", Cumulative)
                .point(6_000_000)
                .count(3)
                .sum(1.0)
                .buckets(&[1.0], &[1, 2]);
            scope.gauge("redis.memory.used", "By", "").point(1).int(3);
            scope.gauge("redis.maxmemory", "By", "").point(1).int(9);
            let mut exponential = scope.exponential_histogram("e", "", "", Cumulative);
            exponential.point(7_000_000).count(3).sum(1.0).scale(9).positive(-1, [0, 3]).zero(1, 0.1);
            drop(exponential);
            scope.summary("s", "", "").point(8_000_000).count(1).sum(2.0).quantile(0.5, 2.0);
        }
        builder.finish().to_vec()
    }

    proptest! {
        #[test]
        fn any_bytes_survive(data in prop::collection::vec(any::<u8>(), 0..300)) {
            super::translate(&data);
        }

        #[test]
        fn a_request_with_any_faults_survives(
            faults in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut data = seed();
            for (at, value) in faults {
                let at = at.index(data.len());
                data[at] = value;
            }
            super::translate(&data);
            data.truncate(cut.index(data.len()));
            super::translate(&data);
        }
    }
}
