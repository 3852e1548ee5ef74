// The token servers of the guide, as they stand there: each is run, and the token that it hands out is shown to the server.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Server, freeTcpPort, secret } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";

const guide = join(import.meta.dirname, "../docs/guide/tokens.md");

/** Each language of the guide: the mark of its block, its file, what runs it. Node is here; the others where there are any. */
const languages = [
  { mark: "js", file: "tokens.mjs", command: [process.execPath] },
  { mark: "python", file: "tokens.py", command: ["python3"] },
  { mark: "go", file: "tokens.go", command: ["go", "run"] },
];

describe("the guide's token servers", () => {
  let directory;
  let server;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "tidewire-tokens-"));
    server = await Server.startWithSecret();
  });
  after(async () => {
    await server?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  for (const language of languages.filter(({ command }) => runs(command[0]))) {
    test(`the one in ${language.mark} makes a token for its channel and no other`, async () => {
      const token = await handedOut(language);
      // A good token gets as far as the body, which is missing.
      assert.deepEqual(await watch("meeting", token), [415, "mediaTypeUnsupported"]);
      assert.deepEqual(await watch("other", token), [403, "tokenMissingChannelClaim"]);
      const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
      assert.deepEqual([claims.type, claims.userId, claims.exp - claims.iat], ["register", "alice", 120]);
    });
  }

  /** Runs the program of the guide for as long as it takes to ask it once. */
  async function handedOut({ mark, file, command }) {
    const port = await freeTcpPort();
    const text = await readFile(guide, "utf8");
    const block = text.match(new RegExp("```" + mark + "\n(.*?)\n```", "s"))[1];
    const path = join(directory, file);
    await writeFile(path, block.replace("3000", port));
    const child = spawn(command[0], [...command.slice(1), path], { env: { ...process.env, TIDEWIRE_SECRET: secret }, detached: true, stdio: "ignore" });
    try {
      let token;
      await until("the token server answers", async () => {
        assert.equal(child.exitCode, null, "it has ended");
        token = await fetch(`http://127.0.0.1:${port}/`).then((response) => response.text(), () => undefined);
        return token !== undefined;
      });
      return token;
    } finally {
      const ended = once(child, "exit");
      // With whatever it started in its turn.
      if (child.exitCode === null) process.kill(-child.pid);
      await ended;
    }
  }

  async function watch(channel, token) {
    const response = await fetch(`${server.origin}/whep/${channel}`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
    return [response.status, (await response.json()).code];
  }
});

function runs(program) {
  try {
    execFileSync(program, [program === "go" ? "version" : "--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
