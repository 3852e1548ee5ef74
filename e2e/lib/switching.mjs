// A viewer that goes from one layer to another and back, again and again, and what is held against it: that the layer comes in time,
// and that the picture stands still no more often than that of one who stays.

import assert from "node:assert/strict";

import { edit } from "./edits.mjs";
import { newChannel } from "./guest.mjs";
import { Watcher } from "./watcher.mjs";
import { until } from "./until.mjs";

/** The time that each switch has. */
const EVERY_MS = 2_000;
/** What is wanted is there within this; a busy machine now and then takes longer over one. */
const FOLLOWS_MS = 1_000;
const LATE_MAX = 2;

/** Given as sizes: Chromium would leave out some of a small picture's encodings that are given as scales. */
export const sized = [["q", 80], ["h", 160], ["f", 320]].map(([rid, width]) => ({
  rid,
  scaleResolutionDownTo: { maxWidth: width, maxHeight: (width * 9) / 16 },
}));
export const simulcast = (codec, encodings = sized) => ({ width: 320, height: 180, codecs: [codec], simulcast: encodings });
export const byEncoding = [{ wish: { encoding: "q" }, isThere: "narrow" }, { wish: { encoding: "f" }, isThere: "wide" }];

/**
 * One page publishes it all, one switches, one beside it does not. `plans`: name, how it is published, between what.
 * `switches` each way; `edits`: what those who watch are not told as it is.
 */
export async function switched(context, server, from, to, plans, { switches = 20, edits = [] } = {}) {
  const names = plans.map(([name]) => name);
  const channel = newChannel();
  const publisher = await Watcher.enter(await from.tab(), server, channel, "publisher");
  for (const [name, options] of plans) await publisher.call("publish", name, options);
  const [viewer, control] = await Promise.all(["viewer", "control"].map(async (user) => Watcher.enter(await to.tab(), server, channel, user)));
  for (const { page } of [viewer, control]) await edit(page, ...edits);
  for (const watcher of [viewer, control]) for (const name of names) await watcher.call("watch", name);
  await Promise.all([viewer, control].map((watcher) => watcher.sees(names)));
  await until("the largest pictures", async () => Object.values(await control.call("received")).every(({ width }) => width > 240), 40_000);
  const before = await counted(publisher, viewer, control);
  const took = await Promise.all(plans.map(([name, , between]) => viewer.call("alternate", name, between, switches, EVERY_MS)));
  const now = await counted(publisher, viewer, control);
  const outcomes = names.map((name, at) => [name, took[at], growth(before, now, name)]);
  for (const outcome of outcomes) report(context, ...outcome);
  for (const outcome of outcomes) judge(...outcome);
  assert.deepEqual([...from.faults(), ...to.faults()], []);
  return { publisher, viewer };
}

async function counted(publisher, viewer, control) {
  const [sent, seen, beside] = await Promise.all([publisher.call("sent"), viewer.call("received"), control.call("received")]);
  return { sent, seen, beside };
}

/** Of simulcast, what was sent of the encoding that was sent most. */
function growth(before, now, name) {
  const sent = Object.keys(now.sent[name]).map((rid) => now.sent[name][rid].frames - before.sent[name][rid].frames);
  const grown = (of) => ({ decoded: now[of][name].frames - before[of][name].frames, freezes: frozen(before[of][name], now[of][name]) });
  return { sent: Math.max(...sent), ...grown("seen"), control: grown("beside") };
}

/** Null where the browser does not tell. */
function frozen(before, now) {
  return now.freezes === null ? null : now.freezes - before.freezes;
}

function report(context, name, took, { sent, decoded, freezes, control }) {
  const sorted = took.filter((ms) => ms !== null).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  context.diagnostic(`${name}: there after ${median.toFixed(0)} ms, at most ${(sorted.at(-1) ?? NaN).toFixed(0)} ms, ${took.length - sorted.length} of ${took.length} not in time`);
  context.diagnostic(`${name}: decoded ${decoded} of ${sent} sent, ${freezes ?? "untold"} freezes; beside it ${control.decoded}, ${control.freezes ?? "untold"} freezes`);
}

function judge(name, took, { sent, decoded, freezes, control }) {
  const late = took.filter((ms) => ms === null || ms > FOLLOWS_MS);
  assert.ok(late.length <= LATE_MAX, `${name}: too late after ${late} ms`);
  assert.ok(decoded >= 0.8 * sent && sent > took.length * 5, `${name}: decoded ${decoded} of ${sent}`);
  assert.ok((freezes ?? 0) <= (control.freezes ?? 0) + 1, `${name}: ${freezes} freezes, ${control.freezes} without switching`);
}
