// Chromium with a camera and a microphone of its own making.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { Client, servePages } from "./client.mjs";

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
    return Client.on(await this.tab(), this.#pages, server, channel);
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

/** A screenshot for whoever wants to look, where `E2E_PICTURES` says. */
export async function picture(page, name) {
  const directory = process.env.E2E_PICTURES;
  if (!directory) return;
  await mkdir(directory, { recursive: true });
  await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
}
