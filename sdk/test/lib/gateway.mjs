// A gateway of the tests' own: the lane and the greeting as the wire specification has them, real sockets, answers that
// the test gives. It checks what it is sent as strictly as the real one, and throws what it finds into the test.

import { once } from "node:events";

import { WebSocket, WebSocketServer } from "ws";

globalThis.WebSocket = WebSocket;

export const member = (clientId, more = {}) => ({
  clientId,
  userId: `${clientId}'s user`,
  deviceId: "device",
  ...more,
});
export const rights = {
  sendAudio: true,
  sendVideo: true,
  sendMessages: true,
  sfu: true,
  kick: false,
  update: false,
  hidden: false,
};
export const channel = (name, more = {}) => ({ channel: name, rights, members: [], upstreams: [], ...more });
export const upstream = (id, more = {}) => ({
  upstream: id,
  audio: true,
  video: true,
  audioMuted: false,
  videoMuted: false,
  content: "camera",
  ...more,
});

export class Gateway {
  #server;
  #lines = new Map();
  #keys = 0;
  leaseS = 30;
  /** Channels that a registration finds. */
  channels = [channel("sea")];
  /** Answers by type of request: a function from request to reply, or to `{ refused }`, or to a promise of either. */
  answers = {};
  /** Every request, once, in order. */
  requests = [];
  /** Frames that came twice; those that only acknowledge. */
  doubled = 0;
  acknowledgements = 0;
  sockets = 0;
  faults = [];

  static async start(answers = {}, port = 0) {
    const gateway = new Gateway();
    gateway.answers = answers;
    gateway.#server = new WebSocketServer({ port, host: "127.0.0.1" });
    gateway.#server.on("connection", (socket) => gateway.#greet(socket));
    await once(gateway.#server, "listening");
    gateway.url = `http://127.0.0.1:${gateway.#server.address().port}`;
    return gateway;
  }

  async stop() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** The line of the client that registered last. */
  get line() {
    return [...this.#lines.values()].at(-1);
  }

  tell(event) {
    this.line.push({ type: "event", event });
  }

  /** Breaks every socket off, as a network does. */
  cut() {
    for (const socket of this.#server.clients) socket.terminate();
  }

  forget() {
    this.#lines.clear();
    this.cut();
  }

  /** Requests of a type. */
  asked(type) {
    return this.requests.filter((request) => request.type === type);
  }

  #greet(socket) {
    this.sockets += 1;
    socket.once("message", (data) => {
      const { n, m } = JSON.parse(data);
      if (m.type === "register") return this.#register(socket, n, m);
      if (m.type !== "resume") return this.faults.push(`the first frame is ${m.type}`);
      const line = this.#lines.get(m.key);
      if (!line) return this.#end(socket, "resumeUnknown");
      line.resume(socket, m.seen);
    });
  }

  #register(socket, n, request) {
    if (n !== 1) this.faults.push(`register is numbered ${n}`);
    this.requests.push(request);
    const refused = this.answers.register?.(request);
    if (refused) {
      socket.send(JSON.stringify({ n: 1, seen: 1, m: { type: "refused", to: 1, ...refused.refused } }));
      return socket.close();
    }
    const key = String((this.#keys += 1)).padStart(32, "0");
    const line = new Line(this, socket);
    this.#lines.set(key, line);
    const reply = { type: "registered", client: member("me"), key, leaseS: this.leaseS, channels: this.channels };
    line.push({ type: "reply", to: 1, reply });
  }

  #end(socket, reason) {
    socket.send(JSON.stringify({ m: { type: "ended", reason } }));
    socket.close();
  }

  async take(line, n, request) {
    this.requests.push(request);
    const answer = (await this.answers[request.type]?.(request, n)) ?? { type: "done" };
    if (answer.refused) line.push({ type: "refused", to: n, detail: "", ...answer.refused });
    else line.push({ type: "reply", to: n, reply: answer });
  }
}

/** The gateway's two halves of one client's lanes. */
class Line {
  #gateway;
  #socket;
  #sent = [];
  seen = 1;
  /** What the client has acknowledged. */
  acknowledged = 0;

  constructor(gateway, socket) {
    this.#gateway = gateway;
    this.#take(socket);
  }

  push(message) {
    this.#sent.push(message);
    this.#write(this.#sent.length);
  }

  /** Sends a frame again over the same socket, as if the two ends disagreed about what was seen. */
  repeat(n) {
    this.#write(n);
  }

  end(reason) {
    this.#socket.send(JSON.stringify({ m: { type: "ended", reason } }));
    this.#socket.close();
  }

  /** Leaves a number out. */
  omit() {
    this.#sent.push({ type: "event", event: { type: "nothing" } });
  }

  resume(socket, seen) {
    this.#socket.terminate();
    if (seen < this.acknowledged) this.#gateway.faults.push(`resumed at ${seen}, behind ${this.acknowledged}`);
    socket.send(JSON.stringify({ m: { type: "resumed", seen: this.seen } }));
    this.#take(socket);
    for (let n = seen + 1; n <= this.#sent.length; n += 1) this.#write(n);
  }

  #take(socket) {
    this.#socket = socket;
    socket.on("message", (data) => this.#read(JSON.parse(data)));
  }

  #write(n) {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ n, seen: this.seen, m: this.#sent[n - 1] }));
  }

  #read({ n, seen, m }) {
    if (seen > this.#sent.length) this.#gateway.faults.push(`acknowledged ${seen} of ${this.#sent.length}`);
    if (seen !== undefined) this.acknowledged = Math.max(this.acknowledged, seen);
    if (m?.type === "resume" || m?.type === "register") return;
    if (n === undefined) {
      this.#gateway.acknowledgements += 1;
    } else if (n <= this.seen) {
      this.#gateway.doubled += 1;
    } else if (n !== this.seen + 1) {
      this.#gateway.faults.push(`${n} after ${this.seen}`);
    } else {
      this.seen = n;
      void this.#gateway.take(this, n, m);
    }
  }
}
