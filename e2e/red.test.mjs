// Opus with redundancy (RED, RFC 2198) from a browser: who knows it gets it and hears little of what is lost, who does not gets
// plain Opus.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { Browser } from "./lib/browser.mjs";
import { edit, through, withoutAudioRepair, withoutRedundancy } from "./lib/edits.mjs";
import { newChannel } from "./lib/guest.mjs";
import { Path } from "./lib/path.mjs";
import { Server, registerToken, token } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";

/** Of a hundred packets; two in a row, which redundancy of one packet does not mend, are one. */
const LOSS = 10;
const LISTEN_MS = 8_000;
const PACKET_MS = 20;
const SAMPLES_A_PACKET = 48 * PACKET_MS;

describe("redundant audio", () => {
  let browser;
  let server;
  const paths = [];
  before(async () => {
    server = await Server.startWithSecret();
    browser = await Browser.start();
  });
  after(async () => {
    await browser?.stop();
    await server?.stop();
  });
  afterEach(async () => {
    await browser.closeTabs();
    paths.splice(0).forEach((path) => path.stop());
  });

  test("by the SDK", async (context) => {
    const channel = newChannel();
    const publisher = await page("publisher", channel);
    await publisher.evaluate(() => window.sound.publish("tone"));
    const redundant = await listener(channel, 1);
    const plain = await listener(channel, 2, withoutRedundancy);
    for (const { tab } of [redundant, plain]) await tab.evaluate(() => window.sound.watch("tone"));
    await judge(context, publisher, redundant, plain);
  });

  test("by WHIP and WHEP", async (context) => {
    const channel = newChannel();
    const ticket = await token(channel);
    const publisher = await page("publisher", channel);
    await publisher.evaluate((where) => window.sound.send(...where), [`${server.origin}/whip/${channel}`, ticket]);
    const redundant = await listener(channel, 3);
    const plain = await listener(channel, 4);
    const where = [`${server.origin}/whep/${channel}`, ticket];
    await redundant.tab.evaluate((where) => window.sound.receive(true, ...where), where);
    await plain.tab.evaluate((where) => window.sound.receive(false, ...where), where);
    await judge(context, publisher, redundant, plain);
  });

  async function page(user, channel) {
    const tab = await browser.tab();
    await tab.goto(`${server.origin}/whip`);
    await tab.evaluate(`${await readFile(join(import.meta.dirname, "page/sound.mjs"), "utf8")}; window.sound = sound;`);
    await tab.evaluate((token) => window.sound.register(token), registerToken(user, channel));
    return tab;
  }

  /** Somebody who loses packets on the way, and cannot ask for them. */
  async function listener(channel, seed, ...edits) {
    const path = await Path.start(server, { loss: LOSS, seed });
    paths.push(path);
    const tab = await page(`listener-${seed}`, channel);
    await edit(tab, through(path), withoutAudioRepair, ...edits);
    return { tab, path };
  }

  async function judge(context, publisher, redundant, plain) {
    const heard = await Promise.all([redundant, plain].map(listen));
    for (const { lost, concealed, samples } of heard) {
      context.diagnostic(`${lost} packets lost, ${((100 * concealed) / samples).toFixed(1)} % of ${samples} samples concealed`);
    }
    const [mended, missed] = heard;
    assert.deepEqual([Object.keys(mended.formats), Object.keys(missed.formats)], [["audio/red"], ["audio/opus"]]);
    // Noise of a busy machine is in both.
    const difference = missed.concealed - mended.concealed;
    assert.ok(difference > (missed.lost * SAMPLES_A_PACKET) / 2, `${missed.concealed} and ${mended.concealed} samples concealed`);
    // Chromium names what the blocks are made of.
    assert.equal((await publisher.evaluate(() => window.sound.counted())).codec, "audio/opus");
    for (const tab of [publisher, redundant.tab, plain.tab]) await assertForwardCorrection(tab);
    assert.deepEqual(browser.faults(), []);
  }
});

/** What a listener hears within a while. */
async function listen({ tab, path }) {
  const counted = () => tab.evaluate(() => window.sound.counted());
  await until("sound", async () => (await counted()).totalAudioEnergy > 0);
  const [before, lostBefore] = [await counted(), path.lost];
  await pause(LISTEN_MS);
  const [now, lost] = [await counted(), path.lost - lostBefore];
  const grown = (name) => now[name] - before[name];
  assert.ok(grown("totalAudioEnergy") > 1, "it is heard");
  assert.ok(lost > ((LISTEN_MS / PACKET_MS) * LOSS) / 100 / 2, `${lost} packets lost`);
  assert.deepEqual([now.codec, now.nackCount ?? 0], ["audio/opus", 0]);
  return { lost, concealed: grown("concealedSamples"), samples: grown("totalSamplesReceived"), formats: now.formats };
}

/** Opus has its own, within its packets: either end says that it makes use of it (RFC 7587 7). */
async function assertForwardCorrection(tab) {
  for (const sdp of await tab.evaluate(() => window.sound.descriptions())) assert.match(sdp, /^a=fmtp:111 .*useinbandfec=1/m);
}
