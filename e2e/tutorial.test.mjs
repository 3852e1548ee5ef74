// "Your own page", followed to the letter: the files are taken out of the tutorial's text, and run as it says.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Browser } from "./lib/browser.mjs";
import { Server, freeTcpPort } from "./lib/server.mjs";
import { until } from "./lib/until.mjs";
import { advances } from "./lib/watching.mjs";

const tutorial = join(import.meta.dirname, "../docs/tutorial/own-page.md");
const media = ["--media-ip", "127.0.0.1"];

describe("the tutorial's own page", () => {
  let directory;
  let secret;
  let page;
  let server;
  let browser;
  let tokens;

  before(async () => {
    const text = await readFile(tutorial, "utf8");
    directory = await mkdtemp(join(tmpdir(), "tidewire-tutorial-"));
    for (const [, name, content] of text.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)) await writeFile(join(directory, name), content);
    [, secret] = text.match(/TIDEWIRE_SECRET="(.*?)" node server.mjs/);
    assert.ok(text.includes(`cargo xtask run --secret "${secret}"`), "both know one secret");
    server = await Server.start(["--secret", secret, ...media]);
    const port = await freeTcpPort();
    tokens = spawn(process.execPath, ["server.mjs"], { cwd: directory, env: { ...process.env, PORT: port, TIDEWIRE_SECRET: secret } });
    page = `http://127.0.0.1:${port}/?tidewire=${encodeURIComponent(server.origin)}`;
    await until("the token server", async () => (await fetch(page)).ok);
    browser = await Browser.start();
  });
  after(async () => {
    await browser?.stop();
    tokens?.kill();
    await server?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  test("two windows see each other and what they write, and come back when the server does", async () => {
    const windows = [await browser.tab(), await browser.tab()];
    for (const window of windows) await window.goto(page);
    for (const window of windows) await advances(window, "#others video", 60_000);
    await windows[0].fill("#text", "is anybody there?");
    await windows[0].press("#text", "Enter");
    for (const window of windows) await window.waitForSelector("li:has-text('is anybody there?')");
    const { origin } = server;
    await server.stop();
    await windows[0].waitForSelector("#state:not(:has-text('live'))");
    server = await Server.startAt(origin, ["--secret", secret, ...media]);
    for (const window of windows) await window.waitForSelector("#state:has-text('live')", { timeout: 60_000 });
    for (const window of windows) await advances(window, "#others video", 60_000);
  });
});
