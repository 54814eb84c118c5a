import { type NatsConnection } from "@nats-io/transport-node";
import { type ModelDeclaration } from "../protocols/model.ts";
import { keyOf, shardOf } from "../protocols/keys.ts";
import { CATALOGUE_DECAY } from "../protocols/learning/catalogue-row.ts";
import { popularityAt } from "../protocols/learning/popularity.ts";

const ASK_MS = 5_000;
const TOGETHER = 32;

/** Rows of the primary, as a person with the operator's password sees them. */
export class CrashRows {
  readonly #nc: NatsConnection;
  readonly #region: string;
  readonly #model: ModelDeclaration;
  readonly #trainers: readonly string[];

  constructor(
    nc: NatsConnection,
    options: { readonly region: string; readonly model: ModelDeclaration; readonly trainers: readonly string[] },
  ) {
    this.#nc = nc;
    this.#region = options.region;
    this.#model = options.model;
    this.#trainers = options.trainers;
  }

  /** How many clicks an item's catalogue row counts that are all of one time; undefined where it has no row. */
  async clicks(item: string, timeMs: number): Promise<number | undefined> {
    const view = await this.#ask(`shard.${this.#shard(0, item)}`, "row", { table: "catalogue", key: item });
    const catalogue = field(view, "catalogue");
    const popularity = field(catalogue, "popularity");
    // JSON knows no infinity: an item that nobody clicked has none.
    if (popularity === null) return 0;
    return typeof popularity === "number" ? popularityAt(popularity, timeMs, CATALOGUE_DECAY) : undefined;
  }

  /** How many steps the optimizer took on a user's row: the state of OGD. */
  async steps(user: string): Promise<number> {
    const view = await this.#ask(`shard.${this.#shard(1, user)}`, "row", { table: "users", key: user });
    const state = field(view, "state");
    const count: unknown = Array.isArray(state) ? state[0] : 0;
    return typeof count === "number" ? count : Number.NaN;
  }

  /** The position in the stream of samples up to which all shards have learned. */
  async applied(): Promise<number> {
    const applied = await Promise.all(
      this.#trainers.map(async (trainer) => field(await this.#ask(`trainer.${trainer}`, "status", {}), "applied")),
    );
    return Math.min(...applied.map((each) => (typeof each === "number" ? each : 0)));
  }

  #shard(table: number, key: string): string {
    return `${this.#model.name}-${shardOf(table, keyOf(key), this.#model.shards)}-a`;
  }

  async #ask(actor: string, message: string, body: unknown): Promise<unknown> {
    const reply = await this.#nc.request(`freshet.${this.#region}.${actor}.${message}.operator`, JSON.stringify(body), {
      timeout: ASK_MS,
    });
    return JSON.parse(reply.string());
  }
}

/** Does something with each value, some at a time, and gives what came of it in the order of the values. */
export async function forEachOf<T, R>(values: readonly T[], work: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < values.length; at += TOGETHER) {
    results.push(...(await Promise.all(values.slice(at, at + TOGETHER).map(work))));
  }
  return results;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}
