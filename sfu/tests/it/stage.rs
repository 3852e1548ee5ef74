//! Publishers whose words a test puts into their mouths: audio packets of a given level, one by one.

use tidewire_core::codec::Codec;
use tidewire_core::id::{ConnectionKey, MediaId, Mid};
use tidewire_core::message::{Event, Request};
use tidewire_core::negotiate::{Extension, Extensions};
use tidewire_core::rebuild::{Fields, Form, HEADER_LEN_MAX};
use tidewire_core::sim::{Actor, Content, Media};
use tidewire_core::time::Instant;

use crate::call::{Call, Wishes, channel_key, key_of};

/// What the publishers' offers have beside the usual: the level of each packet (RFC 6464).
const LEVELS: &str = "a=extmap:5 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=rtpmap:111 ";

/// Samples of a packet of 20 ms.
pub(crate) const TICKS: u32 = 960;

pub(crate) struct Speaker {
    pub(crate) key: ConnectionKey,
    /// The SSRC of its audio, which its packets' contents name.
    pub(crate) ssrc: u32,
    /// Whether it sends with redundancy (RFC 2198).
    pub(crate) is_redundant: bool,
    at: usize,
    sequence: u64,
}

impl Speaker {
    /// Publishes under a media id in channel "sea"; says nothing yet.
    pub(crate) fn join(call: &mut Call, media_id: &str) -> Self {
        let client = call.client(Wishes::default());
        let offer = with_redundancy(&client.offer_to_send().replace("a=rtpmap:111 ", LEVELS));
        let (key, channel) = (key_of(&client), channel_key("sea"));
        let media_id = MediaId::new(media_id).unwrap();
        let (answer, id) = call.open(Request::OpenUpstream { connection: key, channel, media_id, offer });
        // Nothing by itself: the simulator's own publishers have a schedule.
        let silent = client.viewer(&answer, call.server).unwrap();
        call.world.actors.push(Actor { connection: id, media: Media::Views(silent) });
        let ssrc = u32::from(client.number) * 100 + 1;
        Self {
            key,
            ssrc,
            is_redundant: false,
            at: call.world.actors.len() - 1,
            sequence: 1000 * u64::from(client.number),
        }
    }

    /// Sends 20 ms of sound at so many decibels below the loudest; its timestamps are those of its clock.
    pub(crate) fn say(&mut self, call: &mut Call, dbov: u8) -> Content {
        let now = call.world.now;
        let content = Content { stream: self.ssrc, number: self.sequence, sent: now };
        let fields = Fields {
            marker: false,
            payload_type: 111,
            sequence: self.sequence as u16,
            timestamp: clock(now),
            ssrc: self.ssrc,
            padded: false,
        };
        let mut ids = Extensions::default();
        ids.bind(Extension::AudioLevel, 5);
        let mut header = [0; HEADER_LEN_MAX];
        let level = [Extension::AudioLevel as u8, 1, dbov];
        let payload = content.write(100, Codec::Opus, false, false);
        let (fields, payload) = if self.is_redundant {
            // A block of the packet before, which is not looked at, and the primary one (RFC 2198 3).
            (Fields { payload_type: 63, ..fields }, [&[0x80 | 111, 0x0f, 0, 3, 111, 7, 7, 7][..], &payload].concat())
        } else {
            (fields, payload)
        };
        let len = Form::new(&ids, &Mid::new()).write(&fields, &level, &mut header).unwrap();
        let peer = call.world.actors[self.at].peer();
        peer.send_rtp(self.sequence, len, &[&header[..len], &payload].concat());
        self.sequence += 1;
        let (from, sent) = (peer.address, std::mem::take(&mut peer.outbox));
        sent.iter().for_each(|datagram| call.world.inject(from, datagram));
        content
    }
}

/// The offer, with redundant audio behind its Opus.
pub(crate) fn with_redundancy(offer: &str) -> String {
    let listed = offer.replace("SAVPF 111\r\n", "SAVPF 111 63\r\n");
    listed.replace("a=rtpmap:111 ", "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:111 ")
}

/// A publisher's clock at this time.
pub(crate) fn clock(now: Instant) -> u32 {
    (now.nanos() / 1_000_000 * u64::from(TICKS) / 20) as u32
}

/// Runs for this long; returns what control has to tell of it.
pub(crate) fn run(call: &mut Call, ms: u64) -> Vec<Event> {
    call.world.run_until(call.world.now + std::time::Duration::from_millis(ms));
    let events = std::mem::take(&mut call.world.events);
    let shard = tidewire_core::id::ShardId(0);
    events.into_iter().filter_map(|event| call.control.handle_event(shard, event)).collect()
}
