// The list of people in a channel: who is there, what is muted, and what may be done about them.

import { icon } from "./icons.js";
import { nameOf } from "./cast.js";
import { h } from "./ui.js";

export class People {
  #planned = false;

  /** `isSeen()`: whether the list is open. `actions(member)`: `[label, what to do]` for each. */
  constructor(root, { isSeen, actions = () => [] }) {
    Object.assign(this, { root, isSeen, actions });
  }

  watch(channel, me) {
    Object.assign(this, { channel, me });
    this.draw();
  }

  /** Once for all changes of this moment, and only while somebody looks. */
  draw() {
    if (this.#planned || !this.channel || !this.isSeen()) return;
    this.#planned = true;
    requestAnimationFrame(() => {
      this.#planned = false;
      this.#draw();
    });
  }

  #draw() {
    const { members } = this.channel;
    const others = [...members.values()].sort((a, b) => rank(b) - rank(a) || nameOf(a).localeCompare(nameOf(b)));
    const rows = others.slice(0, ROWS_MAX).map((member) => this.#row(member));
    const left = others.length - rows.length;
    this.root.replaceChildren(this.#own(), ...rows, ...(left > 0 ? [h("li.soft", {}, `and ${left} more`)] : []));
  }

  #own() {
    return h("li", {}, dot(this.me()), h("span.who", {}, `${this.me()} (you)`));
  }

  #row(member) {
    const name = nameOf(member);
    const sends = [...this.channel.upstreams.values()].filter(({ clientId }) => clientId === member.clientId);
    const row = h("li", { dataset: { client: member.clientId } }, dot(name), h("span.who", { title: name }, name), h("span.signs", {}, ...signs(member, sends)));
    for (const [label, act] of this.actions(member)) row.append(h("button", { type: "button", onclick: act, "aria-label": `${label}: ${name}` }, label));
    return row;
  }
}

/** Rows in the page at most: nobody reads further. */
const ROWS_MAX = 200;

/** Raised hands come first. */
const rank = (member) => (member.tag === "hand" ? 1 : 0);

function dot(name) {
  const element = h("span.dot", { "aria-hidden": "true" }, [...name.trim()][0]?.toUpperCase() ?? "");
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  element.style.setProperty("--hue", String(sum));
  return element;
}

function signs(member, sends) {
  const sign = (name, label) => h("span", {}, icon(name), h("span.unseen", {}, label));
  const found = [];
  if (member.tag === "hand") found.push(sign("hand", "hand raised"));
  if (member.tag === "host") found.push(sign("live", "broadcaster"));
  if (sends.some(({ content }) => content === "screen")) found.push(sign("share", "shares a screen"));
  const camera = sends.find(({ content }) => content === "camera");
  if (!camera) found.push(sign("eye", "watches"));
  else {
    if (camera.audio && camera.audioMuted) found.push(sign("micOff", "microphone off"));
    if (camera.video && camera.videoMuted) found.push(sign("cameraOff", "camera off"));
  }
  return found;
}
