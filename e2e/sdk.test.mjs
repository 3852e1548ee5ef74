// The SDK in Chromium against the real program: what an application does with it, and what it mends by itself.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Guest, newChannel } from "./lib/guest.mjs";
import { secret, Server } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";

let browser;
let server;

before(async () => {
  browser = await Browser.start();
  server = await Server.startWithSecret();
});

after(async () => {
  await browser?.stop();
  await server?.stop();
});

afterEach(() => browser.closeTabs());

const enter = (channel, name, options) => Guest.enter(browser, server, channel, name, options);

describe("a call", () => {
  test("two who publish see and hear each other, and read what the other says", async () => {
    const channel = newChannel();
    const ada = await enter(channel, "ada");
    const bob = await enter(channel, "bob");
    await Promise.all([ada.publish(), bob.publish()]);
    await Promise.all([ada.sees("bob"), bob.sees("ada")]);
    await ada.send("hello");
    await bob.send("hello yourself");
    for (const guest of [ada, bob]) {
      await guest.hears("message ada hello");
      await guest.hears("message bob hello yourself");
    }
    assert.deepEqual(browser.faults(), []);
  });

  test("a mute is seen, and sounds like silence", async () => {
    const channel = newChannel();
    const ada = await enter(channel, "ada");
    const bob = await enter(channel, "bob");
    await ada.publish();
    await bob.sees("ada");
    await ada.page.evaluate(() => window.media.mute({ audio: true }));
    await bob.hears("muted true false");
    await until("silence", () => bob.page.evaluate(() => window.remotes.get("ada").level < 0.001));
    await ada.page.evaluate(() => window.media.mute({ audio: false }));
    await bob.hears("muted false false");
    await until("sound", () => bob.page.evaluate(() => window.remotes.get("ada").level > 0.001));
  });

  test("whoever comes sees those who are there; whoever leaves or reloads is gone at once", async () => {
    const channel = newChannel();
    const ada = await enter(channel, "ada");
    await ada.publish();
    const bob = await enter(channel, "bob");
    await bob.publish();
    const eve = await enter(channel, "eve");
    await Promise.all([eve.sees("ada"), eve.sees("bob"), ada.sees("bob")]);
    await bob.page.evaluate(() => window.channel.leave());
    await Promise.all([ada.hears("left bob left"), eve.hears("left bob left")]);
    await ada.reload();
    await eve.hears("left ada left");
    await ada.publish();
    await eve.sees("ada");
    assert.equal(await eve.page.evaluate(() => window.channel.members.size), 1);
    assert.deepEqual(browser.faults(), []);
  });

  test("another microphone takes the place of the first without a pause in the picture", async () => {
    const channel = newChannel();
    const ada = await enter(channel, "ada");
    const bob = await enter(channel, "bob");
    const upstream = await ada.publish();
    await bob.sees("ada");
    await ada.page.evaluate(async () => {
      const { microphones } = await window.sdk.devices();
      await window.media.choose({ microphone: microphones.at(-1).id });
    });
    await bob.sees("ada");
    assert.equal(await ada.page.evaluate(() => window.upstream.upstream), upstream);
  });

  test("statistics name codec, size and quality", async () => {
    const channel = newChannel();
    const ada = await enter(channel, "ada");
    const bob = await enter(channel, "bob");
    await ada.publish({ codecs: ["VP8"] });
    await bob.sees("ada");
    await bob.page.evaluate(() => window.remotes.get("ada").stats());
    const stats = await until("a second report", async () => {
      const stats = await bob.page.evaluate(() => window.remotes.get("ada").stats());
      return stats.spanMs > 0 && stats.tracks.find(({ kind }) => kind === "video")?.fps > 0 && stats;
    });
    const video = stats.tracks.find(({ kind }) => kind === "video");
    assert.deepEqual([stats.tracks.length, video.codec, video.width, video.direction], [2, "VP8", 320, "received"]);
    assert.ok(video.bitrate > 10_000 && stats.rttMs !== null && stats.quality.score > 0);
    const sent = await ada.page.evaluate(() => window.upstream.stats());
    assert.deepEqual(
      sent.tracks.map(({ direction }) => direction),
      ["sent", "sent"],
    );
  });
});

describe("a broadcast", () => {
  test("whoever watches a media id waits for its publisher, and goes on with the next without another offer", async () => {
    const channel = newChannel();
    const eve = await enter(channel, "eve", { watches: false });
    await eve.watch("main");
    const ada = await enter(channel, "ada", { watches: false });
    await ada.publish({ mediaId: "main" });
    await eve.sees("main");
    const offered = () => eve.page.evaluate(() => window.channel.downstream.peer.currentRemoteDescription.sdp);
    const before = await offered();
    await ada.unpublish();
    await until("eve hears its end", async () => (await eve.heard()).some((line) => line.startsWith("closed main")));
    assert.equal((await eve.sample()).main.state, "waiting");
    await ada.publish({ mediaId: "main" });
    await eve.sees("main");
    assert.equal(await offered(), before);
    assert.deepEqual(browser.faults(), []);
  });

  test("a viewer is promoted, publishes, and is demoted", async () => {
    const channel = newChannel();
    const host = await enter(channel, "host", { rights: { canUpdate: true } });
    const eve = await enter(channel, "eve", { rights: { disableSendAudio: true, disableSendVideo: true } });
    const refused = await eve.publish().catch((error) => error.message);
    assert.match(refused, /send(Audio|Video)Forbidden/);
    const grant = (may) =>
      host.page.evaluate(
        ([id, may]) => window.channel.grant(id, { sendAudio: may, sendVideo: may }),
        [eve.clientId, may],
      );
    await grant(true);
    await eve.hears("rights true");
    await eve.publish();
    await host.sees("eve");
    await grant(false);
    await eve.hears("rights false");
    await host.hears("closed  requested");
    assert.equal(await eve.page.evaluate(() => window.upstream.state), "closed");
  });

  test("whoever is kicked is told, and is out", async () => {
    const channel = newChannel();
    const host = await enter(channel, "host", { rights: { canKick: true } });
    const eve = await enter(channel, "eve");
    await eve.publish();
    await host.sees("eve");
    await host.page.evaluate((id) => window.channel.kick(id), eve.clientId);
    await eve.hears(`kicked ${host.clientId}`);
    await host.hears("left eve kicked");
    assert.deepEqual(await eve.page.evaluate(() => [window.channel.joined, window.upstream.state]), [false, "closed"]);
  });
});

describe("what breaks", () => {
  test("a server that stood still is met again by an ICE restart", async () => {
    const channel = newChannel();
    const ada = await enter(channel, "ada");
    const bob = await enter(channel, "bob");
    await ada.publish();
    await bob.sees("ada");
    const fragment = () =>
      ada.page.evaluate(() => window.upstream.peer.currentRemoteDescription.sdp.match(/ice-ufrag:(.*)/)[1]);
    const before = await fragment();
    server.freeze();
    const asks = () =>
      ada.page.evaluate(
        () => window.upstream.state === "interrupted" && window.upstream.peer.signalingState !== "stable",
      );
    await until("a restart is asked for", asks, 30_000).finally(() => server.thaw());
    await until("live again", () => ada.page.evaluate(() => window.upstream.state === "live"), 30_000);
    await until("other credentials", async () => (await fragment()) !== before);
    await bob.sees("ada", 30_000);
    assert.equal(await bob.page.evaluate(() => window.channel.upstreams.size), 1);
  });

  test("a server that was killed and started anew finds everybody where they were", async () => {
    const channel = newChannel();
    const ada = await enter(channel, "ada");
    const eve = await enter(channel, "eve", { watches: false });
    await eve.watch("main");
    await ada.publish({ mediaId: "main" });
    await eve.sees("main");
    await server.kill();
    server = await Server.startAt(server.origin, ["--media-ip", "127.0.0.1", "--secret", secret]);
    await Promise.all([ada.isLive(), eve.isLive()]);
    await eve.sees("main", 40_000);
    assert.equal(await ada.page.evaluate(() => window.channel.members.size), 1);
  });
});
