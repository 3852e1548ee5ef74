// Runs in a guest's page before anything else: counts its connections, keeps what its sockets tell of, and has it write,
// share screens, mute and look away for as long as it is told to.

const member = (window.member = {
  peers: 0,
  /** Events, each number of the lane once. */
  told: [],
  isSharing: false,
  isWriting: true,

  begin({ shares, seed }) {
    const { channel, heard } = window;
    Object.assign(member, { draw: draws(seed), isSharing: shares });
    channel.on("upstreamupdated", ({ upstream: { mediaId, tag }, before }) => {
      if (tag !== before.tag) heard.push(`tag ${mediaId} ${tag}`);
    });
    Object.assign(member, { sharing: share(), writing: write(), counting: count() });
  },

  /** The last message follows everything else that is done here. */
  async finish() {
    member.isSharing = false;
    const shares = await member.sharing;
    member.isWriting = false;
    return { shares, messages: await member.writing, seconds: await member.counting, peers: member.peers };
  },

  sample: () => sampled(),

  /** How this end sees the channel, and what it was told twice. What tells how things stand may be as it was once before. */
  look() {
    const { members, upstreams } = window.channel;
    const happened = member.told.filter(({ type }) => !/offer|updated|layer|speakers|demand/i.test(type));
    const events = happened.map((event) => JSON.stringify(event));
    return {
      twice: events.filter((event, at) => events.indexOf(event) !== at),
      members: [...members.values()].map(({ userAlias }) => userAlias).sort(),
      muted: [...upstreams.values()].map(({ audioMuted }) => audioMuted),
    };
  },
});

window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) {
    super(...given);
    member.peers += 1;
  }
};

window.WebSocket = class Attended extends WebSocket {
  static seen = 0;

  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      const { n = 0, m } = JSON.parse(data);
      if (n <= Attended.seen) return;
      Attended.seen = n;
      if (m.type === "event") member.told.push(m.event);
    });
  }
};

/** Numbered messages, none of which waits for the one before. */
async function write() {
  const { channel, heard } = window;
  const asked = [];
  for (; member.isWriting; await pause(50 + 50 * member.draw())) {
    asked.push(channel.send(String(asked.length)).catch(({ code }) => heard.push(`error ${code}`)));
  }
  await Promise.all(asked);
  return asked.length;
}

/** Opens a screen, changes it twice and closes it, again and again, and does what else people do meanwhile. */
async function share() {
  const { channel, media, client, sdk } = window;
  const screen = sdk.LocalMedia.of(painted(), "screen");
  let number = 0;
  for (; member.isSharing; number += 1) {
    const before = connected();
    const upstream = await channel.publish(screen, { mediaId: `${client.me.userAlias}-${number}` });
    // Others are told of it when this end is.
    while (connected() === before) await pause(10);
    media.mute({ audio: true });
    await upstream.update({ tag: "a" });
    await pause(400 * member.draw());
    media.mute({ audio: false });
    await upstream.update({ tag: "b" });
    await lookAway();
    await upstream.close();
    await pause(400 * member.draw());
  }
  return number;
}

function connected() {
  return member.told.filter(({ type }) => type === "connected").length;
}

/** From somebody's screen, and back to it if it is still there. */
async function lookAway() {
  const { channel, remotes, follow } = window;
  const [name, remote] = [...remotes].findLast(([name, { state }]) => name.includes("-") && state !== "ended") ?? [];
  remote?.close();
  await pause(100 * member.draw());
  const upstream = [...channel.upstreams.values()].find(({ mediaId }) => mediaId === name);
  if (remote && upstream) follow(channel.subscribe(upstream), name);
}

async function count() {
  const seconds = [];
  for (; member.isWriting; await pause(1_000)) seconds.push(await sampled());
  return seconds;
}

/** Frames of the own camera that were sent and, by name, of everything watched that were received. */
async function sampled() {
  const inbound = await statsOf(window.channel.downstream.peer, "inbound-rtp");
  const outbound = await statsOf(window.upstream.peer, "outbound-rtp");
  const received = ({ videoTrack }) => inbound.find(({ trackIdentifier }) => trackIdentifier === videoTrack?.id)?.framesReceived;
  return {
    sent: outbound.find(({ kind }) => kind === "video").framesSent,
    received: Object.fromEntries([...window.remotes].map(([name, remote]) => [name, received(remote)])),
    packetsLost: inbound.reduce((sum, { packetsLost }) => sum + packetsLost, 0),
  };
}

async function statsOf(peer, type) {
  return [...(await peer.getStats()).values()].filter((stats) => stats.type === type);
}

function painted() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
  const context = canvas.getContext("2d");
  setInterval(() => context.fillRect(64 * Math.random(), 48 * Math.random(), 1, 1), 100);
  return canvas.captureStream(10);
}

function draws(seed) {
  let random = seed + 1;
  return () => (random = (random * 48_271) % 2_147_483_647) / 2_147_483_647;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
