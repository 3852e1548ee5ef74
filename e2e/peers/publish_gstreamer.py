"""GStreamer's webrtcbin publishes a test picture and a tone by WHIP. Arguments: endpoint, token. Ends when its input ends."""

import re
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

from certificate import ecdsa  # noqa: E402
from whip import Session  # noqa: E402

PIPELINE = """
    webrtcbin name=peer bundle-policy=max-bundle
    videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1
        ! vp8enc deadline=1 keyframe-max-dist=60 ! rtpvp8pay pt=96 picture-id-mode=15-bit ! peer.
    audiotestsrc is-live=true wave=sine ! audioconvert ! opusenc ! rtpopuspay pt=97 ! peer.
"""

PEM, FINGERPRINT = ecdsa()


class Publisher:
    def __init__(self, endpoint, token):
        self.session = Session(endpoint, token)
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.parse_launch(PIPELINE)
        self.peer = self.pipeline.get_by_name("peer")
        self.peer.connect("deep-element-added", self.certify)
        self.peer.connect("on-negotiation-needed", self.offer)
        self.peer.connect("notify::ice-gathering-state", self.gathered)
        for index in (0, 1):
            transceiver = self.peer.emit("get-transceiver", index)
            transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)

    def certify(self, _, __, element):
        """By itself webrtcbin shows an RSA certificate, which this server does not take."""
        if element.find_property("pem"):
            element.set_property("pem", PEM)

    def offer(self, peer):
        def made(promise, *_):
            # The offer lives in the reply, so that is kept.
            reply = promise.get_reply()
            peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

        peer.emit("create-offer", None, Gst.Promise.new_with_change_func(made, None, None))

    def gathered(self, peer, _):
        if peer.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return
        # webrtcbin takes the fingerprint of the whole PEM, the key with it.
        offer = peer.get_property("local-description").sdp.as_text()
        offer = re.sub(r"(a=fingerprint:sha-256 )\S+", rf"\g<1>{FINGERPRINT}", offer)
        answer = self.session.open(offer)
        _, sdp = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        peer.emit("set-remote-description", description, Gst.Promise.new())

    def input_ended(self, *_):
        self.session.close()
        self.loop.quit()

    def failed(self, _, message):
        error, detail = message.parse_error()
        sys.exit(f"{error}: {detail}")

    def run(self):
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.failed)
        GLib.io_add_watch(sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IOCondition.HUP, self.input_ended)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)


Gst.init(None)
Publisher(*sys.argv[1:]).run()
