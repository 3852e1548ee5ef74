// How a page comes in: the channel and the token of its address, a name that stays, tokens for the client, and what a
// refusal means to the person in front of the screen.
//
// An address: `/call#channel`, `/call#channel&token=TOKEN`, `/broadcast#channel&host`. All of it stands behind the `#`,
// so that neither the channel nor the token reaches a log.

import { memory } from "./ui.js";

/** What the address asks for. `flags`: words without a value. */
export function readAddress() {
  const address = { channel: "", token: "", flags: new Set() };
  for (const [index, part] of location.hash.slice(1).split("&").filter(Boolean).entries()) {
    const [key, ...rest] = part.split("=");
    if (rest.length > 0) {
      if (key === "token") address.token = decode(rest.join("="));
    } else if (index === 0 && !FLAGS.has(key)) address.channel = decode(key);
    else address.flags.add(key);
  }
  address.channel ||= claimsOf(address.token)?.channels?.[0]?.id ?? "";
  address.token ||= keptToken(address.channel);
  return address;
}

/** Keeps a token that was pasted for as long as the tab is open, so that a reload needs it not again. */
export function keepToken(token) {
  memory.tab.write("token", token);
}

/** The token that was kept, if it is for that channel. */
function keptToken(channel) {
  const token = memory.tab.read("token") ?? "";
  return claimsOf(token)?.channels?.some(({ id }) => id === channel) ? token : "";
}

const FLAGS = new Set(["host", "watch"]);

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address that brings somebody else into the channel: without a token, which is one person's own. */
export function invitation(channel, path = location.pathname) {
  return `${location.origin}${path}#${encodeURIComponent(channel)}`;
}

/** Shows the channel in the address, so that a reload and a copied address lead back. */
export function showInAddress(channel, ...flags) {
  history.replaceState(null, "", `#${[encodeURIComponent(channel), ...flags].join("&")}`);
}

/** What names a channel: 1 to 64 letters, digits and . _ - ~ */
export const CHANNEL = /^[A-Za-z0-9._~-]{1,64}$/;

/** A name that is easy to say: for whoever comes without one. */
export function freshChannel() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  return `${pick(["calm", "bright", "deep", "swift", "still", "wide", "early", "warm"])}-${pick(["tide", "cove", "reef", "shore", "delta", "harbour", "lagoon", "island"])}-${10 + Math.floor(Math.random() * 90)}`;
}

/** The claims of a token, unverified: only to show what it is for. Undefined when it is none. */
export function claimsOf(token) {
  try {
    const body = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0))));
  } catch {
    return undefined;
  }
}

/** Whether the server may make tokens for this page: it does so for its own machine only. */
export const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname) || location.hostname.endsWith(".localhost");

/** What obtains tokens: the one that was pasted, or fresh ones from the server. `rights`: more parameters. */
export function tokenSource(channel, pasted, rights = {}) {
  if (pasted) return pasted;
  const wish = new URLSearchParams({ channel, type: "register", userId: userId(), ...rights });
  return async () => {
    const response = await fetch(`/v1/demo-token?${wish}`);
    if (response.ok) return (await response.json()).token;
    const { code, detail } = await response.json().catch(() => ({}));
    refusal = code;
    throw new Error(detail ?? `HTTP ${response.status}`);
  };
}

/** The code of the last refusal to make a token: the SDK tells that there is none, not why. */
let refusal;

/** The same person after a reload, so that what was published before may be taken over. */
function userId() {
  let id = memory.local.read("user");
  if (!id) {
    const random = crypto.getRandomValues(new Uint32Array(2));
    id = `guest-${[...random].map((part) => part.toString(36)).join("")}`;
    memory.local.write("user", id);
  }
  return id;
}

/** What an error means and what helps: `{ title, detail, advice, code, needsToken }`. */
export function explain(error) {
  const code = error.code === "tokenUnavailable" ? (refusal ?? error.code) : error.code;
  const needsToken = /^(token|demoToken|channelAction)/.test(code ?? "");
  const [title, advice] = MEANINGS[code] ?? [];
  return {
    title: title ?? (needsToken ? "The token was refused" : "That did not work"),
    detail: error.detail ?? error.message,
    advice: advice ?? "",
    code: code ?? "",
    needsToken,
  };
}

const TOKEN_COMMAND = "tidewire token --secret … --channel … --type register";
const MEANINGS = {
  demoTokenForbidden: ["This needs a token", `The server makes tokens only for browsers on its own machine. Paste one under “Token”; the server's owner prints it with: ${TOKEN_COMMAND}`],
  tokenUnavailable: ["No token could be had", `Paste one under “Token”. The server's owner prints it with: ${TOKEN_COMMAND}`],
  tokenParseFailure: ["The token cannot be read", "It may have been cut off when it was copied: it is three parts with dots between."],
  tokenExpired: ["The token's time is over", "Ask for a new one and paste it under “Token”."],
  tokenAuthFailure: ["The token is not this server's", "It was made with another secret than this server's."],
  tokenMissingChannelClaim: ["The token is for another channel", "Change the channel, or paste a token that names this one."],
  tokenTypeForbidden: ["The token is of the wrong type", "These pages need one of type “register”."],
  permissionDenied: ["No permission", "Allow camera and microphone beside the address of the page, then try again."],
  deviceNotFound: ["No device", "Plug one in, or come without: you can still watch and write."],
  deviceInUse: ["The device is busy", "Another program seems to use it. Close that, then try again."],
  insecurePage: ["The browser gives this page no camera", "It gives one only to pages opened by https:// or on the server's own machine. Start the server with --tls self-signed. You can still watch and write."],
  mediaServerUnavailable: ["No media server", "Messages work; pictures and sound come as soon as one is there."],
  clientGone: ["The connection is over", "Join again."],
};
