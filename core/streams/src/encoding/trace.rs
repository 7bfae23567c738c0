//! The trace that an entry says it belongs to.

/// What the fields of an entry say about its trace, the most exact of them first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trace<'a> {
    traceparent: Option<&'a [u8]>,
    trace_id: Option<&'a [u8]>,
    span_id: Option<&'a [u8]>,
    correlation_id: Option<&'a [u8]>,
}

/// A trace, perhaps with the span in it and the W3C flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Span([u8; 16], [u8; 8], u8),
    Trace([u8; 16]),
}

impl<'a> Trace<'a> {
    /// Looks at a field; the first of a name counts.
    #[inline]
    pub fn note(&mut self, name: &[u8], value: &'a [u8]) {
        let place = match name {
            b"traceparent" => &mut self.traceparent,
            b"trace_id" => &mut self.trace_id,
            b"span_id" => &mut self.span_id,
            b"correlation_id" => &mut self.correlation_id,
            _ => return,
        };
        place.get_or_insert(value);
    }

    /// The trace; `None` when nothing that was noted is the id of one.
    pub fn link(&self) -> Option<Link> {
        let parent = || traceparent(self.traceparent?);
        let ids = || {
            let trace = id::<16>(self.trace_id?)?;
            Some(self.span_id.and_then(id::<8>).map_or(Link::Trace(trace), |span| Link::Span(trace, span, 0)))
        };
        parent().or_else(ids).or_else(|| Some(Link::Trace(correlation(self.correlation_id?)?)))
    }
}

/// `00-<trace id>-<span id>-<flags>`; later versions may add to it.
fn traceparent(text: &[u8]) -> Option<Link> {
    let mut parts = text.split(|&byte| byte == b'-');
    let version = parts.next()?;
    let link = Link::Span(id(parts.next()?)?, id(parts.next()?)?, hex::<1>(parts.next()?)?[0]);
    let whole = version == b"00" && parts.next().is_none();
    (whole || (version != b"00" && hex::<1>(version)? != [0xff])).then_some(link)
}

/// A correlation id that is 128 bits wide, as UUIDs are, is the id of a trace.
fn correlation(text: &[u8]) -> Option<[u8; 16]> {
    let [
        a @ ..,
        b'-',
        _,
        _,
        _,
        _,
        b'-',
        _,
        _,
        _,
        _,
        b'-',
        _,
        _,
        _,
        _,
        b'-',
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
    ] = text
    else {
        return id(text);
    };
    if a.len() != 8 {
        return None;
    }
    let mut digits = [0; 32];
    let found = text.iter().filter(|&&byte| byte != b'-');
    digits.iter_mut().zip(found).for_each(|(place, byte)| *place = *byte);
    id(&digits)
}

/// An id in hex that is not all zero.
fn id<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    hex(text).filter(|id| *id != [0; N])
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn link(fields: &[(&str, &str)]) -> Option<Link> {
        let mut trace = Trace::default();
        for (name, value) in fields {
            trace.note(name.as_bytes(), value.as_bytes());
        }
        trace.link()
    }

    #[test]
    fn the_most_exact_field_that_names_a_trace_counts() {
        let trace = hex(TRACE.as_bytes()).unwrap();
        let span = hex(b"b7ad6b7169203331").unwrap();
        let uuid = "0af76519-16cd-43dd-8448-eb211c80319c";
        assert_eq!(link(&[("traceparent", PARENT)]), Some(Link::Span(trace, span, 1)));
        assert_eq!(
            link(&[("correlation_id", &"1".repeat(32)), ("traceparent", PARENT)]),
            Some(Link::Span(trace, span, 1))
        );
        assert_eq!(link(&[("correlation_id", uuid)]), Some(Link::Trace(trace)));
        assert_eq!(link(&[("correlation_id", TRACE), ("traceparent", "no")]), Some(Link::Trace(trace)));
        assert_eq!(
            link(&[("span_id", "b7ad6b7169203331"), ("trace_id", TRACE)]),
            Some(Link::Span(trace, span, 0))
        );
    }

    #[test]
    fn what_names_no_trace_makes_none_up() {
        let zero = "0".repeat(32);
        for (name, value) in [
            ("correlation_id", "order-17"),
            ("correlation_id", ""),
            ("correlation_id", &*zero),
            ("correlation_id", "0af7651916cd-43dd-8448-eb211c80319c00-11"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"),
            ("traceparent", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("trace_id", "0af7"),
            ("span_id", "b7ad6b7169203331"),
        ] {
            assert_eq!(link(&[(name, value)]), None, "{name} {value}");
        }
    }
}
