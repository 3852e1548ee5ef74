// What studio and seats have in common: the main picture has the media id `main`, whoever else sends is a guest on stage.

import { nameOf } from "../shared/cast.js";
import { Gathering } from "../shared/gathering.js";
import { icon } from "../shared/icons.js";
import { h } from "../shared/ui.js";

/** The media id of the main picture: who watches it waits for it, and stays when it is published anew. */
export const MAIN = "main";

export class Show extends Gathering {
  constructor(tag) {
    super({ label: "broadcast", hasFaces: false, tag });
    this.air = h("span.air", { role: "status" });
    this.watching = h("span");
    this.frame.lead.append(this.air);
    this.frame.count.append(icon("eye"), this.watching);
    this.poster = h("div.poster", { hidden: true });
    this.frame.stage.append(this.poster);
  }

  shows(upstream) {
    return upstream.mediaId !== MAIN;
  }

  unread(count) {
    this.bar.unreadCount(count);
  }

  viewed(view) {
    this.bar.view(view);
  }

  /** Viewers, oneself included where one is one. */
  drawCount(own) {
    const hosts = [...this.channel.members.values()].filter(({ tag }) => tag === "host").length;
    const count = Math.max(0, this.channel.members.size - hosts) + own;
    const text = `${count} watching`;
    if (this.watching.textContent !== text) this.watching.textContent = text;
  }

  drawAir(isLive, text) {
    this.air.toggleAttribute("data-live", isLive);
    if (this.air.textContent !== text) this.air.textContent = text;
  }

  /** Who is on stage beside the main picture. */
  guests() {
    return [...this.channel.upstreams.values()].filter((upstream) => this.shows(upstream));
  }

  nameOf(clientId) {
    return nameOf(this.channel.members.get(clientId));
  }
}

/** Three waves, for a stage on which nothing is to be seen. */
export function waves() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "waves");
  svg.setAttribute("viewBox", "0 0 120 70");
  svg.setAttribute("aria-hidden", "true");
  for (const y of [16, 36, 56]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", `M12 ${y}c12-14 24-14 36 0s24 14 36 0 18-12 24-6`);
    svg.append(path);
  }
  return svg;
}
