//! What a frame did wrong.

use crate::frame::Reason;

/// How far its harm goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Ends one request.
    Stream(u32, Reason),
    /// Ends the connection.
    Connection(Reason, &'static str),
}

/// A frame that cannot be.
pub(crate) fn protocol(why: &'static str) -> Fault {
    Fault::Connection(Reason::PROTOCOL_ERROR, why)
}

/// A frame of a length that cannot be.
pub(crate) fn size(why: &'static str) -> Fault {
    Fault::Connection(Reason::FRAME_SIZE_ERROR, why)
}

/// More than windows allow.
pub(crate) fn flow(why: &'static str) -> Fault {
    Fault::Connection(Reason::FLOW_CONTROL_ERROR, why)
}

/// More than is taken from anybody.
pub(crate) fn calm(why: &'static str) -> Fault {
    Fault::Connection(Reason::ENHANCE_YOUR_CALM, why)
}
