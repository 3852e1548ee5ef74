// The frame: the elements of a page that is in a channel. Head, banner, stage, side panel and bar, empty as yet.
//
// It is built when one joins and thrown away when one leaves, so that nothing of one call shows in the next.

import { icon, mark } from "./icons.js";
import { h } from "./ui.js";

export class Frame {
  /** `label`: what the page is, as “call”. */
  constructor(label) {
    this.title = h("h1", { tabIndex: -1 });
    this.count = h("span.count");
    this.lead = h("div.lead.brand", {}, mark());
    this.end = h("div.end");
    this.banner = h("div.banner", { hidden: true });
    this.tiles = h("ul.tiles", { id: "tiles", "aria-label": `People in the ${label}` });
    this.overflow = h("div.overflow", { hidden: true });
    this.stage = h("main.stage", {}, this.tiles, this.overflow);
    this.log = h("div.log", { role: "log", "aria-label": "What was said", tabIndex: 0 });
    this.write = writeForm();
    this.people = h("ul.people.scroll", { id: "people" });
    this.explanation = h("div.scroll", { id: "explanation", tabIndex: 0 });
    this.side = h("aside.side", { id: "side", "aria-label": `Beside the ${label}`, hidden: true },
      view("chat", "Chat", this.log, this.write),
      view("people", "People", this.people),
      view("explain", "Quality explained", this.explanation));
    this.bar = h("div.bar", { id: "bar", role: "toolbar", "aria-label": label });
    this.root = h("div.inside", { dataset: { label } },
      h("header.channel-head", {}, this.lead, h("div.where", {}, this.title, this.count), this.end),
      this.banner, this.stage, this.side, h("section.foot", { "aria-label": "Controls" }, this.bar));
  }

  show() {
    document.body.append(this.root);
    document.body.toggleAttribute("data-inside", true);
  }

  close() {
    this.root.remove();
    document.body.toggleAttribute("data-inside", false);
  }
}

function view(name, title, ...content) {
  const close = h("button.plain.close", { type: "button", "aria-label": `Close: ${title}` }, icon("close"));
  if (name !== "chat") close.dataset.focus = "";
  return h("section", { "aria-labelledby": `${name}-title`, dataset: { of: name }, hidden: true },
    h("div.side-head", {}, h("h2", { id: `${name}-title` }, title), close), ...content);
}

function writeForm() {
  return h("form.write", {}, h("label.unseen", { htmlFor: "say" }, "Your message"),
    h("textarea", { id: "say", rows: 1, dataset: { focus: "" } }),
    h("button.primary.square", { "aria-label": "Send" }, icon("send")));
}
