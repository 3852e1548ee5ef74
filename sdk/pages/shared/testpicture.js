// The test picture: waves with a clock, and a soft beep each second. It needs no device and no permission.

/** A stream of both; `release` ends what makes it. */
export function testPicture() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
  const paint = painter(canvas);
  paint();
  const stream = canvas.captureStream(30);
  // A worker's timer keeps its pace while the page is hidden.
  const url = URL.createObjectURL(new Blob(["setInterval(() => postMessage(0), 1000 / 30)"], { type: "text/javascript" }));
  const ticker = new Worker(url);
  ticker.onmessage = paint;
  const sound = new AudioContext();
  stream.addTrack(beep(sound));
  sound.resume().catch(() => {}); // without a gesture of the user it stays silent
  stream.release = () => { ticker.terminate(); URL.revokeObjectURL(url); sound.close(); };
  return stream;
}

function painter(canvas) {
  const ink = canvas.getContext("2d", { alpha: false });
  const { width, height } = canvas;
  const wave = (t, level, depth, speed, colour) => {
    ink.fillStyle = colour;
    ink.beginPath();
    ink.moveTo(0, height);
    for (let x = 0; x <= width; x += 16) {
      ink.lineTo(x, level + depth * Math.sin(x / 150 + t * speed) + depth * 0.5 * Math.sin(x / 67 - t * speed * 0.7));
    }
    ink.lineTo(width, height);
    ink.fill();
  };
  return () => {
    const now = new Date();
    const t = now / 1000 % 3600;
    ink.fillStyle = "#0b2530";
    ink.fillRect(0, 0, width, height);
    wave(t, 400, 46, 1.1, "#0b7285");
    wave(t, 470, 38, 1.6, "#1098ad");
    wave(t, 560, 30, 2.2, "#22b8cf");
    ink.fillStyle = "#ffffff";
    ink.textAlign = "center";
    ink.font = "600 120px ui-monospace, monospace";
    ink.fillText(`${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, "0")}`, width / 2, 260);
    ink.font = "500 38px system-ui, sans-serif";
    ink.fillText("Tidewire test picture", width / 2, 120);
    ink.fillStyle = "#ffd43b";
    ink.fillRect(width * (t % 1), height - 16, 60, 16);
  };
}

function beep(sound) {
  const out = sound.createMediaStreamDestination();
  const tone = new OscillatorNode(sound, { frequency: 660 });
  const gain = new GainNode(sound, { gain: 0 });
  for (let second = 1; second < 3600; second += 1) {
    gain.gain.setTargetAtTime(0.12, second, 0.01);
    gain.gain.setTargetAtTime(0, second + 0.08, 0.03);
  }
  tone.connect(gain).connect(out);
  tone.start();
  return out.stream.getAudioTracks()[0];
}
