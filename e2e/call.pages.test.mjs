// The call page. What three people do on it, with gateway and media server in one program and in two; then the page itself.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Person, viewports } from "./lib/person.mjs";
import { Server } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";

const oneProgram = { start: () => Server.start(), bringsToken: false };
/** With a secret of its own, so that its page gets no tokens made: people bring theirs. */
const twoPrograms = { start: () => Server.startPair(), bringsToken: true };
let browser;

before(async () => (browser = await Browser.start()));
after(() => browser?.stop());

for (const [programs, how] of Object.entries({ "one program": oneProgram, "two programs": twoPrograms })) {
  describe(`a call through ${programs}`, () => {
    const { gather } = house(how);

    test("three people meet, one of them on a phone", async () => {
      const people = await gather("meet", "Ada", "Grace", "Hedy");
      for (const person of people) {
        await until("three people", async () => (await person.page.textContent(".count")) === "3 people");
        await until("quality", () => person.page.$(".bars:not([hidden])"));
        await person.seesAllOfIt();
        await person.picture(`call-${person.name}`);
      }
      assert.deepEqual(browser.faults(), []);
    });

    test("a muted microphone and a camera that is off are seen by the others", async () => {
      const [ada, grace] = await gather("mute", "Ada", "Grace");
      await ada.key("m");
      await grace.tile("Ada", ({ isSilent, isDark }) => isSilent && !isDark);
      assert.equal(await ada.label("bar-microphone"), "Turn microphone on");
      await ada.press("bar-camera");
      await grace.tile("Ada", ({ isSilent, isDark }) => isSilent && isDark);
      await grace.picture("call-muted");
      await ada.key("m");
      await ada.key("v");
      await grace.tile("Ada", ({ isSilent, isDark }) => !isSilent && !isDark);
      await grace.watches("Ada");
      assert.deepEqual(browser.faults(), []);
    });

    test("what is said is read, counted while unread, and never becomes markup", async () => {
      const [ada, grace] = await gather("chat", "Ada", "Grace");
      await ada.say("See https://tidewire.example/notes?a=1, <b>all</b> of you.");
      await until("one unread", async () => (await grace.label("bar-chat")) === "Chat, 1 unread");
      await grace.openChat();
      await grace.reads("<b>all</b> of you.");
      assert.equal(await grace.label("bar-chat"), "Chat");
      const link = await grace.page.$eval(".log a", ({ href, rel, target }) => ({ href, rel, target }));
      assert.deepEqual(link, { href: "https://tidewire.example/notes?a=1", rel: "noopener noreferrer nofollow", target: "_blank" });
      await grace.say("Read.");
      await ada.reads("Read.");
      await grace.picture("call-chat");
      await grace.key("Escape");
      await grace.page.waitForSelector("#side", { state: "hidden" });
      assert.deepEqual(browser.faults(), []);
    });

    test("a shared screen is large for the others until it is shared no more", async () => {
      const [ada, grace] = await gather("screen", "Ada", "Grace");
      await ada.press("bar-share");
      await grace.tile("Ada's screen", ({ content, isSpot, frames }) => content === "screen" && isSpot && frames > 0);
      await grace.watches("Ada");
      await grace.picture("call-screen");
      await ada.press("bar-share");
      await grace.noTile("Ada's screen");
      await grace.reads("Ada stopped sharing the screen");
      assert.deepEqual(browser.faults(), []);
    });

    test("who reloads is gone, finds the name again, and is back with one key", async () => {
      const [ada, grace] = await gather("reload", "Ada", "Grace");
      await grace.page.reload();
      await ada.reads("Grace left");
      assert.equal(await grace.page.inputValue("#name"), "Grace");
      assert.equal(await grace.page.inputValue("#channel"), "reload");
      await grace.page.waitForSelector("#lobby-mic:not(:disabled)");
      await grace.key("Enter");
      await ada.watches("Grace");
      await grace.watches("Ada");
      assert.deepEqual(browser.faults(), []);
    });

    test("who leaves is in the lobby again, and the others go on", async () => {
      const [ada, grace, hedy] = await gather("leave", "Ada", "Grace", "Hedy");
      await ada.press("bar-leave");
      await ada.page.waitForSelector("#ended:not([hidden])");
      await ada.page.waitForSelector("#join .primary:not(:disabled)");
      for (const person of [grace, hedy]) {
        await person.reads("Ada left");
        await person.noTile("Ada");
      }
      await grace.watches("Hedy");
      await ada.page.click("#join .primary");
      await grace.watches("Ada");
      assert.deepEqual(browser.faults(), []);
    });
  });
}

describe("the call page", () => {
  const { arrive, gather } = house(oneProgram);

  test("everything is within reach of the keyboard", async () => {
    const [grace] = await gather("keys", "Grace");
    // Nobody of that name was here: the lobby knows none, and asks.
    const margaret = await arrive("Margaret");
    await margaret.goto(margaret.at("/call", "keys"));
    await margaret.page.waitForSelector("#lobby-mic:not(:disabled)");
    assert.equal(await focused(margaret), "name");
    await margaret.page.keyboard.type("Margaret");
    await margaret.key("Enter");
    await margaret.watches("Grace");
    await walkTo(margaret, "bar-microphone");
    await margaret.key("ArrowRight");
    assert.equal(await focused(margaret), "bar-camera");
    await margaret.key("Space");
    await grace.tile("Margaret", ({ isDark }) => isDark);
    await margaret.key("c");
    assert.equal(await focused(margaret), "say");
    await margaret.page.keyboard.type("Not one click.");
    await margaret.key("Enter");
    await grace.reads("Not one click.");
    await margaret.key("Escape");
    assert.equal(await focused(margaret), "bar-camera");
    await margaret.picture("call-keyboard");
    await walkTo(margaret, "bar-leave");
    await margaret.key("Enter");
    await margaret.page.waitForSelector("#ended:not([hidden])");
    assert.deepEqual(browser.faults(), []);
  });

  test("who has no camera and no microphone sees and writes all the same", async () => {
    const [ada] = await gather("bare", "Ada");
    const grace = await arrive("Grace", { before: withoutDevices });
    await grace.goto(grace.at("/call", "bare"));
    await grace.page.fill("#name", "Grace");
    await grace.page.waitForSelector("#without:not([hidden])");
    await grace.picture("call-lobby-bare");
    await grace.page.click("#join .primary");
    await grace.watches("Ada");
    await grace.say("I have no camera.");
    await ada.reads("I have no camera.");
    await ada.tile("Grace", ({ isDark }) => isDark);
    assert.deepEqual(browser.faults(), []);
  });

  test("whoever speaks, then whoever is picked, is large, by click and by keys", async () => {
    const people = await gather("spotlight", "Ada", "Grace", "Hedy");
    const [, grace, hedy] = people;
    const large = (person, selector) => person.page.waitForSelector(`.tile[data-spot]${selector}`);
    await grace.press("view");
    await large(grace, ":not([data-mine])");
    await grace.page.click(".tile:not([data-spot], [data-mine])");
    await large(grace, ":has([aria-pressed=true]):not([data-mine])");
    await grace.picture("call-spotlight");
    await until("oneself is large", async () => (await grace.key("n"), grace.page.$(".tile[data-spot][data-mine]")));
    await grace.key("l");
    await until("equal tiles", async () => !(await grace.page.$(".tile[data-spot]")));
    await hedy.key("l");
    await large(hedy, ":not([data-mine])");
    for (const person of people) await person.seesAllOfIt();
    await hedy.watches("Grace");
    await hedy.picture("call-spotlight-phone");
    assert.deepEqual(browser.faults(), []);
  });

  test("the panel says what was asked for and what is wanted", async () => {
    const [ada, grace] = await gather("explained", "Ada", "Grace");
    const explained = (text) => until(text, async () => (await grace.page.textContent("#explanation")).includes(text));
    await grace.page.click(".tile:not([data-mine]) .bars");
    await explained("What was chosen for you");
    await explained("Asked for");
    await grace.picture("call-explained");
    assert.match(await grace.page.textContent("#explanation"), /Asked for\d+ × \d+/);
    await ada.page.click("#view");
    await ada.page.evaluate(() => document.querySelector(".tile[data-mine] .bars").click());
    await until("what is wanted", async () => /What is wanted of you/.test(await ada.page.textContent("#explanation")));
    assert.deepEqual(browser.faults(), []);
  });

  test("a token that is none is explained where it can be mended", async () => {
    const ada = await arrive("Ada");
    await ada.goto("/call#refused&token=no.token.atall");
    await ada.page.fill("#name", "Ada");
    await ada.page.click("#join .primary");
    await ada.page.waitForSelector("#join .problem:not([hidden])");
    assert.ok(await ada.page.isVisible("#token"));
    await ada.picture("call-refused");
    assert.deepEqual(browser.faults(), []);
  });
});

/** A server for the tests of a group, and the people who come to it. */
function house({ start, bringsToken }) {
  let server;
  before(async () => (server = await start()));
  after(() => server?.stop());
  afterEach(() => browser.closeTabs());

  const arrive = (name, options) => Person.arrive(browser, server, name, { bringsToken, ...options });

  /** Everybody named, in the channel and seeing each other. */
  const gather = async (channel, ...names) => {
    const people = [];
    for (const name of names) {
      const person = await arrive(name, { viewport: name === "Hedy" ? viewports.phone : viewports.laptop });
      await person.join(channel);
      people.push(person);
    }
    for (const person of people) {
      for (const other of names.filter((name) => name !== person.name)) await person.watches(other);
    }
    return people;
  };
  return { arrive, gather };
}

const focused = ({ page }) => page.evaluate(() => document.activeElement.id);

/** Tab by tab to an element: no more of them than a patient person would press. */
async function walkTo(person, id) {
  for (let step = 0; step < 40; step += 1) {
    if ((await focused(person)) === id) return;
    await person.key("Tab");
  }
  assert.fail(`Tab does not lead to ${id}`);
}

function withoutDevices() {
  const refuse = async () => { throw new DOMException("none", "NotFoundError"); };
  if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = refuse;
}
