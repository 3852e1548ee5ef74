// Camera and microphone, a screen, or what the app made: one stream that stays, at most one track of each kind in it.
// Tracks are exchanged when another device is chosen, or when theirs went away; whoever publishes the media follows.

import { onDevices, open, openScreen } from "./devices.js";
import { deviceError } from "./errors.js";
import { Emitter } from "./events.js";
import { Meter } from "./level.js";

const KINDS = ["audio", "video"];
const LISTS = { audio: "microphones", video: "cameras" };
/** Of one kind of device these are no reason to go without the other. */
const ONE_IS_ENOUGH = new Set(["deviceNotFound", "deviceInUse", "deviceUnsuitable"]);

export class LocalMedia extends Emitter {
  #content;
  #stream;
  /** By kind, the constraints that its device was opened with; none for tracks that are not from a device of ours. */
  #asked;
  #missing = {};
  #muted = { audio: false, video: false };
  #ended = false;
  #meter = null;
  /** Changes of device wait for one another. */
  #turn = Promise.resolve();
  /** Tracks of the page's own, which is who stops them. */
  #foreign = new WeakSet();
  /** By kind, what stops waiting for a device. */
  #offs = {};

  constructor(tracks, content, asked = {}) {
    super();
    this.#content = content;
    this.#stream = new MediaStream(tracks);
    this.#asked = asked;
    tracks.forEach((track) => this.#guard(track));
  }

  static async camera({ audio = true, video = true } = {}) {
    const asked = { audio: constraintsOf(audio), video: constraintsOf(video) };
    const { tracks, missing } = await openWhatThereIs(asked);
    const media = new LocalMedia(tracks, "camera", asked);
    media.#missing = missing;
    return media;
  }

  static async screen({ audio = true } = {}) {
    return new LocalMedia(await openScreen({ video: true, audio }), "screen");
  }

  static of(stream, content = "camera") {
    const media = new LocalMedia(stream.getTracks(), content);
    stream.getTracks().forEach((track) => media.#foreign.add(track));
    return media;
  }

  get stream() {
    return this.#stream;
  }

  get content() {
    return this.#content;
  }

  get audioTrack() {
    return this.#track("audio");
  }

  get videoTrack() {
    return this.#track("video");
  }

  get missing() {
    return this.#missing;
  }

  get audioMuted() {
    return this.#isMute("audio");
  }

  get videoMuted() {
    return this.#isMute("video");
  }

  get level() {
    const track = this.audioTrack;
    if (!track || this.#muted.audio) return 0;
    this.#meter ??= new Meter(track);
    return this.#meter.level;
  }

  get ended() {
    return this.#ended;
  }

  mute(muted) {
    for (const kind of KINDS) {
      if (muted[kind] === undefined) continue;
      this.#muted[kind] = muted[kind];
      const track = this.#track(kind);
      if (track) track.enabled = !muted[kind];
    }
    this._emit("muted", { audio: this.audioMuted, video: this.videoMuted });
  }

  async choose({ microphone, camera }) {
    if (microphone !== undefined) await this.#choose("audio", microphone);
    if (camera !== undefined) await this.#choose("video", camera);
  }

  stop() {
    for (const track of this.#stream.getTracks()) track.stop();
    this.#end();
  }

  /** Takes a track of the page's own. */
  _place(track) {
    this.#foreign.add(track);
    this._replace(track.kind, track);
  }

  /** Puts a track in the place of the one of its kind; null takes it away. */
  _replace(kind, track) {
    const before = this.#track(kind);
    if (before === track) return;
    if (before) {
      before.onended = null;
      this.#stream.removeTrack(before);
      if (!this.#foreign.has(before)) before.stop();
    }
    if (track) {
      track.enabled = !this.#muted[kind];
      this.#stream.addTrack(track);
      this.#guard(track);
      delete this.#missing[kind];
      this.#offs[kind]?.();
    }
    if (kind === "audio") this.#unmeter();
    this._emit("track", { kind, track });
  }

  /** A device that went away sends nothing either. */
  #isMute(kind) {
    return this.#muted[kind] || this.#missing[kind] !== undefined;
  }

  #track(kind) {
    return this.#stream.getTracks().find((track) => track.kind === kind) ?? null;
  }

  #choose(kind, deviceId) {
    return this.#inTurn(async () => {
      const constraints = withDevice(this.#asked[kind], deviceId);
      const [track] = await this.#openInstead(kind, constraints);
      this.#asked[kind] = constraints;
      if (this.#ended) track.stop();
      else this._replace(kind, track);
    });
  }

  /** Some systems open a device only when the one before is closed, so that is tried as well. */
  async #openInstead(kind, constraints) {
    try {
      return await open({ [kind]: constraints });
    } catch (error) {
      const before = this.#track(kind);
      if (error.code !== "deviceInUse" || !before || !this.#asked[kind] || this.#foreign.has(before)) throw error;
      return this.#openAlone(kind, constraints, before, error);
    }
  }

  async #openAlone(kind, constraints, before, error) {
    before.onended = null;
    before.stop();
    try {
      return await open({ [kind]: constraints });
    } catch {
      const again = open({ [kind]: this.#asked[kind] });
      this.#settle(kind, await again.then(([track]) => track).catch(() => this.#another(kind)));
      throw error;
    }
  }

  #inTurn(act) {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** `ended` is told when a device goes away, or the user ends the sharing; not after `stop`. */
  #guard(track) {
    track.onended = () => void this.#inTurn(() => this.#lose(track));
  }

  async #lose(track) {
    const { kind, label } = track;
    if (this.#ended || this.#track(kind) !== track) return;
    if (!this.#asked[kind] || this.#foreign.has(track)) return this.#shrink(kind);
    const other = await this.#another(kind);
    if (!this.#ended) this._emit("fallback", { kind, from: label, to: other?.label ?? null });
    this.#settle(kind, other);
  }

  /** Goes on with this track, or waits for a device; not when it has ended meanwhile. */
  #settle(kind, track) {
    if (this.#ended) return track?.stop();
    this._replace(kind, track);
    if (!track) this.#awaitDevice(kind);
  }

  /** What was no device of ours does not come back; the sound of a screen is nothing without it. */
  #shrink(kind) {
    if (this.#content === "screen" && kind === "video") return this.stop();
    this._replace(kind, null);
    if (this.#stream.getTracks().length === 0) this.#end();
  }

  /** Any other device of that kind; null when there is none. */
  async #another(kind) {
    const { deviceId: _, ...constraints } = this.#asked[kind];
    try {
      return (await open({ [kind]: constraints }))[0];
    } catch (error) {
      this.#missing[kind] = deviceError(error);
      return null;
    }
  }

  /** Takes the next device of that kind that is plugged in and can be opened. */
  #awaitDevice(kind) {
    this.#offs[kind]?.();
    this.#offs[kind] = onDevices((found) => {
      if (found[LISTS[kind]].length > 0) void this.#inTurn(() => this.#resume(kind));
    });
  }

  async #resume(kind) {
    if (this.#ended || this.#track(kind)) return;
    const track = await this.#another(kind);
    if (!track || this.#ended) return track?.stop();
    delete this.#missing[kind];
    this._emit("fallback", { kind, from: "", to: track.label });
    this._replace(kind, track);
  }

  #unmeter() {
    this.#meter?.close();
    this.#meter = null;
  }

  #end() {
    if (this.#ended) return;
    this.#ended = true;
    for (const off of Object.values(this.#offs)) off();
    this.#unmeter();
    this._emit("ended", {});
  }
}

/** `true`, a device id or constraints as constraints; `false` as none. */
function constraintsOf(wanted) {
  if (typeof wanted === "string") return withDevice({}, wanted);
  return wanted === true ? {} : wanted || undefined;
}

function withDevice(constraints, deviceId) {
  return { ...constraints, deviceId: { exact: deviceId } };
}

/** Both kinds at once, so that the user is asked once; each alone when one of them is to blame. */
async function openWhatThereIs(asked) {
  const kinds = KINDS.filter((kind) => asked[kind]);
  try {
    return { tracks: await open(Object.fromEntries(kinds.map((kind) => [kind, asked[kind]]))), missing: {} };
  } catch (error) {
    if (kinds.length < 2 || !ONE_IS_ENOUGH.has(error.code)) throw error;
  }
  const tracks = [];
  const missing = {};
  for (const kind of kinds) {
    try {
      tracks.push(...(await open({ [kind]: asked[kind] })));
    } catch (error) {
      missing[kind] = error;
    }
  }
  if (tracks.length === 0) throw missing.audio;
  return { tracks, missing };
}
