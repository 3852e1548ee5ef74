//! The few lines of an SDP offer that signalling itself needs to know, and its ICE fragments.
//!
//! Of an offer: which kinds of media it has sections for, the client's ICE credentials, the first section's name.
//! Everything else in it is the media server's to read and to judge. The scan sees every section that any reader of
//! SDP could see, so that a claim that forbids a kind of media holds. Fragments are read by `core::negotiate`; here
//! its verdicts become refusals. Pure, and bounded by the length of the text.

use tidewire_core::negotiate::{Credentials, Fragment, SdpError};

use crate::limits::LINES_MAX;
use crate::problem::{Code, Problem};
use crate::token::Kinds;

/// What signalling keeps of an offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    pub kinds: Kinds,
    /// The client's credentials: those of the session or of its first section.
    pub credentials: Option<Credentials>,
    /// The first section's, which carries the bundle's transport.
    pub mid: Option<String>,
}

impl Outline {
    /// Reads an offer. What is no SDP at all is refused here; what is wrong inside is for the media server to tell.
    pub fn of(offer: &str) -> Result<Self, Problem> {
        // RFC 8866 5.1: the first line is the version, and there is only version 0.
        if lines(offer).next() != Some("v=0") {
            return Err(Problem::new(Code::OfferInvalid, "The body is no SDP: its first line is not v=0."));
        }
        // What was not looked at could hold a section that the token's claims forbid.
        if lines(offer).count() > LINES_MAX {
            return Err(Problem::new(Code::OfferInvalid, format!("The offer has more than {LINES_MAX} lines.")));
        }
        let mut outline = Self::default();
        let (mut ufrag, mut password) = (None, None);
        for line in lines(offer) {
            match line.split_once(':').unwrap_or((line, "")) {
                ("a=mid", mid) => outline.mid = outline.mid.or_else(|| Some(mid.trim().to_owned())),
                ("a=ice-ufrag", text) => ufrag = ufrag.or(Some(text.trim())),
                ("a=ice-pwd", text) => password = password.or(Some(text.trim())),
                _ => outline.kinds |= kind_of(line),
            }
        }
        outline.credentials = ufrag.zip(password).and_then(|(ufrag, password)| Credentials::new(ufrag, password).ok());
        Ok(outline)
    }
}

/// Reads the body of a PATCH: candidates, or credentials, or their end.
pub fn fragment(text: &str) -> Result<Fragment, Problem> {
    let fragment = Fragment::parse(text).map_err(|error| {
        let code = match error {
            SdpError::CredentialsInvalid(_) => Code::CredentialsInvalid,
            _ => Code::FragmentInvalid,
        };
        Problem::new(code, format!("The ICE fragment: {error}."))
    })?;
    if fragment.credentials.is_none() && fragment.candidates == 0 && !fragment.end_of_candidates {
        return Err(Problem::new(Code::FragmentInvalid, "The ICE fragment has neither credentials nor candidates."));
    }
    Ok(fragment)
}

/// The kind of the section that a line begins, if it begins one of a kind that claims speak of.
fn kind_of(line: &str) -> Kinds {
    let media = line.strip_prefix("m=").and_then(|rest| rest.split_ascii_whitespace().next()).unwrap_or_default();
    Kinds { audio: media.eq_ignore_ascii_case("audio"), video: media.eq_ignore_ascii_case("video") }
}

/// The lines that hold anything, whatever ends them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\r', '\n']).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "abcdefghijklmnopqrstuv";

    #[test]
    fn offer_tells_its_kinds_credentials_and_first_section() {
        let offer = format!(
            "v=0\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:abcd\r\na=ice-pwd:{PASSWORD}\r\na=mid:0\r\n\
             m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ice-ufrag:other\r\n"
        );
        let outline = Outline::of(&offer).unwrap();
        assert_eq!(outline.kinds, Kinds { audio: true, video: true });
        assert_eq!(outline.mid.as_deref(), Some("0"));
        assert_eq!(outline.credentials, Some(Credentials::new("abcd", PASSWORD).unwrap()));
    }

    #[test]
    fn no_way_of_writing_hides_a_section() {
        for section in ["m=video 9 X 96", "m=VIDEO 9 X 96", "m=video\t9 X 96", "m= video 9 X 96"] {
            assert!(Outline::of(&format!("v=0\r{section}\r")).unwrap().kinds.video, "{section:?}");
        }
    }

    #[test]
    fn what_is_no_sdp_is_refused() {
        for text in ["", "\r\n", "hello", "{}", "v=1\r\n", " v=0\r\n", "o=- 1 1 IN IP4 0\r\nv=0\r\n"] {
            assert_eq!(Outline::of(text).unwrap_err().code, Code::OfferInvalid, "{text:?}");
        }
    }

    #[test]
    fn malformed_fragments_are_refused() {
        for text in ["", "candidate:1", "v=0\r\n", "a=ice-ufrag:abcd\r\n", "a=ice-pwd:abc\r\n", "a=x\r\n"] {
            assert_eq!(fragment(text).unwrap_err().code, Code::FragmentInvalid, "{text:?}");
        }
        let long = format!("a=ice-ufrag:{}\r\na=ice-pwd:{PASSWORD}\r\n", "u".repeat(257));
        for text in ["a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n", &long] {
            assert_eq!(fragment(text).unwrap_err().code, Code::CredentialsInvalid, "{text:?}");
        }
    }

    #[test]
    fn an_offer_with_more_lines_than_are_looked_at_is_refused() {
        let offer = format!("v=0\n{}m=video 9 X 96\n", "a=x\n".repeat(LINES_MAX));
        assert_eq!(Outline::of(&offer).unwrap_err().code, Code::OfferInvalid);
    }
}
