// One page, in whichever browser, that publishes or watches by plain WHIP and WHEP.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

import { token } from "./server.mjs";
import { until } from "./until.mjs";

/** A person notices from about 100 ms; a busy machine's estimates waver by as much again. */
const LIP_SYNC_MS = 200;
const pageDirectory = join(import.meta.dirname, "../page");

export class Client {
  constructor(page, server, channel, token) {
    Object.assign(this, { page, server, channel, token });
  }

  /** A client of `server` in `channel` on this page, which comes from another origin. */
  static async on(page, pages, server, channel) {
    await page.goto(pages.origin);
    await page.waitForFunction(() => window.client);
    return new Client(page, server, channel, await token(channel));
  }

  async publish(codec) {
    const url = `${this.server.origin}/whip/${this.channel}`;
    await this.page.evaluate((ask) => window.client.publish(ask), { url, token: this.token, codec });
    await this.#connected();
  }

  /** Asks once; `false` when nothing is published. */
  tryToWatch() {
    const ask = { url: `${this.server.origin}/whep/${this.channel}`, token: this.token };
    return this.page.evaluate((ask) => window.client.watch(ask), ask);
  }

  /** Waits until something is published. */
  async watch() {
    await until("something to watch", () => this.tryToWatch());
    await this.#connected();
  }

  /** An ICE restart; waits until the media goes by a pair of the new generation. */
  async restart() {
    const { userFragment: before } = await this.sample();
    await this.page.evaluate(() => window.client.restart());
    await until("a pair with new credentials", async () => {
      const { userFragment, state } = await this.sample();
      return before && userFragment && userFragment !== before && state === "connected";
    });
  }

  /** The session's end by DELETE; its status. */
  leave() {
    return this.page.evaluate(() => window.client.leave());
  }

  sample() {
    return this.page.evaluate(() => window.client.sample());
  }

  /** Waits until the server has closed the connection. */
  async isClosed(within_ms) {
    await until("closed by the server", async () => (await this.sample()).transport === "closed", within_ms);
  }

  async #connected() {
    await until("connected", async () => (await this.sample()).state === "connected");
  }

  /** Waits for pictures and sound. */
  async sees(within_ms = 20_000) {
    await until("frames and sound", async () => {
      const { framesDecoded, audioEnergy } = await this.sample();
      return framesDecoded > 0 && audioEnergy > 0;
    }, within_ms);
  }

  /** Waits until sound and picture are played in step: needs two sender reports of each, which are seconds apart. */
  async isInStep() {
    await until("sound in step with the picture", async () => {
      const { audioAheadMs } = await this.sample();
      if (!(Math.abs(audioAheadMs) < LIP_SYNC_MS)) throw new Error(`ahead by ${audioAheadMs} ms`);
      return true;
    }, 40_000);
  }

  /** Samples at the ends of `seconds` seconds, by the page's own clock. */
  record(seconds) {
    return this.page.evaluate((seconds) => window.client.record(seconds), seconds);
  }
}

/** Serves the page of a client from an origin of its own. */
export async function servePages() {
  const types = { "/": ["index.html", "text/html"], "/client.mjs": ["client.mjs", "text/javascript"] };
  const server = createServer(async (request, response) => {
    const [name, type] = types[request.url] ?? [];
    if (!name) return response.writeHead(204).end();
    response.writeHead(200, { "content-type": type }).end(await readFile(join(pageDirectory, name)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
