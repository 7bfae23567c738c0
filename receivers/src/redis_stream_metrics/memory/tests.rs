use streamgauge_redis::ConsumerInfo;

use super::*;
use crate::redis_stream_metrics::consumers::Consumers;
use crate::redis_stream_metrics::seen::Oldest;

const START: u64 = 1_700_000_000_000;

fn id(ms: u64) -> Option<StreamId> {
    Some(StreamId { ms: START + ms, seq: 0 })
}

/// A stream that gets an entry each millisecond of its own, of which those up to `cut` are gone, and a group that has
/// read up to `read` and acknowledged up to `acked`.
#[derive(Clone, Copy)]
struct Scene {
    added: u64,
    cut: u64,
    read: u64,
    acked: u64,
}

impl Scene {
    fn stream(self) -> Stream {
        let Scene { added, cut, read, acked } = self;
        let info = StreamInfo {
            length: added - cut,
            groups: Some(1),
            last_generated_id: id(added),
            entries_added: Some(added),
            max_deleted_id: Some(StreamId::ZERO),
            first_entry: id(cut + 1),
            last_entry: id(added),
            reply_bytes: 0,
        };
        let group = GroupInfo {
            name: b"g".to_vec(),
            consumers: 2,
            pending: read - acked,
            last_delivered_id: id(read),
            entries_read: Some(read),
            lag: Some(added - read),
        };
        let consumer = |name: &[u8]| ConsumerInfo {
            name: name.to_vec(),
            pending: 0,
            idle_ms: Some(5),
            inactive_ms: None,
        };
        let consumers =
            Consumers::new(vec![consumer(b"a"), consumer(b"b")], Some(10), Duration::from_secs(300));
        let group = Group {
            info: group,
            oldest: None,
            tally: None,
            consumers,
            claimed: None,
            next: None,
            counted: None,
            is_fresh: true,
        };
        Stream {
            name: b"s".to_vec(),
            length: info.length,
            info: Some(info),
            is_fresh: true,
            group_count: Some(1),
            groups: vec![group],
            rest: Vec::new(),
            age: None,
            is_outdated: false,
        }
    }
}

/// Rounds of ten seconds.
struct Rounds {
    memory: Memory,
    round: u64,
}

impl Rounds {
    fn new() -> Self {
        let config = StreamConfig::default();
        Rounds { memory: Memory::new(&config), round: 0 }
    }

    fn look(&mut self, stream: &Stream) -> (Insight, GroupInsight) {
        self.memory.begin(None);
        let steady = self.round * 10_000;
        self.round += 1;
        let mut insight = self.memory.look(stream, Moment { steady, server: START + steady });
        let group = insight.groups.remove(0);
        (insight, group)
    }

    /// The last of several rounds.
    fn all(&mut self, scenes: impl Iterator<Item = Scene>) -> (Insight, GroupInsight) {
        scenes.map(|scene| self.look(&scene.stream())).last().unwrap()
    }
}

#[test]
fn a_group_that_catches_up_has_its_rates_and_an_end_in_sight() {
    // In a round 100 come in, 150 are read, 140 acknowledged, 80 trimmed.
    let scene =
        |n: u64| Scene { added: 2000 + 100 * n, cut: 80 * n, read: 1000 + 150 * n, acked: 900 + 140 * n };
    let (stream, group) = Rounds::new().all((0..7).map(scene));
    assert_eq!((stream.rate_in, stream.rate_removed), (Some(10.0), Some(8.0)));
    assert_eq!((group.rate_out, group.ack_rate, group.velocity), (Some(15.0), Some(14.0), Some(-5.0)));
    assert_eq!(group.lag.entries, Some(700));
    assert_eq!(group.eta, Some(140.0));
    // 1900 - 480 entries lie before the ones that wait.
    assert_eq!(group.headroom, Some((1900.0 - 480.0) / 8.0));
    // Each of two consumers takes 7.5 a second: for 10 a second, at 80 %, two are needed.
    assert_eq!(group.needed, Some((2, 1.0)));
    assert_eq!(group.state.0, "OK");
}

#[test]
fn a_lag_that_does_not_fall_never_ends_and_one_that_rises_all_the_time_is_a_warning() {
    let grows = |n: u64| Scene { added: 1000 + 300 * n, cut: 0, read: 500 + 100 * n, acked: 500 };
    let (_, group) = Rounds::new().all((0..7).map(grows));
    assert_eq!((group.eta, group.velocity), (Some(f64::INFINITY), Some(20.0)));
    assert_eq!(group.state.0, "WARN");
    let (consumers, _) = group.needed.unwrap();
    assert_eq!(consumers, 8, "30 a second, where each takes 5 and should be busy for 80 %");
}

#[test]
fn the_first_round_knows_no_rate_and_says_nothing_about_time_to_come() {
    let (stream, group) = Rounds::new().look(&Scene { added: 10, cut: 0, read: 5, acked: 5 }.stream());
    assert_eq!((stream.rate_in, group.rate_out, group.ack_rate, group.velocity), (None, None, None, None));
    assert_eq!((group.eta, group.headroom, group.needed), (None, None, None));
    assert_eq!(group.lag.entries, Some(5));
}

#[test]
fn a_group_that_has_read_everything_ends_at_once_and_needs_no_recommendation() {
    let (_, group) =
        Rounds::new().all((0..7).map(|n| Scene { added: 10 * n + 1, cut: 0, read: 10 * n + 1, acked: 0 }));
    assert_eq!((group.eta, group.lag_time, group.needed), (Some(0.0), Some(0.0), None));
}

#[test]
fn a_group_that_stands_still_before_waiting_entries_stalls_after_its_time_and_not_after_a_silence() {
    let mut rounds = Rounds::new();
    let (_, silent) = rounds.all((0..90).map(|_| Scene { added: 10, cut: 0, read: 10, acked: 10 }));
    assert_eq!(silent.state.0, "PRODUCER_QUIET");
    let waits = || std::iter::repeat(Scene { added: 11, cut: 0, read: 10, acked: 10 });
    let (_, first) = rounds.all(waits().take(1));
    assert_ne!(first.state.0, "STALL");
    let (_, later) = rounds.all(waits().take(6));
    assert_eq!(later.state.0, "STALL");
}

#[test]
fn entries_cut_off_before_the_group_count_as_lost_and_the_lag_is_what_is_left() {
    let mut rounds = Rounds::new();
    rounds.look(&Scene { added: 100, cut: 0, read: 20, acked: 20 }.stream());
    let (_, group) = rounds.look(&Scene { added: 100, cut: 50, read: 20, acked: 20 }.stream());
    assert_eq!((group.lost, group.lag.entries, group.lag.quality), (Some(30), Some(50), Quality::Exact));
    assert_eq!((group.state.0, group.headroom), ("LOSING", Some(0.0)));
    // What was lost was not delivered.
    assert_eq!(group.rate_out, Some(0.0));
}

#[test]
fn a_group_that_is_set_back_rewinds_and_its_rates_begin_anew() {
    let mut rounds = Rounds::new();
    rounds.all((0..5).map(|n| Scene { added: 1000, cut: 0, read: 100 * n + 100, acked: 100 }));
    let (_, group) = rounds.look(&Scene { added: 1000, cut: 0, read: 10, acked: 10 }.stream());
    assert_eq!((group.state.0, group.rate_out), ("REWIND", None));
    let (_, later) = rounds.all((0..8).map(|n| Scene { added: 1000, cut: 0, read: 20 + n, acked: 10 }));
    assert_ne!(later.state.0, "REWIND");
}

#[test]
fn a_stream_that_is_made_anew_has_no_negative_rates() {
    let mut rounds = Rounds::new();
    rounds.all((0..5).map(|n| Scene { added: 1000 + n, cut: 0, read: 1000, acked: 1000 }));
    let (stream, group) = rounds.look(&Scene { added: 3, cut: 0, read: 3, acked: 3 }.stream());
    assert_eq!((stream.rate_in, group.rate_out), (None, None));
}

#[test]
fn the_lag_time_is_exact_by_the_next_entry_bounded_by_the_last_and_none_for_ids_that_are_no_times() {
    let mut stream = Scene { added: 2000, cut: 0, read: 500, acked: 500 }.stream();
    let of = |stream: &Stream| {
        let mut rounds = Rounds::new();
        rounds.round = 6;
        let (_, group) = rounds.look(stream);
        (group.lag_time, group.lag_time_quality)
    };
    assert_eq!(of(&stream), (Some(59.5), Quality::Bounded));
    stream.groups[0].next = id(700);
    assert_eq!(of(&stream), (Some(59.3), Quality::Exact));
    stream.groups[0].next = Some(StreamId { ms: 7, seq: 0 });
    assert_eq!(of(&stream), (None, Quality::Unknown));
}

#[test]
fn a_pending_entry_that_nobody_claims_is_stuck() {
    let mut stream = Scene { added: 10, cut: 0, read: 10, acked: 9 }.stream();
    stream.groups[0].oldest = Some(Oldest { id: id(10).unwrap(), idle_ms: Some(300_000) });
    assert_eq!(Rounds::new().look(&stream).1.state.0, "STUCK_PENDING");
}
