// Which devices there are, and opening them: the browser's `mediaDevices`, with errors that say what is wrong.

import { deviceError, TidewireError } from "./errors.js";

export async function devices() {
  const all = await source().enumerateDevices();
  const of = (wanted) => all.filter(({ kind, deviceId }) => kind === wanted && deviceId).map(described);
  return { microphones: of("audioinput"), cameras: of("videoinput"), speakers: of("audiooutput") };
}

export function onDevices(listener) {
  let on = true;
  const tell = () =>
    devices().then(
      (found) => on && listener(found),
      () => {},
    );
  source().addEventListener("devicechange", tell);
  void tell();
  return () => {
    on = false;
    source().removeEventListener("devicechange", tell);
  };
}

/** Tracks of one or both kinds; `undefined` constraints leave a kind out. */
export async function open(constraints) {
  return tracksOf(() => source().getUserMedia(constraints));
}

export async function openScreen(constraints) {
  return tracksOf(() => source().getDisplayMedia(constraints));
}

async function tracksOf(opened) {
  try {
    return (await opened()).getTracks();
  } catch (error) {
    throw deviceError(error);
  }
}

function source() {
  const { mediaDevices } = navigator;
  if (mediaDevices) return mediaDevices;
  throw new TidewireError(
    "insecurePage",
    "the browser shows devices only to pages that came by https or from this machine",
  );
}

function described({ deviceId, label }) {
  return { id: deviceId, label };
}
