// A page that publishes a tone in redundant audio, or hears what is published: by the SDK, or by plain WHIP and WHEP.

const sound = {
  async register(token) {
    const { Client } = await import("/sdk/tidewire.js");
    [sound.channel] = await new Client({ url: location.origin, token }).register();
  },

  async publish(mediaId) {
    const { peer } = await sound.channel.publish(tone(), { mediaId, redundancy: true });
    sound.peer = peer;
  },

  watch(mediaId) {
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...given) {
        super(...given);
        sound.hear(this);
      }
    };
    sound.channel.watch(mediaId, { video: false });
  },

  /** By WHIP. */
  async send(...where) {
    const peer = (sound.peer = new RTCPeerConnection());
    const transceiver = peer.addTransceiver(tone().getAudioTracks()[0], { direction: "sendonly" });
    const { codecs } = RTCRtpSender.getCapabilities("audio");
    transceiver.setCodecPreferences([...codecs.filter(isRedundant), ...codecs.filter((codec) => !isRedundant(codec))]);
    await open(peer, ...where);
  },

  /** By WHEP. */
  async receive(takesRedundancy, ...where) {
    const peer = new RTCPeerConnection();
    const transceiver = peer.addTransceiver("audio", { direction: "recvonly" });
    const { codecs } = RTCRtpReceiver.getCapabilities("audio");
    transceiver.setCodecPreferences(codecs.filter((codec) => takesRedundancy || !isRedundant(codec)));
    attend(transceiver.receiver);
    sound.hear(peer);
    await open(peer, ...where);
  },

  /** Plays what comes, and has each packet of it seen. */
  hear(peer) {
    sound.peer = peer;
    peer.addEventListener("track", ({ receiver, track }) => {
      if (!receiver.transform) attend(receiver);
      document.body.append(Object.assign(document.createElement("audio"), { autoplay: true, srcObject: new MediaStream([track]) }));
    });
  },

  /** What the browser counts of the stream, and which formats its packets had. */
  async counted() {
    const stats = [...(await sound.peer.getStats()).values()];
    const stream = stats.find(({ type }) => type === "inbound-rtp" || type === "outbound-rtp");
    const codec = stats.find(({ id }) => id === stream.codecId)?.mimeType;
    return { ...stream, codec, formats: await formats() };
  },

  descriptions: () => [sound.peer.localDescription.sdp, sound.peer.remoteDescription.sdp],
};

const isRedundant = ({ mimeType }) => mimeType === "audio/red";

async function open(peer, url, token) {
  await peer.setLocalDescription();
  const headers = { "content-type": "application/sdp", authorization: `Bearer ${token}` };
  const response = await fetch(url, { method: "POST", headers, body: peer.localDescription.sdp });
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
}

function tone() {
  const context = new AudioContext();
  const microphone = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  const source = new OscillatorNode(context, { frequency: 440 });
  source.connect(microphone);
  source.start();
  return microphone.stream;
}

/** Sees every packet of sound before it is taken apart. */
const worker = new Worker(URL.createObjectURL(new Blob([`
  const formats = {};
  self.onrtctransform = ({ transformer }) => {
    const see = (frame, controller) => {
      const { mimeType } = frame.getMetadata();
      formats[mimeType] = (formats[mimeType] ?? 0) + 1;
      controller.enqueue(frame);
    };
    transformer.readable.pipeThrough(new TransformStream({ transform: see })).pipeTo(transformer.writable);
  };
  self.onmessage = () => self.postMessage(formats);
`], { type: "text/javascript" })));

/** As early as there is a receiver: later it is not asked for what it has. */
function attend(receiver) {
  receiver.transform = new RTCRtpScriptTransform(worker, {});
}

function formats() {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage("formats");
  });
}
