// Feedback on the transport: a publishing browser finds out what its path carries, a watching one is heard and believed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Client, servePages } from "./lib/client.mjs";
import { Server } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";

/** Chromium begins at 300 kb/s, and stays there as long as nobody tells it what arrived. */
const FOUND_BPS = 1_500_000;

let browser, server, pages;

before(async () => {
  browser = await Browser.start();
  server = await Server.startWithSecret([]);
  pages = await servePages();
});
after(async () => {
  await browser?.stop();
  pages?.close();
  await server?.stop();
});

/** A client on a page that remembers its peer connections. */
async function client(channel) {
  const tab = await browser.tab();
  await tab.addInitScript(() => {
    window.peers = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration) {
        super(configuration);
        window.peers.push(this);
      }
    };
  });
  return Client.on(tab, pages, server, channel);
}

function available(publisher) {
  return publisher.page.evaluate(async () => {
    const stats = [...(await window.peers[0].getStats()).values()];
    return stats.find((one) => one.type === "candidate-pair" && one.nominated)?.availableOutgoingBitrate ?? 0;
  });
}

function counted(metrics, name) {
  return Number(metrics.match(new RegExp(`^tidewire_${name} (\\d+)`, "m"))?.[1] ?? 0);
}

test("a publisher's estimate grows beyond where it began, and a viewer's feedback is taken", async () => {
  const publisher = await client("estimate");
  await publisher.publish("VP8");
  const viewer = await client("estimate");
  await viewer.watch();
  await viewer.sees();
  await until("an estimate beyond the first", async () => (await available(publisher)) > FOUND_BPS, 15_000);
  const statuses = 'transport_feedback_statuses_total\\{shard="0"\\}';
  await until("feedback of the viewer", async () => counted(await server.metrics(), statuses) > 100, 15_000);
  const metrics = await server.metrics();
  assert.ok(counted(metrics, 'transport_feedback_sent_total\\{shard="0"\\}') > 5);
  assert.equal(counted(metrics, 'discards_total\\{shard="0",reason="feedback_implausible"\\}'), 0);
  assert.deepEqual(browser.faults(), []);
});
