//! Whole bodies at once, with states that are made once a thread: libdeflate for gzip and zlib, zstd's one-shot calls.
//!
//! Unpacking needs the size of what comes out. Where the body does not say it, or may not be telling the truth, there is
//! `None`, and the body is to be streamed.

use std::cell::RefCell;
use std::io;

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor, Decompressor};

/// A deflate stream is at most so many times smaller than what it holds.
const DEFLATE_RATIO: usize = 1032;
/// What is kept of a thread's buffer between two bodies.
const KEPT: usize = 1 << 20;

#[derive(Default)]
struct States {
    pack: Option<(i32, Compressor)>,
    unpack: Option<Decompressor>,
    zstd_pack: Option<zstd::bulk::Compressor<'static>>,
    zstd_unpack: Option<zstd::bulk::Decompressor<'static>>,
    /// As large as the worst case wants it; the result is copied out at its own size.
    buffer: Vec<u8>,
}

thread_local! {
    static STATES: RefCell<States> = RefCell::default();
}

/// The container around a deflate stream.
#[derive(Clone, Copy)]
pub(super) enum Wrap {
    Gzip,
    Zlib,
}

/// `level` is 1 to 12.
pub(super) fn deflate(wrap: Wrap, plain: &[u8], level: i32) -> io::Result<Bytes> {
    STATES.with_borrow_mut(|States { pack, buffer, .. }| {
        if pack.as_ref().is_none_or(|(of, _)| *of != level) {
            let wrong = |_| io::Error::other(format!("there is no deflate level {level}"));
            *pack = Some((level, Compressor::new(CompressionLvl::new(level).map_err(wrong)?)));
        }
        let Some((_, state)) = pack else { return Err(io::Error::other("no deflate state")) };
        let bound = match wrap {
            Wrap::Gzip => state.gzip_compress_bound(plain.len()),
            Wrap::Zlib => state.zlib_compress_bound(plain.len()),
        };
        if buffer.len() < bound {
            buffer.resize(bound, 0);
        }
        let size = match wrap {
            Wrap::Gzip => state.gzip_compress(plain, buffer),
            Wrap::Zlib => state.zlib_compress(plain, buffer),
        };
        let packed = Bytes::copy_from_slice(&buffer[..size.map_err(io::Error::other)?]);
        if buffer.len() > KEPT {
            *buffer = Vec::new();
        }
        Ok(packed)
    })
}

/// The size stands behind the stream, modulo 2^32, and only that of the last member: a body in which another may begin is
/// not for this.
pub(super) fn gunzip(packed: &[u8], limit: usize) -> Option<Bytes> {
    let size = u32::from_le_bytes(*packed.last_chunk()?) as usize;
    let another = memchr::memmem::find(&packed[1..], b"\x1f\x8b\x08").is_some();
    if another || size > limit || size / DEFLATE_RATIO > packed.len() {
        return None;
    }
    let mut plain = vec![0; size];
    let found = STATES.with_borrow_mut(|states| {
        states.unpack.get_or_insert_with(Decompressor::new).gzip_decompress(packed, &mut plain)
    });
    (found == Ok(size)).then(|| plain.into())
}

pub(super) fn zstd(plain: &[u8], level: i32) -> io::Result<Bytes> {
    STATES.with_borrow_mut(|states| {
        let state = match &mut states.zstd_pack {
            Some(state) => state,
            slot => slot.insert(zstd::bulk::Compressor::new(level)?),
        };
        state.set_compression_level(level)?;
        let mut packed = state.compress(plain)?;
        packed.shrink_to_fit(); // it was sized for the worst case
        Ok(packed.into())
    })
}

/// Most encoders write the size in front when they know it.
pub(super) fn unzstd(packed: &[u8], limit: usize) -> Option<Bytes> {
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok()??;
    let size = usize::try_from(size).ok().filter(|size| *size <= limit)?;
    let plain = STATES.with_borrow_mut(|states| {
        let state = match &mut states.zstd_unpack {
            Some(state) => state,
            slot => slot.insert(zstd::bulk::Decompressor::new().ok()?),
        };
        state.decompress(packed, size).ok()
    })?;
    (plain.len() == size).then(|| plain.into())
}
