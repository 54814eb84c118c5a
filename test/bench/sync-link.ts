import { fileURLToPath } from "node:url";
import * as z from "zod";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { AskedProcess } from "./asked-process.ts";
import { startTestNats, type TestNats } from "../real-nats.ts";
import {
  type SyncEndConfig,
  type SyncEndCounts,
  type SyncEndProtocol,
  type SyncProcessConfig,
} from "./sync-end-protocol.ts";
import { SYNC_WORKLOAD } from "./sync-workload.ts";

const PROCESS = fileURLToPath(new URL("./sync-process.ts", import.meta.url));
const WRITER = "writer";
const FOLLOWER = "follower";

const processSchema = z.object({
  cpuMs: z.number(),
  rssBytes: z.number(),
  links: z.array(z.object({ peer: z.string(), bytesIn: z.number(), bytesOut: z.number() })),
});
const connectionsSchema = z.object({
  connections: z.array(z.object({ name: z.string().optional(), in_bytes: z.number(), out_bytes: z.number() })),
});

/** What has happened up to a moment; the difference of two is what a phase cost. */
export interface LinkCounts {
  readonly atMs: number;
  /** Of the whole process: state machines, threads, NATS client, collecting garbage. */
  readonly writerCpuMs: number;
  readonly followerCpuMs: number;
  readonly writer: SyncEndCounts;
  readonly follower: SyncEndCounts;
  /** By the writer's nats-server: to and from the follower's connection, payloads and headers. */
  readonly serverToFollowerBytes: number;
  readonly serverFromFollowerBytes: number;
}

/** What two ends are started with, as far as it differs from `SYNC_LINK`. */
export type SyncLinkOptions = Partial<Omit<SyncEndConfig, "region" | "peer">>;

/** Sixteen floats a row: 64 bytes. */
export const SYNC_TABLE: TableSpec = {
  name: "rows",
  dim: SYNC_WORKLOAD.valueBytes / 4,
  valueBytes: SYNC_WORKLOAD.valueBytes,
  stateBytes: 0,
  precision: "f32",
  optimizer: "",
};

/** Ends that begin empty and whose answers keep no distance. */
const SYNC_LINK: Omit<SyncEndConfig, "region" | "peer"> = {
  table: SYNC_TABLE,
  workload: SYNC_WORKLOAD,
  order: "zipf",
  keyStride: 1,
  rows: 0,
  idleShards: 0,
  pollWaitMs: 5_000,
  gapMs: 0,
};

/** One end's process. */
export class SyncEnd implements AsyncDisposable {
  readonly #process: AskedProcess;

  private constructor(config: SyncProcessConfig, signal: AbortSignal) {
    this.#process = new AskedProcess(PROCESS, JSON.stringify(config), signal);
  }

  /** Resolves when its threads run and its links are connected. */
  static async start(config: SyncProcessConfig, signal: AbortSignal): Promise<SyncEnd> {
    const end = new SyncEnd(config, signal);
    try {
      await end.#process.started;
      await end.#process.ask({ message: "connected" });
      return end;
    } catch (error) {
      await end[Symbol.asyncDispose]();
      throw error;
    }
  }

  async ask<K extends keyof SyncEndProtocol>(
    message: K,
    body: SyncEndProtocol[K]["request"],
  ): Promise<SyncEndProtocol[K]["reply"]> {
    // What the actor answers with has crossed two channels of our own as plain data.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return (await this.#process.ask({ message, body })) as SyncEndProtocol[K]["reply"];
  }

  async process(): Promise<z.infer<typeof processSchema>> {
    return processSchema.parse(await this.#process.ask({ message: "process" }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

/** Two ends, each a process, and between them a real nats-server on loopback: the writer's. */
export class SyncLink implements AsyncDisposable {
  readonly writer: SyncEnd;
  readonly follower: SyncEnd;
  readonly #nats: TestNats;
  readonly #stack: AsyncDisposableStack;

  private constructor(parts: { writer: SyncEnd; follower: SyncEnd; nats: TestNats; stack: AsyncDisposableStack }) {
    this.writer = parts.writer;
    this.follower = parts.follower;
    this.#nats = parts.nats;
    this.#stack = parts.stack;
  }

  /** Starts both; a signal that aborts later ends them, and whoever waits for them gets an error. */
  static async start(options: SyncLinkOptions, signal: AbortSignal): Promise<SyncLink> {
    const config = { ...SYNC_LINK, ...options };
    await using stack = new AsyncDisposableStack();
    const nats = stack.use(await startTestNats({ name: WRITER, jetStream: false, monitoring: true }));
    const followersNats = stack.use(await startTestNats({ name: FOLLOWER, jetStream: false }));
    const writer = stack.use(
      await SyncEnd.start(
        {
          end: { ...config, region: WRITER, peer: undefined },
          link: { region: WRITER, node: "a", own: { url: nats.url }, peers: [] },
        },
        signal,
      ),
    );
    const follower = stack.use(
      await SyncEnd.start(
        {
          end: { ...config, region: FOLLOWER, peer: `${WRITER}/a` },
          link: {
            region: FOLLOWER,
            node: "a",
            own: { url: followersNats.url },
            peers: [{ region: WRITER, url: nats.url }],
          },
        },
        signal,
      ),
    );
    return new SyncLink({ writer, follower, nats, stack: stack.move() });
  }

  async counts(): Promise<LinkCounts> {
    const [writer, follower, writerProcess, followerProcess] = await Promise.all([
      this.writer.ask("counts", {}),
      this.follower.ask("counts", {}),
      this.writer.process(),
      this.follower.process(),
    ]);
    const response = await fetch(`${this.#nats.monitoringUrl ?? ""}/connz`);
    const { connections } = connectionsSchema.parse(await response.json());
    const link = connections.find(({ name }) => name?.includes(FOLLOWER));
    return {
      atMs: performance.now(),
      writerCpuMs: writerProcess.cpuMs,
      followerCpuMs: followerProcess.cpuMs,
      writer,
      follower,
      serverToFollowerBytes: link?.out_bytes ?? 0,
      serverFromFollowerBytes: link?.in_bytes ?? 0,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
