//! What an entry means: entries as OTLP requests, and OTLP requests as entries.
//!
//! - [`Format`]: the encoding and the field it is about.
//! - [`Decoder`]: entries of one read become one `Export*ServiceRequest`; what cannot is [`Undecodable`], with the reason.
//! - [`Format::encode`]: a request becomes the fields of entries, each a [`Message`].
//!
//! With `fields` an entry that was read and written again is the same entry: order, names that come twice, and bytes that
//! are not UTF-8 survive. How that is done stands in [`names`].

mod decode;
mod encode;
mod fields;
pub mod fuzz;
mod names;
pub mod opsconductor;
#[cfg(test)]
mod tests;
mod trace;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_pdata::Signal;

pub use decode::{Decoder, Origin, Undecodable};
pub use encode::{Lookup, Message};
pub use fields::Fields;
pub use names::{BODY_POSITION, DELIVERIES, ENTRY_ID, GROUP, STREAM};

/// What the fields of an entry hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// A log record: one field is the body, each other field an attribute.
    #[default]
    Fields,
    /// The same, and the body is JSON.
    Json,
    /// The same, and the body must be there and be text. Only the body is written.
    Text,
    /// One field is an `Export*ServiceRequest` in protobuf.
    OtlpProto,
    /// One field is an `Export*ServiceRequest` in JSON.
    OtlpJson,
    /// OpsConductor's message of eleven members.
    Opsconductor,
}

impl Encoding {
    /// The name in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Fields => "fields",
            Encoding::Json => "json",
            Encoding::Text => "text",
            Encoding::OtlpProto => "otlp_proto",
            Encoding::OtlpJson => "otlp_json",
            Encoding::Opsconductor => "opsconductor",
        }
    }

    /// Whether the encoding can carry a signal: all but the OTLP ones carry log records only.
    pub fn carries(self, signal: Signal) -> bool {
        signal == Signal::Logs || matches!(self, Encoding::OtlpProto | Encoding::OtlpJson)
    }
}

/// The name of the field with the body, or with the request, where nothing else is said.
pub const BODY_KEY: &str = "body";

/// An encoding, and the field it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// What the fields hold.
    pub encoding: Encoding,
    /// The field with the body, or with the request. OpsConductor's messages do not need it.
    pub body_key: String,
}

impl Format {
    /// An encoding with the usual [`BODY_KEY`].
    pub fn of(encoding: Encoding) -> Self {
        Format { encoding, body_key: BODY_KEY.to_owned() }
    }
}
