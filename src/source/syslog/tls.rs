//! The TLS side of a listener. Certificates that were renewed on disk are taken up with the next connection.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::Syslog;

/// Accepts TLS connections with the certificate as it is on disk now.
#[derive(Clone)]
pub(super) struct Acceptor {
    files: Arc<Files>,
    state: Arc<Mutex<State>>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

struct State {
    config: Arc<ServerConfig>,
    /// When the files were changed last, as far as is known.
    changed: Vec<Option<SystemTime>>,
}

impl Acceptor {
    pub(super) fn new(config: &Syslog) -> Result<Self, String> {
        let (Some(certificate), Some(key)) = (config.certificate_file.clone(), config.key_file.clone()) else {
            return Err(format!("{} needs \"certificate_file\" and \"key_file\"", config.url()));
        };
        let files = Files { certificate, key, client_ca: config.client_ca_file.clone() };
        let state = State { changed: files.changed(), config: Arc::new(files.load()?) };
        Ok(Acceptor { files: Arc::new(files), state: Arc::new(Mutex::new(state)) })
    }

    pub(super) fn current(&self) -> TlsAcceptor {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.files.changed();
        if changed != state.changed {
            state.changed = changed;
            match self.files.load() {
                Ok(config) => state.config = Arc::new(config),
                Err(error) => tracing::error!(error, "the new certificate is not taken, the old one stays in use"),
            }
        }
        TlsAcceptor::from(state.config.clone())
    }
}

impl Files {
    fn changed(&self) -> Vec<Option<SystemTime>> {
        let files = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        files.into_iter().flatten().map(|file| std::fs::metadata(file).and_then(|meta| meta.modified()).ok()).collect()
    }

    fn load(&self) -> Result<ServerConfig, String> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| wrong(&self.key, "private key", &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| wrong(file, "certificate", &error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| wrong(file, "certificate", &error))?)
            }
        };
        builder.with_single_cert(chain, key).map_err(|error| wrong(&self.certificate, "certificate for this key", &error))
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).and_then(|found| found.collect::<Result<Vec<_>, _>>());
    match found {
        Ok(found) if found.is_empty() => Err(format!("{} holds no certificate (PEM)", file.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(file, "certificate (PEM)", &error)),
    }
}

fn wrong(file: &Path, what: &str, error: &dyn std::fmt::Display) -> String {
    format!("{} holds no usable {what}: {error}", file.display())
}
