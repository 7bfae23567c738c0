//! What a fuzzer drives; also in tests, for a bounded number of rounds.

use bytes::Bytes;
use streamgauge_redis::wire::Scan;

use crate::link::{Replies, Reply};
use crate::{Entries, List};

/// Reads the bytes as replies: whole ones are walked to their ends in every way there is, cut ones wait for more.
pub fn replies(data: &[u8]) {
    let (mut scan, mut left) = (Scan::default(), 4);
    let _ = scan.replies(data, &mut left);
    let whole = 4 - left;
    let bytes = Bytes::copy_from_slice(&data[..scan.at.min(data.len())]);
    let found = Replies::new(bytes, whole);
    for reply in found.iter() {
        walk(&reply, 0);
        entries(&mut Entries::of_streams(&reply));
        entries(&mut Entries::of_one(reply.list()));
    }
}

fn walk(reply: &Reply<'_>, depth: usize) {
    let list: List<'_> = reply.list();
    if depth < 20 {
        list.take(1000).for_each(|element| walk(&element, depth + 1));
    }
    let _ = (reply.text(), reply.integer());
}

fn entries(entries: &mut Entries<'_>) {
    while let Ok(Some(_)) = entries.next_entry() {}
    while let Ok(Some(_)) = entries.next_stream() {
        while let Ok(Some(_)) = entries.next_entry() {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn replies_of_any_shape_are_read_to_their_end(
            tokens in prop::collection::vec(
                prop::sample::select(vec![
                    "*0\r\n", "*1\r\n", "*2\r\n", "*4\r\n", "*-1\r\n", "%1\r\n", ":1\r\n", "$-1\r\n", "$3\r\n1-0\r\n",
                    "$1\r\na\r\n", "+OK\r\n", "-ERR no\r\n", "*999999999\r\n", "$5\r\n", "x",
                ]),
                0..40,
            )
        ) {
            super::replies(tokens.concat().as_bytes());
        }
    }
}
