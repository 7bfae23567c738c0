#![allow(clippy::unwrap_used)]

use std::time::SystemTime;

use bytes::Bytes;
use streamgauge_pdata::build::LogsBuilder;
use streamgauge_pdata::count;

use super::*;
use crate::ack::Ack;
use crate::outcome::{Outcome, Reason};

const WAIT: Duration = Duration::from_millis(200);

fn rules(min_size: usize, max_size: usize) -> JoinRules {
    JoinRules { sizer: Sizer::Items, min_size, max_size, timeout: WAIT, keys: Vec::new(), max_groups: 0 }
}

fn logs(records: usize) -> Bytes {
    let mut request = LogsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "shop")]);
        let mut scope = resource.scope("test", "");
        for n in 0..records {
            scope.record(n as u64).body("text");
        }
    }
    request.finish()
}

fn from(context: Context, records: usize, ack: Ack) -> Batch {
    Batch::of(Signal::Logs, Arc::new(context), Part { bytes: logs(records).into(), items: records, ack })
}

fn context() -> Context {
    Context::new("otlp", SystemTime::UNIX_EPOCH)
}

fn batch(records: usize) -> Batch {
    from(context(), records, Ack::none())
}

fn with_tenant(name: &str, value: &str) -> Context {
    Context { headers: vec![(name.into(), value.into())], ..context() }
}

fn sizes(batches: &[Batch]) -> Vec<Vec<usize>> {
    batches.iter().map(|b| b.parts.iter().map(|p| p.items).collect()).collect()
}

#[test]
fn parts_wait_in_a_row_until_there_are_enough_of_them() {
    let mut joiner = Joiner::new(rules(10, 0));
    let now = Instant::now();
    assert!(joiner.push(batch(4), now).unwrap().is_empty());
    assert!(joiner.push(batch(5), now).unwrap().is_empty());
    assert_eq!(joiner.held().items, 9);
    assert_eq!(joiner.held().bytes, (logs(4).len() + logs(5).len()) as u64);
    assert_eq!(sizes(&joiner.push(batch(3), now).unwrap()), [[4, 5, 3]]);
    assert_eq!((joiner.held(), joiner.due()), (Held::default(), None));
}

#[test]
fn what_waited_its_time_goes_and_nothing_earlier() {
    let mut joiner = Joiner::new(rules(10, 0));
    let start = Instant::now();
    assert!(joiner.push(batch(4), start).unwrap().is_empty());
    assert!(joiner.push(batch(1), start + WAIT / 2).unwrap().is_empty());
    assert_eq!(joiner.due(), Some(start + WAIT));
    assert!(joiner.wake(start + WAIT - Duration::from_nanos(1)).is_empty());
    assert_eq!(sizes(&joiner.wake(start + WAIT)), [[4, 1]]);
    assert_eq!((joiner.held(), joiner.due()), (Held::default(), None));
}

#[test]
fn a_size_or_a_wait_of_zero_joins_nothing() {
    let now = Instant::now();
    for rules in [rules(0, 0), JoinRules { timeout: Duration::ZERO, ..rules(10, 0) }] {
        let mut joiner = Joiner::new(rules);
        assert_eq!(sizes(&joiner.push(batch(1), now).unwrap()), [[1]]);
        assert_eq!(sizes(&joiner.push(batch(2), now).unwrap()), [[2]]);
    }
}

#[test]
fn no_batch_exceeds_the_largest_size_and_every_item_leaves_in_order() {
    let mut joiner = Joiner::new(rules(6, 8));
    let now = Instant::now();
    assert!(joiner.push(batch(5), now).unwrap().is_empty());
    let mut left = joiner.push(batch(20), now).unwrap();
    assert_eq!(sizes(&left), [[5], [8], [8]]);
    left.extend(joiner.flush());
    assert_eq!(sizes(&left), [vec![5], vec![8], vec![8], vec![4]]);
    for part in left.iter().flat_map(|b| &b.parts) {
        assert_eq!(count(Signal::Logs, &part.bytes), part.items);
    }
}

#[test]
fn bytes_are_counted_where_the_rules_say_so() {
    let max = logs(5).len();
    let mut joiner = Joiner::new(JoinRules { sizer: Sizer::Bytes, ..rules(max, max) });
    let mut left = joiner.push(batch(50), Instant::now()).unwrap();
    left.extend(joiner.flush());
    assert!(left.len() > 5);
    assert!(left.iter().all(|b| b.bytes() <= max));
    assert_eq!(left.iter().map(Batch::items).sum::<usize>(), 50);
}

#[test]
fn the_source_of_a_part_that_was_cut_hears_the_worst_of_its_pieces_once() {
    let (tell, told) = std::sync::mpsc::channel();
    let ack = Ack::new(move |outcome| tell.send(outcome).unwrap());
    let mut joiner = Joiner::new(rules(0, 4));
    let mut left = joiner.push(from(context(), 10, ack), Instant::now()).unwrap();
    left.pop().unwrap().settle(&Outcome::rejected(Reason::PeerRefused));
    assert!(told.try_recv().is_err());
    left.into_iter().for_each(|b| b.settle(&Outcome::Delivered));
    assert_eq!(told.iter().collect::<Vec<_>>(), [Outcome::rejected(Reason::PeerRefused)]);
}

#[test]
fn different_values_of_a_partition_header_are_never_joined() {
    let mut joiner =
        Joiner::new(JoinRules { keys: vec!["X-Tenant".to_owned()], max_groups: 2, ..rules(3, 0) });
    let now = Instant::now();
    let tenant = |value: &str, records| from(with_tenant("x-tenant", value), records, Ack::none());
    assert!(joiner.push(tenant("a", 1), now).unwrap().is_empty());
    assert!(joiner.push(tenant("b", 2), now).unwrap().is_empty());
    assert_eq!(joiner.push(tenant("c", 1), now).unwrap_err().items(), 1);
    let left = joiner.push(tenant("a", 2), now).unwrap();
    assert_eq!(sizes(&left), [[1, 2]]);
    assert_eq!(left[0].context.header("x-tenant"), Some("a"));
    assert!(joiner.push(tenant("c", 1), now).unwrap().is_empty()); // a group that is empty leaves its place
    assert_eq!(joiner.flush().len(), 2);
}

#[test]
fn a_joined_context_says_what_is_true_of_all() {
    let mut joiner = Joiner::new(rules(2, 0));
    let now = Instant::now();
    let one =
        Context { peer: Some("10.0.0.1".into()), identity: Some("ann".into()), ..with_tenant("team", "x") };
    let mut two = Context { peer: Some("10.0.0.2".into()), ..one.clone() };
    two.headers.push(("other".into(), "y".into()));
    assert!(joiner.push(from(one, 1, Ack::none()), now).unwrap().is_empty());
    let left = joiner.push(from(two, 1, Ack::none()), now).unwrap();
    let context = &*left[0].context;
    assert_eq!((context.peer.as_deref(), context.identity.as_deref()), (None, Some("ann")));
    assert_eq!((context.header("team"), context.header("other")), (Some("x"), None));
    assert_eq!(&*context.receiver, "otlp");
}

#[test]
fn only_what_was_held_says_that_its_senders_had_their_answer() {
    let mut joiner = Joiner::new(rules(5, 0));
    let now = Instant::now();
    assert!(!joiner.push(batch(5), now).unwrap()[0].context.answered);
    assert!(joiner.push(batch(4), now).unwrap().is_empty());
    assert!(joiner.push(batch(1), now).unwrap()[0].context.answered);
    assert!(joiner.push(batch(4), now).unwrap().is_empty());
    assert!(joiner.wake(now + WAIT)[0].context.answered);
}

#[test]
fn a_timeout_beyond_the_clocks_end_is_a_year() {
    let mut joiner = Joiner::new(JoinRules { timeout: Duration::MAX, ..rules(10, 5) });
    let now = Instant::now();
    assert_eq!(sizes(&joiner.push(batch(12), now).unwrap()).concat(), [5, 5]);
    assert_eq!(joiner.due(), Some(now + LONGEST_WAIT));
}

#[test]
fn what_a_sender_waits_for_goes_when_all_senders_are_here_and_takes_the_rest_with_it() {
    let mut joiner = Joiner::new(rules(1000, 0));
    let now = Instant::now();
    let awaited = |joiner: &mut Joiner| {
        let context = Context { awaited: true, ..context() };
        sizes(&joiner.push(from(context, 1, Ack::none()), now).unwrap())
    };
    assert!(joiner.push(batch(4), now).unwrap().is_empty());
    assert_eq!(awaited(&mut joiner), [[4, 1]], "one sender, as far as is known");
    // Now and then one is kept for a second sender, but not for long.
    let kept = (0..1000).find(|_| awaited(&mut joiner).is_empty());
    assert!(kept.is_some());
    assert_eq!(joiner.due(), Some(now + together::LONGEST));
    let left = joiner.wake(now + together::LONGEST);
    assert_eq!(sizes(&left), [[1]]);
    assert!(left[0].context.awaited);
}
