// Small things that every page needs: elements, short notices, keyboard shortcuts, what is remembered.
//
// Text goes into elements as text, never as markup: names and messages come from others.

import { icon } from "./icons.js";

export const $ = (selector, root = document) => root.querySelector(selector);

/**
 * An element: `h("button.primary", { type: "button", onclick: go }, "Go")`. Attributes with a dash and `role` are set as
 * attributes, `dataset` is merged, everything else is a property.
 */
export function h(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "dataset") Object.assign(element.dataset, value);
    else if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** A button that shows an icon and is called by its label, which is its tooltip as well. */
export function iconButton(name, label, properties = {}) {
  const { shortcut, ...rest } = properties;
  const button = h("button", { type: "button", ...rest }, icon(name));
  relabel(button, label);
  if (shortcut) {
    button.setAttribute("aria-keyshortcuts", shortcut);
    button.dataset.key = shortcut;
  }
  return button;
}

/** Changes what a button is called, and its icon where one is given. */
export function relabel(button, label, iconName) {
  button.setAttribute("aria-label", label);
  button.dataset.tip = label;
  if (iconName) button.querySelector(".icon").replaceWith(icon(iconName));
}

/** A short notice that goes by itself, and is read out; `action` is `[label, what to do]`. Returns it, to be removed before. */
export function toast(text, action) {
  const note = h("div.toast", {}, text);
  if (action) note.append(h("button.plain", { type: "button", onclick: () => { note.remove(); action[1](); } }, action[0]));
  toasts().append(note);
  while (toasts().childElementCount > TOASTS_MAX) toasts().firstElementChild.remove();
  setTimeout(() => note.remove(), TOAST_MS);
  return note;
}

/** Notices at once: more would hide the page. */
const TOASTS_MAX = 3;
const TOAST_MS = 6000;

let shelf;
function toasts() {
  shelf ??= document.body.appendChild(h("div.toasts", { role: "status", "aria-live": "polite" }));
  return shelf;
}

/** Fills a box with a problem as `explain` makes them; hides it for none. */
export function showProblem(box, problem) {
  box.hidden = !problem;
  if (!problem) return;
  const { title, detail, advice, code } = problem;
  box.replaceChildren(...[h("strong", {}, title), detail && h("p", {}, detail), advice && h("p", {}, advice), code && h("code", {}, code)].filter(Boolean));
}

/** Whether single keys do something. Who speaks to the computer, or hits keys by accident, switches them off. */
export const keysWork = {
  read: () => memory.local.read("keys") !== "off",
  write: (work) => memory.local.write("keys", work ? "on" : "off"),
};

/** Single keys that do something, unless somebody is typing. `keys`: by upper-case key, what to do; until `signal` aborts. */
export function shortcuts(keys, signal) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector("dialog[open]")) return;
    const isTyping = event.target.matches?.("input:not([type=range]), textarea, select, [contenteditable]");
    const act = keys[event.key.length === 1 ? event.key.toUpperCase() : event.key];
    if (!act || (event.key !== "Escape" && (isTyping || !keysWork.read()))) return;
    event.preventDefault();
    act(event);
  }, { signal });
}

/** What outlives a reload: `local` for good, `tab` for this tab. A browser that forbids it forgets, and nothing else. */
export const memory = { local: store(() => localStorage), tab: store(() => sessionStorage) };

function store(open) {
  const guarded = (act) => {
    try {
      return act(open());
    } catch {
      return undefined; // storage is forbidden or full
    }
  };
  return {
    read: (key) => guarded((storage) => storage.getItem(`tidewire.${key}`)) ?? undefined,
    write: (key, value) => guarded((storage) => storage.setItem(`tidewire.${key}`, value)),
    forget: (key) => guarded((storage) => storage.removeItem(`tidewire.${key}`)),
  };
}

/** Copies, or shows what is to be copied where the browser lets no page copy. */
export async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    toast(done);
  } catch {
    prompt("Copy this:", text);
  }
}

/** Text with its web addresses as links, which open elsewhere and are told nothing of this page. */
export function linked(text) {
  return text.split(ADDRESS).map((part, index) => (index % 2 === 1 ? link(part) : part));
}

function link(address) {
  try {
    const { href, protocol } = new URL(address);
    if (protocol === "https:" || protocol === "http:") return h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, address);
  } catch {
    // no address after all
  }
  return address;
}

/** Up to what is more likely the sentence's punctuation than the address's. */
const ADDRESS = /(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]])/;
