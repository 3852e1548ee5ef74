//! H.264 profiles as `profile-level-id` writes them (RFC 6184 8.1, Table 5).
//!
//! In: three bytes as six hexadecimal digits. Out: the profile that profile_idc and the constraint flags name together;
//! several spellings name one profile. The level, the third byte, is left aside: it bounds a size, and both ends adapt
//! to the other's (`level-asymmetry-allowed`).

/// A profile, or the bytes of one that the table does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    Extended,
    ConstrainedHigh,
    High,
    High10,
    High422,
    High444Predictive,
    High10Intra,
    High422Intra,
    High444Intra,
    Cavlc444Intra,
    Other(u8, u8),
}

impl Profile {
    /// The profile of a `profile-level-id`; `None` where that is not six hexadecimal digits.
    pub(super) fn parse(profile_level_id: &str) -> Option<Self> {
        let digits = profile_level_id.trim();
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let [_, idc, flags, _] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        let row = PROFILES.iter().find(|row| row.0 == idc && flags & row.1 == row.2);
        Some(row.map_or(Self::Other(idc, flags), |row| row.3))
    }

    /// Whether a decoder of this profile plays a stream of that one.
    pub(super) fn decodes(self, stream: Self) -> bool {
        // ITU-T H.264 A.2: which profiles' decoders must take which other profiles' streams. Plain Baseline would stand
        // apart for its error resilience tools; but those who offer it in WebRTC encode without them, so their
        // streams are constrained in all but the flag, and refusing them would leave viewers without a picture.
        self == stream
            || match stream {
                Self::ConstrainedBaseline | Self::Baseline => !matches!(self, Self::Other(..)) && !self.is_intra(),
                Self::Main | Self::ConstrainedHigh => self.is_high(),
                Self::High => self.is_high(),
                Self::Extended | Self::High10 | Self::High422 | Self::High444Predictive => false,
                Self::High10Intra | Self::High422Intra | Self::High444Intra | Self::Cavlc444Intra => false,
                Self::Other(..) => false,
            }
    }

    fn is_high(self) -> bool {
        matches!(self, Self::High | Self::High10 | Self::High422 | Self::High444Predictive)
    }

    fn is_intra(self) -> bool {
        matches!(self, Self::High10Intra | Self::High422Intra | Self::High444Intra | Self::Cavlc444Intra)
    }
}

/// profile_idc, the constraint flags that decide, their value, the profile. RFC 6184 Table 5; the first row that fits.
#[rustfmt::skip]
const PROFILES: [(u8, u8, u8, Profile); 16] = [
    (0x42, 0b0100_1111, 0b0100_0000, Profile::ConstrainedBaseline),
    (0x4d, 0b1000_1111, 0b1000_0000, Profile::ConstrainedBaseline),
    (0x58, 0b1100_1111, 0b1100_0000, Profile::ConstrainedBaseline),
    (0x42, 0b0100_1111, 0b0000_0000, Profile::Baseline),
    (0x58, 0b1100_1111, 0b1000_0000, Profile::Baseline),
    (0x4d, 0b1010_1111, 0b0000_0000, Profile::Main),
    (0x58, 0b1100_1111, 0b0000_0000, Profile::Extended),
    (0x64, 0b1111_1111, 0b0000_0000, Profile::High),
    (0x64, 0b1111_1111, 0b0000_1100, Profile::ConstrainedHigh),
    (0x6e, 0b1111_1111, 0b0000_0000, Profile::High10),
    (0x7a, 0b1111_1111, 0b0000_0000, Profile::High422),
    (0xf4, 0b1111_1111, 0b0000_0000, Profile::High444Predictive),
    (0x6e, 0b1111_1111, 0b0001_0000, Profile::High10Intra),
    (0x7a, 0b1111_1111, 0b0001_0000, Profile::High422Intra),
    (0xf4, 0b1111_1111, 0b0001_0000, Profile::High444Intra),
    (0x2c, 0b1111_1111, 0b0001_0000, Profile::Cavlc444Intra),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_spellings_name_one_profile() {
        for spelling in ["42e01f", "42E034", "42c00d", "4240ff", "4d8028", "58f01e"] {
            assert_eq!(Profile::parse(spelling), Some(Profile::ConstrainedBaseline), "{spelling}");
        }
        assert_eq!(Profile::parse("42001f"), Some(Profile::Baseline));
        assert_eq!(Profile::parse("4d001f"), Some(Profile::Main));
        assert_eq!(Profile::parse("640c1f"), Some(Profile::ConstrainedHigh));
        assert_eq!(Profile::parse("640028"), Some(Profile::High));
        assert_eq!(Profile::parse("f4001f"), Some(Profile::High444Predictive));
        assert_eq!(Profile::parse("99001f"), Some(Profile::Other(0x99, 0)));
    }

    #[test]
    fn what_is_not_six_digits_names_nothing() {
        for spelling in ["", "42e0", "42e01f00", "+2e01f", "TeAo", "42é01f"] {
            assert_eq!(Profile::parse(spelling), None, "{spelling}");
        }
    }

    #[test]
    fn richer_decoders_play_plainer_streams_and_not_the_reverse() {
        assert!(Profile::ConstrainedBaseline.decodes(Profile::Baseline));
        assert!(Profile::Main.decodes(Profile::ConstrainedBaseline));
        assert!(Profile::High.decodes(Profile::Main) && Profile::High.decodes(Profile::ConstrainedHigh));
        assert!(!Profile::Main.decodes(Profile::High) && !Profile::ConstrainedBaseline.decodes(Profile::Main));
        assert!(!Profile::High10Intra.decodes(Profile::ConstrainedBaseline));
        assert!(!Profile::Other(1, 2).decodes(Profile::Baseline) && Profile::Other(1, 2).decodes(Profile::Other(1, 2)));
    }
}
