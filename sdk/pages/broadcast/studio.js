// The studio: one sees oneself first, goes live, shows camera or screen, and brings viewers on stage.

import { LocalMedia } from "/sdk/tidewire.js";
import { Bar } from "../shared/bar.js";
import { nameOf } from "../shared/cast.js";
import { DeviceDialog } from "../shared/devicedialog.js";
import { invitation } from "../shared/entry.js";
import { icon } from "../shared/icons.js";
import { Own } from "../shared/own.js";
import { testPicture } from "../shared/testpicture.js";
import { copy, h, toast } from "../shared/ui.js";
import { MAIN, Show, waves } from "./show.js";

export class Studio extends Show {
  #own;
  /** Camera and microphone; they stay open while the screen is shown. */
  #camera = null;
  #screen = null;
  #liveSince = 0;
  /** Who was invited on stage, by client id. */
  #invited = new Set();
  /** The hand that was raised last. */
  #notice;
  #timer;

  constructor(title) {
    super("host");
    this.about = title;
    this.#buildHead();
    this.#buildBar();
    this.#buildPoster();
  }

  async enter() {
    const { channel } = this;
    this.frame.title.textContent = this.about || channel.name;
    this.on(channel, "memberupdated", ({ member, before }) => this.#sawHand(member, before));
    this.on(channel, "memberleft", ({ member }) => this.#invited.delete(member.clientId));
    this.on(channel, "unpublished", ({ upstream, reason }) => this.#unpublished(upstream, reason));
    this.#own = new Own(this, { options: { mediaId: MAIN, ...(this.about && { tag: this.about }) }, sends: false, isMain: true });
    this.devices = new DeviceDialog(this.frame.root, {
      media: () => this.#camera,
      onSpeaker: () => this.cast.route(),
      keys: "M microphone, V camera, S screen, C chat, Esc closes what is open.",
    });
    this.#timer = setInterval(() => this.#drawAir(), 1000);
    this.changed();
    await this.#own.bring();
    this.#camera = this.#own.media;
    this.changed();
  }

  draw() {
    const own = this.#own;
    own.draw();
    const isLive = this.#isLive;
    this.bar.sends("microphone", "microphone", { isOn: own.has("audio"), may: true });
    this.bar.sends("camera", "camera", { isOn: own.has("video"), may: true });
    this.bar.buttons.camera.hidden = Boolean(this.#screen);
    this.bar.presses("share", Boolean(this.#screen), this.#screen ? "Back to the camera" : "Show your screen", this.#screen ? "shareOff" : "share");
    this.go.textContent = isLive ? "End" : "Go live";
    this.go.toggleAttribute("data-live", isLive);
    this.go.disabled = !own.media;
    this.poster.hidden = Boolean(own.media);
    this.drawCount(0);
    this.#drawAir();
  }

  exit() {
    clearInterval(this.#timer);
    this.#own.stop();
    this.#camera?.stop();
    this.#screen?.stop();
    this.picture?.release();
    this.devices.stop();
  }

  /** From camera to screen and back one stays live. */
  get #isLive() {
    return Boolean(this.#own?.sends && (this.#own.upstream || this.#own.isSending));
  }

  /** What the list of people offers: on stage, off stage. */
  actions(member) {
    const { clientId } = member;
    if (!this.channel.rights.update) return [];
    const isOn = this.guests().some((upstream) => upstream.clientId === clientId) || this.#invited.has(clientId);
    return isOn ? [["Off stage", () => this.#grant(member, false)]] : [["On stage", () => this.#grant(member, true)]];
  }

  async #grant(member, isOn) {
    this.#notice?.remove();
    try {
      await this.channel.grant(member.clientId, { sendAudio: isOn, sendVideo: isOn });
      if (isOn) this.#invited.add(member.clientId);
      else this.#invited.delete(member.clientId);
      this.chat.line(isOn ? `You invited ${nameOf(member)} on stage` : `You took ${nameOf(member)} off the stage`);
    } catch (error) {
      this.complain("", error);
    }
    this.changed();
  }

  #sawHand(member, before) {
    if (member.tag !== "hand" || before.tag === "hand") return;
    this.chat.line(`${nameOf(member)} raised a hand`);
    this.#notice?.remove();
    this.#notice = toast(`${nameOf(member)} raises a hand`, ["Bring on stage", () => this.#grant(member, true)]);
  }

  async #goOrEnd() {
    if (this.#isLive) {
      await this.#own.pause();
      this.chat.line("You are off air");
      return;
    }
    this.go.disabled = true;
    await this.#own.start();
    if (!this.#own.upstream) return;
    this.#liveSince = Date.now();
    this.chat.line("You are live");
    this.changed();
  }

  /** Camera and screen are published under the same media id, one after the other: viewers need do nothing. */
  async #toggleScreen() {
    if (this.#screen) return this.#backToCamera();
    try {
      const { videoTrack } = await LocalMedia.screen({ audio: false });
      // The microphone's copy, since the screen's end ends all that is sent with it.
      const tracks = [videoTrack, this.#camera?.audioTrack?.clone()].filter(Boolean);
      const screen = LocalMedia.of(new MediaStream(tracks), "screen");
      screen.mute({ audio: this.#own.media?.audioMuted ?? false });
      screen.on("ended", () => this.#backToCamera());
      this.#screen = screen;
      await this.#own.take(screen);
    } catch (error) {
      // Who closes the browser's own dialog has changed their mind.
      if (error.code !== "permissionDenied") this.complain("The screen is not shown.", error);
    }
  }

  async #backToCamera() {
    const screen = this.#screen;
    if (!screen) return;
    this.#screen = null;
    if (this.#camera) {
      this.#camera.mute({ audio: screen.audioMuted });
      await this.#own.take(this.#camera);
    } else {
      await this.#own.pause();
      this.#own.media = null;
    }
    screen.stop();
    this.changed();
  }

  async #showTestPicture() {
    this.picture ??= testPicture();
    this.#camera = LocalMedia.of(this.picture, "camera");
    await this.#own.take(this.#camera);
  }

  #unpublished(upstream, reason) {
    const isOwn = this.#own.upstream === upstream && !this.#own.isSending;
    this.#own.lost(upstream);
    if (isOwn && reason === "replaced") toast("Somebody else publishes the main picture now.");
    if (isOwn) this.chat.line("You are off air");
    this.changed();
  }

  #drawAir() {
    const isLive = this.#isLive;
    this.drawAir(isLive, isLive ? `Live ${clock(Date.now() - this.#liveSince)}` : "Off air");
  }

  #buildHead() {
    this.frame.end.append(h("button", {
      type: "button", id: "invite", onclick: () => copy(invitation(this.channel.name), "The watch link is copied."),
    }, icon("link"), "Invite"));
  }

  #buildBar() {
    const { side } = this;
    this.go = h("button.go", { type: "button", id: "go", onclick: () => this.#goOrEnd() }, "Go live");
    this.frame.bar.append(this.go);
    const groups = [
      [
        ["microphone", "mic", "Turn microphone off", () => this.#own.toggle("audio"), "M"],
        ["camera", "camera", "Turn camera off", () => this.#own.toggle("video"), "V"],
        ["share", "share", "Show your screen", () => this.#toggleScreen(), "S"],
      ],
      [
        ["people", "people", "People", () => side.toggle("people")],
        ["chat", "chat", "Chat", () => side.toggle("chat"), "C"],
        ["devices", "devices", "Devices", () => this.devices.open()],
      ],
      [["leave", "leave", "Leave the studio", () => this.leave("You have left the studio.")]],
    ];
    this.bar = new Bar(this.frame.bar, groups, { Escape: () => side.close() }, this.signal);
    this.bar.buttons.leave.classList.add("danger");
    // Phones share no screens.
    this.bar.buttons.share.hidden = !navigator.mediaDevices?.getDisplayMedia;
  }

  #buildPoster() {
    this.poster.append(waves(), h("h2", {}, "No camera"), h("p", {}, "Allow one, show your screen, or take the test picture: waves, a clock and a soft beep."),
      h("div.choices", {},
        h("button", { type: "button", onclick: () => this.#tryCamera() }, "Try the camera again"),
        h("button", { type: "button", onclick: () => this.#showTestPicture() }, "Test picture")));
  }

  async #tryCamera() {
    await this.#own.bring();
    this.#camera = this.#own.media;
    this.changed();
  }
}

function clock(ms) {
  const seconds = Math.floor(ms / 1000);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ""}${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}
