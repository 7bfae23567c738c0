//! Our gRPC client before servers of grpc-go and of gRPC's C core, which is what Python, C++ and many others have.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use streamgauge_transport::{ClientOptions, Code, Codec, Endpoint, GrpcClient, HeaderMap, Payload};

use crate::support::{SOON, root};

struct Server {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Server {
    #[track_caller]
    fn start(program: &[&str]) -> (Server, String) {
        let child = Command::new(program[0])
            .args(&program[1..])
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut child =
            child.unwrap_or_else(|error| panic!("cannot start {program:?}: {error}: run scripts/setup"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("a port").unwrap();
        (Server { child, lines }, format!("127.0.0.1:{port}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1, 0);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

/// Requests of all sizes that a server takes by default, in one slice and in many, plain and packed, many at once.
async fn all_sizes_arrive(address: &str) -> Vec<String> {
    let client = GrpcClient::new(Endpoint::parse(address).unwrap(), ClientOptions::default());
    let (client, none) = (&client, &HeaderMap::new());
    let mut sent = Vec::new();
    for round in 0..3_usize {
        let sizes = [0, 1, 5_000, 16_379, 70_000, 300_000, 3_900_000, 10, 20_000, 65_530];
        let calls = sizes.into_iter().cycle().take(30).enumerate().map(|(at, size)| {
            let body: Bytes = (0..size).map(|byte| (byte * 7 + byte / 251 + at + round) as u8).collect();
            sent.push(format!("{size} {}", adler32(&body)));
            async move {
                let (payload, packed) = match round {
                    0 => (Payload::from(body), None),
                    1 => (Payload::new(body.chunks(20_000).map(|chunk| body.slice_ref(chunk))), None),
                    _ => (Codec::Gzip.pack(&body, None).unwrap().into(), Some("gzip")),
                };
                let answer =
                    client.unary("/a.Service/Export", none, payload, packed, Some(2 * SOON)).await.unwrap();
                assert_eq!(
                    (answer.status.code, answer.message.len()),
                    (Code::Ok, 0),
                    "{}",
                    answer.status.message
                );
            }
        });
        join_all(calls).await;
    }
    sent
}

#[track_caller]
fn takes_all(program: &[&str]) {
    let (server, address) = Server::start(program);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(120), all_sizes_arrive(&address)).await.expect("an end")
    });
    compare(server, sent);
}

#[track_caller]
fn compare(mut server: Server, mut sent: Vec<String>) {
    let mut came: Vec<String> = server.lines.by_ref().take(sent.len()).map(Result::unwrap).collect();
    came.sort_unstable();
    sent.sort_unstable();
    assert!(came == sent, "not the same bytes");
}

#[test]
fn grpc_go_takes_requests_of_all_sizes() {
    takes_all(&[".cache/clients/go", "serve"]);
}

#[test]
fn the_c_core_takes_requests_of_all_sizes() {
    takes_all(&[".cache/clients/python/bin/python", "tests/clients/python/server.py"]);
}
