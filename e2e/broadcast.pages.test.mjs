// The broadcast page: one in the studio, others in their seats. What it is for with gateway and media server in one program
// and in two; then the page itself.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Person, viewports } from "./lib/person.mjs";
import { Server } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";

const oneProgram = { start: () => Server.start(), bringsToken: false };
/** With a secret of its own, so that its page gets no tokens made: people bring theirs. */
const twoPrograms = { start: () => Server.startPair(), bringsToken: true };
const seats = { Grace: viewports.desk, Hedy: viewports.phone, Joan: viewports.laptop };
let browser;

before(async () => (browser = await Browser.start()));
after(() => browser?.stop());

for (const [programs, how] of Object.entries({ "one program": oneProgram, "two programs": twoPrograms })) {
  describe(`a broadcast through ${programs}`, () => {
    const { studio, seat } = house(how);

    test("who comes early waits, and the picture starts by itself", async () => {
      const viewers = await seat("early", "Grace", "Hedy", "Joan");
      for (const viewer of viewers) {
        await viewer.air("Waiting");
        assert.ok(await viewer.page.isVisible(".poster"));
        await viewer.picture(`broadcast-waiting-${viewer.name}`);
      }
      const ada = await studio("early");
      await ada.air("Off air");
      await until("three viewers", async () => (await ada.page.textContent(".count")).includes("3 watching"));
      await ada.picture("broadcast-studio");
      await ada.press("go");
      await ada.air("Live");
      for (const viewer of viewers) {
        await viewer.air("Live");
        await viewer.watches("Ada");
        assert.equal(await viewer.page.textContent(".channel-head h1"), "The evening tide");
        await viewer.seesAllOfIt();
        await viewer.picture(`broadcast-${viewer.name}`);
      }
      assert.deepEqual(browser.faults(), []);
    });

    test("a viewer raises a hand, comes on stage, and is taken off it", async () => {
      const ada = await studio("stage");
      const [grace, hedy] = await seat("stage", "Grace", "Hedy");
      await ada.press("go");
      await hedy.watches("Ada");
      await grace.press("bar-hand");
      await ada.reads("Grace raised a hand");
      await ada.press("bar-people");
      await ada.page.click("#people button[aria-label='On stage: Grace']");
      await grace.page.waitForSelector("#invitation[open]");
      await grace.picture("broadcast-invited");
      await grace.page.click("#accept");
      await hedy.watches("Grace");
      await ada.watches("Grace");
      await hedy.watches("Ada");
      await ada.picture("broadcast-stage-studio");
      await hedy.picture("broadcast-stage-phone");
      await ada.page.click("#people button[aria-label='Off stage: Grace']");
      await hedy.noTile("Grace");
      await until("the stage is hers no more", () => grace.page.isHidden("#bar-step"));
      await grace.watches("Ada");
      assert.deepEqual(browser.faults(), []);
    });
  });
}

describe("the broadcast page", () => {
  const { studio, seat } = house(oneProgram);

  test("from camera to screen and back viewers need do nothing", async () => {
    const ada = await studio("source");
    const [grace] = await seat("source", "Grace");
    await ada.press("go");
    await grace.watches("Ada");
    await ada.press("bar-share");
    await grace.tile("Ada", ({ content }) => content === "screen");
    await grace.watches("Ada");
    await grace.picture("broadcast-screen");
    await ada.press("bar-share");
    await grace.tile("Ada", ({ content }) => content === "camera");
    await grace.watches("Ada");
    await ada.press("go");
    await grace.air("Waiting");
    await ada.press("go");
    await grace.watches("Ada");
    assert.deepEqual(browser.faults(), []);
  });

  test("viewers and broadcaster write to each other", async () => {
    const ada = await studio("talk");
    const [grace, joan] = await seat("talk", "Grace", "Joan");
    await grace.say("Good evening!");
    await ada.reads("Good evening!");
    await joan.reads("Good evening!");
    await ada.say("Good evening, everybody.");
    await grace.reads("Good evening, everybody.");
    assert.deepEqual(browser.faults(), []);
  });

  test("sound, hand, chat and full screen are within reach of the keyboard", async () => {
    const ada = await studio("keys");
    const [grace] = await seat("keys", "Grace");
    await ada.key("Escape");
    await ada.press("go");
    await grace.watches("Ada");
    await grace.key("a");
    await until("silence", async () => (await grace.label("bar-sound")) === "Turn sound on");
    await grace.key("h");
    await ada.reads("Grace raised a hand");
    await grace.key("f");
    await until("full screen", () => grace.page.evaluate(() => document.fullscreenElement !== null));
    await grace.key("f");
    await until("no full screen", () => grace.page.evaluate(() => document.fullscreenElement === null));
    assert.deepEqual(browser.faults(), []);
  });
});

/** A server for the tests of a group, and the ways to its studio and its seats. */
function house({ start, bringsToken }) {
  let server;
  before(async () => (server = await start()));
  after(() => server?.stop());
  afterEach(() => browser.closeTabs());

  const studio = async (channel) => {
    const ada = await Person.arrive(browser, server, "Ada", { viewport: viewports.desk, bringsToken });
    await ada.openStudio(channel, "The evening tide");
    return ada;
  };
  const seat = async (channel, ...names) => {
    const viewers = [];
    for (const name of names) {
      const viewer = await Person.arrive(browser, server, name, { viewport: seats[name], before: nameOf(name), bringsToken });
      await viewer.sitDown(channel);
      viewers.push(viewer);
    }
    return viewers;
  };
  return { studio, seat };
}

/** Who was here before is called by name. */
function nameOf(name) {
  return `localStorage.setItem("tidewire.name", ${JSON.stringify(name)})`;
}
