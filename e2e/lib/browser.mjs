// Chromium with a camera and a microphone of its own making, and pages that speak plain WHIP and WHEP.

import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { token } from "./server.mjs";
import { until } from "./until.mjs";

const flags = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--allow-loopback-in-peer-connection",
  "--autoplay-policy=no-user-gesture-required",
];
/** A person notices from about 100 ms; a busy machine's estimates waver by as much again. */
const LIP_SYNC_MS = 200;
const pageDirectory = join(import.meta.dirname, "../page");

export class Browser {
  #context;
  #profile;
  #pages;
  #faults = [];

  static async start() {
    const browser = new Browser();
    browser.#profile = await mkdtemp(join(tmpdir(), "tidewire-e2e-"));
    browser.#pages = await servePages();
    browser.#context = await chromium.launchPersistentContext(browser.#profile, {
      executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
      headless: true,
      args: flags,
    });
    return browser;
  }

  /** A new tab with nothing in it, whose errors are remembered. */
  async tab() {
    const page = await this.#context.newPage();
    page.on("pageerror", (error) => this.#faults.push(error.stack ?? error.message));
    page.on("console", (message) => {
      // A refusal by the server is an answer, not a fault of the page.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) this.#faults.push(message.text());
    });
    page.on("crash", () => this.#faults.push("the page crashed"));
    return page;
  }

  /** A new client of `server` in `channel`, on a page of another origin. */
  async client(server, channel) {
    const page = await this.tab();
    await page.goto(this.#pages.origin);
    await page.waitForFunction(() => window.client);
    return new Client(page, server, channel, await token(channel));
  }

  /** What went wrong on pages since the last call. */
  faults() {
    return this.#faults.splice(0);
  }

  async closeTabs() {
    await Promise.all(this.#context.pages().slice(1).map((page) => page.close()));
  }

  async stop() {
    await this.#context.close();
    this.#pages.close();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** One page that publishes or watches. */
export class Client {
  constructor(page, server, channel, token) {
    Object.assign(this, { page, server, channel, token });
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

async function servePages() {
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
