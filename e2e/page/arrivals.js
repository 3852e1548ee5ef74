// A worker that sees every frame of the streams that stay, before it is decoded: how far apart they arrive, and whether
// one is missing.

const streams = new Map();
let gap = 0;
let missing = 0;

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

function note(name, { sequenceNumber }) {
  const now = performance.now();
  const before = streams.get(name);
  streams.set(name, { now, sequenceNumber });
  if (!before) return;
  gap = Math.max(gap, now - before.now);
  // An audio frame is one packet.
  if (sequenceNumber !== undefined) missing += Math.max(0, ((sequenceNumber - before.sequenceNumber) & 0xffff) - 1);
}

self.onmessage = () => {
  self.postMessage({ gap_ms: gap, missing });
  gap = 0;
  missing = 0;
};
