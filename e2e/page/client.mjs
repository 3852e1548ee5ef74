// One WHIP or WHEP session at a time, as any page would have it: fetch and RTCPeerConnection, nothing else.

const picture = document.querySelector("#picture");
let session;

/** Publishes camera and microphone, the video in `codec` ("VP8", "H264", ...). */
async function publish({ url, token, codec }) {
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  for (const track of media.getTracks()) {
    const transceiver = peer.addTransceiver(track, { direction: "sendonly", streams: [media] });
    if (track.kind === "video") prefer(transceiver, codec);
  }
  picture.muted = true;
  picture.srcObject = media;
  await open(peer, url, token);
}

/** Watches; `false` when nothing is published yet. */
async function watch({ url, token }) {
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const media = new MediaStream();
  peer.addTransceiver("audio", { direction: "recvonly" });
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.addEventListener("track", ({ track }) => media.addTrack(track));
  picture.muted = false;
  picture.srcObject = media;
  return open(peer, url, token);
}

async function open(peer, url, token) {
  await peer.setLocalDescription();
  const headers = { "content-type": "application/sdp", authorization: `Bearer ${token}` };
  const response = await fetch(url, { method: "POST", headers, body: peer.localDescription.sdp });
  if (response.status === 409) {
    peer.close();
    return false;
  }
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  session = { peer, token, url: new URL(response.headers.get("location"), url), negotiations: 0 };
  session.answer = await response.text();
  await peer.setRemoteDescription({ type: "answer", sdp: session.answer });
  peer.addEventListener("signalingstatechange", () => (session.negotiations += 1));
  return true;
}

function prefer(transceiver, codec) {
  const wanted = [`video/${codec}`, "video/rtx"];
  const { codecs } = RTCRtpSender.getCapabilities("video");
  transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => wanted.includes(mimeType)));
}

/** Ends the session; the server's status. */
async function leave() {
  const { peer, token, url } = session;
  // Closing the peer first would end the session by DTLS, and there would be nothing left to delete.
  const { status } = await fetch(url, { method: "DELETE", headers: { authorization: `Bearer ${token}` } });
  peer.close();
  return status;
}

/** New ICE credentials by PATCH (RFC 9725 4.3.3, "ICE Restarts"); the answer to the new offer is the old one with the server's new ones. */
async function restart() {
  const { peer, token, url } = session;
  await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
  const names = ["ice-ufrag", "ice-pwd"];
  const value = (name, text) => text.match(new RegExp(`^a=${name}:(.*?)\\r?$`, "m"))[1];
  const body = names.map((name) => `a=${name}:${value(name, peer.localDescription.sdp)}\r\n`).join("");
  const headers = { "content-type": "application/trickle-ice-sdpfrag", "if-match": "*", authorization: `Bearer ${token}` };
  const response = await fetch(url, { method: "PATCH", headers, body });
  if (response.status !== 200) throw new Error(`restart: ${response.status} ${await response.text()}`);
  const fragment = await response.text();
  for (const name of names) {
    session.answer = session.answer.replace(new RegExp(`^a=${name}:[^\\r\\n]*`, "gm"), `a=${name}:${value(name, fragment)}`);
  }
  await peer.setRemoteDescription({ type: "answer", sdp: session.answer });
}

/** What the browser knows of the session. */
async function sample() {
  const { peer, negotiations } = session;
  const reports = [...(await peer.getStats()).values()];
  const of = (type, kind) => reports.find((report) => report.type === type && (!kind || report.kind === kind)) ?? {};
  const video = [of("inbound-rtp", "video"), of("outbound-rtp", "video")].find((report) => report.id) ?? {};
  const [{ sender, receiver }] = peer.getTransceivers();
  const transport = sender.transport ?? receiver.transport;
  const byId = (id) => reports.find((report) => report.id === id);
  const { srtpCipher, tlsVersion, dtlsState, selectedCandidatePairId } = of("transport");
  return {
    state: peer.connectionState,
    transport: transport?.state,
    userFragment: byId(byId(selectedCandidatePairId)?.localCandidateId)?.usernameFragment,
    negotiations,
    srtpCipher,
    tlsVersion,
    dtlsState,
    codec: byId(video.codecId)?.mimeType,
    framesSent: video.framesSent ?? 0,
    framesDecoded: video.framesDecoded ?? 0,
    packetsLost: video.packetsLost ?? 0,
    framesPerSecond: video.framesPerSecond ?? 0,
    freezes: video.freezeCount ?? 0,
    audioEnergy: of("inbound-rtp", "audio").totalAudioEnergy ?? 0,
    // Both ends of this are known only where sender reports arrive (RFC 3550 6.4.1).
    audioAheadMs: of("inbound-rtp", "audio").estimatedPlayoutTimestamp - video.estimatedPlayoutTimestamp,
  };
}

/** A sample now, and one after each of `seconds` seconds. */
async function record(seconds) {
  const samples = [await sample()];
  for (let second = 1; second <= seconds; second += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    samples.push(await sample());
  }
  return samples;
}

window.client = { publish, watch, restart, leave, sample, record };
