//! What an outcome is in the client's terms.

use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::{Outcome, Reason};
use streamgauge_transport::{Code, Encoding, Reply, Status};

/// The delay that a client is told when nobody knows a better one. Without a delay, OTLP clients must not retry a
/// `RESOURCE_EXHAUSTED` at all.
const DELAY: Duration = Duration::from_secs(1);

/// Everything was taken; an empty message says so.
pub(super) const TAKEN: Reply = Reply::Ok(Bytes::new());

/// The same in OTLP/JSON, for which an empty body is no message.
const TAKEN_JSON: Reply = Reply::Ok(Bytes::from_static(b"{\"partialSuccess\":{}}"));

/// An answer in the request's encoding. Refusals are written by the transport.
pub(super) fn written(reply: Reply, encoding: Encoding) -> Reply {
    match (reply, encoding) {
        (Reply::Ok(_), Encoding::Json) => TAKEN_JSON,
        (reply, _) => reply,
    }
}

/// The answer to a request with this outcome.
pub(super) fn to(outcome: &Outcome) -> Reply {
    let status = |code, reason: Reason| {
        let message = match outcome.detail() {
            Some(detail) => format!("{reason}: {detail}"),
            None => reason.to_string(),
        };
        Status::new(code, message)
    };
    match outcome {
        Outcome::Delivered => TAKEN,
        Outcome::Retry { reason, after, .. } => {
            let code = match reason {
                Reason::QueueFull | Reason::MemoryLimit => Code::ResourceExhausted,
                _ => Code::Unavailable,
            };
            Reply::Refused(status(code, *reason).retry_after(after.unwrap_or(DELAY)))
        }
        Outcome::Rejected { reason, .. } if reason.is_about_content() => {
            Reply::Refused(status(Code::InvalidArgument, *reason))
        }
        Outcome::Rejected { reason, .. } => Reply::Refused(status(Code::Internal, *reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(outcome: Outcome) -> (Code, String, Option<Duration>) {
        match to(&outcome) {
            Reply::Refused(status) => (status.code, status.message, status.retry_after),
            Reply::Ok(_) => panic!("{outcome:?} was answered with success"),
        }
    }

    #[test]
    fn pressure_is_resource_exhausted_and_always_names_a_delay() {
        let (code, message, delay) = refusal(Outcome::retry(Reason::QueueFull));
        assert_eq!((code, &*message, delay), (Code::ResourceExhausted, "queue_full", Some(DELAY)));
        let known = Outcome::retry_after(Reason::MemoryLimit, Duration::from_secs(7));
        assert_eq!(
            refusal(known),
            (Code::ResourceExhausted, "memory_limit".into(), Some(Duration::from_secs(7)))
        );
    }

    #[test]
    fn other_retries_are_unavailable_and_rejections_are_permanent() {
        for reason in [Reason::ComponentDown, Reason::RetriesExhausted, Reason::Stopping, Reason::Abandoned] {
            assert_eq!(refusal(Outcome::retry(reason)).0, Code::Unavailable);
        }
        let refused = Outcome::rejected_with(Reason::PeerRefused, "bad name");
        assert_eq!(refusal(refused), (Code::InvalidArgument, "peer_refused: bad name".into(), None));
        assert_eq!(refusal(Outcome::rejected(Reason::Panic)).0, Code::Internal);
        assert_eq!(to(&Outcome::Delivered), TAKEN);
    }
}
