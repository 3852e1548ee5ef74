//! Who this process is towards its clients: one self-signed certificate, made at start, never stored.

use std::{fmt, io};

use aws_lc_rs::digest::{SHA256, digest};
use dimpl::DtlsCertificate;
use dimpl::certificate::generate_self_signed_certificate;
use tidewire_core::handshake::Fingerprint;

/// A self-signed ECDSA P-256 certificate and its key. Clients know it by the fingerprint in our descriptions.
#[derive(Clone)]
pub struct Identity {
    pub(super) certificate: DtlsCertificate,
}

impl Identity {
    /// Makes a new key and a certificate that is valid for a year from now.
    pub fn generate() -> io::Result<Self> {
        let certificate = generate_self_signed_certificate().map_err(io::Error::other)?;
        Ok(Self { certificate })
    }

    /// What our descriptions promise (`a=fingerprint`, RFC 8122).
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint_of(&self.certificate.certificate)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint()).finish()
    }
}

/// SHA-256 of a certificate in DER.
pub(super) fn fingerprint_of(der: &[u8]) -> Fingerprint {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, der).as_ref());
    Fingerprint(hash)
}
