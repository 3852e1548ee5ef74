// Where the kernel or a container forbids io_uring: it works all the same, and says why it is slower.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Server } from "./lib/server.mjs";
import { assertWatching } from "./lib/watching.mjs";

describe("without io_uring", () => {
  let browser;
  let server;

  before(async () => {
    server = await Server.startWithoutUring();
    browser = await Browser.start();
  });
  after(async () => {
    await browser?.stop();
    await server?.stop();
  });

  test("its report says what is missing and what that costs", () => {
    assert.match(server.output, /io_uring/);
    assert.match(server.output, /slower/);
    assert.match(server.output, /epoll/);
  });

  test("a viewer sees and hears", async () => {
    const publisher = await browser.client(server, "plain");
    await publisher.publish("VP8");
    const viewer = await browser.client(server, "plain");
    await viewer.watch();
    await viewer.sees();
    await assertWatching([viewer], 5);
    assert.deepEqual(browser.faults(), []);
  });
});
