//! What load, sink and relay have in common: how they speak.

use clap::ValueEnum;
use serde::Serialize;
use streamgauge_transport::Codec;

/// The protocol of both sides of what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Grpc,
    Http,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Transport::Grpc => "grpc",
            Transport::Http => "http",
        }
    }
}

/// How bodies are packed, on the way in and on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    pub fn name(self) -> &'static str {
        match self {
            Packing::None => "none",
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        }
    }

    pub fn codec(self) -> Option<Codec> {
        Codec::from_name(self.name()).flatten()
    }
}

/// The largest frame that our servers ask for, and so what our senders send.
pub const FRAME: u32 = 1 << 20;
pub const STREAM_WINDOW: u32 = 8 << 20;
pub const CONNECTION_WINDOW: u32 = 16 << 20;

/// The largest message anyone here takes: eight times the largest request of a row.
pub const LARGEST: usize = 64 << 20;
