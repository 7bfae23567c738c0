//! What may go wrong before there is an answer.

/// A request without an answer. Whether the server saw it is unknown unless `failure` is `Connect`.
#[derive(Debug)]
pub struct ClientError {
    /// At which step.
    pub failure: Failure,
    /// What happened, with the endpoint's address.
    pub message: String,
}

/// The step at which a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection: name, TCP, TLS or HTTP handshake. The server has not seen the request.
    Connect,
    /// The connection broke before the answer was complete.
    Broken,
    /// No answer in time.
    Timeout,
    /// The request cannot be sent as it is: a header, a size.
    Invalid,
}

impl ClientError {
    pub(super) fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, message: message.into() }
    }

    pub(super) fn timeout(authority: &str, after: std::time::Duration) -> Self {
        Self::new(Failure::Timeout, format!("{authority}: no answer within {after:?}"))
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClientError {}

/// An error with its causes, which HTTP and TLS stacks hide behind "connection error".
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
