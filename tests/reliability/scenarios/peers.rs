//! Peers that are slow, refuse, or break the protocol, under load; then they are well.

use std::time::Duration;

use streamgauge_harness::{Fault, Reply, poll_until};

use crate::ledger::RECORDS;
use crate::rig::{ON_THE_WAY, Rig, SOON};
use crate::row::Row;
use crate::scenarios::Run;

const SECOND: Duration = Duration::from_secs(1);
/// gRPC codes.
const UNAVAILABLE: u16 = 14;
const RESOURCE_EXHAUSTED: u16 = 8;

pub const ALL: &[(&str, Run)] = &[
    ("HTTP: slow answers", || answers(Rig::new(), Reply::Stall(SECOND / 5))),
    ("HTTP: answers later than the exporter's timeout", || answers(Rig::new(), Reply::Stall(3 * SECOND))),
    ("HTTP: 429 with Retry-After", || answers(Rig::new(), Reply::retry_after(429, SECOND))),
    ("HTTP: 503", || answers(Rig::new(), Reply::status(503))),
    ("HTTP: connections are reset", || wired(Rig::new(), Fault::Reset)),
    ("HTTP: connections are half-closed", || wired(Rig::new(), Fault::HalfClose)),
    ("HTTP: garbage for an answer", || wired(Rig::new(), Fault::Garbage)),
    ("HTTP: requests arrive, connections are reset instead of the answer", || {
        wired(Rig::new(), Fault::LoseAnswer)
    }),
    ("gRPC: slow answers", || answers(Rig::grpc(), Reply::Stall(SECOND / 5))),
    ("gRPC: UNAVAILABLE", || answers(Rig::grpc(), Reply::status(UNAVAILABLE))),
    ("gRPC: RESOURCE_EXHAUSTED with RetryInfo", || {
        answers(Rig::grpc(), Reply::retry_after(RESOURCE_EXHAUSTED, SECOND))
    }),
    ("gRPC: RESOURCE_EXHAUSTED without RetryInfo, which by OTLP is for good", || {
        answers(Rig::grpc(), Reply::status(RESOURCE_EXHAUSTED))
    }),
    ("gRPC: connections are reset", || wired(Rig::grpc(), Fault::Reset)),
    ("gRPC: connections are half-closed", || wired(Rig::grpc(), Fault::HalfClose)),
    ("gRPC: garbage for an answer", || wired(Rig::grpc(), Fault::Garbage)),
];

/// The peer answers so for a while.
fn answers(rig: Rig, reply: Reply) -> Option<Row> {
    let row = troubled(&rig, |rig| rig.sink.requests(), |rig| rig.sink.always(reply.clone()));
    // An answer may come just when the exporter gives it up.
    let late = if reply == Reply::Stall(3 * SECOND) { ON_THE_WAY } else { 0 };
    Some(Row { most_duplicated: late, ..row })
}

/// The way to the peer is broken for a while.
fn wired(rig: Rig, fault: Fault) -> Option<Row> {
    let row = troubled(&rig, |rig| rig.wire.hits(), |rig| rig.wire.set(Some(fault)));
    let unanswered = if fault == Fault::LoseAnswer { rig.wire.hits() * RECORDS as usize } else { 0 };
    // Connections are reset when the fault begins and when it ends, whatever is on its way on them.
    Some(Row { most_duplicated: unanswered + 2 * ON_THE_WAY, ..row })
}

/// Under load all is well, then comes the trouble until it was met often enough, then all is well.
fn troubled(rig: &Rig, met: impl Fn(&Rig) -> usize, trouble: impl Fn(&Rig)) -> Row {
    const OFTEN: usize = 15;
    let running = rig.start();
    rig.ledger.load(&running.url, 2, || {
        rig.takes(100);
        trouble(rig);
        let before = met(rig);
        poll_until("the trouble is met", SOON, || (met(rig) >= before + OFTEN).then_some(()));
        rig.takes(100);
        rig.wire.set(None);
        rig.sink.always(Reply::Ok);
        rig.takes(100);
    });
    let accounted = running.dropped(rig.exporter);
    rig.arrives(accounted);
    assert_eq!(rig.ledger.refused(), 0, "the disk takes what the peer does not");
    running.terminate();
    rig.ledger.row(&rig.sink, accounted)
}
