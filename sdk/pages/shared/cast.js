// The cast: who and what of a channel stands on the stage. It follows a channel's members and upstreams and makes tiles of
// them; the stage places these.
//
// Invariant: each upstream that is shown has one tile and is subscribed once; a member without a camera has a tile with
// initials, as long as there are few enough to be worth the room.

import { received } from "./decisions.js";
import { route } from "./devices.js";
import { Tile } from "./tile.js";
import { toast } from "./ui.js";

export class Cast {
  #offs = [];
  /** Of each upstream: its tile and its media. */
  #shown = new Map();
  /** Members who have nothing to show: their tiles. */
  #faces = new Map();
  #timer;

  /** `shows(upstream)`: whether it belongs on the stage. `onExplain(tile)`. `hasFaces`: whether members without media get a tile. */
  constructor(stage, { onExplain, shows = () => true, hasFaces = true }) {
    Object.assign(this, { stage, onExplain, shows, hasFaces });
  }

  watch(channel) {
    this.channel = channel;
    for (const member of channel.members.values()) this.#face(member);
    for (const upstream of channel.upstreams.values()) this.#open(upstream);
    this.#offs = [
      channel.on("memberjoined", ({ member }) => this.#face(member)),
      channel.on("memberleft", ({ member }) => this.#unface(member.clientId)),
      channel.on("memberupdated", ({ member }) => this.#rename(member)),
      channel.on("upstreamopened", ({ upstream }) => this.#open(upstream)),
      channel.on("upstreamupdated", ({ upstream }) => this.#update(upstream)),
      channel.on("upstreamclosed", ({ upstream }) => this.#close(upstream)),
      channel.on("speakers", () => this.#hear()),
    ];
    this.#hear();
    this.#timer = setInterval(() => this.#weigh(), 2000);
  }

  stop() {
    for (const off of this.#offs.splice(0)) off();
    clearInterval(this.#timer);
    for (const { remote } of this.#shown.values()) remote.close();
    this.#shown.clear();
    this.#faces.clear();
    this.stage.clear();
  }

  /** A tile on the stage that is none of the channel's: one's own, or one that is watched by media id. */
  add(options) {
    const tile = new Tile({ onExplain: this.onExplain, onPin: (it) => this.stage.togglePin(it), onPick: (it, isTwice) => this.stage.pick(it, isTwice), ...options });
    this.stage.add(tile);
    return tile;
  }

  remove(tile) {
    this.stage.remove(tile);
  }

  /**
   * Ties a tile to media of somebody else's: picture in the size of the tile, loudness, figures, and a word while there is
   * nothing.
   */
  follow(tile, remote, waiting = "connecting …") {
    tile.level = () => remote.level;
    tile.report = () => remote.stats();
    tile.decisions = () => received(remote);
    tile.observe = (listener) => this.channel.downstream?.observe(listener);
    remote.attach(tile.video);
    const play = () => {
      route(tile.video);
      this.play(tile, remote.stream);
    };
    const say = () => tile.waits(remote.state === "waiting" ? waiting : "");
    remote.on("track", ({ track }) => track && play());
    remote.on("state", say);
    say();
    play();
  }

  /** Plays; silently where the browser wants a click before sound, and says so. */
  async play(tile, stream) {
    if (await tile.show(stream)) return;
    tile.video.muted = true;
    tile.play();
    this.onSilenced();
  }

  /** Ends the silence that a browser insisted on: to be called from a click. */
  unsilence() {
    for (const tile of this.stage.tiles) {
      if (tile.mine) continue;
      tile.video.muted = false;
      tile.play();
    }
  }

  /** A page may have a better way to ask for the click. */
  onSilenced() {
    if (this.isAsking) return;
    this.isAsking = true;
    toast("The browser lets sound play only after a click.");
    addEventListener("pointerdown", () => {
      this.isAsking = false;
      this.unsilence();
    }, { once: true });
  }

  /** Plays everything through the loudspeaker that was chosen. */
  route() {
    for (const tile of this.stage.tiles) route(tile.video);
  }

  #name(upstream) {
    const member = this.channel.members.get(upstream.clientId);
    return member ? nameOf(member) : (upstream.tag ?? upstream.mediaId ?? "Broadcast");
  }

  #face(member) {
    const { clientId } = member;
    if (!this.hasFaces || this.#faces.has(clientId) || this.#faces.size >= FACES_MAX || this.#hasCamera(clientId)) return;
    const tile = this.add({ name: nameOf(member) });
    tile.muted({ audio: true, video: true });
    this.#faces.set(clientId, tile);
  }

  #unface(clientId) {
    const tile = this.#faces.get(clientId);
    if (tile) this.stage.remove(tile);
    this.#faces.delete(clientId);
  }

  #hasCamera(clientId) {
    return [...this.#shown.values()].some(({ upstream }) => upstream.clientId === clientId && upstream.content === "camera");
  }

  #rename(member) {
    this.#faces.get(member.clientId)?.rename(nameOf(member));
    for (const { upstream, tile } of this.#shown.values()) if (upstream.clientId === member.clientId) tile.rename(nameOf(member));
  }

  #open(upstream) {
    if (this.#shown.has(upstream.upstream) || !this.shows(upstream)) return;
    const tile = this.#tileFor(upstream);
    const remote = this.channel.subscribe(upstream);
    this.#shown.set(upstream.upstream, { upstream, tile, remote });
    this.follow(tile, remote);
    this.#update(upstream);
    this.#hear();
  }

  /** The tile with the member's initials becomes the one with the picture. */
  #tileFor(upstream) {
    const face = upstream.content === "camera" ? this.#faces.get(upstream.clientId) : undefined;
    if (!face) return this.add({ name: this.#name(upstream), content: upstream.content });
    this.#faces.delete(upstream.clientId);
    return face;
  }

  #update(upstream) {
    const entry = this.#shown.get(upstream.upstream);
    if (!entry) return;
    entry.upstream = upstream;
    entry.tile.muted({ audio: !upstream.audio || upstream.audioMuted, video: !upstream.video || upstream.videoMuted });
  }

  #close(upstream) {
    const entry = this.#shown.get(upstream.upstream);
    if (!entry) return;
    this.#shown.delete(upstream.upstream);
    entry.remote.close();
    this.stage.remove(entry.tile);
    const member = this.channel.members.get(upstream.clientId);
    if (member && upstream.content === "camera") this.#face(member);
  }

  /** Who speaks, as the server heard it: that holds also for those whose sound is not sent here. */
  #hear() {
    const speakers = this.channel.speakers.map((upstream) => this.#shown.get(upstream)?.tile);
    for (const tile of this.stage.tiles) tile.talk(speakers.includes(tile), tile === speakers[0]);
    const [lead] = speakers.filter(Boolean);
    if (lead) this.stage.lead(lead);
  }

  /** How good each tile is, for its bars. */
  async #weigh() {
    if (document.hidden) return;
    for (const tile of this.stage.tiles) {
      const report = await tile.report?.().catch(() => null);
      tile.badge.show(report?.quality.score);
    }
  }
}

/** Beyond that many people without a camera, the list of people is the better place for them. */
const FACES_MAX = 24;

/** How somebody is called. */
export const nameOf = (member) => member?.userAlias ?? member?.userId ?? "Somebody";
