// The bar: buttons under the stage, walked by arrow keys, with shortcuts and tooltips. Which buttons there are is the
// page's affair.

import { h, iconButton, relabel, shortcuts } from "./ui.js";

export class Bar {
  /**
   * `groups`: lists of `[name, icon, label, what to do, shortcut]`. `keys`: more shortcuts; both hold until `signal` aborts.
   */
  constructor(root, groups, keys, signal) {
    this.buttons = {};
    const bound = { ...keys };
    groups.forEach((group, index) => {
      if (index > 0) root.append(h("span.gap", { "aria-hidden": "true" }));
      for (const [name, iconName, label, act, shortcut] of group) {
        const button = iconButton(iconName, label, { shortcut, id: `bar-${name}`, onclick: act });
        this.buttons[name] = button;
        root.append(button);
        if (shortcut) bound[shortcut] = () => button.disabled || button.hidden || act();
      }
    });
    for (const name of VIEWS) this.buttons[name]?.setAttribute("aria-expanded", "false");
    this.unread = h("span.unread", { hidden: true, "aria-hidden": "true" });
    this.buttons.chat?.append(this.unread);
    shortcuts(bound, signal);
    walk(root);
  }

  /** A button for something that one may send: red and crossed out while it is off. */
  sends(name, what, { isOn, may }) {
    const button = this.buttons[name];
    const [on, off] = ICONS[name];
    button.disabled = !may;
    button.toggleAttribute("data-off", !isOn);
    relabel(button, may ? `Turn ${what} ${isOn ? "off" : "on"}` : `You may not send with your ${what}`, isOn ? on : off);
  }

  /** A button that is pressed or not. */
  presses(name, isPressed, label, iconName) {
    this.buttons[name].setAttribute("aria-pressed", String(isPressed));
    relabel(this.buttons[name], label, iconName);
  }

  view(view) {
    for (const name of VIEWS) this.buttons[name]?.setAttribute("aria-expanded", String(view === name));
  }

  unreadCount(count) {
    this.unread.hidden = count === 0;
    this.unread.textContent = count > 99 ? "99+" : String(count);
    relabel(this.buttons.chat, count ? `Chat, ${count} unread` : "Chat");
  }
}

const VIEWS = ["people", "chat"];
const ICONS = { microphone: ["mic", "micOff"], camera: ["camera", "cameraOff"] };

/** Arrow keys walk along a toolbar; a slider in it keeps them for itself. */
function walk(root) {
  root.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || event.target.type === "range") return;
    const all = [...root.querySelectorAll("button:not(:disabled):not([hidden])")];
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length]?.focus();
    event.preventDefault();
  });
}
