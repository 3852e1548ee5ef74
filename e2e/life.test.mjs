// Coming, going and coming back: what one client does leaves the others watching.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Server } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";
import { assertWatching } from "./lib/watching.mjs";

describe("life of a channel", () => {
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
  afterEach(() => browser.closeTabs());

  async function call(channel, codec = "VP8") {
    const publisher = await browser.client(server, channel);
    await publisher.publish(codec);
    const viewers = [await browser.client(server, channel), await browser.client(server, channel)];
    for (const viewer of viewers) await viewer.watch();
    for (const viewer of viewers) await viewer.sees();
    return { publisher, viewers };
  }

  test("a viewer leaves and comes back, and the other never notices", async () => {
    const { viewers: [guest, stayer] } = await call("leave");
    assert.equal(await guest.leave(), 200);
    await assertWatching([stayer], 2);
    await guest.watch();
    await guest.sees();
    await assertWatching([guest, stayer], 2);
    assert.deepEqual(browser.faults(), []);
  });

  test("who comes before the publisher is told so, and sees once there is one", async () => {
    const viewer = await browser.client(server, "early");
    assert.equal(await viewer.tryToWatch(), false);
    const publisher = await browser.client(server, "early");
    await publisher.publish("VP8");
    await viewer.watch();
    await viewer.sees();
    assert.deepEqual(browser.faults(), []);
  });

  test("ICE restarts on either side, and the picture goes on", async () => {
    const { publisher, viewers } = await call("restart");
    for (const client of [viewers[0], publisher]) {
      await client.restart();
      await assertWatching(viewers, 3);
    }
    assert.deepEqual(browser.faults(), []);
  });

  test("a tab that is closed without a word leaves the other watching", async () => {
    const { viewers: [guest, stayer] } = await call("closed");
    await guest.page.close();
    await assertWatching([stayer], 3);
    assert.deepEqual(browser.faults(), []);
  });

  for (const codec of ["VP8", "H264"]) {
    test(`a publisher of ${codec} takes over from one of VP8, and viewers go on without renegotiation`, async () => {
      const channel = `replaced-${codec}`;
      const { publisher, viewers } = await call(channel);
      const successor = await browser.client(server, channel);
      await successor.publish(codec);
      await publisher.isClosed();
      for (const viewer of viewers) {
        await until("the successor's codec", async () => (await viewer.sample()).codec === `video/${codec}`);
        const { framesDecoded } = await viewer.sample();
        await until("the successor's pictures", async () => (await viewer.sample()).framesDecoded > framesDecoded);
      }
      const records = await assertWatching(viewers, 5);
      for (const viewer of viewers) await viewer.isInStep();
      assert.deepEqual(records.map((samples) => samples.at(-1).negotiations), [0, 0]);
      assert.deepEqual(browser.faults(), []);
    });
  }

  test("a publisher goes and comes back, and who kept watching sees it again", async () => {
    const { publisher, viewers } = await call("return");
    assert.equal(await publisher.leave(), 200);
    await publisher.publish("VP8");
    for (const viewer of viewers) {
      const { framesDecoded } = await viewer.sample();
      await until("new pictures", async () => (await viewer.sample()).framesDecoded > framesDecoded);
    }
    await assertWatching(viewers, 3);
    assert.deepEqual(browser.faults(), []);
  });

  test("the end of the server ends every connection within a second", async () => {
    const { publisher, viewers } = await call("end");
    const { code, took_ms } = await server.stop();
    assert.equal(code, 0, server.output);
    assert.ok(took_ms < 1000, `${took_ms} ms`);
    for (const client of [publisher, ...viewers]) {
      await client.isClosed(5_000);
    }
  });
});
