//! Entries that went from one consumer of a group to another, as far as two looks at the consumers tell.
//!
//! What consumers hold more than before was delivered to them, or claimed. A group's count of what was delivered is older
//! than the look at its consumers, so the difference is settled a round later: then the count covers all of the time
//! between the looks. What is told is the least that it can have been: what is acknowledged or delivered in the same time
//! hides claims and never makes one.

use super::consumers::Consumers;
use super::known::Numbers;

/// Counts them for one group.
#[derive(Debug, Default)]
pub(super) struct Claims {
    total: u64,
    /// What consumers hold more than at the look before, and the group's numbers of that time.
    open: Option<Box<(u64, Numbers)>>,
}

impl Claims {
    /// Settles what was open with the group's numbers of now.
    pub(super) fn settle(&mut self, now: &Numbers) {
        if let Some(open) = self.open.take()
            && let Some(delivered) = delivered(&open.1, now)
        {
            self.total += open.0.saturating_sub(delivered);
        }
    }

    /// Two looks at the consumers, and the group's numbers of the first.
    pub(super) fn look(&mut self, before: &Consumers, then: &Numbers, after: &Consumers) {
        let is_whole = |consumers: &Consumers| consumers.rest.count == 0;
        if !is_whole(before)
            || !is_whole(after)
            || after.active.is_none()
            || (before.active.is_none() && then.0 > 0)
        {
            return;
        }
        let gained = after.top.iter().map(|consumer| {
            let held =
                before.top.iter().find(|known| known.name == consumer.name).map_or(0, |known| known.pending);
            consumer.pending.saturating_sub(held)
        });
        let gained = gained.sum::<u64>();
        self.open = (gained > 0).then(|| Box::new((gained, *then)));
    }

    /// How many there were since the group is watched.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

/// The most that can have been delivered between; `None` when nobody knows.
fn delivered(then: &Numbers, now: &Numbers) -> Option<u64> {
    let ((.., id_then, read_then), (.., id_now, read_now)) = (then, now);
    match (read_then, read_now) {
        _ if id_then == id_now => Some(0),
        (Some(then), Some(now)) => now.checked_sub(*then),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use streamgauge_redis::{ConsumerInfo, StreamId};

    use super::*;

    fn holding(pending: &[(&str, u64)]) -> Consumers {
        let consumer = |(name, pending): &(&str, u64)| ConsumerInfo {
            name: name.as_bytes().to_vec(),
            pending: *pending,
            idle_ms: Some(1),
            inactive_ms: None,
        };
        Consumers::new(pending.iter().map(consumer).collect(), Some(10), Duration::from_secs(1))
    }

    fn numbers(read: u64) -> Numbers {
        (2, 9, Some(StreamId { ms: read, seq: 0 }), Some(read))
    }

    /// What is told after these looks, each with what the group has read by then and what its consumers hold.
    fn told(looks: &[(u64, &[(&str, u64)])]) -> u64 {
        let mut claims = Claims::default();
        let mut before: Option<(Numbers, Consumers)> = None;
        for (read, held) in looks {
            let (now, held) = (numbers(*read), holding(held));
            claims.settle(&now);
            if let Some((then, before)) = &before {
                claims.look(before, then, &held);
            }
            before = Some((now, held));
        }
        claims.total()
    }

    #[test]
    fn what_one_consumer_takes_over_from_another_is_a_claim_and_what_is_delivered_is_none() {
        assert_eq!(told(&[(5, &[("a", 5)]), (5, &[("a", 2), ("b", 3)]), (5, &[])]), 3);
        assert_eq!(told(&[(5, &[("a", 5)]), (9, &[("a", 5), ("b", 4)]), (9, &[])]), 0);
        assert_eq!(told(&[(5, &[("a", 5)]), (9, &[("a", 2), ("b", 7)]), (9, &[])]), 3, "both at once");
    }

    #[test]
    fn what_was_delivered_after_the_group_was_asked_is_no_claim() {
        // The consumers were asked a moment later than the group: they hold what it has not counted yet.
        assert_eq!(told(&[(5, &[("a", 5)]), (5, &[("a", 5), ("b", 4)]), (9, &[]), (9, &[])]), 0);
    }

    #[test]
    fn what_is_acknowledged_makes_no_claim_and_is_none() {
        assert_eq!(told(&[(9, &[("a", 5), ("b", 4)]), (9, &[("b", 4)]), (9, &[])]), 0);
        assert_eq!(told(&[(9, &[("a", 5)]), (14, &[("b", 5)]), (14, &[])]), 0, "one did all, then the other");
    }

    #[test]
    fn nothing_is_told_of_consumers_of_whom_only_some_are_known() {
        let few = |held: &[(&str, u64)]| {
            let mut all = holding(held);
            all.rest.count = 1;
            all
        };
        let mut claims = Claims::default();
        claims.look(&holding(&[("a", 5)]), &numbers(5), &few(&[("b", 5)]));
        claims.look(&few(&[("a", 5)]), &numbers(5), &holding(&[("b", 5)]));
        claims.look(&Consumers::default(), &numbers(5), &holding(&[("b", 5)]));
        claims.settle(&numbers(5));
        assert_eq!(claims.total(), 0);
    }
}
