// A judgement of figures, from 0 to 1, with its reasons. Each cause costs nothing up to a limit that nobody notices, and a
// tenth for each step beyond it; the worst cause decides. Pure.

const SCALES = {
  loss: { free: 0.02, step: 0.01 },
  jitter: { free: 40, step: 20 },
  rtt: { free: 100, step: 50 },
};
const GOOD_SHARE = 0.95;

/** `shown` is the share of the media that got through. */
export function judge({ lossRatio, jitterMs, rttMs, fps, kind, limitedBy }, shown) {
  const network = [graded("loss", lossRatio), graded("jitter", jitterMs), graded("rtt", rttMs)];
  const media = [
    {
      cause: kind === "video" ? "fps" : "gaps",
      value: kind === "video" ? (fps ?? 0) : 1 - shown,
      score: clamped(shown / GOOD_SHARE),
    },
  ];
  if (limitedBy === "cpu" || limitedBy === "bandwidth") media.push({ cause: limitedBy, value: 0, score: 0.8 });
  return summed(network, media);
}

/** Of several judgements, the worst part of each. */
export function worst(qualities) {
  const network = Math.min(1, ...qualities.map((quality) => quality.network));
  const media = Math.min(1, ...qualities.map((quality) => quality.media));
  const byCause = new Map();
  for (const reason of qualities.flatMap(({ reasons }) => reasons)) {
    if (!(byCause.get(reason.cause)?.score <= reason.score)) byCause.set(reason.cause, reason);
  }
  return { score: Math.min(network, media), network, media, reasons: sorted([...byCause.values()]) };
}

function summed(network, media) {
  const least = (causes) => Math.min(...causes.map(({ score }) => score));
  const reasons = sorted([...network, ...media].filter(({ score }) => score < 1));
  return { score: least([...network, ...media]), network: least(network), media: least(media), reasons };
}

function graded(cause, value) {
  const { free, step } = SCALES[cause];
  return { cause, value: value ?? 0, score: clamped(1 - (0.1 * Math.max((value ?? 0) - free, 0)) / step) };
}

function sorted(reasons) {
  return reasons.sort((a, b) => a.score - b.score);
}

function clamped(score) {
  return Math.min(Math.max(score, 0), 1);
}
