// A page that publishes moving pictures in several encodings or layers, or watches such pictures and goes from one layer to
// another.

const layers = {
  upstreams: new Map(),
  remotes: new Map(),

  /** As many clients as there are tokens; the first one watches. */
  async register(...tokens) {
    const { Client } = await import("/sdk/tidewire.js");
    layers.clients = tokens.map((token) => new Client({ url: location.origin, token }));
    layers.channels = await Promise.all(layers.clients.map(async (client) => (await client.register())[0]));
  },

  /** A picture of that size under that name, by each client in turn. */
  async publish(name, { width, height, fps = 20, ...options }) {
    const channel = layers.channels[layers.upstreams.size % layers.channels.length];
    layers.upstreams.set(name, await channel.publish(painted(width, height, fps), { mediaId: name, ...options }));
  },

  /** In an element of that size, which then decides; or, without, as the page says. */
  watch(name, size) {
    const remote = layers.channels[0].watch(name);
    const video = Object.assign(document.createElement("video"), { autoplay: true, muted: true });
    stage().append(video);
    if (size) Object.assign(video.style, { width: `${size.width}px`, height: `${size.height}px` });
    if (size) remote.attach(video);
    else video.srcObject = remote.stream;
    layers.remotes.set(name, Object.assign(remote, { video }));
  },

  prefer: (name, wish) => layers.remotes.get(name).prefer(wish),

  resize: (name, { width, height }) => Object.assign(layers.remotes.get(name).video.style, { width: `${width}px`, height: `${height}px` }),

  /** What has come of each picture since the beginning, and how large it is. */
  async received() {
    const { peer, state } = layers.channels[0].downstream;
    const stats = [...(await peer.getStats()).values()];
    const inbound = stats.filter(({ type }) => type === "inbound-rtp");
    return Object.fromEntries([...layers.remotes].map(([name, { videoTrack, layer, reason }]) => {
      const found = inbound.find(({ trackIdentifier }) => trackIdentifier === videoTrack?.id) ?? {};
      const { framesDecoded: frames = 0, freezeCount: freezes = null, frameWidth: width = 0, packetsLost: lost, pliCount: plis } = found;
      return [name, { frames, freezes, width, lost, plis, layer, reason, state }];
    }));
  },

  /** What has left of each picture since the beginning, by encoding. */
  async sent() {
    const entries = [...layers.upstreams].map(async ([name, upstream]) => [name, sentOf(upstream, [...(await upstream.peer.getStats()).values()])]);
    return Object.fromEntries(await Promise.all(entries));
  },

  /** Round trips as the server tells them from now on: of what is published here, or else of what is watched. */
  observe() {
    const [connection = layers.channels[0].downstream] = layers.upstreams.values();
    layers.roundTrips = [];
    connection.observe(({ roundTripMs }) => layers.roundTrips.push(roundTripMs ?? null));
  },

  observed: () => layers.roundTrips,

  /** The round trip as the browser finds out that only receives video, in milliseconds; none where it does not. */
  async ownRoundTrip() {
    const stats = [...(await layers.channels[0].downstream.peer.getStats()).values()];
    return 1_000 * stats.find(({ type, kind }) => type === "remote-outbound-rtp" && kind === "video")?.roundTripTime || null;
  },

  /**
   * Asks for one, then for the other, so many times each. Of each switch, how long it took until the picture was as wide as
   * that; null where it was not before the next.
   */
  async alternate(name, [one, other], times, every_ms) {
    const took_ms = [];
    for (let turn = 0; turn < 2 * times; turn += 1) {
      const { wish, isThere } = turn % 2 === 0 ? one : other;
      const fits = (width) => (isThere === "narrow" ? width <= NARROW : width > NARROW);
      took_ms.push(await layers.switch(name, wish, fits, every_ms));
    }
    return took_ms;
  },

  async switch(name, wish, fits, every_ms) {
    const began = performance.now();
    let took = null;
    layers.prefer(name, wish);
    while (performance.now() - began < every_ms) {
      await pause(POLL_MS);
      const { width } = took === null ? (await layers.received())[name] : {};
      if (took === null && fits(width)) took = performance.now() - began;
    }
    return took;
  },
};

/** Over everything else of the page: what is not in view is not sent. */
function stage() {
  layers.stage ??= document.body.appendChild(document.createElement("div"));
  Object.assign(layers.stage.style, { position: "fixed", inset: "0", zIndex: "9", lineHeight: "0", background: "#000" });
  return layers.stage;
}

/** Of SVC, Chromium counts each layer of a picture as a frame; more than were captured are not sent. */
function sentOf({ encodings }, stats) {
  const captured = stats.find(({ type }) => type === "media-source")?.frames ?? Infinity;
  const outbound = stats.filter(({ type }) => type === "outbound-rtp");
  return Object.fromEntries(outbound.map(({ rid = "", bytesSent: bytes = 0, framesSent = 0, frameWidth: width, scalabilityMode: mode, qualityLimitationReason: limit }) => {
    const { active } = encodings.find(({ encoding = "" }) => encoding === rid) ?? {};
    return [rid, { bytes, frames: Math.min(framesSent, captured), width, mode, limit, active }];
  }));
}

/** Pictures of the tests are wider or not. */
const NARROW = 240;
const POLL_MS = 50;
const pause = (length_ms) => new Promise((resolve) => setTimeout(resolve, length_ms));

/** Bars that wander over a colour that changes: something moves everywhere, and nothing of it is hard to draw. */
function painted(width, height, fps) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  let turn = 0;
  setInterval(() => {
    turn += 1;
    context.fillStyle = `hsl(${turn % 360} 60% 40%)`;
    context.fillRect(0, 0, width, height);
    for (let bar = 0; bar < 8; bar += 1) {
      context.fillStyle = `hsl(${(turn * 3 + bar * 45) % 360} 80% 60%)`;
      context.fillRect(((turn * (bar + 1)) % (width + 40)) - 40, (bar * height) / 8, 40, height / 10);
    }
  }, 1000 / fps);
  return canvas.captureStream(fps);
}
