// A channel as this client sees it: who is there, what is published, what was said. Keeps itself true to the gateway's
// snapshots and events, and holds what this client publishes and watches there.

import { Downstream } from "./downstream.js";
import { TidewireError } from "./errors.js";
import { Emitter } from "./events.js";
import { LocalMedia } from "./media.js";
import { RemoteMedia } from "./remote.js";
import { insist } from "./timing.js";
import { Upstream } from "./upstream.js";

export class Channel extends Emitter {
  #client;
  #name;
  #joined = true;
  #lapsed = false;
  #rights;
  #members;
  #upstreams;
  #speakers;
  #published = new Set();
  #watched = new Set();
  #downstream = null;
  _token;

  /** `token` is what it was joined with, if not with the register token. */
  constructor(client, snapshot, token) {
    super();
    this.#client = client;
    this.#name = snapshot.channel;
    this.#rights = snapshot.rights;
    this.#members = byId(snapshot.members, "clientId");
    this.#upstreams = byId(snapshot.upstreams, "upstream");
    this.#speakers = snapshot.speakers ?? [];
    this._token = token;
  }

  get client() {
    return this.#client;
  }

  get name() {
    return this.#name;
  }

  get joined() {
    return this.#joined;
  }

  get rights() {
    return this.#rights;
  }

  get members() {
    return this.#members;
  }

  get upstreams() {
    return this.#upstreams;
  }

  get speakers() {
    return this.#speakers;
  }

  get published() {
    return this.#published;
  }

  get watched() {
    return this.#watched;
  }

  get downstream() {
    return this.#downstream;
  }

  async send(content, to = {}) {
    if (content.length === 0) throw new TidewireError("nothingToSend", "the message is empty");
    const payload = typeof content === "string" ? { text: content } : { data: toBase64(content) };
    await this._ask({ type: "send", channel: this.#name, ...to, ...payload });
  }

  async publish(media, options = {}) {
    const local = media instanceof LocalMedia ? media : LocalMedia.of(media);
    if (!local.audioTrack && !local.videoTrack) throw new TidewireError("nothingToSend", "the media has no track");
    this.#assertJoined();
    const upstream = new Upstream(this, local, options);
    await upstream._opened();
    if (!this.#joined) upstream._end("channelLeft");
    this.#assertJoined();
    this.#published.add(upstream);
    this._emit("published", { upstream });
    return upstream;
  }

  subscribe(upstream, wanted) {
    return this.#watch({ upstream: typeof upstream === "string" ? upstream : upstream.upstream }, wanted);
  }

  watch(mediaId, wanted) {
    return this.#watch({ mediaId }, wanted);
  }

  async grant(clientId, rights) {
    await this._ask({ type: "grant", channel: this.#name, clientId, rights });
  }

  async kick(clientId) {
    await this._ask({ type: "kick", channel: this.#name, clientId });
  }

  async leave() {
    if (!this.#joined) return;
    const act = async () => this.#joined && this._ask({ type: "leave", channel: this.#name });
    try {
      await insist(act, this.#client._life);
    } catch (error) {
      // Still in it; else it is out, whatever the reason.
      if (error.retryAfterS !== undefined && this.#joined) throw error;
    }
    this._end("left");
  }

  _ask(message, take) {
    return this.#joined ? this.#client._ask(message, take) : Promise.reject(left(this.#name));
  }

  /** What there is of a source; null while nobody publishes it. */
  _find({ upstream, mediaId }) {
    if (upstream) return this.#upstreams.get(upstream) ?? null;
    // The newest of a name has replaced the others, of whose end we may not have heard yet.
    return [...this.#upstreams.values()].findLast((candidate) => candidate.mediaId === mediaId) ?? null;
  }

  /** `remote` is not watched any more. */
  _unwatch(remote) {
    if (this.#watched.delete(remote)) this.#downstream?._change();
  }

  /** What is wanted has changed. */
  _change() {
    if (!this.#joined || this.#watched.size === 0) return;
    if (!this.#downstream) {
      this.#downstream = new Downstream(this);
      this.#downstream._open();
    }
    this.#downstream._change();
  }

  /** The downstream is closed for good; what is wanted next opens another. */
  _undo(reason, error) {
    this.#downstream = null;
    if (this.#joined && reason !== "requested") this.#client._complain(error, this);
  }

  _unpublish(upstream, reason) {
    if (this.#published.delete(upstream)) this._emit("unpublished", { upstream, reason });
  }

  /** The gateway has forgotten this client, and with it all its connections. */
  _lapse() {
    this.#lapsed = true;
  }

  /** Joined again. */
  _return(snapshot) {
    this._refresh(snapshot);
    if (!this.#lapsed) return;
    this.#lapsed = false;
    for (const upstream of this.#published) upstream._reopen("shutdown");
    this.#downstream?._reopen("shutdown");
  }

  /** Takes up the state of the channel, and tells what changed. */
  _refresh({ rights, members, upstreams, speakers = [] }) {
    const present = byId(members, "clientId");
    for (const clientId of [...this.#members.keys()]) {
      if (!present.has(clientId)) this._hear({ type: "left", clientId, reason: "unknown" });
    }
    const open = byId(upstreams, "upstream");
    for (const upstream of [...this.#upstreams.keys()]) {
      if (!open.has(upstream)) this._hear({ type: "upstreamClosed", upstream, reason: "unknown" });
    }
    for (const member of members) this.#place(member);
    for (const upstream of upstreams) this.#put(upstream);
    this.#listen(speakers);
    this.#allow(rights);
  }

  /** This client is no longer in it. */
  _end(reason) {
    if (!this.#joined) return;
    this.#joined = false;
    for (const upstream of [...this.#published]) upstream._end("channelLeft");
    for (const remote of [...this.#watched]) remote._end();
    this.#downstream?._end("channelLeft");
    this._emit("left", { reason });
    this.#client._drop(this, reason);
  }

  _hear(event) {
    switch (event.type) {
      case "joined":
      case "updated":
        return this.#place(event.member);
      case "left":
        return this.#remove(event);
      case "upstreamOpened":
      case "upstreamUpdated":
        return this.#put(event.upstream);
      case "upstreamClosed":
        return this.#take(event);
      case "speakers":
        return this.#listen(event.upstreams);
      case "message":
        return this._emit("message", this.#message(event));
      case "rightsChanged":
        return this.#allow(event.rights);
      case "kicked":
        this._emit("kicked", { by: event.by });
        return this._end("kicked");
    }
  }

  #place(member) {
    const before = this.#members.get(member.clientId);
    this.#members.set(member.clientId, member);
    if (!before) this._emit("memberjoined", { member });
    else if (differ(before, member)) this._emit("memberupdated", { member, before });
  }

  #remove({ clientId, reason }) {
    const member = this.#members.get(clientId);
    if (this.#members.delete(clientId)) this._emit("memberleft", { member, reason });
  }

  #put(upstream) {
    const before = this.#upstreams.get(upstream.upstream);
    this.#upstreams.set(upstream.upstream, upstream);
    if (before && !differ(before, upstream)) return;
    for (const remote of this.#watched) remote._look();
    if (before) this._emit("upstreamupdated", { upstream, before });
    else this._emit("upstreamopened", { upstream });
  }

  #take({ upstream: id, reason }) {
    const upstream = this.#upstreams.get(id);
    if (!this.#upstreams.delete(id)) return;
    this.#downstream?._miss(id);
    for (const remote of [...this.#watched]) {
      if (remote.source.upstream === id) remote._end();
      else remote._look();
    }
    this._emit("upstreamclosed", { upstream, reason });
    this.#listen(this.#speakers.filter((speaker) => speaker !== id));
  }

  #listen(speakers) {
    if (!differ(this.#speakers, speakers)) return;
    this.#speakers = speakers;
    this._emit("speakers", { speakers });
  }

  #allow(rights) {
    const before = this.#rights;
    this.#rights = rights;
    if (!differ(before, rights)) return;
    this._emit("rightschanged", { rights, before });
    this.#downstream?._forgive();
    if (rights.sfu) this._change();
  }

  #message({ from, toAll, text, data }) {
    const content = data === undefined ? { text } : { data: fromBase64(data) };
    return { from, mine: from.clientId === this.#client.me.clientId, toAll, ...content };
  }

  #watch(source, wanted) {
    this.#assertJoined();
    const remote = new RemoteMedia(this, source, wanted);
    if (source.upstream && !this._find(source)) {
      remote._end();
      return remote;
    }
    this.#watched.add(remote);
    this._change();
    return remote;
  }

  #assertJoined() {
    if (!this.#joined) throw left(this.#name);
  }
}

function byId(items, name) {
  return new Map(items.map((item) => [item[name], item]));
}

/** Both came from the same writer, so their fields stand in the same order. */
function differ(a, b) {
  return JSON.stringify(a) !== JSON.stringify(b);
}

function left(name) {
  return new TidewireError("channelLeft", `this client is not in ${name} any more`);
}

function toBase64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
