//! Certificates for loopback, and a client that trusts them.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::tls::Certificate;

/// An authority of its own, which vouches for `localhost`.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    /// A new one that nobody knows.
    ///
    /// # Panics
    /// If there are no keys or no folder.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer, folder: tempfile::tempdir().expect("a folder") }
    }

    /// Writes a certificate of this serial number and its key, over those before, and returns the files.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn write(&self, serial: u64) -> (PathBuf, PathBuf) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("parameters");
        params.serial_number = Some(serial.into());
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let files =
            (self.folder.path().join("certificate.pem"), self.folder.path().join("key.pem"));
        fs::write(&files.0, certificate.pem()).expect("write the certificate");
        fs::write(&files.1, key.serialize_pem()).expect("write the key");
        files
    }

    /// A client that trusts nobody else, and sees whom it talks to.
    ///
    /// # Panics
    /// If there is no TLS.
    pub fn client(&self) -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = Certificate::from_pem(self.issuer.pem().as_bytes()).expect("a certificate");
        let client = reqwest::Client::builder().tls_certs_only([root]).tls_info(true);
        client.build().expect("a client")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
