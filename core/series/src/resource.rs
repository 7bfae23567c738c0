//! A resource that is kept, with all its attributes and their types.

use std::sync::Arc;

use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_pdata::view::{Attributes, MetricsView};

/// A resource's attributes as bytes; cheap to clone, and to group by: the same attributes in the same order are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource(Arc<[u8]>);

impl Resource {
    /// Keeps a resource's attributes.
    pub fn of(attributes: Attributes<'_>) -> Self {
        // Packed as a request: a point that means nothing, since a resource without items is not written.
        let mut request = MetricsBuilder::new();
        request.resource(attributes).scope("", "").gauge("", "", "").point(0);
        Self(request.finish().as_ref().into())
    }

    /// From the bytes of another.
    pub fn from_bytes(bytes: Arc<[u8]>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.0
    }

    /// The attributes.
    pub fn attributes(&self) -> Attributes<'_> {
        let resource = MetricsView::new(&self.0).resources().next().and_then(Result::ok);
        resource.map_or(Attributes::empty(), |resource| resource.attributes())
    }
}

#[cfg(test)]
mod tests {
    use streamgauge_pdata::build::AnyValue;

    use super::*;

    #[test]
    fn attributes_come_back_with_their_types() {
        let mut request = MetricsBuilder::new();
        request
            .resource(vec![("port", AnyValue::Int(6379)), ("up", AnyValue::Bool(true))])
            .scope("", "")
            .gauge("a", "", "")
            .point(1);
        let bytes = request.finish();
        let attributes = MetricsView::new(&bytes).resources().next().unwrap().unwrap().attributes();
        let resource = Resource::of(attributes);
        let back: Vec<_> =
            resource.attributes().map(|pair| pair.unwrap()).map(|(k, v)| (k, v.to_any().unwrap())).collect();
        assert_eq!(back, [("port", AnyValue::Int(6379)), ("up", AnyValue::Bool(true))]);
        assert_eq!(Resource::of(resource.attributes()), resource);
        assert_eq!(Resource::from_bytes(b"junk".as_slice().into()).attributes().count(), 0);
    }
}
