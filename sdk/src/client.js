// One client: its registration, its channels, and its return when the gateway has forgotten it. Holds the link; what it
// hears it hands to the channel or the connection that it is about.

import { Channel } from "./channel.js";
import { TidewireError } from "./errors.js";
import { Emitter } from "./events.js";
import { Link } from "./link.js";
import { Backoff, insist, pause, pauseAfter } from "./timing.js";

const AGENT = "tidewire-js/0.1";
/** After these ends the client registers anew; after all others it is over. */
const PASSING_ENDS = new Set(["resumeUnknown", "protocolViolation", "shutdown", "unreachable"]);
/** A client that was live for so long may return at once. */
const STEADY_MS = 10_000;
/** The names of so many channels that were left are remembered. */
const PARTED_MAX = 256;
/** How long `unregister` waits for the gateway to hear it. */
const GOODBYE_MS_MAX = 1_000;
/** Those whose identity is the page's own business, as the gateway takes them. */
const ASPECTS = ["userAlias", "deviceAlias", "tag"];

export class Client extends Emitter {
  #options;
  #url;
  #aspects = {};
  #state = "new";
  #since = Date.now();
  #me = null;
  #channels = new Map();
  /** Names of channels that the page left or was kicked from: not to be joined again because a token still names them. */
  #parted = new Set();
  /** By key, this client's upstreams and downstreams. */
  #connections = new Map();
  #link = null;
  #registering = null;
  #backoff = new Backoff();
  #life = new AbortController();

  constructor(options) {
    super();
    this.#options = options;
    this.#url = addressOf(options.url);
    for (const name of ASPECTS) if (options[name]) this.#aspects[name] = options[name];
  }

  get state() {
    return this.#state;
  }

  get since() {
    return this.#since;
  }

  get me() {
    return this.#me;
  }

  get channels() {
    return this.#channels;
  }

  register() {
    if (this.#state === "gone") return Promise.reject(gone());
    if (this.#registering) return this.#registering;
    this.#turn("connecting");
    globalThis.addEventListener?.("pagehide", this.#sayGoodbye);
    this.#registering = this.#enter().catch((error) => {
      this.#finish("refused", error);
      throw error;
    });
    return this.#registering;
  }

  async join(token) {
    const text = await obtain(token);
    return this._ask({ type: "join", token: text }, ({ channel }) => this.#admit(channel, token));
  }

  async renew(token) {
    await this._ask({ type: "renew", token: token ?? (await obtain(this.#options.token)) });
  }

  async update(changes) {
    const named = Object.fromEntries(ASPECTS.filter((name) => name in changes).map((name) => [name, changes[name]]));
    await this._ask({ type: "update", ...named });
    Object.assign(this.#aspects, named);
    this.#me = described(this.#me, named);
  }

  async unregister() {
    const link = this.#link;
    if (this.#state === "live") {
      const heard = link.ask({ type: "unregister" }).catch(() => {});
      await Promise.race([heard, pause(GOODBYE_MS_MAX, this.#life.signal)]);
    }
    this.#finish("unregistered");
  }

  get _iceServers() {
    return this.#options.iceServers ?? [];
  }

  /** Aborted when the client is over. */
  get _life() {
    return this.#life.signal;
  }

  /** Asks the gateway, once registered; see `Link.ask`. */
  async _ask(message, take) {
    await this._registered();
    return this.#link.ask(message, take);
  }

  /** Resolves while registered, or as soon as it is. */
  async _registered() {
    if (this.#state === "new") throw new TidewireError("notRegistered", "call register first");
    if (this.#state === "connecting") await this.#registering;
    if (this.#state === "gone") throw gone();
  }

  /** From now on `connection` hears what happens to the connection of this key. */
  _know(key, connection) {
    this.#connections.set(key, connection);
  }

  _forget(key) {
    this.#connections.delete(key);
  }

  /** The channel is over for this client. */
  _drop(channel, reason) {
    if (!this.#channels.delete(channel.name)) return;
    if (reason === "left" || reason === "kicked") this.#part(channel.name);
    this._emit("left", { channel, reason });
  }

  _complain(error, channel) {
    this._emit("error", { error, channel });
  }

  #part(name) {
    this.#parted.add(name);
    if (this.#parted.size > PARTED_MAX) this.#parted.delete(this.#parted.values().next().value);
  }

  #turn(state, reason, error) {
    if (state === this.#state) return;
    this.#state = state;
    this.#since = Date.now();
    this._emit("state", { state, since: this.#since, reason, error });
  }

  /** Registers, however often it must be tried; resolves with the channels that the token named. */
  async #enter() {
    for (;;) {
      try {
        return await this.#tryToEnter();
      } catch (error) {
        if (this.#state === "gone") throw gone();
        const waitMs = this.#pauseAfter(error);
        if (waitMs === null) throw error;
        await pause(waitMs, this.#life.signal);
      }
    }
  }

  async #tryToEnter() {
    const token = await obtain(this.#options.token);
    if (this.#state === "gone") throw gone();
    this.#link = new Link(this.#url, this.#ears());
    const message = { type: "register", token, ...filled(this.#aspects), agent: AGENT };
    return this.#link.register(message, (reply) => this.#welcome(reply));
  }

  /** How long to wait before the next attempt; null for an error that none would mend. */
  #pauseAfter(error) {
    // Who is back for the second time has shown that its tokens are good.
    const passing = error.code === "linkLost" || (error.code === "tokenUnavailable" && this.#me);
    return passing ? this.#backoff.next() : pauseAfter(error);
  }

  #ears() {
    return {
      heard: (event) => this.#hear(event),
      refused: (error) => this._complain(error),
      interrupted: () => this.#turn("interrupted"),
      resumed: () => this.#turn("live"),
      over: (reason) => this.#lose(reason),
    };
  }

  #welcome({ client, channels }) {
    const again = this.#me !== null;
    this.#me = client;
    this.#connections.clear();
    this.#channels.forEach((channel) => channel._lapse());
    const absent = [...this.#channels.values()].filter(({ name }) => !channels.some(({ channel }) => channel === name));
    const parted = channels.filter(({ channel }) => this.#parted.has(channel));
    const named = channels.filter((snapshot) => !parted.includes(snapshot)).map((snapshot) => this.#admit(snapshot));
    this.#turn("live");
    for (const { channel } of parted) this._ask({ type: "leave", channel }).catch((error) => this._complain(error));
    absent.forEach((channel) => void this.#rejoin(channel));
    this._emit("registered", { again });
    return named;
  }

  /** Takes up a channel, or goes on with it. */
  #admit(snapshot, token) {
    this.#parted.delete(snapshot.channel);
    const known = this.#channels.get(snapshot.channel);
    if (known) {
      known._token = token ?? known._token;
      known._return(snapshot);
      return known;
    }
    const channel = new Channel(this, snapshot, token);
    this.#channels.set(channel.name, channel);
    this._emit("joined", { channel });
    return channel;
  }

  /** A channel that the register token does not name. */
  async #rejoin(channel) {
    const link = this.#link;
    try {
      if (!channel._token) throw new TidewireError("channelLeft", `no token names ${channel.name} any more`);
      const isDue = () => channel.joined && link === this.#link;
      const passing = (error) => (error.code === "linkLost" ? null : this.#pauseAfter(error));
      await insist(async () => isDue() && this.join(channel._token), this._life, passing);
    } catch (error) {
      // Registered anew once more: that sees to it.
      if (error.code === "linkLost" || link !== this.#link) return;
      channel._end("refused");
      this._complain(error, channel);
    }
  }

  #hear(event) {
    const { type, messages, events } = event;
    if (type === "lost") return this.#channels.forEach((channel) => channel._emit("lost", { messages, events }));
    if (type === "state") return this.#channels.get(event.channel.channel)?._refresh(event.channel);
    if (event.connection) return this.#connections.get(event.connection)?._hear(event);
    this.#channels.get(event.channel)?._hear(event);
  }

  /** The link is over. */
  #lose(reason) {
    // While registering, whoever registers sees to it.
    if (this.#state !== "live" && this.#state !== "interrupted") return;
    if (!PASSING_ENDS.has(reason)) return this.#finish(reason);
    if (Date.now() - this.#since > STEADY_MS) this.#backoff.reset();
    this.#turn("connecting", reason);
    this.#registering = pause(this.#backoff.next(), this.#life.signal).then(() => this.#enter());
    this.#registering.catch((error) => this.#finish("refused", error));
  }

  #finish(reason, error) {
    if (this.#state === "gone") return;
    this.#turn("gone", reason, error);
    this.#life.abort();
    globalThis.removeEventListener?.("pagehide", this.#sayGoodbye);
    this.#link?.end(reason);
    for (const channel of [...this.#channels.values()]) channel._end("clientGone");
  }

  /** The page closes: the others need not wait for the lease. */
  #sayGoodbye = ({ persisted }) => {
    if (persisted || this.#state !== "live") return;
    this.#link.ask({ type: "unregister" }).catch(() => {});
  };
}

/** `https://host` as `wss://host/v1/client`. */
function addressOf(given) {
  const url = new URL(given, globalThis.location?.href);
  url.protocol = url.protocol.replace("http", "ws");
  if (url.pathname === "/") url.pathname = "/v1/client";
  url.hash = "";
  return url.href;
}

async function obtain(token) {
  if (typeof token !== "function") return token;
  try {
    return await token();
  } catch (error) {
    throw new TidewireError("tokenUnavailable", String(error?.message ?? error));
  }
}

/** Without the texts that are empty. */
function filled(aspects) {
  return Object.fromEntries(Object.entries(aspects).filter(([, text]) => text));
}

/** A member with some aspects changed; an empty text takes one away. */
function described(member, changes) {
  return { ...Object.fromEntries(Object.entries(member).filter(([name]) => !(name in changes))), ...filled(changes) };
}

function gone() {
  return new TidewireError("clientGone", "the client is over; make another one");
}
