//! What is on its way: parts, their acks, and the ledger they stand in.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use streamgauge_component::{
    Accepted, Ack, Batch, Context, Exporter, Left, Node, Outcome, Part, Reason, Request, Signal,
};
use streamgauge_pdata::{Body, Limit, Piece, split};
use tokio::sync::mpsc;

/// One request to be. Held in the ledger from the moment it is made until each part is settled; what is dropped on the
/// way is counted too.
pub(crate) struct Load {
    batch: Batch,
    account: Account,
}

/// Where a load is counted, and the sign that something is still under way: a drain waits for the last of them.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) node: Arc<Node>,
    pub(crate) _alive: mpsc::Sender<Infallible>,
}

/// The data of a load, without its acks.
#[derive(Debug)]
pub(crate) struct Shared {
    signal: Signal,
    context: Arc<Context>,
    bodies: Vec<Body>,
    items: usize,
}

impl Shared {
    /// The request for one attempt, as its exporter takes it.
    pub(crate) fn request(&self, exporter: &dyn Exporter) -> Request {
        let parts = match exporter.takes_pieces() {
            true => self.bodies.iter().flat_map(Body::pieces).cloned().collect(),
            false => self.bodies.iter().map(|body| body.whole().clone()).collect(),
        };
        Request { signal: self.signal, context: self.context.clone(), parts, items: self.items }
    }
}

impl Load {
    /// Takes a batch in.
    pub(crate) fn new(batch: Batch, account: Account) -> Self {
        account.node.held_items.add(batch.items() as u64);
        account.node.held_bytes.add(batch.bytes() as u64);
        Load { batch, account }
    }

    /// Leaves the ledger's "held" without an end: whoever takes the batch counts it on.
    pub(crate) fn into_batch(mut self) -> Batch {
        self.release();
        let (signal, context) = (self.batch.signal, self.batch.context.clone());
        Batch { signal, context, parts: std::mem::take(&mut self.batch.parts) }
    }

    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Keeps something until the last part is settled: joining, splitting and halving cannot miscount it.
    pub(crate) fn hold<T: Send + Sync + 'static>(&mut self, held: &Arc<T>) {
        let parts = std::mem::take(&mut self.batch.parts).into_iter();
        self.batch.parts = parts.map(|part| Part { ack: part.ack.holding(held.clone()), ..part }).collect();
    }

    /// What attempts send. It shares the bytes.
    pub(crate) fn shared(&self) -> Shared {
        Shared {
            signal: self.batch.signal,
            context: self.batch.context.clone(),
            bodies: self.batch.parts.iter().map(|part| part.bytes.clone()).collect(),
            items: self.batch.items(),
        }
    }

    /// Two halves of what is more than one part.
    pub(crate) fn halve(mut self) -> (Load, Load) {
        let parts = self.batch.parts.split_off(self.batch.parts.len() / 2);
        let (signal, context) = (self.batch.signal, self.batch.context.clone());
        let right = Load { batch: Batch { signal, context, parts }, account: self.account.clone() };
        (self, right)
    }

    /// Two loads: of the first so many items, and of the rest. A part in which the border lies is cut; one that cannot be
    /// goes with the first.
    pub(crate) fn cut(mut self, items: usize) -> (Load, Load) {
        self.release();
        let (signal, context) = (self.batch.signal, self.batch.context.clone());
        let (mut first, mut rest, mut left) = (Vec::new(), Vec::new(), items);
        for part in std::mem::take(&mut self.batch.parts) {
            match left {
                0 => rest.push(part),
                _ if part.items <= left => {
                    left -= part.items;
                    first.push(part);
                }
                _ => {
                    let (front, back) = cut(signal, part, left);
                    left = 0;
                    first.extend(front);
                    rest.extend(back);
                }
            }
        }
        self.batch.parts = first;
        // Pieces have headers of their own: together they may be larger than the part was.
        self.account.node.held_items.add(self.batch.items() as u64);
        self.account.node.held_bytes.add(self.batch.bytes() as u64);
        let rest = Load::new(Batch { signal, context, parts: rest }, self.account.clone());
        (self, rest)
    }

    /// Two loads: of what passes the test, and of the rest.
    pub(crate) fn partition(mut self, test: impl FnMut(&Part) -> bool) -> (Load, Load) {
        let (chosen, rest) = std::mem::take(&mut self.batch.parts).into_iter().partition(test);
        let (signal, context) = (self.batch.signal, self.batch.context.clone());
        self.batch.parts = chosen;
        let rest = Load { batch: Batch { signal, context, parts: rest }, account: self.account.clone() };
        (self, rest)
    }

    /// What did not get to the peer: items that did are delivered, and parts that did as a whole are settled.
    pub(crate) fn left_over(mut self, left: impl Fn(&Bytes) -> Left) -> Load {
        self.release();
        let (node, parts) = (self.account.node.clone(), std::mem::take(&mut self.batch.parts));
        for mut part in parts {
            let (bytes, items) = match left(&part.bytes) {
                Left::All => (part.bytes, part.items),
                Left::Some(bytes, items) => (bytes.into(), items),
                Left::Nothing => (Body::default(), 0),
            };
            node.delivered.add(part.items.saturating_sub(items) as u64);
            if items == 0 && part.items > 0 {
                part.ack.settle(Outcome::Delivered);
                continue;
            }
            part.bytes = bytes;
            part.items = items;
            self.batch.parts.push(part);
        }
        node.held_items.add(self.batch.items() as u64);
        node.held_bytes.add(self.batch.bytes() as u64);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.parts.is_empty()
    }

    /// It has left by an edge, which has counted it; its sources hear this.
    pub(crate) fn left(mut self, outcome: &Outcome) {
        self.end(outcome);
    }

    /// The peer took it, perhaps without some items.
    pub(crate) fn accepted(mut self, accepted: &Accepted) {
        let node = self.account.node.clone();
        let mut left = self.batch.items() as u64;
        for (reason, items) in &accepted.dropped {
            let items = left.min(*items);
            node.dropped.add(*reason, items);
            left -= items;
        }
        node.delivered.add(left);
        self.end(&Outcome::Delivered);
    }

    /// It ends here, not delivered.
    pub(crate) fn settle(mut self, outcome: &Outcome) {
        self.count(outcome);
        self.end(outcome);
    }

    fn count(&self, outcome: &Outcome) {
        let (node, items) = (&self.account.node, self.batch.items() as u64);
        match outcome {
            Outcome::Delivered => node.delivered.add(items),
            Outcome::Rejected { reason, .. } => node.dropped.add(*reason, items),
            Outcome::Retry { reason, .. } => node.returned.add(*reason, items),
        }
    }

    fn end(&mut self, outcome: &Outcome) {
        self.release();
        for part in std::mem::take(&mut self.batch.parts) {
            part.ack.settle(outcome.clone());
        }
    }

    fn release(&self) {
        self.account.node.held_items.sub(self.batch.items() as u64);
        self.account.node.held_bytes.sub(self.batch.bytes() as u64);
    }
}

/// A part before and behind so many of its items.
fn cut(signal: Signal, part: Part, items: usize) -> (Option<Part>, Option<Part>) {
    // The larger side is cut off first: what remains is one piece then.
    let (large, small) = (items.max(part.items - items), items.min(part.items - items));
    let Ok(pieces) = split(signal, &part.bytes, Limit::Items(large)) else { return (Some(part), None) };
    let Ok([one, other]) = <[Piece; 2]>::try_from(pieces) else { return (Some(part), None) };
    let mut acks = part.ack.split(2).into_iter();
    let mut made = |piece: Piece| {
        let ack = acks.next().unwrap_or_else(Ack::none);
        Part { bytes: piece.bytes.into(), items: piece.items, ack }
    };
    let (one, other) = (made(one), made(other));
    debug_assert_eq!(other.items, small, "split keeps to its limit");
    // Which items are the first does not matter: how many are does.
    if items == large { (Some(one), Some(other)) } else { (Some(other), Some(one)) }
}

/// A cancelled caller, or a panic of our own: the acks settle themselves, the ledger hears the same here.
impl Drop for Load {
    fn drop(&mut self) {
        if self.batch.parts.is_empty() {
            return;
        }
        let panicking = std::thread::panicking();
        self.count(&if panicking {
            Outcome::rejected(Reason::Panic)
        } else {
            Outcome::retry(Reason::Abandoned)
        });
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use async_trait::async_trait;
    use streamgauge_component::{BoxFuture, ComponentError, ExportError, Host};
    use streamgauge_pdata::build::LogsBuilder;
    use streamgauge_pdata::edit::edit_resources;

    use super::*;

    /// Puts bytes in a row, or reads parts.
    struct Peer {
        in_a_row: bool,
    }

    #[async_trait]
    impl Exporter for Peer {
        async fn start(&self, _: Host) -> Result<(), ComponentError> {
            Ok(())
        }

        fn takes_pieces(&self) -> bool {
            self.in_a_row
        }

        fn export<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
            Box::pin(async { Ok(Accepted::default()) })
        }
    }

    #[test]
    fn a_part_goes_in_pieces_to_who_takes_them_and_whole_to_who_reads_it() {
        let mut logs = LogsBuilder::new();
        logs.resource(()).scope("", "").record(1).body(&*"x".repeat(40 << 10));
        let mut body = Body::from(logs.finish());
        edit_resources(Signal::Logs, &mut body, |resource| resource.upsert("k", "v")).unwrap();
        let context = Arc::new(Context::new("r", SystemTime::UNIX_EPOCH));
        let shared = Shared { signal: Signal::Logs, context, bodies: vec![body.clone(), body], items: 2 };
        let in_a_row = shared.request(&Peer { in_a_row: true });
        let whole = shared.request(&Peer { in_a_row: false });
        assert_eq!((in_a_row.parts.len(), whole.parts.len()), (4, 2));
        assert_eq!(in_a_row.parts.concat(), whole.parts.concat());
        assert_eq!(whole.parts[0].as_ptr(), whole.parts[1].as_ptr(), "copied together once");
        assert!(whole.parts.iter().all(|part| streamgauge_pdata::check(Signal::Logs, part) == Ok(1)));
    }
}
