//! Exporters that leave through the proxy that the environment names, as Go programs do.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use prost::Message as _;
use streamgauge_harness::{OtlpSink, http};

use crate::support::{Running, binary, logs};

const CONFIG: &str = "receivers:
  otlp: {protocols: {http: {endpoint: '127.0.0.1:{http}'}}}
exporters:
  otlp_http: {endpoint: 'http://http.example:4318', sending_queue: {enabled: false}}
  otlp_grpc: {endpoint: 'grpc.example:4317', tls: {insecure: true}, sending_queue: {enabled: false}}
  otlp_http/exempt: {endpoint: 'DIRECT', sending_queue: {enabled: false}}
service:
  pipelines:
    logs: {receivers: [otlp], exporters: [otlp_http, otlp_grpc, otlp_http/exempt]}
";

/// A proxy whose only way leads to `to`. Its address, and the first lines of what it is asked.
fn proxy(to: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, asked) = (listener.local_addr().unwrap().to_string(), Arc::<Mutex<Vec<String>>>::default());
    let seen = asked.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, to, seen) = (client.unwrap(), to.clone(), seen.clone());
            std::thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    client.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                let line = head.split(|byte| *byte == b'\r').next().unwrap();
                seen.lock().unwrap().push(String::from_utf8_lossy(line).into_owned());
                let mut server = TcpStream::connect(to).unwrap();
                match head.starts_with(b"CONNECT") {
                    true => client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap(),
                    false => server.write_all(&head).unwrap(),
                }
                let (mut back, mut away) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut back, &mut away));
                let _ended = std::io::copy(&mut client, &mut server);
            });
        }
    });
    (address, asked)
}

#[test]
fn the_proxies_of_the_environment_are_before_every_exporter_but_the_exempt() {
    let (by_http, by_grpc, direct) = (OtlpSink::http(), OtlpSink::grpc(), OtlpSink::http());
    let (forward, forwarded) = proxy(by_http.addr());
    let (tunnel, tunnelled) = proxy(by_grpc.addr());
    let builder = binary()
        .env("HTTP_PROXY", &forward)
        .env("https_proxy", &format!("http://{tunnel}"))
        .env("NO_PROXY", "none.example");
    // A loopback address is exempt by itself.
    let running = Running::start_with(&CONFIG.replace("DIRECT", &direct.url()), builder);
    let url = format!("{}/v1/logs", running.http_url());
    let answer = http::post(&url, "application/x-protobuf", &logs(&["x"]).encode_to_vec()).unwrap();
    assert_eq!(answer.status, 200);
    for sink in [&by_http, &by_grpc, &direct] {
        assert_eq!(sink.log_records().len(), 1);
    }
    assert_eq!(*forwarded.lock().unwrap(), ["POST http://http.example:4318/v1/logs HTTP/1.1"]);
    assert_eq!(*tunnelled.lock().unwrap(), ["CONNECT grpc.example:4317 HTTP/1.1"]);
}
