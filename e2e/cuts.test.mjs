// Sockets that die under a call of three: one client's again and again, and the link between gateway and media server.
// Nobody sees anybody go, nothing that was said or done is lost or told twice, and the media does not notice.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { Browser } from "./lib/browser.mjs";
import { Guest, newChannel } from "./lib/guest.mjs";
import { Relay } from "./lib/relay.mjs";
import { Server } from "./lib/server.mjs";

const CLIENT_CUTS = 100;
const LINK_CUTS = 20;
/** How long a socket lives before it is broken, at most, and how long one that is idle is waited for. */
const CLIENT_LIVES_MS = 700;
const LINK_LIVES_MS = 3_000;
const IDLE_MS = 300;
/** The gateway may hear of it so much later than whoever comes back. */
const LATER_MS = 1_000;
/** The clocks of pages are not read at the same moment, and less so on a busy machine: a second of frames. */
const FRAMES_OF_SKEW = 20;
const member = { path: join(import.meta.dirname, "page/member.js") };
const names = ["ada", "bob", "eve"];
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

describe(`sockets that die, seed ${seed}`, () => {
  let browser, server, link, socket, guests;

  before(async () => {
    browser = await Browser.start();
    server = await Server.startPair({ through: async (origin) => (link = await Relay.start(origin)).origin });
    socket = await Relay.start(server.origin);
  });
  after(async () => {
    await browser?.stop();
    await server?.stop();
    link?.stop();
    socket?.stop();
  });

  test(`a client's ${CLIENT_CUTS} times and the media server's ${LINK_CUTS} times`, async (context) => {
    await gather();
    const began = performance.now();
    for (const [at, { page }] of guests.entries()) {
      await page.evaluate((task) => member.begin(task), { shares: at < 2, seed: seed + at });
    }
    await Promise.all([
      cutAll(socket, CLIENT_CUTS, CLIENT_LIVES_MS, draws(seed + 10)),
      cutAll(link, LINK_CUTS, LINK_LIVES_MS, draws(seed + 11)),
    ]);
    const took_s = Math.round((performance.now() - began) / 1_000);
    const finished = await Promise.all(guests.map(({ page }) => page.evaluate(() => member.finish())));
    // Of all at the same time.
    const last = await Promise.all(guests.map(({ page }) => page.evaluate(() => member.sample())));
    const done = finished.map((one, at) => ({ ...one, name: names[at], last: last[at] }));
    context.diagnostic(`${CLIENT_CUTS} and ${LINK_CUTS} cuts in ${took_s} s, ${socket.torn} and ${link.torn} within a frame`);
    for (const { name, messages, shares } of done) context.diagnostic(`${name}: ${messages} messages, ${shares} screens`);
    for (const guest of guests) {
      for (const other of done) await assertHeard(guest, other);
      await assertNothingElse(guest);
    }
    for (const viewer of done) assertSeen(viewer, done, context);
    assert.ok((await guests[0].heard()).filter((line) => line === "state interrupted").length > CLIENT_CUTS / 2);
    assert.deepEqual(browser.faults().filter((fault) => !fault.includes("WebSocket connection")), []);
  });

  /** Three who see each other; the first comes by way of the relay. */
  async function gather() {
    const channel = newChannel();
    guests = [];
    for (const [at, name] of names.entries()) {
      guests.push(await Guest.enter(browser, at === 0 ? socket : server, channel, name, { before: member }));
    }
    for (const guest of guests) await guest.publish({ codecs: ["VP8"] });
    for (const guest of guests) for (const other of othersOf(guest)) await guest.sees(other);
    // How they came is no matter here.
    for (const { page } of guests) await page.evaluate(() => void (window.heard.length = 0));
  }
});

/** All that the other said and did, once and in order. */
async function assertHeard(guest, { name, messages, shares }) {
  await guest.hears(`message ${name} ${messages - 1}`);
  const heard = await guest.heard();
  const of = (pattern) => heard.filter((line) => pattern.test(line));
  const numbers = (count, lines) => Array.from({ length: count }, (_, n) => lines(n)).flat();
  const what = `${guest.name} of ${name}`;
  assert.deepEqual(of(new RegExp(`^message ${name} `)), numbers(messages, (n) => `message ${name} ${n}`), what);
  if (guest.name === name) return;
  // Where the request to close waits for a socket, the media server is the first to notice.
  const done = of(new RegExp(`^(opened|closed|tag) ${name}-`)).map((line) => line.replace("peerClosed", "requested"));
  const expected = (n) => [`opened ${name}-${n}`, `tag ${name}-${n} a`, `tag ${name}-${n} b`, `closed ${name}-${n} requested`];
  assert.deepEqual(done, numbers(shares, expected), what);
}

/** Nobody went or came, nothing was refused, and the channel is seen as it is. */
async function assertNothingElse(guest) {
  const expected = /^(message|muted|tag|(opened|closed) \w+-\d+|state (live|interrupted)$)/;
  assert.deepEqual((await guest.heard()).filter((line) => !expected.test(line)), [], guest.name);
  const { twice, members, muted } = await guest.page.evaluate(() => member.look());
  assert.deepEqual({ twice, members, muted }, { twice: [], members: othersOf(guest), muted: [false, false] }, guest.name);
}

/** Every second brought frames of everybody, no packet is missing, and the connections are those of the beginning. */
function assertSeen({ name, seconds, last, peers, shares }, done, context) {
  assert.equal(Math.max(...[...seconds, last].map(({ packetsLost }) => packetsLost)), 0, `packets that ${name} misses`);
  assert.equal(peers, 2 + shares, `connections of ${name}`);
  for (const publisher of done.filter((other) => other.name !== name)) {
    const frames = seconds.map(({ received }) => received[publisher.name]);
    const what = `${name} of ${publisher.name}: ${frames.join(" ")}`;
    assert.ok(frames.slice(1).every((count, at) => count > frames[at]), `a second without a frame; ${what}`);
    const got = last.received[publisher.name] - frames[0];
    const sent = publisher.last.sent - publisher.seconds[0].sent;
    context.diagnostic(`${name} got ${got} frames of ${sent} of ${publisher.name}`);
    assert.ok(Math.abs(sent - got) < FRAMES_OF_SKEW, what);
  }
}

const othersOf = (guest) => names.filter((name) => name !== guest.name);

/** Breaks what goes through the relay, each time after a while of its life. */
async function cutAll(relay, times, lives_ms, draw) {
  for (let cut = 0; cut < times; cut += 1) {
    await relay.carries();
    await pause(draw() * lives_ms);
    const later_ms = draw() < 0.5 ? 0 : draw() * LATER_MS;
    await relay.cut(draw() < 0.5 ? "up" : "down", IDLE_MS, later_ms);
  }
}

function draws(seed) {
  let random = seed + 1;
  return () => (random = (random * 48_271) % 2_147_483_647) / 2_147_483_647;
}

