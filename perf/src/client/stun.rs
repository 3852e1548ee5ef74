//! Binding requests of a controlling agent and the check of their answers, with stun-rs (RFC 8489, RFC 8445 7).
//!
//! The server is ICE-lite: it sends no checks of its own, so nothing here answers one.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use stun_rs::attributes::ice::{IceControlling, Priority, UseCandidate};
use stun_rs::attributes::stun::{Fingerprint, MessageIntegrity, UserName, XorMappedAddress};
use stun_rs::methods::BINDING;
use stun_rs::{
    DecoderContextBuilder, HMACKey, MessageClass, MessageDecoderBuilder, MessageEncoderBuilder, StunMessageBuilder,
    TransactionId,
};

/// The ICE credentials of one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: String,
    pub password: String,
}

/// What binding requests of one call have in common.
#[derive(Clone, Debug)]
pub struct Checks {
    pub local: Credentials,
    pub remote: Credentials,
    pub tie_breaker: u64,
}

impl Checks {
    /// A binding request that nominates (USE-CANDIDATE), with integrity and fingerprint, and its transaction id.
    pub fn request(&self) -> Result<(Vec<u8>, [u8; 12])> {
        let transaction = TransactionId::default();
        let key = HMACKey::new_short_term(&self.remote.password)?;
        let message = StunMessageBuilder::new(BINDING, MessageClass::Request)
            .with_transaction_id(transaction)
            .with_attribute(UserName::new(format!("{}:{}", self.remote.ufrag, self.local.ufrag))?)
            .with_attribute(Priority::from(PRIORITY))
            .with_attribute(IceControlling::from(self.tie_breaker))
            .with_attribute(UseCandidate::default())
            .with_attribute(MessageIntegrity::new(key))
            .with_attribute(Fingerprint::default())
            .build();
        let mut bytes = vec![0; 512];
        let len = MessageEncoderBuilder::default().build().encode(&mut bytes, &message)?;
        bytes.truncate(len);
        Ok((bytes, *transaction.as_bytes()))
    }

    /// Checks a success response to one of `awaited` and returns the transaction that it answers and the mapped address.
    pub fn response(&self, bytes: &[u8], awaited: &[[u8; 12]]) -> Result<([u8; 12], SocketAddr)> {
        let key = HMACKey::new_short_term(&self.remote.password)?;
        let context = DecoderContextBuilder::default().with_key(key).with_validation().build();
        let (message, _) = MessageDecoderBuilder::default().with_context(context).build().decode(bytes)?;
        ensure!(message.method() == BINDING, "a STUN method that was not asked for");
        match message.class() {
            MessageClass::SuccessResponse => {}
            class => bail!("STUN {class:?} where a success response was due"),
        }
        let transaction = *message.transaction_id().as_bytes();
        ensure!(awaited.contains(&transaction), "a response to no request of ours");
        ensure!(message.get::<MessageIntegrity>().is_some(), "a response without integrity");
        let mapped = message.get::<XorMappedAddress>().context("a response without a mapped address")?;
        Ok((transaction, *mapped.as_xor_mapped_address()?.socket_address()))
    }
}

/// RFC 8445 5.1.2.1: peer-reflexive type preference 110, local preference and component of a single host address.
const PRIORITY: u32 = 110 << 24 | 65_535 << 8 | 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Checks {
        Checks {
            local: Credentials { ufrag: "loc1".into(), password: "local-password-of-22-chars".into() },
            remote: Credentials { ufrag: "rem1".into(), password: "remote-password-of-22-chars".into() },
            tie_breaker: 1,
        }
    }

    fn answer(password: &str, transaction: [u8; 12]) -> Vec<u8> {
        let message = StunMessageBuilder::new(BINDING, MessageClass::SuccessResponse)
            .with_transaction_id(transaction.into())
            .with_attribute(XorMappedAddress::from("127.0.0.1:5000".parse::<SocketAddr>().unwrap()))
            .with_attribute(MessageIntegrity::new(HMACKey::new_short_term(password).unwrap()))
            .with_attribute(Fingerprint::default())
            .build();
        let mut bytes = vec![0; 512];
        let len = MessageEncoderBuilder::default().build().encode(&mut bytes, &message).unwrap();
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn an_answer_to_our_request_is_accepted() {
        let checks = checks();
        let (_, transaction) = checks.request().unwrap();
        let bytes = answer(&checks.remote.password, transaction);
        assert_eq!(checks.response(&bytes, &[transaction]).unwrap(), (transaction, "127.0.0.1:5000".parse().unwrap()));
    }

    #[test]
    fn an_answer_with_a_wrong_password_or_transaction_is_refused() {
        let checks = checks();
        let (_, transaction) = checks.request().unwrap();
        assert!(checks.response(&answer("some-other-password-here", transaction), &[transaction]).is_err());
        assert!(checks.response(&answer(&checks.remote.password, [0; 12]), &[transaction]).is_err());
    }
}
