// A TCP relay in front of a server, which breaks a connection as a network does: in the middle of what it carries.

import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { until } from "./until.mjs";

export class Relay {
  #server;
  #sockets = new Set();
  /** The newest WebSocket that goes through. */
  #carried = null;
  /** How often it broke one in the middle of something. */
  torn = 0;

  static async start(origin) {
    const relay = new Relay();
    const { hostname, port } = new URL(origin);
    relay.#server = createServer((near) => relay.#carry(near, connect(port, hostname)));
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    relay.origin = `http://127.0.0.1:${relay.#server.address().port}`;
    return relay;
  }

  /** Waits for a WebSocket, be it greeted or not. */
  carries() {
    return until("a WebSocket through the relay", () => this.#carried);
  }

  /**
   * Breaks the WebSocket within what goes `up` or `down` next; where nothing goes `within_ms`, between two frames. The
   * server learns of it `later_ms` after its client: its end is still there when the next one comes.
   */
  async cut(direction, within_ms, later_ms) {
    const carried = await this.carries();
    Object.assign(carried, { cut: direction, later_ms });
    await Promise.race([carried.over, pause(within_ms)]);
    this.#break(carried);
  }

  stop() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(near, far) {
    const pair = { near, far, cut: null, later_ms: 0, over: new Promise((resolve) => near.once("close", resolve)) };
    near.once("data", (chunk) => {
      if (/^GET \/v1\//.test(chunk.toString("latin1"))) this.#carried = pair;
    });
    this.#hand(pair, "up", near, far);
    this.#hand(pair, "down", far, near);
  }

  #hand(pair, direction, from, to) {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (chunk) => {
      if (pair.cut !== direction) return to.write(chunk);
      this.torn += 1;
      to.write(chunk.subarray(0, chunk.length / 2), () => this.#break(pair));
      pair.cut = "both";
      from.pause();
    });
    // Its end is all there is to know of a socket that breaks.
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      if (this.#carried === pair) this.#carried = null;
      if (from === pair.far || pair.later_ms === 0) to.destroy();
    });
  }

  #break({ near, far, later_ms }) {
    near.resetAndDestroy();
    setTimeout(() => far.resetAndDestroy(), later_ms).unref();
  }
}
