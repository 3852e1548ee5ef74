// A page of the tests on layers, in whichever browser: publishes moving pictures, or watches them.

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { registerToken } from "./server.mjs";
import { until } from "./until.mjs";

const script = join(import.meta.dirname, "../page/layers.mjs");

export class Watcher {
  /** `users`: as many clients are registered from this one page. */
  static async enter(page, server, channel, ...users) {
    const watcher = Object.assign(new Watcher(), { page });
    await page.goto(`${server.origin}/whip`);
    await page.evaluate(`${await readFile(script, "utf8")}; window.layers = layers;`);
    await watcher.call("register", ...users.map((user) => registerToken(user, channel)));
    return watcher;
  }

  /** Has the page do something. */
  call(name, ...given) {
    return this.page.evaluate(([name, given]) => window.layers[name](...given), [name, given]);
  }

  /** Waits until so many pictures of each name have come. */
  async sees(names, frames = 20, within_ms = 30_000) {
    await until(`pictures of ${names}`, async () => {
      const received = await this.call("received");
      if (names.every((name) => received[name]?.frames >= frames)) return true;
      throw new Error(JSON.stringify(received));
    }, within_ms);
  }
}
