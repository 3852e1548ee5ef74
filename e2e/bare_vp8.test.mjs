// VP8 of which only dependency descriptors say which frames lean on which: Chromium leaves picture ids and temporal layers out of
// VP8's own descriptor where those go along. A viewer that has no such extension has nothing but sequence numbers to go by.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { Browser } from "./lib/browser.mjs";
import { withoutDescriptor } from "./lib/edits.mjs";
import { Firefox } from "./lib/firefox.mjs";
import { Server } from "./lib/server.mjs";
import { byEncoding, simulcast, sized, switched } from "./lib/switching.mjs";

/** Each way. */
const SWITCHES = 5;
const EVERY_MS = 1_500;

const thinnable = simulcast("VP8", sized.map((each) => ({ ...each, scalabilityMode: "L1T3" })));
const thin = { encoding: "f", temporal: 0 };
const whole = { encoding: "f" };

describe("viewers without the descriptor", () => {
  const browsers = {};
  let server;
  before(async () => {
    // Firefox pairs with no candidate on loopback, so the server announces the machine's other addresses too.
    server = await Server.startOnAllAddresses();
    browsers.chromium = await Browser.start();
    browsers.firefox = await Firefox.start();
  });
  after(async () => {
    for (const browser of Object.values(browsers)) await browser.stop();
    await server?.stop();
  });

  test("Chromium and Firefox follow encodings and temporal layers", (context) =>
    Promise.all(Object.keys(browsers).map((name) => followed(context, name))));

  async function followed(context, name) {
    const plans = [[name, thinnable, byEncoding]];
    const options = { switches: SWITCHES, edits: [withoutDescriptor] };
    const { publisher, viewer } = await switched(context, server, browsers.chromium, browsers[name], plans, options);
    await assertBare(publisher, viewer, name);
    await thinned(context, viewer, name);
  }
});

/** The publisher sends descriptors, and the viewer has none. */
async function assertBare(publisher, viewer, name) {
  const answered = await publisher.page.evaluate((name) => window.layers.upstreams.get(name).peer.remoteDescription.sdp, name);
  const answer = await viewer.page.evaluate(() => window.layers.channels[0].downstream.peer.localDescription.sdp);
  assert.match(answered, /dependency-descriptor/);
  assert.doesNotMatch(answer, /dependency-descriptor/);
}

/** The lowest temporal layer and all of them in turns: no picture is missed, and so none is asked for. */
async function thinned(context, viewer, name) {
  const before = await received(viewer, name);
  const frames = { thin: 0, whole: 0 };
  for (let turn = 0; turn < SWITCHES; turn += 1) {
    frames.thin += await shown(viewer, name, thin);
    frames.whole += await shown(viewer, name, whole);
  }
  const now = await received(viewer, name);
  context.diagnostic(`${name}: ${frames.thin} frames of the lowest layer, ${frames.whole} of all`);
  assert.ok(frames.thin > 0 && frames.thin < 0.6 * frames.whole, JSON.stringify(frames));
  assert.deepEqual([now.plis, now.lost], [before.plis, before.lost]);
}

async function shown(viewer, name, wish) {
  await viewer.call("prefer", name, wish);
  const { frames } = await received(viewer, name);
  await pause(EVERY_MS);
  return (await received(viewer, name)).frames - frames;
}

async function received(viewer, name) {
  return (await viewer.call("received"))[name];
}
