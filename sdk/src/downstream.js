// The one connection of a channel that carries everything that is watched there. This end says what is wanted, as a
// whole; the server offers; each offer is answered in its turn, and only the newest matters.

import { Connection } from "./connection.js";
import { TidewireError } from "./errors.js";
import { insist, Latest, pause, pauseAfter } from "./timing.js";

/** After a change its offer is on its way; what is wanted within this waits for it and becomes one change. */
const COALESCE_MS = 20;
/** The pause before a change that was refused is tried once more: the end of what is gone is heard within it. */
const AGAIN_AFTER_MS = 250;
/** A change that was refused so often in a row is given up until something else is wanted. */
const REFUSALS_MAX = 5;
/** The server carries so many. */
const WANTS_MAX = 64;
/** The server's end is gone. */
const GONE = new Set(["connectionUnknown", "connectionEnded"]);

export class Downstream extends Connection {
  /** The newest offer that is not answered. */
  #offer = null;
  /** What the sections of the newest answer carry. */
  #sections = [];
  /** What the gateway knows to be wanted, by source. */
  #asked = new Map();
  /** By source, what was refused for good, as text: it stays as it was until something else is wanted of it. */
  #forbidden = new Map();
  /** How many are more than the server carries; each further one is told of. */
  #beyond = 0;
  #refusals = 0;
  /** Resolves when the gateway has taken, or refused, what was answered last. */
  #taken = Promise.resolve();
  #asking = new Latest(() => this.#ask());
  #answering = new Latest(() => this.#answer());
  /** By source, the wishes that the gateway knows, as text. */
  #wished = new Map();
  #wishing = new Latest(() => this.#wish());

  /** What is wanted may have changed. */
  _change() {
    this.#refusals = 0;
    this.#asking.want();
  }

  /** A wish may have changed. */
  _wish() {
    this.#wishing.want();
  }

  /** Rights have changed: what was refused may be had now. */
  _forgive() {
    this.#forbidden.clear();
  }

  /** An upstream is over: the gateway knows, and what was wanted of it has ended with it. */
  _miss(id) {
    this.#asked.delete(text({ upstream: id }));
  }

  _hear(event) {
    if (event.type === "layer") return this.#switch(event);
    if (event.type !== "offer") return super._hear(event);
    this.#offer = event;
    this.#answering.want();
  }

  async _establish(peer) {
    this.#offer = null;
    this.#assign(peer, []);
    this.#wished.clear();
    const asked = this.#wants();
    const wants = [...asked.values()];
    await this.channel._ask({ type: "openDownstream", channel: this.channel.name, wants }, ({ connection }) => {
      this.#asked = asked;
      this._name(peer, connection);
    });
    this.#asking.want();
    this._wish();
  }

  /** The offer with new credentials follows as an event. */
  async _restart() {
    await this.channel._ask({ type: "restart", connection: this._key });
  }

  _ended(reason, error) {
    for (const remote of this.channel.watched) remote._assign([]);
    this.channel._undo(reason, error);
  }

  /**
   * A change waits until the offer before it is answered and taken: the server can use a section again when it knows that
   * this end has seen it idle.
   */
  async #ask() {
    await this.#answering.idle;
    await this.#taken;
    const connection = this._key;
    // While it is being opened, what is wanted is looked at afterwards.
    if (!connection) return;
    const asked = this.#wants();
    const wants = [...asked.values()];
    if (text(wants) === text([...this.#asked.values()])) return this.#assign(this.peer, this.#sections);
    try {
      await this.channel._ask({ type: "changeDownstream", connection, wants }, () => {
        if (connection === this._key) this.#asked = asked;
      });
      this._wish();
      this.#refusals = 0;
      await pause(COALESCE_MS);
    } catch (error) {
      if (connection === this._key) await this.#refused(error, asked);
    }
  }

  /** What is to be asked for. Who came first is served when it is too much, and what was refused is left as it was. */
  #wants() {
    const wants = wantsOf(this.channel.watched);
    this.#forbidden = new Map([...this.#forbidden].filter(([source, want]) => want === text(wants.get(source))));
    for (const source of this.#forbidden.keys()) {
      const had = this.#asked.get(source);
      if (had) wants.set(source, had);
      else wants.delete(source);
    }
    this.#count(wants.size);
    // In an order that does not depend on who came first.
    return new Map([...wants].slice(0, WANTS_MAX).sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #count(wants) {
    const beyond = wants - WANTS_MAX;
    if (beyond > this.#beyond) this._complain(new TidewireError("tooManyWants", `${beyond} more than are carried`));
    this.#beyond = Math.max(beyond, 0);
  }

  async #refused(error, wants) {
    if (GONE.has(error.code)) return this._reopen("mediaServerLost");
    this.#refusals += 1;
    const passing = error.code === "upstreamUnknown" || error.retryAfterS !== undefined;
    if (!passing) return this.#forbid(error, wants);
    if (this.#refusals > REFUSALS_MAX) return this._complain(error);
    await pause(pauseAfter(error) ?? AGAIN_AFTER_MS, this.channel.client._life);
    this.#asking.want();
  }

  /** It stands: what was had before goes on without what was new. */
  #forbid(error, wants) {
    const fresh = [...wants].filter(([source, want]) => text(want) !== text(this.#asked.get(source)));
    for (const [source, want] of fresh) this.#forbidden.set(source, text(want));
    this._complain(error);
    if (fresh.length > 0) this.#asking.want();
  }

  /** Tells of the wishes that are news, of what the gateway knows to be wanted. */
  async #wish() {
    const connection = this._key;
    const news = connection ? this.#news() : [];
    if (news.length === 0) return;
    const wishes = news.map(([key, wish]) => ({ ...JSON.parse(key), wish }));
    for (const [key, wish] of news) this.#wished.set(key, text(wish));
    try {
      const act = async () => connection === this._key && this.channel._ask({ type: "prefer", connection, wishes });
      await insist(act, this.channel.client._life);
    } catch {
      if (connection === this._key) this.#unwish(news);
    }
  }

  #news() {
    for (const key of this.#wished.keys()) if (!this.#asked.has(key)) this.#wished.delete(key);
    const isNews = ([key, wish]) => this.#asked.get(key)?.video && text(wish) !== (this.#wished.get(key) ?? "{}");
    return [...wishesOf(this.channel.watched)].filter(isNews);
  }

  /** What was refused was not heard. Where one of them has ended meanwhile, it was to blame. */
  #unwish(news) {
    for (const [key] of news) this.#wished.delete(key);
    if (news.some(([key]) => !this.#asked.has(key))) this._wish();
  }

  #switch({ upstream, mediaId, layer, reason }) {
    for (const remote of this.channel.watched) {
      const { source } = remote;
      if (source.upstream === upstream && source.mediaId === mediaId) remote._switch(layer, reason);
    }
  }

  async #answer() {
    const { peer } = this;
    const offer = this.#offer;
    this.#offer = null;
    if (!peer || offer?.connection !== this._key) return;
    try {
      await Promise.race([takeUp(peer, offer.offer), this._over]);
      if (peer !== this.peer) return;
      this.#assign(peer, offer.sections.map(this.#named));
      // With a newer offer here, its answer is the one that counts.
      if (!this.#offer) this.#send(offer, peer.localDescription.sdp);
    } catch (error) {
      if (peer === this.peer) this.#stumbled(error);
    }
  }

  /** The media id of a section, too, which outlives the upstream. */
  #named = (section) => ({ mediaId: this.channel._find(section)?.mediaId, ...section });

  /** The next offer is not kept waiting for the reply. */
  #send({ connection, revision }, answer) {
    const { channel } = this;
    const act = async () => connection === this._key && channel._ask({ type: "answer", connection, revision, answer });
    this.#taken = insist(act, channel.client._life).catch((error) => {
      if (connection !== this._key || error.code === "answerOutdated") return;
      if (GONE.has(error.code)) this._reopen("mediaServerLost");
      else if (error.code !== "linkLost") this.#stumbled(error);
    });
  }

  /** Offer and answer do not fit: only a connection from scratch can be trusted. */
  #stumbled(error) {
    this._complain(error);
    this._abandon("answerInvalid");
  }

  /** Gives each remote media its tracks; those of others are taken away first, since sections serve one after another. */
  #assign(peer, sections) {
    this.#sections = sections;
    const transceivers = new Map(peer.getTransceivers().map((transceiver) => [transceiver.mid, transceiver]));
    const carried = sections.map((section) => ({ ...section, transceiver: transceivers.get(section.mid) }));
    const given = [...this.channel.watched].map((remote) => [remote, carried.filter((section) => remote._is(section))]);
    for (const [remote, sections] of given) remote._keep(sections);
    for (const [remote, sections] of given) remote._assign(sections);
  }
}

async function takeUp(peer, sdp) {
  await peer.setRemoteDescription({ type: "offer", sdp });
  await peer.setLocalDescription(await peer.createAnswer());
}

/** One want for each source, by the source as text, whoever watches it how often. */
function wantsOf(watched) {
  const wants = new Map();
  for (const { source, wanted } of watched) {
    const key = text(source);
    const { audio = false, video = false } = wants.get(key) ?? {};
    wants.set(key, { ...source, audio: audio || wanted.audio, video: video || wanted.video });
  }
  return new Map([...wants].filter(([, { audio, video }]) => audio || video));
}

/** By source, the wish of whoever wants most of it, as the wire has it. */
function wishesOf(watched) {
  const size = ({ paused, width = Infinity }) => (paused ? 0 : width);
  const wishes = new Map();
  for (const { source, wish } of watched) {
    const key = text(source);
    const other = wishes.get(key);
    if (!other || size(wish) > size(other)) wishes.set(key, wish);
  }
  return new Map([...wishes].map(([key, wish]) => [key, written(wish)]));
}

function written({ maxBitrate, ...wish }) {
  return maxBitrate ? { ...wish, bitrateMaxBps: maxBitrate } : wish;
}

function text(json) {
  return JSON.stringify(json);
}
