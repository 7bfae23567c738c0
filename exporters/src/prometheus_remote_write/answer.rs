//! What a receiver's answer asks for.

use std::time::SystemTime;

use streamgauge_component::ExportError;
use streamgauge_transport::{ClientError, Failure, HttpAnswer, retry_after};

/// Why a message was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// For what is in it; the receiver's words.
    Content(String),
    /// For now, or for a reason of the receiver's own.
    Error(ExportError),
}

/// Reads an answer. The body of a refusal is handed on word for word: receivers' error texts are for people.
pub(super) fn read(answer: Result<HttpAnswer, ClientError>, url: &str) -> Result<(), Refusal> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.failure == Failure::Invalid => {
            return Err(Refusal::Error(ExportError::peer(error.message)));
        }
        Err(error) => return Err(Refusal::Error(ExportError::unreachable(error.message))),
    };
    if answer.status.is_success() {
        return Ok(());
    }
    let code = answer.status.as_u16();
    let words = String::from_utf8_lossy(&answer.body);
    let text = format!("{url} answered {code}: {}", words.trim());
    Err(match code {
        // Too many requests is a wish to wait; so is every fault of the server.
        429 | 500..=599 => {
            Refusal::Error(ExportError::busy(retry_after(&answer.headers, SystemTime::now()), text))
        }
        400 | 413 | 422 => Refusal::Content(text),
        _ => Refusal::Error(ExportError::peer(text)),
    })
}
