import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";

export interface TestNatsOptions {
  /** Name of the server and of its JetStream domain. */
  readonly name?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** Default true. */
  readonly jetStream?: boolean;
}

/** A real nats-server on a free loopback port with a store of its own; both are gone after disposing. */
export interface TestNats extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly storeFolder: string;
}

/** Starts a nats-server and waits until it takes connections. Hold it with `await using`. */
export async function startTestNats(options: TestNatsOptions = {}): Promise<TestNats> {
  const { name = "test", jetStream = true } = options;
  const binary = await ensureNatsServer();
  const folder = await mkdtemp(join(tmpdir(), "freshet-nats-"));
  const storeFolder = join(folder, "store");
  await mkdir(join(folder, "ports"));
  const config = [
    `server_name: ${JSON.stringify(name)}`,
    "host: 127.0.0.1",
    `port: ${options.port ?? -1}`,
    `ports_file_dir: ${JSON.stringify(join(folder, "ports"))}`,
    ...(jetStream ? [`jetstream { store_dir: ${JSON.stringify(storeFolder)}, domain: ${JSON.stringify(name)}, max_memory_store: 64MB, max_file_store: 1GB }`] : []),
  ].join("\n");
  await writeFile(join(folder, "nats.conf"), config, { mode: 0o600 });
  const child = spawn(binary.path, ["-c", join(folder, "nats.conf")], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)));
  const dispose = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  const deadline = performance.now() + 10_000;
  for (;;) {
    const ports = (await readdir(join(folder, "ports"))).find((file) => file.endsWith(".ports"));
    const url = ports === undefined ? undefined : /"(nats:\/\/127\.0\.0\.1:(\d+))"/.exec(await readFile(join(folder, "ports", ports), "utf8"));
    if (url?.[1] !== undefined && url[2] !== undefined) {
      return { url: url[1], port: Number(url[2]), storeFolder, [Symbol.asyncDispose]: dispose };
    }
    if (child.exitCode !== null || performance.now() > deadline) {
      await dispose();
      throw new Error(`the test's nats-server did not start:\n${log}`);
    }
    await delay(10);
  }
}
