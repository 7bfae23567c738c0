//! The consumer-lag API's gauge.

use super::From::Attribute;
use super::{GAUGE, Label, Row, Table, label, row};

pub(super) static TABLE: Table = Table { replaces: false, rows: ROWS, ratios: &[], labels: &[] };

const GROUP: &[Label] = &[label("stream", Attribute("stream")), label("consumer_group", Attribute("group"))];

static ROWS: &[Row] = &[
    row("redis.stream.group.lag", "consumer_lag", GAUGE, GROUP),
    row("redis.stream.group.velocity", "consumer_lag_velocity", GAUGE, GROUP),
];
