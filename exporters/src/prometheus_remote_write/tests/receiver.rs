//! A remote write receiver that keeps what it gets and answers as told.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use prost::Message as _;

/// The wire format by derive: foreign to the exporter's own encoder.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Metadata {
    #[prost(string, tag = "2")]
    pub name: String,
}

/// A request as it came, and how it was answered.
#[derive(Clone)]
pub struct Got {
    pub headers: BTreeMap<String, String>,
    pub body: WriteRequest,
    pub status: u16,
}

impl Got {
    /// Samples as `name{label="value"} value`, in order.
    pub fn values(&self) -> Vec<String> {
        let mut out = Vec::new();
        for series in &self.body.timeseries {
            let mut name = "";
            let mut labels = Vec::new();
            for label in &series.labels {
                match label.name.as_str() {
                    "__name__" => name = &label.value,
                    other => labels.push(format!("{other}={:?}", label.value)),
                }
            }
            let id = format!("{name}{{{}}}", labels.join(","));
            out.extend(series.samples.iter().map(|s| format!("{id} {}", s.value)));
        }
        out
    }

    /// Names of described families.
    pub fn metadata(&self) -> Vec<String> {
        self.body.metadata.iter().map(|m| m.name.clone()).collect()
    }
}

type Answer = (u16, Vec<(String, String)>, String);

#[derive(Default)]
struct Shared {
    got: Mutex<Vec<Got>>,
    next: Mutex<VecDeque<Answer>>,
    refuse: Mutex<Option<(String, u16, String)>>,
}

pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, shared) = (stream.unwrap(), for_thread.clone());
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// The next request is answered like this; several calls queue up. Without any the answer is 204.
    pub fn answer_next(&self, status: u16, headers: &[(&str, &str)], text: &str) {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.shared.next.lock().unwrap().push_back((status, headers, text.to_owned()));
    }

    /// Requests with such a sample are refused as a whole, as Prometheus does it.
    pub fn refuse_with(&self, sample: &str, status: u16, text: &str) {
        *self.shared.refuse.lock().unwrap() = Some((sample.to_owned(), status, text.to_owned()));
    }

    pub fn requests(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    pub fn take(&self) -> Vec<Got> {
        std::mem::take(&mut *self.shared.got.lock().unwrap())
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut headers = BTreeMap::new();
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let body = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let mut got = Got { headers, body: WriteRequest::decode(body.as_slice()).unwrap(), status: 204 };
        let refuse = shared.refuse.lock().unwrap().clone();
        let refused = refuse.filter(|(sample, ..)| got.values().iter().any(|v| v.contains(sample.as_str())));
        let (status, headers, text) = match refused {
            Some((_, status, text)) => (status, vec![], text),
            None => shared.next.lock().unwrap().pop_front().unwrap_or((204, vec![], String::new())),
        };
        got.status = status;
        shared.got.lock().unwrap().push(got);
        let mut answer = format!("HTTP/1.1 {status} x\r\n");
        if status != 204 {
            answer.push_str(&format!("content-length: {}\r\n", text.len()));
        }
        headers.iter().for_each(|(name, value)| answer.push_str(&format!("{name}: {value}\r\n")));
        answer.push_str("\r\n");
        answer.push_str(&text);
        writer.write_all(answer.as_bytes()).unwrap();
    }
}
