// One registration at the gateway, over as many sockets as it takes: requests are kept until they were seen, frames that
// come twice are thrown away, a lost socket is replaced within the lease. Asked by the client; tells it what it hears, how
// it fares and, once, why it is over. Knows the lane and the greeting, not what requests and events mean.

import { TidewireError } from "./errors.js";
import { Inbox, Outbox } from "./lane.js";
import { Backoff } from "./timing.js";

/** The gateway wants to hear after so many frames, or so much time, what was seen. */
const UNSEEN_MAX = 32;
const SEEN_AFTER_MS = 1_000;
/** A socket that does not open, or does not greet, within this is given up. */
const GREETING_MS_MAX = 10_000;
/** A request that is not acknowledged within this means that the socket is dead, though nobody has told us. */
const SILENCE_MS_MAX = 10_000;
/** After so much silence a request that changes nothing, and is refused, finds out whether the socket lives. */
const PROBE_AFTER_MS = 25_000;
const PROBE = { type: "trickle", connection: "0".repeat(32) };
const LOOK_EVERY_MS = 2_500;
/** A socket that lived for so long, or brought anything new, was a good one: the next is tried at once. */
const STEADY_MS = 1_000;
/** The gateway lets a client have so many requests under way. */
const UNANSWERED_MAX = 64;

export class Link {
  #url;
  #owner;
  #outbox = new Outbox();
  #inbox = new Inbox();
  /** By number, those who wait for an answer. */
  #asked = new Map();
  #key = null;
  #leaseMs = 0;
  #over = false;
  #socket = null;
  /** Whether numbered frames may be sent on this socket: the greeting is done. */
  #flows = false;
  #unseen = 0;
  #lostAt = 0;
  #flowsSince = 0;
  /** Whether this socket brought a frame that is new. */
  #wasUseful = false;
  #heardAt = 0;
  /** Of the first frame since anything was heard. */
  #sentAt = 0;
  #backoff = new Backoff();
  #timers = {};

  /**
   * `owner` has `heard(event)`, `refused(error)` for a refusal that belongs to no request, `interrupted()`, `resumed()`,
   * and `over(reason)`, after which nothing follows.
   */
  constructor(url, owner) {
    this.#url = url;
    this.#owner = owner;
  }

  /**
   * Opens the link; `take` is handed the reply before anything else is heard. Rejects with the gateway's refusal, or
   * with `linkLost` when there was none; the link is over then.
   */
  register(message, take) {
    const registered = this.ask(message, (reply) => {
      this.#key = reply.key;
      this.#leaseMs = reply.leaseS * 1_000;
      this.#timers.look = setInterval(() => this.#look(), LOOK_EVERY_MS);
      globalThis.addEventListener?.("online", this.#hurry);
      return take(reply);
    });
    this.#connect();
    return registered.catch((error) => {
      this.end("refused");
      throw error;
    });
  }

  /** Resolves with what `take` makes of the reply, of which it is told before anything that comes after. */
  ask(message, take = (reply) => reply) {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(lost());
      const text = JSON.stringify(message);
      const n = this.#asked.size < UNANSWERED_MAX ? this.#outbox.push(text) : 0;
      if (n === 0) return reject(new TidewireError("linkFull", "too much waits for the gateway", 1));
      this.#asked.set(n, { resolve, reject, take });
      if (this.#flows) this.#transmit(n, text);
    });
  }

  /** Ends this end; what waits is rejected. */
  end(reason) {
    if (this.#over) return;
    this.#over = true;
    this.#detach();
    clearInterval(this.#timers.look);
    globalThis.removeEventListener?.("online", this.#hurry);
    for (const { reject } of this.#asked.values()) reject(lost());
    this.#asked.clear();
    this.#owner.over(reason);
  }

  #connect() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#timers.greeting = setTimeout(() => this.#lose(), GREETING_MS_MAX);
    socket.onopen = () => this.#greet();
    socket.onmessage = ({ data }) => this.#read(data);
    socket.onclose = () => this.#lose();
    // Its end follows.
    socket.onerror = () => {};
  }

  #greet() {
    if (this.#key) return this.#write({ m: { type: "resume", key: this.#key, seen: this.#inbox.seen } });
    this.#flow(0);
  }

  /** Sends what the gateway has not seen; from here on requests go out as they come. */
  #flow(seen) {
    const waiting = this.#outbox.acknowledge(seen) && this.#outbox.beyond(seen);
    if (!waiting) return this.end("resumeUnknown");
    this.#flows = true;
    this.#wasUseful = false;
    this.#flowsSince = this.#heardAt = Date.now();
    for (const [n, text] of waiting) this.#transmit(n, text);
  }

  #transmit(n, text) {
    if (this.#sentAt <= this.#heardAt) this.#sentAt = Date.now();
    this.#socket.send(`{"n":${n},"seen":${this.#inbox.seen},"m":${text}}`);
    this.#haveSeen();
  }

  #write(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  #read(data) {
    const { n, seen, m } = parsed(data);
    this.#heardAt = Date.now();
    if (seen !== undefined && !this.#outbox.acknowledge(seen)) return this.end("resumeUnknown");
    if (n !== undefined) {
      const arrived = this.#inbox.take(n);
      if (arrived === "gap") return this.end("resumeUnknown");
      this.#oweSeen();
      if (arrived === "again") return;
      this.#wasUseful = true;
    }
    if (m) this.#take(m);
  }

  #take(message) {
    switch (message.type) {
      case "resumed":
        return this.#resume(message.seen);
      case "reply":
        return this.#answer(message.to, ({ resolve, take }) => resolve(take(message.reply)));
      case "refused":
        return this.#refuse(message);
      case "event":
        return this.#owner.heard(message.event);
      case "ended":
        return message.reason === "shutdown" ? this.#lose() : this.end(message.reason);
    }
  }

  #resume(seen) {
    this.#lostAt = 0;
    clearTimeout(this.#timers.greeting);
    this.#flow(seen);
    if (!this.#over) this.#owner.resumed();
  }

  #answer(n, settle) {
    clearTimeout(this.#timers.greeting);
    const asked = this.#asked.get(n);
    this.#asked.delete(n);
    if (asked) settle(asked);
  }

  #refuse({ to, code, detail, retryAfterS }) {
    const error = new TidewireError(code, detail, retryAfterS);
    if (this.#asked.has(to)) return this.#answer(to, ({ reject }) => reject(error));
    this.#owner.refused(error);
    // A greeting that was refused.
    if (!this.#flows) this.#lose();
  }

  #oweSeen() {
    this.#unseen += 1;
    if (this.#unseen >= UNSEEN_MAX) return this.#saySeen();
    this.#timers.seen ??= setTimeout(() => this.#saySeen(), SEEN_AFTER_MS);
  }

  #saySeen() {
    if (this.#flows) this.#write({ seen: this.#inbox.seen });
    this.#haveSeen();
  }

  #haveSeen() {
    this.#unseen = 0;
    clearTimeout(this.#timers.seen);
    this.#timers.seen = undefined;
  }

  #look() {
    if (!this.#flows) return;
    const now = Date.now();
    const silentMs = now - this.#heardAt;
    if (this.#outbox.isEmpty) {
      if (silentMs > PROBE_AFTER_MS) this.ask(PROBE).catch(() => {});
    } else if (silentMs > SILENCE_MS_MAX && now - this.#sentAt > SILENCE_MS_MAX) {
      this.#lose();
    }
  }

  /** The socket is lost: another one follows, unless the lease is over or there is nothing yet to resume. */
  #lose() {
    this.#detach();
    if (!this.#key) return this.end("unreachable");
    if (this.#lostAt === 0) {
      this.#lostAt = Date.now();
      if (this.#wasUseful || this.#lostAt - this.#flowsSince > STEADY_MS) this.#backoff.reset();
      this.#owner.interrupted();
    }
    this.#timers.retry = setTimeout(() => this.#retry(), Math.min(this.#backoff.next(), Math.max(this.#leftMs, 0)));
  }

  #retry() {
    if (this.#leftMs > 0) this.#connect();
    else this.end("resumeUnknown");
  }

  /** Of the lease, while the socket is lost. */
  get #leftMs() {
    return this.#lostAt + this.#leaseMs - Date.now();
  }

  /** The network is back: whatever socket there is belongs to the one before. */
  #hurry = () => {
    this.#backoff.reset();
    this.#lose();
  };

  #detach() {
    this.#flows = false;
    this.#haveSeen();
    clearTimeout(this.#timers.greeting);
    clearTimeout(this.#timers.retry);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return {};
  }
}

function lost() {
  return new TidewireError("linkLost", "the link ended before the request was answered");
}
