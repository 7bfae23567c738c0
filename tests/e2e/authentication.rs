//! Exporters that show credentials, receivers that ask for them, and files that change while both run.

use bytes::Bytes;
use prost::Message as _;
use streamgauge_harness::{Certs, OtlpSink, free_port, http, poll_until};
use streamgauge_pdata::Signal;
use streamgauge_transport::{
    ClientOptions, Code, Endpoint, GRPC_ALPN, GrpcClient, TlsClient, grpc_path, header_map,
};

use crate::support::{Running, SOON, binary, logs};

/// From an open door through one that wants a token (HTTP) and one that wants a user (gRPC over TLS) to the sink.
const CHAIN: &str = "extensions:
  bearertokenauth/door: {filename: DIR/taken}
  bearertokenauth/sender: {filename: DIR/sent}
  basicauth/door: {htpasswd: {inline: 'ann:hunter2'}}
  basicauth/sender: {client_auth: {username: ann, password_file: DIR/password}}
receivers:
  otlp/open: {protocols: {http: {endpoint: '127.0.0.1:{http}'}}}
  otlp/token: {protocols: {http: {endpoint: '127.0.0.1:TOKEN', auth: {authenticator: bearertokenauth/door, request_params: [Authorization]}}}}
  otlp/user:
    protocols:
      grpc:
        endpoint: 127.0.0.1:USER
        tls: {cert_file: DIR/server.pem, key_file: DIR/server.key}
        auth: {authenticator: basicauth/door}
exporters:
  otlp_http/token:
    endpoint: http://127.0.0.1:TOKEN
    auth: {authenticator: bearertokenauth/sender}
    sending_queue: {enabled: false}
  otlp_grpc/user:
    endpoint: 127.0.0.1:USER
    tls: {ca_file: DIR/ca.pem}
    auth: {authenticator: basicauth/sender}
    sending_queue: {enabled: false}
  otlp_grpc/sink: {endpoint: SINK, tls: {insecure: true}, sending_queue: {enabled: false}}
service:
  pipelines:
    logs/open: {receivers: [otlp/open], exporters: [otlp_http/token]}
    logs/token: {receivers: [otlp/token], exporters: [otlp_grpc/user]}
    logs/user: {receivers: [otlp/user], exporters: [otlp_grpc/sink]}
";

#[test]
fn credentials_open_the_doors_and_tokens_are_exchanged_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let certs = Certs::generate(dir.path());
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("taken", "t0ken-old\n");
    write("sent", "t0ken-old\n");
    write("password", "hunter2\n");
    let sink = OtlpSink::grpc();
    let (token, user) = (free_port(), free_port());
    let yaml = CHAIN
        .replace("DIR", dir.path().to_str().unwrap())
        .replace("TOKEN", &token.to_string())
        .replace("USER", &user.to_string())
        .replace("SINK", &sink.addr());
    let all = "health_check, bearertokenauth/door, bearertokenauth/sender, basicauth/door, basicauth/sender";
    let builder = binary().arg("--set").arg(&format!("service.extensions=[{all}]"));
    let running = Running::start_with(&yaml, builder);
    let send = |url: &str, headers: &[(&str, &str)]| {
        let headers = [&[("content-type", "application/x-protobuf")], headers].concat();
        let url = format!("{url}/v1/logs");
        http::request("POST", &url, &headers, &logs(&["x"]).encode_to_vec()).unwrap()
    };
    let open = running.http_url();
    let locked = format!("http://127.0.0.1:{token}");

    assert_eq!(send(&open, &[]).status, 200);
    assert_eq!(sink.log_records().len(), 1, "through both doors");
    for headers in [&[][..], &[("authorization", "Bearer t0ken-new")]] {
        let answer = send(&locked, headers);
        assert_eq!((answer.status, &*answer.headers["www-authenticate"]), (401, "Bearer"));
        assert!(!answer.text().contains("t0ken"), "{}", answer.text());
    }

    // A client that cannot set headers shows its token in the URL.
    let in_the_url = |token: &str| {
        let url = format!("{locked}/v1/logs?x=1&Authorization=Bearer%20{token}");
        http::post(&url, "application/x-protobuf", &logs(&["x"]).encode_to_vec()).unwrap().status
    };
    assert_eq!((in_the_url("t0ken-old"), in_the_url("t0ken-new")), (200, 401));

    // First the new token is taken beside the old one, then it is sent, then the old one is out.
    write("taken", "t0ken-old\nt0ken-new\n");
    poll_until("the new token is taken", SOON, || {
        (send(&locked, &[("authorization", "Bearer t0ken-new")]).status == 200).then_some(())
    });
    assert_eq!(send(&open, &[]).status, 200);
    write("sent", "t0ken-new\n");
    write("taken", "t0ken-new\n");
    poll_until("the old token is out", SOON, || {
        (send(&locked, &[("authorization", "Bearer t0ken-old")]).status == 401).then_some(())
    });
    poll_until("the new token is sent", SOON, || (send(&open, &[]).status == 200).then_some(()));

    // By gRPC a stranger hears UNAUTHENTICATED.
    let tls = TlsClient { ca_file: Some(certs.ca.display().to_string()), ..TlsClient::default() };
    let options = ClientOptions { tls: Some(tls.load(&GRPC_ALPN).unwrap()), ..ClientOptions::default() };
    let stranger = GrpcClient::new(Endpoint::parse(&format!("localhost:{user}")).unwrap(), options);
    let headers = header_map([("authorization", "Basic YW5uOndyb25n")]).unwrap();
    let message = Bytes::from(logs(&["x"]).encode_to_vec()).into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = stranger.unary(grpc_path(Signal::Logs), &headers, message, None, Some(SOON));
    assert_eq!(runtime.block_on(call).unwrap().status.code, Code::Unauthenticated);

    let labels = [("component", "otlp/user"), ("reason", "unauthenticated")];
    assert_eq!(running.numbers().sum("streamgauge_items_refused", &labels), 1.0);
    let (code, log) = running.collector.terminate(SOON);
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("t0ken") && !log.contains("hunter2") && !log.contains("YW5u"), "{log}");
}
