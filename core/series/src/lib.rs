//! A series' identity from views, deltas that know resets, exponential histograms, staleness.
