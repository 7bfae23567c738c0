//! Entries that went away before a group had read them.

use streamgauge_redis::{GroupInfo, StreamId, StreamInfo};

/// Counts them for one group.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    total: u64,
    /// Where the group stood when that was known last: its id, how many entries were ever added up to there, and how
    /// many it had read by the server's count.
    stood: Option<Stood>,
    /// How many of them are behind the group's present id.
    here: u64,
    /// What is wrong with the server's count of what the group has read.
    missed: Missed,
}

/// By how much the server's lag is too large, because its count goes on as if nothing had been lost: surely, and perhaps
/// besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) surely: u64,
    pub(crate) perhaps: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stood {
    id: StreamId,
    position: u64,
    read: Option<u64>,
}

impl Loss {
    /// How many there were since the group is watched, and before that as far as the server knows what it had read.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The group was set to another place: where it stood says nothing any more.
    pub(crate) fn set_back(&mut self) {
        (self.stood, self.here, self.missed) = (None, 0, Missed::default());
    }

    /// What is wrong with the server's lag. Only some servers count on (Redis 7); the others are believed.
    pub(crate) fn missed(
        &mut self,
        group: &GroupInfo,
        stream: Option<&StreamInfo>,
        counts_on: bool,
    ) -> Missed {
        let known = stream.and_then(|stream| Some((stream, stream.entries_added?, group.entries_read?)));
        let Some((stream, added, read)) = known.filter(|_| counts_on) else {
            // When it knows again what the group has read, it has counted anew.
            self.missed = Missed::default();
            return self.missed;
        };
        if let Some(stood) =
            self.stood.filter(|stood| self.here > 0 && group.last_delivered_id != Some(stood.id))
            && !is_behind(group, stream)
        {
            // Had it not counted on, it would have jumped over what was lost.
            let here = std::mem::take(&mut self.here);
            if read <= stood.position + here {
                self.missed.surely += here;
            } else {
                self.missed.perhaps += here;
            }
        }
        if stream.last_generated_id.is_some_and(|last| group.last_delivered_id >= Some(last)) {
            // At the end it should have read everything.
            self.missed = Missed { surely: added.saturating_sub(read), perhaps: 0 };
        } else if read + self.missed.surely > added {
            self.missed = Missed::default();
        }
        self.missed
    }

    /// Looks at the group again, and tells how many more were lost. `lag` is its lag where that is exact.
    pub(crate) fn look(&mut self, group: &GroupInfo, lag: Option<u64>, stream: &StreamInfo) -> u64 {
        let (Some(id), Some(added)) = (group.last_delivered_id, stream.entries_added) else { return 0 };
        if !is_behind(group, stream) {
            self.here = 0;
            if let Some(lag) = lag {
                self.stood =
                    Some(Stood { id, position: added.saturating_sub(lag), read: group.entries_read });
            }
            return 0;
        }
        // Holes between the first and the last entry cannot be told from what was cut off at the beginning.
        let has_holes = match (stream.max_deleted_id, stream.first_entry) {
            (Some(deleted), Some(first)) => deleted > first,
            _ => false,
        };
        if has_holes {
            return 0;
        }
        // So many entries were ever added before the first one that is left.
        let cut = added.saturating_sub(stream.length);
        let position = match (self.stood, group.entries_read) {
            (Some(stood), _) if stood.id == id => stood.position,
            // It has read on from what was left then, as many as the server counted.
            (Some(Stood { position, read: Some(before), .. }), Some(now)) if now >= before => {
                position + self.here + (now - before)
            }
            (None, Some(read)) if read > 0 => read,
            // What was gone before anybody looked is nobody's loss that could be proved.
            _ => cut,
        };
        if self.stood.is_none_or(|stood| stood.id != id) {
            self.here = 0;
            self.stood = Some(Stood { id, position, read: group.entries_read });
        }
        let here = cut.saturating_sub(position);
        let more = here.saturating_sub(self.here);
        self.here = self.here.max(here);
        self.total += more;
        more
    }
}

/// Whether the group stands before everything that is left.
fn is_behind(group: &GroupInfo, stream: &StreamInfo) -> bool {
    let before = |id: Option<StreamId>| id.is_some_and(|id| group.last_delivered_id < Some(id));
    before(stream.first_entry) || (stream.length == 0 && before(stream.last_generated_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64) -> Option<StreamId> {
        Some(StreamId { ms, seq: 0 })
    }

    /// Entries 1, 2, ... of which those up to `cut` are gone.
    fn stream(added: u64, cut: u64) -> StreamInfo {
        StreamInfo {
            length: added - cut,
            groups: None,
            last_generated_id: id(added),
            entries_added: Some(added),
            max_deleted_id: id(0),
            first_entry: if added > cut { id(cut + 1) } else { None },
            last_entry: if added > cut { id(added) } else { None },
            reply_bytes: 0,
        }
    }

    fn group(delivered: u64, read: Option<u64>) -> GroupInfo {
        let name = b"g".to_vec();
        GroupInfo {
            name,
            consumers: 0,
            pending: 0,
            last_delivered_id: id(delivered),
            entries_read: read,
            lag: None,
        }
    }

    #[test]
    fn what_was_trimmed_before_the_group_had_read_it_counts_once() {
        let mut loss = Loss::default();
        assert_eq!(loss.look(&group(2, Some(2)), Some(8), &stream(10, 0)), 0);
        assert_eq!(loss.look(&group(2, Some(2)), None, &stream(10, 7)), 5);
        assert_eq!(loss.look(&group(2, Some(2)), None, &stream(10, 7)), 0);
        assert_eq!(loss.look(&group(2, Some(2)), None, &stream(12, 9)), 2);
        // The server goes on counting from 2; where the group really stands is known from its lag.
        assert_eq!(loss.look(&group(10, Some(3)), Some(2), &stream(12, 9)), 0);
        assert_eq!(loss.look(&group(10, Some(3)), None, &stream(12, 11)), 1);
        assert_eq!(loss.total(), 8);
    }

    #[test]
    fn a_group_that_reads_on_and_is_overtaken_again_in_one_round_loses_only_what_it_did_not_read() {
        let mut loss = Loss::default();
        assert_eq!(loss.look(&group(2, Some(2)), None, &stream(10, 7)), 5);
        // It read 8 and 9, then the stream was cut up to 11.
        assert_eq!(loss.look(&group(9, Some(4)), None, &stream(12, 11)), 2);
    }

    #[test]
    fn what_was_lost_before_anybody_looked_counts_when_the_server_knows_what_was_read() {
        let mut loss = Loss::default();
        assert_eq!(loss.look(&group(2, Some(2)), None, &stream(10, 7)), 5);
        let mut unknown = Loss::default();
        assert_eq!(unknown.look(&group(0, None), None, &stream(10, 7)), 0);
        assert_eq!(unknown.look(&group(0, None), None, &stream(10, 9)), 2);
    }

    #[test]
    fn a_server_that_counts_on_as_if_nothing_were_lost_is_noticed_and_one_that_does_not_is_believed() {
        let lost = || {
            let mut loss = Loss::default();
            loss.look(&group(2, Some(2)), Some(8), &stream(10, 0));
            loss.look(&group(2, Some(2)), None, &stream(10, 7));
            loss
        };
        let missed = |surely, perhaps| Missed { surely, perhaps };
        let mut few = lost();
        assert_eq!(few.missed(&group(8, Some(3)), Some(&stream(10, 7)), true), missed(5, 0));
        assert_eq!(few.missed(&group(18, Some(13)), Some(&stream(30, 7)), true), missed(5, 0));
        assert_eq!(
            few.missed(&group(30, Some(30)), Some(&stream(30, 7)), true),
            missed(0, 0),
            "counted anew"
        );
        // After many at once nobody can tell, until the group is at the end.
        let mut many = lost();
        assert_eq!(many.missed(&group(18, Some(13)), Some(&stream(30, 7)), true), missed(0, 5));
        assert_eq!(many.missed(&group(30, Some(25)), Some(&stream(30, 7)), true), missed(5, 0));
        assert_eq!(lost().missed(&group(18, Some(18)), Some(&stream(30, 7)), false), missed(0, 0));
    }

    #[test]
    fn a_stream_that_was_trimmed_to_nothing_loses_all_that_was_unread() {
        let mut loss = Loss::default();
        loss.look(&group(4, Some(4)), Some(6), &stream(10, 0));
        assert_eq!(loss.look(&group(4, Some(4)), None, &stream(10, 10)), 6);
    }

    #[test]
    fn deleted_entries_in_the_midst_of_a_stream_prove_nothing() {
        let mut loss = Loss::default();
        let mut holes = stream(10, 7);
        holes.max_deleted_id = id(9);
        assert_eq!(loss.look(&group(2, Some(2)), None, &holes), 0);
    }
}
