// The call page: a lobby, and behind it one meeting after the other. Here they are joined, and nothing else is done.

import { showInAddress } from "../shared/entry.js";
import { Lobby } from "./lobby.js";
import { Meeting } from "./meeting.js";

const lobby = new Lobby();
for (let farewell = ""; ; ) {
  const { meeting, channel } = await lobby.enter(farewell, async (entry, onTrouble) => {
    const next = new Meeting(entry.media);
    await next.join(entry, onTrouble);
    return { meeting: next, channel: entry.channel };
  });
  showInAddress(channel);
  document.title = `${channel} · Tidewire`;
  farewell = await meeting.run();
  document.title = "Call · Tidewire";
}
