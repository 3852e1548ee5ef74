//! The few lines of an SDP offer or an ICE fragment (RFC 8840 9) that signalling itself needs to know.
//!
//! Offers: which kinds of media they have sections for, the client's ICE credentials, the first section's name.
//! Fragments: whether they are well formed, and the credentials that tell an ICE restart from trickled candidates.
//! Everything else in an offer is the media server's to read and to judge; candidates are not kept, since an ICE-lite
//! end learns addresses from the client's checks (RFC 8445 2.5). Pure, and bounded by the length of the text.

use tidewire_core::negotiate::Credentials;

use crate::limits::LINES_MAX;
use crate::problem::{Code, Problem};
use crate::token::Kinds;

/// What signalling keeps of an offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    pub kinds: Kinds,
    /// The client's credentials: those of its first section, or of the session.
    pub credentials: Option<Credentials>,
    pub section: Section,
}

/// The section that carries the transport of the bundle: the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The `m=` line without its `m=`.
    pub media: String,
    pub mid: String,
}

impl Outline {
    /// Reads an offer. What is no SDP at all is refused here; what is wrong inside is for the media server to tell.
    pub fn of_offer(offer: &str) -> Result<Self, Problem> {
        // RFC 8866 5.1: the first line is the version, and there is only version 0.
        if lines(offer).next() != Some("v=0") {
            return Err(Problem::new(Code::OfferInvalid, "The body is no SDP: its first line is not v=0."));
        }
        Ok(Self::read(offer))
    }

    /// Reads an ICE fragment: attributes and media lines, nothing else, and credentials in pairs.
    pub fn of_fragment(fragment: &str) -> Result<Self, Problem> {
        let refuse = |detail: &str| Err(Problem::new(Code::FragmentInvalid, detail));
        if lines(fragment).next().is_none() {
            return refuse("The ICE fragment is empty.");
        }
        if lines(fragment).any(|line| !line.starts_with("a=") && !line.starts_with("m=")) {
            return refuse("The ICE fragment has a line that is neither a=... nor m=...");
        }
        let has = |attribute| lines(fragment).any(|line| line.starts_with(attribute));
        if has("a=ice-ufrag:") != has("a=ice-pwd:") {
            return refuse("The ICE fragment has one of a=ice-ufrag and a=ice-pwd without the other.");
        }
        let outline = Self::read(fragment);
        match &outline.credentials {
            Some(credentials) if !well_formed(credentials) => {
                Err(Problem::new(Code::CredentialsInvalid, Code::CredentialsInvalid.meaning()))
            }
            _ => Ok(outline),
        }
    }

    fn read(text: &str) -> Self {
        let mut outline = Self::default();
        let (mut ufrag, mut password) = (None, None);
        for line in lines(text) {
            if let Some(media) = line.strip_prefix("m=") {
                outline.kinds.audio |= media.starts_with("audio ");
                outline.kinds.video |= media.starts_with("video ");
                if outline.section.media.is_empty() {
                    media.clone_into(&mut outline.section.media);
                }
            } else if let Some(mid) = line.strip_prefix("a=mid:").filter(|_| outline.section.mid.is_empty()) {
                mid.clone_into(&mut outline.section.mid);
            } else if let Some(text) = line.strip_prefix("a=ice-ufrag:") {
                ufrag.get_or_insert(text);
            } else if let Some(text) = line.strip_prefix("a=ice-pwd:") {
                password.get_or_insert(text);
            }
        }
        outline.credentials = ufrag
            .zip(password)
            .map(|(ufrag, password)| Credentials { ufrag: ufrag.to_owned(), password: password.to_owned() });
        outline
    }
}

/// Writes the answer to an ICE restart: the server's new credentials and candidates, for the bundle's own section.
pub fn restart_fragment(section: &Section, credentials: &Credentials, candidates: &[String]) -> String {
    // RFC 9725 4.3.3 by way of RFC 8840 9: the same ice-lite as in the answer.
    let mut text = String::from("a=ice-lite\r\n");
    if !section.media.is_empty() {
        text += &format!("a=group:BUNDLE {}\r\nm={}\r\na=mid:{}\r\n", section.mid, section.media, section.mid);
    }
    text += &format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", credentials.ufrag, credentials.password);
    for candidate in candidates {
        text += &format!("a={candidate}\r\n");
    }
    text + "a=end-of-candidates\r\n"
}

/// The lines that hold anything, whatever ends them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\r', '\n']).filter(|line| !line.is_empty()).take(LINES_MAX)
}

/// RFC 8839 5.4: 4 to 256 and 22 to 256 ice-chars.
fn well_formed(credentials: &Credentials) -> bool {
    let ice_chars = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    let Credentials { ufrag, password } = credentials;
    (4..=256).contains(&ufrag.len()) && (22..=256).contains(&password.len()) && ice_chars(ufrag) && ice_chars(password)
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
        let outline = Outline::of_offer(&offer).unwrap();
        assert_eq!(outline.kinds, Kinds { audio: true, video: true });
        assert_eq!(outline.section, Section { media: "audio 9 UDP/TLS/RTP/SAVPF 111".into(), mid: "0".into() });
        assert_eq!(outline.credentials, Some(Credentials { ufrag: "abcd".into(), password: PASSWORD.into() }));
    }

    #[test]
    fn lone_carriage_returns_hide_no_section() {
        assert!(Outline::of_offer("v=0\rm=video 9 X 96\r").unwrap().kinds.video);
    }

    #[test]
    fn what_is_no_sdp_is_refused() {
        for text in ["", "\r\n", "hello", "{}", "v=1\r\n", " v=0\r\n", "o=- 1 1 IN IP4 0\r\nv=0\r\n"] {
            assert_eq!(Outline::of_offer(text).unwrap_err().code, Code::OfferInvalid, "{text:?}");
        }
    }

    #[test]
    fn malformed_fragments_are_refused() {
        let short = "a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n";
        let chars = format!("a=ice-ufrag:ab d\r\na=ice-pwd:{PASSWORD}\r\n");
        let long = format!("a=ice-ufrag:{}\r\na=ice-pwd:{PASSWORD}\r\n", "u".repeat(257));
        for text in ["", "candidate:1", "v=0\r\n", "a=ice-ufrag:abcd\r\n", "a=ice-pwd:abc\r\n"] {
            assert_eq!(Outline::of_fragment(text).unwrap_err().code, Code::FragmentInvalid, "{text:?}");
        }
        for text in [short, &chars, &long] {
            assert_eq!(Outline::of_fragment(text).unwrap_err().code, Code::CredentialsInvalid, "{text:?}");
        }
    }

    #[test]
    fn written_fragment_reads_back() {
        let section = Section { media: "audio 9 UDP/TLS/RTP/SAVPF 111".into(), mid: "a".into() };
        let credentials = Credentials { ufrag: "serv".into(), password: PASSWORD.into() };
        let text = restart_fragment(&section, &credentials, &["candidate:1 1 udp 1 127.0.0.1 5000 typ host".into()]);
        let outline = Outline::of_fragment(&text).unwrap();
        assert_eq!((outline.section, outline.credentials), (section, Some(credentials)));
        assert!(text.contains("\r\na=candidate:1 1 udp 1 127.0.0.1 5000 typ host\r\n"));
    }
}
