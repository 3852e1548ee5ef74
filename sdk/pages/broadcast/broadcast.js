// The broadcast page: a door, and behind it the studio or a seat. Who comes by a watch link is seated at once.

import { showInAddress } from "../shared/entry.js";
import { Door } from "./door.js";
import { Studio } from "./studio.js";
import { Viewer } from "./viewer.js";

// A video that waits for its first picture would keep the page “loading” for as long as it waits.
if (document.readyState !== "complete") await new Promise((resolve) => addEventListener("load", resolve, { once: true }));

const door = new Door();
for (let farewell = ""; ; ) {
  const { show, channel } = await door.enter(farewell, async (entry, onTrouble) => {
    const next = entry.isHost ? new Studio(entry.title) : new Viewer();
    await next.join(entry, onTrouble);
    return { show: next, channel: entry.channel };
  });
  showInAddress(channel, ...(show instanceof Studio ? ["host"] : []));
  document.title = `${channel} · Tidewire`;
  farewell = await show.run();
  document.title = "Broadcast · Tidewire";
}
