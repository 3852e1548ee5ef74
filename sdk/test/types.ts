// What a user of the types writes: this file compiles, and each line after `@ts-expect-error` must not.

import {
  Channel,
  Client,
  LocalMedia,
  RemoteMedia,
  TidewireError,
  Upstream,
  devices,
  grid,
  onDevices,
  spotlight,
} from "../tidewire.js";
import type { Off, Quality, RemoteUpstream } from "../tidewire.js";

export async function call(video: HTMLVideoElement): Promise<Off> {
  const client = new Client({ url: location.origin, token: async () => "token", userAlias: "Ada" });
  const off = client.on("state", ({ state, since, reason }) => console.log(state, new Date(since), reason));
  const [channel] = await client.register();
  const other: Channel = await client.join("token");
  await other.leave();

  const show = (upstream: RemoteUpstream) => {
    const remote: RemoteMedia = channel.subscribe(upstream, { audio: false });
    video.srcObject = remote.stream;
    remote.on("track", ({ kind, track }) => console.log(kind.toUpperCase(), track?.id));
    const off = remote.attach(video);
    remote.on("layer", ({ layer, reason }) => console.log(layer.encoding, layer.height, reason === "size"));
    remote.prefer({ width: 320, height: 180, maxBitrate: 300_000, paused: remote.reason === "paused" });
    remote.on("state", ({ state }) => state === "ended" && off());
    remote.on("upstream", ({ upstream: now }) => console.log(now?.audioMuted, remote.member?.userAlias));
  };
  channel.upstreams.forEach(show);
  channel.on("upstreamopened", ({ upstream }) => show(upstream));
  channel.on("message", ({ from, text, data, mine }) => console.log(from.clientId, text ?? data?.byteLength, mine));
  await channel.send("hello");
  await channel.send(new Uint8Array([1]), { userId: "bob" });

  const media = await LocalMedia.camera({ video: { width: 640 } });
  const upstream: Upstream = await channel.publish(media, { mediaId: "ada", codecs: ["VP8"], maxBitrate: 500_000 });
  upstream.on("state", ({ state }) => console.log(state === "interrupted"));
  upstream.on("encodings", ({ encodings }) =>
    console.log(encodings.map(({ encoding, reason }) => `${encoding} ${reason}`)),
  );
  upstream.observe(({ networkQuality, streams }) => console.log(networkQuality, streams[0]?.bitrateBps));
  channel.on("speakers", ({ speakers }) => console.log(channel.upstreams.get(speakers[0])?.clientId));
  await channel.publish(media, { codecs: ["VP9"], scalabilityMode: "L3T3_KEY" });
  await channel.publish(media, { simulcast: [{ rid: "low", scaleResolutionDownBy: 4 }, { rid: "high" }] });
  media.mute({ audio: true });
  const { quality, tracks } = await upstream.stats();
  const worst: Quality = tracks[0]?.quality ?? quality;
  console.log(worst.reasons.map(({ cause, value }) => `${cause} ${value}`));

  const first = await channel.next("memberjoined");
  await channel.grant(first.member.clientId, { sendVideo: true });
  return off;
}

export async function rest(error: unknown): Promise<void> {
  if (error instanceof TidewireError && error.code === "permissionDenied") console.log(error.detail, error.retryAfterS);
  const { cameras } = await devices();
  onDevices(({ microphones }) => console.log(microphones.length, cameras.length))();
  const tiles = [{ aspect: 4 / 3 }, {}];
  console.log(
    grid(tiles, { width: 800, height: 600 })[0].x,
    spotlight(tiles, { width: 800, height: 600, index: 1 }).length,
  );
}

export function wrong(channel: Channel, client: Client): void {
  // @ts-expect-error: there is no such event
  channel.on("memberarrived", () => {});
  // @ts-expect-error: an event of a channel has no such field
  channel.on("memberjoined", ({ user }) => user);
  // @ts-expect-error: channels come from a client
  new Channel();
  // @ts-expect-error: a state is told, not set
  client.state = "live";
  // @ts-expect-error: there is no such wish
  channel.watch("main").prefer({ sharpness: 1 });
  // @ts-expect-error: a message is text or bytes
  void channel.send({ hello: "world" });
}
