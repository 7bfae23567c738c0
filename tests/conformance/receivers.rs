//! Receivers: whatever becomes of what they take in, they tell whoever can be told, and go on.

use std::time::Duration;

use streamgauge::catalogue::entries;
use streamgauge::distribution::DISTRIBUTION;
use streamgauge_component::testkit::{Behaviour, Sink};
use streamgauge_component::{Create, Host, Kind, Outcome, Reason, Signal};
use streamgauge_config::Kind as Section;
use streamgauge_harness::{Redis, free_port, http, poll_until_async};

use crate::ends::within;
use crate::{DEADLINE, input, read};

/// What the next component does, and the HTTP status of that for a client that waits.
fn behaviours() -> Vec<(Behaviour, &'static [u16])> {
    let settle = Behaviour::Settle;
    vec![
        (settle(Outcome::Delivered), &[200]),
        (settle(Outcome::rejected(Reason::PeerRefused)), &[400]),
        (settle(Outcome::retry_after(Reason::QueueFull, Duration::from_secs(1))), &[429, 503]),
        // Which OTLP clients do not send again: poison does not come back.
        (Behaviour::Panic, &[500]),
        (Behaviour::Drop, &[503]),
    ]
}

/// Data for a receiver, and what its client must hear; `None` where nobody sends to it.
enum Feed {
    Nobody,
    /// It fetches by itself.
    Fetches {
        _from: Box<Redis>,
    },
    Otlp(u16),
}

impl Feed {
    /// A receiver that is new here has to be fed before it can be held to anything.
    fn of(receiver: &str) -> (Feed, String) {
        match receiver {
            "nop" => (Feed::Nobody, String::new()),
            "redis" | "redis_stream_metrics" => {
                let redis = Redis::start();
                redis.fill("orders", 3);
                let yaml = format!(
                    "{{endpoint: '{}', collection_interval: 100ms, initial_delay: 0s}}",
                    redis.addr()
                );
                (Feed::Fetches { _from: Box::new(redis) }, yaml)
            }
            "redis_stream" => {
                let redis = Redis::start();
                redis.fill("orders", 3);
                let yaml = format!(
                    "{{endpoint: '{}', streams: [orders], encoding: fields, read: {{count: 1, block: 50ms}}, \
                     retry: {{backoff: {{initial: 10ms}}}}}}",
                    redis.addr()
                );
                (Feed::Fetches { _from: Box::new(redis) }, yaml)
            }
            "otlp" => {
                let port = free_port();
                let yaml = format!("{{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}");
                (Feed::Otlp(port), yaml)
            }
            other => panic!("say here how the receiver {other} gets data"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_receiver_tells_what_became_of_its_data_and_goes_on() {
    for factory in DISTRIBUTION.receivers {
        let about = &factory.description;
        let name = about.name;
        let entry =
            entries().into_iter().find(|e| e.kind == Section::Receiver && e.about.name == name).unwrap();
        for (behaviour, statuses) in behaviours() {
            let (feed, yaml) = Feed::of(name);
            let host = Host::for_test(Kind::Receiver, name);
            let config = read(&entry, &yaml);
            let create = Create { host: host.clone(), config, signals: about.signals.to_vec() };
            let receiver = (factory.create)(create).unwrap();
            let sink = Sink::new(behaviour.clone());
            within(name, "start", receiver.start(host, sink.outlets())).await.unwrap();
            match &feed {
                Feed::Nobody => {}
                Feed::Fetches { .. } => {
                    let what = format!("{name} goes on after {behaviour:?}");
                    poll_until_async(&what, DEADLINE, async || (sink.received().len() >= 3).then_some(()))
                        .await;
                }
                Feed::Otlp(port) => {
                    for signal in Signal::ALL {
                        let (body, _) = input::requests(signal, &serde_json::Value::Null).swap_remove(0);
                        let url = format!("http://127.0.0.1:{port}/v1/{}", signal.name());
                        let post = move || http::post(&url, "application/x-protobuf", &body).unwrap().status;
                        let status = tokio::task::spawn_blocking(post).await.unwrap();
                        assert!(statuses.contains(&status), "{signal}, {behaviour:?}: {status}");
                    }
                    assert_eq!(sink.received().len(), Signal::ALL.len());
                }
            }
            within(name, "stop_intake", receiver.stop_intake()).await;
            within(name, "shutdown", receiver.shutdown()).await;
        }
    }
}
