/*
 * A real region node in a process of its own, as the end-to-end tests see one: started from a config file, asked over HTTP and over NATS
 * as an operator, killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import * as z from "zod";
import { type RegionConfigInput } from "../regions/config.ts";
import { eventually, OPERATOR_PASSWORD, SMALL_MODEL } from "./e2e-support.ts";

const cli = fileURLToPath(new URL("../regions/cli.ts", import.meta.url));
const READY_MS = 40_000;
const STOP_MS = 20_000;
/** Longer than the node itself waits for anything. */
const ANSWER_MS = 8_000;

const statusSchema = z.object({
  ready: z.boolean(),
  problems: z.array(z.string()),
  models: z.array(
    z.object({
      rows: z.number(),
      digest: z.string().exactOptional(),
      samples: z.number(),
      backlog: z.number().optional(),
      pending: z.number().optional(),
    }),
  ),
  links: z.array(z.object({ peer: z.string(), connected: z.boolean() })),
  events: z.object({ accepted: z.number(), refused: z.number() }),
  workers: z.array(
    z.object({ name: z.string(), state: z.string(), restarts: z.number(), lastFailure: z.string().optional() }),
  ),
  leaders: z.array(z.object({ model: z.string(), shard: z.number(), holder: z.string() })),
});
const answerSchema = z.object({
  request: z.string(),
  step: z.string(),
  items: z.array(z.object({ item: z.string(), score: z.number() })),
});
const rowSchema = z.object({
  found: z.boolean(),
  catalogue: z.object({ item: z.string(), freshClicks: z.number() }).optional(),
});
const membersSchema = z.object({
  members: z.array(z.object({ region: z.string(), node: z.string(), isRetired: z.boolean() })),
});
const trainingSchema = z.object({ training: z.string(), term: z.number(), next: z.string().optional() });
const streamSchema = z.object({ state: z.object({ last_seq: z.number() }) });

export type Status = z.infer<typeof statusSchema>;
export type Training = z.infer<typeof trainingSchema>;
export type Answer = z.infer<typeof answerSchema>;

export interface TestNodeOptions {
  /** Where its config, and beside it its state, lies; one for each node. */
  readonly folder: string;
  readonly config: Omit<RegionConfigInput, "state">;
  /** Runs this in the command line's place. */
  readonly entry?: string;
  /** Goes before the program: what starts it elsewhere. */
  readonly prefix?: readonly string[];
}

/** A node and all its lives. Nothing of it runs before `start`. */
export class TestNode implements AsyncDisposable {
  readonly region: string;
  readonly node: string;
  readonly state: string;
  readonly url: string;
  readonly natsUrl: string;
  /** What it printed, all its lives together. */
  readonly lines: string[] = [];
  readonly #options: TestNodeOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<number | string> = Promise.resolve("never started");

  constructor(options: TestNodeOptions) {
    const { config, folder } = options;
    this.#options = options;
    this.region = config.region;
    this.node = config.node ?? "a";
    this.state = join(folder, config.region);
    this.url = `http://${String(config.http !== false && config.http?.listen)}`;
    const { nats = {} } = config;
    this.natsUrl = "url" in nats ? nats.url : `nats://${String("listen" in nats && nats.listen)}`;
  }

  /** Starts its process; `ready` waits for it. */
  async start(): Promise<void> {
    const { folder, config, entry = cli, prefix = [] } = this.#options;
    const file = join(folder, `${config.region}.json`);
    await writeFile(join(folder, "operator"), OPERATOR_PASSWORD, { mode: 0o600 });
    await writeFile(file, JSON.stringify({ ...config, state: this.state }), { mode: 0o600 });
    const [program, ...args] = [...prefix, process.execPath, entry, "start", file];
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe", "ipc"], detached: true });
    this.#child = child;
    for (const output of [child.stdout, child.stderr]) {
      if (output !== null) createInterface({ input: output }).on("line", (line) => this.lines.push(line));
    }
    this.#ended = new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown")));
  }

  async ready(): Promise<void> {
    let ended: number | string | undefined;
    void this.#ended.then((how) => (ended = how));
    await eventually(
      `${this.region}/${this.node} is ready`,
      async () => {
        if (ended !== undefined) throw new Error(`its process ended (${ended})`);
        const response = await this.#fetch("/readyz");
        await response?.body?.cancel();
        return response?.ok === true ? true : undefined;
      },
      READY_MS,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.lines.slice(-30).join("\n")}`, { cause: error });
    });
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Its exit code, or the signal that ended it. */
  get ended(): Promise<number | string> {
    return this.#ended;
  }

  /** Ends it at once, whatever it is doing. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
  }

  async stop(): Promise<number | string> {
    const child = this.#child;
    child?.kill("SIGINT");
    const timer = setTimeout(() => child?.kill("SIGKILL"), STOP_MS);
    const how = await this.#ended;
    clearTimeout(timer);
    return how;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Sends to the program that runs in the command line's place, and waits for what it sends back. */
  async tellProgram(message: object): Promise<unknown> {
    const child = this.#child;
    if (child === undefined) throw new TypeError("Cannot tell a program that does not run");
    const answer = new Promise<unknown>((resolve, reject) => {
      child.once("message", resolve);
      void this.#ended.then((how) =>
        reject(new Error(`The program ended: ${how}\n${this.lines.slice(-20).join("\n")}`)),
      );
    });
    child.send(message);
    return answer;
  }

  async natsPid(): Promise<number> {
    return Number(await readFile(join(this.state, "nats", "nats-server.pid"), "utf8"));
  }

  /** Undefined while it does not answer. */
  async status(): Promise<Status | undefined> {
    const response = await this.#fetch("/status");
    return response?.ok === true ? statusSchema.parse(await response.json()) : undefined;
  }

  /** The sum over all series of that name with these labels; 0 when there is none, undefined while it does not answer. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
    const response = await this.#fetch("/metrics");
    if (response?.ok !== true) return undefined;
    const lines = (await response.text())
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines
      .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  async recommend(
    user: string,
    options: { readonly k?: number; readonly record?: boolean } = {},
  ): Promise<Answer | undefined> {
    const { k = 100, record = true } = options;
    const response = await this.#fetch(`/v1/recommendations?user=${user}&k=${k}${record ? "" : "&impressions=none"}`);
    return response?.ok === true ? answerSchema.parse(await response.json()) : undefined;
  }

  /** Posts events; the answer's status, 0 for none. */
  async post(events: readonly object[]): Promise<number> {
    const response = await this.#fetch("/v1/events", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(events),
    });
    await response?.body?.cancel();
    return response?.status ?? 0;
  }

  /** The members as it knows them, or what it answers to a change of them; undefined while it does not answer. */
  async members(change?: {
    readonly act: "add" | "retire";
    readonly region: string;
    readonly node: string;
  }): Promise<{ readonly status: number; readonly present: readonly string[]; readonly text: string } | undefined> {
    const { act, ...name } = change ?? {};
    const sent = { method: "POST", body: JSON.stringify(name), headers: { "content-type": "application/json" } };
    const response = await this.#fetch(act === undefined ? "/v1/members" : `/v1/members/${act}`, act && sent);
    if (response === undefined) return undefined;
    const text = await response.text();
    const parsed = response.ok ? membersSchema.parse(JSON.parse(text)) : { members: [] };
    const present = parsed.members.flatMap(({ region, node, isRetired }) => (isRetired ? [] : [`${region}/${node}`]));
    return { status: response.status, present, text };
  }

  /** Which region trains as it knows; undefined while it does not answer. */
  async training(): Promise<Training | undefined> {
    const response = await this.#fetch("/v1/training");
    return response?.ok === true ? trainingSchema.parse(await response.json()) : undefined;
  }

  async operator(): Promise<NatsConnection> {
    return connect({ servers: this.natsUrl, user: "operator", pass: OPERATOR_PASSWORD, reconnect: false });
  }

  /** How many clicks the catalogue has for an item, looked up over NATS in whichever shard holds it; undefined without a row. */
  async clicksOf(item: string): Promise<number | undefined> {
    return this.#asOperator(async (nats) => {
      for (let shard = 0; shard < SMALL_MODEL.shards; shard++) {
        const subject = `freshet.${this.region}.shard.${SMALL_MODEL.name}-${shard}-${this.node}.row.operator`;
        const { found, catalogue } = rowSchema.parse(
          (await nats.request(subject, JSON.stringify({ table: "catalogue", key: item }), { timeout: 5000 })).json(),
        );
        if (found) return Math.round(catalogue?.freshClicks ?? 0);
      }
      return undefined;
    });
  }

  /** The number of the last message of a stream of its server. */
  async lastOf(stream: string): Promise<number> {
    return this.#asOperator(async (nats) => {
      const info = await nats.request(`$JS.API.STREAM.INFO.${stream}`, "", { timeout: 5000 });
      return streamSchema.parse(info.json()).state.last_seq;
    });
  }

  async #asOperator<T>(work: (nats: NatsConnection) => Promise<T>): Promise<T> {
    const nats = await this.operator();
    try {
      return await work(nats);
    } finally {
      await nats.close();
    }
  }

  async #fetch(path: string, init: RequestInit = {}): Promise<Response | undefined> {
    try {
      return await fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(ANSWER_MS), ...init });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return undefined; // not there, or too busy to answer
    }
  }
}
