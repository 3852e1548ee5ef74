// The side: one panel beside the stage (over it, on a phone), which shows one of several views or is closed.

import { $ } from "./ui.js";

export class Side {
  #opener;

  /** `onChange(view)` hears which view is open; undefined for none. */
  constructor(root, onChange = () => {}) {
    Object.assign(this, { root, onChange });
    for (const button of root.querySelectorAll(".close")) button.addEventListener("click", () => this.close());
    root.hidden = true;
  }

  get view() {
    return this.root.hidden ? undefined : this.root.dataset.view;
  }

  open(view, { takesFocus = true } = {}) {
    this.#opener = document.activeElement;
    this.root.dataset.view = view;
    this.root.hidden = false;
    for (const section of this.root.querySelectorAll("[data-of]")) section.hidden = section.dataset.of !== view;
    if (takesFocus) $(`[data-of="${view}"] [data-focus]`, this.root)?.focus({ preventScroll: true });
    this.onChange(view);
  }

  toggle(view) {
    if (this.view === view) this.close();
    else this.open(view);
  }

  /** The focus goes back to where it came from. */
  close() {
    if (this.root.hidden) return;
    const had = this.root.contains(document.activeElement);
    this.root.hidden = true;
    if (had) this.#opener?.focus?.();
    this.onChange(undefined);
  }
}
