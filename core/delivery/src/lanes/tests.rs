use super::*;

fn lanes(capacity: usize) -> Lanes<&'static str, &'static str> {
    Lanes::new(capacity, Instant::now())
}

fn known(lanes: &mut Lanes<&'static str, &'static str>, sources: impl IntoIterator<Item = u64>) {
    for source in sources {
        assert_eq!(lanes.lane(source, Instant::now()), source);
    }
}

/// How much a source gets, one by one.
fn greedy(lanes: &mut Lanes<&'static str, &'static str>, source: u64) -> usize {
    (0..).take_while(|_| lanes.take(source, 1).is_ok()).count()
}

#[test]
fn a_source_alone_has_all_of_it_whatever_it_gave_back_before() {
    let mut lanes = lanes(1000);
    known(&mut lanes, [1]);
    assert_eq!(greedy(&mut lanes, 1), 1000);
    lanes.release(1, 300);
    assert_eq!(greedy(&mut lanes, 1), 300);
}

#[test]
fn above_half_each_source_has_an_equal_share_of_the_rest() {
    let mut lanes = lanes(1000);
    known(&mut lanes, 1..=10);
    assert_eq!(greedy(&mut lanes, 1), 550);
    for source in 2..=10 {
        assert_eq!(greedy(&mut lanes, source), 50);
    }
    assert_eq!(lanes.used(), 1000);
    // What the others give back is theirs again.
    lanes.release(5, 50);
    assert_eq!((greedy(&mut lanes, 1), greedy(&mut lanes, 5)), (0, 50));
}

#[test]
fn a_queue_too_small_for_shares_still_takes_from_everybody() {
    let mut lanes = lanes(1);
    known(&mut lanes, 1..=5);
    for source in 1..=5 {
        assert_eq!(greedy(&mut lanes, source), 1);
        lanes.release(source, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_was_not_heard_for_a_while_leaves_its_share() {
    let mut lanes = lanes(1000);
    known(&mut lanes, 1..=10);
    tokio::time::advance(REMEMBERED).await;
    known(&mut lanes, [1]);
    assert_eq!(greedy(&mut lanes, 1), 1000);
}

#[test]
fn sources_beyond_the_bound_share_one_lane() {
    let mut lanes = lanes(1_000_000);
    known(&mut lanes, 1..=MOST as u64);
    assert_eq!(lanes.lane(5000, Instant::now()), OTHERS);
    assert_eq!(lanes.lane(5001, Instant::now()), OTHERS);
    assert_eq!(lanes.lanes.len(), MOST + 1);
}

#[test]
fn lanes_are_served_in_turn_and_in_order_within() {
    let mut lanes = lanes(100);
    known(&mut lanes, 1..=3);
    for (source, load) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (2, "b2"), (3, "c1")] {
        lanes.take(source, 1).unwrap();
        lanes.push(source, load);
    }
    let order: Vec<&str> = std::iter::from_fn(|| lanes.pop()).collect();
    assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
}

#[test]
fn room_goes_to_those_who_wait_in_turn_and_nobody_overtakes_one_who_needs_much() {
    let mut lanes = lanes(10);
    known(&mut lanes, 1..=3);
    lanes.take(1, 10).unwrap();
    lanes.want(2, 8, "b1");
    lanes.want(2, 1, "b2");
    lanes.want(3, 1, "c1");
    assert_eq!(lanes.grant(), None);
    lanes.release(1, 5);
    assert_eq!(lanes.grant(), None);
    assert_eq!(lanes.take(3, 1), Err(Refusal::Full));
    lanes.release(1, 5);
    assert_eq!(lanes.grant(), Some((2, "b1")));
    assert_eq!(lanes.grant(), Some((3, "c1")));
    lanes.release(2, 8);
    assert_eq!(lanes.grant(), Some((2, "b2")));
    assert_eq!(lanes.take(3, 1), Ok(()));
}

#[test]
fn whoever_leaves_while_waiting_holds_nobody_up() {
    let mut lanes = lanes(10);
    known(&mut lanes, 1..=2);
    lanes.take(1, 10).unwrap();
    lanes.want(1, 10, "a");
    lanes.want(2, 1, "b");
    assert_eq!(lanes.grant(), None);
    lanes.release(1, 5);
    assert_eq!(lanes.leave(1, |who| *who == "a"), Some("a"));
    assert_eq!(lanes.leave(1, |who| *who == "a"), None);
    assert_eq!(lanes.grant(), Some((2, "b")));
    assert!(lanes.room_turn.is_empty());
}

#[test]
fn what_is_lost_for_room_is_the_oldest_of_whoever_has_too_much() {
    let mut lanes = lanes(4);
    known(&mut lanes, [1]);
    for load in ["a1", "a2", "a3", "a4"] {
        lanes.take(1, 1).unwrap();
        lanes.push(1, load);
    }
    known(&mut lanes, [2]);
    assert_eq!(lanes.take(2, 1), Err(Refusal::Full));
    assert_eq!(lanes.pop_oldest(2, Refusal::Full), Some("a1"));
    lanes.release(1, 1);
    lanes.take(2, 1).unwrap();
    lanes.push(2, "b1");
    assert_eq!(lanes.pop_oldest(2, Refusal::Share), Some("b1"));
    assert_eq!(lanes.pop_oldest(2, Refusal::Share), None);
    assert_eq!(lanes.pop_oldest(1, Refusal::Full), Some("a2"));
}
