// Clients that are no browsers publish by WHIP, and a browser sees and hears them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Server, token } from "./lib/server.mjs";
import { assertWatching } from "./lib/watching.mjs";

describe("publishers that are no browsers", () => {
  let browser;
  let server;

  before(async () => {
    server = await Server.startOnAllAddresses();
    browser = await Browser.start();
  });
  after(async () => {
    await browser?.stop();
    await server?.stop();
  });
  afterEach(() => browser.closeTabs());

  for (const peer of ["gstreamer", "aiortc"]) {
    test(`${peer} is seen and heard, and leaves`, async () => {
      const publisher = await Publisher.start(peer, server, peer);
      try {
        const viewer = await browser.client(server, peer);
        await viewer.watch();
        await viewer.sees();
        await assertWatching([viewer], 5);
        assert.deepEqual(await publisher.end(), { code: 0 }, publisher.output);
        assert.equal(await viewer.tryToWatch(), false, "nothing is published any more");
      } catch (error) {
        throw new Error(`${error.message}\n${publisher.output}`, { cause: error });
      } finally {
        publisher.kill();
      }
    });
  }
});

/** One of the programs in `peers/`. */
class Publisher {
  #child;
  output = "";

  static async start(peer, server, channel) {
    const publisher = new Publisher();
    const script = join(import.meta.dirname, `peers/publish_${peer}.py`);
    const words = [script, `${server.origin}/whip/${channel}`, await token(channel)];
    publisher.#child = spawn("/usr/bin/python3", words, { stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [publisher.#child.stdout, publisher.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (publisher.output += text));
    }
    return publisher;
  }

  /** Ends it as it ends by itself: with its input. */
  async end() {
    const ended = once(this.#child, "exit");
    this.#child.stdin.end();
    const [code] = await ended;
    return { code };
  }

  kill() {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
  }
}
