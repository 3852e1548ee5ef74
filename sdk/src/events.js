// Telling what happens: named events with one object each, listeners that are taken off by what `on` returned.

import { TidewireError } from "./errors.js";

export class Emitter {
  #listeners = new Map();

  on(name, listener) {
    // A wrapper for each call, so that one function may listen twice and be taken off once.
    const entry = { listener };
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(entry);
    return () => void this.#listeners.get(name).delete(entry);
  }

  next(name, options) {
    const signal = options?.signal;
    return new Promise((resolve, reject) => {
      const abort = () => {
        off();
        reject(new TidewireError("aborted", `nobody waits for ${name} any more`));
      };
      const off = this.on(name, (event) => {
        off();
        signal?.removeEventListener("abort", abort);
        resolve(event);
      });
      if (signal?.aborted) abort();
      else signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** A listener that throws is reported as any uncaught error is, and keeps nothing from the others. */
  _emit(name, event) {
    for (const { listener } of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
