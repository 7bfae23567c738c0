//! A certificate authority for one test, and the files it signs.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// PEM files in a directory: an authority, a server certificate for localhost and 127.0.0.1, and a client's.
#[derive(Debug, Clone)]
pub struct Certs {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The server's certificate.
    pub server_cert: PathBuf,
    /// The server's key.
    pub server_key: PathBuf,
    /// The client's certificate, for mutual TLS.
    pub client_cert: PathBuf,
    /// The client's key.
    pub client_key: PathBuf,
}

impl Certs {
    /// Makes a new authority and both pairs in `dir`.
    pub fn generate(dir: &Path) -> Certs {
        let mut params = CertificateParams::new(Vec::new()).expect("empty names are valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "streamgauge test authority");
        let key = KeyPair::generate().expect("make a key");
        let ca = CertifiedIssuer::self_signed(params, key).expect("sign the authority");
        let certs = Certs {
            ca: dir.join("ca.pem"),
            server_cert: dir.join("server.pem"),
            server_key: dir.join("server.key"),
            client_cert: dir.join("client.pem"),
            client_key: dir.join("client.key"),
        };
        write(&certs.ca, &ca.pem());
        let names = ["localhost", "127.0.0.1"].map(String::from).to_vec();
        sign(&ca, names, &certs.server_cert, &certs.server_key);
        sign(&ca, vec!["client".to_owned()], &certs.client_cert, &certs.client_key);
        certs
    }
}

fn sign(ca: &CertifiedIssuer<'_, KeyPair>, names: Vec<String>, cert: &Path, key: &Path) {
    let pair = KeyPair::generate().expect("make a key");
    let signed =
        CertificateParams::new(names).expect("valid names").signed_by(&pair, ca).expect("sign a certificate");
    write(cert, &signed.pem());
    write(key, &pair.serialize_pem());
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("write a PEM file");
}
