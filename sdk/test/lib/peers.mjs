// Peer connections and media of the tests' own: as much of WebRTC as its order of calls. Descriptions are
// lists of sections, written as SDP would be; two negotiation steps at a time, or one in the wrong state, are faults.

export const faults = [];
export const peers = [];
/** How long a step takes. */
export const pace = { stepMs: 2 };

class Track extends EventTarget {
  enabled = true;
  muted = false;
  stopped = false;
  onended = null;
  static count = 0;

  constructor(kind, size) {
    super();
    this.kind = kind;
    this.size = size;
    this.id = `${kind}-${(Track.count += 1)}`;
    this.label = this.id;
  }

  /** What a browser says of a track of this size. */
  getSettings() {
    return this.size;
  }

  stop() {
    this.stopped = true;
  }
}

export const track = (kind, size = { width: 1280, height: 720 }) => new Track(kind, size);

class Stream {
  #tracks = new Set();

  constructor(tracks = []) {
    tracks.forEach((each) => this.#tracks.add(each));
  }

  getTracks() {
    return [...this.#tracks];
  }

  addTrack(each) {
    this.#tracks.add(each);
  }

  removeTrack(each) {
    this.#tracks.delete(each);
  }
}

class Sender {
  #encodings;
  #transaction = 0;
  #isBusy = false;
  /** How often parameters were set. */
  changes = 0;

  constructor(peer, each, encodings) {
    this.peer = peer;
    this.track = each;
    this.#encodings = encodings.length ? encodings : [{}];
  }

  async replaceTrack(each) {
    if (this.peer.closed) throw new DOMException("the peer is closed", "InvalidStateError");
    this.track = each;
  }

  /** A copy that holds for one step, as a browser's does. */
  getParameters() {
    this.#transaction += 1;
    return structuredClone({ transactionId: this.#transaction, encodings: this.#encodings });
  }

  async setParameters({ transactionId, encodings }) {
    if (transactionId !== this.#transaction) throw new DOMException("outdated", "InvalidModificationError");
    if (this.#isBusy) faults.push("two changes of parameters at a time");
    this.#isBusy = true;
    await new Promise((resolve) => setTimeout(resolve, pace.stepMs));
    this.#isBusy = false;
    this.changes += 1;
    this.#encodings = encodings;
  }
}

class Peer {
  connectionState = "new";
  signalingState = "stable";
  onconnectionstatechange = null;
  #transceivers = [];
  #isBusy = false;
  #credentials = 1;
  closed = false;

  constructor() {
    peers.push(this);
  }

  addTransceiver(each, { direction, sendEncodings = [] }) {
    if (sendEncodings.some(({ scalabilityMode }) => scalabilityMode === "unheard of"))
      throw new DOMException("no such mode", "OperationError");
    const sender = new Sender(this, each, sendEncodings);
    const transceiver = { mid: String(this.#transceivers.length), direction, sender };
    this.#transceivers.push(transceiver);
    return transceiver;
  }

  getTransceivers() {
    return this.#transceivers;
  }

  createOffer({ iceRestart = false } = {}) {
    if (iceRestart) this.#credentials += 1;
    const lines = this.#transceivers.map(({ mid, sender }) => `m=${sender.track.kind}\r\na=mid:${mid}`);
    return this.#step("stable", () => ({ type: "offer", sdp: this.#written(lines) }));
  }

  createAnswer() {
    return this.#step("have-remote-offer", () => ({
      type: "answer",
      sdp: this.#written([this.remoteDescription.sdp]),
    }));
  }

  setLocalDescription(description) {
    const from = description.type === "offer" ? "stable" : "have-remote-offer";
    return this.#step(from, () => {
      this.localDescription = description;
      this.signalingState = description.type === "offer" ? "have-local-offer" : "stable";
    });
  }

  setRemoteDescription(description) {
    const from = description.type === "offer" ? "stable" : "have-local-offer";
    return this.#step(from, () => {
      this.remoteDescription = this.currentRemoteDescription = description;
      this.signalingState = description.type === "offer" ? "have-remote-offer" : "stable";
      if (description.type === "offer") this.#receive(description.sdp);
    });
  }

  /** As the network would have it. */
  become(state) {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }

  close() {
    this.closed = true;
  }

  #receive(sdp) {
    for (const [, mid, kind] of sdp.matchAll(/(\d+)=(audio|video)/g)) {
      if (this.#transceivers.some((transceiver) => transceiver.mid === mid)) continue;
      this.#transceivers.push({ mid, receiver: { track: new Track(kind) } });
    }
  }

  #written(lines) {
    return [`a=ice-ufrag:u${this.#credentials}`, `a=ice-pwd:p${this.#credentials}`, ...lines].join("\r\n");
  }

  /** As a browser does it: a step that is under way when the peer is closed never ends. */
  async #step(from, act) {
    if (this.closed) throw new DOMException("the peer is closed", "InvalidStateError");
    if (this.#isBusy) faults.push("two steps at a time");
    this.#isBusy = true;
    await new Promise((resolve) => setTimeout(resolve, pace.stepMs));
    this.#isBusy = false;
    if (this.closed) return new Promise(() => {});
    if (this.signalingState !== from) faults.push(`a step out of ${this.signalingState}, not ${from}`);
    return act();
  }
}

globalThis.RTCPeerConnection = Peer;
globalThis.RTCRtpSender = { getCapabilities: () => ({ codecs: [] }) };
globalThis.MediaStream = Stream;
