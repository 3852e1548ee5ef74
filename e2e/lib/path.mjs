// A UDP path in front of a media server, which takes its time and loses packets of media on their way down. A page goes by it
// where the server's candidates are given its port (`through` in edits.mjs).

import { createSocket } from "node:dgram";
import { once } from "node:events";

/** A browser checks from each of its addresses. */
const CLIENTS_MAX = 16;

export class Path {
  #near = createSocket("udp4");
  /** By a client's address, the socket that the server knows it by. */
  #clients = new Map();
  #serverPort;
  #delay_ms;
  #isLost;
  #isOpen = true;
  /** Packets of media that went down, and those that were lost of them. */
  carried = 0;
  lost = 0;

  /** `delay_ms` each way; `loss`: of a hundred packets of media that go down, so many do not arrive. */
  static async start(server, { delay_ms = 0, loss = 0, seed = 1 } = {}) {
    const path = new Path();
    const draw = draws(seed);
    path.#serverPort = server.mediaPort;
    path.#delay_ms = delay_ms;
    path.#isLost = () => 100 * draw() < loss;
    path.#near.on("message", (datagram, from) => path.#goUp(datagram, from));
    path.#near.bind(0);
    await once(path.#near, "listening");
    path.port = path.#near.address().port;
    return path;
  }

  /** What is under way gets lost. */
  stop() {
    this.#isOpen = false;
    for (const socket of [this.#near, ...this.#clients.values()]) socket.close();
  }

  #goUp(datagram, from) {
    const client = this.#clientAt(from);
    this.#later(() => client?.send(datagram, this.#serverPort, from.address));
  }

  #clientAt({ address, port }) {
    const name = `${address} ${port}`;
    const known = this.#clients.get(name);
    if (known || this.#clients.size === CLIENTS_MAX) return known;
    const socket = createSocket("udp4").bind(0);
    socket.on("message", (datagram) => this.#goDown(datagram, { address, port }));
    this.#clients.set(name, socket);
    return socket;
  }

  #goDown(datagram, { address, port }) {
    if (isMedia(datagram)) {
      this.carried += 1;
      if (this.#isLost()) return void (this.lost += 1);
    }
    this.#later(() => this.#near.send(datagram, port, address));
  }

  #later(act) {
    if (this.#delay_ms === 0) act();
    else setTimeout(() => this.#isOpen && act(), this.#delay_ms);
  }
}

/** RFC 7983, RFC 5761 4: neither STUN nor DTLS nor RTCP. */
function isMedia([first, second]) {
  const type = second & 0x7f;
  return first >= 128 && first < 192 && !(type >= 64 && type < 96);
}

function draws(seed) {
  let random = seed + 1;
  return () => (random = (random * 48_271) % 2_147_483_647) / 2_147_483_647;
}
