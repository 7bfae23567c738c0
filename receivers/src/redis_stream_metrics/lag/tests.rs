use super::*;

fn id(ms: u64) -> Option<StreamId> {
    Some(StreamId { ms, seq: 0 })
}

fn group(lag: Option<u64>, delivered: Option<StreamId>) -> GroupInfo {
    let name = b"g".to_vec();
    GroupInfo { name, consumers: 0, pending: 0, last_delivered_id: delivered, entries_read: None, lag }
}

/// 10 entries from 5 to 19; 20 was the last that was ever added.
fn stream() -> StreamInfo {
    StreamInfo {
        length: 10,
        groups: Some(1),
        last_generated_id: id(20),
        entries_added: None,
        max_deleted_id: id(20),
        first_entry: id(5),
        last_entry: id(19),
        reply_bytes: 0,
    }
}

fn of(group: &GroupInfo, stream: Option<&StreamInfo>) -> Lag {
    lag(group, 10, stream, Missed::default(), None, &Offsets::default())
}

#[test]
fn the_servers_number_is_told_when_ids_do_not_contradict_it() {
    assert_eq!(of(&group(Some(4), id(12)), Some(&stream())), Lag::sure(4, Quality::Server));
    assert_eq!(of(&group(Some(0), id(20)), Some(&stream())), Lag::sure(0, Quality::Server));
    assert_eq!(of(&group(Some(4), id(12)), None), Lag::sure(4, Quality::Server));
}

#[test]
fn a_group_at_the_end_lags_0_and_one_before_the_first_entry_lags_the_length() {
    assert_eq!(of(&group(None, id(20)), Some(&stream())), Lag::sure(0, Quality::Exact));
    assert_eq!(of(&group(None, id(4)), Some(&stream())), Lag::sure(10, Quality::Exact));
    assert_eq!(
        lag(&group(None, None), 0, None, Missed::default(), None, &Offsets::default()),
        Lag::sure(0, Quality::Exact)
    );
}

#[test]
fn a_group_behind_the_last_entry_that_is_left_lags_0_whatever_was_deleted_after_it() {
    assert_eq!(of(&group(None, id(19)), Some(&stream())), Lag::sure(0, Quality::Exact));
}

#[test]
fn a_number_of_the_server_that_counts_trimmed_entries_is_put_right() {
    assert_eq!(of(&group(Some(17), id(2)), Some(&stream())), Lag::sure(10, Quality::Exact));
    let known = lag(
        &group(Some(9), id(12)),
        10,
        Some(&stream()),
        Missed { surely: 5, perhaps: 0 },
        None,
        &Offsets::default(),
    );
    assert_eq!(known, Lag::sure(4, Quality::Exact));
    let missed = Missed { surely: 1, perhaps: 3 };
    let doubtful = lag(&group(Some(9), id(12)), 10, Some(&stream()), missed, None, &Offsets::default());
    assert_eq!((doubtful.entries, doubtful.least, doubtful.quality), (Some(8), Some(5), Quality::Bounded));
    let more_than_there_is = of(&group(Some(17), id(12)), Some(&stream()));
    assert_eq!((more_than_there_is.entries, more_than_there_is.quality), (Some(10), Quality::Bounded));
}

#[test]
fn a_count_to_the_end_is_exact_and_one_cut_short_is_the_least() {
    let counted = |entries, is_all| Some(Counted { entries, is_all });
    let of = |counted| {
        lag(&group(None, id(12)), 10, Some(&stream()), Missed::default(), counted, &Offsets::default())
    };
    assert_eq!(of(counted(3, true)), Lag::sure(3, Quality::Exact));
    let cut = of(counted(7, false));
    assert_eq!((cut.entries, cut.least, cut.quality), (Some(7), Some(7), Quality::Estimated));
}

#[test]
fn without_anything_better_the_place_between_the_ids_is_an_estimate() {
    let middle = of(&group(None, id(12)), Some(&stream()));
    assert_eq!((middle.entries, middle.least, middle.quality), (Some(5), Some(1), Quality::Estimated));
}

#[test]
fn where_nothing_is_known_the_lag_is_unknown_and_not_0() {
    for (delivered, stream) in [(id(5), None), (None, Some(stream()))] {
        assert_eq!(of(&group(None, delivered), stream.as_ref()), Lag::UNKNOWN, "{delivered:?}");
    }
}
