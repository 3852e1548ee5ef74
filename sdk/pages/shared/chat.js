// Chat: what is said in a channel, and what happens there, as lines. It sends nothing itself; it is told whom to ask.

import { $, h, linked } from "./ui.js";

export class Chat {
  #log;
  #last;
  unread = 0;

  /** `log` and `write` of a frame. `send(text)` may fail; what was typed then stays. */
  constructor({ log, write }, { send, isSeen, onUnread }) {
    this.#log = log;
    Object.assign(this, { form: write, send, isSeen, onUnread });
    this.input = $("textarea", write);
    this.input.maxLength = TEXT_LEN_MAX;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
  }

  /** Somebody's words. Several of one person's in a row stand under one name. */
  message({ key, name, text, mine }) {
    const now = new Date();
    const goesOn = this.#last?.key === key && now - this.#last.at < GROUP_MS;
    const line = h("div.said", { dataset: { mine: String(mine) } });
    if (!goesOn) line.append(h("p.who", {}, h("b", {}, mine ? "You" : name), " ", h("time", { dateTime: now.toISOString() }, clock(now))));
    line.append(h("p.text", {}, ...linked(text)));
    this.#append(line);
    this.#last = { key, at: now };
    if (!mine && !this.isSeen()) this.#count(this.unread + 1);
  }

  /** Something that happened, as “Ada joined”. */
  line(text) {
    const now = new Date();
    this.#append(h("p.happened", {}, text, " ", h("time", { dateTime: now.toISOString() }, clock(now))));
    this.#last = undefined;
  }

  /** Whether one may write; otherwise why not. */
  allow(mayWrite, why = "") {
    this.input.disabled = !mayWrite;
    this.input.placeholder = mayWrite ? "Write to everybody" : why;
    $("button", this.form).disabled = !mayWrite;
  }

  seen() {
    this.#count(0);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  async #submit() {
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = "";
    try {
      await this.send(text);
    } catch (error) {
      this.input.value ||= text;
      this.line(`Not sent: ${error.detail ?? error.message}`);
    }
  }

  #append(line) {
    const log = this.#log;
    // Who reads further up is not pulled down.
    const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    log.append(line);
    while (log.childElementCount > LINES_MAX) log.firstElementChild.remove();
    if (follows) log.scrollTop = log.scrollHeight;
  }

  #count(unread) {
    this.unread = unread;
    this.onUnread(unread);
  }
}

/** Lines that are kept: an evening's worth; more would only cost memory. */
const LINES_MAX = 500;
/** Well below the 16 KiB that the gateway takes, whatever the script. */
const TEXT_LEN_MAX = 2000;
const GROUP_MS = 120_000;

const clock = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
