// Waiting for conditions, never for time: a probe is asked again until it says yes or its time is up.

import { setTimeout as pause } from "node:timers/promises";

/** The probe's first truthy value. Throws with `what` and the last value, or the last error, after `within_ms`. */
export async function until(what, probe, within_ms = 20_000) {
  const deadline = Date.now() + within_ms;
  for (;;) {
    let last;
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${within_ms} ms: ${what}; at last: ${shown(last)}`);
    await pause(50);
  }
}

function shown(value) {
  return value instanceof Error ? value.message : JSON.stringify(value);
}
