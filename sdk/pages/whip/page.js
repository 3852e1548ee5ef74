// The page: publishes by WHIP (RFC 9725) and watches by WHEP, as any client would.
//
// Session speaks HTTP, Source gives media, Meter reads getStats, Plot draws, Panel is one side of the page and its
// states. Nothing here knows the server beyond WHIP, WHEP, problem documents and the token made for local pages.

import { testPicture } from "../shared/testpicture.js";

const $ = (selector, root = document) => root.querySelector(selector);
const sleep = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

/** A refusal (RFC 9457), or what the page itself has to say. */
class Problem extends Error {
  constructor({ title = "That did not work", detail = "", code = "", status = 0, retryAfterS = 0, advice = "" }) {
    super(detail || title);
    Object.assign(this, { title, detail, code, status, retryAfterS, advice });
  }

  static async of(response) {
    const isDocument = response.headers.get("content-type")?.startsWith("application/problem+json");
    const { title, detail, code } = isDocument ? await response.json() : {};
    const { status } = response;
    const retryAfterS = Number(response.headers.get("retry-after")) || 0;
    return new Problem({ title: title ?? `HTTP ${status}`, detail, code, status, retryAfterS, advice: ADVICE[code] });
  }

  /** Whether trying again may help. */
  get passes() {
    return this.status === 409 || this.status === 503;
  }
}

const ADVICE = {
  demoTokenForbidden: "Paste a token under “Token and media id” above. The server prints one with: tidewire token --secret … --channel …",
  tokenExpired: "Paste a new token under “Token and media id” above.",
  tokenAuthFailure: "The token was made with another secret than this server's.",
  tokenMissingChannelClaim: "A token is for the channels that it names. Change the channel, or paste another token.",
  offerUnacceptable: "Choose another codec, or “Automatic”.",
};

/** One WHIP or WHEP session: an offer posted, its answer taken, ICE restarted by PATCH, ended by DELETE. */
class Session {
  static async open(endpoint, token, peer, signal) {
    await peer.setLocalDescription();
    const headers = { "content-type": "application/sdp", authorization: `Bearer ${token}` };
    // The offer goes out without candidates: the server learns our addresses from our checks.
    const response = await fetch(endpoint, { method: "POST", headers, body: peer.localDescription.sdp, signal });
    if (response.status !== 201) throw await Problem.of(response);
    const session = new Session();
    Object.assign(session, { peer, token, url: new URL(response.headers.get("location"), response.url) });
    session.answer = await response.text();
    try {
      await peer.setRemoteDescription({ type: "answer", sdp: session.answer });
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  /** New paths for the same media: after a change of network, say. */
  async restart() {
    const { peer } = this;
    await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
    const attribute = (name, text) => text.match(new RegExp(`^a=${name}:(.*?)\\r?$`, "m"))?.[1];
    const { sdp } = peer.localDescription;
    const body = `a=ice-ufrag:${attribute("ice-ufrag", sdp)}\r\na=ice-pwd:${attribute("ice-pwd", sdp)}\r\n`;
    const headers = { "content-type": "application/trickle-ice-sdpfrag", "if-match": "*", authorization: `Bearer ${this.token}` };
    const response = await fetch(this.url, { method: "PATCH", headers, body });
    if (response.status !== 200) throw await Problem.of(response);
    const fragment = await response.text();
    for (const name of ["ice-ufrag", "ice-pwd"]) {
      this.answer = this.answer.replace(new RegExp(`^a=${name}:.*?(\\r?)$`, "gm"), `a=${name}:${attribute(name, fragment)}$1`);
    }
    await peer.setRemoteDescription({ type: "answer", sdp: this.answer });
  }

  /** Ends the session, even while the page goes away. */
  close() {
    const headers = { authorization: `Bearer ${this.token}` };
    fetch(this.url, { method: "DELETE", headers, keepalive: true }).catch(() => {}); // it ends by itself in 30 s
  }
}

/** What can be published. */
const Source = {
  async camera() {
    const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
    return navigator.mediaDevices.getUserMedia({ audio: true, video });
  },

  async screen() {
    return navigator.mediaDevices.getDisplayMedia({ audio: true, video: { frameRate: { ideal: 30 } } });
  },

  async test() {
    return testPicture();
  },
};

/** Reads a connection's statistics once a second and makes them into what a person wants to know. */
class Meter {
  #before;

  async read(peer) {
    const now = { at: performance.now(), bytes: 0, frames: 0, packets: 0, lost: 0 };
    const shown = {};
    const report = await peer.getStats();
    for (const entry of report.values()) {
      if (entry.type === "outbound-rtp" || entry.type === "inbound-rtp") this.#stream(entry, now, shown, report);
      // What the server says it lost of what we sent: already a fraction of the last interval.
      if (entry.type === "remote-inbound-rtp") shown.lossReported = Math.max(shown.lossReported ?? 0, entry.fractionLost ?? 0);
      if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime !== undefined) {
        shown.roundTripMs = entry.currentRoundTripTime * 1000;
      }
    }
    this.#differ(now, shown);
    return shown;
  }

  #stream(entry, now, shown, report) {
    now.bytes += entry.bytesSent ?? entry.bytesReceived ?? 0;
    now.packets += entry.packetsReceived ?? 0;
    now.lost += entry.packetsLost ?? 0;
    if (entry.kind !== "video") return;
    now.frames += entry.framesEncoded ?? entry.framesDecoded ?? 0;
    if ((entry.frameWidth ?? 0) > (shown.width ?? 0)) {
      Object.assign(shown, { width: entry.frameWidth, height: entry.frameHeight });
      shown.codec = report.get(entry.codecId)?.mimeType?.replace("video/", "");
    }
  }

  #differ(now, shown) {
    const before = this.#before;
    this.#before = now;
    if (!before || now.bytes < before.bytes) return;
    const seconds = (now.at - before.at) / 1000;
    shown.kbps = (now.bytes - before.bytes) * 8 / 1000 / seconds;
    shown.fps = Math.max(0, now.frames - before.frames) / seconds;
    const lost = Math.max(0, now.lost - before.lost);
    const due = now.packets - before.packets + lost;
    if (shown.lossReported !== undefined) shown.lossPercent = shown.lossReported * 100;
    else if (due > 0) shown.lossPercent = lost / due * 100;
  }
}

const GAUGES = [
  { key: "width", name: "Resolution", text: (s) => [`${s.width}×${s.height}`], plotted: false },
  { key: "fps", name: "Frames/s", text: (s) => [s.fps.toFixed(0)], top: 30, plotted: true },
  { key: "kbps", name: "Bitrate", text: (s) => s.kbps < 1000 ? [s.kbps.toFixed(0), "kbit/s"] : [(s.kbps / 1000).toFixed(2), "Mbit/s"], top: 500, plotted: true },
  { key: "lossPercent", name: "Loss", text: (s) => [short(s.lossPercent), "%"], top: 5, plotted: true },
  { key: "roundTripMs", name: "Round trip", text: (s) => [short(s.roundTripMs), "ms"], top: 10, plotted: true },
  { key: "codec", name: "Codec", text: (s) => [s.codec], plotted: false },
];
const short = (value) => value.toFixed(value < 10 ? 1 : 0);
const HISTORY_S = 60;

/** The last minute of one gauge as a filled line. */
function plot(canvas, history, gauge) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const ink = canvas.getContext("2d");
  ink.scale(scale, scale);
  const colours = getComputedStyle(canvas);
  const known = history.map((sample) => sample[gauge.key]).filter((value) => value !== undefined);
  const top = Math.max(gauge.top, ...known) * 1.15;
  const x = (index) => width - (history.length - 1 - index) * width / (HISTORY_S - 1);
  const y = (value) => height - 1 - value / top * (height - 18);
  ink.strokeStyle = colours.getPropertyValue("--line");
  ink.beginPath();
  for (const level of [0, 0.5, 1]) { ink.moveTo(0, y(top * level)); ink.lineTo(width, y(top * level)); }
  ink.stroke();
  ink.fillStyle = colours.getPropertyValue("--soft");
  ink.font = "12px system-ui, sans-serif";
  ink.fillText(known.length ? `${gauge.name}, last minute · up to ${gauge.text({ [gauge.key]: Math.max(...known) }).join(" ")}` : `${gauge.name}, last minute`, 2, 11);
  if (known.length < 2) return;
  trace(ink, history, gauge, x, y);
  ink.strokeStyle = colours.getPropertyValue("--accent");
  ink.lineWidth = 2;
  ink.lineJoin = "round";
  ink.stroke();
  const first = history.findIndex((sample) => sample[gauge.key] !== undefined);
  ink.lineTo(width, height);
  ink.lineTo(x(first), height);
  ink.globalAlpha = 0.15;
  ink.fillStyle = colours.getPropertyValue("--accent");
  ink.fill();
}

function trace(ink, history, gauge, x, y) {
  ink.beginPath();
  let last;
  history.forEach((sample, index) => {
    last = sample[gauge.key] ?? last;
    if (last !== undefined) ink.lineTo(x(index), y(last));
  });
}

/** One side of the page: its buttons, its state, its connection, and what it tells. */
class Panel {
  #run;
  #session;
  #stream;
  #history = [];
  #gauge = GAUGES[2];
  isMuted = false;

  /** When the first frame of what is watched was shown; publishing has none. */
  firstPictureAt = 0;

  constructor(id, endpoint) {
    this.root = $(`#${id}`);
    this.endpoint = endpoint;
    this.video = $("video", this.root);
    this.button = $(".start", this.root);
    this.label = this.button.textContent;
    this.#buildMeters(id);
    this.button.addEventListener("click", () => this.#run ? this.stop() : this.start());
    $(".mute", this.root).addEventListener("click", () => this.mute(!this.isMuted));
    $(".full", this.root)?.addEventListener("click", () => this.video.requestFullscreen?.() ?? this.video.webkitEnterFullscreen?.());
    this.video.addEventListener("playing", () => $(".stage", this.root).toggleAttribute("data-playing", true));
    addEventListener("pagehide", () => this.#session?.close());
    addEventListener("resize", () => this.#draw());
    this.#draw();
  }

  /** Runs until stopped, or until something happens that trying again does not mend. */
  async start() {
    if (this.#run) return;
    if (!place.checkValidity()) {
      showPlace();
      place.reportValidity();
      return;
    }
    const { signal } = this.#run = new AbortController();
    this.button.textContent = "Stop";
    this.button.toggleAttribute("data-running", true);
    this.#fail(null);
    this.#history = [];
    this.#show({});
    try {
      await this.#keep(signal);
    } catch (problem) {
      if (!signal.aborted) this.#fail(problem);
    }
    this.#end();
  }

  stop() {
    this.#run?.abort(new Error("stopped"));
  }

  mute(muted) {
    this.isMuted = muted;
    $(".mute", this.root).textContent = muted ? "Unmute" : "Mute";
    this.applyMute(muted);
  }

  /** Opens again and again what ends for reasons that pass. */
  async #keep(signal) {
    this.#tell("busy", this.preparing);
    this.#stream = await this.prepare(signal);
    signal.throwIfAborted();
    let attempts = 0;
    for (;;) {
      let delayS = 1;
      try {
        await this.#connect(signal, () => { attempts = 0; });
      } catch (problem) {
        const passes = problem.passes || problem instanceof TypeError; // TypeError: the server cannot be reached
        if (signal.aborted || !passes) throw problem;
        delayS = problem.retryAfterS || 1;
        this.waiting = problem.status === 409 ? "Waiting for a publisher" : "The server cannot be reached";
      }
      delayS = Math.min(10, delayS * 1.5 ** attempts++);
      this.#tell("busy", `${this.waiting ?? "Connecting again"} · next try in ${Math.ceil(delayS)} s`);
      this.waiting = undefined;
      await sleep(delayS * 1000, signal);
    }
  }

  /** One connection, from its offer to its end. Returns when another may be tried. */
  async #connect(signal, onLive) {
    this.#tell("busy", "Connecting");
    const began = performance.now();
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    let connectedAt;
    peer.addEventListener("connectionstatechange", () => {
      if (peer.connectionState === "connected") connectedAt ??= performance.now();
    });
    try {
      this.furnish(peer, this.#stream);
      const session = this.#session = await Session.open(this.endpoint(), await token(signal), peer, signal);
      await this.#live(session, signal, () => { onLive(); this.#greet(peer, began, connectedAt); });
    } finally {
      this.#session?.close();
      this.#session = undefined;
      peer.close();
    }
  }

  /** Watches over a connection; a path that is lost is sought anew before all is given up. */
  async #live({ peer }, signal, onLive) {
    const meter = new Meter();
    let wasLive = false;
    let troubleS = 0;
    let told = 0;
    for (;;) {
      await sleep(wasLive ? 1000 : 100, signal);
      const state = peer.connectionState;
      if (peer.getTransceivers().some(({ sender, receiver }) => (sender.transport ?? receiver.transport)?.state === "closed")) {
        return this.onClosedByServer();
      }
      if (state === "connected") {
        if (!wasLive || troubleS || this.firstPictureAt > told) {
          told = performance.now();
          onLive();
        }
        wasLive = true;
        troubleS = 0;
        this.#show(await meter.read(peer));
        continue;
      }
      troubleS += wasLive ? 1 : 0.1;
      if (wasLive) this.#tell("busy", "The path is lost · seeking another");
      if (troubleS > 15) return;
      if (wasLive && (troubleS === 2 || troubleS === 8)) {
        try {
          await this.#session.restart();
        } catch (problem) {
          if (problem.status === 404) return; // the server has given it up
        }
      }
    }
  }

  #greet(peer, began, connectedAt) {
    const picture = this.firstPictureAt;
    const [what, at] = picture > began ? ["first picture", picture] : ["connected", connectedAt];
    this.#tell("live", `Live · ${what} in ${Math.round(at - began)} ms`);
    $(".mute", this.root).disabled = false;
    $(".full", this.root)?.toggleAttribute("disabled", false);
  }

  #end() {
    this.#run = undefined;
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream?.release?.();
    this.#stream = undefined;
    this.video.srcObject = null;
    $(".stage", this.root).toggleAttribute("data-playing", false);
    this.button.textContent = this.label;
    this.button.toggleAttribute("data-running", false);
    $(".mute", this.root).disabled = true;
    $(".full", this.root)?.toggleAttribute("disabled", true);
    if ($(".problem", this.root).hidden) this.#tell("idle", "Stopped");
    else this.#tell("failed", "Failed");
  }

  #tell(state, text) {
    const line = $(".state", this.root);
    line.dataset.state = state;
    if (line.textContent !== text) line.textContent = text;
  }

  #fail(problem) {
    const box = $(".problem", this.root);
    box.hidden = !problem;
    if (!problem) return;
    const { title = "That did not work", detail, message, code, advice } = problem;
    const line = (text, tag = "p") => Object.assign(document.createElement(tag), { textContent: text });
    box.replaceChildren(line(title, "strong"), line(detail || message));
    if (advice) box.append(line(advice));
    if (code) box.append(line(code, "code"));
    if (/^token|^demoToken/.test(code ?? "")) showPlace();
  }

  #buildMeters(id) {
    const group = $(".meters", this.root);
    for (const gauge of GAUGES) {
      const cell = document.createElement(gauge.plotted ? "label" : "div");
      cell.className = "meter";
      cell.innerHTML = `<span class="name"></span><span class="value"><span class="number">–</span><span class="unit"></span></span>`;
      $(".name", cell).textContent = gauge.name;
      if (gauge.plotted) {
        const radio = Object.assign(document.createElement("input"), { type: "radio", name: `${id}-gauge`, checked: gauge === this.#gauge });
        radio.addEventListener("change", () => { this.#gauge = gauge; this.#draw(); });
        cell.prepend(radio);
      }
      group.append(cell);
    }
  }

  #show(sample) {
    this.#history.push(sample);
    if (this.#history.length > HISTORY_S) this.#history.shift();
    GAUGES.forEach((gauge, index) => {
      const [value, unit = ""] = sample[gauge.key] === undefined ? ["–"] : gauge.text(sample);
      const cell = $(".meters", this.root).children[index];
      $(".number", cell).textContent = value;
      $(".unit", cell).textContent = unit && ` ${unit}`;
    });
    this.#draw();
  }

  #draw() {
    plot($(".plot", this.root), this.#history, this.#gauge);
  }
}

class PublishPanel extends Panel {
  preparing = "Asking for your camera";

  async prepare() {
    const source = $("#source").value;
    try {
      const stream = await Source[source]();
      stream.getVideoTracks().forEach((track) => {
        track.contentHint = source === "screen" ? "detail" : "motion";
        track.addEventListener("ended", () => this.stop()); // the browser's own “stop sharing”
      });
      this.video.srcObject = stream;
      this.video.play().catch(() => {}); // a picture of ourselves that does not start is no failure
      return stream;
    } catch (error) {
      throw new Problem(DEVICE_PROBLEMS[error.name] ?? { title: "No picture", detail: error.message });
    }
  }

  furnish(peer, stream) {
    for (const track of stream.getTracks()) {
      const transceiver = peer.addTransceiver(track, { direction: "sendonly", streams: [stream] });
      if (track.kind === "video") prefer(transceiver, $("#codec").value);
    }
    this.applyMute(this.isMuted);
  }

  applyMute(muted) {
    this.video.srcObject?.getAudioTracks().forEach((track) => { track.enabled = !muted; });
  }

  /** To publish again at once would take the channel back from whoever took it from us. */
  onClosedByServer() {
    throw new Problem({ title: "The server ended this", detail: "Another publisher took the channel, or the server is stopping." });
  }
}

const DEVICE_PROBLEMS = {
  NotAllowedError: { title: "No permission", detail: "The browser was told not to give camera, microphone or screen to this page.", advice: "Allow them beside the address, or choose the test picture." },
  NotFoundError: { title: "No camera or microphone", detail: "The browser found none.", advice: "Plug one in, or choose the test picture." },
  NotReadableError: { title: "The camera is busy", detail: "Another program seems to use it.", advice: "Close that program, or choose the test picture." },
};

/** Puts one codec first, and leaves no other, so that the choice is kept; retransmission and the like stay. */
function prefer(transceiver, name) {
  if (!name || !transceiver.setCodecPreferences) return;
  const all = RTCRtpReceiver.getCapabilities("video").codecs;
  const is = (codec, wanted) => codec.mimeType.toLowerCase() === `video/${wanted}`.toLowerCase();
  const chosen = all.filter((codec) => is(codec, name));
  if (chosen.length) transceiver.setCodecPreferences([...chosen, ...all.filter((codec) => is(codec, "rtx"))]);
}

class WatchPanel extends Panel {
  preparing = "Connecting";

  async prepare() {
    return undefined;
  }

  furnish(peer) {
    const stream = new MediaStream();
    this.video.requestVideoFrameCallback?.((now) => { this.firstPictureAt = now; });
    peer.addTransceiver("audio", { direction: "recvonly" });
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.addEventListener("track", ({ track }) => {
      stream.addTrack(track);
      this.video.srcObject = stream;
      this.#play();
    });
  }

  async #play() {
    this.applyMute(this.isMuted);
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return;
      // Sound needs a gesture of the user: start without, and say so.
      this.mute(true);
      this.hint("The browser lets sound play only after a click. Press “Unmute” to hear it.");
      this.video.play().catch(() => {});
    }
  }

  applyMute(muted) {
    this.video.muted = muted;
    if (!muted) this.hint("");
  }

  hint(text) {
    const line = $(".hint", this.root);
    line.hidden = !text;
    line.textContent = text;
  }

  /** The publisher may come back: wait for it. */
  onClosedByServer() {}
}

/** Makes channel, token and media id visible, in the view that is for watching only too. */
function showPlace() {
  document.body.dataset.place = "";
  // A field that is wrong and folded away could not be pointed out.
  if (!$("#channel:invalid")) $("#more").open = true;
}

/** The token to use: the one that was pasted, or one that the server makes for pages on its own machine. */
async function token(signal) {
  const pasted = $("#token").value.trim();
  if (pasted) return pasted;
  const response = await fetch(`/v1/demo-token?channel=${encodeURIComponent($("#channel").value)}`, { signal });
  if (!response.ok) throw await Problem.of(response);
  return (await response.json()).token;
}

function endpoint(kind) {
  const mediaId = $("#media-id").value || "main";
  return `/${kind}/${$("#channel").value}${mediaId === "main" ? "" : `/${mediaId}`}`;
}

function watchLink() {
  const link = new URL(location.pathname, location.href);
  link.searchParams.set("channel", $("#channel").value);
  if ($("#media-id").value && $("#media-id").value !== "main") link.searchParams.set("media", $("#media-id").value);
  return `${link}&watch&autoplay`;
}

async function copyLink() {
  const button = $("#copy");
  try {
    await navigator.clipboard.writeText(watchLink());
    button.textContent = "Copied";
  } catch {
    prompt("The watch link:", watchLink()); // no clipboard on insecure origins
  }
  setTimeout(() => { button.textContent = "Copy watch link"; }, 2000);
}

function listCodecs() {
  const names = new Set((globalThis.RTCRtpSender?.getCapabilities?.("video")?.codecs ?? []).map(({ mimeType }) => mimeType.replace("video/", "")));
  for (const name of ["VP8", "VP9", "H264", "H265", "AV1"].filter((name) => names.has(name))) {
    $("#codec").add(new Option(name.replace("H26", "H.26"), name));
  }
}

/** Where the browser gives no camera, the test picture is all there is: say why, and what to do. */
function checkDevices() {
  const usable = { camera: navigator.mediaDevices?.getUserMedia, screen: navigator.mediaDevices?.getDisplayMedia };
  for (const [name, call] of Object.entries(usable)) $(`#source option[value=${name}]`).disabled = !call;
  if (usable.camera) return;
  $("#source").value = "test";
  const hint = $("#publish .hint");
  hint.hidden = false;
  hint.textContent = isSecureContext
    ? "This browser gives pages no camera; the test picture works."
    : "Browsers give a camera only to pages opened by https:// or on the same machine. Start the server with --tls self-signed and open the page by https://, or publish the test picture.";
}

/** ?channel=NAME&media=ID&source=test&codec=VP8&watch&autoplay&publish#token=TOKEN */
function readAddress() {
  const wish = new URLSearchParams(location.search);
  $("#channel").value = wish.get("channel") || "demo";
  $("#media-id").value = wish.get("media") || "main";
  $("#token").value = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (wish.has("source")) $("#source").value = wish.get("source");
  if (wish.has("codec")) $("#codec").value = wish.get("codec");
  if (wish.has("watch")) document.body.dataset.view = "watch";
  return { plays: wish.has("autoplay"), publishes: wish.has("publish") };
}

function describe() {
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  $("#guide").innerHTML = document.body.dataset.view === "watch"
    ? "You are watching a channel of this server. <a href='/whip'>Publish one yourself</a>"
    : local
      ? "<b>Press “Start publishing”, then “Start watching”.</b> Your picture goes through the server and comes back."
      : "<b>Paste a token, press “Start publishing”, then “Start watching”.</b> Your picture goes through the server and comes back.";
  if (!local) $("#token").placeholder = "paste it here";
  if (!local && document.body.dataset.view !== "watch" && !$("#token").value) $("#more").open = true;
  showEndpoints();
}

function showEndpoints() {
  $("#whip-url").textContent = location.origin + endpoint("whip");
  $("#whep-url").textContent = location.origin + endpoint("whep");
}

const place = $("#place");
listCodecs();
checkDevices();
const { plays, publishes } = readAddress();
const publish = new PublishPanel("publish", () => endpoint("whip"));
const watch = new WatchPanel("watch", () => endpoint("whep"));
describe();
place.addEventListener("submit", (event) => event.preventDefault());
place.addEventListener("input", showEndpoints);
$("#copy").addEventListener("click", copyLink);
if (!globalThis.RTCPeerConnection) $("#guide").textContent = "This browser has no WebRTC, or has it switched off.";
if (publishes) publish.start();
if (plays) watch.start();
