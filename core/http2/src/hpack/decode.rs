//! From the bytes of a block to its fields.

use super::field::Field;
use super::huffman;
use super::table::Table;

/// The table that clients may fill, in bytes: the protocol's default.
pub(crate) const TABLE: usize = 4096;

/// A block that cannot be read. What comes after it on the connection cannot be, either: the tables differ from here on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Reads the blocks of one connection, in order.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Table,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    pub fn new() -> Self {
        Decoder { table: Table::new(TABLE), name: Vec::new(), value: Vec::new() }
    }

    /// Changes whenever a block changes the table: between two equal ages the same bytes mean the same fields.
    pub fn age(&self) -> u64 {
        self.table.age
    }

    /// Calls `each` with every field of a block.
    pub fn decode(&mut self, mut block: &[u8], mut each: impl FnMut(&Field)) -> Result<(), Broken> {
        let mut first = true;
        while let Some(&byte) = block.first() {
            match byte {
                0x80.. => {
                    let number = integer(&mut block, 7)?;
                    each(self.table.get(number).ok_or(Broken)?);
                }
                0x40..0x80 => {
                    let field = self.literal(&mut block, 6, false)?;
                    each(&field);
                    self.table.add(field);
                }
                0x20..0x40 => {
                    let size = integer(&mut block, 5)?;
                    if !first || size > TABLE {
                        return Err(Broken);
                    }
                    self.table.resize(size);
                    continue; // another may follow: the smallest size in between, then the last
                }
                _ => each(&self.literal(&mut block, 4, byte >= 0x10)?),
            }
            first = false;
        }
        Ok(())
    }

    fn literal(&mut self, block: &mut &[u8], bits: u32, secret: bool) -> Result<Field, Broken> {
        let number = integer(block, bits)?;
        if number == 0 {
            string(block, &mut self.name)?;
            string(block, &mut self.value)?;
            return Ok(Field::new(&self.name, &self.value, secret));
        }
        string(block, &mut self.value)?;
        Ok(self.table.get(number).ok_or(Broken)?.with(&self.value, secret))
    }

    #[cfg(test)]
    pub fn table_size(&self) -> usize {
        self.table.size()
    }
}

/// A number whose first bits are the last ones of a byte. None that is used here needs more than 28 bits beyond them.
fn integer(block: &mut &[u8], bits: u32) -> Result<usize, Broken> {
    let (&first, mut rest) = block.split_first().ok_or(Broken)?;
    let most = (1_usize << bits) - 1;
    let mut number = usize::from(first) & most;
    if number == most {
        let mut shift = 0;
        loop {
            let (&byte, after) = rest.split_first().ok_or(Broken)?;
            rest = after;
            number += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
            if shift > 21 {
                return Err(Broken);
            }
        }
    }
    *block = rest;
    Ok(number)
}

fn string(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    let coded = block.first().is_some_and(|byte| byte & 0x80 != 0);
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(Broken)?;
    *block = rest;
    out.clear();
    if coded {
        huffman::decode(text, out).ok_or(Broken)
    } else {
        out.extend_from_slice(text);
        Ok(())
    }
}
