//! What helps against a failed TLS handshake.

use streamgauge_transport::TlsClient;

/// By the words of the error; `otherwise` when they tell nothing.
pub(super) fn advice(text: &str, tls: &TlsClient, otherwise: &str) -> String {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let told = if has(&["UnknownIssuer", "BadSignature"]) {
        return match &tls.ca_file {
            Some(file) => {
                format!("{file} has not signed the peer's certificate: correct `tls: ca_file`")
            }
            None => "set `tls: ca_file` to the authority that signed the peer's certificate".to_owned(),
        };
    } else if has(&["NotValidForName", "not valid for name"]) {
        "connect by a name that the certificate has, or set `tls: server_name_override` to one"
    } else if has(&["Expired", "expired"]) {
        "renew the peer's certificate, or correct the clock of this machine"
    } else if has(&["CertificateRequired", "HandshakeFailure", "BadCertificate"]) {
        "the peer wants a client's certificate: set `tls: cert_file` and `key_file`"
    } else if has(&["CaUsedAsEndEntity"]) {
        "the peer shows an authority's certificate as its own: give it one of its own"
    } else {
        otherwise
    };
    told.to_owned()
}
