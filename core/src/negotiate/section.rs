//! One media section of an offer: its formats with what belongs to each, its header extensions, its sources.
//!
//! Only formats that `capabilities` knows are kept; retransmission formats hang on the format that they repair, and the
//! others are forgotten. A section that cannot be accepted still keeps its `m=` line, for the answer must mirror it.

use sdp_types::{Attribute, Media};

use super::agreement::{Extensions, Feedback, Format, Source, Spec};
use super::capabilities::{self, EXTENSIONS, Row};
use super::parse::{Direction, SdpError, Transport, clip, direction_of, has, is_token, read_mid, value, values};
use crate::codec::{Codec, Kind};
use crate::id::{Mid, Rid};
use crate::limits::{ENCODINGS_MAX, FORMATS_MAX, SOURCES_MAX};

/// A media section as offered.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// The `m=` line's parts, mirrored by the answer.
    pub media: String,
    pub protocol: String,
    pub formats_text: String,
    /// Audio or video over a protocol we speak; `None` for all else.
    pub kind: Option<Kind>,
    pub mid: Option<Mid>,
    /// Whether the offerer wants it at all. Port 0 says no, but for `a=bundle-only` (RFC 9143 6), as Firefox has it.
    pub offered: bool,
    pub bundle_only: bool,
    pub transport: Transport,
    pub direction: Direction,
    pub rtcp_mux: bool,
    pub reduced_rtcp: bool,
    /// What we know of the section's formats, in its order; feedback as offered.
    pub formats: Vec<Format>,
    /// All known extensions that are offered.
    pub extensions: Extensions,
    pub sources: Vec<Source>,
    pub rids: Vec<Rid>,
}

impl Section {
    /// Reads one section; `session` and `direction` are what holds where the section itself is silent.
    pub(super) fn parse(media: &Media, session: &[Attribute], direction: Direction) -> Result<Self, SdpError> {
        let attributes = &media.attributes;
        let kind = kind_of(media);
        let bundle_only = has(attributes, "bundle-only");
        let direction = direction_of(attributes).unwrap_or(direction);
        Ok(Self {
            media: media.media.clone(),
            protocol: media.proto.clone(),
            formats_text: media.fmt.clone(),
            kind,
            mid: value(attributes, "mid").map(|mid| read_mid(mid.trim())).transpose()?,
            offered: media.port != 0 || bundle_only,
            bundle_only,
            transport: Transport::parse(attributes)?,
            direction,
            rtcp_mux: has(attributes, "rtcp-mux") || has(attributes, "rtcp-mux-only"),
            reduced_rtcp: has(attributes, "rtcp-rsize"),
            formats: kind.map_or(Ok(Vec::new()), |kind| formats_of(media, kind))?,
            extensions: extensions_of(attributes, session, direction),
            sources: sources_of(attributes),
            rids: rids_of(attributes),
        })
    }
}

fn kind_of(media: &Media) -> Option<Kind> {
    // RFC 8829 5.1.2: the profiles that are to be taken, whatever carries them.
    const PROTOCOLS: [&str; 4] = ["UDP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP"];
    if !PROTOCOLS.contains(&media.proto.as_str()) {
        return None;
    }
    match media.media.as_str() {
        "audio" => Some(Kind::Audio),
        "video" => Some(Kind::Video),
        _ => None,
    }
}

/// The attributes of a section that begin with a payload type, by payload type.
struct ByPayloadType<'a> {
    encodings: [Option<&'a str>; 128],
    parameters: [Option<&'a str>; 128],
    feedback: [Feedback; 128],
}

impl<'a> ByPayloadType<'a> {
    fn read(attributes: &'a [Attribute]) -> Self {
        let mut all = Self { encodings: [None; 128], parameters: [None; 128], feedback: [Feedback::default(); 128] };
        for (payload_type, encoding) in values(attributes, "rtpmap").filter_map(split_payload_type) {
            all.encodings[payload_type].get_or_insert(encoding);
        }
        for (payload_type, parameters) in values(attributes, "fmtp").filter_map(split_payload_type) {
            all.parameters[payload_type].get_or_insert(parameters);
        }
        for line in values(attributes, "rtcp-fb") {
            // RFC 4585 4.2: an asterisk stands for every payload type.
            if let Some(feedback) = line.trim_start().strip_prefix("* ") {
                all.feedback.iter_mut().for_each(|each| add_feedback(each, feedback));
            } else if let Some((payload_type, feedback)) = split_payload_type(line) {
                add_feedback(&mut all.feedback[payload_type], feedback);
            }
        }
        all
    }

    fn row(&self, payload_type: usize) -> Option<&'static Row> {
        match self.encodings[payload_type] {
            Some(encoding) => capabilities::row_of(encoding),
            None => capabilities::row_of_fixed(payload_type as u8),
        }
    }

    /// RFC 4588 8.1: the payload type that an `rtx` format repairs.
    fn repaired(&self, payload_type: usize) -> Option<usize> {
        let (name, _) = self.encodings[payload_type]?.split_once('/')?;
        let mut parameters = self.parameters[payload_type]?.split(';');
        let apt = parameters.find_map(|parameter| parameter.trim().strip_prefix("apt="))?;
        name.eq_ignore_ascii_case("rtx").then(|| read_payload_type(apt.trim()))?
    }
}

fn formats_of(media: &Media, kind: Kind) -> Result<Vec<Format>, SdpError> {
    let attributes = ByPayloadType::read(&media.attributes);
    let mut listed = Vec::new();
    for text in media.fmt.split_ascii_whitespace() {
        let payload_type = read_payload_type(text).ok_or_else(|| SdpError::PayloadTypeInvalid(clip(text)))?;
        if !listed.contains(&payload_type) {
            listed.push(payload_type);
        }
    }
    let mut rtx = [None; 128];
    for &payload_type in &listed {
        if let Some(repaired) = attributes.repaired(payload_type) {
            rtx[repaired].get_or_insert(payload_type as u8);
        }
    }
    let known = listed.iter().filter_map(|&payload_type| {
        let row = attributes.row(payload_type).filter(|row| row.codec.kind() == kind)?;
        let parameters = attributes.parameters[payload_type].unwrap_or_default().to_owned();
        let spec = Spec { codec: row.codec, clock_rate: row.clock_rate, channels: row.channels, parameters };
        capabilities::is_forwarded(&spec).then(|| Format {
            payload_type: payload_type as u8,
            spec,
            rtx: rtx[payload_type],
            feedback: attributes.feedback[payload_type],
        })
    });
    let mut formats: Vec<Format> = known.take(FORMATS_MAX).collect();
    drop_foreign_redundancy(&mut formats);
    Ok(formats)
}

/// RFC 2198 4: a redundant format names formats of its own section. Only one of Opus is known here.
fn drop_foreign_redundancy(formats: &mut Vec<Format>) {
    let of_codec = |codec| formats.iter().filter(move |format| format.spec.codec == codec);
    let opus: Vec<u8> = of_codec(Codec::Opus).map(|format| format.payload_type).collect();
    let is_foreign = |spec: &Spec| spec.redundant_payload_type().is_none_or(|of| !opus.contains(&of));
    formats.retain(|format| format.spec.codec != Codec::Red || !is_foreign(&format.spec));
}

/// A payload type as an index into 128.
fn read_payload_type(text: &str) -> Option<usize> {
    text.parse::<u8>().ok().filter(|&payload_type| payload_type < 128).map(usize::from)
}

fn split_payload_type(line: &str) -> Option<(usize, &str)> {
    let (payload_type, rest) = line.trim().split_once(' ')?;
    Some((read_payload_type(payload_type)?, rest.trim()))
}

fn add_feedback(feedback: &mut Feedback, text: &str) {
    match text.trim() {
        "nack" => feedback.nack = true,
        "nack pli" => feedback.pli = true,
        "ccm fir" => feedback.fir = true,
        "transport-cc" => feedback.transport_cc = true,
        "goog-remb" => feedback.remb = true,
        // RFC 4585 4.2: unknown feedback is ignored.
        _ => (),
    }
}

/// RFC 8285 5: `a=extmap:<id>["/"<direction>] <URI> [<attributes>]`; at the session's level for all sections.
fn extensions_of(attributes: &[Attribute], session: &[Attribute], section: Direction) -> Extensions {
    let mut extensions = Extensions::default();
    extensions.mixed = has(attributes, "extmap-allow-mixed") || has(session, "extmap-allow-mixed");
    for line in values(attributes, "extmap").chain(values(session, "extmap")) {
        let mut parts = line.split_ascii_whitespace();
        let (Some(key), Some(uri)) = (parts.next(), parts.next()) else { continue };
        let (id, direction) = key.split_once('/').map_or((key, None), |(id, direction)| (id, Some(direction)));
        let usable = direction.is_none_or(|name| {
            Direction::parse(name).is_some_and(|own| own == Direction::SendReceive || own == section)
        });
        let row = EXTENSIONS.iter().find(|row| row.uri == uri);
        // RFC 8285 4.2: 15 is no id of the one-byte form, and none is above 255.
        let id = id.parse::<u8>().ok().filter(|&id| id != 0 && id != 15);
        if let (Some(row), Some(id), true) = (row, id, usable)
            && extensions.id(row.extension).is_none()
            && extensions.of(id).is_none()
        {
            extensions.bind(row.extension, id);
        }
    }
    extensions
}

/// RFC 5576: the announced SSRCs that are not some other's repair, each with its retransmissions.
fn sources_of(attributes: &[Attribute]) -> Vec<Source> {
    let mut announced: Vec<u32> = Vec::new();
    for line in values(attributes, "ssrc") {
        let ssrc = line.split_ascii_whitespace().next().and_then(|ssrc| ssrc.parse().ok());
        if let Some(ssrc) = ssrc.filter(|ssrc| !announced.contains(ssrc))
            && announced.len() < SOURCES_MAX
        {
            announced.push(ssrc);
        }
    }
    let group = |semantics: &'static str| {
        let read = move |line: &str| {
            let mut ssrcs = line.trim().strip_prefix(semantics)?.split_ascii_whitespace().map(str::parse::<u32>);
            Some((ssrcs.next()?.ok()?, ssrcs.next()?.ok()?))
        };
        values(attributes, "ssrc-group").filter_map(read).take(SOURCES_MAX).collect::<Vec<_>>()
    };
    let (rtx, fec) = (group("FID "), group("FEC-FR "));
    let is_repair = |ssrc: u32| rtx.iter().chain(&fec).any(|&(_, repair)| repair == ssrc);
    announced
        .into_iter()
        .filter(|&ssrc| !is_repair(ssrc))
        .map(|primary| Source { primary, rtx: rtx.iter().find(|pair| pair.0 == primary).map(|pair| pair.1) })
        .collect()
}

/// RFC 8853 5.1: the encodings that `a=simulcast:send` lists, each with an `a=rid:<id> send` of its own (RFC 8851 4). Of
/// alternatives, which stand behind commas, the first is taken; a tilde (not sent at first) says nothing that lasts. An id is
/// letters and digits, and by older drafts `-` and `_`.
fn rids_of(attributes: &[Attribute]) -> Vec<Rid> {
    let announced = |rid: &str| {
        values(attributes, "rid").any(|line| {
            let mut parts = line.split_ascii_whitespace();
            parts.next() == Some(rid) && parts.next() == Some("send")
        })
    };
    let mut parts = value(attributes, "simulcast").unwrap_or_default().split_ascii_whitespace();
    let sent = parts.by_ref().find(|part| *part == "send").and_then(|_| parts.next()).unwrap_or_default();
    let first = |stream: &str| stream.split(',').next().unwrap_or_default().trim_start_matches('~').to_owned();
    let mut rids = Vec::new();
    for name in sent.split(';').map(first).filter(|name| name.bytes().all(is_token) && announced(name)) {
        if let Some(rid) = Rid::from(&name).ok().filter(|rid| !rids.contains(rid) && rids.len() < ENCODINGS_MAX) {
            rids.push(rid);
        }
    }
    rids
}
