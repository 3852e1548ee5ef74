// One downstream connection carries two dozen upstreams that come and go, and those that stay notice nothing.

import assert from "node:assert/strict";
import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Server, registerToken } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";

const UPSTREAMS = 24;
const STAY = 4;
const CHANGES = 200;
/**
 * What a change may cost those who stay, beyond what the machine does to them anyway. A new connection would take longer;
 * the browser itself, which takes up an offer of 70 kB each time, makes 40 ms of it where nothing else runs, and up to 380 where much does.
 */
const GAP_MS = 500;

describe("one downstream", () => {
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

  test(`carries ${UPSTREAMS} upstreams that come and go ${CHANGES} times`, async (context) => {
    // A client has at most 16 connections.
    for (const user of ["one", "another"]) {
      const publisher = await page(user);
      await publisher.evaluate((count) => window.many.publish(count), UPSTREAMS / 2);
    }
    const viewer = await page("viewer");
    await viewer.evaluate((stay) => window.many.watch(stay), STAY);
    await until("everything that stays", () => viewer.evaluate(() => window.many.live()), 60_000);
    const cpuBefore = await server.controlSeconds();
    const control = await viewer.evaluate(() => window.many.rest(5_000));
    const changed = await viewer.evaluate((changes) => window.many.change(changes), CHANGES);
    const cpu = (await server.controlSeconds()) - cpuBefore;
    context.diagnostic(`gap of those that stay, ms: ${changed.gap_ms.toFixed(0)}, without changes ${control.gap_ms.toFixed(0)}`);
    context.diagnostic(`server CPU: ${((1000 * cpu) / CHANGES).toFixed(1)} ms a change; ${changed.transceivers} transceivers`);
    assert.equal(changed.streams, STAY, "everything that stays is listened to");
    assert.ok(changed.frames > STAY * 50 * 10, `${changed.frames} frames of sound arrived`);
    assert.ok(changed.gap_ms <= Math.max(GAP_MS, control.gap_ms + GAP_MS), `a gap of ${changed.gap_ms} ms`);
    assert.equal(changed.missing, 0, "a packet of those that stay is missing");
    assert.ok(changed.transceivers <= 2 * UPSTREAMS, `${changed.transceivers} transceivers: they are not reused`);
    assert.ok(changed.seen >= UPSTREAMS, `${changed.seen} different upstreams were seen`);
    assert.equal(changed.connections, 1);
    assert.deepEqual(browser.faults(), []);
  });

  async function page(user) {
    const tab = await browser.tab();
    await tab.goto(`${server.origin}/whip`);
    const script = await readFile(join(import.meta.dirname, "page/many.mjs"), "utf8");
    const worker = await readFile(join(import.meta.dirname, "page/arrivals.js"), "utf8");
    await tab.evaluate(`${script}; window.many = many;`);
    await tab.evaluate((options) => window.many.register(options), { token: registerToken(user, "many"), worker });
    return tab;
  }
});
