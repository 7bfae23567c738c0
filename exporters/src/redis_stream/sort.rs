//! An OTLP request, cut by the streams that its records name.

use bytes::Bytes;
use streamgauge_component::Signal;
use streamgauge_pdata::edit::{Headers, Record, ResourceHeader, Unread, edit_resources};
use streamgauge_pdata::view::Attributes;
use streamgauge_pdata::view::LogsView;
use streamgauge_pdata::{Body, Grouper, Malformed, regroup, split_resources};

use super::name::Namer;

/// The attribute that tells a resource's stream while a request is being cut.
const STREAM: &str = "streamgauge.redis_stream.exporter.key";

/// The number of the stream for records that would make more requests than their size allows.
const OVERFLOW: &str = "0";

/// What goes to one stream.
#[derive(Debug)]
pub(super) struct Share {
    /// The key without its shard, and the shard where an attribute decides on it; nothing where no data is asked.
    pub name: Option<(Vec<u8>, Option<u64>)>,
    /// The request.
    pub bytes: Bytes,
}

/// Cuts a request into one for each stream that its records name, in the order in which these come first. A record's
/// attribute counts before its resource's.
pub(super) fn sort(namer: &Namer, signal: Signal, request: &Bytes) -> Result<Vec<Share>, Malformed> {
    let mut finder = Finder {
        namer,
        signal,
        resource: Vec::new(),
        names: vec![namer.overflow(signal)],
        key: String::new(),
    };
    let mut marked = Body::from(request.clone());
    regroup(signal, &mut marked, STREAM, OVERFLOW, &mut finder)?;
    let Finder { names, .. } = finder;
    let mut shares: Vec<(usize, Vec<Bytes>)> = Vec::new();
    for resource in split_resources(signal, marked.whole())? {
        // A resource without records is marked by nobody: it goes with its neighbour.
        let at = mark(&resource.bytes).or_else(|| shares.last().map(|(at, _)| *at)).unwrap_or(0);
        match shares.iter_mut().find(|(known, _)| *known == at) {
            Some((_, pieces)) => pieces.push(resource.bytes),
            None => shares.push((at, vec![resource.bytes])),
        }
    }
    let share = |(at, pieces): (usize, Vec<Bytes>)| {
        let mut bytes = Body::from(pieces.concat());
        edit_resources(signal, &mut bytes, |resource| {
            resource.remove(STREAM);
        })?;
        let name = names.get(at).cloned().unwrap_or_else(|| namer.name(signal, &|_| None));
        Ok(Share { name: Some(name), bytes: bytes.into() })
    };
    shares.into_iter().map(share).collect()
}

/// The number of the stream that a resource is marked with.
fn mark(resource: &[u8]) -> Option<usize> {
    // A resource lies at the same place in the requests of all signals.
    let resource = LogsView::new(resource).resources().flatten().next()?;
    resource.attributes().get(STREAM).ok()??.to_text().ok()?.parse().ok()
}

/// Finds the stream of each record.
struct Finder<'n> {
    namer: &'n Namer,
    signal: Signal,
    /// What the resource says of the attributes that matter.
    resource: Vec<(String, String)>,
    /// The streams so far, after the one for what would make too many.
    names: Vec<(Vec<u8>, Option<u64>)>,
    key: String,
}

impl Headers for Finder<'_> {
    fn resource(&mut self, resource: Unread<'_, ResourceHeader<'_>>) {
        self.resource.clear();
        let Ok(resource) = resource.read() else { return };
        for name in self.namer.attributes() {
            if let Some(value) = text(resource.attributes(), name) {
                self.resource.push((name.to_owned(), value.into_owned()));
            }
        }
    }
}

impl Grouper for Finder<'_> {
    fn key(&mut self, record: &Record<'_>) -> &str {
        let below =
            |name: &str| self.resource.iter().find(|(known, _)| known == name).map(|(_, text)| text.into());
        let get = |name: &str| text(record.attributes(), name).or_else(|| below(name));
        let name = self.namer.name(self.signal, &get);
        let at = self.names.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        self.key = at.to_string();
        &self.key
    }
}

fn text<'a>(attributes: Attributes<'a>, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    attributes.get(name).ok()??.to_text().ok()
}
