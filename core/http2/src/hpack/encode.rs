//! From the fields of an answer to bytes. Nothing is put into the client's table: answers have few fields, and the usual one is
//! written once and copied from then on.

/// `:status`, in the tables' own number where it has one.
pub(crate) fn status(out: &mut Vec<u8>, code: http::StatusCode) {
    match code.as_u16() {
        200 => out.push(0x88),
        204 => out.push(0x89),
        400 => out.push(0x8c),
        404 => out.push(0x8d),
        500 => out.push(0x8e),
        _ => {
            out.push(0x08); // the name is the table's number 8
            string(out, code.as_str().as_bytes());
        }
    }
}

/// A field that stays out of the tables; a secret one also of those on the way.
pub(crate) fn field(out: &mut Vec<u8>, name: &str, value: &[u8], secret: bool) {
    out.push(if secret { 0x10 } else { 0 });
    string(out, name.as_bytes());
    string(out, value);
}

pub(super) fn string(out: &mut Vec<u8>, text: &[u8]) {
    integer(out, 7, 0, text.len());
    out.extend_from_slice(text);
}

/// A number whose first bits are the last ones of a byte, the others of which are `mark`.
pub(crate) fn integer(out: &mut Vec<u8>, bits: u32, mark: u8, number: usize) {
    let most = (1_usize << bits) - 1;
    if number < most {
        return out.push(mark | number as u8);
    }
    out.push(mark | most as u8);
    let mut left = number - most;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}
