// How long the way between server and browser is and back, as each finds out by what the other reports: over a path of a known
// length.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { edit, through } from "./lib/edits.mjs";
import { Firefox } from "./lib/firefox.mjs";
import { newChannel } from "./lib/guest.mjs";
import { Path } from "./lib/path.mjs";
import { Server } from "./lib/server.mjs";
import { Watcher } from "./lib/watcher.mjs";
import { until } from "./lib/until.mjs";

/** Each way. What browsers and machine add is in the round trip as well, and now and then that is much. */
const DELAY_MS = 40;
const ROUND_TRIP_MS = { min: 2 * DELAY_MS, usual: 2 * DELAY_MS + 200 };
/** Reports come each second, and begin late. */
const TOLD = 3;

for (const [name, { start }] of Object.entries({ Chromium: Browser, Firefox })) {
  describe(name, () => {
    let browser, server, path;
    before(async () => {
      // Firefox pairs with no candidate on loopback, so the server announces the machine's other addresses too.
      server = await Server.startOnAllAddresses();
      path = await Path.start(server, { delay_ms: DELAY_MS });
      browser = await start();
    });
    after(async () => {
      await browser?.stop();
      path?.stop();
      await server?.stop();
    });

    test("the round trips of a publisher and of a viewer are told", async (context) => {
      const channel = newChannel();
      const publisher = await enter(channel, "publisher");
      await publisher.call("publish", "picture", { width: 320, height: 180, codecs: ["VP8"], simulcast: false });
      const viewer = await enter(channel, "viewer");
      await viewer.call("watch", "picture");
      await viewer.sees(["picture"]);
      for (const [who, watcher] of Object.entries({ publisher, viewer })) {
        const told = await roundTrips(watcher, who);
        context.diagnostic(`${who}: ${told.join(", ")} ms`);
        assertPlausible(told, who);
      }
      // Firefox does not ask for it.
      if (name === "Chromium") {
        const own = await until("the viewer's own", () => viewer.call("ownRoundTrip"));
        context.diagnostic(`by the viewer itself: ${own.toFixed(0)} ms`);
        assertPlausible([own], "by the viewer itself");
      }
      assert.deepEqual(browser.faults(), []);
    });

    async function enter(channel, user) {
      const watcher = await Watcher.enter(await browser.tab(), server, channel, user);
      await edit(watcher.page, through(path));
      return watcher;
    }
  });
}

function assertPlausible(told, who) {
  assert.ok(Math.min(...told) >= ROUND_TRIP_MS.min && Math.min(...told) <= ROUND_TRIP_MS.usual, `${who}: ${told} ms`);
}

async function roundTrips(watcher, who) {
  await watcher.call("observe");
  return until(`round trips of the ${who}`, async () => {
    const all = await watcher.call("observed");
    const told = all.filter((ms) => ms !== null);
    if (told.length < TOLD) throw new Error(JSON.stringify(all));
    return told;
  });
}
