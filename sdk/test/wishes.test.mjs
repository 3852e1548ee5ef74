// What is asked of the videos that are watched: by the page, by the elements that show them; once for all that changed,
// again for a new connection; and what the server says it sends.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Page, Video, watching } from "./lib/elements.mjs";
import { channel as snapshot, Gateway, upstream } from "./lib/gateway.mjs";
import { faults, peers } from "./lib/peers.mjs";
import { until } from "./lib/until.mjs";

const { Client } = await import("../tidewire.js");

let gateway;
let client;
let channel;

beforeEach(async () => {
  peers.length = 0;
  globalThis.document = new Page();
  gateway = await Gateway.start({
    openDownstream: () => ({ type: "downstreamOpened", connection: `c${peers.length}` }),
  });
  gateway.channels = [snapshot("sea", { upstreams: [upstream("a"), upstream("b"), upstream("c")] })];
  client = new Client({ url: gateway.url, token: "token" });
  [channel] = await client.register();
});

afterEach(async () => {
  await client.unregister();
  await gateway.stop();
  assert.deepEqual([gateway.faults, faults.splice(0), watching()], [[], [], 0]);
});

/** As "c1 a{...} b{...}", a line for each request. */
const said = () =>
  gateway
    .asked("prefer")
    .map(({ connection, wishes }) =>
      [connection, ...wishes.map(({ upstream: id, mediaId, wish }) => `${id ?? mediaId}${JSON.stringify(wish)}`)].join(
        " ",
      ),
    );
const saying = (count) => until(`${count} requests`, () => said().length === count);
const opened = () => until("a downstream", () => gateway.asked("openDownstream").length === 1);

test("wishes of one turn of the loop are one request, once the server knows what they are for", async () => {
  channel.subscribe("a").prefer({ encoding: "q", maxBitrate: 100_000 });
  channel.subscribe("b").prefer({ width: 320, height: 180, spatial: undefined });
  channel.subscribe("c");
  await saying(1);
  assert.deepEqual(said(), ['c1 a{"encoding":"q","bitrateMaxBps":100000} b{"width":320,"height":180}']);
});

test("only what changed is said again, and nothing when nothing has", async () => {
  const [a, b] = ["a", "b"].map((id) => channel.subscribe(id));
  a.prefer({ temporal: 1 });
  b.prefer({ paused: true });
  await saying(1);
  a.prefer({ temporal: 1 });
  b.prefer({});
  await saying(2);
  a.prefer({ temporal: 1 });
  await channel.send("a round trip");
  assert.deepEqual(said().slice(1), ["c1 b{}"]);
  assert.deepEqual([a.wish, b.wish], [{ temporal: 1 }, {}]);
});

test("what is watched later has its wish said as soon as the server knows of it", async () => {
  channel.subscribe("a");
  await opened();
  await channel.send("a round trip");
  channel.subscribe("b").prefer({ spatial: 0 });
  await saying(1);
  const types = gateway.requests.map(({ type }) => type);
  assert.ok(types.indexOf("prefer") > types.indexOf("changeDownstream"));
  assert.deepEqual(said(), ['c1 b{"spatial":0}']);
});

test("what is watched anew is wished for anew", async () => {
  const first = channel.subscribe("a");
  channel.subscribe("b");
  first.prefer({ spatial: 0 });
  await saying(1);
  first.close();
  await until("a change", () => gateway.asked("changeDownstream").length === 1);
  channel.subscribe("a").prefer({ spatial: 0 });
  await saying(2);
});

test("another connection, or another gateway, is told of all wishes", async () => {
  channel.subscribe("a").prefer({ spatial: 1 });
  await saying(1);
  gateway.tell({ type: "closed", connection: "c1", reason: "mediaServerLost" });
  await saying(2);
  gateway.forget();
  await saying(3);
  assert.deepEqual(
    said(),
    ["c1", "c2", "c3"].map((connection) => `${connection} a{"spatial":1}`),
  );
});

test("wishes that are refused for now are said later; one for what has ended keeps nothing from the others", async () => {
  let refusals = 1;
  gateway.answers.prefer = () =>
    (refusals -= 1) < 0 ? { type: "done" } : { refused: { code: "tooManyMessages", retryAfterS: 0.01 } };
  const [a, b] = ["a", "b"].map((id) => channel.subscribe(id));
  a.prefer({ spatial: 0 });
  await saying(2);
  gateway.answers.prefer = ({ wishes }) => {
    if (!wishes.some((wish) => wish.upstream === "b")) return { type: "done" };
    gateway.tell({ type: "upstreamClosed", channel: "sea", upstream: "b", reason: "requested" });
    return { refused: { code: "notWanted" } };
  };
  a.prefer({ spatial: 1 });
  b.prefer({ spatial: 1 });
  await saying(4);
  assert.deepEqual(said().slice(2), ['c1 a{"spatial":1} b{"spatial":1}', 'c1 a{"spatial":1}']);
});

test("an element asks for the pixels that it shows, when the moving is over", async () => {
  const [a, b] = ["a", "b"].map((id) => channel.subscribe(id));
  const [large, small] = [new Video(640, 360), new Video(160, 90)];
  const offs = [a.attach(large), b.attach(small)];
  assert.equal(large.srcObject, a.stream);
  for (let width = 600; width >= 400; width -= 50) large.resize(width, (width * 9) / 16);
  await saying(1);
  assert.deepEqual(said(), ['c1 a{"width":800,"height":450} b{"width":320,"height":180}']);
  offs.forEach((off) => off());
  await saying(2);
  assert.deepEqual([said()[1], a.wish], ["c1 a{} b{}", {}]);
});

test("a picture that is cut to cover its element is asked for as a whole", async () => {
  const a = channel.subscribe("a");
  const video = new Video(300, 300);
  a.attach(video);
  video.play(1280, 720);
  await saying(1);
  video.objectFit = "cover";
  video.resize(300, 300);
  await saying(2);
  assert.deepEqual(said(), ['c1 a{"width":600,"height":338}', 'c1 a{"width":1067,"height":600}']);
});

test("what nobody sees is paused: out of view, on a hidden page, without a size; not in a window of its own", async () => {
  const a = channel.subscribe("a");
  const video = new Video(320, 180);
  a.attach(video);
  const shown = 'c1 a{"width":640,"height":360}';
  const unseen = 'c1 a{"paused":true}';
  await saying(1);
  video.scroll(false);
  await saying(2);
  document.pictureInPictureElement = video;
  video.dispatchEvent(new Event("enterpictureinpicture"));
  await saying(3);
  document.pictureInPictureElement = null;
  video.scroll(true);
  document.turn("hidden");
  await saying(4);
  document.turn("visible");
  await saying(5);
  video.resize(0, 0);
  await saying(6);
  assert.deepEqual(said(), [shown, unseen, shown, unseen, shown, unseen]);
});

test("of several elements the largest that is seen decides, and what the page says goes before", async () => {
  const a = channel.subscribe("a");
  const [large, small] = [new Video(640, 360), new Video(160, 90)];
  a.attach(small);
  a.attach(large);
  await saying(1);
  large.scroll(false);
  await saying(2);
  a.prefer({ width: 2000, temporal: 0 });
  await saying(3);
  assert.deepEqual(
    said().map((line) => line.slice(4)),
    ['{"width":1280,"height":720}', '{"width":320,"height":180}', '{"width":2000,"height":180,"temporal":0}'],
  );
});

test("of what is watched twice, whoever wants more of it is heard", async () => {
  channel.subscribe("a").prefer({ width: 100 });
  channel.subscribe("a").prefer({ width: 900 });
  channel.subscribe("a").prefer({ paused: true });
  await saying(1);
  assert.deepEqual(said(), ['c1 a{"width":900}']);
});

test("what comes and why is told, and forgotten with the track", async () => {
  const a = channel.subscribe("a");
  await opened();
  gateway.tell({
    type: "offer",
    connection: "c1",
    revision: 1,
    offer: "0=video",
    sections: [{ mid: "0", kind: "video", upstream: "a" }],
  });
  await a.next("track");
  const layer = { encoding: "h", spatial: 0, temporal: 2, width: 640, height: 360 };
  const told = a.next("layer");
  gateway.tell({ type: "layer", connection: "c1", upstream: "b", layer, reason: "best" });
  gateway.tell({ type: "layer", connection: "c1", upstream: "a", layer, reason: "size" });
  assert.deepEqual(await told, { layer, reason: "size" });
  assert.deepEqual([a.layer, a.reason], [layer, "size"]);
  gateway.tell({ type: "offer", connection: "c1", revision: 2, offer: "0=video", sections: [] });
  await a.next("track");
  assert.deepEqual([a.layer, a.reason], [null, null]);
});
