// Which encodings a video is sent in: how many by its size, how a limit is shared, what becomes of what nobody wants.

import assert from "node:assert/strict";
import { test } from "node:test";

import { described, follow, limited, planned, refitted } from "../src/encodings.js";
import "./lib/peers.mjs";

const camera = { content: "camera" };
const hd = { width: 1280, height: 720 };
const small = { width: 640, height: 360 };
const written = (plan) =>
  plan
    .map(({ rid = "-", scaleResolutionDownBy: scale = 1, scalabilityMode: mode = "" }) => `${rid}/${scale}${mode}`)
    .join(" ");

test("a camera is sent in as many sizes as its own is worth", () => {
  const sizes = {
    "1920x1080": 3,
    "960x540": 3,
    "720x1280": 3,
    "640x480": 2,
    "480x270": 2,
    "320x240": 1,
    "64x48": 1,
    "0x0": 1,
  };
  for (const [size, count] of Object.entries(sizes)) {
    const [width, height] = size.split("x").map(Number);
    assert.equal(planned({ width, height }, camera).length, count, size);
  }
  assert.equal(written(planned(hd, camera)), "q/4 h/2 f/1");
  assert.equal(written(planned(small, camera)), "h/2 f/1");
  assert.equal(written(planned({ width: 64, height: 48 }, camera)), "-/1");
});

test("a browser that tells no size is believed to have a large one", () => {
  assert.equal(written(planned({}, camera)), "q/4 h/2 f/1");
});

test("a screen is sent once, in layers of time", () => {
  const screen = { content: "screen" };
  assert.equal(written(planned(hd, screen)), "-/1L1T3");
  assert.equal(written(planned(hd, { ...screen, simulcast: true })), "q/4L1T3 h/2L1T3 f/1L1T3");
});

test("VP9 and AV1 are told to be simulcast, or browsers would make SVC of it", () => {
  assert.equal(written(planned(hd, { ...camera, codecs: ["vp9"] })), "q/4L1T3 h/2L1T3 f/1L1T3");
  assert.equal(written(planned(hd, { ...camera, codecs: ["H264", "AV1"] })), "q/4 h/2 f/1");
});

test("SVC is one encoding, unless both are asked for", () => {
  const svc = { ...camera, codecs: ["VP9"], scalabilityMode: "L3T3_KEY" };
  assert.equal(written(planned(hd, svc)), "-/1L3T3_KEY");
  assert.equal(written(planned(small, { ...svc, simulcast: true })), "h/2L3T3_KEY f/1L3T3_KEY");
});

test("what the page names is what is sent, within the limit", () => {
  const simulcast = [{ rid: "low", scaleResolutionDownBy: 2, maxBitrate: 50_000 }, { rid: "high" }];
  assert.deepEqual(planned(hd, { ...camera, simulcast }), simulcast);
  const [low, high] = planned(hd, { ...camera, simulcast, maxBitrate: 400_000 });
  assert.deepEqual([low.maxBitrate, high.maxBitrate > 290_000], [50_000, true]);
  assert.equal(written(planned(hd, { ...camera, simulcast: false })), "-/1");
});

test("a limit is shared, the larger share to the larger picture", () => {
  const rates = limited(planned(hd, camera), 1_000_000).map(({ maxBitrate }) => maxBitrate);
  assert.ok(rates[0] < rates[1] && rates[1] < rates[2]);
  assert.ok(Math.abs(rates.reduce((sum, rate) => sum + rate) - 1_000_000) < 5);
  const [low, high] = [80, 320].map((width) => ({ scaleResolutionDownTo: { maxWidth: width, maxHeight: width } }));
  assert.deepEqual(
    limited([low, high], 1_000_000).map(({ maxBitrate }) => maxBitrate > 500_000),
    [false, true],
  );
  assert.deepEqual(limited([{}], 70_000), [{ maxBitrate: 70_000 }]);
  assert.deepEqual(limited([{}], null), [{}]);
});

test("an encoding without a name is meant by a demand without one", () => {
  assert.deepEqual(described([{}], [{ active: false }])[0].active, false);
  const [{ active, reason, spatial }] = described([{ scalabilityMode: "L3T3" }], [{ active: true, spatial: 1 }]);
  assert.deepEqual([active, reason, spatial], [true, "wanted", 1]);
  assert.equal(described([{ rid: "q" }], [{ encoding: "other", active: false }])[0].reason, "unknown");
});

test("what the page has switched off stays off", () => {
  const [{ active, reason }] = described([{ rid: "q", active: false }], [{ encoding: "q", active: true }]);
  assert.deepEqual([active, reason], [false, "disabled"]);
});

test("a smaller camera leaves out the encodings that it has no room for, the largest that are left as large as it is", () => {
  const plan = planned(hd, camera);
  const fitted = (size) =>
    refitted(plan, size)
      .map(({ rid, scaleResolutionDownBy, active }) => `${rid}/${scaleResolutionDownBy}${active ? "" : " off"}`)
      .join(" ");
  assert.equal(fitted(small), "q/2 h/1 f/1 off");
  assert.equal(fitted({ width: 160, height: 90 }), "q/1 h/1 off f/1 off");
  assert.equal(fitted({ width: 1920, height: 1080 }), "q/4 h/2 f/1");
  assert.deepEqual(refitted([{}], hd), [{}]);
});

test("parameters follow, and say whether they had to", () => {
  const parameters = { encodings: [{ rid: "q", active: true, priority: "low" }] };
  assert.equal(follow(parameters, [{}], [{ active: true }]), false);
  assert.equal(follow(parameters, [{}], [{ active: false, maxBitrate: 9 }]), true);
  assert.deepEqual(parameters.encodings, [{ rid: "q", active: false, priority: "low", maxBitrate: 9 }]);
});
