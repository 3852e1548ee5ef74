// The real program under test, on ports of its own, started and stopped as a person would.

import { execFile, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFile, readdir } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

import { until } from "./until.mjs";

const here = import.meta.dirname;
export const program = resolve(process.env.TIDEWIRE_BIN ?? join(here, "../../target/release/tidewire"));
const withoutUring = join(dirname(program), "examples/without_uring");
export const secret = "a secret of thirty-two bytes, no less";
const clusterSecret = "a cluster secret of thirty-two bytes, no less";

export class Server {
  #child;
  /** The media server, where it is a program of its own. */
  #media;
  /** Everything that it printed. */
  output = "";

  /** `args`: settings beyond the ports. `wrapper`: a program that starts it, with arguments. */
  static async start(args = [], wrapper = []) {
    const ports = ["--udp-port", String(await freeUdpPort())];
    return Server.#run(await freeOrigin(), [], [...ports, ...args], wrapper);
  }

  /** The same at an address of the caller's choice. */
  static async startAt(origin, args = [], wrapper = []) {
    return Server.#run(origin, [], ["--udp-port", String(await freeUdpPort()), ...args], wrapper);
  }

  /**
   * A gateway and a media server as two programs. Either takes its own settings; `wrapper` starts the media server.
   * `through` says by which address the media server reaches the gateway.
   */
  static async startPair({ gateway = [], media = [], wrapper = [], through = (origin) => origin } = {}) {
    const joined = ["--cluster-secret", clusterSecret];
    const server = await Server.#run(await freeOrigin(), ["gateway"], [...joined, "--secret", secret, ...gateway], []);
    const ports = ["--media-ip", "127.0.0.1", "--udp-port", String(await freeUdpPort())];
    try {
      const url = (await through(server.origin)).replace(/^http/, "ws");
      server.#media = await Server.#run(await freeOrigin(), ["media"], [...joined, "--gateway-url", url, ...ports, ...media], wrapper);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  static async #run(origin, role, args, wrapper) {
    const server = new Server();
    server.origin = origin;
    const [command, ...rest] = [...wrapper, program, ...role, "--listen", new URL(server.origin).host, ...args];
    server.#child = spawn(command, rest, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [server.#child.stdout, server.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (server.output += text));
    }
    try {
      await until("the server is ready", () => server.#answers());
    } catch (error) {
      await server.stop();
      throw new Error(`${error.message}\n${server.output}`);
    }
    return server;
  }

  static startWithSecret(args = [], wrapper = []) {
    return Server.start([...args, "--media-ip", "127.0.0.1", "--secret", secret], wrapper);
  }

  /** Announces every address of this machine, as it does when nobody says otherwise. */
  static startOnAllAddresses() {
    return Server.start(["--secret", secret]);
  }

  static startWithoutUring(args = []) {
    return Server.startWithSecret(args, [withoutUring]);
  }

  async #answers() {
    if (this.#child.exitCode !== null) throw new Error(`it ended with ${this.#child.exitCode}`);
    return (await fetch(`${this.origin}/readyz`)).ok;
  }

  /** What forwards media counts. */
  async metrics() {
    const { origin } = this.#media ?? this;
    return (await fetch(`${origin}/metrics`)).text();
  }

  /** The port at which its first shard takes media. */
  get mediaPort() {
    return Number(/UDP (\d+)/.exec(this.output)[1]);
  }

  /** The media server of a pair, to look at and to end before its gateway. */
  get media() {
    return this.#media;
  }

  /** CPU time of its threads that are no shards, in seconds. */
  async controlSeconds() {
    const tasks = `/proc/${this.#child.pid}/task`;
    const used = async (task) => {
      const name = (await readFile(`${tasks}/${task}/comm`, "utf8")).trim();
      const [nanoseconds] = (await readFile(`${tasks}/${task}/schedstat`, "utf8")).split(" ");
      return name.startsWith("shard") ? 0 : Number(nanoseconds) / 1e9;
    };
    const all = await Promise.all((await readdir(tasks)).map(used));
    return all.reduce((sum, seconds) => sum + seconds, 0);
  }

  /** Ends it with SIGTERM; returns its exit code and how long it took, in milliseconds. */
  async stop() {
    await this.#media?.stop();
    const started = performance.now();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      const hung = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(hung);
    }
    return { code: this.#child.exitCode, took_ms: performance.now() - started };
  }

  /** Ends it as a power cut would. */
  async kill() {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  /** Holds it where it stands, until `thaw`. */
  freeze() {
    this.#child.kill("SIGSTOP");
  }

  thaw() {
    this.#child.kill("SIGCONT");
  }
}

/** A token that may publish and watch in `channel`, made by the program's own subcommand. */
export async function token(channel) {
  const { stdout } = await promisify(execFile)(program, ["token", "--secret", secret, "--channel", channel]);
  return stdout.trim();
}

/** A token of type `register` (HS256, RFC 7519) for one channel, as an application's own server makes them. */
export function registerToken(userId, channel, claim = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const claims = { exp, type: "register", userId, channels: [{ id: channel, action: "join", ...claim }] };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

async function freeOrigin() {
  return `http://127.0.0.1:${await freeTcpPort()}`;
}

export async function freeTcpPort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function freeUdpPort() {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}
