// One tile: somebody's picture, or their initials where there is none, with name, mute signs, quality and speaker ring.
//
// It shows what it is told and knows neither channel nor layout. Its element is a list item.

import { icon } from "./icons.js";
import { h, iconButton, relabel } from "./ui.js";
import { Badge } from "./quality.js";

export class Tile {
  #video = h("video", { playsInline: true, autoplay: true });
  #name = h("span.name");
  #micOff = h("span.sign", { hidden: true }, icon("micOff"), h("span.unseen", {}, "microphone off"));
  #face = h("span.initials", { "aria-hidden": "true" });
  #waiting = h("span.waiting", { hidden: true });
  #loudUntil = 0;
  #talks = false;

  /**
   * `mine`: one's own, which is silent. `isMain`: what everybody came for. `onPin`, `onExplain`: what its buttons do;
   * `onPick(tile, isTwice)`: a click on the picture, or two.
   */
  constructor({ name, mine = false, isMain = false, content = "camera", onPin, onPick, onExplain }) {
    Object.assign(this, { mine, isMain, content, onExplain });
    this.badge = new Badge(() => onExplain?.(this));
    this.pinButton = iconButton("pin", "Make this picture large", { className: "over square", onclick: () => onPin?.(this) });
    this.element = h("li.tile", { dataset: { content } },
      this.#video, h("div.face", {}, this.#face, this.#waiting), h("div.ring"),
      h("div.plate", {}, this.#micOff, this.#name), h("div.corner", {}, this.badge.element, this.pinButton));
    this.element.toggleAttribute("data-mine", mine);
    this.#video.muted = mine;
    this.#video.addEventListener("resize", () => this.onAspect?.());
    this.#video.addEventListener("playing", () => this.element.toggleAttribute("data-playing", true));
    for (const [click, isTwice] of [["click", false], ["dblclick", true]]) {
      this.element.addEventListener(click, (event) => {
        if (!event.target.closest("button") && (isTwice || event.detail === 1)) onPick?.(this, isTwice);
      });
    }
    this.rename(name);
  }

  /** For the page's own tests, output devices and picture-in-picture. */
  get video() {
    return this.#video;
  }

  /** Width over height of the picture; undefined while there is none. */
  get aspect() {
    const { videoWidth, videoHeight } = this.#video;
    return videoWidth && videoHeight && !this.element.hasAttribute("data-dark") ? videoWidth / videoHeight : undefined;
  }

  rename(name) {
    this.name = name;
    const label = this.content === "screen" ? `${this.mine ? "Your" : `${name}'s`} screen` : name;
    this.#name.textContent = this.mine && this.content !== "screen" ? `${name} (you)` : label;
    this.#name.title = label;
    this.#face.textContent = initials(name);
    this.element.style.setProperty("--hue", String(hueOf(name)));
    this.badge.name(label);
  }

  /** Whether it shows a camera or a screen. */
  reshape(content) {
    this.content = content;
    this.element.dataset.content = content;
    this.rename(this.name);
    this.onAspect?.();
  }

  show(stream) {
    if (this.#video.srcObject !== stream) this.#video.srcObject = stream;
    return this.play();
  }

  /** Whether it plays with its sound: browsers may want a click first. */
  async play() {
    try {
      await this.#video.play();
      return true;
    } catch (error) {
      return error.name !== "NotAllowedError";
    }
  }

  /** `audio`, `video`: muted, or not there. */
  muted({ audio, video }) {
    this.#micOff.hidden = !audio || this.content === "screen";
    this.element.toggleAttribute("data-dark", video);
    this.onAspect?.();
  }

  /** A word in place of the picture, as “connecting”; empty when there is nothing to wait for. */
  waits(text) {
    this.#waiting.hidden = !text;
    this.#waiting.textContent = text;
  }

  /** Shows the ring while it is loud, and a little longer: speech has gaps. */
  hear(level, now) {
    if (level > LOUD) this.#loudUntil = now + GAP_MS;
    const speaks = this.#talks || now < this.#loudUntil;
    if (speaks !== this.speaks) this.element.toggleAttribute("data-speaking", speaks);
    this.speaks = speaks;
  }

  /** Whether the server hears it speak, and whether before all others. */
  talk(talks, leads) {
    this.#talks = talks;
    this.element.toggleAttribute("data-leads", leads);
    this.element.toggleAttribute("data-speaking", talks || Boolean(this.speaks));
  }

  pin(isPinned) {
    this.pinButton.setAttribute("aria-pressed", String(isPinned));
    relabel(this.pinButton, isPinned ? "No longer keep this picture large" : "Make this picture large");
  }

  close() {
    this.#video.srcObject = null;
    this.element.remove();
  }
}

/** Levels are 0 to 1; breathing and fans stay below. */
const LOUD = 0.04;
const GAP_MS = 600;

function initials(name) {
  const words = name.trim().split(/\s+/);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word) => [...word][0] ?? "").join("").toUpperCase();
}

/** Always the same colour for the same name. */
function hueOf(name) {
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}
