// One direction of a link that outlives its sockets: frames numbered from 1, kept until the other end has seen them.
// The counterpart of the gateway's lane, under the same rules. Pure.

/** More than a page ever has under way; a gateway that acknowledges nothing for so long is not there. */
const FRAMES_MAX = 512;
const LENGTH_MAX = 4 * 1024 * 1024;

/** Messages that were numbered and are not acknowledged yet, as text. */
export class Outbox {
  #first = 1;
  #waiting = [];
  #length = 0;

  /** The message's number, or 0 when there is no room. One message always fits into an empty outbox. */
  push(text) {
    const full = this.#waiting.length >= FRAMES_MAX || this.#length + text.length > LENGTH_MAX;
    if (full && this.#waiting.length > 0) return 0;
    this.#waiting.push(text);
    this.#length += text.length;
    return this.last;
  }

  /** Forgets what the other end has seen; false when that was never sent. */
  acknowledge(seen) {
    if (seen > this.last) return false;
    while (this.#first <= seen) {
      this.#length -= this.#waiting.shift().length;
      this.#first += 1;
    }
    return true;
  }

  /** What lies beyond `seen`, with its numbers, for a new socket; null when it is not kept any longer. */
  beyond(seen) {
    if (seen > this.last || seen + 1 < this.#first) return null;
    return this.#waiting.map((text, at) => [this.#first + at, text]).slice(seen + 1 - this.#first);
  }

  get last() {
    return this.#first + this.#waiting.length - 1;
  }

  get isEmpty() {
    return this.#waiting.length === 0;
  }
}

/** What has come in. */
export class Inbox {
  seen = 0;

  /** `new`: the next in order; `again`: it was sent again; `gap`: the two ends do not remember the same link. */
  take(n) {
    if (n <= this.seen) return "again";
    if (n !== this.seen + 1) return "gap";
    this.seen = n;
    return "new";
  }
}
