// The door: which channel, under what name, and whether to send or to watch.

import { CHANNEL, explain, freshChannel, isLocal, keepToken, readAddress, tokenSource } from "../shared/entry.js";
import { $, h, memory, showProblem } from "../shared/ui.js";

export class Door {
  #isFirst = true;

  constructor() {
    $("#name").value = memory.local.read("name") ?? "";
    $("#title").value = memory.local.read("title") ?? "";
    $("#token").placeholder = isLocal ? "made for you" : "paste it here";
    $("#token-rule").replaceChildren(isLocal
      ? "On this machine the server makes one for you. From elsewhere: "
      : "The server makes tokens only for its own machine. Its owner prints them with ",
      h("code", {}, "tidewire token --type register --channel …"), ", for you with ", h("code", {}, "--can-update"), ", for viewers with ", h("code", {}, "--watch-only"), ".");
    $("#common").addEventListener("submit", (event) => event.preventDefault());
    this.address = readAddress();
    this.#fillIn();
    addEventListener("hashchange", () => { this.address = readAddress(); this.#fillIn(); });
  }

  /** Resolves with what `join(entry, onTrouble)` made of the wish. `farewell`: why one is here again. */
  async enter(farewell, join) {
    $("#ended").hidden = !farewell;
    $("#ended").textContent = farewell;
    for (let problem = null; ; ) {
      showProblem($("#problem"), problem);
      if (problem?.needsToken) $("#token-more").open = true;
      const entry = this.#comesToWatch() ? this.#entry(false) : await this.#submitted();
      this.#isFirst = false;
      this.#busy(true);
      try {
        return await join(entry, (trouble) => showProblem($("#problem"), trouble));
      } catch (error) {
        problem = explain(error);
      } finally {
        this.#busy(false);
      }
    }
  }

  /** A watch link leads straight to the picture, where a token is to be had. */
  #comesToWatch() {
    const { channel, flags, token } = this.address;
    return this.#isFirst && CHANNEL.test(channel) && !flags.has("host") && (isLocal || token);
  }

  #submitted() {
    return new Promise((resolve) => {
      const over = new AbortController();
      for (const [id, isHost] of [["#host", true], ["#watch", false]]) {
        $(id).addEventListener("submit", (event) => {
          event.preventDefault();
          if (!$("#common").reportValidity()) return;
          over.abort();
          resolve(this.#entry(isHost));
        }, { signal: over.signal });
      }
    });
  }

  #entry(isHost) {
    const channel = $("#channel").value.trim().toLowerCase();
    const given = $("#name").value.trim();
    if (given) memory.local.write("name", given);
    const title = $("#title").value.trim();
    memory.local.write("title", title);
    const pasted = $("#token").value.trim();
    keepToken(pasted);
    const rights = isHost ? { canUpdate: 1 } : { watchOnly: 1 };
    return { channel, name: given || guestName(), title, isHost, token: tokenSource(channel, pasted, rights) };
  }

  #fillIn() {
    const { channel, token, flags } = this.address;
    if (CHANNEL.test(channel)) $("#channel").value = channel;
    $("#channel").value ||= freshChannel();
    if (token) $("#token").value = token;
    if (!isLocal && !$("#token").value) $("#token-more").open = true;
    if (flags.has("host")) $("#title").focus({ preventScroll: true });
  }

  #busy(isBusy) {
    for (const button of document.querySelectorAll(".way button")) button.disabled = isBusy;
  }
}

/** The same guest after a reload. */
function guestName() {
  let number = memory.tab.read("guest");
  if (!number) {
    number = String(100 + Math.floor(Math.random() * 900));
    memory.tab.write("guest", number);
  }
  return `Guest ${number}`;
}
