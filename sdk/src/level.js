// How loud a local track is. One audio context for the page, one analyser for each track, read when somebody asks.

const SAMPLES = 512;
let context;

export class Meter {
  #source;
  #analyser;
  #samples = new Float32Array(SAMPLES);

  constructor(track) {
    context ??= new AudioContext();
    this.#source = context.createMediaStreamSource(new MediaStream([track]));
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = SAMPLES;
    this.#source.connect(this.#analyser);
  }

  get level() {
    // A context that was made before the user touched the page sleeps until it is asked again.
    if (context.state === "suspended") void context.resume().catch(() => {});
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return Math.min(1, Math.sqrt(this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / SAMPLES));
  }

  close() {
    this.#source.disconnect();
  }
}
