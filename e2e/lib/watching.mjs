// What it means that a viewer really watches.

import assert from "node:assert/strict";

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
