//! Trickle ICE fragments, `application/trickle-ice-sdpfrag` (RFC 8840 9), as WHIP and WHEP send them in PATCH
//! (RFC 9725 4.3).
//!
//! A fragment brings candidates, or new credentials: an ICE restart. An ICE-lite end learns the client's addresses from
//! its checks, so candidates are counted, not kept.

use std::fmt::Write;

use super::agreement::Credentials;
use super::parse::{SdpError, clip, read_credentials, read_mid};
use crate::id::Mid;
use crate::limits::SDP_LEN_MAX;

/// A client's fragment, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The ICE generation it belongs to; other than the current one, it asks for a restart.
    pub credentials: Option<Credentials>,
    /// How many candidates it brings.
    pub candidates: usize,
    pub end_of_candidates: bool,
    /// The mid of its first media section.
    pub mid: Option<Mid>,
}

impl Fragment {
    /// Reads a fragment. Attributes that are not known are ignored; lines other than `a=` and `m=` are refused.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > SDP_LEN_MAX {
            return Err(SdpError::TooLong);
        }
        let mut fragment = Self { credentials: None, candidates: 0, end_of_candidates: false, mid: None };
        let (mut ufrag, mut password) = (None, None);
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let Some(attribute) = line.strip_prefix("a=") else {
                if line.starts_with("m=") {
                    continue;
                }
                return Err(SdpError::FragmentInvalid(clip(line)));
            };
            match attribute.split_once(':').unwrap_or((attribute, "")) {
                ("ice-ufrag", value) => ufrag = ufrag.or(Some(value)),
                ("ice-pwd", value) => password = password.or(Some(value)),
                ("candidate", _) => fragment.candidates += 1,
                ("end-of-candidates", _) => fragment.end_of_candidates = true,
                ("mid", value) if fragment.mid.is_none() => fragment.mid = Some(read_mid(value)?),
                _ => (),
            }
        }
        fragment.credentials = read_credentials(ufrag, password)?;
        Ok(fragment)
    }
}

/// The answer to a restart: this end's new credentials and its candidates, each `candidate:...`, in the media section
/// that `mid` names.
pub fn write_fragment(credentials: &Credentials, candidates: &[String], mid: &str) -> String {
    let Credentials { ufrag, password } = credentials;
    let mut text = format!(
        "a=ice-lite\r\na=ice-options:trickle\r\na=group:BUNDLE {mid}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n"
    );
    for candidate in candidates {
        // Writing to a `String` cannot fail.
        write!(text, "a={candidate}\r\n").unwrap_or_default();
    }
    text.push_str("a=end-of-candidates\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRICKLE: &str = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
        a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2\r\n\
        a=end-of-candidates\r\n";

    #[test]
    fn candidates_are_counted_and_the_generation_is_told() {
        let fragment = Fragment::parse(TRICKLE).unwrap();
        assert_eq!(fragment.credentials, Some(Credentials::new("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1").unwrap()));
        assert_eq!((fragment.candidates, fragment.end_of_candidates), (2, true));
        assert_eq!(fragment.mid.as_deref(), Some("0"));
    }

    #[test]
    fn credentials_may_stand_before_the_first_media_section_or_nowhere() {
        let above = "a=ice-ufrag:vw5LmwG4y\na=ice-pwd:ysXwysXwysXwysXwysXwysXw\nm=audio 9 RTP/AVP 0\na=mid:a\n";
        assert!(Fragment::parse(above).unwrap().credentials.is_some());
        let none = Fragment::parse("m=audio 9 RTP/AVP 0\na=mid:a\na=end-of-candidates\n").unwrap();
        assert!(none.credentials.is_none() && none.end_of_candidates);
    }

    #[test]
    fn half_or_bad_credentials_are_refused() {
        assert_eq!(Fragment::parse("a=ice-ufrag:EsAw\r\n"), Err(SdpError::CredentialsHalf));
        let short = Fragment::parse("a=ice-ufrag:EsA\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n");
        assert!(matches!(short, Err(SdpError::CredentialsInvalid(_))));
    }

    #[test]
    fn a_whole_description_is_no_fragment() {
        assert!(matches!(Fragment::parse("v=0\r\n"), Err(SdpError::FragmentInvalid(_))));
        assert!(matches!(Fragment::parse("{\"a\":1}"), Err(SdpError::FragmentInvalid(_))));
        assert_eq!(Fragment::parse(&"a=x\n".repeat(SDP_LEN_MAX)), Err(SdpError::TooLong));
    }

    #[test]
    fn what_is_written_reads_back() {
        let credentials = Credentials::new("289b31b754eaa438", "0b66f472495ef0ccac7bda653ab6be49ea131144").unwrap();
        let candidates = [super::super::candidate_line(([198, 51, 100, 1], 39132).into(), 0)];
        let text = write_fragment(&credentials, &candidates, "0");
        let fragment = Fragment::parse(&text).unwrap();
        assert_eq!(fragment.credentials, Some(credentials));
        assert_eq!((fragment.candidates, fragment.mid.as_deref()), (1, Some("0")));
        assert!(text.contains("a=candidate:1 1 udp 2130706431 198.51.100.1 39132 typ host\r\n"));
    }
}
