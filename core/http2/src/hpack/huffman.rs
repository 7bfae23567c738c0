//! The Huffman code of RFC 7541, appendix B. It is canonical, so that the lengths of its codes say all of it: within a length, codes
//! ascend with their symbols.

/// The length in bits of each byte's code, and of the mark that ends a string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];
/// Ends a string; never sent, but its first bits fill up the last byte.
const EOS: usize = 256;
/// A code may be as long as this.
const LONGEST: u8 = 30;
/// Places in the tree that are inside of a code.
const PLACES: usize = 256;
/// No way on from here, in four bits' row.
const WRONG: u16 = u16::MAX;

/// Where four bits lead from a place inside of a code.
#[derive(Clone, Copy)]
struct Step {
    /// The place after them; `WRONG` when no string goes on so.
    to: u16,
    /// The byte whose code ends on the way: no code is so short that two would.
    byte: Option<u8>,
}

/// From each place, by each four bits.
static STEPS: [[Step; 16]; PLACES] = steps();
/// Whether a string may end at a place: only ones came since the last byte, and fewer than eight.
static ENDS: [bool; PLACES] = ends();

/// The tree: from a place by a bit to another one, or to a symbol (`PLACES` more than it).
const fn tree() -> [[u16; 2]; PLACES] {
    let mut tree = [[WRONG; 2]; PLACES];
    let (mut places, mut code, mut length) = (1, 0_u32, 1);
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol <= EOS {
            if LENGTHS[symbol] == length {
                let (mut at, mut bit) = (0, length - 1);
                while bit > 0 {
                    let way = (code >> bit & 1) as usize;
                    if tree[at][way] == WRONG {
                        tree[at][way] = places;
                        places += 1;
                    }
                    at = tree[at][way] as usize;
                    bit -= 1;
                }
                tree[at][(code & 1) as usize] = (PLACES + symbol) as u16;
                code += 1;
            }
            symbol += 1;
        }
        code <<= 1;
        length += 1;
    }
    tree
}

const fn steps() -> [[Step; 16]; PLACES] {
    let tree = tree();
    let mut steps = [[Step { to: WRONG, byte: None }; 16]; PLACES];
    let mut place = 0;
    while place < PLACES {
        let mut bits = 0;
        while bits < 16 {
            let mut step = Step { to: place as u16, byte: None };
            let mut bit = 4;
            while bit > 0 && step.to != WRONG {
                bit -= 1;
                let next = tree[step.to as usize][bits >> bit & 1];
                step.to = next;
                if next as usize == PLACES + EOS {
                    step.to = WRONG;
                } else if next != WRONG && next as usize >= PLACES {
                    step = Step { to: 0, byte: Some((next as usize - PLACES) as u8) };
                }
            }
            steps[place][bits] = step;
            bits += 1;
        }
        place += 1;
    }
    steps
}

const fn ends() -> [bool; PLACES] {
    let tree = tree();
    let mut ends = [false; PLACES];
    let (mut at, mut ones) = (0, 0);
    while ones < 8 {
        ends[at] = true;
        at = tree[at][1] as usize;
        ones += 1;
    }
    ends
}

/// Appends what the coded bytes mean; `None` when they are no such string.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.reserve(coded.len() * 8 / 5 + 1);
    let mut at = 0;
    for byte in coded {
        for bits in [byte >> 4, byte & 15] {
            let step = STEPS.get(usize::from(at))?[usize::from(bits)];
            out.extend(step.byte);
            at = step.to;
        }
    }
    ENDS.get(usize::from(at))?.then_some(())
}

#[cfg(test)]
pub(super) fn encode(plain: &[u8]) -> Vec<u8> {
    let mut codes = [0_u32; 257];
    let mut code = 0;
    for length in 1..=LONGEST {
        for symbol in 0..=EOS {
            if LENGTHS[symbol] == length {
                codes[symbol] = code;
                code += 1;
            }
        }
        code <<= 1;
    }
    let bits = |symbol: usize| (0..LENGTHS[symbol]).rev().map(move |bit| (symbol, bit));
    let mut all: Vec<bool> = plain
        .iter()
        .flat_map(|byte| bits(usize::from(*byte)))
        .map(|(symbol, bit)| codes[symbol] >> bit & 1 == 1)
        .collect();
    all.resize(all.len().next_multiple_of(8), true);
    all.chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    #[test]
    fn the_rfcs_strings_are_read() {
        for (coded, plain) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("6402", "302"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9bd9ab", "gzip"),
        ] {
            let coded = crate::hpack::tests::hex(coded);
            assert_eq!(decoded(&coded).unwrap(), plain.as_bytes());
            assert_eq!(encode(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn every_byte_survives() {
        let plain: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(decoded(&encode(&plain)).unwrap(), plain);
    }

    #[test]
    fn what_fills_up_the_last_byte_is_ones_and_fewer_than_eight() {
        assert_eq!(decoded(&[0x1f]).unwrap(), b"a", "00011, then ones");
        assert_eq!(decoded(&[0x1e]), None, "a zero among them");
        assert_eq!(decoded(&[0x1f, 0xff]), None, "eight too many");
        assert_eq!(decoded(&[0xff; 4]), None, "the end mark itself");
        assert_eq!(decoded(&[]).unwrap(), b"");
    }
}
