// A channel's picture of itself: events, snapshots after a loss or an absence, and what they amount to.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Client } from "../tidewire.js";
import { channel as snapshot, Gateway, member, rights, upstream } from "./lib/gateway.mjs";
import { until } from "./lib/until.mjs";

let gateway;
let client;
let channel;
let heard;

beforeEach(async () => {
  gateway = await Gateway.start({ join: ({ token }) => ({ type: "joined", channel: snapshot(token) }) });
  gateway.channels = [
    snapshot("sea", { members: [member("ada"), member("bob")], upstreams: [upstream("a", { clientId: "ada" })] }),
  ];
  client = new Client({ url: gateway.url, token: () => "token" });
  [channel] = await client.register();
  heard = [];
  const names = [
    "memberjoined",
    "memberleft",
    "memberupdated",
    "upstreamopened",
    "upstreamupdated",
    "upstreamclosed",
    "rightschanged",
    "kicked",
    "left",
    "lost",
  ];
  for (const name of names) {
    channel.on(name, ({ member: who, upstream: what, reason }) =>
      heard.push([name, who?.clientId ?? what?.upstream, reason].filter(Boolean).join(" ")),
    );
  }
});

afterEach(async () => {
  await client.unregister();
  await gateway.stop();
  assert.deepEqual(gateway.faults, []);
});

const tell = (event) => gateway.tell({ channel: "sea", ...event });

test("a joiner finds who is there, and hears who comes and goes", async () => {
  assert.deepEqual([[...channel.members.keys()], [...channel.upstreams.keys()]], [["ada", "bob"], ["a"]]);
  tell({ type: "joined", member: member("eve") });
  tell({ type: "updated", member: member("eve", { tag: "guest" }) });
  tell({ type: "updated", member: member("eve", { tag: "guest" }) });
  tell({ type: "upstreamUpdated", upstream: upstream("a", { clientId: "ada", audioMuted: true }) });
  tell({ type: "left", clientId: "bob", reason: "leaseExpired" });
  tell({ type: "upstreamClosed", upstream: "a", reason: "requested" });
  await until("all of it", () => heard.length === 5);
  assert.deepEqual(heard, [
    "memberjoined eve",
    "memberupdated eve",
    "upstreamupdated a",
    "memberleft bob leaseExpired",
    "upstreamclosed a requested",
  ]);
  assert.equal(channel.members.get("eve").tag, "guest");
});

test("a snapshot is told as what has changed", async () => {
  gateway.tell({ type: "lost", messages: 3, events: 9 });
  const members = [member("ada", { tag: "new" }), member("eve")];
  gateway.tell({
    type: "state",
    channel: snapshot("sea", { members, upstreams: [upstream("b")], rights: { ...rights, kick: true } }),
  });
  await until("rights", () => channel.rights.kick);
  assert.deepEqual(heard, [
    "lost",
    "memberleft bob unknown",
    "upstreamclosed a unknown",
    "memberupdated ada",
    "memberjoined eve",
    "upstreamopened b",
    "rightschanged",
  ]);
});

test("messages are text or bytes, and say whose they are", async () => {
  const messages = [];
  channel.on("message", (message) => messages.push(message));
  tell({ type: "message", from: member("ada"), toAll: true, text: "hello" });
  tell({ type: "message", from: member("me"), toAll: false, data: "AP8=" });
  await until("both", () => messages.length === 2);
  assert.deepEqual(messages, [
    { from: member("ada"), mine: false, toAll: true, text: "hello" },
    { from: member("me"), mine: true, toAll: false, data: Uint8Array.of(0, 255) },
  ]);
  await channel.send(Uint8Array.of(0, 255), { userId: "ada's user" });
  assert.deepEqual(gateway.asked("send")[0], { type: "send", channel: "sea", userId: "ada's user", data: "AP8=" });
  await assert.rejects(channel.send(""), { code: "nothingToSend" });
});

test("channels that were joined one by one are joined again with fresh tokens", async () => {
  let tokens = 0;
  const tokenOf = async () => ((tokens += 1), "harbour");
  const harbour = await client.join(tokenOf);
  const reef = await client.join(() => "reef");
  gateway.answers.join = ({ token }) =>
    token === "reef" ? { refused: { code: "tokenExpired", detail: "" } } : { type: "joined", channel: snapshot(token) };
  const left = client.next("left");
  gateway.channels = [];
  gateway.forget();
  // Neither the register token names it any more, nor is there another.
  assert.deepEqual(await left, { channel, reason: "refused" });
  await until("joined again", () => tokens === 2 && !reef.joined);
  assert.deepEqual([...client.channels.values()], [harbour]);
});

test("leaving and coming back are tried again while they are refused for now", async () => {
  const refused = (code) => ({ refused: { code, retryAfterS: 0.01 } });
  gateway.answers.leave = () => (gateway.asked("leave").length < 3 ? refused("tooManyMessages") : { type: "done" });
  await channel.leave();
  assert.deepEqual([gateway.asked("leave").length, channel.joined], [3, false]);
  const isDown = () => gateway.asked("register").length === 2 && (failures += 1) < 3;
  let failures = 0;
  const reef = await client.join(() => {
    if (isDown()) throw new Error("down");
    return "reef";
  });
  gateway.answers.join = ({ token }) =>
    gateway.asked("join").length < 4 ? refused("channelFull") : { type: "joined", channel: snapshot(token) };
  gateway.forget();
  await until("joined again", () => gateway.asked("join").length === 4);
  await reef.send("still here");
  assert.deepEqual([failures >= 3, [...client.channels.values()]], [true, [reef]]);
});

test("a channel that was left is not joined again because a token still names it, but by who asks for it", async () => {
  await channel.leave();
  gateway.forget();
  await client.next("registered");
  await until("left again", () => gateway.asked("leave").length === 2);
  assert.deepEqual([client.channels.size, gateway.asked("leave")[1].channel], [0, "sea"]);
  const sea = await client.join("sea");
  gateway.forget();
  await client.next("registered");
  assert.deepEqual([...client.channels.values()], [sea]);
});

test("whoever is kicked is told by whom, and is out", async () => {
  tell({ type: "kicked", by: "ada" });
  await until("out", () => !channel.joined);
  assert.deepEqual(heard, ["kicked", "left kicked"]);
  assert.equal(client.channels.size, 0);
});

test("a listener that throws keeps nothing from the others, and is reported", async (t) => {
  const thrown = [];
  t.mock.method(globalThis, "queueMicrotask", (act) => thrown.push(act));
  const off = channel.on("memberjoined", () => {
    throw new Error("mine");
  });
  tell({ type: "joined", member: member("eve") });
  await until("heard", () => heard.length === 1);
  off();
  assert.equal(thrown.length, 1);
  assert.throws(thrown[0], { message: "mine" });
});

test("what the page says of its user is kept, and taken away by an empty text", async () => {
  await client.update({ userAlias: "Ada", tag: "host" });
  await client.update({ tag: "" });
  assert.deepEqual([client.me.userAlias, client.me.tag], ["Ada", undefined]);
  gateway.forget();
  await client.next("registered");
  const { userAlias, tag } = gateway.asked("register")[1];
  assert.deepEqual([userAlias, tag], ["Ada", undefined]);
});

test("waiting for an event can be given up", async () => {
  const abort = new AbortController();
  const waiting = assert.rejects(channel.next("memberjoined", { signal: abort.signal }), { code: "aborted" });
  abort.abort();
  await waiting;
});

test("who speaks is told when it changes, and is in the picture of whoever comes late", async () => {
  assert.deepEqual(channel.speakers, []);
  const speakers = [];
  channel.on("speakers", (event) => speakers.push(event.speakers));
  tell({ type: "speakers", upstreams: ["a"] });
  tell({ type: "speakers", upstreams: ["a"] });
  tell({ type: "speakers", upstreams: ["b", "a"] });
  tell({ type: "upstreamClosed", upstream: "a", reason: "requested" });
  gateway.tell({ type: "state", channel: snapshot("sea", { speakers: ["c"] }) });
  gateway.tell({ type: "state", channel: snapshot("sea") });
  await until("all of it", () => speakers.length === 5);
  assert.deepEqual([speakers, channel.speakers], [[["a"], ["b", "a"], ["b"], ["c"], []], []]);
});
