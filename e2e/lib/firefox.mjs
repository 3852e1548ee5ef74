// Firefox with a camera and a microphone of its own making, driven over WebDriver BiDi.

import puppeteer from "puppeteer-core";

import { Client, servePages } from "./client.mjs";

const preferences = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.autoplay.default": 0,
};

export class Firefox {
  #browser;
  #pages;
  #faults = [];

  static async start() {
    const firefox = new Firefox();
    firefox.#pages = await servePages();
    firefox.#browser = await puppeteer.launch({
      browser: "firefox",
      executablePath: process.env.FIREFOX_BIN ?? "/usr/bin/firefox-esr",
      headless: true,
      extraPrefsFirefox: preferences,
    });
    return firefox;
  }

  /** A new page with nothing in it, whose errors are remembered. In a window of its own: Firefox slows down what is behind. */
  async tab() {
    const page = await this.#browser.newPage({ type: "window" });
    page.on("pageerror", (error) => this.#faults.push(error.stack ?? error.message));
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
    const [first, ...others] = await this.#browser.pages();
    await first.goto("about:blank");
    await Promise.all(others.map((page) => page.close()));
  }

  async stop() {
    await this.#browser.close();
    this.#pages.close();
  }
}
