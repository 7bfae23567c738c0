use std::time::Duration;

use streamgauge_component::testkit::{Sink, Source};
use streamgauge_component::{Clock, Kind, Outcome, Outlet, Registry, edge_name};

use tokio::sync::Semaphore;

use super::*;

/// Holds every part for a second; panics on the byte 13; forgets all when made anew.
#[derive(Default)]
struct Holding(Mutex<Vec<Batch>>);

impl Processor for Holding {
    fn process(&self, batch: Batch, out: &mut Out) {
        assert!(batch.parts[0].bytes[0] != 13, "unlucky");
        out.wake_at(out.now().instant + Duration::from_secs(1));
        lock(&self.0).push(batch);
    }

    fn wake(&self, out: &mut Out) {
        self.flush(out);
    }

    fn flush(&self, out: &mut Out) {
        lock(&self.0).drain(..).for_each(|b| out.send(b));
    }
}

struct Set {
    entry: Outlet,
    sink: Arc<Sink>,
    node: Arc<ProcessorNode>,
    source: Source,
    registry: Arc<Registry>,
}

fn set() -> Set {
    let sink = Sink::delivering();
    let registry = Arc::new(Registry::default());
    let host =
        Host::new(Clock::system(), Arc::default(), registry.clone()).for_component(Kind::Processor, "hold");
    let ledger = registry.node("logs", "hold", Kind::Processor, Signal::Logs);
    let name = edge_name(Kind::Processor, "hold");
    let out = Outlet::new(registry.edge("logs", &name, "exporter/x", Signal::Logs), sink.clone());
    let outlets = Outlets::new(vec![(Signal::Logs, out)]);
    let make: Make = Box::new(|| Ok(Arc::new(Holding::default())));
    let node = ProcessorNode::start(make, outlets, host, vec![ledger], Arc::default()).unwrap();
    let entry = Outlet::new(registry.edge("logs", "receiver/r", &name, Signal::Logs), node.clone());
    Set { entry, sink, node, source: Source::new(), registry }
}

#[tokio::test(start_paused = true)]
async fn a_processor_is_woken_when_it_asked_for_it() {
    let s = set();
    s.entry.consume(s.source.batch(Signal::Logs, vec![1], 1)).await;
    assert_eq!(s.sink.items(), 0);
    tokio::time::sleep(Duration::from_millis(1001)).await;
    assert_eq!(s.sink.items(), 1);
    assert!(s.source.all_delivered());
}

#[tokio::test(start_paused = true)]
async fn a_panic_rejects_the_poison_sends_on_what_was_held_and_a_fresh_instance_goes_on() {
    let s = set();
    s.entry.consume(s.source.batch(Signal::Logs, vec![1], 1)).await;
    s.entry.consume(s.source.batch(Signal::Logs, vec![13], 4)).await;
    assert_eq!(s.source.outcomes()[1], Some(Outcome::rejected(Reason::Panic)));
    s.entry.consume(s.source.batch(Signal::Logs, vec![2], 1)).await;
    assert!(matches!(s.source.outcomes()[2], Some(Outcome::Retry { reason: Reason::ComponentDown, .. })));
    tokio::time::sleep(Duration::from_millis(10)).await;
    s.entry.consume(s.source.batch(Signal::Logs, vec![3], 1)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(s.source.outcomes()[0], Some(Outcome::Delivered));
    assert_eq!(s.source.outcomes()[3], Some(Outcome::Delivered));
    let ledger = crate::Ledger::read(&s.registry);
    let row = ledger.rows.iter().find(|r| r.component == "hold").unwrap();
    assert_eq!((row.taken, row.out, row.difference()), (7, 2, 0), "{row:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wake_does_not_wait_for_what_an_earlier_one_sent() {
    struct Stuck(Arc<Sink>);
    impl Consumer for Stuck {
        fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
            Box::pin(async move {
                self.0.consume(batch).await;
                std::future::pending().await
            })
        }
    }
    let s = set();
    let to = s.sink.outlet(Signal::Logs).edge();
    let stuck = Outlets::new(vec![(Signal::Logs, Outlet::new(to, Arc::new(Stuck(s.sink.clone()))))]);
    s.node.turn(&stuck);
    for n in 1..=3 {
        s.entry.consume(s.source.batch(Signal::Logs, vec![1], 1)).await;
        tokio::time::sleep(Duration::from_millis(1001)).await;
        assert_eq!(s.sink.items(), n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_flushes_what_is_held_and_what_still_comes() {
    let s = set();
    s.entry.consume(s.source.batch(Signal::Logs, vec![1], 1)).await;
    s.node.flush().await;
    s.entry.consume(s.source.batch(Signal::Logs, vec![2], 1)).await;
    s.node.stop();
    assert!(s.source.all_delivered());
    assert_eq!(s.sink.items(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_second_panic_leaves_the_fresh_instance_in_service() {
    let s = set();
    let old = s.node.instance.load_full().unwrap();
    s.entry.consume(s.source.batch(Signal::Logs, vec![13], 1)).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    s.entry.consume(s.source.batch(Signal::Logs, vec![1], 1)).await;
    s.node.take_down(&old, "the same panic, seen by another thread");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(s.source.outcomes()[1], Some(Outcome::Delivered));
}

/// Sends two parts of two sources as one answered batch, as a joiner does.
#[derive(Default)]
struct Joining(Mutex<Vec<streamgauge_component::Part>>);

impl Processor for Joining {
    fn process(&self, mut batch: Batch, out: &mut Out) {
        let mut held = lock(&self.0);
        held.append(&mut batch.parts);
        if held.len() == 2 {
            batch.parts = std::mem::take(&mut held);
            Arc::make_mut(&mut batch.context).answered = true;
            out.send(batch);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_takes_nobody_elses_data_with_it() {
    let (sink, slow) = (Sink::delivering(), Arc::new(Semaphore::new(0)));
    struct Slow(Arc<Sink>, Arc<Semaphore>);
    impl Consumer for Slow {
        fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
            Box::pin(async move {
                let _turn = self.1.acquire().await;
                self.0.consume(batch).await;
            })
        }
    }
    let registry = Registry::default();
    let out = registry.edge("logs", "processor/join", "exporter/x", Signal::Logs);
    let outlet = Outlet::new(out, Arc::new(Slow(sink.clone(), slow.clone())));
    let host = Host::for_test(Kind::Processor, "join");
    let line = Arc::new(Node::detached("join", Kind::Processor, Signal::Logs));
    let make: Make = Box::new(|| Ok(Arc::new(Joining::default())));
    let outlets = Outlets::new(vec![(Signal::Logs, outlet)]);
    let node = ProcessorNode::start(make, outlets, host, vec![line], Arc::default()).unwrap();
    let source = Source::new();
    node.consume(source.batch(Signal::Logs, vec![1], 9)).await;
    let second = node.consume(source.batch(Signal::Logs, vec![2], 1));
    assert!(tokio::time::timeout(Duration::from_secs(1), second).await.is_err(), "the target is slow");
    slow.add_permits(1);
    node.flush().await;
    assert!(source.all_delivered(), "{:?}", source.outcomes());
    assert_eq!(sink.items(), 10);
}
