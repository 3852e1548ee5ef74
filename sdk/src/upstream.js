// Media of this client's, offered by this end. Follows its `LocalMedia`: a change of device is a change of track without
// a word to the server, a mute is told to the others, a kind of media that it did not have takes another connection.

import { Connection } from "./connection.js";
import { described, follow, limited, plain, planned, refitted } from "./encodings.js";
import { credentials, restarted } from "./sdp.js";
import { insist, Latest } from "./timing.js";

export class Upstream extends Connection {
  #media;
  #options;
  #upstream = "";
  #said;
  #senders = {};
  /** The video's encodings as they were opened, but for the limit. */
  #plan = [];
  /** What the server last said of them. */
  #demand = null;
  /** The encodings as they were told of last. */
  #shown;
  #offs;
  #saying = new Latest(() => this.#say());
  #tuning = new Latest(() => this.#tune());

  constructor(channel, media, options) {
    super(channel);
    this.#media = media;
    this.#options = { content: media.content, maxBitrate: null, ...options };
    this.#said = this.#now();
    this.#offs = [
      media.on("track", ({ kind, track }) => this.#follow(kind, track)),
      media.on("muted", () => this.#notice()),
      media.on("ended", () => void this.close()),
    ];
  }

  get upstream() {
    return this.#upstream;
  }

  get mediaId() {
    return this.#options.mediaId;
  }

  get media() {
    return this.#media;
  }

  get content() {
    return this.#options.content;
  }

  get tag() {
    return this.#options.tag;
  }

  get audioMuted() {
    return this.#media.audioMuted;
  }

  get videoMuted() {
    return this.#media.videoMuted;
  }

  get encodings() {
    return described(limited(this.#plan, this.#options.maxBitrate), this.#demand);
  }

  mute(muted) {
    this.#media.mute(muted);
  }

  async update({ content = this.content, tag = this.tag }) {
    Object.assign(this.#options, { content, tag: tag || undefined });
    this._emit("updated", this.#now());
    await this.#tell();
  }

  async replaceTrack(track) {
    this.#media._place(track);
  }

  async limit(maxBitrate) {
    this.#options.maxBitrate = maxBitrate;
    await this.#retune();
  }

  async close() {
    const connection = this._key;
    this._end("requested");
    if (connection) await this.channel._ask({ type: "close", connection }).catch(() => {});
  }

  _hear(event) {
    if (event.type !== "demand") return super._hear(event);
    this.#demand = event.encodings;
    // It is told again now and then, also where nothing has changed. A browser that refuses goes on sending what it sends.
    this.#retune().catch(() => {});
  }

  async _establish(peer) {
    const { mediaId } = this.#options;
    this.#senders = {};
    this.#plan = [];
    this.#demand = null;
    const tracks = this.#media.stream.getTracks();
    // The next track opens it.
    if (tracks.length === 0) return;
    for (const track of tracks) this.#add(peer, track);
    await peer.setLocalDescription(await peer.createOffer());
    const said = (this.#said = this.#now());
    const offer = peer.localDescription.sdp;
    const message = { type: "openUpstream", channel: this.channel.name, mediaId, offer, ...said };
    const { answer } = await this.channel._ask(message, (reply) => {
      this.#upstream = reply.upstream;
      this._name(peer, reply.connection);
      return reply;
    });
    if (peer !== this.peer) return;
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    this.#saying.want();
  }

  #add(peer, track) {
    const { codecs = [], redundancy } = this.#options;
    const init = { direction: "sendonly", streams: [this.#media.stream] };
    const transceiver = track.kind === "video" ? this.#addVideo(peer, track, init) : peer.addTransceiver(track, init);
    prefer(transceiver, track.kind, redundancy && track.kind === "audio" ? ["red", ...codecs] : codecs);
    this.#senders[track.kind] = transceiver.sender;
  }

  #addVideo(peer, track, init) {
    this.#plan = planned(track.getSettings(), { ...this.#options, maxBitrate: null });
    const sendEncodings = limited(this.#plan, this.#options.maxBitrate);
    try {
      return peer.addTransceiver(track, { ...init, sendEncodings });
    } catch {
      // It knows no such mode.
      this.#plan = plain(this.#plan);
      return peer.addTransceiver(track, { ...init, sendEncodings: plain(sendEncodings) });
    }
  }

  /** RFC 8445 9: new credentials at both ends, the rest of the connection stays as it is. */
  async _restart(peer) {
    await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
    const own = credentials(peer.localDescription.sdp);
    const theirs = await this.channel._ask({ type: "restart", connection: this._key, ...own });
    if (peer !== this.peer) return;
    await peer.setRemoteDescription({ type: "answer", sdp: restarted(peer.currentRemoteDescription.sdp, theirs) });
  }

  _ended(reason) {
    this.#offs.forEach((off) => off());
    this.channel._unpublish(this, reason);
  }

  async #follow(kind, track) {
    const { peer } = this;
    const sender = this.#senders[kind];
    // Without a peer, the next is raised with the tracks that there are by then.
    if (peer && track && !sender) return this._abandon("mediaChanged");
    if (peer) await sender?.replaceTrack(track).catch((error) => peer === this.peer && this._complain(error));
    if (track && sender === this.#senders.video) this.#refit(track);
    this.#notice();
  }

  /** A camera of another size, say; what the page named itself stays. */
  #refit(track) {
    if (!Array.isArray(this.#options.simulcast)) this.#plan = refitted(this.#plan, track.getSettings());
    this.#retune().catch(() => {});
  }

  #notice() {
    this._emit("updated", this.#now());
    this.#saying.want();
  }

  #retune() {
    this.#show();
    this.#tuning.want();
    return this.#tuning.idle;
  }

  #show() {
    const { encodings } = this;
    const before = this.#shown;
    this.#shown = JSON.stringify(encodings);
    if (this.#shown !== before) this._emit("encodings", { encodings });
  }

  /** Makes the sender follow what is wanted by now. */
  async #tune() {
    const sender = this.#senders.video;
    const parameters = sender?.getParameters();
    if (parameters && follow(parameters, this.#plan, this.encodings)) await sender.setParameters(parameters);
  }

  #now() {
    const { content, tag } = this.#options;
    const { audioMuted, videoMuted } = this.#media;
    return { audioMuted, videoMuted, content, tag };
  }

  /** Tells the others, unless they know. */
  async #say() {
    const news = () => JSON.stringify(this.#said) !== JSON.stringify(this.#now());
    await insist(async () => news() && this.#tell(), this.channel.client._life).catch(() => {});
  }

  async #tell() {
    const said = this.#now();
    const connection = this._key;
    if (!connection) return;
    try {
      await this.channel._ask({ type: "updateUpstream", connection, ...said });
      this.#said = said;
    } catch (error) {
      // The server's end went away unheard.
      if (error.code === "connectionUnknown" && connection === this._key) this._reopen("mediaServerLost");
      throw error;
    }
  }
}

/** Puts the codecs named in front, each with all its forms; the others follow as the browser has them. */
function prefer(transceiver, kind, names) {
  const known = RTCRtpSender.getCapabilities?.(kind)?.codecs ?? [];
  const rank = ({ mimeType }) => {
    const at = names.findIndex((name) => mimeType.toLowerCase() === `${kind}/${name.toLowerCase()}`);
    return at < 0 ? names.length : at;
  };
  if (!known.some((codec) => rank(codec) < names.length)) return;
  transceiver.setCodecPreferences?.([...known].sort((a, b) => rank(a) - rank(b)));
}
