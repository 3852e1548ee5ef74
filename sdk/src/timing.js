// Waiting: pauses that grow, pauses that can be cut short, and work of which only the latest matters.

const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 5_000;
/** What is refused so often in a row is given up. */
const TRIES_MAX = 8;

/** Pauses between attempts: 100 ms, doubling to 5 s, a random part taken off so that clients do not return in step. */
export class Backoff {
  #pauseMs = PAUSE_MS_MIN;

  next() {
    const pauseMs = this.#pauseMs * (1 - Math.random() / 2);
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX);
    return pauseMs;
  }

  reset() {
    this.#pauseMs = PAUSE_MS_MIN;
  }
}

/** Resolves after `ms`, or as soon as the signal says so. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** How long to wait after an error that says so; null after others. */
export function pauseAfter({ retryAfterS }) {
  return retryAfterS === undefined ? null : retryAfterS * 1_000;
}

/** Does something again while it is refused for now: bounded, and only until the signal. */
export async function insist(act, signal, pauseMsAfter = pauseAfter) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      const pauseMs = pauseMsAfter(error);
      if (pauseMs === null || tries === TRIES_MAX || signal.aborted) throw error;
      await pause(pauseMs, signal);
    }
  }
}

/**
 * Does something as often as needed for the newest state to be taken up, never twice at a time. What is asked for in one
 * turn of the page's loop, or while it is being done, is done once.
 */
export class Latest {
  #act;
  #wanted = false;
  #running = false;
  /** Resolves when nothing is left to do. */
  idle = Promise.resolve();

  constructor(act) {
    this.#act = act;
  }

  want() {
    this.#wanted = true;
    if (!this.#running) this.idle = this.#run();
  }

  async #run() {
    this.#running = true;
    await null;
    try {
      while (this.#wanted) {
        this.#wanted = false;
        await this.#act();
      }
    } finally {
      this.#running = false;
    }
  }
}
