// Decisions: what is sent of a video, what comes of it, and why, in words and figures. The server decides by what is asked
// for; here it is only told.

/** Of media that comes: `{ says, figures }`, where `figures` are `[title, rows]`. */
export function received(remote) {
  const { layer, reason, wish } = remote;
  if (!remote.videoTrack) return { says: [], figures: [] };
  const says = layer && REASONS[reason] ? REASONS[reason](described(layer), wish) : "The server has decided nothing yet: it hands on what the sender sends.";
  const rows = [
    ["Asked for", wish.paused ? "nothing: it is out of sight" : size(wish)],
    ["Comes", layer && reason !== "paused" && described(layer)],
    ["Layers", layer && reason !== "paused" && `spatial ${layer.spatial}, temporal ${layer.temporal}`],
  ];
  return { says: [says], figures: [["What was chosen for you", rows]] };
}

/** The same of one's own that is sent. */
export function sent(upstream) {
  const encodings = upstream.media.videoTrack ? upstream.encodings : [];
  if (encodings.length === 0) return { says: [], figures: [] };
  const off = encodings.filter(({ active }) => !active).length;
  const rows = encodings.map((encoding) => [called(encoding), `${encoding.active ? "on" : "off"}: ${WANTED[encoding.reason]}`]);
  return { says: [said(encodings.length, off)], figures: [["What is wanted of you", rows]] };
}

function said(count, off) {
  const all = count === 1 ? "You send one encoding to the server" : `You send up to ${count} sizes to the server, which gives each viewer the one that fits`;
  if (off === 0) return `${all}.`;
  return off === count ? "Nobody looks at present, so your browser encodes no picture." : `${all}. ${off} of them nobody needs at present, so your browser does not encode ${off === 1 ? "it" : "them"}.`;
}

const REASONS = {
  best: (comes) => `You get the best that there is: ${comes}.`,
  size: (comes, wish) => `You get ${comes}, since the picture is shown ${size(wish) ? `at ${size(wish)}` : "no larger"} here.`,
  wished: (comes) => `You get ${comes}, as this page asked.`,
  bitrate: (comes) => `You get ${comes}: the bitrate allows no more.`,
  notSent: (comes) => `You get ${comes}. A better one is not sent at present.`,
  waiting: (comes) => `You get ${comes}, until the better one that was asked for has a picture to begin with.`,
  paused: () => "No picture is sent to you while you do not see it. The sound goes on.",
};

const WANTED = { wanted: "somebody wants it", unwanted: "nobody wants it", unknown: "the server has not asked yet", disabled: "the camera is too small for it" };
const FRACTIONS = { 1: "full size", 2: "half the size", 4: "a quarter of the size" };

const size = ({ width, height }) => (width ? `${width} × ${height}` : undefined);

function described(layer) {
  return [layer.encoding && `encoding ${layer.encoding}`, size(layer)].filter(Boolean).join(", ") || `layer ${layer.spatial}`;
}

function called({ encoding, scale, scalabilityMode }) {
  const fraction = FRACTIONS[scale] ?? `1/${scale.toFixed(1)} of the size`;
  return [encoding ? `${encoding}, ${fraction}` : "One encoding", scalabilityMode].filter(Boolean).join(", ");
}
