import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type NatsServerConfig } from "../runtime/nats-server/config.ts";
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";
import { NatsServerProcess, type NatsServerOptions } from "../runtime/nats-server/server.ts";

export interface TestNatsOptions {
  /** Name of the server and of its JetStream domain. Default "test". */
  readonly name?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** Default true. */
  readonly jetStream?: boolean;
  /** Default: everybody may do everything. */
  readonly users?: NonNullable<NatsServerConfig["users"]>;
  readonly monitoring?: boolean;
  /** Whatever else the configuration is to have. */
  readonly config?: Partial<NatsServerConfig>;
  readonly callbacks?: Pick<
    NatsServerOptions,
    "onLog" | "onWarning" | "onRestart" | "onReady" | "onFailed" | "restart"
  >;
}

/** A real nats-server on a loopback port with a store of its own; both are gone after disposing. */
export interface TestNats extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly storeFolder: string;
  readonly monitoringUrl: string | undefined;
  readonly server: NatsServerProcess;
}

/** Starts a nats-server and waits until it takes connections. Hold it with `await using`. */
export async function startTestNats(options: TestNatsOptions = {}): Promise<TestNats> {
  const { name = "test", port = "random", jetStream = true, users, monitoring = false } = options;
  const folder = await mkdtemp(join(tmpdir(), "freshet-nats-"));
  const storeFolder = join(folder, "store");
  try {
    const server = await NatsServerProcess.start({
      binary: await ensureNatsServer(),
      folder,
      stopGraceMs: 3000,
      config: {
        name,
        listen: { host: "127.0.0.1", port },
        ...(jetStream
          ? { jetStream: { storeFolder, domain: name, memoryBytesMax: 64 << 20, fileBytesMax: 1 << 30 } }
          : {}),
        ...(users === undefined ? {} : { users }),
        ...(monitoring ? { monitoringPort: "random" } : {}),
        ...options.config,
      },
      ...options.callbacks,
    });
    return {
      url: server.url,
      port: server.port,
      storeFolder,
      monitoringUrl: server.monitoringUrl,
      server,
      [Symbol.asyncDispose]: async () => {
        await server.stop();
        await rm(folder, { recursive: true, force: true, maxRetries: 3 });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    throw error;
  }
}
