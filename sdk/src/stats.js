// What the browser counts, as rates and a judgement: `read` picks out of an RTCStatsReport what is needed, `report` makes
// figures of two readings. Pure but for the clock's value that the browser puts into its report.

import { judge, worst } from "./quality.js";

/** The parts of a browser's report that ours is made of. */
export function read(stats) {
  const all = new Map();
  stats.forEach((entry) => all.set(entry.id, entry));
  const entries = [...all.values()];
  const transport = entries.find(({ type }) => type === "transport");
  const pair =
    all.get(transport?.selectedCandidatePairId) ??
    entries.find(({ nominated, state }) => nominated && state === "succeeded");
  const streams = entries.filter(({ type }) => type === "inbound-rtp" || type === "outbound-rtp");
  return {
    at: entries[0]?.timestamp ?? 0,
    pair,
    local: all.get(pair?.localCandidateId),
    remote: all.get(pair?.remoteCandidateId),
    streams: new Map(streams.map((stream) => [stream.id, { ...stream, ...companions(stream, all) }])),
  };
}

function companions(stream, all) {
  return { codec: all.get(stream.codecId), far: all.get(stream.remoteId), source: all.get(stream.mediaSourceId) };
}

/** Figures from the reading before (null for the first) to this one. */
export function report(before, now) {
  const spanMs = before ? Math.max(now.at - before.at, 1) : 0;
  const { pair } = now;
  const rttMs = inMs(pair?.currentRoundTripTime);
  const tracks = [...now.streams.values()].map((stream) =>
    trackOf(stream, before?.streams.get(stream.id), spanMs, rttMs),
  );
  return {
    at: Date.now(),
    spanMs,
    rttMs,
    availableBitrate: pair?.availableOutgoingBitrate ?? null,
    protocol: now.local?.protocol ?? null,
    local: address(now.local),
    remote: address(now.remote),
    tracks,
    quality: worst(tracks.map(({ quality }) => quality)),
  };
}

/** The part of a report that concerns some sections. */
export function ofSections(stats, mids) {
  const tracks = stats.tracks.filter(({ mid }) => mids.includes(mid));
  return { ...stats, tracks, quality: worst(tracks.map(({ quality }) => quality)) };
}

function trackOf(stream, before, spanMs, pairRttMs) {
  const sent = stream.type === "outbound-rtp";
  const grown = (name) => (stream[name] ?? 0) - (before?.[name] ?? 0);
  const packets = grown(sent ? "packetsSent" : "packetsReceived");
  const lost = lostOf(stream, before, packets);
  const track = {
    kind: stream.kind,
    direction: sent ? "sent" : "received",
    mid: stream.mid ?? "",
    encoding: stream.rid ?? null,
    codec: stream.codec?.mimeType.split("/")[1] ?? null,
    bitrate: spanMs ? (grown(sent ? "bytesSent" : "bytesReceived") * 8_000) / spanMs : 0,
    packets,
    ...lost,
    jitterMs: inMs((sent ? stream.far : stream)?.jitter),
    rttMs: inMs(stream.far?.roundTripTime) ?? pairRttMs,
    fps: stream.framesPerSecond ?? null,
    width: stream.frameWidth ?? null,
    height: stream.frameHeight ?? null,
    freezes: stream.freezeCount === undefined ? null : grown("freezeCount"),
    limitedBy: limitOf(stream),
  };
  return { ...track, quality: judge(track, shown(stream, grown, spanMs)) };
}

/** A receiver counts its losses; a sender is told of them. */
function lostOf(stream, before, packets) {
  if (stream.type === "outbound-rtp") {
    const lossRatio = Math.max(stream.far?.fractionLost ?? 0, 0);
    return { packetsLost: Math.max((stream.far?.packetsLost ?? 0) - (before?.far?.packetsLost ?? 0), 0), lossRatio };
  }
  // What was repaired late is taken back, so that the count may fall.
  const packetsLost = Math.max((stream.packetsLost ?? 0) - (before?.packetsLost ?? 0), 0);
  return { packetsLost, lossRatio: packetsLost / Math.max(packets + packetsLost, 1) };
}

/** How much of the media got through, from 0 to 1: pictures of those captured or received, sound that was not made up. */
function shown(stream, grown, spanMs) {
  if (!spanMs) return 1;
  if (stream.kind === "audio") {
    const madeUp = grown("concealedSamples") - grown("silentConcealedSamples");
    return 1 - madeUp / Math.max(grown("totalSamplesReceived"), 1);
  }
  if (stream.type === "outbound-rtp")
    return Math.min((stream.framesPerSecond ?? 0) / (stream.source?.framesPerSecond || Infinity) || 1, 1);
  const frozen = (grown("totalFreezesDuration") * 1_000) / spanMs;
  const received = grown("framesReceived");
  return Math.min(1 - frozen, received ? grown("framesDecoded") / received : 1);
}

function limitOf({ qualityLimitationReason: reason }) {
  return reason && reason !== "none" ? reason : null;
}

function inMs(seconds) {
  return seconds === undefined ? null : seconds * 1_000;
}

function address(candidate) {
  return candidate?.address ? `${candidate.address}:${candidate.port}` : null;
}
