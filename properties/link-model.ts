/*
 * One link between two regions, as a model: a way of so many milliseconds there and back, one byte after the other on the way back. On it
 * the real scheduler of pulls, fed as the poller feeds it. No chance and no real time: the same plan gives the same figures.
 */
import { popHeap, pushHeap } from "../protocols/binary-heap.ts";
import { LINK_LIMITS, type LinkLimits } from "../protocols/limits.ts";
import { framesAllowed } from "../protocols/sync/link-window.ts";
import {
  closePull,
  createLink,
  framesInFlight,
  type Link,
  type LinkEffect,
  notePullFrame,
  openPull,
  turnLink,
  wakeLink,
} from "../protocols/sync/links.ts";

export interface LinkPlan {
  readonly bytesPerSecond: number;
  readonly roundTripMs: number;
  readonly forMs: number;
  /** Catch-ups that wait at the beginning, each of so many frames; `Infinity` frames for a link that is always in use. */
  readonly catchUps: number;
  readonly catchUpFrames: number;
  /** A shard changes this often, and its rows take so many bytes; 0 for never. */
  readonly liveEveryMs: number;
  readonly liveBytes: number;
  readonly budget?: number;
  readonly limits?: LinkLimits;
}

export interface LinkOutcome {
  /** Of the time after the first tenth, the share of the link's rate that was used. */
  readonly use: number;
  /** How long a byte waited before it was on its way, milliseconds, the most after the first tenth. */
  readonly queueMsMost: number;
  /** From a change to its rows here, milliseconds. */
  readonly liveMs: readonly number[];
  /** When the last catch-up ended; undefined if one did not. */
  readonly caughtUpMs: number | undefined;
  readonly framesMost: number;
  /** The most that came in any whole second. */
  readonly bytesMostASecond: number;
}

interface Pulled {
  readonly shard: string;
  /** What its answer takes. */
  readonly bytes: number;
  readonly sinceMs: number;
  isLong: boolean;
  openingBytes: number;
  frames: number;
  received: number;
  asked: number;
}

type Happening =
  | { readonly atMs: number; readonly sequence: number; readonly kind: "live" | "wake" }
  | {
      readonly atMs: number;
      readonly sequence: number;
      readonly kind: "ask" | "frame";
      readonly of: Pulled;
      readonly index: number;
    };

/** Runs a plan to its end. */
export function runLink(plan: LinkPlan): LinkOutcome {
  return new LinkModel(plan).run();
}

class LinkModel {
  readonly #plan: LinkPlan;
  readonly #limits: LinkLimits;
  readonly #link: Link;
  readonly #queue: Happening[] = [];
  readonly #waiting: { readonly short: Pulled[]; readonly long: Pulled[] } = { short: [], long: [] };
  readonly #running = new Map<string, Pulled>();
  readonly #liveMs: number[] = [];
  readonly #bySecond: number[] = [];
  #nowMs = 1;
  #sequence = 0;
  #busyUntilMs = 0;
  #queueMsMost = 0;
  #framesMost = 0;
  #bytes = 0;
  #bytesAtWarm = 0;
  #catchUpsLeft: number;
  #caughtUpMs: number | undefined;

  constructor(plan: LinkPlan) {
    this.#plan = plan;
    this.#limits = plan.limits ?? LINK_LIMITS;
    this.#link = createLink("model", { limits: this.#limits, bytesPerSecond: plan.budget, nowMs: 1 });
    this.#catchUpsLeft = plan.catchUps;
    const bytes = plan.catchUpFrames * this.#limits.frameBytes;
    for (let at = 0; at < plan.catchUps; at += 1) this.#wait({ shard: `old-${at}`, bytes, sinceMs: 1 });
    if (plan.liveEveryMs > 0) this.#after(plan.liveEveryMs, { kind: "live" });
  }

  run(): LinkOutcome {
    const warmMs = this.#plan.forMs / 10;
    this.#open();
    for (let next = popHeap(this.#queue, isBefore); next !== undefined; next = popHeap(this.#queue, isBefore)) {
      if (next.atMs > this.#plan.forMs) break;
      if (this.#nowMs < warmMs && next.atMs >= warmMs) {
        this.#bytesAtWarm = this.#bytes;
        this.#queueMsMost = 0;
      }
      this.#nowMs = next.atMs;
      this.#happen(next);
      this.#framesMost = Math.max(this.#framesMost, framesInFlight(this.#link) - framesAllowed(this.#link.window));
    }
    const warmedBytes = this.#bytes - this.#bytesAtWarm;
    return {
      use: warmedBytes / ((this.#plan.bytesPerSecond * (this.#plan.forMs - warmMs)) / 1000),
      queueMsMost: this.#queueMsMost,
      liveMs: this.#liveMs,
      caughtUpMs: this.#caughtUpMs,
      framesMost: this.#link.window.frames,
      bytesMostASecond: this.#bySecond.reduce((most, bytes) => Math.max(most, bytes ?? 0), 0),
    };
  }

  #happen(next: Happening): void {
    switch (next.kind) {
      case "live":
        this.#wait({ shard: `live-${this.#sequence}`, bytes: this.#plan.liveBytes, sinceMs: this.#nowMs });
        this.#after(this.#plan.liveEveryMs, { kind: "live" });
        break;
      case "wake":
        this.#perform(wakeLink(this.#link, this.#nowMs));
        break;
      case "ask":
        this.#answer(next.of, next.index);
        return;
      case "frame":
        this.#arrive(next.of, next.index);
    }
    this.#open();
  }

  #wait({ shard, bytes, sinceMs }: { shard: string; bytes: number; sinceMs: number }): void {
    this.#waiting.short.push({
      shard,
      bytes,
      sinceMs,
      isLong: false,
      openingBytes: 0,
      frames: 0,
      received: 0,
      asked: 0,
    });
  }

  /** Begins what may begin. */
  #open(): void {
    for (const waiting of [this.#waiting.short, this.#waiting.long]) {
      for (let pulled = waiting[0]; pulled !== undefined; pulled = waiting[0]) {
        const bytes = openPull(this.#link, { ...pulled, nowMs: this.#nowMs });
        if (bytes === undefined) break;
        waiting.shift();
        this.#running.set(pulled.shard, pulled);
        pulled.openingBytes = bytes;
        const first = Math.min(bytes, this.#limits.frameBytes, pulled.bytes);
        pulled.frames = 1 + Math.ceil((pulled.bytes - first) / this.#limits.frameBytes);
        pulled.received = 0;
        pulled.asked = Math.min(pulled.frames, Math.max(1, Math.floor(bytes / this.#limits.frameBytes)));
        for (let index = 0; index < pulled.asked; index += 1) this.#ask(pulled, index);
      }
    }
    this.#perform(turnLink(this.#link, this.#nowMs));
  }

  #ask(of: Pulled, index: number): void {
    this.#after(this.#plan.roundTripMs / 2, { kind: "ask", of, index });
  }

  /** The other end has the request: its frame stands in the queue of the link. */
  #answer(of: Pulled, index: number): void {
    const bytes = this.#bytesOf(of, index);
    const fromMs = Math.max(this.#nowMs, this.#busyUntilMs);
    this.#queueMsMost = Math.max(this.#queueMsMost, fromMs - this.#nowMs);
    this.#busyUntilMs = fromMs + (bytes / this.#plan.bytesPerSecond) * 1000;
    this.#after(this.#busyUntilMs - this.#nowMs + this.#plan.roundTripMs / 2, { kind: "frame", of, index });
  }

  #arrive(of: Pulled, index: number): void {
    const bytes = this.#bytesOf(of, index);
    this.#bytes += bytes;
    const second = Math.floor(this.#nowMs / 1000);
    this.#bySecond[second] = (this.#bySecond[second] ?? 0) + bytes;
    if (this.#running.get(of.shard) !== of) return;
    of.received += 1;
    const { shard, frames } = of;
    const effects = notePullFrame(this.#link, { shard, bytes, frames, nowMs: this.#nowMs });
    if (of.received === frames) this.#end(of);
    this.#perform(effects);
  }

  #end(of: Pulled): void {
    this.#running.delete(of.shard);
    closePull(this.#link, of.shard);
    if (of.shard.startsWith("live")) {
      this.#liveMs.push(this.#nowMs - of.sinceMs);
      return;
    }
    this.#catchUpsLeft -= 1;
    if (this.#catchUpsLeft === 0) this.#caughtUpMs = this.#nowMs;
  }

  #perform(effects: readonly LinkEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "grant": {
          const of = this.#running.get(effect.shard);
          for (; of !== undefined && of.asked < effect.upTo; of.asked += 1) this.#ask(of, of.asked);
          break;
        }
        case "postpone": {
          const of = this.#running.get(effect.shard);
          if (of === undefined) break;
          this.#running.delete(effect.shard);
          closePull(this.#link, effect.shard);
          this.#waiting.long.push({ ...of, isLong: true });
          break;
        }
        case "wake":
          this.#after(effect.delayMs, { kind: "wake" });
      }
    }
  }

  #bytesOf({ bytes, openingBytes, frames }: Pulled, index: number): number {
    const { frameBytes } = this.#limits;
    const first = Math.min(openingBytes, frameBytes, bytes);
    if (index === 0) return first;
    return index < frames - 1 ? frameBytes : bytes - first - (frames - 2) * frameBytes;
  }

  #after(
    delayMs: number,
    what: { kind: "live" | "wake" } | { kind: "ask" | "frame"; of: Pulled; index: number },
  ): void {
    this.#sequence += 1;
    pushHeap(this.#queue, { atMs: this.#nowMs + delayMs, sequence: this.#sequence, ...what }, isBefore);
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
