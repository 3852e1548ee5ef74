// What is watched: wants that become one request, offers that are answered one after another, tracks that find their tile.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { channel as snapshot, Gateway, upstream } from "./lib/gateway.mjs";
import { faults, pace, peers } from "./lib/peers.mjs";
import { until } from "./lib/until.mjs";

const { Client } = await import("../tidewire.js");

let gateway;
let client;
let channel;
let errors;

beforeEach(async () => {
  peers.length = 0;
  gateway = await Gateway.start({
    openDownstream: () => ({ type: "downstreamOpened", connection: `c${connections() + 1}` }),
  });
  gateway.channels = [
    snapshot("sea", { upstreams: [upstream("a"), upstream("b"), upstream("c", { mediaId: "main" })] }),
  ];
  client = new Client({ url: gateway.url, token: "token" });
  errors = [];
  client.on("error", ({ error }) => errors.push(error.code));
  [channel] = await client.register();
});

afterEach(async () => {
  await client.unregister();
  await gateway.stop();
  assert.deepEqual([gateway.faults, faults.splice(0), errors], [[], [], []]);
});

const connections = () => peers.length - 1;
const wants = (request) =>
  request?.wants
    .map(({ upstream: id, mediaId, audio, video }) => `${id ?? mediaId}:${audio ? "a" : ""}${video ? "v" : ""}`)
    .join(" ");
const changes = () => gateway.asked("changeDownstream");

const states = (tiles) => tiles.map(({ state }) => state);
const untold = { mid: "0", kind: "video", mediaId: "untold" };

/** `sections` as "0=video:a": the mid, the kind, the upstream. */
function offer(revision, text, connection = "c1") {
  const sections = text
    .split(" ")
    .filter(Boolean)
    .map((section) => {
      const [, mid, kind, id] = /(\d+)=(\w+):(\w+)/.exec(section);
      return { mid, kind, ...(id === "main" ? { mediaId: id } : { upstream: id }) };
    });
  gateway.tell({ type: "offer", connection, revision, offer: text, sections });
}

async function opened() {
  await until("a downstream", () => gateway.asked("openDownstream").length === 1);
}

async function answered(revision) {
  await until(`answer ${revision}`, () => gateway.asked("answer").some((answer) => answer.revision === revision));
}

test("what is wanted in one turn of the loop is asked for at once", async () => {
  channel.subscribe("a");
  channel.subscribe(channel.upstreams.get("b"), { video: false });
  channel.watch("main");
  await opened();
  assert.equal(wants(gateway.asked("openDownstream")[0]), "main:av a:av b:a");
  assert.equal(gateway.asked("openDownstream")[0].channel, "sea");
});

test("changes while one is under way become one", async () => {
  let release;
  gateway.answers.changeDownstream = () => new Promise((resolve) => (release = resolve));
  const first = channel.subscribe("a");
  await opened();
  channel.subscribe("b");
  await until("a change", () => changes().length === 1);
  first.want({ video: false });
  channel.watch("main");
  first.want({ audio: false, video: true });
  gateway.answers.changeDownstream = undefined;
  release();
  await until("the next change", () => changes().length === 2);
  assert.deepEqual(changes().map(wants), ["a:av b:av", "main:av a:v b:av"]);
});

test("offers are taken one at a time, and only the newest is answered", async () => {
  channel.subscribe("a");
  await opened();
  offer(1, "0=audio:a 1=video:a");
  offer(2, "0=audio:a 1=video:a");
  offer(3, "0=audio:a 1=video:a 2=video:b");
  await answered(3);
  assert.ok(gateway.asked("answer").length < 3);
  assert.equal(peers[0].getTransceivers().length, 3);
});

test("a change waits until the offer before it is answered and taken", async () => {
  let release;
  gateway.answers.answer = () => new Promise((resolve) => (release = () => resolve({ type: "done" })));
  channel.subscribe("a");
  await opened();
  offer(1, "0=audio:a");
  await until("the answer is on its way", () => release);
  channel.subscribe("b");
  await channel.send("a round trip");
  assert.equal(changes().length, 0);
  release();
  await until("the change", () => changes().length === 1);
});

test("an answer that comes too late is no error", async () => {
  gateway.answers.answer = ({ revision }) =>
    revision === 1 ? { refused: { code: "answerOutdated" } } : { type: "done" };
  channel.subscribe("a");
  await opened();
  offer(1, "0=audio:a");
  await answered(1);
  offer(2, "0=audio:a");
  await answered(2);
  assert.equal(peers.length, 1);
});

test("an answer that is refused for now is given again", async () => {
  let refusals = 2;
  gateway.answers.answer = () =>
    (refusals -= 1) < 0 ? { type: "done" } : { refused: { code: "mediaServerUnavailable", retryAfterS: 0.01 } };
  channel.subscribe("a");
  await opened();
  offer(1, "0=audio:a");
  await answered(1);
  channel.subscribe("b");
  await until("a change", () => changes().length === 1);
  assert.deepEqual([gateway.asked("answer").length, peers.length], [3, 1]);
});

test("tracks find their media, and a section that serves another takes its track along", async () => {
  const [a, b] = [channel.subscribe("a"), channel.subscribe("b")];
  await opened();
  offer(1, "0=audio:a 1=video:a");
  await answered(1);
  const video = a.videoTrack;
  assert.deepEqual([a.state, b.state, a.stream.getTracks().length], ["live", "waiting", 2]);
  offer(2, "0=audio:a 1=video:b");
  await answered(2);
  assert.deepEqual([a.videoTrack, b.videoTrack, b.stream.getTracks()], [null, video, [video]]);
  assert.deepEqual([a.state, b.state], ["live", "live"]);
});

test("an upstream that closes ends what was subscribed, without a word to the gateway", async () => {
  const a = channel.subscribe("a");
  channel.subscribe("b");
  await opened();
  const ended = a.next("state");
  gateway.tell({ type: "upstreamClosed", channel: "sea", upstream: "a", reason: "requested" });
  assert.deepEqual(await ended, { state: "ended" });
  await channel.send("a round trip");
  assert.equal(changes().length, 0);
  assert.equal(channel.watched.size, 1);
});

test("a media id is waited for, and goes on with its next publisher", async () => {
  const main = channel.watch("main");
  const later = channel.watch("later");
  await opened();
  offer(1, "0=video:main");
  await answered(1);
  assert.deepEqual([main.state, later.state], ["live", "waiting"]);
  assert.equal(main.upstream.upstream, "c");
  const { stream } = main;
  gateway.tell({ type: "upstreamClosed", channel: "sea", upstream: "c", reason: "peerClosed" });
  assert.deepEqual(await main.next("upstream"), { upstream: null });
  gateway.tell({ type: "upstreamOpened", channel: "sea", upstream: upstream("d", { mediaId: "main" }) });
  const { upstream: next } = await main.next("upstream");
  assert.deepEqual([next.upstream, main.stream, main.stream.getTracks().length], ["d", stream, 1]);
});

test("whoever is watched by upstream and by media id comes once, and is seen in both", async () => {
  const [main, c] = [channel.watch("main"), channel.subscribe("c")];
  await opened();
  offer(1, "0=video:main");
  await answered(1);
  assert.deepEqual([main.state, c.state, c.videoTrack], ["live", "live", main.videoTrack]);
  offer(2, "0=video:c");
  await answered(2);
  gateway.tell({ type: "upstreamClosed", channel: "sea", upstream: "c", reason: "requested" });
  await c.next("state");
  await channel.send("a round trip");
  assert.deepEqual([main.state, main.stream.getTracks().length, c.videoTrack], ["waiting", 1, null]);
});

test("two who share a track both hear it begin", async () => {
  // Of what the gateway does not tell, the track alone says whether it flows.
  const tiles = [channel.watch("untold"), channel.watch("untold")];
  await opened();
  gateway.tell({ type: "offer", connection: "c1", revision: 1, offer: "0=video:x", sections: [untold] });
  await until("taken up", () => peers[0].getTransceivers().length === 1);
  peers[0].getTransceivers()[0].receiver.track.muted = true;
  await answered(1);
  assert.deepEqual(states(tiles), ["waiting", "waiting"]);
  const { track } = peers[0].getTransceivers()[0].receiver;
  track.muted = false;
  track.dispatchEvent(new Event("unmute"));
  assert.deepEqual(states(tiles), ["live", "live"]);
});

test("media that a listener closes while tracks are handed out stays without, and has no figures", async () => {
  const [a, b] = [channel.subscribe("a"), channel.subscribe("b")];
  a.on("track", () => b.close());
  await opened();
  offer(1, "0=video:a 1=video:b");
  await answered(1);
  assert.deepEqual([a.state, b.state, b.stream.getTracks()], ["live", "ended", []]);
  gateway.tell({ type: "closed", connection: "c1", reason: "mediaServerLost" });
  await until("without a peer", () => channel.downstream.peer === null);
  assert.equal(await a.stats(), null);
});

test("a second tile of the same upstream gets its tracks without an offer", async () => {
  const first = channel.subscribe("a");
  await opened();
  offer(1, "0=video:a");
  await answered(1);
  const second = channel.subscribe("a");
  await second.next("track");
  assert.equal(second.videoTrack, first.videoTrack);
  assert.equal(changes().length, 0);
  first.close();
  await channel.send("a round trip");
  assert.equal(changes().length, 0);
  second.close();
  await until("nothing is wanted", () => changes().length === 1);
  assert.equal(wants(changes()[0]), "");
});

test("a change that names what has just gone is made again without it", async () => {
  const a = channel.subscribe("a");
  await opened();
  gateway.answers.changeDownstream = () => {
    gateway.answers.changeDownstream = undefined;
    gateway.tell({ type: "upstreamClosed", channel: "sea", upstream: "a", reason: "requested" });
    return { refused: { code: "upstreamUnknown" } };
  };
  channel.subscribe("b");
  await until("the second change", () => changes().length === 2);
  assert.equal(a.state, "ended");
  assert.deepEqual(changes().map(wants), ["a:av b:av", "b:av"]);
});

test("more than the server carries is told of once, and keeps nothing from those who came first", async () => {
  for (let at = 0; at < 66; at += 1) channel.watch(`m${99 - at}`);
  await opened();
  const ids = () => new Set(gateway.requests.findLast(({ wants: any }) => any).wants.map(({ mediaId }) => mediaId));
  assert.deepEqual([ids().size, ids().has("m99"), ids().has("m34")], [64, true, false]);
  [...channel.watched][0].close();
  await until("the next in line", () => ids().has("m35"));
  assert.deepEqual([ids().size, errors.splice(0)], [64, ["tooManyWants"]]);
});

test("a want that is refused for good leaves the others as they were, until it is another", async () => {
  channel.subscribe("a");
  await opened();
  gateway.answers.changeDownstream = (request) =>
    wants(request).includes("main:av") ? { refused: { code: "receiveVideoForbidden" } } : { type: "done" };
  const main = channel.watch("main");
  await until("refused", () => errors.length === 1);
  channel.subscribe("b");
  await until("the next change", () => changes().length === 2);
  main.want({ video: false });
  await until("less of it", () => changes().length === 3);
  assert.deepEqual(changes().map(wants), ["main:av a:av", "a:av b:av", "main:a a:av b:av"]);
  assert.deepEqual(errors.splice(0), ["receiveVideoForbidden"]);
});

test("a downstream that the server gave up is opened again, under the same streams", async () => {
  const a = channel.subscribe("a");
  await opened();
  offer(1, "0=video:a");
  await answered(1);
  const before = a.videoTrack;
  gateway.tell({ type: "closed", connection: "c1", reason: "mediaServerLost" });
  await until("another downstream", () => gateway.asked("openDownstream").length === 2);
  assert.deepEqual([a.state, a.videoTrack, peers[0].closed], ["waiting", null, true]);
  offer(1, "0=video:a", "c2");
  await a.next("track");
  assert.notEqual(a.videoTrack, before);
  assert.equal(a.state, "live");
});

test("a connection that goes while its offer is taken up keeps nothing from the next", async (t) => {
  pace.stepMs = 50;
  t.after(() => (pace.stepMs = 2));
  const a = channel.subscribe("a");
  await opened();
  offer(1, "0=video:a");
  await until("the offer is being taken up", () => peers[0].signalingState === "have-remote-offer");
  gateway.tell({ type: "closed", connection: "c1", reason: "mediaServerLost" });
  await until("another downstream", () => gateway.asked("openDownstream").length === 2);
  offer(1, "0=video:a", "c2");
  await answered(1);
  channel.subscribe("b");
  await until("a change", () => changes().length === 1);
  assert.deepEqual([a.state, changes()[0].connection], ["live", "c2"]);
});

test("a network that fails is mended by an ICE restart, then by another connection", async (t) => {
  const { setTimeout } = globalThis;
  t.mock.method(globalThis, "setTimeout", (act, ms, ...more) => setTimeout(act, ms / 50, ...more));
  channel.subscribe("a");
  await opened();
  peers[0].become("connected");
  assert.equal(channel.downstream.state, "live");
  peers[0].become("disconnected");
  assert.equal(channel.downstream.state, "interrupted");
  await until("a restart", () => gateway.asked("restart").length === 1);
  peers[0].become("connected");
  assert.equal(channel.downstream.state, "live");
  peers[0].become("failed");
  await until("another downstream", () => gateway.asked("openDownstream").length === 2, 10_000);
  assert.equal(gateway.asked("restart").length, 5);
  assert.deepEqual(
    gateway.asked("close").map(({ connection }) => connection),
    ["c1"],
  );
});

test("what is watched is watched again after the gateway has forgotten the client", async () => {
  channel.subscribe("a");
  channel.watch("main");
  await opened();
  gateway.channels = [snapshot("sea", { upstreams: [upstream("d", { mediaId: "main" })] })];
  gateway.forget();
  await until("another downstream", () => gateway.asked("openDownstream").length === 2);
  assert.equal(wants(gateway.asked("openDownstream")[1]), "main:av");
});

test("leaving ends everything that was watched", async () => {
  const a = channel.subscribe("a");
  await opened();
  await channel.leave();
  assert.deepEqual([a.state, peers[0].closed, channel.downstream, client.channels.size], ["ended", true, null, 0]);
  assert.throws(() => channel.subscribe("b"), { code: "channelLeft" });
});
