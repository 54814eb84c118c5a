/*
 * Goal: whatever the network loses, repeats, reorders or cuts, an ask settles once, within its deadline, with its own answer; without
 * reordering a pair's messages keep their order; and a seed replays a whole run.
 * Method: two routers over the simulated network on a virtual clock, with drawn faults, sends and cuts.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Address, AskFailed } from "../runtime/actor.ts";
import { type VirtualClock, virtualClock } from "../runtime/clock.ts";
import { mailbox } from "../runtime/mailbox.ts";
import { createMetrics } from "../runtime/metrics.ts";
import { Router } from "../runtime/router.ts";
import { type Faults, memoryNetwork } from "../runtime/transport/memory.ts";
import { decodeBody, encodeBody, NotPlainData } from "../runtime/transport/nats-codec.ts";
import { packBody } from "../runtime/transport/transport.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const chance = fc.constantFrom(0, 0.1, 0.5);
const faultsDrawn: fc.Arbitrary<Faults> = fc.record({
  loss: chance,
  duplicates: chance,
  reorder: fc.boolean(),
  latencyMsMin: fc.constant(1),
  latencyMsMax: fc.integer({ min: 1, max: 40 }),
});
const steps = fc.array(fc.constantFrom("tell", "ask", "pass", "cut", "heal"), {
  minLength: 1,
  maxLength: 60,
  size: "max",
});
const to: Address = { region: "b", kind: "k", id: "i" };
const from: Address = { region: "a", kind: "k", id: "i" };

interface Outcome {
  readonly received: readonly unknown[];
  readonly answers: readonly string[];
}

function deadline(clock: VirtualClock, ms: number): AbortSignal {
  const controller = new AbortController();
  clock.after(ms, () => controller.abort());
  return controller.signal;
}

async function simulate(seed: number, faults: Faults, drawn: readonly string[]): Promise<Outcome> {
  const clock = virtualClock();
  const metrics = createMetrics();
  const left = new Router({ region: "a", thread: "a", log: quiet, metrics });
  const right = new Router({ region: "b", thread: "b", log: quiet, metrics });
  const network = memoryNetwork({ seed, clock, drop: left.drop });
  left.setGateway(network.join("a"));
  right.setGateway(network.join("b"));
  network.setFaults(faults);
  const received: unknown[] = [];
  const answers: string[] = [];
  right.addLocal(to, {
    deliver({ body, answer }) {
      if (answer === undefined) received.push(body);
      answer?.reply(body);
    },
  });
  const asks: Promise<void>[] = [];
  for (const [index, step] of drawn.entries()) {
    if (step === "tell") left.tell({ to, from, message: "m", body: index });
    else if (step === "ask") {
      asks.push(
        left.ask({ to, from, message: "m", body: index }, { signal: deadline(clock, 200) }).then(
          (value) => void answers.push(`${index} ${String(value)}`),
          (error: unknown) => void answers.push(`${index} ${error instanceof AskFailed ? error.code : "unexpected"}`),
        ),
      );
    } else if (step === "cut") network.partition("a", "b");
    else if (step === "heal") network.heal("a", "b");
    else clock.advance(7);
    await Promise.resolve();
  }
  clock.advance(1000);
  await Promise.all(asks);
  expect(left.waiting).toBe(0);
  expect(answers).toHaveLength(asks.length);
  return { received, answers };
}

test("asks settle once with their own answer or their deadline, tells keep their order unless reordered, and a seed replays", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), faultsDrawn, steps, async (seed, faults, drawn) => {
      const outcome = await simulate(seed, faults, drawn);
      for (const answer of outcome.answers) expect(answer).toMatch(/^(\d+) (?:\1|deadline)$/);
      const told = drawn.flatMap((step, index) => (step === "tell" ? [index] : []));
      for (const body of outcome.received) expect(told).toContain(body);
      if (!faults.reorder) {
        expect(outcome.received).toEqual(outcome.received.toSorted((one, other) => Number(one) - Number(other)));
      }
      if (faults.duplicates === 0) expect(new Set(outcome.received).size).toBe(outcome.received.length);
      if (faults.loss === 0 && !drawn.includes("cut")) {
        expect(new Set(outcome.received)).toEqual(new Set(told));
        expect(outcome.answers.some((answer) => answer.endsWith("deadline"))).toBe(false);
      }
      expect(await simulate(seed, faults, drawn)).toEqual(outcome);
    }),
    { numRuns: 200 },
  );
});

test("encodeBody() and decodeBody() return any plain data unchanged, and refuse what JSON would change", () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.uint8Array(), fc.constant(undefined)), (body) => {
      const { payload, headers } = encodeBody(body, "m");
      const decoded = decodeBody({ data: payload, headers });
      const expected: unknown =
        body instanceof Uint8Array || body === undefined ? body : JSON.parse(JSON.stringify(body));
      expect(decoded).toEqual({ body: expected });
    }),
  );
  for (const body of [
    Number.NaN,
    { a: Infinity },
    { a: [1n] },
    () => 1,
    new Map(),
    { a: new Uint8Array(1) },
    new Date(0),
    Symbol("s"),
  ]) {
    expect(() => encodeBody(body, "m")).toThrow(NotPlainData);
  }
});

test("decodeBody() of any bytes gives data or nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
      const decoded = decodeBody({ data });
      if (decoded !== undefined && data.length > 0) expect(() => JSON.stringify(decoded.body)).not.toThrow();
    }),
  );
  // Deeper than any parser's stack, should it have one.
  const deep = new TextEncoder().encode("[".repeat(500_000));
  expect(decodeBody({ data: deep })).toBeUndefined();
});

test("packBody() changes no value and leaves no view that carries more than itself", () => {
  const view = fc
    .record({ size: fc.nat({ max: 64 }), offset: fc.nat({ max: 8 }), extra: fc.nat({ max: 8 }) })
    .map(({ size, offset, extra }) => {
      const whole = new Uint8Array(offset + size + extra).map((_, index) => index);
      return whole.subarray(offset, offset + size);
    });
  const bodies = fc.letrec((tie) => ({
    body: fc.oneof(
      { depthSize: "small" },
      view,
      fc.string(),
      fc.array(tie("body"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom("a", "b", "c"), tie("body"), { maxKeys: 3 }),
    ),
  })).body;
  function check(value: unknown): void {
    if (value instanceof Uint8Array) expect(value.byteLength).toBe(value.buffer.byteLength);
    else if (Array.isArray(value)) value.forEach(check);
    else if (typeof value === "object" && value !== null) Object.values(value).forEach(check);
  }
  fc.assert(
    fc.property(bodies, (body) => {
      const packed = packBody(body).body;
      expect(packed).toEqual(body);
      check(packed);
    }),
  );
});

test("a mailbox gives out what it took, in order, and never holds more than its bound", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.boolean(), { maxLength: 3000, size: "max" }),
      (max, puts) => {
        const box = mailbox<number>(max);
        const model: number[] = [];
        for (const [index, put] of puts.entries()) {
          if (put) {
            const taken = box.offer(index);
            expect(taken).toBe(model.length < max);
            if (taken) model.push(index);
          } else expect(box.take()).toBe(model.shift());
          expect(box.depth).toBe(model.length);
        }
      },
    ),
    { numRuns: 50 },
  );
});
