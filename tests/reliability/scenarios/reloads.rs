//! Another configuration under load, with data on the disk. (In memory: `tests/e2e/reload.rs`.)

use std::sync::Mutex;

use streamgauge_harness::{OtlpSink, Reply, free_port, poll_until};

use crate::rig::{CONSUMERS, ON_THE_WAY, Ports, Rig, SOON};
use crate::row::Row;
use crate::scenarios::Run;

pub const ALL: &[(&str, Run)] = &[
    ("valid and invalid files, another port, another timeout", files_and_ports),
    ("another exporter while its queue has data on the disk", || exporter_with_data(Rig::new())),
    ("another exporter while its queue has data in memory", || exporter_with_data(Rig::new().in_memory())),
    ("the queue moves from memory to the disk with what it holds", from_memory_to_the_disk),
];

fn files_and_ports() -> Option<Row> {
    let rig = Rig::new();
    let running = rig.start();
    let url = Mutex::new(running.url.clone());
    let send = || {
        let to = url.lock().unwrap().clone();
        rig.ledger.send(&to);
        true
    };
    rig.ledger.load_with(2, send, || {
        rig.takes(100);
        for round in 0..3 {
            let refused = running.reload(&rig.yaml(&running.ports).replace("endpoint", "no_such_key"));
            assert_eq!(refused.status, 422, "{}", refused.text());
            rig.takes(100);
            let mut ports = running.ports;
            ports.http = free_port();
            let timeout = format!("timeout: {}s", 3 + round);
            let changed = rig.yaml(&ports).replace("timeout: 2s, sending", &format!("{timeout}, sending"));
            let answer = running.reload(&changed);
            assert_eq!(answer.status, 200, "{}", answer.text());
            *url.lock().unwrap() = format!("http://127.0.0.1:{}", ports.http);
            rig.takes(100);
        }
    });
    rig.arrives(0);
    assert_eq!(running.dropped("otlp_http"), 0);
    running.terminate();
    Some(Row { most_duplicated: 3 * ON_THE_WAY, ..rig.ledger.row(&rig.sink, 0) })
}

/// It waited for a peer that is down, and goes to another.
fn exporter_with_data(rig: Rig) -> Option<Row> {
    let down = OtlpSink::http();
    down.always(Reply::status(503));
    let queue = format!("sending_queue: {{num_consumers: {CONSUMERS}, {}}}", rig.queue);
    let patient = |address: &str| {
        let section = rig.section(address, &queue).replace("max_elapsed_time: 1s", "max_elapsed_time: 1m");
        move |ports: &Ports, rig: &Rig| rig.yaml_to(ports, &section)
    };
    let running = rig.start();
    assert_eq!(running.reload(&patient(&down.addr())(&running.ports, &rig)).status, 200);
    rig.ledger.load(&running.url, 2, || {
        poll_until("attempts are refused", SOON, || (down.answers() > 10).then_some(()));
        rig.takes(500);
        assert_eq!(running.reload(&patient(&rig.sink.addr())(&running.ports, &rig)).status, 200);
        rig.takes(500);
    });
    rig.arrives(0);
    assert_eq!(running.dropped("otlp_http"), 0);
    running.terminate();
    Some(Row { most_duplicated: ON_THE_WAY, ..rig.ledger.row(&rig.sink, 0) })
}

fn from_memory_to_the_disk() -> Option<Row> {
    let rig = Rig::new();
    rig.sink.always(Reply::status(503));
    let in_memory = format!("sending_queue: {{num_consumers: {CONSUMERS}, queue_size: 1000000}}");
    let on_disk = format!("sending_queue: {{num_consumers: {CONSUMERS}, {}}}", rig.queue);
    let yaml = |ports: &Ports, queue: &str| {
        let section = rig.section(&rig.wire.addr(), queue);
        rig.yaml_to(ports, &section.replace("max_elapsed_time: 1s", "max_elapsed_time: 1m"))
    };
    let running = rig.start();
    assert_eq!(running.reload(&yaml(&running.ports, &in_memory)).status, 200);
    rig.send(&running, 50);
    assert_eq!(running.reload(&yaml(&running.ports, &on_disk)).status, 200);
    poll_until("what it held is on the disk", SOON, || {
        (running.number("streamgauge_queue_disk_requests", &[]) == 50).then_some(())
    });
    running.kill();
    rig.sink.always(Reply::Ok);
    let running = rig.start();
    rig.arrives(0);
    running.terminate();
    Some(Row { most_duplicated: ON_THE_WAY, ..rig.ledger.row(&rig.sink, 0) })
}
