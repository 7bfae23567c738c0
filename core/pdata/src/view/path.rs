//! Reading the fields of one message, and walking down a path of field numbers.

use crate::malformed::{Fault, What};
use crate::wire::{self, Field, Span};

/// The fields of one message.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    pub(crate) buf: &'a [u8],
    pub(crate) span: Span,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(buf: &'a [u8], span: Span) -> Self {
        Reader { buf, span }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field>, Fault> {
        self.span.next(self.buf)
    }

    /// The message in a field.
    pub(crate) fn inside(&self, field: &Field) -> Result<Reader<'a>, Fault> {
        field.expect(wire::LEN)?;
        Ok(Reader::new(self.buf, field.span()))
    }

    pub(crate) fn path(&self, numbers: &[u8]) -> Path<'a> {
        Path::new(self.buf, self.span, numbers)
    }

    /// The same message without its fields outside of `span`: where the only fields of interest are in there.
    pub(crate) fn narrow(&self, span: Span) -> Reader<'a> {
        Reader::new(self.buf, span)
    }
}

/// In a path: every field of that message.
pub(crate) const ANY: u8 = 0;
const LEVELS: usize = 3;

/// Walks to the fields at the end of a path of field numbers, through every message on the way: what protobuf means
/// by merging repeated singular messages comes out of that by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'a> {
    pub buf: &'a [u8],
    spans: [Span; LEVELS],
    numbers: [u8; LEVELS],
    last: u8,
    at: u8,
}

impl<'a> Path<'a> {
    pub(crate) fn new(buf: &'a [u8], span: Span, numbers: &[u8]) -> Self {
        let mut path = Path { buf, spans: [Span::default(); LEVELS], numbers: [ANY; LEVELS], last: 0, at: 0 };
        path.spans[0] = span;
        path.set(0, numbers);
        path
    }

    /// A path with nothing at its end.
    pub(crate) fn empty() -> Self {
        Path::new(&[], Span::default(), &[1])
    }

    fn set(&mut self, from: usize, numbers: &[u8]) {
        for (place, number) in self.numbers.iter_mut().skip(from).zip(numbers) {
            *place = *number;
        }
        self.last = (from + numbers.len() - 1).min(LEVELS - 1) as u8;
    }

    /// The walk from `field` on, which [`Path::next`] just gave, with the path's last number replaced by `numbers`.
    pub(crate) fn resume_at(mut self, field: &Field, numbers: &[u8]) -> Self {
        self.spans[self.at as usize].at = field.start as u32;
        self.set(self.last as usize, numbers);
        self
    }

    /// The next field at the end of the path; after a fault there is none.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Result<Field, Fault>> {
        if self.last > 0 {
            return self.next_nested();
        }
        let number = u32::from(self.numbers[0]);
        loop {
            match self.spans[0].next(self.buf) {
                Ok(Some(field)) if number == field.number || number == u32::from(ANY) => {
                    return Some(Ok(field));
                }
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(fault) => return Some(Err(self.fail(fault))),
            }
        }
    }

    fn next_nested(&mut self) -> Option<Result<Field, Fault>> {
        loop {
            let at = self.at as usize;
            let number = u32::from(self.numbers[at]);
            match self.spans[at].next(self.buf) {
                Ok(Some(field)) if number == u32::from(ANY) || number == field.number => {
                    if self.at == self.last {
                        return Some(Ok(field));
                    }
                    if field.wire != wire::LEN {
                        return Some(Err(self.fail(field.mismatch())));
                    }
                    self.at += 1;
                    self.spans[at + 1] = field.span();
                }
                Ok(Some(_)) => {}
                Ok(None) if self.at == 0 => return None,
                Ok(None) => self.at -= 1,
                Err(fault) => return Some(Err(self.fail(fault))),
            }
        }
    }

    /// Like [`Path::next`] for fields that are messages.
    #[inline]
    pub(crate) fn next_message(&mut self) -> Option<Result<Span, Fault>> {
        Some(match self.next()? {
            Ok(field) if field.wire == wire::LEN => Ok(field.span()),
            Ok(field) => Err(self.fail(field.mismatch())),
            Err(fault) => Err(fault),
        })
    }

    fn fail(&mut self, fault: Fault) -> Fault {
        self.at = 0;
        self.spans[0].at = self.spans[0].end;
        fault
    }
}

/// The string in a field.
pub(crate) fn str_of<'a>(buf: &'a [u8], field: &Field) -> Result<&'a str, Fault> {
    let bytes = bytes_of(buf, field)?;
    std::str::from_utf8(bytes).map_err(|_| Fault::new(field.body, What::Utf8))
}

/// The bytes in a field.
pub(crate) fn bytes_of<'a>(buf: &'a [u8], field: &Field) -> Result<&'a [u8], Fault> {
    field.expect(wire::LEN)?;
    Ok(field.span().of(buf))
}

/// The varint in a field.
pub(crate) fn uint_of(field: &Field) -> Result<u64, Fault> {
    field.expect(wire::VARINT)?;
    Ok(field.value)
}

/// The 64 bits in a field.
pub(crate) fn fixed64_of(field: &Field) -> Result<u64, Fault> {
    field.expect(wire::FIXED64)?;
    Ok(field.value)
}

/// The floating point number in a field.
pub(crate) fn double_of(field: &Field) -> Result<f64, Fault> {
    Ok(f64::from_bits(fixed64_of(field)?))
}
