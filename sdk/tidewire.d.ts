// The whole public face of Tidewire's JavaScript SDK. `tidewire.js` beside it is what a page imports:
//
//     import { Client, LocalMedia } from "/sdk/tidewire.js";
//
//     const client = new Client({ url: location.origin, token: () => fetch("/token").then((got) => got.text()) });
//     const [channel] = await client.register();
//     for (const upstream of channel.upstreams.values()) show(channel.subscribe(upstream));
//     channel.on("upstreamopened", ({ upstream }) => show(channel.subscribe(upstream)));
//     await channel.publish(await LocalMedia.camera());
//
// Rules that hold everywhere: what takes time returns a promise; what fails, fails with a `TidewireError`; what happens
// is an event, and `on` returns the function that takes the listener off; a lost network mends itself, and `state` says
// how far it is; times are in milliseconds unless the name says otherwise, rates in bits a second, levels from 0 to 1.

// ---------------------------------------------------------------------------------------------------------------------
// Events and errors
// ---------------------------------------------------------------------------------------------------------------------

/** Something that tells what happens to it. `E` maps each event's name to what its listeners are handed. */
export class Emitter<E> {
  /** Calls `listener` at every such event, until the function that this returns is called. */
  on<K extends keyof E>(name: K, listener: (event: E[K]) => void): Off;
  /** The next such event; rejects with `aborted` when the signal says so first. */
  next<K extends keyof E>(name: K, options?: { signal?: AbortSignal }): Promise<E[K]>;
}

/** Takes a listener off. Calling it twice does no harm. */
export type Off = () => void;

/** The one kind of error that the SDK throws. */
export class TidewireError extends Error {
  /** Stable; one of `SdkErrorCode`, or a code of the gateway's reference of errors. */
  readonly code: SdkErrorCode | (string & {});
  /** For a person who develops. */
  readonly detail: string;
  /** After so many seconds the same request may succeed. */
  readonly retryAfterS?: number;
  constructor(code: string, detail: string, retryAfterS?: number);
}

/** The codes that the SDK itself adds to those of the gateway. */
export type SdkErrorCode =
  /** The user, or the browser's policy, denied camera, microphone or screen. */
  | "permissionDenied"
  /** There is no such device. */
  | "deviceNotFound"
  /** Another program has the device. */
  | "deviceInUse"
  /** No device can do what was asked of it. */
  | "deviceUnsuitable"
  /** The page may not use devices: it did not come by https, nor from this machine. */
  | "insecurePage"
  /** The app's `token` callback failed; the detail says how. */
  | "tokenUnavailable"
  /** Call `register` first. */
  | "notRegistered"
  /** The client is over: unregistered, replaced, or refused when it came back. */
  | "clientGone"
  /** The client had to register anew before the request was answered; whether it was carried out is unknown. */
  | "linkLost"
  /** More waits to be sent than the link may hold. */
  | "linkFull"
  /** The channel was left. */
  | "channelLeft"
  /** The connection is closed. */
  | "connectionClosed"
  /** The browser refused a step of a connection; the detail is what it said. */
  | "peerFailed"
  /** There is nothing in what was handed over: no audio and no video track, or an empty message. */
  | "nothingToSend"
  /** The caller's signal. */
  | "aborted";

// ---------------------------------------------------------------------------------------------------------------------
// Client
// ---------------------------------------------------------------------------------------------------------------------

export interface ClientOptions {
  /** The gateway: its origin (`https://host`), or the whole address of its WebSocket. */
  url: string | URL;
  /** A register token, or what obtains one. A client that was away for too long needs one anew: a text may be stale then. */
  token: TokenSource;
  userAlias?: string;
  deviceAlias?: string;
  tag?: string;
  /** For media; the server needs none to be reached directly. */
  iceServers?: RTCIceServer[];
}

/** A token, or a function that obtains a fresh one from the application's own server. */
export type TokenSource = string | (() => string | Promise<string>);

/**
 * - `new`: `register` was not called yet.
 * - `connecting`: the first registration, or one anew after the gateway has forgotten this client, is under way.
 * - `live`
 * - `interrupted`: the socket is lost and being mended; requests wait, media goes on.
 * - `gone`: over for good. `reason` tells why.
 */
export type ClientState = "new" | "connecting" | "live" | "interrupted" | "gone";

export interface ClientEvents {
  /** `since`: the moment (`Date.now()`) at which this state began. `error` with `gone`, where known. */
  state: { state: ClientState; since: number; reason?: EndReason; error?: TidewireError };
  /**
   * The client is registered; `again` when the gateway had forgotten it. Channels were then joined again, what was
   * published is published again, what was watched is watched again, under the same objects.
   */
  registered: { again: boolean };
  /** The page is in one more channel. */
  joined: { channel: Channel };
  /** The page is in one channel less. */
  left: { channel: Channel; reason: ChannelEnd };
  /** Something that nobody waits for went wrong: a channel that could not be joined again, and the like. */
  error: { error: TidewireError; channel?: Channel };
}

/** Why a client is over, or has to register anew. */
export type EndReason =
  /** The page asked for it. */
  | "unregistered"
  /** The same client registered elsewhere: another tab with the same client id, say. */
  | "replaced"
  /** Another socket goes on with this client. */
  | "socketReplaced"
  /** A registration was refused; `error` says why. */
  | "refused"
  /** It was away for longer than its lease, or the gateway is another one now. It registers anew by itself. */
  | "resumeUnknown"
  /** The two ends disagreed about what was said. It registers anew by itself. */
  | "protocolViolation";

/** One client of one application, on one page. */
export class Client extends Emitter<ClientEvents> {
  constructor(options: ClientOptions);
  readonly state: ClientState;
  /** When this state began, as `Date.now()`. */
  readonly since: number;
  /** How the others see this client; null before it is registered. */
  readonly me: Member | null;
  /** The channels that this client is in, by name. */
  readonly channels: ReadonlyMap<string, Channel>;
  /**
   * Registers, and joins the channels that the token names; resolves with these. While the gateway cannot be reached it
   * is tried again for as long as it takes (`state` is `connecting`; stop with `unregister`); a refusal rejects.
   */
  register(): Promise<Channel[]>;
  /** Joins the one channel that a join token names. A function is called again when the client must register anew. */
  join(token: TokenSource): Promise<Channel>;
  /** Hands over a newer register token, by default a fresh one from `options.token`: its claims hold from now on. */
  renew(token?: string): Promise<void>;
  /** Changes what others see. What is left out stays; an empty text takes it away. */
  update(changes: { userAlias?: string; deviceAlias?: string; tag?: string }): Promise<void>;
  /** Leaves everything at once and ends the client. Never rejects. */
  unregister(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Channel
// ---------------------------------------------------------------------------------------------------------------------

/** A client as others see it. */
export interface Member {
  readonly clientId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly userAlias?: string;
  readonly deviceAlias?: string;
  readonly tag?: string;
  readonly roles?: readonly string[];
  readonly region?: string;
}

/** Where pictures come from. */
export type Content = "camera" | "screen";

/** Media of somebody else's that can be watched in a channel. */
export interface RemoteUpstream {
  /** Its name. */
  readonly upstream: string;
  /** Whose it is; none for one that was published by WHIP. `channel.members.get(clientId)` tells more. */
  readonly clientId?: string;
  /** The name that stays when it is published again. */
  readonly mediaId?: string;
  /** What it has. */
  readonly audio: boolean;
  readonly video: boolean;
  /** What its owner says of it. */
  readonly audioMuted: boolean;
  readonly videoMuted: boolean;
  readonly content: Content;
  readonly tag?: string;
}

/** What a client may do in a channel. */
export interface Rights {
  readonly sendAudio: boolean;
  readonly sendVideo: boolean;
  readonly sendMessages: boolean;
  /** Publish and watch at all. */
  readonly sfu: boolean;
  readonly kick: boolean;
  /** Grant rights to others. */
  readonly update: boolean;
  /** It is not announced, and sends nothing. */
  readonly hidden: boolean;
}

/** What is to change of a member's rights; what is left out stays. */
export type RightsChange = Partial<Pick<Rights, "sendAudio" | "sendVideo" | "sendMessages" | "kick" | "update">>;

/** A message, from whom the gateway says it is from. One sent by this client comes back to it, too. */
export interface Message {
  readonly from: Member;
  /** Whether this client sent it. */
  readonly mine: boolean;
  /** Whether it went to the whole channel. */
  readonly toAll: boolean;
  /** Either a text or bytes. */
  readonly text?: string;
  readonly data?: Uint8Array;
}

/** Whom a message is for: those whom all of the ids given describe. */
export interface Recipients {
  clientId?: string;
  userId?: string;
  deviceId?: string;
}

/** Why this client is no longer in a channel: it left, was made to, could not join again, or is over. */
export type ChannelEnd = "left" | "kicked" | "refused" | "clientGone";

/** Why an upstream or a connection ended. Those of the gateway's reference, and `channelLeft`. */
export type CloseReason =
  | "requested"
  | "replaced"
  | "consentExpired"
  | "handshakeFailed"
  | "wrongFingerprint"
  | "peerClosed"
  | "shutdown"
  | "mediaServerLost"
  | "channelLeft"
  | (string & {});

export interface ChannelEvents {
  memberjoined: { member: Member };
  /** `reason`: `left`, `leaseExpired`, `kicked`, or `unknown` when it happened while this client was away. */
  memberleft: { member: Member; reason: "left" | "leaseExpired" | "kicked" | "unknown" };
  memberupdated: { member: Member; before: Member };
  upstreamopened: { upstream: RemoteUpstream };
  upstreamupdated: { upstream: RemoteUpstream; before: RemoteUpstream };
  /** `reason`: `unknown` when it happened while this client was away. */
  upstreamclosed: { upstream: RemoteUpstream; reason: CloseReason };
  message: Message;
  rightschanged: { rights: Rights; before: Rights };
  /** Precedes `left`. */
  kicked: { by: string };
  left: { reason: ChannelEnd };
  /** Others speak than before. `speakers` as in `channel.speakers`. */
  speakers: { speakers: readonly string[] };
  /** This page did not read for too long: so many messages are lost. Members and upstreams are up to date again. */
  lost: { messages: number; events: number };
  /** Something is published by this client from now on, or is not any more. */
  published: { upstream: Upstream };
  unpublished: { upstream: Upstream; reason: CloseReason };
}

export interface PublishOptions {
  /** A name to be watched by across re-publishing. Whoever publishes under it already is replaced. */
  mediaId?: string;
  tag?: string;
  /** By default what the media says. */
  content?: Content;
  /** In order of preference, as "VP8" or "H264"; those that are not named come last. */
  codecs?: string[];
  /** Of video, all its encodings together, in bits a second. */
  maxBitrate?: number;
  /**
   * Whether each packet of sound carries the one before it as well (Opus in RED), where the browser can: Chromium does. A viewer
   * then hears nothing of a packet that is lost, without waiting for it to be sent again. It doubles what sound takes, for
   * every viewer whose browser knows the format; so it is not done unless it is asked for.
   */
  redundancy?: boolean;
  /**
   * Whether the video is sent in several sizes, so that each viewer gets one that fits. By default a camera is: in three
   * from 960 x 540 pixels on (`q`, `h`, `f`: a quarter, half and all of the width), in two from 480 x 270 on (`h`, `f`);
   * of smaller pictures Chromium would leave out the largest. A screen is not, since what is small of it cannot be read.
   * Or the encodings themselves, four at most, each with its `rid`.
   */
  simulcast?: boolean | EncodingParameters[];
  /**
   * Layers within one encoding, as "L3T3_KEY", where codec and browser have them (VP9 and AV1 in Chromium; name the codec
   * first in `codecs`). Without simulcast then, unless that is asked for too.
   */
  scalabilityMode?: string;
}

/** The browser's own, with what its types do not know yet. */
export interface EncodingParameters extends RTCRtpEncodingParameters {
  /** A size that the picture is to fit into, instead of `scaleResolutionDownBy`. */
  scaleResolutionDownTo?: { maxWidth: number; maxHeight: number };
  scalabilityMode?: string;
}

/** One of the encodings in which a video is sent. */
export interface VideoEncoding {
  /** Its RID; none where there is one alone. */
  readonly encoding?: string;
  /** By how much its picture is smaller than the source's. */
  readonly scale: number;
  readonly scalabilityMode?: string;
  readonly maxBitrate?: number;
  /** Whether it is sent; the browser may hold it back all the same when processor or network are too slow. */
  readonly active: boolean;
  /**
   * Why: somebody wants it, nobody does, or the server has not said yet; `disabled` when the page said so, or when the
   * track of now is too small for so many.
   */
  readonly reason: "wanted" | "unwanted" | "unknown" | "disabled";
  /** The highest layers that anybody wants; none where nobody sets a limit. */
  readonly spatial?: number;
  readonly temporal?: number;
}

/** What is asked for of a video. Whatever is left out sets no limit; all that is said holds together. */
export interface Wish {
  /** Nothing at all, for as long as this is so. Sound goes on. */
  paused?: boolean;
  /** The size of the picture on the screen, in its pixels: nothing larger than needed is sent. */
  width?: number;
  height?: number;
  /** This simulcast encoding, by its RID, as long as it is sent; the nearest one otherwise. */
  encoding?: string;
  /** No layer above these. */
  spatial?: number;
  temporal?: number;
  /** In bits a second. */
  maxBitrate?: number;
}

/** What comes of a video at present. */
export interface Layer {
  /** The simulcast encoding, where there are several. */
  readonly encoding?: string;
  /** The highest layers that are sent, counted from 0. */
  readonly spatial: number;
  readonly temporal: number;
  /** The size of its pictures, where the server knows it. */
  readonly width?: number;
  readonly height?: number;
}

/** Why it is this layer that comes. */
export type LayerReason =
  /** It is the best that there is. */
  | "best"
  /** It is shown no larger than this. */
  | "size"
  /** The page named it, or a highest layer. */
  | "wished"
  /** The bitrate allows no more. */
  | "bitrate"
  /** A better one is not sent at present. */
  | "notSent"
  /** A better one was asked for, and waits for a picture that a decoder can begin with. */
  | "waiting"
  /** The page paused it, or shows it nowhere. */
  | "paused";

/** What of an upstream is wanted; by default all. */
export interface Wanted {
  audio?: boolean;
  video?: boolean;
}

/** A channel that this client is in. The object stays the same when the client must register anew. */
export class Channel extends Emitter<ChannelEvents> {
  private constructor();
  readonly client: Client;
  /** In lower case. */
  readonly name: string;
  /** Whether this client is in it. */
  readonly joined: boolean;
  readonly rights: Rights;
  /** Everybody else who is there and not hidden, by client id. */
  readonly members: ReadonlyMap<string, Member>;
  /** Everybody else's media, by upstream. */
  readonly upstreams: ReadonlyMap<string, RemoteUpstream>;
  /** Who speaks, the active speaker first: names of upstreams, this client's own among them. Empty while it is quiet. */
  readonly speakers: readonly string[];
  /** What this client publishes. */
  readonly published: ReadonlySet<Upstream>;
  /** What this client watches or waits for. */
  readonly watched: ReadonlySet<RemoteMedia>;
  /** The one connection that carries all that is watched here; null before the first is. */
  readonly downstream: Downstream | null;
  /** Sends a text or bytes, to all unless told otherwise. */
  send(content: string | Uint8Array, to?: Recipients): Promise<void>;
  /**
   * Publishes. With a `LocalMedia`, later changes of device and mute follow by themselves, and when it ends so does the
   * upstream.
   */
  publish(media: LocalMedia | MediaStream, options?: PublishOptions): Promise<Upstream>;
  /** Watches an upstream, until it closes. Returns at once; the media comes by itself. */
  subscribe(upstream: RemoteUpstream | string, wanted?: Wanted): RemoteMedia;
  /** Watches whoever publishes under a media id: waits for the first, goes on with the next. */
  watch(mediaId: string, wanted?: Wanted): RemoteMedia;
  /** Lets a member do what its token did not, or the other way round. Needs the right `update`. */
  grant(clientId: string, rights: RightsChange): Promise<void>;
  /** Ends a member's stay. Needs the right `kick`. */
  kick(clientId: string): Promise<void>;
  /** Closes everything of this client's in the channel, and leaves it. Where it rejects, this client is still in it. */
  leave(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Connections
// ---------------------------------------------------------------------------------------------------------------------

/**
 * - `connecting`: being set up, for the first time or anew.
 * - `live`: media can flow.
 * - `interrupted`: the network does not carry it; ICE is being restarted.
 * - `closed`
 */
export type ConnectionState = "connecting" | "live" | "interrupted" | "closed";

export interface ConnectionEvents {
  state: { state: ConnectionState; since: number; reason?: CloseReason };
  /** A second as the server saw it; only while something observes. */
  statistics: { statistics: ServerStatistics };
}

/** What an upstream and a downstream have in common. */
export class Connection<E extends ConnectionEvents = ConnectionEvents> extends Emitter<E> {
  protected constructor();
  readonly channel: Channel;
  readonly state: ConnectionState;
  /** When this state began, as `Date.now()`. */
  readonly since: number;
  /** For what the SDK does not cover. Another one after the client had to register anew. */
  readonly peer: RTCPeerConnection | null;
  /** What has gone on since the last report. Calls within one second share a report. */
  stats(): Promise<ConnectionStats>;
  /** Tells `listener` each second how the server sees this connection, until it is taken off. */
  observe(listener: (statistics: ServerStatistics) => void): Off;
}

export interface UpstreamEvents extends ConnectionEvents {
  /** What this upstream says of itself has changed. */
  updated: { audioMuted: boolean; videoMuted: boolean; content: Content; tag?: string };
  /** What is wanted of its video has changed, and with it what is sent. */
  encodings: { encodings: VideoEncoding[] };
}

/** Media of this client's in a channel. */
export class Upstream extends Connection<UpstreamEvents> {
  private constructor();
  /** Its name towards the others; another one after the client had to register anew. */
  readonly upstream: string;
  readonly mediaId?: string;
  readonly media: LocalMedia;
  readonly content: Content;
  readonly tag?: string;
  readonly audioMuted: boolean;
  readonly videoMuted: boolean;
  /** In which encodings its video is sent, and why. What nobody wants is switched off, and back on when somebody does. */
  readonly encodings: VideoEncoding[];
  /** Stops or goes on sending, and tells the others. The same as `media.mute`. */
  mute(muted: { audio?: boolean; video?: boolean }): void;
  /** Tells the others what it is now. */
  update(changes: { content?: Content; tag?: string }): Promise<void>;
  /** Sends another track in place of the one of its kind, without the others noticing. It stays the page's to stop. */
  replaceTrack(track: MediaStreamTrack): Promise<void>;
  /** Limits the video, in bits a second; null lifts the limit. */
  limit(maxBitrate: number | null): Promise<void>;
  /** Stops publishing. The media itself goes on; see `LocalMedia.stop`. */
  close(): Promise<void>;
}

/** The connection that carries everything that this client watches in one channel. */
export class Downstream extends Connection {
  private constructor();
}

/**
 * - `waiting`: nobody publishes it, or it is being set up.
 * - `live`: its tracks are there.
 * - `ended`: it does not come back.
 */
export type RemoteState = "waiting" | "live" | "ended";

export interface RemoteMediaEvents {
  state: { state: RemoteState };
  /** A track of `stream` came or went (null). */
  track: { kind: "audio" | "video"; track: MediaStreamTrack | null };
  /** What its owner says of it has changed, or it is another's now; null while nobody publishes. */
  upstream: { upstream: RemoteUpstream | null };
  /** Another layer of the video comes, or this one for another reason. */
  layer: { layer: Layer; reason: LayerReason };
}

/** Media of somebody else's. */
export class RemoteMedia extends Emitter<RemoteMediaEvents> {
  private constructor();
  readonly channel: Channel;
  /** What it was asked for by: one of the two. */
  readonly source: { upstream: string } | { mediaId: string };
  readonly state: RemoteState;
  /** For an element's `srcObject`. The same object from first to last; tracks come and go in it. */
  readonly stream: MediaStream;
  readonly audioTrack: MediaStreamTrack | null;
  readonly videoTrack: MediaStreamTrack | null;
  /** What its owner says of it; null while nobody publishes. */
  readonly upstream: RemoteUpstream | null;
  /** Whose it is; null while nobody publishes, and for what was published by WHIP. */
  readonly member: Member | null;
  /** What is wanted of it. */
  readonly wanted: Readonly<Required<Wanted>>;
  /** How loud it is right now. Cheap enough to be read for every picture. */
  readonly level: number;
  /** What the server is asked for: what `prefer` said, beside what the elements need that it is attached to. */
  readonly wish: Wish;
  /** What comes of the video, and why; null while there is none. */
  readonly layer: Layer | null;
  readonly reason: LayerReason | null;
  /** Changes what is wanted of it: a kind that is not wanted has no track. For a tile that is hidden, `attach` is enough. */
  want(wanted: Wanted): void;
  /** Asks for this of the video, instead of what was said before. Goes before what attached elements need. */
  prefer(wish: Wish): void;
  /**
   * Shows it in an element, and asks for no more than that shows: by its size on the screen, and nothing while it is out of
   * sight. Whoever is taken off leaves the element's `srcObject` as it is.
   */
  attach(element: HTMLVideoElement): Off;
  /** Its part of the connection's report; null while it has no track. */
  stats(): Promise<ConnectionStats | null>;
  /** Stops watching. */
  close(): void;
}

// ---------------------------------------------------------------------------------------------------------------------
// Statistics
// ---------------------------------------------------------------------------------------------------------------------

export interface ConnectionStats {
  /** `Date.now()` of the report, and how long before it the figures begin. */
  at: number;
  spanMs: number;
  /** By the connection's own checks; null before the first. */
  rttMs: number | null;
  /** What the browser believes it can send; upstreams only. */
  availableBitrate: number | null;
  /** "udp" or "tcp"; null while there is no connection. */
  protocol: string | null;
  /** The addresses in use. */
  local: string | null;
  remote: string | null;
  tracks: TrackStats[];
  quality: Quality;
}

export interface TrackStats {
  kind: "audio" | "video";
  direction: "sent" | "received";
  /** The section of the connection's description that it goes by. */
  mid: string;
  /** Of a video that is sent in several encodings: which. */
  encoding: string | null;
  /** As "VP8" or "opus". */
  codec: string | null;
  /** Bits a second. */
  bitrate: number;
  packets: number;
  packetsLost: number;
  /** Of those that were to come, 0 to 1. */
  lossRatio: number;
  jitterMs: number | null;
  rttMs: number | null;
  /** Video only. */
  fps: number | null;
  width: number | null;
  height: number | null;
  freezes: number | null;
  /** Why the encoder sends less than it might: "cpu", "bandwidth", "other"; null for no reason. */
  limitedBy: string | null;
  quality: Quality;
}

/** How a connection fared in the last second, as the server saw it. */
export interface ServerStatistics {
  /** Of the path, from 0 to 1: loss, round trip, jitter. */
  networkQuality: number;
  /** Of what is seen and heard, from 0 to 1: what arrives in time, against what was sent. */
  mediaQuality: number;
  roundTripMs?: number;
  /** What the path is thought to carry; none before anything is known. */
  estimateBps?: number;
  streams: StreamStatistics[];
}

/** One stream: of an upstream, as it came; of a downstream, as it was sent and reported. Counts are since the beginning. */
export interface StreamStatistics {
  mid: string;
  kind: "audio" | "video";
  encoding?: string;
  bitrateBps: number;
  packets: number;
  bytes: number;
  /** Packets that never arrived, and those that were asked for again. */
  lost: number;
  repaired: number;
  /** Thousandths of the last second's packets that did not arrive at once. */
  lossThousandths: number;
  jitterMs: number;
  keyFrameRequests: number;
}

/** How good it is, from 0 to 1. The worst part decides. */
export interface Quality {
  /** The worse of the two below. */
  score: number;
  /** How well the network does: loss, jitter, round trip. */
  network: number;
  /** How well the media does: pictures shown of those expected, sound heard of that sent. */
  media: number;
  /** What takes it away, worst first. */
  reasons: QualityReason[];
}

export interface QualityReason {
  cause: "loss" | "jitter" | "rtt" | "fps" | "gaps" | "cpu" | "bandwidth";
  /**
   * The figure: a ratio for `loss` and `gaps` (sound that had to be made up), milliseconds for `jitter` and `rtt`, pictures
   * a second for `fps`, else 0.
   */
  value: number;
  /** The score that this cause alone would leave. */
  score: number;
}

// ---------------------------------------------------------------------------------------------------------------------
// Local media
// ---------------------------------------------------------------------------------------------------------------------

export interface LocalMediaOptions {
  /** `true` for any, a device id, constraints, or `false` for none. */
  audio?: boolean | string | MediaTrackConstraints;
  video?: boolean | string | MediaTrackConstraints;
}

export interface LocalMediaEvents {
  /** A track was put in place of another, or of none; null when its device went and there is no other. */
  track: { kind: "audio" | "video"; track: MediaStreamTrack | null };
  muted: { audio: boolean; video: boolean };
  /** A device went away; `to` is what took its place, null when there is none. */
  fallback: { kind: "audio" | "video"; from: string; to: string | null };
  /** Nothing is left: stopped, or the user ended the screen share. */
  ended: {};
}

/** Camera and microphone, or a screen. May be published in several channels at once. */
export class LocalMedia extends Emitter<LocalMediaEvents> {
  private constructor();
  /**
   * Camera and microphone; by default both. When one of the two is not there or in use the other is taken alone, and
   * `missing` says why.
   */
  static camera(options?: LocalMediaOptions): Promise<LocalMedia>;
  /** What the user picks: a screen, a window, a tab. By default with its sound, where the browser can. */
  static screen(options?: { audio?: boolean }): Promise<LocalMedia>;
  /** Media that the app made itself: a canvas, a file. */
  static of(stream: MediaStream, content?: Content): LocalMedia;
  /** For an element's `srcObject`. The same object from first to last; tracks are exchanged in it. */
  readonly stream: MediaStream;
  readonly content: Content;
  readonly audioTrack: MediaStreamTrack | null;
  readonly videoTrack: MediaStreamTrack | null;
  /** Why there is no audio or no video though it was asked for. */
  readonly missing: { audio?: TidewireError; video?: TidewireError };
  readonly audioMuted: boolean;
  readonly videoMuted: boolean;
  /** How loud it is right now, 0 while muted. Cheap enough to be read for every picture. */
  readonly level: number;
  readonly ended: boolean;
  /** Sends silence and black, or goes on. What is left out stays. Whoever publishes it tells the others. */
  mute(muted: { audio?: boolean; video?: boolean }): void;
  /** Changes devices, without renegotiation; on failure the old ones stay. */
  choose(devices: { microphone?: string; camera?: string }): Promise<void>;
  /** Gives the devices back. */
  stop(): void;
}

export interface Devices {
  microphones: Device[];
  cameras: Device[];
  speakers: Device[];
}

export interface Device {
  id: string;
  /** Empty until the user has allowed a device of this kind once. */
  label: string;
}

/** What there is to choose from. */
export function devices(): Promise<Devices>;
/** Calls `listener` now, and whenever a device comes or goes. */
export function onDevices(listener: (devices: Devices) => void): Off;

// ---------------------------------------------------------------------------------------------------------------------
// Layout
// ---------------------------------------------------------------------------------------------------------------------

export interface Area {
  width: number;
  height: number;
  /** Between tiles; by default 8. */
  gap?: number;
}

export interface Tile {
  /** Width over height of its picture. By default 16/9. */
  aspect?: number;
}

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Rows of equal cells, a tile as large as it can be in each; the last row is centred. One rectangle a tile, in order. */
export function grid(tiles: readonly Tile[], area: Area): Rect[];
/**
 * One tile large, the others in a strip beside or below it, whichever leaves it larger. Those for which the strip has no
 * room come back with no width and no height.
 */
export function spotlight(tiles: readonly Tile[], area: Area & { index: number; strip?: number }): Rect[];
