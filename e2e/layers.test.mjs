// A viewer goes from one layer to another and back while another one does not, and sees as much of it.

import { after, afterEach, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Firefox } from "./lib/firefox.mjs";
import { Server } from "./lib/server.mjs";
import { byEncoding, simulcast, switched } from "./lib/switching.mjs";

/** Firefox takes scales, and as many as it is given. */
const scaled = [["q", 4], ["h", 2], ["f", 1]].map(([rid, scaleResolutionDownBy]) => ({ rid, scaleResolutionDownBy }));
const svc = (codec) => ({ width: 480, height: 270, codecs: [codec], scalabilityMode: "L2T3_KEY" });
const bySpatial = [{ wish: { spatial: 0 }, isThere: "narrow" }, { wish: { spatial: 1 }, isThere: "wide" }];

let chromium;
before(async () => (chromium = await Browser.start()));
after(() => chromium?.stop());
afterEach(() => chromium.closeTabs());

describe("Chromium to Chromium", () => {
  let server;
  before(async () => (server = await Server.startWithSecret()));
  after(() => server?.stop());

  // Two codecs at a time: that is what two cores encode.
  test("VP8 and H.264 simulcast, switched", (context) =>
    switched(context, server, chromium, chromium, [["VP8", simulcast("VP8"), byEncoding], ["H.264", simulcast("H264"), byEncoding]]));

  test("VP9 and AV1 SVC, switched", (context) =>
    switched(context, server, chromium, chromium, [["VP9", svc("VP9"), bySpatial], ["AV1", svc("AV1"), bySpatial]]));
});

describe("Firefox with Chromium", () => {
  let firefox;
  let server;
  before(async () => {
    // Firefox pairs with no candidate on loopback, so the server announces the machine's other addresses too.
    server = await Server.startOnAllAddresses();
    firefox = await Firefox.start();
  });
  after(async () => {
    await firefox?.stop();
    await server?.stop();
  });

  test("VP8 simulcast, switched both ways", (context) =>
    Promise.all([
      switched(context, server, firefox, chromium, [["VP8-from-Firefox", simulcast("VP8", scaled), byEncoding]]),
      switched(context, server, chromium, firefox, [["VP8-to-Firefox", simulcast("VP8"), byEncoding]]),
    ]));
});
