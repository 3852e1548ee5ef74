// Camera and microphone: what is opened, what takes its place, what is said when it cannot be.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { track } from "./lib/peers.mjs";
import { until } from "./lib/until.mjs";

const { devices, LocalMedia } = await import("../tidewire.js");

/** What is plugged in, by kind; and what opening a device throws, by its id. */
let plugged;
let broken;
let calls;
let changed;

beforeEach(() => {
  plugged = { audio: ["mic 1", "mic 2"], video: ["cam 1", "cam 2"] };
  broken = {};
  calls = [];
  changed = new Set();
});

function open(kind, { deviceId }) {
  const id = deviceId?.exact ?? plugged[kind][0];
  if (!plugged[kind].includes(id)) throw named("NotFoundError");
  if (broken[id]) throw named(broken[id]);
  const opened = track(kind);
  opened.label = id;
  return opened;
}

function named(name) {
  return Object.assign(new Error(name), { name });
}

const mediaDevices = {
  async getUserMedia(constraints) {
    calls.push(Object.keys(constraints).join(" "));
    const kinds = Object.keys(constraints).filter((kind) => constraints[kind]);
    return new MediaStream(kinds.map((kind) => open(kind, constraints[kind])));
  },
  async getDisplayMedia() {
    return new MediaStream([track("video"), track("audio")]);
  },
  async enumerateDevices() {
    const of = (kind) => plugged[kind].map((deviceId) => ({ kind: `${kind}input`, deviceId, label: deviceId }));
    return [...of("audio"), ...of("video")];
  },
  addEventListener: (_, listener) => changed.add(listener),
  removeEventListener: (_, listener) => changed.delete(listener),
};
Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });

function unplug(media, kind) {
  const gone = media[`${kind}Track`];
  plugged[kind] = plugged[kind].filter((id) => id !== gone.label);
  gone.onended();
}

test("both are opened by one question", async () => {
  const media = await LocalMedia.camera({ video: { width: 640 } });
  assert.deepEqual(
    [calls, media.audioTrack.label, media.videoTrack.label, media.missing],
    [["audio video"], "mic 1", "cam 1", {}],
  );
  assert.equal((await LocalMedia.camera({ audio: false, video: "cam 2" })).videoTrack.label, "cam 2");
});

test("one that is missing or in use keeps nobody from the other, and is named", async () => {
  broken["cam 1"] = "NotReadableError";
  const media = await LocalMedia.camera();
  assert.deepEqual(
    [media.videoTrack, media.missing.video.code, media.videoMuted, media.audioMuted],
    [null, "deviceInUse", true, false],
  );
  plugged.audio = [];
  await assert.rejects(LocalMedia.camera(), { code: "deviceNotFound" });
});

test("a user who says no is not asked again", async () => {
  broken["mic 1"] = "NotAllowedError";
  await assert.rejects(LocalMedia.camera(), { code: "permissionDenied" });
  assert.equal(calls.length, 1);
});

test("another device takes the place of the one before, muted as that was", async () => {
  const media = await LocalMedia.camera();
  const { stream } = media;
  media.mute({ audio: true });
  const before = media.audioTrack;
  const told = media.next("track");
  await media.choose({ microphone: "mic 2" });
  assert.deepEqual(await told, { kind: "audio", track: media.audioTrack });
  assert.deepEqual(
    [media.audioTrack.label, media.audioTrack.enabled, before.stopped, media.stream],
    ["mic 2", false, true, stream],
  );
});

test("a device that cannot be chosen leaves the one before", async () => {
  const media = await LocalMedia.camera();
  broken["cam 2"] = "OverconstrainedError";
  await assert.rejects(media.choose({ camera: "cam 2" }), { code: "deviceUnsuitable" });
  broken["cam 2"] = "NotReadableError";
  await assert.rejects(media.choose({ camera: "cam 2" }), { code: "deviceInUse" });
  assert.deepEqual([media.videoTrack.label, media.videoTrack.stopped], ["cam 1", false]);
});

test("a device that is unplugged is replaced by another, then by the next that comes", async () => {
  const media = await LocalMedia.camera();
  const falls = [];
  media.on("fallback", (fall) => falls.push(fall));
  unplug(media, "video");
  await until("the other one", () => media.videoTrack?.label === "cam 2");
  unplug(media, "video");
  await until("none", () => media.videoTrack === null && changed.size === 1);
  assert.deepEqual([media.videoMuted, media.ended], [true, false]);
  plugged.video = ["cam 3"];
  changed.forEach((listener) => listener());
  await until("the new one", () => media.videoTrack?.label === "cam 3");
  assert.deepEqual(falls, [
    { kind: "video", from: "cam 1", to: "cam 2" },
    { kind: "video", from: "cam 2", to: null },
    { kind: "video", from: "", to: "cam 3" },
  ]);
  assert.deepEqual([media.videoMuted, changed.size], [false, 0]);
});

test("both kinds may be waited for, and again after a try in vain", async () => {
  const media = await LocalMedia.camera();
  plugged.audio = ["mic 1"];
  plugged.video = ["cam 1"];
  unplug(media, "audio");
  unplug(media, "video");
  await until("neither", () => !media.audioTrack && !media.videoTrack && changed.size === 2);
  plugged = { audio: ["mic 3"], video: ["cam 3"] };
  broken["cam 3"] = "NotReadableError";
  changed.forEach((listener) => listener());
  const isTried = () => media.audioTrack && media.missing.video?.code === "deviceInUse";
  await until("the microphone, and a try with the camera", isTried);
  broken = {};
  changed.forEach((listener) => listener());
  await until("the camera", () => media.videoTrack);
  assert.deepEqual([media.audioTrack.label, media.videoTrack.label, changed.size], ["mic 3", "cam 3", 0]);
});

test("a device that comes when all has ended is given back", async () => {
  const media = await LocalMedia.camera();
  const { getUserMedia } = mediaDevices;
  let opened;
  mediaDevices.getUserMedia = async (constraints) => {
    opened = await getUserMedia(constraints);
    media.stop();
    return opened;
  };
  unplug(media, "video");
  await until("given back", () => opened?.getTracks().every(({ stopped }) => stopped));
  mediaDevices.getUserMedia = getUserMedia;
  assert.equal(media.ended, true);
});

test("a track that was stopped for another device does not stay", async () => {
  const media = await LocalMedia.camera();
  broken["cam 1"] = broken["cam 2"] = "NotReadableError";
  await assert.rejects(media.choose({ camera: "cam 2" }), { code: "deviceInUse" });
  assert.deepEqual([media.videoTrack, media.stream.getTracks().length, media.videoMuted], [null, 1, true]);
  media.stop();
});

test("a screen that the user stops sharing has ended, with its sound", async () => {
  const media = await LocalMedia.screen();
  const { audioTrack, videoTrack } = media;
  const ended = media.next("ended");
  videoTrack.onended();
  await ended;
  assert.deepEqual([media.content, media.ended, audioTrack.stopped], ["screen", true, true]);
});

test("devices are listed by what they are for", async () => {
  const { cameras, microphones, speakers } = await devices();
  assert.deepEqual([cameras[1], microphones.length, speakers], [{ id: "cam 2", label: "cam 2" }, 2, []]);
});
