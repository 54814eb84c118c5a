import { readFileSync, writeFileSync } from "node:fs";
import { type Address, defineActor, type Promised, Refused } from "../../runtime/actor.ts";

/** An actor that does on request whatever an actor can do wrong. */
export interface WayProtocol {
  readonly add: { request: number; reply: void };
  readonly total: { request: undefined; reply: number };
  readonly echo: { request: unknown; reply: unknown };
  readonly "who-asks": { request: undefined; reply: Address };
  readonly throw: { request: string; reply: number };
  readonly "throw-told": { request: string; reply: void };
  readonly refuse: { request: unknown; reply: number };
  readonly hang: { request: undefined; reply: number };
  readonly later: { request: undefined; reply: number };
  readonly settle: { request: number; reply: void };
  readonly wait: { request: undefined; reply: number };
  readonly release: { request: undefined; reply: void };
  readonly relay: { request: { to: Address; value: unknown }; reply: unknown };
  readonly "relay-told": { request: { to: Address; value: number }; reply: void };
  readonly block: { request: undefined; reply: void };
  readonly "fill-heap": { request: undefined; reply: void };
  readonly "throw-later": { request: undefined; reply: void };
  readonly start: { request: undefined; reply: number };
  readonly tick: { request: number; reply: void };
  readonly file: { request: { path: string; write: boolean }; reply: string };
  readonly measure: { request: undefined; reply: void };
}

const WAY = [
  "add",
  "total",
  "echo",
  "who-asks",
  "throw",
  "throw-told",
  "refuse",
  "hang",
  "later",
  "settle",
  "wait",
  "release",
  "relay",
  "relay-told",
  "block",
  "fill-heap",
  "throw-later",
  "start",
  "tick",
  "file",
  "measure",
] as const;

export interface WayConfig {
  readonly start?: number;
  readonly failSetup?: boolean;
  /** The setup of this number, counted over all threads in `setups`, blocks its thread or never resolves. */
  readonly hang?: { readonly setups: Int32Array; readonly at: number; readonly how: "blocks" | "waits" };
}

export const way = defineActor<WayProtocol, WayConfig>({
  kind: "way",
  messages: WAY,
  fromElsewhere: WAY,
  async setup({ start = 0, failSetup = false, hang }, context) {
    if (failSetup) throw new Error("as asked");
    if (hang !== undefined && Atomics.add(hang.setups, 0, 1) === hang.at) {
      while (hang.how === "blocks");
      await new Promise(() => undefined);
    }
    let total = start;
    const laters: Promised<number>[] = [];
    const held: Promised<number>[] = [];
    const kept: unknown[] = [];
    return {
      handlers: {
        add(by) {
          total += by;
        },
        total: () => total,
        echo: (value) => value,
        "who-asks": (_, from) => from,
        throw(text) {
          throw new RangeError(text);
        },
        "throw-told"(text) {
          throw new RangeError(text);
        },
        refuse(data) {
          throw new Refused("not today", data);
        },
        hang: () => new Promise<number>(() => undefined),
        later() {
          const later = context.later<number>();
          laters.push(later);
          return later.reply;
        },
        settle(value) {
          for (const later of laters.splice(0)) later.resolve(value);
        },
        wait() {
          const later = context.later<number>();
          held.push(later);
          return later.reply;
        },
        release() {
          for (const later of held.splice(0)) later.resolve(total);
        },
        relay: ({ to, value }) => context.ref<WayProtocol>(to).ask("echo", value, { signal: context.deadline(2000) }),
        "relay-told"({ to, value }) {
          context.ref<WayProtocol>(to).tell("add", value);
        },
        block() {
          for (;;) total = 0;
        },
        "fill-heap"() {
          for (;;) kept.push(Array.from({ length: 100_000 }, (_, index) => ({ index })));
        },
        "throw-later"() {
          setImmediate(() => {
            throw new TypeError("thrown outside any handler");
          });
        },
        start: () => start,
        tick(left) {
          total++;
          if (left > 1) context.after(1, "tick", left - 1);
        },
        file({ path, write }) {
          try {
            if (write) writeFileSync(path, "written");
            return write ? "written" : readFileSync(path, "utf8");
          } catch (error) {
            return error instanceof Error && "code" in error ? String(error.code) : String(error);
          }
        },
        measure() {
          context.metrics.count("freshet_test_total");
          context.metrics.gauge("freshet_test_depth", total);
          context.metrics.observe("freshet_test_seconds", 0.5);
        },
      },
    };
  },
});
