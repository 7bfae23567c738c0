//! OTLP/JSON at the door.

use super::*;

#[tokio::test]
async fn json_of_every_signal_goes_on_as_protobuf_and_is_answered_in_json() {
    let running = start(BOTH).await;
    let span = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a","traceId":"5B8EFFF798038103D269B633813FC60C"}]}]}]}"#;
    let point =
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"dataPoints":[{"asInt":"7"},{}]}}]}]}]}"#;
    let log = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9}]}]}]}"#;
    for (path, body) in [("/v1/traces", span), ("/v1/metrics", point), ("/v1/logs", log), ("/v1/logs", "{}")]
    {
        let answer = running.post_json(path, body).await;
        assert_eq!((answer.status, &*answer.text()), (200, r#"{"partialSuccess":{}}"#), "{path}");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    let received = running.sink.received();
    let items: Vec<(Signal, usize)> = received.iter().map(|batch| (batch.signal, batch.items)).collect();
    assert_eq!(items, [(Signal::Traces, 1), (Signal::Metrics, 2), (Signal::Logs, 1)]);
    let request = ExportLogsServiceRequest::decode(received[2].parts[0].clone()).unwrap();
    assert_eq!(request.resource_logs[0].scope_logs[0].log_records[0].severity_number, 9);
}

#[tokio::test]
async fn json_that_is_wrong_or_not_taken_is_refused_in_json_and_counted() {
    let running = start(BOTH).await;
    let wrong = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{"spanId":"abc"}]}]}]}"#;
    let answer = running.post_json("/v1/logs", wrong).await;
    let message = "malformed OTLP/JSON at line 1, column 60 in resourceLogs[0].scopeLogs[0].logRecords[1].spanId: \
                   16 hex digits are expected";
    assert_eq!(answer.status, 400);
    assert_eq!(answer.text(), format!(r#"{{"code":3,"message":"{message}"}}"#));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(running.sink.received().is_empty());
    let refused: Vec<_> = running.host.node(Signal::Logs).refused.counts().collect();
    assert_eq!(refused, [(Reason::Malformed, 1)]);

    running.sink.behave(Behaviour::Settle(Outcome::retry(Reason::QueueFull)));
    let log = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#;
    let answer = running.post_json("/v1/logs", log).await;
    assert_eq!((answer.status, &*answer.headers["retry-after"]), (429, "1"));
    assert!(answer.text().contains(r#""message":"queue_full","details":[{"@type":"#), "{}", answer.text());
    assert_eq!(running.came_back(), [("queue_full".to_owned(), "error".to_owned(), 1)]);
}

#[tokio::test]
async fn json_is_held_against_the_memory_limit_by_the_size_of_its_protobuf() {
    let running = start(BOTH).await;
    let budget = running.host.budget().clone();
    running.sink.behave(Behaviour::Hold);
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"hello"}]}]}]}"#;
    assert_eq!(running.post_json("/v1/logs", body).await.status, 200);
    let bytes = running.sink.take().remove(0).parts.remove(0);
    assert_eq!(budget.charged(), bytes.len() as u64);
    drop(bytes);
    running.sink.release(&Outcome::Delivered);
    let free = || (budget.charged() == 0).then_some(());
    poll_until_async("the memory given back", SOON, async || free()).await;

    // Zeros of one character each take eight bytes: the text fits, its protobuf does not.
    let bounds = vec!["0"; 200].join(",");
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"explicitBounds":[{bounds}]}}]}}}}]}}]}}]}}"#
    );
    budget.set_limit(body.len() as u64 + 100);
    let refused = running.post_json("/v1/metrics", &body).await;
    assert_eq!((refused.status, &*refused.headers["retry-after"]), (429, "1"));
    let counted: Vec<_> = running.host.node(Signal::Metrics).refused.counts().collect();
    assert_eq!((counted, budget.charged()), (vec![(Reason::MemoryLimit, 1)], 0));
}
