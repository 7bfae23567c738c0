//! One HTTP request to a collector on this machine. HTTP/1.0: the answer ends where the connection ends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Status and body of the answer. Each of `headers` is `name: value`.
pub(crate) fn ask(
    method: &str,
    endpoint: &str,
    path: &str,
    headers: &[String],
    patience: Duration,
) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(endpoint)?;
    stream.set_read_timeout(Some(patience))?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nhost: {endpoint}\r\n");
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    write!(stream, "{head}\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}
