// The dialog in which devices are chosen while one is in a channel.

import { DeviceChoice, LevelMeter } from "./devices.js";
import { icon } from "./icons.js";
import { h, keysWork } from "./ui.js";

export class DeviceDialog {
  /** `media()`: what is chosen for. `keys`: the page's shortcuts, in words. */
  constructor(root, { media, onSpeaker, keys }) {
    const choice = h("div.form", { id: "call-devices" });
    const level = h("span.level");
    this.element = h("dialog", { id: "devices", "aria-labelledby": "devices-title" },
      h("div.dialog-head", {}, h("h2", { id: "devices-title" }, "Devices"),
        h("button.plain.square", { type: "button", "aria-label": "Close: Devices", onclick: () => this.element.close() }, icon("close"))),
      h("div.dialog-body", {}, choice, h("div.level-row", {}, h("span", {}, "Microphone"), level), keySwitch(keys)));
    root.append(this.element);
    this.choice = new DeviceChoice(choice, { media, onSpeaker });
    this.meter = new LevelMeter(level, () => media()?.level ?? 0);
  }

  async open() {
    await this.choice.refresh();
    this.element.showModal();
  }

  stop() {
    this.choice.stop();
    this.meter.stop();
  }
}

function keySwitch(keys) {
  const box = h("input", { type: "checkbox", checked: keysWork.read(), id: "keys-work" });
  box.addEventListener("change", () => keysWork.write(box.checked));
  return h("div.keys", {}, box, h("label", { htmlFor: "keys-work" }, "Single keys work"), h("small", {}, keys));
}
