//! Processors and connectors: whatever becomes of what they send, every ack is settled, and nothing is held after a stop.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use streamgauge::catalogue::{Entry, entries};
use streamgauge::distribution::DISTRIBUTION;
use streamgauge_component::testkit::{Behaviour, Bench, Sink, Source};
use streamgauge_component::{
    AnyConfig, Batch, ComponentError, Create, Held, Host, Kind, Outcome, Processor, Reason, Signal,
};
use streamgauge_config::Kind as Section;

use crate::{examples, input};

/// A way to make one, with what goes in and what may come out.
struct Subject {
    entry: Entry,
    kind: Kind,
    create: fn(Create) -> Result<Arc<dyn Processor>, ComponentError>,
    takes: Vec<Signal>,
    gives: Vec<Signal>,
}

fn subjects() -> Vec<Subject> {
    let find = |kind, name| entries().into_iter().find(|e| e.kind == kind && e.about.name == name).unwrap();
    let processors = DISTRIBUTION.processors.iter().map(|f| Subject {
        entry: find(Section::Processor, f.description.name),
        kind: Kind::Processor,
        create: f.create,
        takes: f.description.signals.to_vec(),
        gives: f.description.signals.to_vec(),
    });
    let connectors = DISTRIBUTION.connectors.iter().map(|f| {
        let (mut takes, mut gives): (Vec<_>, Vec<_>) = f.signals.iter().copied().unzip();
        for list in [&mut takes, &mut gives] {
            list.sort();
            list.dedup();
        }
        let entry = find(Section::Connector, f.description.name);
        Subject { entry, kind: Kind::Connector, create: f.create, takes, gives }
    });
    processors.chain(connectors).collect()
}

impl Subject {
    /// `None` for an example that is for another role or signal of the same component.
    fn make(&self, config: &AnyConfig, signal: Signal) -> Option<Arc<dyn Processor>> {
        let signals = if self.kind == Kind::Processor { vec![signal] } else { self.gives.clone() };
        let host = Host::for_test(self.kind, self.entry.about.name);
        (self.create)(Create { host, config: config.clone(), signals }).ok()
    }
}

/// Runs every subject with every example of its README and every signal.
async fn with_each(mut run: impl AsyncFnMut(&str, Arc<dyn Processor>, Vec<Batch>, &Source, Signal)) {
    for subject in subjects() {
        let name = format!("{} {}", subject.entry.kind, subject.entry.about.name);
        let mut examples = examples(&subject.entry);
        if let (true, Some(defaults)) = (examples.is_empty(), (subject.entry.config.defaults)()) {
            let config = crate::read(&subject.entry, "");
            examples.push((defaults, config)); // a component without settings needs no example
        }
        assert!(!examples.is_empty(), "{name}: no example to run");
        let mut ran = HashSet::new();
        for (section, config) in &examples {
            for signal in &subject.takes {
                let Some(processor) = subject.make(config, *signal) else { continue };
                ran.insert(*signal);
                let source = Source::new();
                let batches = input::requests(*signal, section)
                    .into_iter()
                    .map(|(bytes, items)| source.batch(*signal, bytes, items))
                    .collect();
                run(&name, processor, batches, &source, *signal).await;
            }
        }
        assert_eq!(ran.len(), subject.takes.len(), "{name}: only {ran:?} have an example");
    }
}

async fn send(sink: &Arc<Sink>, batches: Vec<Batch>) {
    for batch in batches {
        let outlet = sink.outlet(batch.signal);
        outlet.consume(batch).await;
    }
}

#[tokio::test]
async fn every_ack_is_settled_whatever_the_next_component_does() {
    let behaviours = [
        Behaviour::Settle(Outcome::Delivered),
        Behaviour::Settle(Outcome::rejected(Reason::PeerRefused)),
        Behaviour::Settle(Outcome::retry_after(Reason::QueueFull, Duration::from_secs(1))),
        Behaviour::Panic,
        Behaviour::Drop,
    ];
    for behaviour in behaviours {
        with_each(async |name, processor, batches, source, signal| {
            let items: Vec<usize> = batches.iter().map(Batch::items).collect();
            let sink = Sink::new(behaviour.clone());
            let mut bench = Bench::new(processor.clone(), 1_700_000_000);
            for batch in batches {
                let sent = bench.process(batch);
                send(&sink, sent).await;
                let woken = bench.advance(Duration::from_secs(1));
                send(&sink, woken).await;
            }
            let woken = bench.advance(Duration::from_secs(600));
            send(&sink, woken).await;
            let flushed = bench.flush();
            send(&sink, flushed).await;
            assert!(source.all_settled(), "{name}, {signal}, {behaviour:?}: {:?}", source.outcomes());
            let outcomes = source.outcomes();
            let abandoned = outcomes.contains(&Some(Outcome::retry(Reason::Abandoned)));
            assert!(
                !abandoned || matches!(behaviour, Behaviour::Drop),
                "{name}, {signal}, {behaviour:?}: an ack was dropped"
            );
            if !matches!(behaviour, Behaviour::Settle(Outcome::Delivered)) {
                // Nobody hears "delivered" of what the next component did not take.
                let delivered = outcomes.iter().zip(&items).filter(|(o, _)| **o == Some(Outcome::Delivered));
                let told: usize = delivered.map(|(_, items)| items).sum();
                let tally = bench.tally();
                let own = tally.delivered + tally.dropped.iter().map(|(_, items)| items).sum::<u64>();
                assert!(told as u64 <= own, "{name}, {signal}, {behaviour:?}: {told} of {own}: {tally:?}");
            }
            assert_eq!(processor.held(), Held::default(), "{name}, {signal}: held after a flush");
        })
        .await;
    }
}

#[tokio::test]
async fn a_stop_right_after_the_data_leaves_no_ack_behind() {
    with_each(async |name, processor, batches, source, signal| {
        let sink = Sink::delivering();
        let mut bench = Bench::new(processor, 1_700_000_000);
        for batch in batches {
            let sent = bench.process(batch);
            send(&sink, sent).await;
        }
        let flushed = bench.flush();
        send(&sink, flushed).await;
        assert!(source.all_settled(), "{name}, {signal}: {:?}", source.outcomes());
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_is_taken_down_leaves_no_ack_behind() {
    with_each(async |name, processor, batches, source, signal| {
        let sink = Sink::delivering();
        let mut bench = Bench::new(processor, 1_700_000_000);
        for batch in batches {
            let sent = bench.process(batch);
            send(&sink, sent).await;
        }
        drop(bench);
        assert!(source.all_settled(), "{name}, {signal}: {:?}", source.outcomes());
    })
    .await;
}

#[tokio::test]
async fn items_in_and_out_add_up() {
    with_each(async |name, processor, batches, _source, signal| {
        let mut bench = Bench::new(processor, 1_700_000_000);
        let taken: usize = batches.iter().map(Batch::items).sum();
        let mut sent = Vec::new();
        for batch in batches {
            sent.extend(bench.process(batch));
        }
        sent.extend(bench.advance(Duration::from_secs(600)));
        sent.extend(bench.flush());
        let out: usize = sent.iter().map(Batch::items).sum();
        let tally = bench.tally();
        let counted = |counts: &[(Reason, u64)]| counts.iter().map(|(_, n)| n).sum::<u64>();
        let created: u64 = tally.created.iter().map(|(_, n)| n).sum();
        let right = out as u64 + tally.delivered + counted(&tally.dropped) + counted(&tally.returned);
        assert_eq!(taken as u64 + created, right, "{name}, {signal}: {tally:?}");
        sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    })
    .await;
}
