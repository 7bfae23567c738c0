//! The resource of a series, kept as bytes: with all its attributes and their types.

use std::sync::Arc;

use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_pdata::view::{Attributes, MetricsView};

/// Packs a resource's attributes: a request of one point that means nothing.
pub(super) fn pack(resource: Attributes<'_>) -> Arc<[u8]> {
    let mut request = MetricsBuilder::new();
    request.resource(resource).scope("", "").gauge("", "", "").point(0);
    request.finish().as_ref().into()
}

/// The attributes that were packed.
pub(super) fn unpack(origin: &[u8]) -> Attributes<'_> {
    let resource = MetricsView::new(origin).resources().next().and_then(Result::ok);
    resource.map_or(Attributes::empty(), |resource| resource.attributes())
}
