//! What can go wrong: one command, or the whole connection.

use std::fmt;

use redis::ServerError;

use crate::endpoint::Address;

/// A kind of refusal, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The key holds something else.
    WrongType,
    /// There is no such key.
    NoSuchKey,
    /// There is no such consumer group.
    NoSuchGroup,
    /// The user may not do this.
    NoPermission,
    /// The server cannot answer now: loading, busy with a script, without its master.
    Busy,
    /// Another node of the cluster has the key.
    Moved,
    /// The server does not know the command.
    Unsupported,
    /// The reply was larger than the cap.
    TooLarge,
    /// The reply could not be understood.
    Unexpected,
    /// Not sent: the budget of server time is spent.
    Shed,
    /// Not sent: it would hold the server for longer than one command may.
    TooLong,
    /// Anything else.
    Other,
}

impl Fault {
    /// A word for attributes and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::WrongType => "wrong_type",
            Fault::NoSuchKey => "no_such_key",
            Fault::NoSuchGroup => "no_such_group",
            Fault::NoPermission => "no_permission",
            Fault::Busy => "busy",
            Fault::Moved => "moved",
            Fault::Unsupported => "unsupported",
            Fault::TooLarge => "too_large",
            Fault::Unexpected => "unexpected",
            Fault::Shed => "shed",
            Fault::TooLong => "too_long",
            Fault::Other => "other",
        }
    }
}

/// One command was refused; the connection and its neighbours in the pipeline are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The kind.
    pub fault: Fault,
    /// The server's words.
    pub message: String,
}

impl CommandError {
    pub(crate) fn server(error: &ServerError) -> Self {
        let (code, detail) = (error.code(), error.details().unwrap_or(""));
        let fault = match code {
            "WRONGTYPE" => Fault::WrongType,
            "NOGROUP" => Fault::NoSuchGroup,
            "NOPERM" => Fault::NoPermission,
            "LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => Fault::Busy,
            "MOVED" | "ASK" => Fault::Moved,
            _ if detail.contains("no such key") => Fault::NoSuchKey,
            _ if detail.to_ascii_lowercase().contains("unknown") => Fault::Unsupported,
            _ => Fault::Other,
        };
        CommandError { fault, message: format!("{code} {detail}").trim_end().to_owned() }
    }

    /// The reply was not what the command answers.
    pub fn unexpected() -> Self {
        let message = "the reply is not of the form that Redis documents".to_owned();
        CommandError { fault: Fault::Unexpected, message }
    }

    pub(crate) fn shed() -> Self {
        let message = "not asked: the budget of server time (max_server_time) is spent".to_owned();
        CommandError { fault: Fault::Shed, message }
    }

    pub(crate) fn resting() -> Self {
        let message = "not asked: the server loads its data, or a child of it writes them".to_owned();
        CommandError { fault: Fault::Shed, message }
    }

    pub(crate) fn too_long(cost: f64, longest: f64) -> Self {
        let message = format!(
            "not asked: it would hold the server for about {cost:.0} us, and one command may for {longest:.0} us \
             (max_command_time)"
        );
        CommandError { fault: Fault::TooLong, message }
    }

    /// Whether the command itself is refused, and not what it is about: it will be refused again.
    pub(crate) fn is_about_the_command(&self) -> bool {
        let text = self.message.to_ascii_lowercase();
        match self.fault {
            Fault::Unsupported => true,
            Fault::NoPermission => text.contains("run the") || text.contains("this command"),
            _ => false,
        }
    }

    /// Where MOVED or ASK sends: the node's address, and whether ASKING must go before the command.
    pub fn redirect(&self) -> Option<(Address, bool)> {
        Self::redirect_in(&self.message)
    }

    /// The same of an error that was read elsewhere.
    pub fn redirect_in(message: &str) -> Option<(Address, bool)> {
        let mut words = message.split_whitespace();
        let ask = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (host, port) = words.nth(1)?.rsplit_once(':')?;
        Some((Address::Tcp(host.to_owned(), port.parse().ok()?), ask))
    }

    pub(crate) fn too_large(cap: usize) -> Self {
        let message = format!("the reply is larger than {cap} bytes and was not read");
        CommandError { fault: Fault::TooLarge, message }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}

/// The server gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// At which step: `connect`, `tls`, `auth`, `call` or `timeout`.
    pub stage: &'static str,
    /// What happened, and at which address.
    pub message: String,
}

impl Unreachable {
    /// At a step, and what happened.
    pub fn new(stage: &'static str, message: impl fmt::Display) -> Self {
        Unreachable { stage, message: message.to_string() }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.message)
    }
}

impl std::error::Error for Unreachable {}
