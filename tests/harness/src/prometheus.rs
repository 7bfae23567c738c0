//! A private Prometheus with the remote write receiver on.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::{free_port, http, poll_until};

const START: Duration = Duration::from_secs(20);

/// A running Prometheus.
pub struct Prometheus {
    port: u16,
    process: Process,
    _dir: TempDir,
}

/// How a [`Prometheus`] is to be started.
#[derive(Default)]
pub struct PrometheusBuilder {
    config: Option<String>,
    flags: Vec<String>,
}

/// One element of a query's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// All labels, `__name__` among them when the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// Seconds since the epoch.
    pub time: f64,
    /// The value; `NaN` and infinities included.
    pub value: f64,
}

impl PrometheusBuilder {
    /// The whole prometheus.yml; without it only an empty global section.
    pub fn config(mut self, yaml: &str) -> Self {
        self.config = Some(yaml.to_owned());
        self
    }

    /// One more command line flag.
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Starts the server and waits until it says it is ready.
    pub fn start(self) -> Prometheus {
        let dir = tempfile::tempdir().expect("make a directory");
        let config = dir.path().join("prometheus.yml");
        std::fs::write(&config, self.config.as_deref().unwrap_or("global: {}\n"))
            .expect("write prometheus.yml");
        let port = free_port();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-remote-write-receiver")
            .args(&self.flags);
        let process = Process::spawn(&mut command, &dir.path().join("server.log"));
        let mut server = Prometheus { port, process, _dir: dir };
        poll_until("prometheus is ready", START, || {
            if let Some(status) = server.process.ended() {
                panic!("prometheus ended with {status}:\n{}", server.log());
            }
            http::get(&format!("{}/-/ready", server.url())).ok().filter(|a| a.status == 200)
        });
        server
    }
}

impl Prometheus {
    /// Starts Debian's Prometheus with an empty configuration.
    pub fn start() -> Prometheus {
        Prometheus::builder().start()
    }

    /// A builder for everything that is not default.
    pub fn builder() -> PrometheusBuilder {
        PrometheusBuilder::default()
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where remote write requests go.
    pub fn remote_write_url(&self) -> String {
        format!("{}/api/v1/write", self.url())
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The answer of an API path such as `/api/v1/series?match[]=up`, its `data` member.
    #[track_caller]
    pub fn api(&self, path: &str) -> serde_json::Value {
        let answer = http::get(&format!("{}{path}", self.url())).expect("prometheus answers");
        let mut json = answer.json();
        assert_eq!(json["status"], "success", "{path}: {json}");
        json["data"].take()
    }

    /// An instant query, now. A scalar is one sample without labels.
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<Sample> {
        let data = self.api(&format!("/api/v1/query?query={}", http::escape(expression)));
        match data["resultType"].as_str() {
            Some("scalar") => vec![sample(&serde_json::json!({"metric": {}, "value": data["result"]}))],
            _ => data["result"].as_array().expect("a vector").iter().map(sample).collect(),
        }
    }

    /// The value of a query that answers with exactly one sample, else `None`.
    #[track_caller]
    pub fn value(&self, expression: &str) -> Option<f64> {
        match self.query(expression).as_slice() {
            [one] => Some(one.value),
            _ => None,
        }
    }

    /// Polls until the query answers with at least one sample.
    #[track_caller]
    pub fn wait_for(&self, expression: &str, within: Duration) -> Vec<Sample> {
        poll_until(expression, within, || Some(self.query(expression)).filter(|found| !found.is_empty()))
    }
}

fn sample(json: &serde_json::Value) -> Sample {
    let labels = json["metric"].as_object().expect("labels").iter();
    Sample {
        labels: labels.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect(),
        time: json["value"][0].as_f64().expect("a time"),
        value: number(json["value"][1].as_str().expect("a value")),
    }
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().expect("a number"),
    }
}
