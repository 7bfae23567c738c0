//! The harness itself: each server comes up, answers, obeys and goes away.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point::Value,
};
use prost::Message;
use streamgauge_harness::{
    Cluster, Collector, Fault, OtlpSink, Prometheus, Redis, Reply, SentinelSet, Server, Telemetry, Valkey,
    Wire, http, poll_until,
};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn redis_comes_up_restarts_empty_and_refuses_when_stopped() {
    let mut redis = Redis::start();
    redis.fill("orders", 3);
    assert_eq!(redis.run::<i64>("XLEN orders"), 3);
    assert_eq!(redis.cli(&["XLEN", "orders"]), "3");
    let before = redis.info("run_id");
    redis.restart();
    assert_eq!(redis.run::<i64>("XLEN orders"), 0);
    assert_ne!(redis.info("run_id"), before);
    redis.stop();
    assert!(redis.client().get_connection().is_err());
    redis.start_again();
    assert_eq!(redis.cli(&["PING"]), "PONG");
}

#[test]
fn redis_listens_on_tls_and_a_unix_socket_and_knows_its_users() {
    let redis = Redis::builder()
        .tls()
        .unix_socket()
        .user("monitor on >secret ~* +ping")
        .config("maxmemory 100mb")
        .start();
    assert_eq!(redis.info("maxmemory").as_deref(), Some("104857600"));
    let ca = redis.certs().ca.display().to_string();
    let port = redis.tls_addr().split_once(':').unwrap().1.to_owned();
    let over_tls = std::process::Command::new("redis-cli")
        .args(["-h", "localhost", "-p", &port, "--tls", "--cacert", &ca, "PING"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&over_tls.stdout).trim(), "PONG");
    let socket = redis.socket().display().to_string();
    let over_socket = std::process::Command::new("redis-cli")
        .args(["-s", &socket, "--no-auth-warning", "--user", "monitor", "--pass", "secret", "GET", "a"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&over_socket.stdout).contains("NOPERM"));
}

#[test]
fn a_frozen_redis_keeps_connections_open_and_answers_after_the_thaw() {
    let redis = Redis::builder().password("hush").start();
    let mut connection = redis.connection();
    redis.freeze();
    connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(redis::cmd("PING").query::<String>(&mut connection).unwrap_err().is_timeout());
    redis.thaw();
    assert_eq!(redis.run::<String>("PING"), "PONG");
}

#[test]
fn valkey_says_that_it_is_valkey() {
    let valkey = Valkey::start();
    assert_eq!(valkey.info("server_name").as_deref(), Some("valkey"));
}

#[test]
fn every_server_of_the_matrix_is_of_the_version_that_its_name_says() {
    for server in Server::matrix() {
        let running = server.start();
        let field = if server.is_valkey() { "valkey_version" } else { "redis_version" };
        let version = running.info(field).unwrap();
        assert!(version.starts_with(&server.name.replace("redis-", "").replace("valkey-", "")), "{version}");
    }
}

#[test]
fn a_sentinel_set_replaces_its_master() {
    for server in Server::matrix() {
        let mut set = SentinelSet::start(&server);
        assert_eq!(set.master(), 0);
        assert_ne!(set.fail_over(), 0);
    }
}

#[test]
fn a_cluster_moves_slots_and_survives_the_loss_of_a_master() {
    for server in Server::matrix() {
        let mut cluster = Cluster::start(&server);
        cluster.fill("orders", 3);
        let (slot, from) = (cluster.slot("orders"), cluster.owner("orders"));
        let to = (from + 1) % 3;
        cluster.begin_migration(slot, from, to);
        cluster.move_keys(slot, from, to);
        assert!(cluster.nodes[from].cli(&["xlen", "orders"]).starts_with("ASK"));
        cluster.end_migration(slot, to);
        assert_eq!(cluster.owner("orders"), to);
        cluster.kill(to);
        assert_eq!(cluster.owner("orders"), to + 3);
        assert_eq!(cluster.nodes[to + 3].cli(&["xlen", "orders"]), "3");
    }
}

#[test]
fn prometheus_answers_queries_and_has_the_remote_write_receiver() {
    let prometheus = Prometheus::start();
    assert_eq!(prometheus.value("1 + 1"), Some(2.0));
    assert_eq!(prometheus.value("absent_series"), None);
    // An empty body is refused by the receiver itself; without the receiver the path would not exist.
    let answer = http::post(&prometheus.remote_write_url(), "application/x-protobuf", b"x").unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
}

fn gauge(value: i64) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint { value: Some(Value::AsInt(value)), time_unix_nano: 7, ..Default::default() };
    let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
    let metric = Metric { name: "lag".into(), data, ..Default::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

#[tokio::test]
async fn the_grpc_sink_records_and_answers_as_told() {
    let sink = OtlpSink::grpc();
    let mut client = MetricsServiceClient::connect(sink.url()).await.unwrap();
    client.export(gauge(123)).await.unwrap();
    assert_eq!(sink.points("lag")[0].value, Some(123.0));

    sink.next(Reply::Partial { rejected: 1, message: "one".into() });
    let partial = client.export(gauge(1)).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!((partial.rejected_data_points, partial.error_message.as_str()), (1, "one"));

    sink.always(Reply::retry_after(14, Duration::from_secs(3)));
    let status = client.export(gauge(2)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(status.details().windows(9).any(|w| w == b"RetryInfo"));
    assert_eq!((sink.received().len(), sink.taken().len()), (3, 2));
}

#[test]
fn a_wire_passes_on_and_breaks_as_it_is_told() {
    let sink = OtlpSink::http();
    let wire = Wire::to(&sink.addr());
    let post = || {
        let url = format!("{}/v1/metrics", wire.url());
        http::post(&url, "application/x-protobuf", &gauge(5).encode_to_vec())
    };
    assert_eq!(post().unwrap().status, 200);
    for (n, fault) in [Fault::Reset, Fault::HalfClose, Fault::Garbage].into_iter().enumerate() {
        wire.set(Some(fault));
        assert!(post().is_err(), "{fault:?}");
        assert_eq!((wire.hits(), sink.requests()), (n + 1, 1), "{fault:?}");
    }
    wire.set(Some(Fault::LoseAnswer));
    assert!(post().is_err());
    assert_eq!(sink.answers(), 2, "it has arrived");
    wire.set(None);
    assert_eq!(post().unwrap().status, 200);
}

#[test]
fn the_http_sink_records_and_answers_as_told() {
    let sink = OtlpSink::http();
    let url = format!("{}/v1/metrics", sink.url());
    let post = |body: &[u8]| http::post(&url, "application/x-protobuf", body).unwrap();
    assert_eq!(post(&gauge(123).encode_to_vec()).status, 200);
    assert_eq!(sink.taken(), vec![Telemetry::Metrics(gauge(123))]);

    sink.next(Reply::retry_after(503, Duration::from_secs(3)));
    let refused = post(&gauge(1).encode_to_vec());
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "3"));
    assert_eq!(post(b"\xff").status, 400);

    sink.always(Reply::Hold);
    let before = sink.received().len();
    std::thread::scope(|scope| {
        let held = scope.spawn(|| post(&gauge(5).encode_to_vec()).status);
        assert_eq!(sink.received().len(), before);
        sink.release();
        // A request that came after the release is answered all the same.
        assert_eq!(held.join().unwrap(), 200);
    });

    let packed = zstd::encode_all(ExportLogsServiceRequest::default().encode_to_vec().as_slice(), 1).unwrap();
    let logs = format!("{}/v1/logs", sink.url());
    let answer = http::request("POST", &logs, &[("content-encoding", "zstd")], &packed).unwrap();
    assert_eq!(answer.status, 200);
}

#[test]
fn a_collector_s_log_and_exit_code_are_seen() {
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let mut stand_in = Collector::builder("sh").arg("-c").arg(script).start();
    stand_in.wait_for_log("ready", SOON);
    let (code, log) = stand_in.terminate(SOON);
    assert_eq!((code, log.as_str()), (Some(7), "ready\n"));
}

#[test]
fn polling_gives_what_it_found() {
    let mut looks = 0;
    let found = poll_until("the third look", SOON, || {
        looks += 1;
        (looks == 3).then_some(looks)
    });
    assert_eq!(found, 3);
}
