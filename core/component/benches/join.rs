//! What joining small requests costs: `cargo bench -p streamgauge-component`. Throughput is in requests a second.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench that is broken stops at the place that broke")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use streamgauge_component::{Ack, Batch, Context, JoinRules, Joiner, Part, Signal, Sizer};
use streamgauge_pdata::build::LogsBuilder;

/// Requests of ten records until the default size of a batch is reached.
const REQUESTS: usize = 820;

/// Allocations stand beside the times.
#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

fn ten() -> Bytes {
    let mut request = LogsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "checkout")]);
        let mut scope = resource.scope("checkout.http", "1.4.0");
        for n in 0..10 {
            scope.record(n).body("order 0012345 was accepted for delivery by the warehouse");
        }
    }
    request.finish()
}

#[divan::bench]
fn requests_of_ten(bencher: Bencher) {
    let (bytes, now) = (ten(), Instant::now());
    let rules = JoinRules {
        sizer: Sizer::Items,
        min_size: 8192,
        max_size: 0,
        timeout: Duration::from_millis(200),
        keys: Vec::new(),
        max_groups: 0,
    };
    let batches = || -> Vec<Batch> {
        let of = |_| {
            let context = Arc::new(Context::new("otlp", SystemTime::UNIX_EPOCH));
            Batch::of(
                Signal::Logs,
                context,
                Part { bytes: bytes.clone().into(), items: 10, ack: Ack::none() },
            )
        };
        (0..REQUESTS).map(of).collect()
    };
    bencher
        .counter(ItemsCount::new(REQUESTS))
        .with_inputs(|| (Joiner::new(rules.clone()), batches()))
        .bench_values(|(mut joiner, batches)| {
            let mut left = 0;
            for batch in batches {
                left += joiner.push(black_box(batch), now).unwrap().len();
            }
            assert_eq!(left, 1);
            joiner
        });
}
