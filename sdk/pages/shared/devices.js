// Choosing devices: the selects for microphone, camera and loudspeaker, and the microphone's meter. What was chosen is
// remembered in this browser.

import { devices, onDevices } from "/sdk/tidewire.js";
import { h, memory, toast } from "./ui.js";

/** What was chosen last, as constraints for `LocalMedia.camera`. An id that is gone falls back to any. */
export function rememberedDevices() {
  const wish = (kind) => {
    const id = memory.local.read(kind);
    return id ? { deviceId: { ideal: id } } : true;
  };
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  const camera = wish("camera");
  return { audio: wish("microphone"), video: camera === true ? video : { ...video, ...camera } };
}

/** Three selects in `root`, kept up to date. `media()` is what they change; `onSpeaker(id)` hears of another loudspeaker. */
export class DeviceChoice {
  #media;

  constructor(root, { media, onSpeaker = () => {} }) {
    this.#media = media;
    this.selects = Object.fromEntries(KINDS.map(([kind, label]) => [kind, this.#select(root, kind, label)]));
    this.selects.microphone.addEventListener("change", () => this.#choose("microphone"));
    this.selects.camera.addEventListener("change", () => this.#choose("camera"));
    this.selects.speaker.addEventListener("change", ({ target }) => {
      memory.local.write("speaker", target.value);
      onSpeaker(target.value);
    });
    this.stop = onDevices((found) => this.#fill(found));
  }

  /** Reads the list anew: labels come once a device was allowed. */
  async refresh() {
    this.#fill(await devices());
  }

  #select(root, kind, label) {
    const id = `${root.id}-${kind}`;
    const select = h("select", { id });
    root.append(h("div.field", {}, h("label", { for: id }, label), select));
    return select;
  }

  #fill(found) {
    const current = { microphone: idOf(this.#media()?.audioTrack), camera: idOf(this.#media()?.videoTrack), speaker: memory.local.read("speaker") };
    for (const [kind, , many, none] of KINDS) {
      const select = this.selects[kind];
      const list = found[many];
      select.replaceChildren(...list.map(({ id, label }, index) => new Option(label || `${none[1]} ${index + 1}`, id)));
      if (list.length === 0) select.append(new Option(none[0], ""));
      select.disabled = list.length === 0;
      if (list.some(({ id }) => id === current[kind])) select.value = current[kind];
    }
    this.selects.speaker.closest(".field").hidden = !("setSinkId" in HTMLMediaElement.prototype) || found.speakers.length === 0;
  }

  async #choose(kind) {
    const id = this.selects[kind].value;
    try {
      await this.#media()?.choose({ [kind]: id });
      memory.local.write(kind, id);
    } catch (error) {
      toast(`That ${kind} could not be used: ${error.detail ?? error.message}`);
      this.refresh();
    }
  }
}

const KINDS = [
  ["microphone", "Microphone", "microphones", ["No microphone", "Microphone"]],
  ["camera", "Camera", "cameras", ["No camera", "Camera"]],
  ["speaker", "Loudspeaker", "speakers", ["The browser's own", "Loudspeaker"]],
];

const idOf = (track) => track?.getSettings().deviceId;

/** Plays through the loudspeaker that was chosen, where the browser lets a page choose. */
export function route(element) {
  const id = memory.local.read("speaker");
  if (id && element.setSinkId) element.setSinkId(id).catch(() => {}); // it is gone: the browser's own will do
}

/** A bar that follows how loud the microphone is. */
export class LevelMeter {
  constructor(root, level) {
    const bar = h("span.level-bar");
    root.append(bar);
    root.setAttribute("aria-hidden", "true");
    let shown = 0;
    this.timer = setInterval(() => {
      if (document.hidden || root.closest("[hidden]")) return;
      // Speech is around 0.1: the square root spreads it over the bar.
      const now = Math.min(1, Math.sqrt(level()) * 1.4);
      shown = Math.max(now, shown * 0.85);
      bar.style.scale = `${shown.toFixed(3)} 1`;
    }, 60);
    bar.style.scale = "0 1";
  }

  stop() {
    clearInterval(this.timer);
  }
}
