// Somebody in front of a page: what people do with the call and the broadcast page, and what they see there.

import assert from "node:assert/strict";

import { picture } from "./browser.mjs";
import { registerToken } from "./server.mjs";
import { until } from "./until.mjs";

export const viewports = { desk: { width: 1440, height: 900 }, laptop: { width: 1280, height: 720 }, phone: { width: 390, height: 844 } };

export class Person {
  /**
   * `name` becomes an origin of its own, so that nobody finds what another's browser remembers. `bringsToken`: the server
   * makes none, so it comes in the address.
   */
  static async arrive(browser, server, name, { viewport = viewports.laptop, before, bringsToken = false } = {}) {
    const person = new Person();
    Object.assign(person, { name, bringsToken });
    person.origin = server.origin.replace(/\/\/[^:]+/, `//${name.toLowerCase()}.localhost`);
    person.page = await browser.tab();
    await person.page.setViewportSize(viewport);
    if (before) await person.page.addInitScript(before);
    return person;
  }

  goto(path) {
    return this.page.goto(this.origin + path);
  }

  // Both pages.

  /** The address of a channel on a page. */
  at(path, channel, flags = "", claim = {}) {
    return `${path}#${channel}${flags}${this.bringsToken ? `&token=${registerToken(this.name, channel, claim)}` : ""}`;
  }

  press(id) {
    return this.page.click(`#${id}`);
  }

  key(name) {
    return this.page.keyboard.press(name);
  }

  /** What a button is called now, which says what it would do. */
  label(id) {
    return this.page.getAttribute(`#${id}`, "aria-label");
  }

  async openChat() {
    if ((await this.page.getAttribute("#bar-chat", "aria-expanded")) !== "true") await this.press("bar-chat");
    await this.page.waitForSelector("[data-of=chat]:not([hidden])");
  }

  async say(text) {
    await this.openChat();
    await this.page.fill("#say", text);
    await this.page.press("#say", "Enter");
  }

  /** Waits for a line of the chat, be it said or happened. */
  reads(text) {
    return until(`${this.name} reads “${text}”`, async () => (await this.page.textContent(".log")).includes(text));
  }

  /** The tiles: whose they are, what they show, and how many pictures have been shown. */
  tiles() {
    return this.page.$$eval(".tile", (tiles) => tiles.map((tile) => {
      const video = tile.querySelector("video");
      const { left, top, right, bottom, width } = tile.getBoundingClientRect();
      return {
        name: tile.querySelector(".name").textContent,
        content: tile.dataset.content,
        isDark: tile.hasAttribute("data-dark"),
        isSpot: tile.hasAttribute("data-spot"),
        isSilent: !tile.querySelector(".sign").hidden,
        frames: video.getVideoPlaybackQuality().totalVideoFrames,
        isInside: width > 0 && left >= 0 && top >= 0 && right <= innerWidth + 1 && bottom <= innerHeight + 1,
      };
    }));
  }

  /** Waits for a tile that fits. */
  tile(name, wish = () => true) {
    return until(`${this.name} sees ${name}`, async () => {
      const found = (await this.tiles()).find((tile) => tile.name.includes(name));
      if (!found || !wish(found)) throw new Error(JSON.stringify(await this.tiles()));
      return found;
    });
  }

  noTile(name) {
    return until(`${this.name} sees no more of ${name}`, async () => !(await this.tiles()).some((tile) => tile.name.includes(name)));
  }

  /** Somebody's picture goes on. */
  async watches(name) {
    const { frames } = await this.tile(name, (tile) => tile.frames > 0 && !tile.isDark);
    await this.tile(name, (tile) => tile.frames > frames + 5);
  }

  /** Nothing is cut off, and nothing scrolls sideways. */
  async seesAllOfIt() {
    assert.ok(await this.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "wider than its window");
    for (const selector of [".bar button:not([hidden])", ".channel-head"]) {
      const cut = await this.page.$$eval(selector, (all) => all.filter((element) => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        return left < 0 || top < 0 || right > innerWidth + 1 || bottom > innerHeight + 1;
      }).map(({ id }) => id));
      assert.deepEqual(cut, [], `cut off: ${selector}`);
    }
    await until("all tiles inside", async () => (await this.tiles()).every(({ isInside }) => isInside));
  }

  picture(name) {
    return picture(this.page, name);
  }

  // The call.

  async join(channel) {
    await this.goto(this.at("/call", channel));
    await this.page.fill("#name", this.name);
    await this.page.waitForSelector("#lobby-mic:not(:disabled)");
    await this.page.click("#join .primary");
    await this.page.waitForSelector("#bar-leave");
  }

  // The broadcast.

  async openStudio(channel, title) {
    await this.goto(this.at("/broadcast", channel, "&host", { canUpdate: true }));
    await this.page.fill("#name", this.name);
    await this.page.fill("#title", title);
    await this.page.click("#host button");
    await this.page.waitForSelector("#go:not(:disabled)");
  }

  /** By a watch link, as most people come. */
  async sitDown(channel) {
    await this.goto(this.at("/broadcast", channel, "", { disableSendAudio: true, disableSendVideo: true }));
    await this.page.waitForSelector("#bar-leave");
  }

  /** Off air, waiting or live. */
  air(text) {
    return until(`${this.name} sees “${text}”`, async () => (await this.page.textContent(".air")).includes(text));
  }
}
