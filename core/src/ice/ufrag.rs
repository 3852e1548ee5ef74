//! User fragments that say whose they are, and to nobody but us.
//!
//! A fragment is one AES block over (shard, slot, generation, restart, zeros), in base64, whose alphabet is that of
//! ICE (RFC 8839 5.4). Decryption shows the owner, and the zeros authenticate it: of forged fragments one in 2^48 passes.
//! So a request for nobody costs one block of AES and no table; whoever reads the signalling learns no slot number.

use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::id::{ConnectionId, ShardId};

const BLOCK_LEN: usize = 16;
/// A block in base64.
const UFRAG_LEN: usize = 22;

/// Writes and reads the user fragments of one media server; every shard has one with the same secret.
#[derive(Debug)]
pub struct Ufrags {
    seal: EncryptingKey,
    open: DecryptingKey,
}

impl Ufrags {
    /// `secret` has to be random and the media server's own; it lives as long as the program.
    pub fn new(secret: &[u8; 16]) -> Self {
        let key = || UnboundCipherKey::new(&AES_128, secret);
        Self {
            seal: key().and_then(EncryptingKey::ecb).expect("AES-128 takes any 16 bytes"),
            open: key().and_then(DecryptingKey::ecb).expect("AES-128 takes any 16 bytes"),
        }
    }

    /// `restart` counts the connection's ICE restarts, each of which needs a new fragment (RFC 8445 9); it may wrap.
    pub fn encode(&self, shard: ShardId, connection: ConnectionId, restart: u8) -> String {
        let [s0, s1, s2, s3] = connection.slot.to_be_bytes();
        let [g0, g1, g2, g3] = connection.generation.to_be_bytes();
        let mut block = [shard.0, s0, s1, s2, s3, g0, g1, g2, g3, restart, 0, 0, 0, 0, 0, 0];
        // Blocks differ, so ECB shows nothing: an equal fragment is the same fragment.
        self.seal.encrypt(&mut block).expect("a whole number of blocks");
        STANDARD_NO_PAD.encode(block)
    }

    /// Whose fragment it is; `None` when it is none of ours.
    pub fn decode(&self, ufrag: &str) -> Option<(ShardId, ConnectionId)> {
        let mut block = [0; BLOCK_LEN];
        if ufrag.len() != UFRAG_LEN || STANDARD_NO_PAD.decode_slice(ufrag, &mut block) != Ok(BLOCK_LEN) {
            return None;
        }
        self.open.decrypt(&mut block, DecryptionContext::None).ok()?;
        let [shard, s0, s1, s2, s3, g0, g1, g2, g3, _restart, zeros @ ..] = block;
        let connection = ConnectionId {
            slot: u32::from_be_bytes([s0, s1, s2, s3]),
            generation: u32::from_be_bytes([g0, g1, g2, g3]),
        };
        (zeros == [0; 6]).then_some((ShardId(shard), connection))
    }
}

/// An ICE password from 144 random bits: 24 characters, where RFC 8839 5.4 asks for 22 and 128 bits.
pub fn password(random: &[u8; 18]) -> String {
    STANDARD_NO_PAD.encode(random)
}
