// The lobby: who one is, where one goes, and how one looks and sounds, before anybody sees it.
//
// It hands over a name, a channel, a token source and the media. Who has no camera or microphone, or gives none, comes in
// all the same.

import { LocalMedia } from "/sdk/tidewire.js";
import { DeviceChoice, LevelMeter, rememberedDevices } from "../shared/devices.js";
import { CHANNEL, explain, freshChannel, isLocal, keepToken, readAddress, tokenSource } from "../shared/entry.js";
import { $, h, iconButton, memory, relabel, showProblem } from "../shared/ui.js";

export class Lobby {
  #form = $("#join");
  #media = null;
  #left;
  #off = { audio: memory.local.read("off.audio") === "1", video: memory.local.read("off.video") === "1" };

  constructor() {
    this.#buildControls();
    this.devices = new DeviceChoice($("#lobby-devices"), { media: () => this.#media });
    new LevelMeter($("#lobby-level"), () => this.#media?.level ?? 0);
    this.#fillIn();
    addEventListener("hashchange", () => this.#readAddress());
  }

  /** Resolves with what `join(entry, onTrouble)` made of what was chosen. `farewell`: why one is here again. */
  async enter(farewell, join) {
    this.#say(farewell);
    this.#problem(null);
    this.#look();
    $("#name").value ? $("#join .primary").focus({ preventScroll: true }) : $("#name").focus({ preventScroll: true });
    for (;;) {
      const entry = await this.#submitted();
      try {
        const joined = await join(entry, (problem) => this.#problem(problem));
        this.#left = true;
        this.#media = null;
        return joined;
      } catch (error) {
        this.#problem(explain(error));
      } finally {
        this.#busy(false);
      }
    }
  }

  #submitted() {
    return new Promise((resolve) => {
      this.#form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.#busy(true);
        this.#problem(null);
        const name = $("#name").value.trim();
        const channel = $("#channel").value.trim().toLowerCase();
        const pasted = $("#token").value.trim();
        memory.local.write("name", name);
        keepToken(pasted);
        resolve({ name, channel, token: tokenSource(channel, pasted), media: this.#media });
      }, { once: true });
    });
  }

  /** Asks for camera and microphone, and says what came of it. */
  async #look() {
    this.#left = false;
    if (this.#media) return;
    this.#show("Asking for your camera and microphone. Others see you only after you have joined.");
    try {
      const media = await LocalMedia.camera(rememberedDevices());
      if (this.#left) return media.stop();
      this.#media = media;
      media.mute(this.#off);
      $("#preview video").srcObject = media.stream;
      media.on("track", () => this.#draw());
      media.on("fallback", ({ kind, to }) => this.#show(to ? "" : `The ${kind === "audio" ? "microphone" : "camera"} is gone.`));
      await this.devices.refresh();
    } catch (error) {
      this.#failed = explain(error);
    }
    this.#draw();
  }

  #failed;

  #draw() {
    const media = this.#media;
    for (const [kind, button] of Object.entries(this.buttons)) {
      const has = Boolean(media?.[`${kind}Track`]);
      const isOff = !has || this.#off[kind];
      button.disabled = !has;
      button.toggleAttribute("data-off", isOff);
      const [on, off, iconOn, iconOff, none] = LABELS[kind];
      relabel(button, has ? (isOff ? on : off) : none, isOff ? iconOff : iconOn);
    }
    const isDark = !media?.videoTrack || this.#off.video;
    $("#preview").toggleAttribute("data-dark", isDark);
    if (!media) this.#show(`${this.#failed?.title ?? "No camera"}. ${this.#failed?.advice || this.#failed?.detail || ""}`);
    else this.#show(media.videoTrack ? "Your camera is off." : `There is no picture: ${explain(media.missing.video ?? { message: "no camera" }).title.toLowerCase()}.`);
    const lacks = !media ? "camera and microphone" : !media.videoTrack ? "camera" : !media.audioTrack ? "microphone" : "";
    const line = $("#without");
    line.hidden = !lacks;
    line.textContent = `Without ${lacks} you can still join: you see, hear and write${lacks.includes("and") ? "" : ", and the others get what you have"}.`;
  }

  #toggle(kind) {
    this.#off[kind] = !this.#off[kind];
    memory.local.write(`off.${kind}`, this.#off[kind] ? "1" : "0");
    this.#media?.mute({ [kind]: this.#off[kind] });
    this.#draw();
  }

  #buildControls() {
    this.buttons = {
      audio: iconButton("mic", "Microphone", { disabled: true, id: "lobby-mic", onclick: () => this.#toggle("audio") }),
      video: iconButton("camera", "Camera", { disabled: true, id: "lobby-camera", onclick: () => this.#toggle("video") }),
    };
    $("#preview .controls").append(this.buttons.audio, this.buttons.video);
  }

  #fillIn() {
    $("#name").value = memory.local.read("name") ?? "";
    $("#token-rule").replaceChildren(isLocal
      ? "On this machine the server makes one for you. From elsewhere: "
      : "The server makes tokens only for its own machine. Its owner prints one with ", h("code", {}, "tidewire token --type register"));
    $("#token").placeholder = isLocal ? "made for you" : "paste it here";
    this.#readAddress();
  }

  #readAddress() {
    const { channel, token } = readAddress();
    if (channel && CHANNEL.test(channel)) $("#channel").value = channel;
    $("#channel").value ||= freshChannel();
    if (token) $("#token").value = token;
    if (!isLocal && !$("#token").value) $("#token-more").open = true;
  }

  #show(text) {
    const says = $("#preview .says");
    if (says.textContent !== text) says.textContent = text;
  }

  #say(text) {
    $("#ended").hidden = !text;
    $("#ended").textContent = text;
  }

  #busy(isBusy) {
    const button = $(".primary", this.#form);
    button.disabled = isBusy;
    button.textContent = isBusy ? "Joining …" : "Join the call";
  }

  #problem(problem) {
    showProblem($(".problem", this.#form), problem);
    if (problem?.needsToken) $("#token-more").open = true;
  }
}

const LABELS = {
  audio: ["Turn microphone on", "Turn microphone off", "mic", "micOff", "No microphone"],
  video: ["Turn camera on", "Turn camera off", "camera", "cameraOff", "No camera"],
};
