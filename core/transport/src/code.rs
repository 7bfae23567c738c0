//! The gRPC status codes, which of them ask for another try, and what they are in HTTP.

use http::StatusCode;

/// A gRPC status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// Nobody knows why.
    Unknown = 2,
    /// The request is wrong whatever the state of the server.
    InvalidArgument = 3,
    /// The deadline passed first.
    DeadlineExceeded = 4,
    /// What was asked for does not exist.
    NotFound = 5,
    /// What was to be made exists.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// A quota or a buffer is used up.
    ResourceExhausted = 8,
    /// The server is not in the state that the request needs.
    FailedPrecondition = 9,
    /// Stopped by a conflict.
    Aborted = 10,
    /// Past the valid range.
    OutOfRange = 11,
    /// No such service or method.
    Unimplemented = 12,
    /// A fault of the server.
    Internal = 13,
    /// Not now; try again.
    Unavailable = 14,
    /// Data is lost or broken.
    DataLoss = 15,
    /// The caller has not said who it is.
    Unauthenticated = 16,
}

/// In the order of their numbers.
const ALL: [Code; 17] = [
    Code::Ok,
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

impl Code {
    /// The code of a number; numbers that gRPC does not know are `Unknown`.
    pub fn from_number(number: i64) -> Self {
        usize::try_from(number).ok().and_then(|n| ALL.get(n)).copied().unwrap_or(Code::Unknown)
    }

    /// The number on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name as gRPC's documents write it.
    pub fn name(self) -> &'static str {
        match self {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// Whether OTLP lets a client send the same request again. `ResourceExhausted` is retryable only when
    /// the server names a delay: see [`Status::is_retryable`](crate::Status::is_retryable).
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss
        )
    }

    /// The HTTP status that an OTLP/HTTP server gives for this code (the Collector's table).
    pub fn to_http(self) -> StatusCode {
        match self {
            Code::Ok => StatusCode::OK,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::Unimplemented => StatusCode::NOT_FOUND,
            code if code.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What a gRPC client makes of an HTTP status that came without a gRPC status (a proxy's answer; gRPC's
    /// own table).
    pub fn from_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_agree_with_tonic() {
        for number in 0..20 {
            let theirs = tonic::Code::from_i32(number);
            assert_eq!(Code::from_number(number.into()).number() as i32, theirs as i32);
        }
        assert_eq!(Code::from_number(-1), Code::Unknown);
    }

    #[test]
    fn every_code_has_the_collectors_http_status() {
        let expected = [200, 503, 500, 400, 503, 500, 500, 403, 429, 500, 503, 503, 404, 500, 503, 503, 401];
        for (code, status) in ALL.iter().zip(expected) {
            assert_eq!(code.to_http().as_u16(), status, "{code}");
        }
    }
}
