// What is published: the offer of this end, mutes that are told, tracks that change without a word, what brings it back.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Gateway } from "./lib/gateway.mjs";
import { faults, peers, track } from "./lib/peers.mjs";
import { until } from "./lib/until.mjs";

const { Client, LocalMedia } = await import("../tidewire.js");

let gateway;
let client;
let channel;
let media;

beforeEach(async () => {
  peers.length = 0;
  const opened = () => ({
    type: "upstreamOpened",
    connection: `c${peers.length}`,
    upstream: `u${peers.length}`,
    answer: "a=ice-ufrag:s1\r\na=ice-pwd:t1\r\na=candidate:1 1 udp 1 ::1 1 typ host\r\nm=video",
  });
  gateway = await Gateway.start({ openUpstream: opened });
  client = new Client({ url: gateway.url, token: "token" });
  [channel] = await client.register();
  media = LocalMedia.of(new MediaStream([track("audio"), track("video")]));
});

afterEach(async () => {
  await client.unregister();
  await gateway.stop();
  assert.deepEqual([gateway.faults, faults.splice(0)], [[], []]);
});

const told = () =>
  gateway
    .asked("updateUpstream")
    .map(({ audioMuted, videoMuted, content, tag }) => ({ audioMuted, videoMuted, content, tag }));

test("a publication says what it is", async () => {
  media.mute({ video: true });
  const options = { mediaId: "main", tag: "stage", maxBitrate: 300_000, simulcast: false };
  const upstream = await channel.publish(media, options);
  const { type, offer, ...said } = gateway.asked("openUpstream")[0];
  assert.deepEqual(said, {
    channel: "sea",
    mediaId: "main",
    audioMuted: false,
    videoMuted: true,
    content: "camera",
    tag: "stage",
  });
  assert.match(offer, /m=audio[^]*m=video/);
  assert.deepEqual([upstream.upstream, upstream.state, channel.published.has(upstream)], ["u1", "connecting", true]);
  peers[0].become("connected");
  assert.equal(upstream.state, "live");
  const [, video] = peers[0].getTransceivers();
  assert.equal(video.sender.getParameters().encodings[0].maxBitrate, 300_000);
  await upstream.limit(null);
  assert.deepEqual(video.sender.getParameters().encodings, [{ active: true }]);
});

test("mutes are told to the others, the last of many once", async () => {
  const upstream = await channel.publish(media);
  upstream.mute({ audio: true });
  media.mute({ audio: false });
  media.mute({ audio: true, video: true });
  await until("told", () => told().length > 0);
  await channel.send("a round trip");
  assert.deepEqual(told(), [{ audioMuted: true, videoMuted: true, content: "camera", tag: undefined }]);
  assert.deepEqual([media.audioTrack.enabled, media.videoTrack.enabled], [false, false]);
  media.mute({ audio: true });
  await channel.send("another");
  assert.equal(told().length, 1);
});

test("a mute that is refused for now is told later", async () => {
  const upstream = await channel.publish(media);
  let refusals = 2;
  gateway.answers.updateUpstream = () =>
    (refusals -= 1) < 0 ? { type: "done" } : { refused: { code: "tooManyMessages", retryAfterS: 0.01 } };
  upstream.mute({ audio: true });
  await until("told", () => told().length === 3);
  assert.equal(told()[2].audioMuted, true);
});

test("a mute while it is being opened is not forgotten", async () => {
  const published = channel.publish(media);
  await until("asked", () => gateway.asked("openUpstream").length === 1);
  media.mute({ audio: true });
  await published;
  await until("told", () => told().length === 1);
  assert.equal(told()[0].audioMuted, true);
});

test("a network that is quicker than the browser's promises keeps nobody waiting", async () => {
  const opened = gateway.answers.openUpstream;
  gateway.answers.openUpstream = () => {
    setTimeout(() => peers[0].become("connected"));
    return opened();
  };
  const upstream = await channel.publish(media);
  assert.equal(upstream.state, "live");
});

test("another track takes the place of one of its kind without a word", async () => {
  const upstream = await channel.publish(media);
  const [before, after] = [media.videoTrack, track("video")];
  media.mute({ video: true });
  await upstream.replaceTrack(after);
  await until("sent", () => peers[0].getTransceivers()[1].sender.track === after);
  // Both are the page's own to stop.
  assert.deepEqual([before.stopped, after.enabled, media.videoTrack, peers.length], [false, false, after, 1]);
});

test("a kind that it did not have takes another connection", async () => {
  media = LocalMedia.of(new MediaStream([track("audio")]));
  const upstream = await channel.publish(media, { mediaId: "main" });
  await upstream.replaceTrack(track("video"));
  await until("published again", () => gateway.asked("openUpstream").length === 2);
  assert.match(gateway.asked("openUpstream")[1].offer, /m=video/);
  await until("under its new name", () => upstream.upstream === "u2");
  assert.deepEqual([peers[0].closed, gateway.asked("close")[0].connection], [true, "c1"]);
});

test("media without a track is published again when it has one", async () => {
  const upstream = await channel.publish(media);
  media._replace("audio", null);
  media._replace("video", null);
  gateway.tell({ type: "closed", connection: "c1", reason: "mediaServerLost" });
  await until("another peer", () => peers.length === 2);
  await channel.send("a round trip");
  assert.equal(gateway.asked("openUpstream").length, 1);
  await upstream.replaceTrack(track("audio"));
  await until("published again", () => upstream.upstream === "u3");
  assert.match(gateway.asked("openUpstream")[1].offer, /m=audio/);
});

test("a track that comes while there is no connection goes with the next", async () => {
  const errors = [];
  client.on("error", ({ error }) => errors.push(error));
  const upstream = await channel.publish(media);
  peers[0].become("connected");
  const told = upstream.next("state");
  gateway.tell({ type: "closed", connection: "c1", reason: "mediaServerLost" });
  await told;
  const next = track("video");
  await upstream.replaceTrack(next);
  await until("published again", () => upstream.upstream === "u2");
  assert.deepEqual([peers[1].getTransceivers()[1].sender.track, peers.length, errors], [next, 2, []]);
});

test("what the browser refuses is told as an error of the SDK's", async (t) => {
  t.mock.method(RTCPeerConnection.prototype, "createOffer", async () => {
    throw new DOMException("no", "OperationError");
  });
  await assert.rejects(channel.publish(media), { name: "TidewireError", code: "peerFailed", detail: "no" });
});

test("a network that fails is mended by an ICE restart", async () => {
  gateway.answers.restart = () => ({
    type: "restarted",
    ufrag: "s2",
    password: "t2",
    candidates: ["candidate:2 1 udp 1 ::1 2 typ host"],
  });
  const upstream = await channel.publish(media);
  peers[0].become("connected");
  peers[0].become("failed");
  assert.equal(upstream.state, "interrupted");
  await until("restarted", () => peers[0].remoteDescription.sdp.includes("s2"));
  const { connection, ufrag, password } = gateway.asked("restart")[0];
  assert.deepEqual([connection, ufrag, password], ["c1", "u2", "p2"]);
  assert.equal(
    peers[0].remoteDescription.sdp,
    "a=ice-ufrag:s2\r\na=ice-pwd:t2\r\na=candidate:2 1 udp 1 ::1 2 typ host\r\nm=video",
  );
  peers[0].become("connected");
  assert.equal(upstream.state, "live");
});

test("an upstream that the server gave up is published again; one that was replaced is not", async () => {
  const upstream = await channel.publish(media, { mediaId: "main" });
  gateway.tell({ type: "closed", connection: "c1", reason: "mediaServerLost" });
  await until("published again", () => upstream.upstream === "u2");
  const unpublished = channel.next("unpublished");
  gateway.tell({ type: "closed", connection: "c2", reason: "replaced" });
  assert.deepEqual(await unpublished, { upstream, reason: "replaced" });
  assert.deepEqual([upstream.state, channel.published.size, gateway.asked("openUpstream").length], ["closed", 0, 2]);
});

test("what was published is published again after the gateway has forgotten the client", async () => {
  const upstream = await channel.publish(media, { tag: "stage" });
  await upstream.update({ tag: "", content: "screen" });
  gateway.forget();
  await until("published again", () => upstream.upstream === "u2");
  const { content, tag } = gateway.asked("openUpstream")[1];
  assert.deepEqual([content, tag], ["screen", undefined]);
});

test("a refused publication rejects, and is not tried again", async () => {
  gateway.answers.openUpstream = () => ({ refused: { code: "mediaServerFull", detail: "", retryAfterS: 10 } });
  await assert.rejects(channel.publish(media), { code: "mediaServerFull", retryAfterS: 10 });
  assert.deepEqual([channel.published.size, peers[0].closed], [0, true]);
  await assert.rejects(channel.publish(new MediaStream()), { code: "nothingToSend" });
});

test("the end of the media is the end of the upstream", async () => {
  const upstream = await channel.publish(media);
  media.stop();
  assert.equal(upstream.state, "closed");
  await until("closed", () => gateway.asked("close").length === 1);
  assert.equal(gateway.asked("close")[0].connection, "c1");
});

test("leaving while it is being opened closes what comes of it", async () => {
  let release;
  const opened = gateway.answers.openUpstream;
  gateway.answers.openUpstream = () => new Promise((resolve) => (release = () => resolve(opened())));
  const published = assert.rejects(channel.publish(media));
  await until("asked", () => release);
  await channel.leave();
  release();
  await published;
  assert.equal(peers[0].closed, true);
});

const sent = () => peers.at(-1).getTransceivers()[1].sender.getParameters().encodings;
const actives = () =>
  sent()
    .map(({ rid, active }) => `${rid}:${active ? "on" : "off"}`)
    .join(" ");
const wanted = (...rids) => ["q", "h", "f"].map((encoding) => ({ encoding, active: rids.includes(encoding) }));
const demand = (encodings, connection = "c1") => gateway.tell({ type: "demand", connection, encodings });

test("a camera is sent in three sizes, of which those go on that somebody wants", async () => {
  const upstream = await channel.publish(media);
  assert.deepEqual(
    sent().map(({ rid, scaleResolutionDownBy }) => [rid, scaleResolutionDownBy]),
    [
      ["q", 4],
      ["h", 2],
      ["f", 1],
    ],
  );
  assert.deepEqual(
    upstream.encodings.map(({ active, reason }) => [active, reason]),
    Array(3).fill([true, "unknown"]),
  );
  const heard = upstream.next("encodings");
  demand(wanted("q"));
  assert.deepEqual((await heard).encodings, upstream.encodings);
  await until("the others are off", () => actives() === "q:on h:off f:off");
  assert.deepEqual(
    upstream.encodings.map(({ encoding, reason }) => `${encoding} ${reason}`),
    ["q wanted", "h unwanted", "f unwanted"],
  );
  demand(wanted("q", "f"));
  await until("back on", () => actives() === "q:on h:off f:on");
});

test("of many demands the last counts, and a sender is set once at a time", async () => {
  await channel.publish(media);
  for (const rids of [["q"], ["h"], ["q", "h"], ["f"], ["q", "f"], ["h"]]) demand(wanted(...rids));
  await until("the last", () => actives() === "q:off h:on f:off");
  await channel.send("a round trip");
  assert.ok(peers[0].getTransceivers()[1].sender.changes < 6);
});

test("a demand that changes nothing touches no sender, and is not told", async () => {
  const upstream = await channel.publish(media);
  let told = 0;
  upstream.on("encodings", () => (told += 1));
  demand(wanted("q", "h", "f"));
  await channel.send("a round trip");
  const { changes } = peers[0].getTransceivers()[1].sender;
  demand(wanted("q", "h", "f"));
  await channel.send("another");
  assert.deepEqual([peers[0].getTransceivers()[1].sender.changes, told], [changes, 1]);
});

test("a limit holds for all encodings together, also of those that come back", async () => {
  const upstream = await channel.publish(media, { maxBitrate: 1_000_000 });
  const sum = () => sent().reduce((total, { maxBitrate }) => total + maxBitrate, 0);
  assert.ok(Math.abs(sum() - 1_000_000) < 5);
  demand(wanted("q"));
  await until("one is left", () => actives() === "q:on h:off f:off");
  await upstream.limit(500_000);
  assert.ok(Math.abs(sum() - 500_000) < 5);
  assert.equal(actives(), "q:on h:off f:off");
  await upstream.limit(null);
  assert.deepEqual(
    sent().map(({ maxBitrate }) => maxBitrate),
    [undefined, undefined, undefined],
  );
});

test("a browser that refuses a change goes on, and nobody is told of an error", async (t) => {
  const errors = [];
  client.on("error", ({ error }) => errors.push(error));
  const upstream = await channel.publish(media);
  const { sender } = peers[0].getTransceivers()[1];
  const refuse = t.mock.method(sender, "setParameters", async () => {
    throw new DOMException("no", "InvalidModificationError");
  });
  demand(wanted("q"));
  await until("refused", () => refuse.mock.callCount() === 1);
  refuse.mock.restore();
  demand(wanted("h"));
  await until("the next is taken", () => actives() === "q:off h:on f:off");
  assert.deepEqual([errors, upstream.state], [[], "connecting"]);
});

test("another connection begins with everything on, whatever was wanted of the one before", async () => {
  const upstream = await channel.publish(media);
  demand(wanted());
  await until("all off", () => actives() === "q:off h:off f:off");
  gateway.tell({ type: "closed", connection: "c1", reason: "mediaServerLost" });
  await until("published again", () => upstream.upstream === "u2");
  assert.deepEqual(
    upstream.encodings.map(({ active }) => active),
    [true, true, true],
  );
  demand(wanted("f"), "c2");
  await until("one is on", () => actives() === "q:off h:off f:on");
});

test("a camera of another size is sent in as many encodings as that is worth, and back", async () => {
  const upstream = await channel.publish(media);
  await upstream.replaceTrack(track("video", { width: 640, height: 480 }));
  await until("one is left out", () => actives() === "q:on h:on f:off");
  assert.deepEqual(
    sent().map(({ scaleResolutionDownBy }) => scaleResolutionDownBy),
    [2, 1, 1],
  );
  demand(wanted("f"));
  await until("the largest that there is goes in its place", () => actives() === "q:off h:on f:off");
  await upstream.replaceTrack(track("video"));
  await until("it is large again", () => actives() === "q:off h:off f:on");
});

test("a mode that the browser does not know is left out", async () => {
  const upstream = await channel.publish(media, { scalabilityMode: "unheard of", maxBitrate: 300_000 });
  assert.deepEqual(sent(), [{ maxBitrate: 300_000 }]);
  assert.equal(upstream.encodings[0].scalabilityMode, undefined);
});

test("whoever observes hears each second, over one connection and the next, until it is taken off", async () => {
  const upstream = await channel.publish(media);
  const heard = [];
  const off = upstream.observe((statistics) => heard.push(statistics));
  const alsoOff = upstream.observe(() => {});
  const asked = () => gateway.asked("observe").map(({ connection, seconds }) => `${connection} ${seconds}`);
  gateway.tell({ type: "statistics", connection: "c1", statistics: { networkQuality: 1 } });
  await until("heard", () => heard.length === 1);
  gateway.tell({ type: "closed", connection: "c1", reason: "mediaServerLost" });
  await until("published again", () => upstream.upstream === "u2");
  off();
  off();
  await channel.send("a round trip");
  assert.deepEqual(asked(), ["c1 60", "c2 60"]);
  alsoOff();
  await until("ended", () => asked().at(-1) === "c2 0");
  assert.deepEqual(heard, [{ networkQuality: 1 }]);
});
