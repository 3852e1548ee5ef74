// What an upstream and a downstream have in common: one peer connection at a time, and how it is kept alive. An ICE
// restart mends a network that changed; when the server has given the connection up, another one takes its place under
// the same object. What is sent over it is the affair of the two classes that extend this one.

import { peerError, TidewireError } from "./errors.js";
import { Emitter } from "./events.js";
import { read, report } from "./stats.js";
import { Backoff, pause, pauseAfter } from "./timing.js";

/** A network that hiccups is left alone for so long. */
const HICCUP_MS = 1_500;
/** What an ICE restart may take before the next is tried. */
const RESTART_MS_MAX = 5_000;
/** After so many restarts in vain the connection itself is to blame. */
const RESTARTS_MAX = 4;
/** After so many connections in vain, without one that was ever live, it is given up. */
const OPENINGS_MAX = 20;
/** Reports are not made more often than this. */
const REPORT_EVERY_MS = 1_000;
/** The server tells for so long, and is asked again before that is over. */
const OBSERVED_S = 60;
const OBSERVE_EVERY_MS = 45_000;
/**
 * Refusals that do not stand: an upstream that was wanted went away, which is heard soon; a media id is held by what this
 * very client published before.
 */
const PASSING = new Set(["upstreamUnknown", "mediaIdTaken"]);
/** The gateway's word, or ours, after which no other connection is wanted. */
const FINAL_ENDS = new Set(["requested", "replaced", "channelLeft"]);

export class Connection extends Emitter {
  #channel;
  #state = "connecting";
  #since = Date.now();
  #peer = null;
  #key = null;
  #backoff = new Backoff();
  #openings = 0;
  #restarts = 0;
  #restarting = null;
  #leave = () => {};
  /** Resolves when the peer of now is given up: what a closed one was asked for may never settle. */
  _over = Promise.resolve();
  /** Who waits for the first opening. */
  #awaited = null;
  /** Whoever takes care of trouble; a newer one makes it stop. */
  #care = null;
  #before = null;
  #reported = { at: -Infinity, stats: null };
  #observers = 0;
  #observing;

  constructor(channel) {
    super();
    this.#channel = channel;
  }

  get channel() {
    return this.#channel;
  }

  get state() {
    return this.#state;
  }

  get since() {
    return this.#since;
  }

  get peer() {
    return this.#peer;
  }

  /** The gateway's name of the connection; null while there is none. */
  get _key() {
    return this.#key;
  }

  stats() {
    if (!this.#peer)
      return Promise.reject(new TidewireError("connectionClosed", "there is no connection to report on"));
    const now = performance.now();
    if (now - this.#reported.at >= REPORT_EVERY_MS) this.#reported = { at: now, stats: this.#report(this.#peer) };
    return this.#reported.stats;
  }

  observe(listener) {
    const off = this.on("statistics", ({ statistics }) => listener(statistics));
    this.#observers += 1;
    if (this.#observers === 1) this.#beginToObserve();
    let isOn = true;
    return () => {
      off();
      if (isOn) this.#observers -= 1;
      if (isOn && this.#observers === 0) this.#endToObserve();
      isOn = false;
    };
  }

  #beginToObserve() {
    if (this.#state === "closed") return;
    this.#observing = setInterval(() => this.#askFor(OBSERVED_S), OBSERVE_EVERY_MS);
    this.#askFor(OBSERVED_S);
  }

  #endToObserve() {
    clearInterval(this.#observing);
    this.#askFor(0);
  }

  /** That it is refused is seen by what does not come. */
  #askFor(seconds) {
    if (this.#key) this.#channel._ask({ type: "observe", connection: this.#key, seconds }).catch(() => {});
  }

  async #report(peer) {
    const now = read(await peer.getStats());
    const stats = report(this.#before, now);
    this.#before = now;
    return stats;
  }

  _hear(event) {
    if (event.type === "closed") this._reopen(event.reason);
    if (event.type === "statistics") this._emit("statistics", { statistics: event.statistics });
  }

  /**
   * Opens for the first time. Whoever waits for it is told of a refusal at once; where nobody does, one that may pass is
   * tried again.
   */
  _open() {
    void this.#openUntilItIs(this.#takeCare(), "requested", 0);
  }

  /** Opens for the first time, and rejects with the refusal. */
  _opened() {
    return new Promise((resolve, reject) => {
      this.#awaited = { resolve, reject };
      this._open();
    });
  }

  /** The server's end is gone for this reason: another connection takes its place, unless the reason is final. */
  _reopen(reason) {
    if (this.#state === "closed") return;
    if (FINAL_ENDS.has(reason)) return this._end(reason);
    this.#dismantle();
    this.#turn("connecting", reason);
    void this.#openUntilItIs(this.#takeCare(), reason, this.#backoff.next());
  }

  _end(reason, error = new TidewireError("connectionClosed", `it ended: ${reason}`)) {
    if (this.#state === "closed") return;
    this.#dismantle();
    this.#care?.abort();
    clearInterval(this.#observing);
    this.#turn("closed", reason);
    this.#waitNoMore().reject(error);
    this._ended(reason, error);
  }

  _complain(error) {
    this.#channel.client._complain(peerError(error), this.#channel);
  }

  /** Opens a connection on this peer, and names it. */
  async _establish(_peer) {}

  /** Restarts the peer's ICE. */
  async _restart(_peer) {}

  /** It is closed for good. */
  _ended(_reason, _error) {}

  #raise() {
    this.#dismantle();
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: this.#channel.client._iceServers });
    this.#peer = peer;
    this._over = new Promise((resolve) => (this.#leave = resolve));
    this.#restarts = 0;
    this.#restarting = null;
    this.#before = null;
    this.#reported.at = -Infinity;
    peer.onconnectionstatechange = () => this.#see(peer.connectionState);
    return peer;
  }

  /** The gateway has named the connection on this peer. Called before anything else is heard of it. */
  _name(peer, key) {
    const { client } = this.#channel;
    if (peer !== this.#peer || this.#state === "closed") {
      // Given up while it was opened.
      client._ask({ type: "close", connection: key }).catch(() => {});
      return;
    }
    this.#key = key;
    client._know(key, this);
    if (this.#observers > 0) this.#askFor(OBSERVED_S);
  }

  #dismantle() {
    if (this.#key) this.#channel.client._forget(this.#key);
    this.#key = null;
    if (!this.#peer) return;
    this.#peer.onconnectionstatechange = null;
    this.#peer.close();
    this.#peer = null;
    this.#leave();
  }

  async #openUntilItIs(care, reason, firstPauseMs) {
    await pause(firstPauseMs, care);
    while (!care.aborted) {
      this.#openings += 1;
      if (this.#openings > OPENINGS_MAX) return this._end(reason);
      try {
        await this.#channel.client._registered();
        if (care.aborted) return;
        const peer = this.#raise();
        await this._establish(peer);
        if (peer === this.#peer) this.#waitNoMore().resolve();
        return;
      } catch (failure) {
        if (care.aborted) return;
        const error = peerError(failure);
        const pauseMs = this.#pauseAfter(error);
        if (pauseMs === null) return this._end(error.code, error);
        await pause(pauseMs, care);
      }
    }
  }

  /** How long to wait before the next attempt; null for a refusal that stands. */
  #pauseAfter(error) {
    if (error.code === "linkLost" || (PASSING.has(error.code) && !this.#awaited)) return this.#backoff.next();
    return this.#awaited ? null : pauseAfter(error);
  }

  #waitNoMore() {
    const awaited = this.#awaited;
    this.#awaited = null;
    return awaited ?? { resolve() {}, reject() {} };
  }

  #see(state) {
    if (state === "connected") return this.#settle();
    if (state === "disconnected") return this.#worry(HICCUP_MS);
    if (state === "failed") return this.#worry(0);
  }

  #settle() {
    this.#care?.abort();
    this.#backoff.reset();
    this.#openings = 0;
    this.#restarts = 0;
    this.#turn("live");
  }

  #worry(afterMs) {
    this.#turn("interrupted");
    void this.#mend(this.#takeCare(), afterMs);
  }

  async #mend(care, afterMs) {
    await pause(afterMs, care);
    while (this.#restarts < RESTARTS_MAX && !care.aborted) {
      this.#restarts += 1;
      // One that is under way answers for this one, too.
      const restarting = (this.#restarting ??= this._restart(this.#peer));
      try {
        await restarting;
      } catch {
        // Whatever it was, another connection is the way out.
        break;
      } finally {
        // That of the next peer may be under way by now.
        if (restarting === this.#restarting) this.#restarting = null;
      }
      await pause(RESTART_MS_MAX, care);
    }
    if (!care.aborted) this._abandon("consentExpired");
  }

  /** Ends the connection at the server, and opens another. */
  _abandon(reason) {
    if (this.#key) this.#channel._ask({ type: "close", connection: this.#key }).catch(() => {});
    this._reopen(reason);
  }

  #takeCare() {
    this.#care?.abort();
    this.#care = new AbortController();
    return this.#care.signal;
  }

  #turn(state, reason) {
    if (state === this.#state) return;
    this.#state = state;
    this.#since = Date.now();
    this._emit("state", { state, since: this.#since, reason });
  }
}
