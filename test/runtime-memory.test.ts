import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { type Address, AskFailed, defineActor } from "../runtime/actor.ts";
import { COLLECTING_OPTION } from "../runtime/garbage.ts";
import { ActorSystem } from "../runtime/system.ts";
import { heapBytes } from "./heap-bytes.ts";

interface AskerProtocol {
  readonly ask: { request: { readonly to: Address; readonly times: number }; reply: number };
  readonly one: { request: number; reply: number };
  readonly "in-vain": { request: Address; reply: string };
  readonly hang: { request: undefined; reply: number };
}

const ASKS = 100_000;

const asker = defineActor<AskerProtocol, undefined>({
  kind: "asker",
  messages: ["ask", "one", "in-vain", "hang"],
  setup: (_, context) => ({
    handlers: {
      async ask({ to, times }) {
        const other = context.ref<AskerProtocol>(to);
        let sum = 0;
        for (let time = 0; time < times; time++) {
          sum += await other.ask("one", 1, { signal: context.deadline(600_000) });
        }
        return sum;
      },
      one: (value) => value,
      async "in-vain"(to) {
        const hanging = context.ref<AskerProtocol>(to).ask("hang", undefined, { signal: context.deadline(500) });
        return hanging.then(String, (error: unknown) => (error instanceof AskFailed ? error.code : "odd"));
      },
      hang: () => new Promise<number>(() => undefined),
    },
  }),
});

test("an ask leaves nothing of its deadline behind once it is answered", async () => {
  await using system = await ActorSystem.start({ region: "here", sink: () => undefined });
  const one = await system.host(asker, { id: "one", config: undefined });
  const two = await system.host(asker, { id: "two", config: undefined });
  const signal = AbortSignal.timeout(60_000);
  await one.ask("ask", { to: two.address, times: 1000 }, { signal });
  const before = await heapBytes();
  expect(await one.ask("ask", { to: two.address, times: ASKS }, { signal })).toBe(ASKS);
  const perAsk = ((await heapBytes()) - before) / ASKS;
  expect(perAsk).toBeLessThan(100);
}, 90_000);

test("a deadline that nobody but the ask holds fires all the same", async () => {
  await using system = await ActorSystem.start({ region: "here", sink: () => undefined });
  const one = await system.host(asker, { id: "one", config: undefined });
  const two = await system.host(asker, { id: "two", config: undefined });
  const asked = one.ask("in-vain", two.address, { signal: AbortSignal.timeout(20_000) });
  await heapBytes();
  expect(await asked).toBe("deadline");
});

test("V8 knows the option that has it collect less often", () => {
  const { status, stderr } = spawnSync(process.execPath, [COLLECTING_OPTION, "--eval", "0"], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
