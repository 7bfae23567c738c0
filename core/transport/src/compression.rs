//! Packing and unpacking whole bodies. Unpacking stops at a limit, so that a small body cannot become a
//! large one in memory.

mod whole;

use std::io::{self, Read, Write as _};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// RFC 1950; HTTP calls it both `deflate` and `zlib`.
    Zlib,
    /// Snappy's bare block, as Prometheus remote write and OTLP/HTTP use it.
    SnappyBlock,
    /// Snappy's framed stream, as gRPC uses it.
    SnappyFramed,
    /// LZ4's frames.
    Lz4,
}

impl Codec {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Codec::Gzip, Codec::Zstd, Codec::Zlib, Codec::SnappyBlock, Codec::SnappyFramed, Codec::Lz4];
}

/// Why a body could not be unpacked.
#[derive(Debug, PartialEq, Eq)]
pub enum UnpackError {
    /// It would be larger than the limit, in bytes.
    TooLarge(usize),
    /// It is not what its encoding says.
    Corrupt(String),
}

/// Bodies below this many bytes are sent as they are: packing them costs more than it saves.
pub const PACK_FROM: usize = 512;

/// The codings this server takes, as `Accept-Encoding` and `grpc-accept-encoding` list them.
pub(crate) const ACCEPTED: &str = "gzip, zstd, zlib, deflate, snappy, x-snappy-framed, lz4";

impl Codec {
    /// The codec of a `content-encoding` or `grpc-encoding`: `Some(None)` for no packing, `None` for a name
    /// that is not known.
    pub fn from_name(name: &str) -> Option<Option<Self>> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "none" => Some(None),
            "gzip" => Some(Some(Codec::Gzip)),
            "zstd" => Some(Some(Codec::Zstd)),
            "zlib" | "deflate" => Some(Some(Codec::Zlib)),
            // Peers of both kinds call theirs `snappy`; unpacking tells them apart by the first bytes.
            "snappy" => Some(Some(Codec::SnappyBlock)),
            "x-snappy-framed" => Some(Some(Codec::SnappyFramed)),
            "lz4" => Some(Some(Codec::Lz4)),
            _ => None,
        }
    }

    /// Unpacks a whole body of at most `limit` bytes.
    pub fn unpack(self, packed: &[u8], limit: usize) -> Result<Bytes, UnpackError> {
        match self {
            Codec::Gzip => match whole::gunzip(packed, limit) {
                Some(plain) => Ok(plain),
                None => read(flate2::bufread::MultiGzDecoder::new(packed), packed.len() * 4, limit),
            },
            Codec::Zlib => read(flate2::bufread::ZlibDecoder::new(packed), packed.len() * 4, limit),
            Codec::Zstd => {
                if let Some(plain) = whole::unzstd(packed, limit) {
                    return Ok(plain);
                }
                let corrupt = |error: io::Error| UnpackError::Corrupt(error.to_string());
                let mut decoder = zstd::Decoder::with_buffer(packed).map_err(corrupt)?;
                // A frame says how much history it needs; 8 MiB is what usual encoders ask for at most.
                decoder.window_log_max(limit.max(8 << 20).ilog2()).map_err(corrupt)?;
                read(decoder, packed.len() * 4, limit)
            }
            // A framed stream of nothing is nothing.
            Codec::SnappyBlock | Codec::SnappyFramed if packed.is_empty() => Ok(Bytes::new()),
            Codec::SnappyBlock | Codec::SnappyFramed if packed.starts_with(b"\xff\x06\0\0sNaPpY") => {
                read(snap::read::FrameDecoder::new(packed), packed.len() * 4, limit)
            }
            Codec::SnappyBlock | Codec::SnappyFramed => {
                let corrupt = |error: snap::Error| UnpackError::Corrupt(error.to_string());
                if snap::raw::decompress_len(packed).map_err(corrupt)? > limit {
                    return Err(UnpackError::TooLarge(limit));
                }
                Ok(snap::raw::Decoder::new().decompress_vec(packed).map_err(corrupt)?.into())
            }
            Codec::Lz4 => read(lz4_flex::frame::FrameDecoder::new(packed), packed.len() * 4, limit),
        }
    }

    /// Packs a whole body. `level` is the codec's own number; `None` takes the fast one (1 for gzip, zlib
    /// and zstd: on telemetry, higher levels cost more time than they save bytes).
    pub fn pack(self, plain: &[u8], level: Option<i32>) -> io::Result<Bytes> {
        match self {
            Codec::Gzip => whole::deflate(whole::Wrap::Gzip, plain, deflate_level(level)),
            Codec::Zlib => whole::deflate(whole::Wrap::Zlib, plain, deflate_level(level)),
            Codec::Zstd => whole::zstd(plain, level.unwrap_or(1)),
            Codec::SnappyBlock => {
                Ok(snap::raw::Encoder::new().compress_vec(plain).map_err(io::Error::other)?.into())
            }
            Codec::SnappyFramed => {
                let mut encoder = snap::write::FrameEncoder::new(Vec::with_capacity(plain.len() / 2));
                encoder.write_all(plain)?;
                Ok(encoder.into_inner().map_err(|error| io::Error::other(error.to_string()))?.into())
            }
            Codec::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::with_capacity(plain.len() / 2));
                encoder.write_all(plain)?;
                Ok(encoder.finish().map_err(io::Error::other)?.into())
            }
        }
    }
}

/// The `compression` key of a client, with the Collector's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not packed.
    #[serde(alias = "")]
    None,
    /// gzip, which every OTLP server must understand.
    #[default]
    Gzip,
    /// Zstandard: faster than gzip and smaller.
    Zstd,
    /// Snappy: fastest, largest.
    Snappy,
    /// zlib (HTTP only).
    Zlib,
    /// The same as `zlib` (HTTP only).
    Deflate,
    /// Snappy's framed stream under its own name (HTTP only).
    #[serde(rename = "x-snappy-framed")]
    SnappyFramed,
    /// LZ4's frames (HTTP only).
    Lz4,
}

impl Compression {
    /// The codec and the `content-encoding` for HTTP.
    pub fn http(self) -> Option<(Codec, &'static str)> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some((Codec::Gzip, "gzip")),
            Compression::Zstd => Some((Codec::Zstd, "zstd")),
            Compression::Snappy => Some((Codec::SnappyBlock, "snappy")),
            Compression::Zlib => Some((Codec::Zlib, "zlib")),
            Compression::Deflate => Some((Codec::Zlib, "deflate")),
            Compression::SnappyFramed => Some((Codec::SnappyFramed, "x-snappy-framed")),
            Compression::Lz4 => Some((Codec::Lz4, "lz4")),
        }
    }

    /// The codec and the `grpc-encoding`; an error names a value that gRPC does not have.
    pub fn grpc(self) -> Result<Option<(Codec, &'static str)>, String> {
        match (self, self.http()) {
            (Compression::Snappy, _) => Ok(Some((Codec::SnappyFramed, "snappy"))),
            (Compression::None | Compression::Gzip | Compression::Zstd, packing) => Ok(packing),
            (_, packing) => Err(format!(
                "unsupported compression type {:?}: gRPC has none, gzip, zstd, snappy",
                packing.map_or("none", |(_, name)| name)
            )),
        }
    }

    /// Why requests cannot be packed as hard as `level` says, if so. 0 is the fast level.
    pub fn level_problem(self, level: i32) -> Option<String> {
        let known = match self {
            Compression::Gzip | Compression::Zlib | Compression::Deflate => (-2..=9).contains(&level),
            Compression::Zstd => true,
            _ => level == 0,
        };
        let name = self.http().map_or("none", |(_, name)| name);
        (!known).then(|| format!("unsupported parameters {{Level:{level}}} for compression type {name:?}"))
    }
}

fn deflate_level(level: Option<i32>) -> i32 {
    level.unwrap_or(1).clamp(1, 9)
}

fn read(reader: impl Read, hint: usize, limit: usize) -> Result<Bytes, UnpackError> {
    // One byte more than allowed tells a body that fits from one that does not; one more spares
    // `read_to_end` a doubling when the hint was exact.
    let mut plain = Vec::with_capacity(hint.min(limit) + 2);
    let size = reader
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| UnpackError::Corrupt(error.to_string()))?;
    if size > limit { Err(UnpackError::TooLarge(limit)) } else { Ok(plain.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Vec<u8> {
        (0..100_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 20).to_le_bytes()).collect()
    }

    #[test]
    fn what_is_packed_comes_back_also_with_a_used_state_and_another_level() {
        for codec in Codec::ALL {
            for level in [None, Some(6), None] {
                for plain in [&plain()[..], b"", b"x"] {
                    let packed = codec.pack(plain, level).unwrap();
                    assert_eq!(codec.unpack(&packed, plain.len()).unwrap(), plain, "{codec:?}");
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let zeros = vec![0; 50 << 20];
        for codec in Codec::ALL {
            let bomb = codec.pack(&zeros, Some(6)).unwrap();
            assert!(bomb.len() < 3 << 20);
            assert_eq!(codec.unpack(&bomb, 1 << 20), Err(UnpackError::TooLarge(1 << 20)), "{codec:?}");
        }
    }

    #[test]
    fn gzip_members_in_a_row_are_one_body() {
        let mut packed = Codec::Gzip.pack(b"one ", None).unwrap().to_vec();
        packed.extend_from_slice(&Codec::Gzip.pack(b"two", None).unwrap());
        assert_eq!(Codec::Gzip.unpack(&packed, 100).unwrap(), "one two");
        // Of twins the size at the end is right for the first, too.
        let twice = Codec::Gzip.pack(b"one ", None).unwrap().repeat(2);
        assert_eq!(Codec::Gzip.unpack(&twice, 100).unwrap(), "one one ");
        let frames = Codec::Zstd.pack(b"one ", None).unwrap().repeat(2);
        assert_eq!(Codec::Zstd.unpack(&frames, 100).unwrap(), "one one ");
    }

    #[test]
    fn bodies_of_foreign_encoders_that_stream_are_unpacked() {
        use std::io::Write as _;
        let plain = plain();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&plain).unwrap();
        assert!(Codec::Gzip.unpack(&gzip.finish().unwrap(), plain.len()).unwrap() == plain);
        let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
        zstd.write_all(&plain).unwrap();
        assert!(Codec::Zstd.unpack(&zstd.finish().unwrap(), plain.len()).unwrap() == plain);
    }

    #[test]
    fn a_size_that_lies_is_not_believed() {
        let mut packed = Codec::Gzip.pack(&plain(), None).unwrap().to_vec();
        let end = packed.len() - 4;
        for size in [0, 1, 399_999, 400_001, u32::MAX] {
            packed[end..].copy_from_slice(&u32::to_le_bytes(size));
            let unpacked = Codec::Gzip.unpack(&packed, 1 << 20);
            assert!(matches!(unpacked, Err(UnpackError::Corrupt(_))), "{size}");
        }
    }

    #[test]
    fn cut_or_foreign_bodies_are_corrupt() {
        for codec in Codec::ALL {
            let packed = codec.pack(&plain(), None).unwrap();
            let cut = codec.unpack(&packed[..packed.len() / 2], 1 << 20);
            assert!(matches!(cut, Err(UnpackError::Corrupt(_))), "{codec:?}: {cut:?}");
        }
        assert!(matches!(Codec::Gzip.unpack(b"hello", 10), Err(UnpackError::Corrupt(_))));
    }

    #[test]
    fn every_name_that_a_client_sends_is_one_that_a_server_knows_and_grpc_says_what_it_has_not() {
        let all: Vec<Compression> = serde_json::from_str(
            r#"["", "none", "gzip", "zstd", "snappy", "zlib", "deflate", "x-snappy-framed", "lz4"]"#,
        )
        .unwrap();
        for one in all {
            let (codec, name) = one.http().map_or((None, ""), |(codec, name)| (Some(codec), name));
            assert!(ACCEPTED.split(", ").any(|accepted| accepted == name) || name.is_empty());
            let plain = b"plain".repeat(100);
            if let Some(codec) = codec {
                let server = Codec::from_name(name).unwrap().unwrap();
                assert_eq!(server.unpack(&codec.pack(&plain, None).unwrap(), 500).unwrap(), plain, "{name}");
            }
            let grpc = ["", "gzip", "zstd", "snappy"].contains(&name);
            assert_eq!(one.grpc().is_ok(), grpc, "{name}");
        }
    }

    #[test]
    fn a_level_that_a_packing_does_not_have_is_a_problem() {
        for (packing, level, good) in [
            (Compression::Gzip, 9, true),
            (Compression::Gzip, -1, true),
            (Compression::Zlib, 10, false),
            (Compression::Zstd, 22, true),
            (Compression::Snappy, 0, true),
            (Compression::Lz4, 3, false),
        ] {
            assert_eq!(packing.level_problem(level).is_none(), good, "{packing:?} {level}");
        }
        let text = Compression::Snappy.level_problem(3).unwrap();
        assert_eq!(text, r#"unsupported parameters {Level:3} for compression type "snappy""#);
    }

    #[test]
    fn both_kinds_of_snappy_are_read_under_its_name() {
        let codec = Codec::from_name("snappy").unwrap().unwrap();
        for writer in [Codec::SnappyBlock, Codec::SnappyFramed] {
            assert_eq!(codec.unpack(&writer.pack(b"hello", None).unwrap(), 5).unwrap(), "hello");
        }
    }
}
