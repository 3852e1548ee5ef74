// Records what browsers, ffmpeg and GStreamer really send, as fixtures for the tests of `core::codec`.
//
// Run by hand, when a codec or a sender is to be added: `node e2e/captures/record.mjs [NAME...]`, from the repository's root, after
// `npm ci` in e2e/. Needs chromium, firefox-esr, ffmpeg, and gst-launch-1.0 with the plugins good, bad and ugly. Browsers send to
// `perf/examples/record.rs`, which terminates DTLS and SRTP; the others send plain RTP to a socket of this script. A line for each
// packet is written to core/src/codec/fixtures/NAME.rtp: heads of packets, media is cut off.

import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { Browser } from "../lib/browser.mjs";
import { Firefox } from "../lib/firefox.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const fixtures = join(root, "core/src/codec/fixtures");

/** Bytes kept of a payload: every descriptor, and the parameter sets that stand at the front. */
const keep = 40;

const simulcast = ["q", "h", "f"].map((rid, at) => ({ rid, scaleResolutionDownBy: 4 >> at, maxBitrate: 60_000 << at }));
const browser = (codec, options) => ({ codec, packets: 240, width: 960, height: 540, descriptor: false, ...options });

/** What browsers are to send. `descriptor`: with the dependency descriptor and the video layers allocation, where it is known. */
const browsers = {
  chromium_vp8_simulcast: browser("vp8", { encodings: simulcast.map((one) => ({ ...one, scalabilityMode: "L1T3" })) }),
  chromium_vp8_descriptor: browser("vp8", { mode: "L1T3", descriptor: true }),
  chromium_vp9_l3t3: browser("vp9", { mode: "L3T3" }),
  chromium_vp9_l3t3_key: browser("vp9", { mode: "L3T3_KEY" }),
  chromium_vp9_l3t3_key_descriptor: browser("vp9", { mode: "L3T3_KEY", descriptor: true }),
  chromium_h264: browser("h264", { mode: "L1T1", width: 480, height: 270 }),
  chromium_h264_descriptor: browser("h264", { mode: "L1T3", width: 480, height: 270, descriptor: true }),
  chromium_h264_simulcast_descriptor: browser("h264", { encodings: simulcast, descriptor: true }),
  chromium_av1_plain: browser("av1", { mode: "L1T1", width: 480, height: 270 }),
  chromium_av1_l1t3: browser("av1", { mode: "L1T3", width: 480, height: 270, descriptor: true }),
  chromium_av1_l3t3: browser("av1", { mode: "L3T3", descriptor: true }),
  chromium_av1_l3t3_key: browser("av1", { mode: "L3T3_KEY", descriptor: true }),
  firefox_vp8: browser("vp8", { width: 480, height: 270 }),
  firefox_vp8_simulcast: browser("vp8", { encodings: simulcast }),
};

const picture = "-re -f lavfi -i testsrc=size=320x180:rate=15 -t 6";
const ffmpeg = (encoder) => (port) => ["ffmpeg", `-loglevel error ${picture} ${encoder} -f rtp rtp://127.0.0.1:${port}?pkt_size=600`];
const source = "videotestsrc pattern=ball num-buffers=90 is-live=true ! video/x-raw,width=320,height=180,framerate=15/1 !";
const gstreamer = (encoder) => (port) => ["gst-launch-1.0", `-q ${source} ${encoder} ! udpsink host=127.0.0.1 port=${port}`];

/** What sends plain RTP. */
const programs = {
  ffmpeg_vp8: ffmpeg("-c:v libvpx -deadline realtime -b:v 150k -g 30"),
  ffmpeg_vp9: ffmpeg("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 150k -g 30 -strict experimental"),
  ffmpeg_h264: ffmpeg("-c:v libx264 -preset veryfast -tune zerolatency -b:v 150k -g 30 -bf 0"),
  ffmpeg_h265: ffmpeg("-c:v libx265 -preset ultrafast -tune zerolatency -b:v 150k -g 30 -x265-params log-level=error"),
  gstreamer_vp8: gstreamer("vp8enc deadline=1 target-bitrate=150000 keyframe-max-dist=30 ! rtpvp8pay mtu=600 picture-id-mode=7-bit"),
  gstreamer_vp9: gstreamer("vp9enc deadline=1 cpu-used=8 target-bitrate=150000 keyframe-max-dist=30 ! rtpvp9pay mtu=600"),
  gstreamer_h264: gstreamer("x264enc tune=zerolatency bitrate=150 key-int-max=30 ! rtph264pay mtu=600 config-interval=-1"),
  gstreamer_h265: gstreamer("x265enc tune=zerolatency bitrate=150 key-int-max=30 ! rtph265pay mtu=600 config-interval=-1"),
};

async function main(names) {
  await mkdir(fixtures, { recursive: true });
  const wanted = (name) => names.length === 0 || names.includes(name);
  for (const [name, command] of Object.entries(programs).filter(([name]) => wanted(name))) {
    await write(name, await recordProgram(command), "plain RTP");
  }
  for (const [name, options] of Object.entries(browsers).filter(([name]) => wanted(name))) {
    const { lines, said } = await recordBrowser(name, options);
    await write(name, lines, said);
  }
}

async function write(name, lines, said) {
  const head = ["# Recorded by e2e/captures/record.mjs.", `# ${said}`];
  await writeFile(join(fixtures, `${name}.rtp`), [...head, ...lines, ""].join("\n"));
  console.log(`${name}: ${lines.length} packets; ${said}`);
}

/** Collects the packets that a program sends until it ends. */
async function recordProgram(command) {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const lines = [];
  socket.on("message", (packet) => lines.push(...plain(packet)));
  const [program, words] = command(socket.address().port);
  const child = spawn(program, words.split(" "), { stdio: ["ignore", "ignore", "inherit"] });
  const timer = setTimeout(() => child.kill(), 30_000);
  const [code] = await once(child, "exit");
  clearTimeout(timer);
  socket.close();
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
  return lines.slice(0, 220);
}

/** RFC 3550 5.1, as these programs use it: no list of contributors, no extension. RTCP is left out (RFC 5761 4). */
function plain(packet) {
  const type = packet[1] & 0x7f;
  if (packet.length <= 12 || (type >= 64 && type < 96)) return [];
  if (packet[0] !== 0x80) throw new Error("a header that is not plain");
  const payload = packet.subarray(12);
  const marker = packet[1] >> 7;
  const numbers = `${packet.readUInt16BE(2)} ${packet.readUInt32BE(4)} ${marker} ${type}`;
  return [`0 ${numbers} - - - ${payload.length} ${payload.subarray(0, keep).toString("hex")}`];
}

async function recordBrowser(name, options) {
  const host = name.startsWith("firefox") ? await Firefox.start() : await Browser.start();
  try {
    const page = await host.tab();
    const offer = await page.evaluate(publish, options);
    const recorder = spawn(
      join(root, "target/release/examples/record"),
      [ownAddress(), options.packets, keep, options.codec],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    recorder.stdin.end(offer);
    const output = text(recorder.stdout);
    await output.until("\r\n.\n");
    const [answer] = output.seen.split("\r\n.\n");
    await page.evaluate((sdp) => globalThis.peer.setRemoteDescription({ type: "answer", sdp }), started(`${answer}\r\n`));
    await once(recorder, "exit");
    const lines = output.seen.split("\r\n.\n")[1].trim().split("\n");
    const agent = await page.evaluate(() => navigator.userAgent);
    const { packets, ...asked } = options;
    return { lines, said: `${/(Chrome|Firefox)\/[\d.]+/.exec(agent)?.[0]}, asked for ${JSON.stringify(asked)}` };
  } finally {
    await host.stop();
  }
}

/** The answer, with leave to begin at a rate at which all layers are sent. */
function started(answer) {
  const [, type] = /^m=video \d+ \S+ (\d+)/m.exec(answer);
  const rate = "x-google-start-bitrate=1500";
  const line = new RegExp(`^a=fmtp:${type} .*$`, "m");
  if (line.test(answer)) return answer.replace(line, (found) => `${found};${rate}`);
  return answer.replace(new RegExp(`^a=rtpmap:${type} .*$`, "m"), (found) => `${found}\r\na=fmtp:${type} ${rate}`);
}

/** Runs in the page: offers a moving picture, as asked for. */
async function publish({ codec, width, height, mode, encodings, descriptor }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  document.body.append(canvas);
  const context = canvas.getContext("2d");
  let at = 0;
  setInterval(() => {
    at += 7;
    context.fillStyle = "navy";
    context.fillRect(0, 0, width, height);
    context.fillStyle = "orange";
    context.fillRect(at % width, (at >> 1) % height, 40, 40);
  }, 50);
  const peer = (globalThis.peer = new RTCPeerConnection());
  const sendEncodings = encodings ?? [{ maxBitrate: 1_500_000, ...(mode && { scalabilityMode: mode }) }];
  const [track] = canvas.captureStream(20).getTracks();
  const transceiver = peer.addTransceiver(track, { direction: "sendonly", sendEncodings });
  const codecs = RTCRtpSender.getCapabilities("video").codecs;
  const isCodec = (one) => one.mimeType.toLowerCase() === `video/${codec}`;
  transceiver.setCodecPreferences?.([...codecs.filter(isCodec), ...codecs.filter((one) => one.mimeType.endsWith("rtx"))]);
  const extensions = transceiver.getHeaderExtensionsToNegotiate?.() ?? [];
  const layered = extensions.filter(({ uri }) => /dependency-descriptor|video-layers-allocation/.test(uri));
  for (const one of layered) one.direction = descriptor ? "sendrecv" : "stopped";
  transceiver.setHeaderExtensionsToNegotiate?.(extensions);
  await peer.setLocalDescription();
  await new Promise((resolve) => {
    const look = () => peer.iceGatheringState === "complete" && resolve();
    peer.addEventListener("icegatheringstatechange", look);
    look();
  });
  return peer.localDescription.sdp;
}

/** A stream's text as far as it has come. */
function text(stream) {
  const output = { seen: "", until };
  let wake = () => {};
  stream.setEncoding("utf8").on("data", (data) => {
    output.seen += data;
    wake();
  });
  stream.on("end", () => wake());
  async function until(mark) {
    while (!output.seen.includes(mark)) {
      if (stream.readableEnded) throw new Error(`the recorder ended: ${output.seen}`);
      await new Promise((resolve) => (wake = resolve));
    }
  }
  return output;
}

/** Firefox pairs with no candidate on loopback. */
function ownAddress() {
  const all = Object.values(networkInterfaces()).flat();
  return all.find((one) => one.family === "IPv4" && !one.internal)?.address ?? "127.0.0.1";
}

await main(process.argv.slice(2));
