//! Exemplars: single measurements that stand for a point, with the trace they were made in.

use super::path::{Reader, bytes_of, double_of, fixed64_of};
use super::points::Number;
use super::{Attributes, Message};
use crate::malformed::{Fault, Malformed};

/// One measurement of a point.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarView<'a> {
    reader: Reader<'a>,
    /// When it was made, in nanoseconds since 1970.
    pub time: u64,
    /// What was measured; `None` when the exemplar does not say.
    pub value: Option<Number>,
    /// 16 bytes, or none.
    pub trace_id: &'a [u8],
    /// 8 bytes, or none.
    pub span_id: &'a [u8],
}

impl<'a> ExemplarView<'a> {
    /// What is known of the measurement and not of the point.
    pub fn filtered_attributes(&self) -> Attributes<'a> {
        Attributes::new(self.reader.path(&[7]), "an exemplar's attribute")
    }
}

impl<'a> Message<'a> for ExemplarView<'a> {
    fn read(reader: Reader<'a>) -> Result<Self, Malformed> {
        let mut view = ExemplarView { reader, time: 0, value: None, trace_id: &[], span_id: &[] };
        let mut parse = || {
            let mut rest = reader;
            while let Some(field) = rest.next()? {
                match field.number {
                    2 => view.time = fixed64_of(&field)?,
                    3 => view.value = Some(Number::Double(double_of(&field)?)),
                    4 => view.span_id = bytes_of(reader.buf, &field)?,
                    5 => view.trace_id = bytes_of(reader.buf, &field)?,
                    6 => view.value = Some(Number::Int(fixed64_of(&field)? as i64)),
                    _ => {}
                }
            }
            Ok(())
        };
        parse().map_err(|fault: Fault| fault.within("an exemplar"))?;
        Ok(view)
    }
}
