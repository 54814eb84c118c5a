import { expect, test, vi } from "vitest";
import { type Address, AskFailed } from "../runtime/actor.ts";
import { type Delivery, Router } from "../runtime/router.ts";
import { createMetrics, type MetricsRegistry } from "../runtime/metrics.ts";
import { type DropCounter, type Transport } from "../runtime/transport/transport.ts";

/** Two ends of one transport, and how to make time pass where it is simulated. */
export interface Ends extends AsyncDisposable {
  readonly left: Transport;
  readonly right: Transport;
  /** Absent: it carries any size. */
  readonly payloadMaxBytes?: number;
  /** Lets what is on its way arrive. */
  readonly pass: () => void;
  /** Makes the right end receive what is sent to an actor. */
  readonly listen?: (address: Address) => void;
}

export interface EndsOptions {
  readonly drop: DropCounter;
  /** Room for so little that a burst of 200 messages of 8 KiB cannot fit. */
  readonly tight?: boolean;
}

const to: Address = { region: "right", kind: "test", id: "r" };
const from: Address = { region: "left", kind: "test", id: "l" };
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface Pair extends AsyncDisposable {
  readonly ends: Ends;
  readonly received: Delivery[];
  readonly metrics: MetricsRegistry;
  tell(body: unknown): void;
  ask(body: unknown, signal?: AbortSignal): Promise<unknown>;
  until(what: () => void): Promise<void>;
  dropped(): number;
}

/**
 * What every transport promises, tried through a router at each end, since that is how it is used. The right end answers what it is asked with the same
 * body, `fail` with a failure, and `never` not at all.
 */
export function checkTransport(name: string, open: (options: EndsOptions) => Promise<Ends>): void {
  async function pair(tight = false): Promise<Pair> {
    const metrics = createMetrics();
    const left = new Router({ region: "left", thread: "left", log: quiet, metrics });
    const right = new Router({ region: "right", thread: "right", log: quiet, metrics });
    const ends = await open({ drop: left.drop, tight });
    left.setGateway(ends.left);
    right.setGateway(ends.right);
    const received: Delivery[] = [];
    right.addLocal(to, {
      deliver(delivery) {
        received.push(delivery);
        if (delivery.body === "fail") delivery.answer?.fail({ code: "refused", why: "as asked", data: [1] });
        else if (delivery.body !== "never") delivery.answer?.reply(delivery.body);
      },
    });
    ends.listen?.(to);
    const made: Pair = {
      ends,
      received,
      metrics,
      tell: (body) => left.tell({ to, from, message: "say", body }),
      ask: (body, signal = AbortSignal.timeout(5000)) => {
        const asked = left.ask({ to, from, message: "say", body }, { signal });
        asked.catch(() => undefined); // looked at later
        return asked;
      },
      until: (what) =>
        vi.waitFor(
          () => {
            ends.pass();
            what();
          },
          { timeout: 10_000, interval: 5 },
        ),
      dropped: () =>
        metrics
          .snapshot()
          .filter((series) => series.name === "freshet_dead_letters_total")
          .reduce((sum, { value }) => sum + value, 0),
      async [Symbol.asyncDispose]() {
        await left.close();
        await right.close();
        await ends[Symbol.asyncDispose]();
      },
    };
    // Both ends are there.
    await made.until(() => void made.ask("ready").catch(() => undefined));
    await vi.waitFor(async () => expect(await passing(made, made.ask("ready"))).toBe("ready"), {
      timeout: 10_000,
      interval: 20,
    });
    received.length = 0;
    return made;
  }

  test(`${name} keeps the order of a pair`, async () => {
    await using it = await pair();
    for (let index = 0; index < 1000; index++) it.tell(index);
    await it.until(() => expect(it.received).toHaveLength(1000));
    expect(it.received.map(({ body }) => body)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    expect(it.received[0]).toMatchObject({ to, from: { region: "left", kind: "test", id: "l" }, message: "say" });
  });

  test(`${name} answers each ask once, with its own answer`, async () => {
    await using it = await pair();
    const asks = Array.from({ length: 200 }, (_, index) => it.ask({ index }));
    expect(await passing(it, Promise.all(asks))).toEqual(Array.from({ length: 200 }, (_, index) => ({ index })));
    await expect(passing(it, it.ask("fail"))).rejects.toMatchObject({ name: "AskFailed", code: "refused", data: [1] });
    // A second answer, and one to a question that nobody asked.
    const [first] = it.received;
    first?.answer?.reply("again");
    it.ends.right.send({ kind: "reply", askId: 123_456_789, body: "made up" });
    expect(await passing(it, it.ask("still"))).toBe("still");
  });

  test(`${name} carries empty, tiny and large bodies unchanged`, async () => {
    await using it = await pair();
    for (const body of [
      undefined,
      null,
      "",
      0,
      [],
      {},
      { a: [null, { b: "ü\u0000" }] },
      new Uint8Array(0),
      Uint8Array.of(1, 2, 3),
      new Uint8Array(512 * 1024).fill(9),
    ]) {
      expect(await passing(it, it.ask(body))).toEqual(body);
    }
    const whole = new Uint8Array(64);
    whole.set([5, 6], 30);
    expect(await passing(it, it.ask(whole.subarray(30, 32)))).toEqual(Uint8Array.of(5, 6));
  });

  test(`${name} refuses what is no data or too large, counts it, and goes on`, async () => {
    await using it = await pair();
    await expect(passing(it, it.ask({ live: () => 1 }))).rejects.toMatchObject({ code: "refused" });
    it.tell({ live: () => 1 });
    expect(it.dropped()).toBeGreaterThanOrEqual(1);
    const before = it.dropped();
    const huge = new Uint8Array(3 * 1024 * 1024);
    if (it.ends.payloadMaxBytes === undefined) expect(await passing(it, it.ask(huge))).toHaveLength(huge.length);
    else {
      await expect(passing(it, it.ask(huge))).rejects.toMatchObject({ code: "refused" });
      it.tell(huge);
      expect(it.dropped()).toBe(before + 1);
    }
    expect(await passing(it, it.ask("still"))).toBe("still");
  });

  test(`${name} stops waiting at the deadline, and a late answer is nobody's`, async () => {
    await using it = await pair();
    const controller = new AbortController();
    const asked = it.ask("never", controller.signal);
    await it.until(() => expect(it.received).toHaveLength(1));
    controller.abort();
    await expect(asked).rejects.toMatchObject({ code: "deadline" });
    it.received[0]?.answer?.reply("late");
    expect(await passing(it, it.ask("next"))).toBe("next");
  });

  test(`${name} tells the askers when the peer goes, and may be closed twice`, async () => {
    await using it = await pair();
    const asked = it.ask("never");
    await it.until(() => expect(it.received).toHaveLength(1));
    await it.ends.right.close();
    await it.ends.right.close();
    await expect(passing(it, asked)).rejects.toMatchObject({ code: "ended" });
    await expect(passing(it, it.ask("anybody"))).rejects.toSatisfy(isGone);
    await it.ends.left.close();
    await it.ends.left.close();
    const before = it.dropped();
    it.tell("into the void");
    expect(it.dropped()).toBe(before + 1);
    await expect(passing(it, it.ask("anybody"))).rejects.toSatisfy(isGone);
  });

  test(`${name} says no to a burst that does not fit, loses nothing that it took, and recovers`, async () => {
    await using it = await pair(true);
    const before = it.dropped();
    for (let index = 0; index < 200; index++) it.tell(new Uint8Array(8192).fill(index));
    const refused = it.ask("too much");
    const dropped = it.dropped() - before;
    expect(dropped).toBeGreaterThan(0);
    await expect(passing(it, refused)).rejects.toMatchObject({ code: "mailbox-full" });
    await it.until(() => expect(it.received).toHaveLength(200 - dropped));
    await vi.waitFor(async () => expect(await passing(it, it.ask("room again"))).toBe("room again"), {
      timeout: 10_000,
      interval: 20,
    });
  });
}

function isGone(error: unknown): boolean {
  return error instanceof AskFailed && (error.code === "ended" || error.code === "no-actor");
}

/** Waits for it, letting simulated time pass. */
async function passing<T>(it: { readonly ends: Ends }, work: Promise<T>): Promise<T> {
  let settled = false;
  const done = work.finally(() => (settled = true));
  done.catch(() => undefined); // thrown below
  while (!settled) {
    it.ends.pass();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return done;
}
