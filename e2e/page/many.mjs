// A page that publishes many upstreams, or watches them over one connection of the SDK.

const many = {
  async register({ token, worker }) {
    many.worker = new Worker(URL.createObjectURL(new Blob([worker], { type: "text/javascript" })));
    window.RTCPeerConnection = Attended;
    const { Client } = await import("/sdk/tidewire.js");
    many.client = new Client({ url: location.origin, token });
    [many.channel] = await many.client.register();
  },

  /** So many small pictures, each with the microphone. */
  async publish(count) {
    const [microphone] = (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks();
    for (let number = 0; number < count; number += 1) {
      const stream = new MediaStream([microphone.clone(), painted(number).getVideoTracks()[0]]);
      await many.channel.publish(stream, { tag: `number ${number}`, codecs: ["VP8"], maxBitrate: 60_000 });
    }
  },

  /** Watches the first `stay` upstreams for good. */
  async watch(stay) {
    const all = [...many.channel.upstreams.values()];
    many.staying = all.slice(0, stay).map((upstream) => many.channel.subscribe(upstream));
    many.others = all.slice(stay);
    many.coming = new Map();
    // Sound that nobody plays is not taken apart.
    for (const { stream } of many.staying) document.body.append(Object.assign(document.createElement("video"), { autoplay: true, srcObject: stream }));
  },

  live: () => many.staying.every((remote) => remote.state === "live" && remote.audioTrack && remote.videoTrack),

  async rest(length_ms) {
    await arrivals();
    await pause(length_ms);
    return arrivals();
  },

  /** Lets others come and go, so many times, some at a time. */
  async change(changes) {
    await arrivals();
    const seen = new Set(many.staying.map(({ source }) => source.upstream));
    for (let change = 0; change < changes; change += 1) {
      const upstream = many.others[(change * 7) % many.others.length];
      const present = many.coming.get(upstream.upstream);
      present?.close();
      if (present) many.coming.delete(upstream.upstream);
      else many.coming.set(upstream.upstream, many.channel.subscribe(upstream));
      await pause(100);
      for (const [name, remote] of many.coming) if (remote.state === "live") seen.add(name);
    }
    await pause(1_000);
    for (const [name, remote] of many.coming) if (remote.state === "live") seen.add(name);
    const { peer } = many.channel.downstream;
    return { ...(await arrivals()), transceivers: peer.getTransceivers().length, seen: seen.size, connections: Attended.made };
  },
};

/** Has the worker see all sound that arrives. It must be asked in the very task that tells of the track. */
class Attended extends RTCPeerConnection {
  static made = 0;

  constructor(...options) {
    super(...options);
    Attended.made += 1;
    this.addEventListener("track", ({ receiver, transceiver }) => {
      if (receiver.track.kind === "audio" && !receiver.transform) receiver.transform = new RTCRtpScriptTransform(many.worker, { name: transceiver.mid });
    });
  }
}

function arrivals() {
  return new Promise((resolve) => {
    many.worker.onmessage = ({ data }) => resolve(data);
    const stays = many.staying.map(({ audioTrack }) => many.channel.downstream.peer.getTransceivers().find(({ receiver }) => receiver.track === audioTrack).mid);
    many.worker.postMessage(stays);
  });
}

/** A small picture that changes ten times a second. */
function painted(number) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
  const context = canvas.getContext("2d");
  let turn = 0;
  setInterval(() => {
    context.fillStyle = `hsl(${number * 15} 80% ${30 + (turn++ % 40)}%)`;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }, 100);
  return canvas.captureStream(10);
}

const pause = (length_ms) => new Promise((resolve) => setTimeout(resolve, length_ms));
