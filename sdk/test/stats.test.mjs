// Figures of two readings, and what is thought of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ofSections, read, report } from "../src/stats.js";

const path = [
  { id: "t", type: "transport", selectedCandidatePairId: "p", timestamp: 0 },
  {
    id: "p",
    type: "candidate-pair",
    currentRoundTripTime: 0.05,
    availableOutgoingBitrate: 1e6,
    localCandidateId: "l",
    remoteCandidateId: "r",
  },
  { id: "l", type: "local-candidate", address: "192.0.2.1", port: 5, protocol: "udp" },
  { id: "r", type: "remote-candidate", address: "192.0.2.2", port: 6, protocol: "udp" },
];
const audio = {
  id: "a",
  type: "inbound-rtp",
  kind: "audio",
  mid: "0",
  codecId: "opus",
  jitter: 0.01,
  packetsReceived: 100,
  packetsLost: 0,
  bytesReceived: 1_000,
  concealedSamples: 0,
  silentConcealedSamples: 0,
  totalSamplesReceived: 48_000,
};
const video = {
  id: "v",
  type: "inbound-rtp",
  kind: "video",
  mid: "1",
  codecId: "vp8",
  jitter: 0.02,
  packetsReceived: 1_000,
  packetsLost: 10,
  bytesReceived: 1e6,
  framesPerSecond: 30,
  frameWidth: 640,
  frameHeight: 360,
  framesReceived: 300,
  framesDecoded: 300,
  freezeCount: 1,
  totalFreezesDuration: 1,
};
const codecs = [
  { id: "opus", type: "codec", mimeType: "audio/opus" },
  { id: "vp8", type: "codec", mimeType: "video/VP8" },
];

/** A reading `at` ms, with streams as they are then. */
function reading(at, ...streams) {
  const entries = [...path, ...codecs, ...streams].map((entry) => [entry.id, { timestamp: at, ...entry }]);
  return read(new Map(entries.map(([id, entry]) => [id, { ...entry, timestamp: at }])));
}

const first = reading(0, audio, video);

function after(changes) {
  const next = reading(
    1_000,
    { ...audio, packetsReceived: 150, bytesReceived: 5_000, totalSamplesReceived: 96_000 },
    {
      ...video,
      packetsReceived: 1_100,
      bytesReceived: 1_125_000,
      framesReceived: 330,
      framesDecoded: 330,
      ...changes,
    },
  );
  return report(first, next);
}

test("rates are those since the reading before", () => {
  const { spanMs, rttMs, availableBitrate, protocol, local, remote, tracks, quality } = after({});
  assert.deepEqual(
    [spanMs, rttMs, availableBitrate, protocol, local, remote],
    [1_000, 50, 1e6, "udp", "192.0.2.1:5", "192.0.2.2:6"],
  );
  const { kind, direction, mid, codec, bitrate, packets, packetsLost, jitterMs, fps, width, height, freezes } =
    tracks[1];
  assert.deepEqual(
    [kind, direction, mid, codec, bitrate, packets, packetsLost],
    ["video", "received", "1", "VP8", 1e6, 100, 0],
  );
  assert.deepEqual([jitterMs, fps, width, height, freezes], [20, 30, 640, 360, 0]);
  assert.equal(tracks[0].bitrate, 32_000);
  assert.deepEqual(quality, { score: 1, network: 1, media: 1, reasons: [] });
});

test("a first reading has no rates", () => {
  const { spanMs, tracks, quality } = report(null, first);
  assert.deepEqual([spanMs, tracks[0].bitrate, quality.score], [0, 0, 1]);
});

test("loss up to two in a hundred is free, each further one costs a tenth", () => {
  const { tracks, quality } = after({ packetsReceived: 1_094, packetsLost: 16 });
  assert.equal(tracks[1].lossRatio, 0.06);
  assert.ok(Math.abs(quality.network - 0.6) < 1e-9);
  assert.equal(quality.reasons[0].cause, "loss");
  assert.equal(after({ packetsLost: 5 }).tracks[1].packetsLost, 0, "late packets took losses back");
});

test("the worst cause decides, and all are named, worst first", () => {
  const { quality } = after({ jitter: 0.1, totalFreezesDuration: 1.5 });
  assert.deepEqual(
    quality.reasons.map(({ cause }) => cause),
    ["fps", "jitter"],
  );
  assert.ok(Math.abs(quality.media - 0.5 / 0.95) < 1e-9);
  assert.ok(Math.abs(quality.network - 0.7) < 1e-9);
  assert.equal(quality.score, quality.media);
});

test("a sender is judged by what it is told, and by what holds its encoder back", () => {
  const streams = [
    {
      id: "o",
      type: "outbound-rtp",
      kind: "video",
      mid: "0",
      remoteId: "f",
      mediaSourceId: "s",
      framesPerSecond: 15,
      qualityLimitationReason: "cpu",
      packetsSent: 9,
      bytesSent: 9,
    },
    { id: "f", type: "remote-inbound-rtp", fractionLost: 0.05, packetsLost: 3, jitter: 0.01, roundTripTime: 0.2 },
    { id: "s", type: "media-source", framesPerSecond: 30 },
  ];
  const { tracks } = report(reading(0), reading(1_000, ...streams));
  assert.deepEqual(
    [tracks[0].direction, tracks[0].lossRatio, tracks[0].rttMs, tracks[0].limitedBy],
    ["sent", 0.05, 200, "cpu"],
  );
  assert.deepEqual(
    tracks[0].quality.reasons.map(({ cause }) => cause),
    ["fps", "loss", "rtt", "cpu"],
  );
});

test("a part of a report is judged for itself", () => {
  const whole = after({ totalFreezesDuration: 2 });
  const { tracks, quality } = ofSections(whole, ["0"]);
  assert.deepEqual([tracks.length, quality.score, whole.quality.score], [1, 1, 0]);
});
