// Firefox and Chromium watch each other: each publishes, both watch, in every codec that both have.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Firefox } from "./lib/firefox.mjs";
import { Server } from "./lib/server.mjs";
import { assertWatching } from "./lib/watching.mjs";

describe("Firefox with Chromium", () => {
  const browsers = {};
  let server;

  before(async () => {
    // Firefox pairs with no candidate on loopback, so the server announces the machine's other addresses too.
    server = await Server.startOnAllAddresses();
    browsers.firefox = await Firefox.start();
    browsers.chromium = await Browser.start();
  });
  after(async () => {
    for (const browser of Object.values(browsers)) await browser.stop();
    await server?.stop();
  });
  afterEach(async () => {
    for (const browser of Object.values(browsers)) await browser.closeTabs();
  });

  for (const publishes of ["firefox", "chromium"]) {
    for (const codec of ["VP8", "AV1"]) {
      test(`${publishes} publishes ${codec}, and both see and hear it`, async () => {
        const channel = `${publishes}-${codec}`;
        const publisher = await browsers[publishes].client(server, channel);
        await publisher.publish(codec);
        const viewers = [await browsers.firefox.client(server, channel), await browsers.chromium.client(server, channel)];
        for (const viewer of viewers) await viewer.watch();
        for (const viewer of viewers) await viewer.sees();
        await assertWatching(viewers, 5);
        for (const { codec: seen } of await Promise.all(viewers.map((viewer) => viewer.sample()))) {
          assert.equal(seen, `video/${codec}`);
        }
        for (const browser of Object.values(browsers)) assert.deepEqual(browser.faults(), []);
      });
    }
  }
});
