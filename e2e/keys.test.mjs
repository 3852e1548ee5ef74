// An application server exchanges its keys while the gateway runs: the file of its key set changes, and nobody restarts anything.

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Server } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";

describe("a key set that changes", () => {
  const [first, second] = ["first", "second"].map((kid) => ({ kid, ...generateKeyPairSync("ec", { namedCurve: "P-256" }) }));
  let directory;
  let server;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "tidewire-keys-"));
    await publish(keySet(first));
    const config = join(directory, "tidewire.toml");
    await writeFile(config, `[[application]]\nid = "bank"\nkey-set = "${join(directory, "bank.jwks")}"\n`);
    server = await Server.startWithSecret(["--config", config]);
  });
  after(async () => {
    await server?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  test("is read again, and a broken one changes nothing", async () => {
    assert.equal(await code(first), "mediaTypeUnsupported", "a good token gets as far as the body, which is missing");
    assert.equal(await code(second), "tokenKeyUnknown");
    await publish(keySet(first, second));
    await until("the new key is known", async () => (await code(second)) === "mediaTypeUnsupported");
    assert.equal(await code(first), "mediaTypeUnsupported");

    await publish("{");
    await until("the log says so", () => server.output.includes("the keys of before stay"));
    assert.equal(await code(second), "mediaTypeUnsupported");

    await publish(keySet(second));
    await until("the old key is gone", async () => (await code(first)) !== "mediaTypeUnsupported");
    assert.equal(await code(first), "tokenKeyUnknown");
    assert.equal(await code(second), "mediaTypeUnsupported");
  });

  /** As the guide advises: written beside it, moved into its place. */
  async function publish(text) {
    await writeFile(join(directory, "bank.next"), text);
    await rename(join(directory, "bank.next"), join(directory, "bank.jwks"));
  }

  function keySet(...keys) {
    return JSON.stringify({ keys: keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: "jwk" }), kid })) });
  }

  /** What a request with this key's token is refused with. */
  async function code(key) {
    const headers = { authorization: `Bearer ${token(key)}` };
    const response = await fetch(`${server.origin}/whep/meeting`, { method: "POST", headers });
    return (await response.json()).code;
  }
});

function token({ kid, privateKey }) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { exp: Math.floor(Date.now() / 1000) + 60, applicationId: "bank", channels: [{ id: "meeting" }] };
  const text = `${part({ alg: "ES256", kid })}.${part(claims)}`;
  return `${text}.${sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}
