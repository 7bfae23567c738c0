//! rustls configurations from settings.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, RootCertStore, ServerConfig, SignatureScheme};
use rustls::{SupportedProtocolVersion, version};

use streamgauge_config::{REREAD_EVERY, Reread, Secret};

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

/// A client's rustls configuration as its files are now.
pub type ClientTls = Reread<ClientConfig>;
/// A server's rustls configuration as its files are now.
pub type ServerTls = Reread<ServerConfig>;

/// Connections that are there go on with what they began with.
fn reread<T>(
    files: [&Option<String>; 3],
    every: Option<Duration>,
    make: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
) -> Result<Arc<Reread<T>>, TlsError> {
    make()?; // once more than needed: for the key at fault
    let files = files.into_iter().flatten().filter(|file| !file.is_empty()).map(PathBuf::from);
    let made = Reread::new(files, every.unwrap_or(REREAD_EVERY), move || make().map_err(|e| e.to_string()));
    made.map(Arc::new).map_err(|why| error("cert_file", why))
}

fn owned(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.as_bytes().to_vec()).collect()
}

impl TlsClient {
    /// The checks that need no file: the key below `tls`, and the message.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = self.pair().err().into_iter().collect::<Vec<_>>();
        found.extend(Pem::of("ca_file", &self.ca_file, &self.ca_pem).err());
        found.extend(self.tpm.problem());
        found.extend(version_problem(self.min_version, self.max_version));
        found.extend(self.provider().err().map(|error| (error.key, error.message)));
        found
    }

    fn pair(&self) -> Result<Option<(Pem<'_>, Pem<'_>)>, Problem> {
        pair((&self.cert_file, &self.cert_pem), (&self.key_file, &self.key_pem))
    }

    /// The rustls configuration; `alpn` lists the protocols to offer, best first. Reads the files, and again when they
    /// change.
    pub fn load(&self, alpn: &[&str]) -> Result<Arc<ClientTls>, TlsError> {
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        let (settings, alpn) = (self.clone(), owned(alpn));
        reread(files, self.reload_interval, move || settings.config(&alpn))
    }

    fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        provider(&self.cipher_suites, &self.curve_preferences)
    }

    fn config(&self, alpn: &[Vec<u8>]) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(self.provider()?)
            .with_protocol_versions(&versions(self.min_version, self.max_version)?)
            .map_err(|e| error("min_version", e))?;
        let builder = if self.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(NoVerify))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let mut config = match self.pair()? {
            Some((cert, key)) => builder
                .with_client_auth_cert(cert.certificates()?, key.private_key()?)
                .map_err(|e| error("cert_file", e))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.to_vec();
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let own = Pem::of("ca_file", &self.ca_file, &self.ca_pem)?;
        let mut roots = own.as_ref().map_or_else(|| Ok(RootCertStore::empty()), Pem::roots)?;
        if own.is_none() || self.include_system_ca_certs_pool {
            let system = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(system.certs);
            if added == 0 && own.is_none() {
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
        let mut found = self.pair().err().into_iter().collect::<Vec<_>>();
        found.extend(self.tpm.problem());
        found.extend(version_problem(self.min_version, self.max_version));
        found.extend(self.provider().err().map(|error| (error.key, error.message)));
        found
    }

    fn pair(&self) -> Result<(Pem<'_>, Pem<'_>), Problem> {
        let pair = pair((&self.cert_file, &self.cert_pem), (&self.key_file, &self.key_pem))?;
        pair.ok_or_else(|| ("cert_file", "a server needs cert_file and key_file".to_owned()))
    }

    /// The rustls configuration; `alpn` lists the protocols to take, best first. Reads the files, and again when they
    /// change.
    pub fn load(&self, alpn: &[&str]) -> Result<Arc<ServerTls>, TlsError> {
        let files = [&self.client_ca_file, &self.cert_file, &self.key_file];
        let (settings, alpn) = (self.clone(), owned(alpn));
        reread(files, self.reload_interval, move || settings.config(&alpn))
    }

    fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        provider(&self.cipher_suites, &self.curve_preferences)
    }

    fn config(&self, alpn: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
        let (cert, key) = self.pair()?;
        let builder = ServerConfig::builder_with_provider(self.provider()?)
            .with_protocol_versions(&versions(self.min_version, self.max_version)?)
            .map_err(|e| error("min_version", e))?;
        let builder = match &self.client_ca_file {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let roots = Pem { key: "client_ca_file", source: Source::File(file) }.roots()?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), self.provider()?)
                    .build()
                    .map_err(|e| error("client_ca_file", e))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(cert.certificates()?, key.private_key()?)
            .map_err(|e| error("cert_file", e))?;
        config.alpn_protocols = alpn.to_vec();
        Ok(config)
    }
}

/// The key at fault below `tls`, and why.
type Problem = (&'static str, String);

impl From<Problem> for TlsError {
    fn from((key, message): Problem) -> Self {
        TlsError { key, message }
    }
}

/// PEM from a file or from the configuration itself.
struct Pem<'a> {
    key: &'static str,
    source: Source<'a>,
}

enum Source<'a> {
    File(&'a str),
    Text(&'a str),
}

impl<'a> Pem<'a> {
    fn of(
        key: &'static str,
        file: &'a Option<String>,
        text: &'a Option<String>,
    ) -> Result<Option<Self>, Problem> {
        Pem::either(key, file.as_deref(), text.as_deref())
    }

    /// An empty text is as good as none, as in the Collector.
    fn either(
        key: &'static str,
        file: Option<&'a str>,
        text: Option<&'a str>,
    ) -> Result<Option<Self>, Problem> {
        let source = match (file.filter(|f| !f.is_empty()), text.filter(|t| !t.is_empty())) {
            (None, None) => return Ok(None),
            (Some(file), None) => Source::File(file),
            (None, Some(text)) => Source::Text(text),
            (Some(_), Some(_)) => return Err((key, format!("set {key} or the text in its place, not both"))),
        };
        Ok(Some(Pem { key, source }))
    }

    fn error(&self, why: impl Display) -> TlsError {
        match self.source {
            Source::File(file) => error(self.key, format!("{file}: {why}")),
            Source::Text(_) => error(self.key, why),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = match self.source {
            Source::File(file) => CertificateDer::pem_file_iter(file).and_then(Iterator::collect),
            Source::Text(text) => CertificateDer::pem_slice_iter(text.as_bytes()).collect(),
        };
        let found = found.map_err(|e| self.error(e))?;
        if found.is_empty() { Err(self.error("no PEM certificate in it")) } else { Ok(found) }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let key = match self.source {
            Source::File(file) => PrivateKeyDer::from_pem_file(file),
            Source::Text(text) => PrivateKeyDer::from_pem_slice(text.as_bytes()),
        };
        key.map_err(|e| self.error(e))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|e| self.error(e))?;
        }
        Ok(roots)
    }
}

/// Certificate and key, which belong together; `None` when neither is there.
fn pair<'a>(
    (cert_file, cert_pem): (&'a Option<String>, &'a Option<String>),
    (key_file, key_pem): (&'a Option<String>, &'a Option<Secret>),
) -> Result<Option<(Pem<'a>, Pem<'a>)>, Problem> {
    let text = "certificate and key belong together: set cert_file and key_file".to_owned();
    let cert = Pem::of("cert_file", cert_file, cert_pem)?;
    let key = Pem::either("key_file", key_file.as_deref(), key_pem.as_ref().map(Secret::expose))?;
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(("key_file", text)),
        (None, Some(_)) => Err(("cert_file", text)),
    }
}

fn version_problem(min: Option<TlsVersion>, max: Option<TlsVersion>) -> Option<(&'static str, String)> {
    let text = "min_version is above max_version";
    matches!((min, max), (Some(min), Some(max)) if min > max).then(|| ("min_version", text.to_owned()))
}

/// The cryptography with these suites and curves alone. What there is not is left out, as long as something stays.
fn provider(suites: &[String], curves: &[String]) -> Result<Arc<CryptoProvider>, TlsError> {
    let mut provider = ring::default_provider();
    if !suites.is_empty() {
        // As in Go, they are about TLS 1.2: all suites of 1.3 are good.
        let asked = |name: &str| suites.iter().any(|suite| suite == name);
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some() || asked(&format!("{:?}", suite.suite())));
        if provider.cipher_suites.iter().all(|suite| suite.tls13().is_some()) {
            return Err(error("cipher_suites", "none of these suites is supported"));
        }
    }
    if !curves.is_empty() {
        let known = |curve: &String| {
            let group = match curve.as_str() {
                "X25519" => NamedGroup::X25519,
                "P256" => NamedGroup::secp256r1,
                "P384" => NamedGroup::secp384r1,
                _ => return None,
            };
            ring::ALL_KX_GROUPS.iter().copied().find(|one| one.name() == group)
        };
        provider.kx_groups = curves.iter().filter_map(known).collect();
        if provider.kx_groups.is_empty() {
            return Err(error("curve_preferences", "none of these curves is supported: X25519, P256, P384"));
        }
    }
    Ok(Arc::new(provider))
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
