use std::sync::Arc;

use streamgauge_component::{InstrumentKind, Kind, Reason, Registry, Signal, State, StatusBoard};

use super::Source;
use crate::config::{MetricsLevel, PrometheusReader};
use crate::text::Exposition;

/// One receiver, processor and exporter that have done something.
fn registry() -> Arc<Registry> {
    let registry = Arc::new(Registry::default());
    registry.edge("metrics", "receiver/redis", "processor/batch", Signal::Metrics).items.add(10);
    registry.edge("metrics", "processor/batch", "exporter/x", Signal::Metrics).items.add(8);
    registry.node("", "redis", Kind::Receiver, Signal::Metrics).refused.add(Reason::Malformed, 2);
    registry.node("metrics", "batch", Kind::Processor, Signal::Metrics).dropped.add(Reason::Filtered, 2);
    let exporter = registry.node("", "x", Kind::Exporter, Signal::Metrics);
    exporter.delivered.add(5);
    exporter.dropped.add(Reason::PeerRefused, 2);
    exporter.returned.add(Reason::QueueFull, 1);
    exporter.held_items.set(7);
    let attributes = vec![("exporter", "x".to_owned())];
    let kind = InstrumentKind::Gauge;
    registry.instrument(kind, "otelcol_exporter_queue_size", "{batch}", "Waiting.", attributes).value.set(3);
    registry
}

fn text(level: MetricsLevel, reader: &PrometheusReader) -> String {
    let board = Arc::new(StatusBoard::default());
    board.report(Kind::Exporter, "x", State::Recoverable, None);
    let resource = [("service.name".to_owned(), "streamgauge".to_owned())].into_iter().collect();
    Exposition::new(Source::new(registry(), board, level), reader, &resource).text()
}

#[test]
fn the_collectors_names_carry_what_passed() {
    let text = text(MetricsLevel::Basic, &PrometheusReader::default());
    for line in [
        r#"target_info{service_name="streamgauge"} 1"#,
        r#"otelcol_receiver_accepted_metric_points{receiver="redis"} 10"#,
        r#"otelcol_receiver_refused_metric_points{receiver="redis"} 2"#,
        r#"otelcol_processor_incoming_items{otel_signal="metrics",processor="batch"} 10"#,
        r#"otelcol_processor_outgoing_items{otel_signal="metrics",processor="batch"} 8"#,
        r#"otelcol_exporter_sent_metric_points{exporter="x"} 5"#,
        r#"otelcol_exporter_send_failed_metric_points{exporter="x"} 2"#,
        r#"otelcol_exporter_enqueue_failed_metric_points{exporter="x"} 1"#,
        "# TYPE otelcol_exporter_sent_metric_points counter",
        "# TYPE otelcol_process_memory_rss gauge",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    }
    assert!(!text.contains("streamgauge_"), "the ledger is for higher levels");
}

#[test]
fn the_ledger_and_instruments_are_there_from_normal_on_and_edges_when_detailed() {
    let normal = text(MetricsLevel::Normal, &PrometheusReader::default());
    for line in [
        concat!(
            r#"streamgauge_items_dropped{component="x",kind="exporter",reason="peer_refused","#,
            r#"signal="metrics"} 2"#
        ),
        concat!(
            r#"streamgauge_items_dropped{component="batch",kind="processor",pipeline="metrics","#,
            r#"reason="filtered",signal="metrics"} 2"#
        ),
        r#"streamgauge_held_items{component="x",kind="exporter",signal="metrics"} 7"#,
        r#"otelcol_exporter_queue_size{exporter="x"} 3"#,
        r#"streamgauge_component_state{component="x",kind="exporter",state="StatusRecoverableError"} 1"#,
        "# TYPE streamgauge_acks_abandoned counter",
    ] {
        assert!(normal.lines().any(|l| l == line), "{line}\nis not in\n{normal}");
    }
    assert!(!normal.contains("streamgauge_edge_items"));
    let detailed = text(MetricsLevel::Detailed, &PrometheusReader::default());
    assert!(detailed.contains(
        r#"streamgauge_edge_items{from="receiver/redis",pipeline="metrics",signal="metrics",to="processor/batch"} 10"#
    ));
}

#[test]
fn units_types_and_resource_labels_come_when_asked_for() {
    let mut reader =
        PrometheusReader { without_units: false, without_type_suffix: false, ..Default::default() };
    reader.with_resource_constant_labels.included = vec!["service.*".into()];
    let text = text(MetricsLevel::Basic, &reader);
    assert!(
        text.contains(
            r#"otelcol_exporter_sent_metric_points_total{exporter="x",service_name="streamgauge"} 5"#
        )
    );
    assert!(text.contains(r#"otelcol_process_memory_rss_bytes{service_name="streamgauge"}"#));
}

#[test]
fn a_family_is_opened_once_whatever_its_points() {
    let text = text(MetricsLevel::Detailed, &PrometheusReader::default());
    let mut types: Vec<_> = text.lines().filter(|l| l.starts_with("# TYPE")).collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all);
}
