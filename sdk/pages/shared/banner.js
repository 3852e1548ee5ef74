// The banner: what is wrong with the connections at present, what is being done about it, and since when.
//
// It listens to a client and to the connections that it is handed; it mends nothing, for the SDK does.

import { $, h } from "./ui.js";

export class Banner {
  #offs = [];
  #connections = new Set();
  #timer;

  /** `onAgain`: what the button does when all is over. */
  constructor(root, onAgain) {
    root.append(h("span.spin", { "aria-hidden": "true" }), h("p", { role: "status" }),
      h("button", { type: "button", hidden: true, onclick: onAgain }, "Join again"));
    this.root = root;
    root.hidden = true;
  }

  watch(client) {
    this.stop();
    Object.assign(this, { client, reason: undefined });
    this.#offs.push(client.on("state", ({ reason }) => { this.reason = reason; this.#draw(); }));
    this.#timer = setInterval(() => this.#draw(), 1000);
  }

  /** `what`: how the connection is called in the banner. */
  add(connection, what) {
    if (!connection || this.#connections.has(connection)) return;
    connection.what = what;
    this.#connections.add(connection);
    this.#offs.push(connection.on("state", () => {
      if (connection.state === "closed") this.#connections.delete(connection);
      this.#draw();
    }));
  }

  stop() {
    for (const off of this.#offs.splice(0)) off();
    clearInterval(this.#timer);
    this.#connections.clear();
    this.client = undefined;
    this.root.hidden = true;
  }

  #draw() {
    const trouble = this.#trouble();
    this.root.hidden = !trouble;
    if (!trouble) return;
    this.root.dataset.kind = trouble.kind;
    $("button", this.root).hidden = trouble.kind !== "gone";
    const line = $("p", this.root);
    if (line.textContent !== trouble.text) line.textContent = trouble.text;
  }

  #trouble() {
    const { client } = this;
    if (!client) return undefined;
    if (client.state === "gone") return { kind: "gone", text: ENDS[this.reason] ?? "The connection to the server is over." };
    if (client.state === "interrupted") {
      return { kind: "wait", text: `The connection to the server is lost${since(client)}. Pictures and sound go on; what you write is sent as soon as it is back.` };
    }
    if (client.state === "connecting") return { kind: "wait", text: `Connecting to the server${since(client)}. You are brought back to where you were.` };
    const lost = [...this.#connections].find(({ state }) => state === "interrupted");
    if (lost) return { kind: "wait", text: `${lost.what} are interrupted${since(lost)}. Another way through the network is being sought.` };
    return undefined;
  }
}

/** Says the seconds only once they begin to matter: a short gap needs no clock. */
function since({ since: at }) {
  const seconds = Math.floor((Date.now() - at) / 1000);
  return seconds < 5 ? "" : `, for ${seconds - (seconds % 5)} s now`;
}

const ENDS = {
  replaced: "You joined from another page with the same identity, so this one has stopped.",
  socketReplaced: "Another page took this connection over.",
  shutdown: "The server is shutting down.",
  refused: "The server did not let you back in: the token's time may be over.",
  resumeUnknown: "The server has forgotten this page.",
  protocolViolation: "The server ended the connection: page and server do not understand each other. Reload the page.",
};
