// What leaves the publishers is what their viewers want: of twenty with three encodings each, the smallest of each for one
// viewer of thumbnails, and a large one as soon as a tile grows.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { newChannel } from "./lib/guest.mjs";
import { Server } from "./lib/server.mjs";
import { Watcher } from "./lib/watcher.mjs";
import { until } from "./lib/until.mjs";

const PUBLISHERS = 20;
const PAGES = 4;
const LOOK_MS = 3_000;
/** Given as sizes: Chromium would leave out some of a small picture's encodings that are given as scales. */
const simulcast = [["q", 80, 25_000], ["h", 160, 80_000], ["f", 320, 250_000]].map(([rid, width, maxBitrate]) => ({
  rid,
  maxBitrate,
  scaleResolutionDownTo: { maxWidth: width, maxHeight: (width * 9) / 16 },
}));
const picture = { width: 320, height: 180, fps: 10, codecs: ["VP8"], simulcast };
/** So large that only the largest will do, so small that all twenty are in view. */
const large = { width: 240, height: 135 };
const thumbnail = { width: 80, height: 45 };

describe("demand", () => {
  let browser;
  let server;
  before(async () => {
    server = await Server.startWithSecret();
    browser = await Browser.start();
  });
  after(async () => {
    await browser?.stop();
    await server?.stop();
  });

  test(`${PUBLISHERS} publishers send what one viewer of thumbnails needs`, async (context) => {
    const channel = newChannel();
    const { publishers, names } = await publish(browser, server, channel);
    const viewer = await Watcher.enter(await browser.tab(), server, channel, "viewer");
    for (const name of names) await viewer.call("watch", name, large);
    await viewer.sees(names, 5, 60_000);
    const full = await settled(publishers, ({ f, h }) => f.active && !h.active);
    for (const name of names) await viewer.call("resize", name, thumbnail);
    const small = await settled(publishers, ({ f, h, q }) => q.active && !f.active && !h.active);
    context.diagnostic(`all large: ${rates(full)}; thumbnails: ${rates(small)}`);
    assert.ok(small.q > 0 && small.h === 0 && small.f === 0, rates(small));
    assert.ok(small.q < full.f / 2, `thumbnails: ${rates(small)}, all large: ${rates(full)}`);

    const [grows] = names;
    const began = performance.now();
    await viewer.call("resize", grows, large);
    await until("the large picture", async () => (await viewer.call("received"))[grows].width === picture.width);
    context.diagnostic(`a tile that grew was sharp after ${(performance.now() - began).toFixed(0)} ms, of which 300 ms are until it has settled`);
    const mixed = await settled(publishers, ({ f }, name) => f.active === (name === grows));
    context.diagnostic(`one of them large: ${rates(mixed)}`);
    assert.ok(mixed.f > 0 && mixed.f < full.f / 4, rates(mixed));
    const heard = await allocations(server);
    context.diagnostic(`layer allocations: ${heard.received} received, ${heard.refused} refused`);
    assert.ok(heard.received >= PUBLISHERS && heard.refused === 0, JSON.stringify(heard));
    assert.deepEqual(browser.faults(), []);
  });
});

/** Twenty clients on a few pages. */
async function publish(browser, server, channel) {
  const names = Array.from({ length: PUBLISHERS }, (_, at) => `p${at}`);
  const publishers = [];
  for (let at = 0; at < PAGES; at += 1) {
    const own = names.filter((_, index) => index % PAGES === at);
    const publisher = await Watcher.enter(await browser.tab(), server, channel, ...own);
    for (const name of own) await publisher.call("publish", name, picture);
    publishers.push(publisher);
  }
  return { publishers, names };
}

/** What publishers have announced of their encodings. */
async function allocations(server) {
  const metrics = await server.metrics();
  const counted = (name) => Number(metrics.match(new RegExp(`^tidewire_layer_allocations_${name}_total\\{shard="0"\\} (\\d+)`, "m"))?.[1]);
  return { received: counted("received"), refused: counted("refused") };
}

/** Waits until that is on which should be; then, what leaves all publishers, in bits a second by encoding. */
async function settled(publishers, isRight) {
  await until("what is wanted", async () => {
    const wrong = Object.entries(await sent(publishers)).filter(([name, rids]) => !isRight(rids, name));
    if (wrong.length > 0) throw new Error(JSON.stringify(wrong.slice(0, 2)));
    return true;
  });
  // What was encoded before goes out yet.
  await pause(500);
  const before = await sent(publishers);
  const began = performance.now();
  await pause(LOOK_MS);
  const now = await sent(publishers);
  const seconds = (performance.now() - began) / 1000;
  const rate = (rid) => Object.keys(now).reduce((sum, name) => sum + (8 * (now[name][rid].bytes - before[name][rid].bytes)) / seconds, 0);
  return { q: rate("q"), h: rate("h"), f: rate("f") };
}

async function sent(publishers) {
  return Object.assign({}, ...(await Promise.all(publishers.map((publisher) => publisher.call("sent")))));
}

function rates(byRid) {
  return Object.entries(byRid).map(([rid, bits]) => `${rid} ${(bits / 1000).toFixed(0)}`).join(", ") + " kbit/s";
}

const pause = (length_ms) => new Promise((resolve) => setTimeout(resolve, length_ms));
