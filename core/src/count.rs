//! The registry of everything that is counted: what arrived, what left, and every reason why a packet went no further.
//!
//! One list each for counters and discards; metrics and documentation are made from these lists. Counting is an add
//! to a plain array that its owner alone writes; the edge publishes copies.

/// Makes an enum whose variants have stable names and a sentence each, and the list of them all.
///
/// A macro, since three lists (an enum's variants, their names, their sentences) have to stay one.
#[macro_export]
macro_rules! registry {
    ($(#[$doc:meta])* $type:ident { $($(#[doc = $text:literal])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $type { $($(#[doc = $text])* $variant,)* }

        impl $type {
            /// Every variant, in the order in which values are published.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, as metrics carry it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence for documentation.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($text),*),)* }
            }
        }
    };
}

registry! {
    /// What happened to datagrams and packets that went their way.
    Counter {
        /// Datagrams that the shard took off its sockets.
        Received = "received_datagrams",
        /// STUN messages that were answered.
        StunAnswered = "stun_answered",
        /// DTLS datagrams handed to a handshake thread.
        DtlsHandedOver = "dtls_handed_over",
        /// DTLS datagrams that a handshake thread gave back to be sent.
        DtlsSent = "dtls_sent",
        /// DTLS associations that were begun.
        HandshakesStarted = "handshakes_started",
        /// DTLS handshakes that ended with keys.
        HandshakesCompleted = "handshakes_completed",
        /// DTLS handshakes that ended without keys.
        HandshakesFailed = "handshakes_failed",
        /// DTLS handshakes that began anew after a datagram that broke them.
        HandshakesRestarted = "handshakes_restarted",
        /// RTP packets authenticated and accepted into an upstream.
        RtpAccepted = "rtp_accepted",
        /// RTX packets that repaired an upstream.
        RtxAccepted = "rtx_accepted",
        /// RTCP datagrams authenticated and read.
        RtcpAccepted = "rtcp_accepted",
        /// RTP packets sealed for a viewer, repairs not included.
        Forwarded = "rtp_forwarded",
        /// Bytes of padding that made packets equally long, once for all viewers.
        PaddingBytes = "rtp_padding_bytes",
        /// Packets of padding sent under a number that was kept for a packet which came late and is not for that viewer.
        Fillers = "rtp_fillers",
        /// Times that a viewer began with a stream, or was turned to another encoding or layer.
        Switches = "layer_switches",
        /// RTP packets sent to a viewer again, on its request.
        Repaired = "rtp_repaired",
        /// RTCP datagrams sent.
        RtcpSent = "rtcp_sent",
        /// NACK requests for single packets sent to publishers.
        NacksSent = "nacks_sent",
        /// Packets that viewers asked for again.
        NacksReceived = "nacks_received",
        /// Key frame requests sent to publishers.
        KeyFrameRequestsSent = "key_frame_requests_sent",
        /// Key frame requests that viewers sent.
        KeyFrameRequestsReceived = "key_frame_requests_received",
        /// Transport-wide feedback packets sent to publishers.
        TransportFeedbackSent = "transport_feedback_sent",
        /// Transport-wide feedback packets that viewers sent and that were read.
        TransportFeedbackReceived = "transport_feedback_received",
        /// Packets that transport-wide feedback told of, as arrived or missing.
        TransportFeedbackStatuses = "transport_feedback_statuses",
        /// Bandwidth estimates that viewers sent (REMB).
        EstimatesReceived = "receiver_estimates_received",
        /// Video layers allocations of publishers that were read: what they say they send.
        AllocationsReceived = "layer_allocations_received",
        /// Video layers allocations that were not believed: broken, or of other encodings than those agreed on.
        AllocationsRefused = "layer_allocations_refused",
    }
}

registry! {
    /// Why a datagram or a packet went no further.
    Discard {
        /// An empty datagram.
        Empty = "empty",
        /// Shorter than its protocol's shortest message.
        Truncated = "truncated",
        /// The first byte belongs to no protocol spoken here.
        UnknownProtocol = "unknown_protocol",
        /// A STUN message whose structure is wrong.
        StunMalformed = "stun_malformed",
        /// A STUN message that is no binding request.
        StunUnexpected = "stun_unexpected",
        /// A binding request for a user name that no connection has.
        StunUnknownUser = "stun_unknown_user",
        /// A binding request whose integrity check failed.
        StunBadIntegrity = "stun_bad_integrity",
        /// DTLS, RTP or RTCP from an address that no connection has validated.
        UnknownSource = "unknown_source",
        /// DTLS whose structure is wrong, or beyond what an open handshake may send.
        DtlsUnexpected = "dtls_unexpected",
        /// The queue to or from the handshake threads was full.
        HandshakeQueueFull = "handshake_queue_full",
        /// SRTP or SRTCP that arrived before its keys.
        NoKeys = "no_keys",
        /// An RTP packet whose structure is wrong.
        RtpMalformed = "rtp_malformed",
        /// An RTCP packet whose structure is wrong.
        RtcpMalformed = "rtcp_malformed",
        /// A packet whose authentication failed.
        BadAuthentication = "bad_authentication",
        /// A packet that was received before.
        Replayed = "replayed",
        /// A packet older than the replay window.
        TooOld = "too_old",
        /// An SSRC that no media section of the connection explains.
        UnknownSsrc = "unknown_ssrc",
        /// More SSRCs than a connection may have.
        TooManySsrcs = "too_many_ssrcs",
        /// A payload type that was not negotiated.
        UnknownPayloadType = "unknown_payload_type",
        /// RTP on a connection that only receives.
        NotSending = "not_sending",
        /// A packet with padding and nothing else.
        PaddingOnly = "padding_only",
        /// Its dependency descriptor needs a template structure that has not come: it is asked for again.
        StructureMissing = "structure_missing",
        /// An RTX packet that repairs nothing: too short, or for a packet that is already here.
        RtxUseless = "rtx_useless",
        /// A packet that already came by another way.
        Duplicate = "duplicate",
        /// Not forwarded: the viewer waits for a key frame.
        AwaitingKeyFrame = "awaiting_key_frame",
        /// Not forwarded: the viewer did not negotiate the codec that is being sent.
        CodecNotNegotiated = "codec_not_negotiated",
        /// Not forwarded: it would have reached the viewer from before its start.
        BeforeStart = "before_start",
        /// Forwarded to no viewer: audio of a track that is not among the loudest, where only those are forwarded.
        NotAmongLoudest = "not_among_loudest",
        /// Dropped: of a layer that this viewer does not get. Its sequence numbers close over it.
        LayerDropped = "layer_dropped",
        /// Not forwarded: the fan-out fell behind and the packet was overwritten, or its stream has ended.
        Overrun = "overrun",
        /// Not sent: no room in the egress.
        EgressFull = "egress_full",
        /// Not sent: the connection's key has sealed as many packets as it may.
        KeyExhausted = "key_exhausted",
        /// Not sent: the packet would not fit a datagram.
        TooLarge = "too_large",
        /// Not sent again: the packet asked for is not in the retransmission ring.
        RepairGone = "repair_gone",
        /// Not sent again: it was sent again a moment ago.
        RepairTooSoon = "repair_too_soon",
        /// Not sent again: the viewer's budget for repairs is used up.
        RepairBudget = "repair_budget",
        /// Not sent again: the shard is behind, and what was never sent goes first.
        OverloadRepair = "overload_repair",
        /// Sent to no viewer, since the shard is behind: video between two key frames.
        OverloadVideo = "overload_video",
        /// Sent to no viewer, since the shard is behind: a sender report.
        OverloadReport = "overload_report",
        /// Sent to no viewer, since the shard is behind and no other video was left to drop: part of a key frame.
        OverloadKeyFrame = "overload_key_frame",
        /// Sent to no viewer, since the shard is behind and nothing else was left to drop: audio.
        OverloadAudio = "overload_audio",
        /// A feedback packet that was not read: the viewer sent more of it than one viewer may.
        FeedbackBudget = "feedback_budget",
        /// A feedback packet that was not believed: it tells of packets that never left, or by a clock that cannot be.
        FeedbackImplausible = "feedback_implausible",
    }
}

/// Counts of everything in the two registries.
#[derive(Clone, Debug)]
pub struct Tally {
    counters: [u64; Counter::ALL.len()],
    discards: [u64; Discard::ALL.len()],
}

impl Default for Tally {
    fn default() -> Self {
        Self { counters: [0; Counter::ALL.len()], discards: [0; Discard::ALL.len()] }
    }
}

impl Tally {
    #[inline]
    pub fn count(&mut self, counter: Counter) {
        self.counters[counter as usize] += 1;
    }

    #[inline]
    pub fn add(&mut self, counter: Counter, n: u64) {
        self.counters[counter as usize] += n;
    }

    #[inline]
    pub fn discard(&mut self, reason: Discard) {
        self.discards[reason as usize] += 1;
    }

    pub fn of(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    pub fn discarded(&self, reason: Discard) -> u64 {
        self.discards[reason as usize]
    }

    /// Adds what another owner counted.
    pub fn merge(&mut self, other: &Self) {
        let pairs = self.counters.iter_mut().zip(&other.counters).chain(self.discards.iter_mut().zip(&other.discards));
        for (sum, more) in pairs {
            *sum += more;
        }
    }

    /// All values, counters first, in the order of the registries: the shape in which they are published.
    pub fn values(&self) -> impl Iterator<Item = u64> + '_ {
        self.counters.iter().chain(&self.discards).copied()
    }
}
