//! The certificate and key of a listener.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resolver::Resolver;

/// Certificate and key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, the server's own certificate first.
    #[schemars(example = &"cert.pem")]
    pub cert: PathBuf,
    /// The private key.
    #[schemars(example = &"key.pem")]
    pub key: PathBuf,
}

/// Certificate and key, found and known to belong together when the configuration was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why TLS cannot be served with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The chain cannot be read.
    #[error("the certificates in {} cannot be read: {source}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("there is no certificate in {}", .0.display())]
    NoCertificate(PathBuf),
    /// The key cannot be read.
    #[error("the private key in {} cannot be read: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// Both can be read, and do not fit each other or TLS.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Tls {
    pub(super) fn resolve(&self, key: &str, resolver: &mut Resolver<'_>) -> TlsFiles {
        let files = TlsFiles { cert: resolver.path(&self.cert), key: resolver.path(&self.key) };
        if let Err(error) = files.server_config() {
            resolver.problem(
                key,
                error.to_string(),
                "both files are PEM; the certificate file holds the whole chain, its own first",
            );
        }
        resolver.warn_if_exposed(&format!("{key}.key"), &files.key);
        files
    }
}

impl TlsFiles {
    /// The certificate chain.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let failed = |source| TlsError::Certificates { path: self.cert.clone(), source };
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .map_err(failed)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        if chain.is_empty() { Err(TlsError::NoCertificate(self.cert.clone())) } else { Ok(chain) }
    }

    /// Reads the files for a listener that speaks HTTP/1.1 over TLS 1.2 or 1.3 (req A1).
    pub fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        let chain = self.certificates()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|source| TlsError::Key { path: self.key.clone(), source })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
