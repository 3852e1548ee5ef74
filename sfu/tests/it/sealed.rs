//! Which contents went out under which nonce.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tidewire_core::demux::{self, Class};
use tidewire_core::machine::Path;
use tidewire_core::rtp::Header;

/// Nonces of one direction: the viewer (which stands for its key), the SSRC, the 16-bit sequence number.
///
/// A run is far shorter than 65,536 packets of a stream, so within it the sequence number stands for the index.
pub(crate) type Seen = BTreeMap<(SocketAddr, u32, u16), Vec<u8>>;

/// Adds what was sent; panics when a nonce comes back with another content.
pub(crate) fn note(seen: &mut Seen, sent: Vec<(Path, Vec<u8>)>) {
    for (path, bytes) in sent {
        if demux::classify(&bytes) != Ok(Class::Rtp) {
            continue;
        }
        let header = Header::parse(&bytes).unwrap();
        let nonce = (path.remote, header.ssrc, header.sequence);
        if let Some(before) = seen.insert(nonce, bytes.clone()) {
            assert!(before == bytes, "{nonce:?} sealed two contents");
        }
    }
}
