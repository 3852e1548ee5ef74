"""aiortc publishes a moving picture and a tone by WHIP. Arguments: endpoint, token. Ends when its input ends."""

import asyncio
import fractions
import math
import sys

import av
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from whip import Session

RATE = 48_000
SAMPLES = RATE // 50


class Tone(AudioStreamTrack):
    """440 Hz, in frames of 20 ms."""

    def __init__(self):
        super().__init__()
        self._at = 0
        self._started = None

    async def recv(self):
        loop = asyncio.get_running_loop()
        self._started = self._started or loop.time()
        await asyncio.sleep(max(0, self._started + self._at / RATE - loop.time()))
        values = (int(8_000 * math.sin(2 * math.pi * 440 * (self._at + n) / RATE)) for n in range(SAMPLES))
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(b"".join(value.to_bytes(2, "little", signed=True) for value in values))
        frame.pts, frame.sample_rate, frame.time_base = self._at, RATE, fractions.Fraction(1, RATE)
        self._at += SAMPLES
        return frame


class Picture(VideoStreamTrack):
    """A grey that changes from frame to frame, at 30 frames a second."""

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([pts // 3_000 % 200 + 20]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        return frame


async def main(endpoint, token):
    peer, session = RTCPeerConnection(), Session(endpoint, token)
    peer.addTrack(Tone())
    peer.addTrack(Picture())
    await peer.setLocalDescription(await peer.createOffer())
    answer = await asyncio.to_thread(session.open, peer.localDescription.sdp)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.to_thread(session.close)
    await peer.close()


asyncio.run(main(*sys.argv[1:]))
