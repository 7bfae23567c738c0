//! Where the receiver listens.

use bytes::Bytes;
use prost::Message as _;
use streamgauge_component::{Receiver as _, Signal};
use streamgauge_transport::{
    ClientOptions, Code, Endpoint, GrpcClient, HeaderMap, HttpClient, grpc_path, header_map,
};

use super::{SOON, logs, start};

#[tokio::test]
async fn one_address_serves_both_protocols_and_so_does_one_unix_socket() {
    let port = streamgauge_harness::free_port();
    let dir = std::env::temp_dir().join(format!("streamgauge-otlp-{port}.sock"));
    for (transport, endpoint) in [("tcp", format!("127.0.0.1:{port}")), ("unix", dir.display().to_string())] {
        let way = format!("{{transport: {transport}, endpoint: '{endpoint}'}}");
        let running = start(&format!("protocols: {{grpc: {way}, http: {way}}}")).await;
        let url =
            if transport == "tcp" { format!("http://{endpoint}") } else { format!("unix://{endpoint}") };
        let endpoint = Endpoint::parse(&url).unwrap();
        let bytes = Bytes::from(logs(2).encode_to_vec());
        let grpc = GrpcClient::new(endpoint.clone(), ClientOptions::default());
        let headers = HeaderMap::new();
        let call = grpc.unary(grpc_path(Signal::Logs), &headers, bytes.clone().into(), None, Some(SOON));
        assert_eq!(call.await.unwrap().status.code, Code::Ok);
        let http = HttpClient::new(endpoint, ClientOptions::default());
        let headers = header_map([("content-type", "application/x-protobuf")]).unwrap();
        let answer = http.post("/v1/logs", &headers, bytes.into(), Some(SOON)).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(running.sink.received().len(), 2, "{transport}");
        running.receiver.stop_intake().await;
        running.receiver.shutdown().await;
    }
}
