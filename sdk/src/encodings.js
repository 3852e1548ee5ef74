// In which encodings a video is sent: how many and how large, what each may take of a limit, and which of them anybody
// wants. Pure.

/** Of so many encodings these are the names, the largest last; each is half as wide as the next. */
const NAMES = ["q", "h", "f"];
/** Chromium sends no more encodings of smaller pictures, and it is the largest that it leaves out. */
const PIXELS_FOR_THREE = 960 * 540;
const PIXELS_FOR_TWO = 480 * 270;
/** One spatial layer: what browsers make of VP9 and AV1 otherwise is SVC, whose encodings have no names. */
const THINNABLE = "L1T3";
/** An encoder's rate grows a little slower than the number of its pixels. */
const RATE_BY_SCALE = 1.6;

/** What `addTransceiver` takes. `size`: the track's settings, which some browsers do not tell. */
export function planned(size, { content, codecs = [], simulcast, scalabilityMode, maxBitrate }) {
  if (Array.isArray(simulcast)) return limited(simulcast, maxBitrate);
  const wantsSeveral = simulcast ?? (content === "camera" && !scalabilityMode);
  const count = wantsSeveral ? countOf(size) : 1;
  const needsMode = content === "screen" || (count > 1 && /^(vp9|av1)$/i.test(codecs[0]));
  const mode = scalabilityMode ?? (needsMode ? THINNABLE : undefined);
  const several = NAMES.slice(-count).map((rid, at) => ({ rid, scaleResolutionDownBy: 2 ** (count - 1 - at) }));
  const encodings = count > 1 ? several : [{}];
  return limited(mode ? encodings.map((each) => ({ ...each, scalabilityMode: mode })) : encodings, maxBitrate);
}

/** The same encodings for a picture of another size: none can be added, but those that are too many can be left out. */
export function refitted(plan, size) {
  if (plan.length < 2) return plan;
  const count = Math.min(countOf(size), plan.length);
  return plan.map((each, at) => ({
    ...each,
    scaleResolutionDownBy: 2 ** Math.max(count - 1 - at, 0),
    active: at < count,
  }));
}

/** The same encodings without what a browser may refuse. */
export function plain(encodings) {
  return encodings.map(({ scalabilityMode: _, ...each }) => each);
}

/** The encodings of a plan under a limit for all of them together; the larger ones get more of it. */
export function limited(plan, maxBitrate) {
  if (!maxBitrate) return plan;
  const weights = scalesOf(plan).map((scale) => scale ** -RATE_BY_SCALE);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  return plan.map((each, at) => {
    const share = Math.round((maxBitrate * weights[at]) / whole);
    return { ...each, maxBitrate: Math.min(each.maxBitrate ?? share, share) };
  });
}

/** The encodings as a page sees them. `demand` is what the server said of them; null before it did. */
export function described(plan, demand) {
  const scales = scalesOf(plan);
  const wantedOf = ({ rid }) => demand?.find(({ encoding }) => encoding === rid);
  const isOn = ({ active = true }) => active;
  // In place of one that is left out, the largest that is not.
  const misses = plan.some((each) => !isOn(each) && wantedOf(each)?.active);
  const substitute = misses ? plan.findLast(isOn) : undefined;
  return plan.map((each, at) => {
    const { rid, scalabilityMode, maxBitrate } = each;
    const wanted = each === substitute ? { active: true } : wantedOf(each);
    const { spatial, temporal } = wanted ?? {};
    const reason = isOn(each) ? reasonOf(wanted) : "disabled";
    const isSent = reason === "wanted" || reason === "unknown";
    return { encoding: rid, scale: scales[at], scalabilityMode, maxBitrate, active: isSent, reason, spatial, temporal };
  });
}

function reasonOf(wanted) {
  if (!wanted) return "unknown";
  return wanted.active ? "wanted" : "unwanted";
}

/** A sender's parameters, made to follow a plan and its description; whether that changed anything. */
export function follow({ encodings }, plan, wanted) {
  const before = JSON.stringify(encodings);
  encodings.forEach((encoding, at) => {
    const { active, maxBitrate } = wanted[at];
    encoding.active = active;
    if (plan[at].scaleResolutionDownBy) encoding.scaleResolutionDownBy = plan[at].scaleResolutionDownBy;
    if (maxBitrate) encoding.maxBitrate = maxBitrate;
    else delete encoding.maxBitrate;
  });
  return JSON.stringify(encodings) !== before;
}

function countOf({ width = Infinity, height = Infinity }) {
  const pixels = width * height;
  if (pixels < PIXELS_FOR_TWO) return 1;
  return pixels < PIXELS_FOR_THREE ? 2 : NAMES.length;
}

/** How much smaller each is than the source, or than the largest where sizes are given instead. */
function scalesOf(plan) {
  const largest = Math.max(...plan.map(({ scaleResolutionDownTo: size }) => size?.maxWidth ?? 0));
  return plan.map(({ scaleResolutionDownBy = 1, scaleResolutionDownTo: size }) =>
    size ? largest / size.maxWidth : scaleResolutionDownBy,
  );
}
