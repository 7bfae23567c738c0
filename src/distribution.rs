//! The one list of components in this binary.

use streamgauge_engine::Distribution;

/// What this binary can run. Registration is these slices and nothing else.
pub static DISTRIBUTION: Distribution =
    Distribution { receivers: &[], processors: &[], connectors: &[], exporters: &[], extensions: &[] };
