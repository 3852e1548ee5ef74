// Somebody in a channel by the SDK: a page of the gateway's own origin that runs nothing but it.

import { randomBytes } from "node:crypto";

import { registerToken } from "./server.mjs";
import { until } from "./until.mjs";

/** A channel's name that no test before has used. */
export function newChannel() {
  return `c-${randomBytes(6).toString("hex")}`;
}

export class Guest {
  constructor(page, name, channel) {
    Object.assign(this, { page, name, channel });
  }

  /**
   * Opens a page, registers, and watches everybody unless told otherwise. `rights` are fields of the channel's claim;
   * `before` runs in the page before anything else.
   */
  static async enter(browser, server, channel, name, { watches = true, rights = {}, before } = {}) {
    const guest = new Guest(await browser.tab(), name, channel);
    if (before) await guest.page.addInitScript(before);
    await guest.page.exposeFunction("freshToken", () => registerToken(name, channel, rights));
    await guest.page.goto(`${server.origin}/`);
    await guest.#register(watches);
    return guest;
  }

  async reload() {
    await this.page.reload();
    await this.#register(true);
  }

  async #register(watches) {
    this.clientId = await this.page.evaluate(enterChannel, { userAlias: this.name, watches });
  }

  /** Camera and microphone of Chromium's own making. */
  publish(options = {}) {
    return this.page.evaluate(async (options) => {
      window.media ??= await window.sdk.LocalMedia.camera({ video: { width: 320, height: 180 } });
      window.upstream = await window.channel.publish(window.media, options);
      return window.upstream.upstream;
    }, options);
  }

  unpublish() {
    return this.page.evaluate(() => window.upstream.close());
  }

  watch(mediaId) {
    return this.page.evaluate((mediaId) => window.follow(window.channel.watch(mediaId), mediaId), mediaId);
  }

  send(text) {
    return this.page.evaluate((text) => window.channel.send(text), text);
  }

  /** What happened in the channel, as lines. */
  heard() {
    return this.page.evaluate(() => window.heard);
  }

  async hears(line) {
    await until(`${this.name} hears ${line}`, async () => (await this.heard()).includes(line));
  }

  /** Of everything watched, by name: frames decoded, sound, state. */
  sample() {
    return this.page.evaluate(() => window.sample());
  }

  /** Waits until pictures and sound of `who` advance. */
  async sees(who, within_ms = 20_000) {
    const first = (await this.sample())[who];
    await until(
      `${this.name} sees ${who}`,
      async () => {
        const now = (await this.sample())[who];
        return now?.state === "live" && now.frames > (first?.frames ?? 0) && now.energy > (first?.energy ?? 0);
      },
      within_ms,
    );
  }

  async isLive() {
    await until(`${this.name} is live`, () => this.page.evaluate(() => window.client.state === "live"));
  }
}

/** Runs in the page; returns the id that the gateway gave. */
async function enterChannel({ userAlias, watches }) {
  const sdk = await import("/sdk/tidewire.js");
  const client = new sdk.Client({ url: location.origin, token: () => window.freshToken(), userAlias });
  const heard = [];
  const remotes = new Map();
  const follow = (remote, name) => {
    const element = Object.assign(document.createElement("video"), { autoplay: true, srcObject: remote.stream });
    document.body.append(element);
    remotes.set(name, remote);
    remote.on("state", ({ state }) => {
      if (state === "ended") element.remove();
    });
  };
  const note = (...words) => void heard.push(words.join(" "));
  client.on("state", ({ state }) => note("state", state));
  client.on("error", ({ error }) => note("error", error.code));
  const [channel] = await client.register();
  channel.on("memberjoined", ({ member }) => note("joined", member.userAlias));
  channel.on("memberleft", ({ member, reason }) => note("left", member.userAlias, reason));
  channel.on("upstreamopened", ({ upstream }) => note("opened", upstream.mediaId ?? ""));
  channel.on("upstreamclosed", ({ upstream, reason }) => note("closed", upstream.mediaId ?? "", reason));
  channel.on("upstreamupdated", ({ upstream }) => note("muted", upstream.audioMuted, upstream.videoMuted));
  channel.on("rightschanged", ({ rights }) => note("rights", rights.sendVideo));
  channel.on("kicked", ({ by }) => note("kicked", by));
  channel.on("message", ({ from, text }) => note("message", from.userAlias, text));
  const nameOf = ({ clientId, mediaId }) => mediaId ?? channel.members.get(clientId)?.userAlias;
  const subscribe = (upstream) => follow(channel.subscribe(upstream), nameOf(upstream));
  if (watches) {
    for (const upstream of channel.upstreams.values()) subscribe(upstream);
    channel.on("upstreamopened", ({ upstream }) => subscribe(upstream));
  }

  const sample = async () => {
    const counted = { frames: 0, energy: 0 };
    const stats = channel.downstream?.peer ? [...(await channel.downstream.peer.getStats()).values()] : [];
    const of = (track, name) =>
      stats.find(({ type, trackIdentifier }) => type === "inbound-rtp" && trackIdentifier === track?.id)?.[name] ?? 0;
    const entries = [...remotes].map(([name, { state, videoTrack, audioTrack }]) => [
      name,
      { ...counted, state, frames: of(videoTrack, "framesDecoded"), energy: of(audioTrack, "totalAudioEnergy") },
    ]);
    return Object.fromEntries(entries);
  };
  Object.assign(window, { sdk, client, channel, heard, remotes, follow, sample });
  return client.me.clientId;
}
