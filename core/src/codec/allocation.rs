//! The video layers allocation (`http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00`): a header extension by
//! which a publisher says what it is sending of a video, over all encodings of its section.
//!
//! In: the bytes of the extension. Out: the active spatial layers of each encoding with their target bitrates and, in the long
//! form, their sizes. What does not work out to the last byte is none at all. What is not listed is not sent.

use arrayvec::ArrayVec;

use super::bits::{Bits, leb128};

/// What is active, of all encodings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    /// The encoding whose packet this came with; encodings are counted in the order of the offer.
    pub encoding: u8,
    /// By encoding, then by spatial layer; those that are not here are not sent.
    pub layers: ArrayVec<ActiveLayer, LAYERS_MAX>,
}

/// A spatial layer of an encoding that is being sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveLayer {
    pub encoding: u8,
    pub spatial: u8,
    /// For each temporal layer the target of all up to it, in kilobits per second.
    pub rates_kbps: ArrayVec<u32, TEMPORAL_MAX>,
    pub picture: Option<Picture>,
}

/// What the pictures of a layer are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: u16,
    pub height: u16,
    /// Pictures in a second, at most.
    pub rate_max: u8,
}

impl Allocation {
    pub fn read(bytes: &[u8]) -> Option<Self> {
        // A single zero byte says that nothing is sent.
        if bytes == [0] {
            return Some(Self::default());
        }
        let (&first, rest) = bytes.split_first()?;
        let encodings = usize::from(first >> 4 & 0x03) + 1;
        let (masks, rest) = read_masks(first & 0x0f, encodings, rest)?;
        let mut layers = active_layers(&masks[..encodings]);
        let rest = read_temporal_layers(&mut layers, rest)?;
        let rest = read_rates(&mut layers, rest)?;
        if !rest.is_empty() {
            read_pictures(&mut layers, rest)?;
        }
        Some(Self { encoding: first >> 6, layers })
    }
}

type Layers = ArrayVec<ActiveLayer, LAYERS_MAX>;

/// The spatial layers of each encoding: one mask for all, or, when that is 0, a mask of four bits for each.
fn read_masks(shared: u8, encodings: usize, bytes: &[u8]) -> Option<([u8; ENCODINGS], &[u8])> {
    if shared != 0 {
        return Some(([shared; ENCODINGS], bytes));
    }
    let (own, rest) = bytes.split_at_checked(encodings.div_ceil(2))?;
    let mut bits = Bits::new(own);
    let mut masks = [0; ENCODINGS];
    for mask in masks.iter_mut().take(2 * own.len()) {
        *mask = bits.read(4)? as u8;
    }
    Some((masks, rest))
}

fn active_layers(masks: &[u8]) -> Layers {
    let all = (0..).zip(masks).flat_map(|(encoding, &mask)| {
        let spatial = (0..SPATIAL_MAX).filter(move |spatial| mask >> spatial & 1 == 1);
        spatial.map(move |spatial| ActiveLayer { encoding, spatial, rates_kbps: ArrayVec::new(), picture: None })
    });
    all.take(LAYERS_MAX).collect()
}

/// Two bits for each layer, one less than there are temporal layers; whole bytes of them.
fn read_temporal_layers<'a>(layers: &mut Layers, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (counts, rest) = bytes.split_at_checked(layers.len().div_ceil(4))?;
    let mut bits = Bits::new(counts);
    for layer in layers {
        let count = bits.read(2)? as usize + 1;
        layer.rates_kbps = std::iter::repeat_n(0, count).collect();
    }
    Some(rest)
}

fn read_rates<'a>(layers: &mut Layers, mut bytes: &'a [u8]) -> Option<&'a [u8]> {
    for rate in layers.iter_mut().flat_map(|layer| &mut layer.rates_kbps) {
        let (kbps, rest) = leb128(bytes)?;
        (*rate, bytes) = (u32::try_from(kbps).ok()?, rest);
    }
    Some(bytes)
}

/// Width and height, less one, and the rate, of each layer.
fn read_pictures(layers: &mut Layers, bytes: &[u8]) -> Option<()> {
    if bytes.len() != PICTURE_LEN * layers.len() {
        return None;
    }
    for (layer, &[w0, w1, h0, h1, rate_max]) in layers.iter_mut().zip(bytes.as_chunks::<PICTURE_LEN>().0) {
        let width = u16::from_be_bytes([w0, w1]).saturating_add(1);
        let height = u16::from_be_bytes([h0, h1]).saturating_add(1);
        layer.picture = Some(Picture { width, height, rate_max });
    }
    Some(())
}

/// What the syntax can name.
const ENCODINGS: usize = 4;
pub const SPATIAL_MAX: u8 = 4;
const TEMPORAL_MAX: usize = 4;
const LAYERS_MAX: usize = ENCODINGS * SPATIAL_MAX as usize;

const PICTURE_LEN: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layer(encoding: u8, spatial: u8, rates_kbps: &[u32], picture: Option<(u16, u16, u8)>) -> ActiveLayer {
        let picture = picture.map(|(width, height, rate_max)| Picture { width, height, rate_max });
        ActiveLayer { encoding, spatial, rates_kbps: rates_kbps.iter().copied().collect(), picture }
    }

    /// Three encodings of one spatial layer each, seen with the second: 1, 2 and 3 temporal layers.
    const THREE: [u8; 24] = [
        0x61,
        0b0001_1000,
        100,
        50,
        0xc8,
        0x01,
        10,
        20,
        0xac,
        0x02, // rates
        0x00,
        0x9f,
        0x00,
        0x59,
        15,
        0x01,
        0x3f,
        0x00,
        0xb3,
        30, // two pictures
        0x02,
        0x7f,
        0x01,
        0x67,
    ];

    #[test]
    fn encodings_with_the_same_layers_share_a_mask() {
        let mut bytes = THREE.to_vec();
        bytes.push(60);
        let read = Allocation::read(&bytes).unwrap();
        assert_eq!(read.encoding, 1);
        let expected = [
            layer(0, 0, &[100], Some((160, 90, 15))),
            layer(1, 0, &[50, 200], Some((320, 180, 30))),
            layer(2, 0, &[10, 20, 300], Some((640, 360, 60))),
        ];
        assert_eq!(read.layers.as_slice(), expected);
    }

    #[test]
    fn encodings_with_other_layers_have_masks_of_their_own() {
        // Three encodings: spatial layers 0 and 1, none, 2; the fourth mask is not looked at.
        let read = Allocation::read(&[0x20, 0x30, 0x4f, 0x00, 1, 2, 3]).unwrap();
        assert_eq!(read.layers.as_slice(), [layer(0, 0, &[1], None), layer(0, 1, &[2], None), layer(2, 2, &[3], None)]);
    }

    #[test]
    fn a_zero_byte_says_that_nothing_is_sent() {
        assert_eq!(Allocation::read(&[0]), Some(Allocation::default()));
        assert_eq!(Allocation::read(&[]), None);
    }

    #[test]
    fn what_is_cut_or_too_long_is_none() {
        // Without pictures it is whole as well.
        for len in (0..10).chain(11..THREE.len()) {
            assert_eq!(Allocation::read(&THREE[..len]), None, "{len}");
        }
        assert!(Allocation::read(&THREE[..10]).is_some());
        assert_eq!(Allocation::read(&[0x01, 0x00, 0xff, 0xff, 0xff, 0xff, 0x01]), None);
    }

    proptest! {
        #[test]
        fn whatever_is_read_names_each_layer_once(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            if let Some(read) = Allocation::read(&bytes) {
                let places: Vec<_> = read.layers.iter().map(|layer| (layer.encoding, layer.spatial)).collect();
                prop_assert!(places.is_sorted_by(|before, after| before < after));
                prop_assert!(read.layers.iter().all(|layer| !layer.rates_kbps.is_empty()));
            }
        }
    }
}
