// A gathering: one client in one channel, and what every page shows of that: who is there, what is said, what is wrong.
//
// A page extends it by what it is for: `enter` when one is in, `draw` whenever something changed, `exit` when one is out.
// One gathering is one stay; the next has another.

import { Client } from "/sdk/tidewire.js";
import { Banner } from "./banner.js";
import { Cast, nameOf } from "./cast.js";
import { Chat } from "./chat.js";
import { explain } from "./entry.js";
import { Frame } from "./frame.js";
import { People } from "./people.js";
import { Explanation } from "./quality.js";
import { Side } from "./side.js";
import { Stage } from "./stage.js";
import { toast } from "./ui.js";

export class Gathering {
  #offs = [];
  #end;
  #over = new AbortController();
  /** What was said last while the chat was closed. */
  #notice;

  /** `label`: “call” or “broadcast”. `hasFaces`: whether people without media get a tile. `tag`: what one is to the others. */
  constructor({ label, hasFaces, tag }) {
    Object.assign(this, { label, tag });
    const frame = this.frame = new Frame(label);
    this.stage = new Stage(frame.tiles, (left) => this.#overflow(left));
    this.cast = new Cast(this.stage, { onExplain: (tile) => this.explain(tile), shows: (upstream) => this.shows(upstream), hasFaces });
    this.side = new Side(frame.side, (view) => this.#viewed(view));
    this.chat = new Chat(frame, {
      send: (text) => this.channel.send(text),
      isSeen: () => this.side.view === "chat" && !document.hidden,
      onUnread: (count) => this.unread?.(count),
    });
    this.people = new People(frame.people, { isSeen: () => this.side.view === "people", actions: (member) => this.actions(member) });
    this.explanation = new Explanation(frame.explanation);
    this.banner = new Banner(frame.banner, () => this.leave("The connection was over."));
  }

  /** Ends with the stay: for listeners on the window and the document. */
  get signal() {
    return this.#over.signal;
  }

  /** Registers and joins. Throws what went wrong; `onTrouble(problem)` hears that it takes long. */
  async join({ name, channel, token }, onTrouble = () => {}) {
    const client = new Client({ url: location.origin, token, userAlias: name, ...(this.tag && { tag: this.tag }) });
    const late = setTimeout(() => onTrouble({ title: "The server cannot be reached yet", detail: "It is tried again and again; you are let in as soon as it answers." }), LATE_MS);
    try {
      await client.register();
      this.channel = client.channels.get(channel);
      if (!this.channel) throw Object.assign(new Error(`The token does not let you into “${channel}”.`), { code: "tokenMissingChannelClaim" });
    } catch (error) {
      client.unregister();
      throw error;
    } finally {
      clearTimeout(late);
    }
    Object.assign(this, { client, name });
  }

  /** The stay itself; resolves with a farewell when it is over. */
  async run() {
    const ended = new Promise((resolve) => { this.#end = resolve; });
    this.frame.show();
    this.frame.title.textContent = this.channel.name;
    this.chat.line(`You joined ${this.channel.name}`);
    this.#allowChat();
    this.people.watch(this.channel, () => this.name);
    this.banner.watch(this.client);
    this.cast.watch(this.channel);
    this.#listen();
    this.frame.title.focus({ preventScroll: true });
    await this.enter();
    if (this.#end) this.changed();
    return ended;
  }

  // What a page adds.

  async enter() {}
  draw() {}
  exit() {}
  shows() { return true; }
  actions() { return []; }

  /** Something is not as it was: everything that shows it is drawn anew. */
  changed() {
    if (!this.#end) return;
    this.banner.add(this.channel.downstream, "Pictures and sound of the others");
    this.people.draw();
    this.draw();
  }

  /** Listens for as long as the stay lasts. */
  on(source, name, listener) {
    this.#offs.push(source.on(name, listener));
  }

  explain(tile) {
    const { report, decisions, observe } = tile;
    this.explanation.open(tile.mine ? "What you send" : `What you get from ${tile.name}`, { read: async () => report?.() ?? null, decisions, observe });
    this.side.open("explain");
  }

  /** Says what failed, with something to do about it. */
  complain(what, error, action) {
    const { title, detail, advice } = explain(error);
    toast(`${what} ${title}. ${advice || detail}`, action);
  }

  leave(farewell) {
    const end = this.#end;
    if (!end) return;
    this.#end = undefined;
    this.#over.abort();
    for (const off of this.#offs.splice(0)) off();
    this.exit();
    this.banner.stop();
    this.explanation.close();
    this.client.unregister();
    this.cast.stop();
    this.stage.stop();
    this.frame.close();
    end(farewell);
  }

  #listen() {
    const { channel, client, signal } = this;
    const changed = () => this.changed();
    this.on(channel, "memberjoined", ({ member }) => this.#happened(`${nameOf(member)} joined`));
    this.on(channel, "memberleft", ({ member, reason }) => this.#happened(`${nameOf(member)} ${DEPARTURES[reason] ?? "left"}`));
    for (const name of ["memberupdated", "upstreamopened", "upstreamupdated", "upstreamclosed"]) this.on(channel, name, changed);
    this.on(channel, "message", (message) => this.#hear(message));
    this.on(channel, "rightschanged", () => { this.#allowChat(); this.changed(); });
    this.on(channel, "lost", ({ messages }) => messages && this.chat.line(`This page was too busy: ${messages} messages are lost`));
    this.on(channel, "kicked", ({ by }) => { this.kickedBy = nameOf(channel.members.get(by)); });
    this.on(channel, "left", ({ reason }) => {
      if (reason === "kicked") this.leave(`You were removed from the ${this.label} by ${this.kickedBy ?? "somebody"}.`);
      if (reason === "refused") this.leave("The server did not let you back in: the token's time may be over.");
    });
    this.on(client, "error", ({ error }) => this.complain("", error));
    this.on(client, "registered", ({ again }) => again && this.chat.line("The connection was lost for long; you are back"));
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.side.view === "chat") this.chat.seen(); }, { signal });
  }

  #happened(text) {
    if (this.channel.members.size <= CROWD) this.chat.line(text);
    this.changed();
  }

  #hear({ from, mine, text }) {
    if (text === undefined) return;
    this.chat.message({ key: from.clientId, name: nameOf(from), text, mine });
    if (mine || this.side.view === "chat") return;
    this.#notice?.remove();
    this.#notice = toast(`${nameOf(from)}: ${text.length > 80 ? `${text.slice(0, 80)} …` : text}`, ["Open", () => this.side.open("chat")]);
  }

  #allowChat() {
    this.chat.allow(this.channel.rights.sendMessages, "You may not write here");
  }

  #viewed(view) {
    this.viewed?.(view);
    if (view === "chat") {
      this.#notice?.remove();
      this.chat.seen();
    }
    if (view === "people") this.people.draw();
    if (view !== "explain") this.explanation.close();
  }

  #overflow(left) {
    this.frame.overflow.hidden = left === 0;
    this.frame.overflow.textContent = `and ${left} more`;
  }
}

/** Among more people nobody wants to read who comes and goes. */
const CROWD = 20;
/** From then on people want to know what they wait for. */
const LATE_MS = 4000;
const DEPARTURES = { leaseExpired: "was away for too long and is gone", kicked: "was removed" };
