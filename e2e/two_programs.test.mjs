// Gateway and media server as two programs: to browsers there is no difference.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Server } from "./lib/server.mjs";
import { assertWatching } from "./lib/watching.mjs";

describe("a gateway and a media server", () => {
  let browser, server;
  before(async () => {
    browser = await Browser.start();
    server = await Server.startPair();
  });
  after(async () => {
    await server?.stop();
    await browser?.stop();
  });
  afterEach(() => browser.closeTabs());

  test("two viewers see and hear a publisher for ten seconds", async () => {
    const publisher = await browser.client(server, "pair");
    await publisher.publish("VP8");
    const viewers = [await browser.client(server, "pair"), await browser.client(server, "pair")];
    for (const viewer of viewers) await viewer.watch();
    for (const viewer of viewers) await viewer.sees();
    await assertWatching(viewers, 10);
    assert.deepEqual(browser.faults(), []);
    assert.match(await server.metrics(), /^tidewire_handshakes_completed_total\{threads="handshake"\} 3/m);
  });
});
