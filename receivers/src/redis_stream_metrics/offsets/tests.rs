use proptest::prelude::*;

use super::*;

fn id(ms: u64) -> StreamId {
    StreamId { ms, seq: 0 }
}

fn stream(last: u64, added: u64, length: u64, deleted: u64) -> StreamInfo {
    StreamInfo {
        length,
        groups: None,
        last_generated_id: Some(id(last)),
        entries_added: Some(added),
        max_deleted_id: Some(id(deleted)),
        first_entry: Some(id(1)),
        last_entry: Some(id(last)),
        reply_bytes: 0,
    }
}

#[test]
fn an_id_between_two_notes_has_the_bounds_of_both_and_one_on_a_note_is_exact() {
    let mut offsets = Offsets::default();
    offsets.note(&stream(10, 10, 10, 0));
    offsets.note(&stream(20, 20, 20, 0));
    let now = stream(30, 30, 30, 0);
    offsets.note(&now);
    assert_eq!(offsets.bounds(id(15), &now), Some((10, 20)));
    assert_eq!(offsets.bounds(id(20), &now), Some((10, 10)));
    assert_eq!(offsets.bounds(id(9), &now), None, "older than the notes");
}

#[test]
fn entries_deleted_behind_the_id_widen_the_bounds_and_those_before_it_do_not() {
    let mut offsets = Offsets::default();
    offsets.note(&stream(20, 20, 20, 0));
    assert_eq!(offsets.bounds(id(20), &stream(30, 30, 28, 25)), Some((8, 10)));
    assert_eq!(offsets.bounds(id(20), &stream(30, 30, 28, 3)), Some((10, 10)));
}

#[test]
fn a_group_whose_lag_was_known_is_a_note_too() {
    let mut offsets = Offsets::default();
    offsets.note(&stream(20, 20, 20, 0));
    offsets.anchor(id(7), 7, &stream(20, 20, 20, 0));
    assert_eq!(offsets.bounds(id(7), &stream(20, 20, 19, 12)), Some((12, 13)));
}

#[test]
fn a_stream_that_was_made_anew_has_no_notes() {
    let mut offsets = Offsets::default();
    offsets.note(&stream(20, 20, 20, 0));
    offsets.note(&stream(30, 2, 2, 0));
    assert_eq!(offsets.bounds(id(20), &stream(30, 2, 2, 0)), None);
}

proptest! {
    /// A stream lives: entries are added, deleted and trimmed; a group stands somewhere. However few notes are kept, the
    /// true lag lies within the bounds.
    #[test]
    fn the_true_lag_lies_within_the_bounds(
        steps in prop::collection::vec((0u64..9, prop::option::of(0usize..40), 0u64..3), 1..120),
        at in 0usize..400,
    ) {
        let (mut entries, mut last, mut added, mut deleted) = (Vec::<u64>::new(), 0, 0, 0);
        let mut offsets = Offsets::default();
        let mut ids = vec![];
        let mut now = None;
        for (add, delete, trim) in steps {
            for _ in 0..add {
                (last, added) = (last + 1, added + 1);
                entries.push(last);
                ids.push(last);
            }
            if let Some(n) = delete.filter(|n| *n < entries.len()) {
                deleted = deleted.max(entries.remove(n));
            }
            entries.drain(..(trim as usize).min(entries.len()));
            let info = stream(last, added, entries.len() as u64, deleted);
            offsets.note(&info);
            now = Some(info);
        }
        // Before what is left, ids settle it.
        ids.retain(|id| entries.first().is_some_and(|first| first <= id));
        let (Some(now), Some(group)) = (now, ids.get(at % ids.len().max(1))) else { return Ok(()) };
        let lag = entries.iter().filter(|id| *id > group).count() as u64;
        if let Some((least, most)) = offsets.bounds(id(*group), &now) {
            prop_assert!(least <= lag && lag <= most, "{least} <= {lag} <= {most}");
        }
    }
}
