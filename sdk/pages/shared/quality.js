// Quality: four bars on a tile, and behind them the figures and what they mean, in words.

import { h } from "./ui.js";

/** A button of four bars. Its label says what the bars show. */
export class Badge {
  constructor(onClick) {
    this.element = h("button.over.bars", { type: "button", onclick: onClick, hidden: true },
      ...[1, 2, 3, 4].map((step) => h("i", { "aria-hidden": "true", dataset: { step } })));
  }

  name(name) {
    this.of = name;
    this.show(this.score);
  }

  /** `score`: 0 to 1, undefined while nothing is known. */
  show(score) {
    this.score = score;
    this.element.hidden = score === undefined;
    if (score === undefined) return;
    const bars = barsOf(score);
    this.element.dataset.bars = String(bars);
    const label = `Quality of ${this.of}: ${WORDS[bars]}. Explain`;
    this.element.setAttribute("aria-label", label);
    this.element.dataset.tip = `Quality: ${WORDS[bars]}`;
  }
}

const barsOf = (score) => (score > 0.85 ? 4 : score > 0.65 ? 3 : score > 0.4 ? 2 : 1);
const WORDS = ["", "poor", "fair", "good", "very good"];

/** Fills `root` with what a report says, what was decided, and how the server sees it. */
export class Explanation {
  #timer;
  #offs = [];
  #observed;

  constructor(root) {
    this.root = root;
  }

  /**
   * Explains one tile until told otherwise, once a second. `read` returns the report of this moment, or null; `decisions`
   * what was decided; `observe` is the SDK's.
   */
  open(title, { read, decisions = () => NONE, observe = () => undefined }) {
    this.close();
    const turn = async () => this.#draw(title, await read().catch(() => null), decisions() ?? NONE);
    this.#offs = [observe((statistics) => { this.#observed = statistics; })].filter(Boolean);
    turn();
    this.#timer = setInterval(turn, 1000);
  }

  close() {
    clearInterval(this.#timer);
    for (const off of this.#offs.splice(0)) off();
    this.#observed = undefined;
  }

  #draw(title, report, { says, figures: decided }) {
    if (!report) {
      this.root.replaceChildren(h("h3", {}, title), h("p.soft", {}, "There are no figures yet: nothing has come or gone by this connection."));
      return;
    }
    const { quality, tracks } = report;
    this.root.replaceChildren(
      h("h3", {}, title),
      h("p.verdict", { dataset: { bars: barsOf(quality.score) } }, h("b", {}, quality.score.toFixed(2)), ` of 1: ${WORDS[barsOf(quality.score)]}`),
      h("ul.reasons", {}, ...[...sentences(report), ...says].map((text) => h("li", {}, text))),
      ...decided.map(([heading, rows]) => figures(heading, rows)),
      ...tracks.filter(isOn).map(table),
      figures("Connection", [
        ["Round trip", ms(report.rttMs)],
        ["Sending could take", report.availableBitrate && rate(report.availableBitrate)],
        ["By", report.protocol?.toUpperCase()],
        ["From", report.local],
        ["To", report.remote],
      ]),
      ...seen(this.#observed),
    );
  }
}

const NONE = { says: [], figures: [] };

/** Of a video in several sizes, those that nobody wants have no figures. */
const isOn = ({ encoding, bitrate }) => !encoding || bitrate > 0;

function seen(statistics) {
  if (!statistics) return [];
  const { networkQuality, mediaQuality, roundTripMs, estimateBps } = statistics;
  return [figures("As the server sees it", [
    ["Network", networkQuality.toFixed(2)],
    ["Media", mediaQuality.toFixed(2)],
    ["Round trip", ms(roundTripMs)],
    ["The path carries", estimateBps && rate(estimateBps)],
  ])];
}

function table(track) {
  const size = track.width ? `${track.width} × ${track.height}` : undefined;
  const verb = track.direction === "sent" ? "sent" : "received";
  return figures(`${track.kind === "video" ? "Video" : "Audio"}, ${verb}${track.encoding ? `: ${track.encoding}` : ""}`, [
    ["Codec", track.codec],
    ["Picture", size],
    ["Pictures a second", track.fps !== null && track.fps !== undefined ? track.fps.toFixed(0) : undefined],
    ["Bitrate", rate(track.bitrate)],
    ["Lost", `${percent(track.lossRatio)} (${track.packetsLost} of ${track.packets + track.packetsLost} packets)`],
    ["Jitter", ms(track.jitterMs)],
    ["Freezes", track.freezes ?? undefined],
  ]);
}

function figures(title, rows) {
  const known = rows.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  if (known.length === 0) return "";
  return h("section.figures", {}, h("h4", {}, title),
    h("dl", {}, ...known.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])));
}

/** What takes the score away, and what the encoder does about it. */
function sentences({ quality, tracks, spanMs }) {
  const said = quality.reasons.filter(({ cause, score }) => score < 1 && CAUSES[cause]).map(({ cause, value, score }) => `${CAUSES[cause](value)} That alone leaves ${score.toFixed(2)}.`);
  for (const reason of new Set(tracks.map(({ limitedBy }) => limitedBy))) if (LIMITS[reason]) said.push(LIMITS[reason]);
  if (said.length === 0) said.push("Nothing takes anything away: no loss to speak of, an even rhythm, a short way.");
  for (const kind of ["audio", "video"]) {
    const of = tracks.filter((track) => track.kind === kind);
    // The first report knows of no time in which anything could have come.
    if (spanMs > 0 && of.length > 0 && of.every(({ bitrate }) => bitrate === 0)) said.push(`No ${kind} is ${of[0].direction === "sent" ? "sent" : "coming"} at present.`);
  }
  return said;
}

const CAUSES = {
  loss: (ratio) => `${percent(ratio)} of the packets were lost.`,
  jitter: (value) => `Packets come unevenly, by ${ms(value)}.`,
  rtt: (value) => `A packet takes ${ms(value)} there and back.`,
  gaps: (share) => `${percent(share)} of the sound is missing or was made up.`,
  fps: (value) => `Only ${value.toFixed(0)} pictures a second are shown.`,
  cpu: () => "The sender's processor is too busy to encode more.",
  bandwidth: () => "The network carries less than the camera gives.",
};
const LIMITS = {
  cpu: "The encoder makes the picture smaller or slower because the processor is busy.",
  bandwidth: "The encoder holds back because the browser estimates that the network carries no more.",
};

const percent = (ratio) => `${(ratio * 100).toFixed(ratio < 0.1 ? 1 : 0)} %`;
const ms = (value) => (value === null || value === undefined ? undefined : `${value.toFixed(value < 10 ? 1 : 0)} ms`);
const rate = (bits) => (bits < 1_000_000 ? `${(bits / 1000).toFixed(0)} kbit/s` : `${(bits / 1_000_000).toFixed(2)} Mbit/s`);
