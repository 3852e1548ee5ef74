// A browser publishes and two others watch: each codec over each packet I/O and each DTLS version.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Server } from "./lib/server.mjs";
import { assertWatching } from "./lib/watching.mjs";

const versions = { "1.2": "FEFD", "1.3": "FEFC" };
let browser;

before(async () => (browser = await Browser.start()));
after(() => browser?.stop());

for (const io of ["uring", "epoll"]) {
  for (const [dtls, tlsVersion] of Object.entries(versions)) {
    describe(`${io}, DTLS ${dtls}`, () => {
      let server;
      before(async () => (server = await Server.startWithSecret(["--io", io, "--dtls", dtls])));
      after(() => server?.stop());
      afterEach(() => browser.closeTabs());

      for (const codec of ["VP8", "H264"]) {
        test(`two viewers see and hear ${codec} for ten seconds`, async () => {
          const channel = `call-${codec}`;
          const publisher = await browser.client(server, channel);
          await publisher.publish(codec);
          const viewers = [await browser.client(server, channel), await browser.client(server, channel)];
          for (const viewer of viewers) await viewer.watch();
          for (const viewer of viewers) await viewer.sees();
          const records = await assertWatching(viewers, 10);
          for (const viewer of viewers) await viewer.isInStep();
          for (const { codec: seen, ...transport } of records.map((samples) => samples.at(-1)).concat(await publisher.sample())) {
            assert.equal(seen, `video/${codec}`);
            assert.equal(transport.tlsVersion, tlsVersion);
            if (dtls === "1.2") assert.match(transport.srtpCipher, /AEAD_AES_(256|128)_GCM/);
          }
          assert.deepEqual(browser.faults(), []);
          const metrics = await server.metrics();
          assert.match(metrics, /^tidewire_handshakes_completed_total\{threads="handshake"\} [1-9]/m);
          assert.doesNotMatch(metrics, /^tidewire_handshakes_failed_total\{threads="handshake"\} [1-9]/m);
        });
      }
    });
  }
}
