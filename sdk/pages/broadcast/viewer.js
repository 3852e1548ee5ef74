// A seat: the main picture as large as can be, who is on stage beside it, and a way onto the stage.

import { Bar } from "../shared/bar.js";
import { DeviceDialog } from "../shared/devicedialog.js";
import { invitation } from "../shared/entry.js";
import { icon } from "../shared/icons.js";
import { Own } from "../shared/own.js";
import { copy, h, memory, relabel, toast } from "../shared/ui.js";
import { MAIN, Show, waves } from "./show.js";

export class Viewer extends Show {
  /** One's own camera and microphone while one is on stage; otherwise null. */
  #own = null;
  #isHandUp = false;
  #wasLive = false;
  #sound = { volume: Number(memory.local.read("volume") ?? 1), isMuted: false };

  constructor() {
    super();
    this.#buildHead();
    this.#buildBar();
    this.#buildPoster();
    this.#buildInvitation();
    this.cast.onSilenced = () => this.#silenced();
  }

  async enter() {
    const { channel } = this;
    this.on(channel, "rightschanged", ({ rights, before }) => this.#rightsChanged(rights, before));
    this.on(channel, "unpublished", ({ upstream }) => this.#own?.lost(upstream));
    this.main = this.cast.add({ name: "Broadcast", isMain: true });
    this.remote = channel.watch(MAIN);
    this.on(this.remote, "state", () => this.changed());
    this.on(this.remote, "upstream", () => this.changed());
    this.cast.follow(this.main, this.remote, "");
    this.devices = new DeviceDialog(this.frame.root, { media: () => this.#own?.media, onSpeaker: () => this.cast.route(), keys: "A sound, F full screen, H hand, C chat, Esc closes what is open." });
    this.#applySound();
    // Beside a broadcast people talk; on a phone held sideways there is no room for it.
    if (matchMedia("(min-width: 1100px), (max-width: 860px) and (orientation: portrait)").matches) this.side.open("chat", { takesFocus: false });
  }

  draw() {
    const { upstream, state } = this.remote;
    const isLive = state === "live" && upstream !== null;
    this.#wasLive ||= isLive;
    this.frame.title.textContent = upstream?.tag ?? this.channel.name;
    this.drawAir(isLive, isLive ? "Live" : "Waiting");
    this.drawCount(1);
    this.#drawMain(upstream);
    this.#drawPoster(isLive);
    this.#drawStage();
    this.#applySound();
  }

  exit() {
    this.remote.close();
    this.#own?.stop();
    this.devices.stop();
    if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {}); // gone already
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {}); // gone already
  }

  #drawMain(upstream) {
    const { main } = this;
    main.muted({ audio: upstream?.audioMuted ?? false, video: !upstream || !upstream.video || upstream.videoMuted });
    if (upstream && main.content !== upstream.content) main.reshape(upstream.content);
    const name = upstream?.clientId ? this.nameOf(upstream.clientId) : "Broadcast";
    if (main.name !== name) main.rename(name);
  }

  #drawPoster(isLive) {
    const hasGuests = this.guests().length > 0 || this.#own !== null;
    this.poster.hidden = isLive || hasGuests;
    const [title, text] = this.remote.upstream
      ? ["One moment", "The picture is on its way."]
      : this.#wasLive
        ? ["The broadcast has paused", "If it comes back, it goes on here by itself."]
        : ["Waiting for the broadcaster", "Stay: the picture starts here by itself."];
    if (this.says.textContent !== title) this.says.textContent = title;
    this.detail.textContent = text;
  }

  #drawStage() {
    const { sendAudio, sendVideo, sendMessages } = this.channel.rights;
    const may = sendAudio || sendVideo;
    const { hand, step, microphone, camera, devices } = this.bar.buttons;
    hand.hidden = may;
    this.bar.presses("hand", this.#isHandUp, this.#isHandUp ? "Lower your hand" : "Raise your hand");
    hand.disabled = !sendMessages && !may;
    step.hidden = !may;
    relabel(step, this.#own ? "Leave the stage" : "Go on stage");
    step.setAttribute("aria-pressed", String(this.#own !== null));
    for (const button of [microphone, camera, devices]) button.hidden = this.#own === null;
    if (!this.#own) return;
    this.#own.draw();
    this.bar.sends("microphone", "microphone", { isOn: this.#own.has("audio"), may: sendAudio });
    this.bar.sends("camera", "camera", { isOn: this.#own.has("video"), may: sendVideo });
  }

  #rightsChanged(rights, before) {
    const may = rights.sendAudio || rights.sendVideo;
    const might = before.sendAudio || before.sendVideo;
    if (may && !might) this.invitation.showModal();
    if (!may && might) {
      this.invitation.close();
      if (this.#own) toast("The broadcaster has taken you off the stage.");
      this.#stepDown();
    }
  }

  async #stepUp() {
    this.invitation.close();
    if (this.#own) return;
    this.#own = new Own(this);
    this.changed();
    await this.#own.bring();
    if (this.#own && !this.#own.media) this.#stepDown();
    if (this.#isHandUp) this.#toggleHand();
    this.changed();
  }

  #stepDown() {
    const own = this.#own;
    if (!own) return;
    this.#own = null;
    own.stop();
    this.cast.remove(own.tile);
    this.changed();
  }

  async #toggleHand() {
    this.#isHandUp = !this.#isHandUp;
    this.changed();
    try {
      await this.client.update({ tag: this.#isHandUp ? "hand" : "" });
      if (this.#isHandUp) this.chat.line("You raised your hand");
    } catch (error) {
      this.#isHandUp = !this.#isHandUp;
      this.complain("", error);
      this.changed();
    }
  }

  // Sound and picture.

  /** The browser wants a click before it plays sound: the button over the picture is one. */
  #silenced() {
    this.#sound.isMuted = true;
    this.tap.hidden = false;
    this.#applySound();
  }

  #setSound(change) {
    Object.assign(this.#sound, change);
    this.tap.hidden = true;
    memory.local.write("volume", String(this.#sound.volume));
    this.#applySound();
  }

  #applySound() {
    const { volume, isMuted } = this.#sound;
    for (const { video, mine } of this.stage.tiles) {
      if (!mine) Object.assign(video, { volume, muted: isMuted });
    }
    this.slider.value = String(isMuted ? 0 : volume);
    const isSilent = isMuted || volume === 0;
    this.bar.presses("sound", isSilent, isSilent ? "Turn sound on" : "Turn sound off", isSilent ? "volumeOff" : "volume");
  }

  #toggleSound() {
    const { isMuted, volume } = this.#sound;
    if (volume === 0) this.#setSound({ volume: 1, isMuted: false });
    else this.#setSound({ isMuted: !isMuted });
  }

  #toggleFull() {
    if (document.fullscreenElement) return document.exitFullscreen();
    const { stage } = this.frame;
    // iPhones know full screen for videos only.
    return stage.requestFullscreen ? stage.requestFullscreen() : this.main.video.webkitEnterFullscreen?.();
  }

  async #togglePicture() {
    try {
      if (document.pictureInPictureElement) await document.exitPictureInPicture();
      else await this.main.video.requestPictureInPicture();
    } catch {
      toast("There is no picture to take out yet.");
    }
  }

  #buildHead() {
    this.frame.end.append(h("button", {
      type: "button", id: "invite", onclick: () => copy(invitation(this.channel.name), "The watch link is copied."),
    }, icon("link"), "Invite"));
  }

  #buildBar() {
    const { side } = this;
    const groups = [
      [
        ["sound", "volume", "Turn sound off", () => this.#toggleSound(), "A"],
        ["microphone", "mic", "Turn microphone off", () => this.#own?.toggle("audio"), "M"],
        ["camera", "camera", "Turn camera off", () => this.#own?.toggle("video"), "V"],
        ["devices", "devices", "Devices", () => this.devices.open()],
      ],
      [
        ["hand", "hand", "Raise your hand", () => this.#toggleHand(), "H"],
        ["step", "live", "Go on stage", () => (this.#own ? this.#stepDown() : this.#stepUp())],
        ["people", "people", "People", () => side.toggle("people")],
        ["chat", "chat", "Chat", () => side.toggle("chat"), "C"],
      ],
      [
        ["pip", "pip", "Picture in picture", () => this.#togglePicture()],
        ["full", "expand", "Full screen", () => this.#toggleFull(), "F"],
        ["leave", "leave", "Leave", () => this.leave("You have left the broadcast.")],
      ],
    ];
    this.bar = new Bar(this.frame.bar, groups, { Escape: () => side.close() }, this.signal);
    const { sound, leave, pip } = this.bar.buttons;
    leave.classList.add("danger");
    pip.hidden = !document.pictureInPictureEnabled;
    this.slider = h("input.volume", { type: "range", min: "0", max: "1", step: "0.05", "aria-label": "Volume" });
    this.slider.addEventListener("input", () => this.#setSound({ volume: Number(this.slider.value), isMuted: false }));
    sound.after(this.slider);
  }

  #buildPoster() {
    this.says = h("h2");
    this.detail = h("p");
    this.poster.append(waves(), h("div", { role: "status" }, this.says, this.detail));
    this.tap = h("button.tap", { type: "button", hidden: true, onclick: () => this.#setSound({ isMuted: false }) }, icon("volumeOff"), "Turn sound on");
    this.frame.stage.append(this.tap);
  }

  #buildInvitation() {
    this.invitation = h("dialog", { id: "invitation", "aria-labelledby": "invitation-title" },
      h("div.dialog-head", {}, h("h2", { id: "invitation-title" }, "Come on stage?")),
      h("div.dialog-body", {},
        h("p", {}, "The broadcaster invites you: everybody who watches will see and hear you, until you leave the stage or are taken off."),
        h("div.dialog-foot", {},
          h("button", { type: "button", onclick: () => this.invitation.close() }, "Not now"),
          h("button.primary", { type: "button", id: "accept", onclick: () => this.#stepUp() }, "Join with camera and microphone"))));
    this.frame.root.append(this.invitation);
  }
}
