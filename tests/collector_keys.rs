//! Every key that the Collector's shared settings have (v0.149, and what v0.160 added) is read here, warned about because it has
//! no effect, or refused with its reason:
//! confighttp, configgrpc, configtls, confignet, configauth, configcompression, exporterhelper and configretry.

use streamgauge::catalogue::find;
use streamgauge_config::{Kind, Section};

/// A key, and a value as YAML.
type Keys = &'static [(&'static str, &'static str)];

const TLS: Keys = &[
    ("ca_file", "ca.pem"),
    ("ca_pem", "PEM"),
    ("include_system_ca_certs_pool", "true"),
    ("cert_file", "c.pem"),
    ("cert_pem", "PEM"),
    ("key_file", "k.pem"),
    ("key_pem", "PEM"),
    ("min_version", "'1.2'"),
    ("max_version", "'1.3'"),
    ("cipher_suites", "[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]"),
    ("curve_preferences", "[X25519]"),
    ("reload_interval", "1h"),
    ("tpm", "{enabled: false, path: /dev/tpmrm0, owner_auth: a, auth: b}"),
];
const TLS_CLIENT: Keys =
    &[("insecure", "false"), ("insecure_skip_verify", "true"), ("server_name_override", "name")];
const TLS_SERVER: Keys = &[("client_ca_file", "ca.pem"), ("client_ca_file_reload", "true")];

const NET: Keys = &[
    ("endpoint", "localhost:0"),
    ("transport", "tcp"),
    ("transport", "tcp4"),
    ("transport", "tcp6"),
    ("transport", "unix"),
    ("dialer", "{timeout: 1s}"),
    ("npipe", "{security_descriptor: D}"),
];

const GRPC_SERVER: Keys = &[
    ("tls", "{cert_file: c.pem, key_file: k.pem}"),
    ("tls", "{enabled: false}"),
    ("max_recv_msg_size_mib", "64"),
    ("max_concurrent_streams", "16"),
    ("read_buffer_size", "1024"),
    ("write_buffer_size", "1024"),
    (
        "keepalive",
        "{server_parameters: {max_connection_idle: 1m, max_connection_age: 1m, max_connection_age_grace: 1m, time: 1m, \
         timeout: 1m}, enforcement_policy: {min_time: 1m, permit_without_stream: true}}",
    ),
    ("auth", "{authenticator: bearertokenauth}"),
    ("include_metadata", "true"),
    ("middlewares", "[]"),
];

const HTTP_SERVER: Keys = &[
    ("tls", "{cert_file: c.pem, key_file: k.pem}"),
    ("cors", "{allowed_origins: ['*'], allowed_headers: ['*'], exposed_headers: [x], max_age: 60}"),
    ("cors", "{enabled: false}"),
    ("auth", "{authenticator: bearertokenauth, request_params: [Authorization]}"),
    ("max_request_body_size", "1000"),
    ("include_metadata", "true"),
    ("response_headers", "{x-key: v}"),
    ("response_headers", "[{name: x-key, value: v}]"),
    ("compression_algorithms", "['', gzip, zstd, zlib, snappy, deflate, lz4, x-snappy-framed]"),
    ("read_timeout", "1m"),
    ("read_header_timeout", "1m"),
    ("write_timeout", "1m"),
    ("idle_timeout", "1m"),
    ("middlewares", "[]"),
    ("keep_alives_enabled", "false"),
    ("keepalive", "{idle_timeout: 1m}"),
    ("keepalive", "{enabled: false}"),
    ("traces_url_path", "/t"),
    ("metrics_url_path", "/m"),
    ("logs_url_path", "/l"),
];

const GRPC_CLIENT: Keys = &[
    ("endpoint", "dns:///host:4317"),
    ("compression", "gzip"),
    ("compression", "snappy"),
    ("compression", "zstd"),
    ("compression", "none"),
    ("compression", "''"),
    ("keepalive", "{time: 1m, timeout: 1m, permit_without_stream: true}"),
    ("read_buffer_size", "1024"),
    ("write_buffer_size", "1024"),
    ("wait_for_ready", "true"),
    ("headers", "{x-key: v}"),
    ("headers", "[{name: x-key, value: v}]"),
    ("balancer_name", "round_robin"),
    ("balancer_name", "pick_first"),
    ("authority", "name"),
    ("auth", "{authenticator: bearertokenauth}"),
    ("middlewares", "[]"),
    ("user_agent", "me/1"),
    ("timeout", "1m"),
];

const HTTP_CLIENT: Keys = &[
    ("endpoint", "https://host:4318/base"),
    ("proxy_url", "http://user:pass@proxy:3128"),
    ("read_buffer_size", "1024"),
    ("write_buffer_size", "1024"),
    ("timeout", "1m"),
    ("headers", "{x-key: v}"),
    ("headers", "[{name: x-key, value: v}]"),
    ("auth", "{authenticator: basicauth}"),
    ("compression", "gzip"),
    ("compression", "zstd"),
    ("compression", "snappy"),
    ("compression", "x-snappy-framed"),
    ("compression", "zlib"),
    ("compression", "deflate"),
    ("compression", "lz4"),
    ("compression", "none"),
    ("compression", "''"),
    ("compression_params", "{level: 6}"),
    ("max_idle_conns", "10"),
    ("max_idle_conns_per_host", "10"),
    ("max_conns_per_host", "10"),
    ("idle_conn_timeout", "1m"),
    ("disable_keep_alives", "true"),
    ("keepalive", "{enabled: true, idle_conn_timeout: 1m, max_idle_conns: 1, max_idle_conns_per_host: 1}"),
    ("http2_read_idle_timeout", "1m"),
    ("http2_ping_timeout", "1m"),
    ("cookies", "{}"),
    ("cookies", "{enabled: true}"),
    ("force_attempt_http2", "false"),
    ("middlewares", "[]"),
    ("traces_endpoint", "https://host/t"),
    ("metrics_endpoint", "https://host/m"),
    ("logs_endpoint", "https://host/l"),
    ("profiles_endpoint", "''"),
    ("encoding", "proto"),
    ("encoding", "json"),
];

const DELIVERY: Keys = &[
    ("retry_on_failure.enabled", "false"),
    ("retry_on_failure.initial_interval", "1s"),
    ("retry_on_failure.randomization_factor", "0.5"),
    ("retry_on_failure.multiplier", "2"),
    ("retry_on_failure.max_interval", "1m"),
    ("retry_on_failure.max_elapsed_time", "10m"),
    ("sending_queue.enabled", "false"),
    ("sending_queue.num_consumers", "2"),
    ("sending_queue.queue_size", "10000"),
    ("sending_queue.sizer", "bytes"),
    ("sending_queue.block_on_overflow", "true"),
    ("sending_queue.wait_for_result", "true"),
    ("sending_queue.storage", "file_storage"),
    (
        "sending_queue",
        "{queue_size: 9000, sizer: items, batch: {flush_timeout: 1s, min_size: 1, max_size: 2, sizer: items, \
      partition: {metadata_keys: [tenant]}}}",
    ),
    ("sending_queue.batch", "{enabled: false}"),
];

/// What the Collector has and this collector has not: the key, a value, and what the error says.
const REFUSED: &[(Kind, &str, &str, &str, &str)] = &[
    (Kind::Receiver, "otlp", "protocols.grpc.middlewares", "[{id: limiter}]", "is a middleware (limiter)"),
    (Kind::Receiver, "otlp", "protocols.http.middlewares", "[{id: limiter}]", "is a middleware (limiter)"),
    (
        Kind::Receiver,
        "otlp",
        "protocols.http.compression_algorithms",
        "[br]",
        "unknown compression algorithms: br",
    ),
    (Kind::Receiver, "otlp", "protocols.http.transport", "npipe", "tcp"),
    (
        Kind::Receiver,
        "otlp",
        "protocols.http.tls",
        "{cert_file: c, key_file: k, tpm: {enabled: true}}",
        "keys in a TPM are not supported",
    ),
    (Kind::Exporter, "otlp_grpc", "middlewares", "[{id: m}]", "is a middleware (m)"),
    (Kind::Exporter, "otlp_grpc", "dialer", "{id: d}", "is a middleware (d)"),
    (Kind::Exporter, "otlp_grpc", "compression", "lz4", "gRPC has none, gzip, zstd, snappy"),
    (Kind::Exporter, "otlp_grpc", "balancer_name", "least_request", "round_robin"),
    (Kind::Exporter, "otlp_grpc", "tls", "{tpm: {enabled: true}}", "keys in a TPM are not supported"),
    (Kind::Exporter, "otlp_http", "middlewares", "[{id: m}]", "is a middleware (m)"),
    (Kind::Exporter, "otlp_http", "proxy_url", "socks5://proxy", "not by socks5://"),
    (Kind::Exporter, "otlp_http", "profiles_endpoint", "https://host/p", "profiles are no signal"),
    (Kind::Exporter, "otlp_http", "compression_params", "{level: 17}", "unsupported parameters {Level:17}"),
    (Kind::Exporter, "otlp_http", "headers", "[{name: a, value: b}, {name: a, value: c}]", "is set twice"),
];

/// A section of this key, dotted, and of the endpoint without which there is none.
fn yaml(path: &str, value: &str, endpoint: Option<&str>) -> String {
    let open: String = path.split('.').map(|key| format!("{key}: {{")).collect();
    let open = open.trim_end_matches('{');
    let close = "}".repeat(path.split('.').count() - 1);
    match endpoint.filter(|_| path != "endpoint") {
        Some(endpoint) => format!("{{endpoint: '{endpoint}', {open}{value}{close}}}"),
        None => format!("{{{open}{value}{close}}}"),
    }
}

fn read(kind: Kind, name: &str, yaml: &str) -> Result<(), String> {
    let section = Section::from_yaml("section", yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
    let entry = find(kind, name).unwrap_or_else(|| panic!("{kind} {name}"));
    let read = (entry.config.read)(&section).map_err(|error| format!("{error}\n{yaml}"))?;
    drop(read);
    Ok(())
}

fn endpoint(kind: Kind, name: &str) -> Option<&'static str> {
    match (kind, name) {
        (Kind::Exporter, "otlp_http") => Some("https://host"),
        (Kind::Exporter, _) => Some("host:4317"),
        _ => None,
    }
}

#[test]
fn every_key_of_the_collector_is_read() {
    let grpc = (Kind::Receiver, "otlp", "protocols.grpc.");
    let http = (Kind::Receiver, "otlp", "protocols.http.");
    let to_grpc = (Kind::Exporter, "otlp_grpc", "");
    let to_http = (Kind::Exporter, "otlp_http", "");
    let all = [
        (grpc, NET),
        (grpc, GRPC_SERVER),
        (http, NET),
        (http, HTTP_SERVER),
        (to_grpc, GRPC_CLIENT),
        (to_grpc, DELIVERY),
        (to_http, HTTP_CLIENT),
        (to_http, DELIVERY),
    ];
    for ((kind, name, prefix), keys) in all {
        for (key, value) in keys {
            read(kind, name, &yaml(&format!("{prefix}{key}"), value, endpoint(kind, name))).unwrap();
        }
    }
}

#[test]
fn every_key_of_tls_is_read_on_both_sides() {
    // Certificate and key belong together, and either is a file or a text.
    let pair = |key: &str| match key {
        "cert_file" => ", key_pem: PEM",
        "cert_pem" => ", key_file: k.pem",
        "key_file" => ", cert_pem: PEM",
        "key_pem" => ", cert_file: c.pem",
        _ => "",
    };
    for (key, value) in TLS.iter().chain(TLS_CLIENT) {
        let tls = format!("{{{key}: {value}{}}}", pair(key));
        for (name, prefix) in [("otlp_grpc", ""), ("otlp_http", "")] {
            let text = yaml(&format!("{prefix}tls"), &tls, endpoint(Kind::Exporter, name));
            read(Kind::Exporter, name, &text).unwrap();
        }
    }
    for (key, value) in TLS.iter().chain(TLS_SERVER) {
        let own = match pair(key) {
            "" => ", cert_file: c.pem, key_file: k.pem",
            pair => pair,
        };
        for protocol in ["grpc", "http"] {
            let tls = format!("{{{key}: {value}{own}}}");
            read(Kind::Receiver, "otlp", &yaml(&format!("protocols.{protocol}.tls"), &tls, None)).unwrap();
        }
    }
}

#[test]
fn what_the_collector_has_and_this_one_has_not_is_refused_with_the_reason() {
    for (kind, name, key, value, expected) in REFUSED {
        let error = read(*kind, name, &yaml(key, value, endpoint(*kind, name))).unwrap_err();
        assert!(error.contains(expected), "{key}: {value}: {error}");
    }
}

/// What is read and has no effect. Whoever writes such a key is warned by name.
const WITHOUT_EFFECT: &[(Kind, &str, &[&str])] = &[
    (
        Kind::Receiver,
        "otlp",
        &[
            "protocols.grpc.dialer",
            "protocols.grpc.npipe",
            "protocols.grpc.tls.ca_file",
            "protocols.grpc.tls.ca_pem",
            "protocols.grpc.tls.include_system_ca_certs_pool",
            "protocols.grpc.read_buffer_size",
            "protocols.grpc.write_buffer_size",
            "protocols.http.dialer",
            "protocols.http.npipe",
            "protocols.http.tls.ca_file",
            "protocols.http.tls.ca_pem",
            "protocols.http.tls.include_system_ca_certs_pool",
        ],
    ),
    (Kind::Exporter, "otlp_grpc", &["read_buffer_size", "write_buffer_size"]),
    (Kind::Exporter, "otlp_http", &["read_buffer_size", "write_buffer_size"]),
];

#[test]
fn every_key_without_effect_is_warned_about_with_its_reason() {
    for (kind, name, keys) in WITHOUT_EFFECT {
        let schema = (find(*kind, name).unwrap().config.schema)();
        for key in *keys {
            let yaml = yaml(key, "{timeout: 1s}", None);
            let section = Section::from_yaml("section", &yaml).unwrap();
            let warned: Vec<String> = streamgauge_config::without_effect(&schema, &section)
                .into_iter()
                .map(|d| d.message)
                .collect();
            let path = key.replace('.', "::");
            assert_eq!(warned.len(), 1, "{key}: {warned:?}");
            assert!(warned[0].starts_with(&format!("section::{path} has no effect here: ")), "{warned:?}");
        }
    }
}

#[test]
fn a_section_that_is_disabled_is_off() {
    let error = read(Kind::Receiver, "otlp", "protocols: {grpc: {enabled: false}}").unwrap_err();
    assert!(error.contains("at least one protocol"), "{error}");
    read(Kind::Receiver, "otlp", "protocols: {grpc: {enabled: true, endpoint: 'h:1'}}").unwrap();
    read(Kind::Receiver, "otlp", "protocols: {http: {tls: {enabled: false}}}").unwrap();
    let error = read(Kind::Receiver, "otlp", "protocols: {http: {tls: {enabled: true}}}").unwrap_err();
    assert!(error.contains("cert_file"), "{error}");
}
