// A page that publishes tones over a low noise, whose loudness the test sets, or hears who speaks.

const speakers = {
  told: [],

  async register({ token }) {
    window.WebSocket = Overheard;
    const { Client } = await import("/sdk/tidewire.js");
    speakers.client = new Client({ url: location.origin, token });
    [speakers.channel] = await speakers.client.register();
  },

  async publish(count) {
    const context = new AudioContext();
    speakers.gains = [];
    for (let number = 0; number < count; number += 1) {
      const gain = new GainNode(context, { gain: 0 });
      const microphone = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
      const tone = new OscillatorNode(context, { frequency: 300 + 40 * number });
      tone.connect(gain).connect(microphone);
      noise(context).connect(microphone);
      tone.start();
      speakers.gains.push(gain);
      await speakers.channel.publish(microphone.stream, { tag: `number ${number}` });
    }
  },

  /** These speak from now on, the others do not. Returns when that is. */
  speak(numbers) {
    speakers.gains.forEach((gain, number) => (gain.gain.value = numbers.includes(number) ? 0.2 : 0));
    return Date.now();
  },

  watch() {
    speakers.remotes = [...speakers.channel.upstreams.values()].map((upstream) => [upstream.tag, speakers.channel.subscribe(upstream)]);
  },

  live: () => speakers.remotes.every(([, remote]) => remote.state === "live" && remote.audioTrack),

  /** What was told since it was last asked, with the publications' tags. */
  heard() {
    const tag = (upstream) => speakers.channel.upstreams.get(upstream)?.tag;
    return speakers.told.splice(0).map(({ at, upstreams }) => ({ at, tags: upstreams.map(tag) }));
  },

  /** The tags of those of whom packets arrive within so long, and how many. */
  async arrivals(length_ms) {
    const before = await received();
    await new Promise((resolve) => setTimeout(resolve, length_ms));
    const after = await received();
    return speakers.remotes.map(([tag], at) => ({ tag, packets: after[at] - before[at] })).filter(({ packets }) => packets > 0);
  },
};

/** White noise at about -55 dBov. */
function noise(context) {
  const buffer = context.createBuffer(1, context.sampleRate, context.sampleRate);
  buffer.getChannelData(0).forEach((_, at, data) => (data[at] = 0.006 * (Math.random() - 0.5)));
  const source = new AudioBufferSourceNode(context, { buffer, loop: true });
  source.start();
  return source;
}

async function received() {
  const stats = await speakers.channel.downstream.peer.getStats();
  const inbound = [...stats.values()].filter(({ type }) => type === "inbound-rtp");
  return speakers.remotes.map(([, { audioTrack }]) => inbound.find(({ trackIdentifier }) => trackIdentifier === audioTrack.id)?.packetsReceived ?? 0);
}

/** Notes who speaks, as the server tells it, with the time at which the page was told. */
class Overheard extends WebSocket {
  constructor(...options) {
    super(...options);
    this.addEventListener("message", ({ data }) => {
      const event = JSON.parse(data).m?.event;
      if (event?.type === "speakers") speakers.told.push({ at: Date.now(), upstreams: event.upstreams });
    });
  }
}
