// The meeting: everybody in the channel may send camera, microphone and screen, and sees all others.

import { LocalMedia } from "/sdk/tidewire.js";
import { Bar } from "../shared/bar.js";
import { nameOf } from "../shared/cast.js";
import { DeviceDialog } from "../shared/devicedialog.js";
import { explain, invitation } from "../shared/entry.js";
import { Gathering } from "../shared/gathering.js";
import { icon } from "../shared/icons.js";
import { Own, explains } from "../shared/own.js";
import { copy, h, iconButton, memory, relabel, toast } from "../shared/ui.js";

export class Meeting extends Gathering {
  #own;
  /** The screen that is shared: `{ media, upstream, tile }`, or null. */
  #screen = null;
  #isSpotlight;
  /** Which picture is large, as it was said last. */
  #said;

  /** `media`: what the lobby has opened already; null for none. */
  constructor(media) {
    super({ label: "call", hasFaces: true });
    this.media = media;
    this.#buildHead();
    this.#buildBar();
  }

  async enter() {
    const { channel } = this;
    this.on(channel, "upstreamopened", ({ upstream }) => this.#shared(upstream, "shares a screen"));
    this.on(channel, "upstreamclosed", ({ upstream }) => this.#shared(upstream, "stopped sharing the screen"));
    this.on(channel, "unpublished", ({ upstream }) => {
      if (this.#screen?.upstream === upstream) this.#unshare();
      this.#own.lost(upstream);
      this.changed();
    });
    this.#own = new Own(this);
    this.devices = new DeviceDialog(this.frame.root, {
      media: () => this.#own.media,
      onSpeaker: () => this.cast.route(),
      keys: "M microphone, V camera, S share screen, C chat, L large speaker, N next picture large, Esc closes what is open.",
    });
    this.changed();
    if (this.media) await this.#own.take(this.media);
  }

  draw() {
    const { rights, members, upstreams } = this.channel;
    this.#own.draw();
    this.bar.sends("microphone", "microphone", { isOn: this.#own.has("audio"), may: rights.sfu && rights.sendAudio });
    this.bar.sends("camera", "camera", { isOn: this.#own.has("video"), may: rights.sfu && rights.sendVideo });
    this.bar.buttons.share.disabled = !rights.sfu || !rights.sendVideo;
    const isSharing = Boolean(this.#screen);
    this.bar.presses("share", isSharing, isSharing ? "Stop sharing your screen" : "Share your screen", isSharing ? "shareOff" : "share");
    this.frame.count.textContent = members.size === 0 ? "only you" : `${members.size + 1} people`;
    this.lonely.hidden = members.size > 0 || upstreams.size > 0;
  }

  exit() {
    this.#screen?.media.stop();
    this.#screen = null;
    this.#own.stop();
    this.devices.stop();
  }

  unread(count) {
    this.bar.unreadCount(count);
  }

  viewed(view) {
    this.bar.view(view);
  }

  actions(member) {
    if (!this.channel.rights.kick) return [];
    return [["Remove", () => this.channel.kick(member.clientId).catch((error) => toast(explain(error).detail))]];
  }

  #buildHead() {
    const invite = () => copy(invitation(this.channel.name), "The invitation is copied: send it to whom you want to meet.");
    this.view = iconButton("spotlight", VIEWS.spotlight, { id: "view", className: "square", shortcut: "L", onclick: () => this.#show(!this.#isSpotlight) });
    this.frame.end.append(this.view, h("button", { type: "button", id: "invite", onclick: invite }, icon("link"), "Invite"));
    this.#show(memory.local.read("view") === "spotlight");
    this.lonely = h("div.lonely", { hidden: true },
      h("p", {}, h("b", {}, "You are the first one here."), " Send the address to whom you want to meet."),
      h("button.primary", { type: "button", onclick: invite }, "Copy invitation"));
    this.frame.stage.append(this.lonely);
  }

  /** Whoever speaks large, or equal tiles; the next call begins as this one was. */
  #show(isSpotlight) {
    this.#isSpotlight = isSpotlight;
    memory.local.write("view", isSpotlight ? "spotlight" : "grid");
    relabel(this.view, isSpotlight ? VIEWS.grid : VIEWS.spotlight, isSpotlight ? "grid" : "spotlight");
    this.stage.follow(isSpotlight);
  }

  #pinNext() {
    const tile = this.stage.pinNext();
    this.#said?.remove();
    this.#said = toast(tile ? `${tile.mine ? "You are" : `${tile.name} is`} kept large` : "Nobody is kept large");
  }

  #buildBar() {
    const { side } = this;
    const keys = { L: () => this.#show(!this.#isSpotlight), N: () => this.#pinNext(), Escape: () => side.close() };
    const groups = [
      [
        ["microphone", "mic", "Turn microphone off", () => this.#own.toggle("audio"), "M"],
        ["camera", "camera", "Turn camera off", () => this.#own.toggle("video"), "V"],
        ["share", "share", "Share your screen", () => this.#share(), "S"],
      ],
      [
        ["people", "people", "People", () => side.toggle("people")],
        ["chat", "chat", "Chat", () => side.toggle("chat"), "C"],
        ["devices", "devices", "Devices", () => this.#openDevices()],
      ],
      [["leave", "leave", "Leave the call", () => this.leave("You have left the call.")]],
    ];
    this.bar = new Bar(this.frame.bar, groups, keys, this.signal);
    this.bar.buttons.leave.classList.add("danger");
    // Phones share no screens.
    this.bar.buttons.share.hidden = !navigator.mediaDevices?.getDisplayMedia;
  }

  #shared(upstream, what) {
    if (upstream.content === "screen") this.chat.line(`${nameOf(this.channel.members.get(upstream.clientId))} ${what}`);
  }

  async #share() {
    if (this.#screen) return this.#unshare();
    let media;
    try {
      media = await LocalMedia.screen();
      const upstream = await this.channel.publish(media, { content: "screen" });
      const tile = this.cast.add({ name: this.name, mine: true, content: "screen" });
      tile.muted({ audio: false, video: false });
      tile.show(media.stream);
      explains(tile, () => upstream);
      this.#screen = { media, upstream, tile };
      media.on("ended", () => this.#unshare());
      this.chat.line("You share your screen");
    } catch (error) {
      media?.stop();
      // Who closes the browser's own dialog has changed their mind.
      if (error.code !== "permissionDenied") this.complain("The screen is not shared.", error);
    }
    this.changed();
  }

  #unshare() {
    const screen = this.#screen;
    if (!screen) return;
    this.#screen = null;
    this.cast.remove(screen.tile);
    screen.upstream.close().catch(() => {}); // it may be closed already
    screen.media.stop();
    this.chat.line("You stopped sharing your screen");
    this.changed();
  }

  async #openDevices() {
    if (!this.#own.media) await this.#own.bring();
    await this.devices.open();
  }
}

/** What the button of the head would do. */
const VIEWS = { spotlight: "Whoever speaks is large", grid: "Equal tiles" };
