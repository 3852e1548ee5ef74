// A worker that sees every frame of sound before it is decoded: how far apart those of a stream arrive, and whether one is
// missing.

const streams = new Map();

self.onrtctransform = ({ transformer }) => {
  const { name } = transformer.options;
  const watch = new TransformStream({
    transform(frame, controller) {
      note(name, frame.getMetadata());
      controller.enqueue(frame);
    },
  });
  transformer.readable.pipeThrough(watch).pipeTo(transformer.writable);
};

/** A frame of sound is one packet, so a number that is left out is a packet that is missing. */
function note(name, { sequenceNumber }) {
  const now = performance.now();
  const { last, ...known } = streams.get(name) ?? { gap_ms: 0, missing: 0, frames: 0 };
  if (last) {
    known.gap_ms = Math.max(known.gap_ms, now - last.now);
    known.missing += ((sequenceNumber - last.sequenceNumber) & 0xffff) - 1;
  }
  streams.set(name, { ...known, frames: known.frames + 1, last: { now, sequenceNumber } });
}

/** Tells of the streams that are asked for, and begins anew. */
self.onmessage = ({ data: names }) => {
  const found = names.map((name) => streams.get(name)).filter(Boolean);
  self.postMessage({
    streams: found.length,
    frames: found.reduce((sum, { frames }) => sum + frames, 0),
    missing: found.reduce((sum, { missing }) => sum + missing, 0),
    gap_ms: Math.max(0, ...found.map(({ gap_ms }) => gap_ms)),
  });
  for (const [name, { last }] of streams) streams.set(name, { gap_ms: 0, missing: 0, frames: 0, last });
};
