// The link against real sockets that break: nothing is lost, nothing is doubled, and what cannot be mended is told.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Client } from "../tidewire.js";
import { Gateway } from "./lib/gateway.mjs";
import { until } from "./lib/until.mjs";

let gateway;
let client;

beforeEach(async () => {
  gateway = await Gateway.start();
  client = new Client({ url: gateway.url, token: "token" });
});

afterEach(async () => {
  await client.unregister();
  await gateway.stop();
  assert.deepEqual(gateway.faults, []);
});

const message = (at) => ({ type: "message", channel: "sea", from: { clientId: "ada" }, toAll: true, text: String(at) });

/** Collects what is heard in the channel. */
async function listening() {
  const [channel] = await client.register();
  const heard = [];
  channel.on("message", ({ text }) => heard.push(Number(text)));
  return { channel, heard };
}

test("a socket that breaks a hundred times, at any moment, loses and doubles nothing in either direction", async (t) => {
  // Pauses pass fifty times as fast, since nothing is learnt from them.
  const { setTimeout } = globalThis;
  t.mock.method(globalThis, "setTimeout", (act, ms, ...more) => setTimeout(act, ms / 50, ...more));
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  let random = seed;
  const draw = () => (random = (random * 48_271) % 2_147_483_647) / 2_147_483_647;
  const { channel, heard } = await listening();
  const states = [];
  client.on("state", ({ state }) => states.push(state));
  const sent = [];
  for (let at = 0; at < 400; at += 1) {
    gateway.tell(message(at));
    sent.push(channel.send(String(at)));
    if (at % 4 === 0) {
      // Sometimes in the middle of what is under way, sometimes when it has all arrived.
      if (draw() < 0.5) await new Promise((resolve) => setTimeout(resolve, draw() * 3));
      gateway.cut();
      await until(`live again, seed ${seed}`, () => client.state === "live" && sent.length === at + 1, 20_000);
    }
    await Promise.all(sent.slice(-10));
  }
  await Promise.all(sent);
  await until(`everything heard, seed ${seed}`, () => heard.length >= 400);
  const expected = Array.from({ length: 400 }, (_, at) => at);
  assert.deepEqual(heard, expected, `seed ${seed}`);
  assert.deepEqual(
    gateway.asked("send").map(({ text }) => Number(text)),
    expected,
    `seed ${seed}`,
  );
  assert.deepEqual([...new Set(states)].sort(), ["interrupted", "live"]);
  assert.equal(gateway.asked("register").length, 1);
});

test("requests made without a socket wait for the next", async () => {
  const { channel } = await listening();
  gateway.cut();
  await client.next("state");
  assert.equal(client.state, "interrupted");
  await channel.send("patience");
  assert.equal(gateway.asked("send").length, 1);
  assert.equal(client.state, "live");
});

test("a socket that is dead is given up, however much the page still sends", async (t) => {
  const { channel } = await listening();
  gateway.answers.send = () => new Promise(() => {});
  const { setInterval } = globalThis;
  const { now } = Date;
  const start = now();
  // Time passes fifty times as fast.
  t.mock.method(Date, "now", () => start + (now() - start) * 50);
  t.mock.method(globalThis, "setInterval", (act, ms) => setInterval(act, ms / 50));
  gateway.forget();
  await client.next("registered");
  const { sockets } = gateway;
  const sending = setInterval(() => channel.send("x").catch(() => {}), 20);
  t.after(() => clearInterval(sending));
  await until("another socket", () => gateway.sockets > sockets, 50_000);
});

test("a frame that comes twice is heard once", async () => {
  const { heard } = await listening();
  gateway.tell(message(1));
  await until("heard", () => heard.length === 1);
  gateway.line.repeat(2);
  gateway.tell(message(2));
  await until("the next is heard", () => heard.includes(2));
  assert.deepEqual(heard, [1, 2]);
});

test("a frame that is missing makes the client register anew", async () => {
  await listening();
  gateway.line.omit();
  gateway.tell(message(1));
  assert.deepEqual(await client.next("registered"), { again: true });
  assert.equal(gateway.asked("register").length, 2);
});

test("what was seen is acknowledged after 32 frames, and after a second in any case", async () => {
  const { heard } = await listening();
  for (let at = 0; at < 32; at += 1) gateway.tell(message(at));
  await until("32 are acknowledged", () => gateway.line.acknowledged >= 32, 900);
  gateway.tell(message(32));
  await until("the last one is acknowledged", () => gateway.line.acknowledged === 34);
  assert.equal(heard.length, 33);
});

test("a refusal rejects its request with the gateway's code", async () => {
  gateway.answers.send = () => ({ refused: { code: "messageForbidden", detail: "no", retryAfterS: 2 } });
  const { channel } = await listening();
  await assert.rejects(channel.send("x"), {
    name: "TidewireError",
    code: "messageForbidden",
    detail: "no",
    retryAfterS: 2,
  });
});

test("a registration that is refused rejects, and the client is gone", async () => {
  gateway.answers.register = () => ({ refused: { code: "tokenExpired", detail: "too late" } });
  await assert.rejects(client.register(), { code: "tokenExpired" });
  assert.equal(client.state, "gone");
  await assert.rejects(client.join("token"), { code: "clientGone" });
  await assert.rejects(client.register(), { code: "clientGone" });
});

test("a registration that may succeed later is tried again", async () => {
  let tries = 0;
  gateway.answers.register = () =>
    (tries += 1) < 3 ? { refused: { code: "clientsFull", detail: "", retryAfterS: 0.01 } } : undefined;
  await client.register();
  assert.equal(tries, 3);
});

test("a gateway that cannot be reached is tried again until it can", async () => {
  const { port } = new URL(gateway.url);
  await gateway.stop();
  const registered = client.register();
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(client.state, "connecting");
  const again = await Gateway.start({}, Number(port));
  assert.equal((await registered).length, 1);
  gateway = again;
});

test("a client that the gateway has forgotten registers anew, with a fresh token", async () => {
  let tokens = 0;
  client = new Client({ url: gateway.url, token: async () => `token ${(tokens += 1)}`, userAlias: "Ada" });
  const { channel } = await listening();
  const pending = channel.send("never answered");
  gateway.answers.send = () => new Promise(() => {});
  gateway.forget();
  await assert.rejects(pending, { code: "linkLost" });
  await client.next("registered");
  assert.deepEqual(
    gateway.asked("register").map(({ token }) => token),
    ["token 1", "token 2"],
  );
  assert.equal(gateway.asked("register")[1].userAlias, "Ada");
  assert.equal(client.channels.get("sea"), channel);
});

test("after the lease it does not even try to resume", async () => {
  gateway.leaseS = 0.05;
  await listening();
  const registered = client.next("registered");
  gateway.cut();
  assert.deepEqual(await registered, { again: true });
});

test("a client that was replaced does not fight", async () => {
  const { channel } = await listening();
  const left = channel.next("left");
  gateway.line.end("replaced");
  assert.deepEqual(await left, { reason: "clientGone" });
  assert.equal(client.state, "gone");
  assert.equal(channel.joined, false);
  await assert.rejects(channel.send("x"), { code: "channelLeft" });
});

test("unregister tells the gateway, and what waits is rejected", async () => {
  gateway.answers.send = () => new Promise(() => {});
  const { channel } = await listening();
  const pending = assert.rejects(channel.send("x"), { code: "linkLost" });
  await client.unregister();
  await pending;
  assert.equal(gateway.asked("unregister").length, 1);
  assert.equal(client.state, "gone");
});

test("more requests than may be under way are refused at once", async () => {
  gateway.answers.send = () => new Promise(() => {});
  const { channel } = await listening();
  const sent = Array.from({ length: 70 }, () => channel.send("x").catch(({ code }) => code));
  assert.equal(await Promise.race(sent), "linkFull");
});
