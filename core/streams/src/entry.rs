//! One entry.

use streamgauge_redis::StreamId;

/// One entry as it stands in a stream, or as it is to be added; borrowed from whoever has read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Names and values in their order. Neither need be UTF-8, and a name may come twice.
    pub fields: &'a [(&'a [u8], &'a [u8])],
}

impl<'a> Entry<'a> {
    /// The first field of a name.
    pub fn field(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_fields_with_one_name_the_first_is_found() {
        let fields: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b\xff", b"2"), (b"a", b"3")];
        let entry = Entry { id: StreamId { ms: 1, seq: 0 }, fields: &fields };
        assert_eq!(entry.field(b"a"), Some(&b"1"[..]));
        assert_eq!(entry.field(b"b\xff"), Some(&b"2"[..]));
        assert_eq!(entry.field(b"c"), None);
    }
}
