//! The certificate that HTTP is served with: from files, or made at the start.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::Tls;

/// The configuration for HTTPS, or nothing for HTTP. `names` are the addresses that a made certificate is for.
///
/// The process's crypto provider has to be installed before.
pub(crate) fn config(tls: &Tls, names: &[IpAddr]) -> Result<Option<Arc<ServerConfig>>> {
    let (chain, key) = match tls {
        Tls::Off => return Ok(None),
        Tls::SelfSigned => self_signed(names).context("cannot make a certificate")?,
        Tls::Files { certificate, key } => (read_chain(certificate)?, read_key(key)?),
    };
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("tls-cert and tls-key: the certificate and the key do not belong together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn self_signed(names: &[IpAddr]) -> Result<Identity> {
    let names = names.iter().map(IpAddr::to_string).chain(["localhost".to_owned()]);
    let mut params = rcgen::CertificateParams::new(names.collect::<Vec<_>>())?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "Tidewire, self-signed");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    // Safari refuses certificates that are good for more than 825 days.
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + 365 * DAY).into();
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into())))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = || format!("tls-cert: cannot read a PEM certificate chain from {}", path.display());
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(path).with_context(wrong)?.collect::<Result<_, _>>().with_context(wrong)?;
    anyhow::ensure!(!chain.is_empty(), "tls-cert: {} holds no PEM certificate", path.display());
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path)
        .with_context(|| format!("tls-key: cannot read a PEM private key from {}", path.display()))
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_certificate_serves() {
        install();
        let config = config(&Tls::SelfSigned, &["192.0.2.1".parse().unwrap()]).unwrap();
        assert_eq!(config.unwrap().alpn_protocols.len(), 2);
    }

    #[test]
    fn file_that_cannot_be_used_is_named_with_its_setting() {
        install();
        let files = Tls::Files { certificate: "/nowhere.pem".into(), key: "/nowhere.key".into() };
        let error = format!("{:#}", config(&files, &[]).unwrap_err());
        assert!(error.contains("tls-cert") && error.contains("/nowhere.pem"), "{error}");
    }

    fn install() {
        // Another test may have been first.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    }
}
