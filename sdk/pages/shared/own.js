// One's own camera and microphone in a channel: published, muted, exchanged, and shown on a tile.
//
// Who has no media, or may not send, has a tile all the same (unless the page wants none) and can bring media later.

import { LocalMedia } from "/sdk/tidewire.js";
import { sent } from "./decisions.js";
import { rememberedDevices } from "./devices.js";
import { toast } from "./ui.js";

export class Own {
  media = null;
  upstream = null;
  /** Being published right now. */
  isSending = false;
  #isOver = false;
  #offs = [];

  /**
   * `gathering`: where it is sent. `options`: of `publish`. `sends`: whether at once, or not before
   * `start`. `isMain`: whether it is what everybody came for.
   */
  constructor(gathering, { options = {}, sends = true, isMain = false } = {}) {
    Object.assign(this, { gathering, options, sends });
    this.tile = gathering.cast.add({ name: gathering.name, mine: true, isMain });
    this.draw();
  }

  has(kind) {
    return Boolean(this.media?.[`${kind}Track`]) && !this.media[`${kind}Muted`];
  }

  draw() {
    this.tile.muted({ audio: !this.has("audio"), video: !this.has("video") });
  }

  /** Takes media and publishes it, in place of what was there before: who watches by media id goes on watching. */
  async take(media) {
    if (this.#isOver) return media.stop();
    withhold(media, this.gathering.channel.rights);
    this.media = media;
    this.tile.level = () => media.level;
    this.tile.reshape(media.content);
    this.tile.show(media.stream);
    const changed = () => this.gathering.changed();
    for (const off of this.#offs.splice(0)) off();
    this.#offs = [media.on("muted", changed), media.on("track", changed), media.on("fallback", ({ kind, to }) => toast(fellBack(kind, to)))];
    if (this.sends) await this.send();
    this.gathering.changed();
  }

  async start() {
    this.sends = true;
    if (this.media) await this.send();
  }

  /** Stops sending and keeps the media. */
  async pause() {
    this.sends = false;
    const { upstream } = this;
    this.upstream = null;
    await upstream?.close().catch(() => {}); // it may be closed already
    this.gathering.changed();
  }

  /** Publishes what may be; that nothing may be is no failure: one then watches. */
  async send() {
    const { channel } = this.gathering;
    const { audioTrack, videoTrack } = this.media;
    if ((!audioTrack && !videoTrack) || !channel.rights.sfu) return;
    const before = this.upstream;
    this.isSending = true;
    try {
      this.upstream = await channel.publish(this.media, this.options);
      before?.close().catch(() => {}); // replaced by now, where they share a media id
      explains(this.tile, () => this.upstream);
      this.gathering.banner.add(this.upstream, "Your own picture and sound");
    } catch (error) {
      if (!this.#isOver) this.gathering.complain("The others do not see you yet.", error, ["Try again", () => this.send()]);
    } finally {
      this.isSending = false;
    }
    this.gathering.changed();
  }

  async toggle(kind) {
    if (!this.media) return this.bring();
    if (!this.media[`${kind}Track`]) return toast(kind === "audio" ? "There is no microphone. Choose one under “Devices”." : "There is no camera. Choose one under “Devices”.");
    this.media.mute({ [kind]: !this.media[`${kind}Muted`] });
    this.gathering.changed();
  }

  /** Who came without camera and microphone may have allowed them by now. */
  async bring() {
    try {
      await this.take(await LocalMedia.camera(rememberedDevices()));
    } catch (error) {
      this.gathering.complain("", error);
    }
  }

  /** Its upstream was ended by the server or by somebody's decision. */
  lost(upstream) {
    if (this.upstream === upstream) this.upstream = null;
  }

  /** Gives everything back. */
  stop() {
    this.#isOver = true;
    for (const off of this.#offs.splice(0)) off();
    this.upstream?.close().catch(() => {}); // it may be closed already
    this.upstream = null;
    this.media?.stop();
    this.media = null;
  }
}

/** A tile of one's own tells how `upstream()` of the moment fares, and what is wanted of it. */
export function explains(tile, upstream) {
  tile.report = async () => upstream()?.stats() ?? null;
  tile.decisions = () => (upstream() ? sent(upstream()) : undefined);
  tile.observe = (listener) => upstream()?.observe(listener);
}

/** What one may not send is not even opened: its light goes out. */
function withhold(media, { sendAudio, sendVideo }) {
  for (const track of [!sendAudio && media.audioTrack, !sendVideo && media.videoTrack].filter(Boolean)) {
    media.stream.removeTrack(track);
    track.stop();
  }
}

function fellBack(kind, to) {
  const name = kind === "audio" ? "microphone" : "camera";
  return to ? `Your ${name} is gone; ${to} took its place.` : `Your ${name} is gone, and there is no other.`;
}
