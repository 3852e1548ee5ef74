// What it means that a viewer really watches.

import assert from "node:assert/strict";

import { until } from "./until.mjs";

/** Every viewer's pictures advance in each of `seconds` seconds, and it hears something over all of them. */
export async function assertWatching(viewers, seconds) {
  const records = await Promise.all(viewers.map((viewer) => viewer.record(seconds)));
  for (const [index, samples] of records.entries()) {
    const frames = samples.map((sample) => sample.framesDecoded);
    const who = `viewer ${index + 1}: frames ${frames.join(" ")}`;
    for (let second = 1; second <= seconds; second += 1) {
      assert.ok(frames[second] > frames[second - 1], `the picture stood still; ${who}`);
    }
    assert.ok(samples.at(-1).audioEnergy > samples[0].audioEnergy, `no sound; ${who}`);
    assert.equal(samples.at(-1).state, "connected", who);
  }
  return records;
}

/** The picture that a page shows goes on, in the last of those that the selector finds. */
export async function advances(page, selector, within_ms) {
  const frames = () => page.$$eval(selector, (all) => all.at(-1)?.getVideoPlaybackQuality().totalVideoFrames ?? 0);
  const before = await until(`a picture in ${selector}`, frames, within_ms);
  await until(`pictures in ${selector}`, async () => (await frames()) > before + 5, within_ms);
}
