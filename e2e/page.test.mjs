// The WHIP and WHEP page, as a person uses it: on a desk and on a phone.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Browser, picture } from "./lib/browser.mjs";
import { viewports } from "./lib/person.mjs";
import { Server } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";
import { advances } from "./lib/watching.mjs";

describe("the WHIP and WHEP page", () => {
  let browser;
  let server;

  before(async () => {
    // With a secret of its own making the server makes the page's tokens.
    server = await Server.start();
    browser = await Browser.start();
  });
  after(async () => {
    await browser?.stop();
    await server?.stop();
  });
  afterEach(() => browser.closeTabs());

  for (const name of ["desk", "phone"]) {
    test(`publishes and watches side by side on a ${name}`, async () => {
      const page = await browser.tab();
      await page.setViewportSize(viewports[name]);
      await page.goto(`${server.origin}/whip`);
      await picture(page, `${name}-idle`);
      await page.fill("#channel", `page-${name}`);
      for (const side of ["#publish", "#watch"]) {
        await page.click(`${side} .start`);
        await page.waitForSelector(`${side} .state[data-state=live]`);
        await advances(page, `${side} video`);
      }
      await until("figures", () => page.$eval("#watch .meters", ({ textContent }) => /\d+×\d+/.test(textContent)));
      await picture(page, `${name}-live`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "wider than its window");
      await page.click("#watch .start");
      await page.waitForSelector("#watch .state[data-state=idle]");
      await advances(page, "#publish video");
      await page.click("#publish .start");
      await page.waitForSelector("#publish .state[data-state=idle]");
      assert.deepEqual(browser.faults(), []);
    });
  }

  test("shows what a refusal means", async () => {
    const page = await browser.tab();
    await page.goto(`${server.origin}/whip`);
    await page.click("#more summary");
    await page.fill("#token", "no.token.atall");
    await page.click("#watch .start");
    await page.waitForSelector("#watch .problem:not([hidden])");
    assert.notEqual(await page.$eval("#watch .problem", ({ textContent }) => textContent.trim()), "");
    await picture(page, "refused");
    assert.deepEqual(browser.faults(), []);
  });
});
