//! rustls configurations from settings.

use std::fmt::Display;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls::{SupportedProtocolVersion, version};

use crate::settings::{TlsClient, TlsServer, TlsVersion};

/// Settings from which no TLS can be made: the key at fault and why.
#[derive(Debug)]
pub struct TlsError {
    /// The key below `tls`.
    pub key: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failed to load TLS config: {}: {}", self.key, self.message)
    }
}

impl std::error::Error for TlsError {}

fn error(key: &'static str, message: impl Display) -> TlsError {
    TlsError { key, message: message.to_string() }
}

impl TlsClient {
    /// The checks that need no file: the key below `tls`, and the message.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = pair_problem(&self.cert_file, &self.key_file);
        found.extend(version_problem(self.min_version, self.max_version));
        found
    }

    /// The rustls configuration; `alpn` lists the protocols to offer, best first. Reads the files.
    pub fn load(&self, alpn: &[&str]) -> Result<Arc<ClientConfig>, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(self.min_version, self.max_version)?)
            .map_err(|e| error("min_version", e))?;
        let builder = if self.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(NoVerify))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let mut config = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(certificates("cert_file", cert)?, private_key(key)?)
                .map_err(|e| error("cert_file", e))?,
            (None, None) => builder.with_no_client_auth(),
            _ => return Err(error("cert_file", PAIR)),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.ca_file {
            for certificate in certificates("ca_file", file)? {
                roots.add(certificate).map_err(|e| error("ca_file", format!("{file}: {e}")))?;
            }
        }
        if self.ca_file.is_none() || self.include_system_ca_certs_pool {
            let system = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(system.certs);
            if added == 0 && self.ca_file.is_none() {
                let text =
                    "the system has no certificate authorities: install ca-certificates or set ca_file";
                return Err(error("ca_file", text));
            }
        }
        Ok(roots)
    }
}

impl TlsServer {
    /// The checks that need no file: the key below `tls`, and the message.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = pair_problem(&self.cert_file, &self.key_file);
        if self.cert_file.is_none() && self.key_file.is_none() {
            found.push(("cert_file", "a server needs cert_file and key_file".to_owned()));
        }
        found.extend(version_problem(self.min_version, self.max_version));
        found
    }

    /// The rustls configuration; `alpn` lists the protocols to take, best first. Reads the files.
    pub fn load(&self, alpn: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
        let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) else {
            return Err(error("cert_file", PAIR));
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(self.min_version, self.max_version)?)
            .map_err(|e| error("min_version", e))?;
        let builder = match &self.client_ca_file {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("client_ca_file", file)? {
                    roots.add(certificate).map_err(|e| error("client_ca_file", format!("{file}: {e}")))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                    .build()
                    .map_err(|e| error("client_ca_file", e))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(certificates("cert_file", cert)?, private_key(key)?)
            .map_err(|e| error("cert_file", e))?;
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}

const PAIR: &str = "cert_file and key_file belong together: set both";

fn pair_problem(cert: &Option<String>, key: &Option<String>) -> Vec<(&'static str, String)> {
    match (cert, key) {
        (Some(_), None) => vec![("cert_file", PAIR.to_owned())],
        (None, Some(_)) => vec![("key_file", PAIR.to_owned())],
        _ => Vec::new(),
    }
}

fn version_problem(min: Option<TlsVersion>, max: Option<TlsVersion>) -> Option<(&'static str, String)> {
    let text = "min_version is above max_version";
    matches!((min, max), (Some(min), Some(max)) if min > max).then(|| ("min_version", text.to_owned()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn versions(
    min: Option<TlsVersion>,
    max: Option<TlsVersion>,
) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let min = min.unwrap_or(TlsVersion::V1_2);
    let max = max.unwrap_or(TlsVersion::V1_3);
    let all = [(TlsVersion::V1_3, &version::TLS13), (TlsVersion::V1_2, &version::TLS12)];
    let versions: Vec<_> = all.into_iter().filter(|(v, _)| *v >= min && *v <= max).map(|(_, v)| v).collect();
    if versions.is_empty() {
        return Err(error("min_version", "min_version is above max_version"));
    }
    Ok(versions)
}

fn certificates(key: &'static str, file: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |e: rustls::pki_types::pem::Error| error(key, format!("{file}: {e}"));
    let found: Vec<_> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(unreadable)?;
    if found.is_empty() { Err(error(key, format!("{file}: no PEM certificate in it"))) } else { Ok(found) }
}

fn private_key(file: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|e| error("key_file", format!("{file}: {e}")))
}

/// `insecure_skip_verify`: whoever answers is believed, but the handshake itself must be sound.
#[derive(Debug)]
struct NoVerify;

impl ServerCertVerifier for NoVerify {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
