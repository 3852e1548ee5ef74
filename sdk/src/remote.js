// Media of somebody else's, as it is watched: a stream that stays, tracks that come and go in it.

import { Emitter } from "./events.js";
import { Showing, together } from "./showing.js";
import { ofSections } from "./stats.js";

const KINDS = ["audio", "video"];

export class RemoteMedia extends Emitter {
  #channel;
  #source;
  #wanted;
  #state = "waiting";
  #upstream;
  /** Whether the gateway has ever said who publishes it. */
  #isTold;
  #stream = new MediaStream();
  /** By kind, the section of the connection that it comes by. */
  #sections = {};
  /** What the page said of the video, which goes before what its elements need. */
  #preferred = {};
  #showings = new Set();
  #layer = null;
  #reason = null;

  constructor(channel, source, { audio = true, video = true } = {}) {
    super();
    this.#channel = channel;
    this.#source = source;
    this.#wanted = { audio, video };
    this.#upstream = channel._find(source);
    this.#isTold = this.#upstream !== null;
  }

  get channel() {
    return this.#channel;
  }

  get source() {
    return this.#source;
  }

  get state() {
    return this.#state;
  }

  get stream() {
    return this.#stream;
  }

  get audioTrack() {
    return this.#track("audio");
  }

  get videoTrack() {
    return this.#track("video");
  }

  get upstream() {
    return this.#upstream;
  }

  get member() {
    const clientId = this.#upstream?.clientId;
    return (clientId !== undefined && this.#channel.members.get(clientId)) || null;
  }

  get wanted() {
    return this.#wanted;
  }

  get level() {
    const receiver = this.#sections.audio?.transceiver.receiver;
    return receiver?.getSynchronizationSources?.()[0]?.audioLevel ?? 0;
  }

  get wish() {
    return { ...together(this.#showings), ...this.#preferred };
  }

  get layer() {
    return this.#layer;
  }

  get reason() {
    return this.#reason;
  }

  prefer(wish) {
    this.#preferred = Object.fromEntries(Object.entries(wish).filter(([, value]) => value !== undefined));
    this.#wish();
  }

  attach(element) {
    if (element.srcObject !== this.#stream) element.srcObject = this.#stream;
    if (this.#state === "ended") return () => {};
    const showing = new Showing(element, this.#wish);
    this.#showings.add(showing);
    return () => {
      showing.close();
      if (this.#showings.delete(showing)) this.#wish();
    };
  }

  want({ audio = this.#wanted.audio, video = this.#wanted.video }) {
    this.#wanted = { audio, video };
    if (this.#state !== "ended") this.#channel._change();
  }

  async stats() {
    const mids = KINDS.map((kind) => this.#sections[kind]?.mid).filter((mid) => mid !== undefined);
    const { downstream } = this.#channel;
    return mids.length > 0 && downstream?.peer ? ofSections(await downstream.stats(), mids) : null;
  }

  close() {
    this._end();
  }

  /** Whether a section of an offer is for it. */
  _is({ kind, upstream, mediaId }) {
    if (!this.#wanted[kind]) return false;
    if (upstream && upstream === this.#source.upstream) return true;
    // The server carries a media id once, whatever it was asked for by.
    return mediaId !== undefined && mediaId === (this.#source.mediaId ?? this.#upstream?.mediaId);
  }

  /** Gives up the tracks that do not come by these sections any more. */
  _keep(sections) {
    for (const kind of KINDS) {
      const track = this.#track(kind);
      if (track && !sections.some(({ transceiver }) => transceiver?.receiver.track === track)) this.#put(kind, null);
    }
  }

  _assign(sections) {
    // A listener may have closed it meanwhile.
    if (this.#state === "ended") return;
    this._keep(sections);
    for (const section of sections) {
      if (section.transceiver && this.#track(section.kind) !== section.transceiver.receiver.track)
        this.#put(section.kind, section);
    }
    this.#judge();
  }

  /** The server sends another layer, or this one for another reason. */
  _switch(layer, reason) {
    this.#layer = layer;
    this.#reason = reason;
    this._emit("layer", { layer, reason });
  }

  /** What is published may have changed. */
  _look() {
    const upstream = this.#channel._find(this.#source);
    if (upstream === this.#upstream) return;
    this.#upstream = upstream;
    this.#isTold = true;
    this._emit("upstream", { upstream });
    this.#judge();
  }

  _end() {
    if (this.#state === "ended") return;
    this.#turn("ended");
    for (const showing of this.#showings) showing.close();
    this.#showings.clear();
    this._keep([]);
    this.#channel._unwatch(this);
  }

  #wish = () => this.#channel.downstream?._wish();

  #track(kind) {
    return this.#sections[kind]?.transceiver.receiver.track ?? null;
  }

  #put(kind, section) {
    const before = this.#track(kind);
    if (before) {
      before.removeEventListener("unmute", this.#judge);
      this.#stream.removeTrack(before);
    }
    if (section) this.#sections[kind] = section;
    else delete this.#sections[kind];
    if (kind === "video") this.#layer = this.#reason = null;
    const track = this.#track(kind);
    if (track) {
      track.addEventListener("unmute", this.#judge);
      this.#stream.addTrack(track);
    }
    this._emit("track", { kind, track });
  }

  /** It is live when it has a track and somebody publishes it; a client that is told of no upstreams goes by the track. */
  #judge = () => {
    if (this.#state === "ended") return;
    const flows = this.#isTold ? () => this.#upstream : (track) => !track.muted;
    this.#turn(this.#stream.getTracks().some(flows) ? "live" : "waiting");
  };

  #turn(state) {
    if (state === this.#state) return;
    this.#state = state;
    this._emit("state", { state });
  }
}
