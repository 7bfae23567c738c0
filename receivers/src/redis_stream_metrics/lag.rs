//! How far behind a group is, and how well that is known. A lag that nobody knows is none, never 0.

use streamgauge_redis::{GroupInfo, StreamInfo};

/// Where a lag is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    /// There is no lag.
    Unknown = 0,
    /// Counted here, right at the moment of asking.
    Exact = 3,
    /// The server's own number.
    Server = 4,
}

/// The lag of a group. `stream` is missing where only the length was asked for.
///
/// The server stops knowing when an undelivered entry was deleted, or a group was made in the middle of a stream. Ids
/// settle two cases that are common: the group is at the end, or before everything that is left.
pub(crate) fn lag(group: &GroupInfo, length: u64, stream: Option<&StreamInfo>) -> (Option<u64>, Quality) {
    if let Some(lag) = group.lag {
        return (Some(lag), Quality::Server);
    }
    if length == 0 {
        return (Some(0), Quality::Exact);
    }
    if let (Some(delivered), Some(stream)) = (group.last_delivered_id, stream) {
        if stream.last_generated_id.is_some_and(|last| delivered >= last) {
            return (Some(0), Quality::Exact);
        }
        if stream.first_entry.is_some_and(|first| delivered < first) {
            return (Some(length), Quality::Exact);
        }
    }
    (None, Quality::Unknown)
}

#[cfg(test)]
mod tests {
    use streamgauge_redis::StreamId;

    use super::*;

    fn id(ms: u64) -> Option<StreamId> {
        Some(StreamId { ms, seq: 0 })
    }

    fn group(lag: Option<u64>, delivered: Option<StreamId>) -> GroupInfo {
        let name = b"g".to_vec();
        GroupInfo { name, consumers: 0, pending: 0, last_delivered_id: delivered, entries_read: None, lag }
    }

    fn stream() -> StreamInfo {
        StreamInfo {
            length: 10,
            groups: Some(1),
            last_generated_id: id(20),
            entries_added: None,
            first_entry: id(5),
            last_entry: id(19),
            reply_bytes: 0,
        }
    }

    #[test]
    fn the_servers_number_goes_first_even_when_it_is_0() {
        assert_eq!(lag(&group(Some(0), id(1)), 10, Some(&stream())), (Some(0), Quality::Server));
    }

    #[test]
    fn a_group_at_the_end_lags_0_and_one_before_the_first_entry_lags_the_length() {
        assert_eq!(lag(&group(None, id(20)), 10, Some(&stream())), (Some(0), Quality::Exact));
        assert_eq!(lag(&group(None, id(4)), 10, Some(&stream())), (Some(10), Quality::Exact));
        assert_eq!(lag(&group(None, None), 0, None), (Some(0), Quality::Exact));
    }

    #[test]
    fn a_group_in_the_middle_is_unknown_and_not_0() {
        for (delivered, stream) in
            [(id(5), Some(stream())), (id(19), Some(stream())), (id(20), None), (None, Some(stream()))]
        {
            assert_eq!(
                lag(&group(None, delivered), 10, stream.as_ref()),
                (None, Quality::Unknown),
                "{delivered:?}"
            );
        }
    }
}
