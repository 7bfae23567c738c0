use bytes::{Bytes, BytesMut};
use streamgauge_pdata::edit::Edited;
use streamgauge_pdata::{Body, Malformed};

/// A request after an edit.
#[derive(Debug, PartialEq)]
pub struct After {
    pub bytes: Body,
    pub changed: usize,
    pub broken: usize,
}

/// What an edit makes of a request that somebody else has, too.
pub fn after(request: &Bytes, edit: impl FnOnce(&mut Body) -> Result<Edited, Malformed>) -> After {
    edited(request.clone().into(), edit)
}

/// What it makes of one that nobody else has, in a buffer with room to grow.
pub fn after_in_place(request: &[u8], edit: impl FnOnce(&mut Body) -> Result<Edited, Malformed>) -> After {
    let mut alone = BytesMut::with_capacity(2 * request.len() + 1024);
    alone.extend_from_slice(request);
    edited(alone.freeze().into(), edit)
}

fn edited(mut bytes: Body, edit: impl FnOnce(&mut Body) -> Result<Edited, Malformed>) -> After {
    let Edited { changed, broken } = edit(&mut bytes).unwrap();
    After { bytes, changed, broken }
}
