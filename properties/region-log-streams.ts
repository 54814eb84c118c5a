/* The streams of several regions in memory, as the actor of kind `stream` answers for them (runtime/stream-protocol.ts). */
import assert from "node:assert/strict";
import { type MembersReply } from "../actors/state-manager-protocol.ts";
import { everyMember, membersNumber } from "../protocols/model-state/members.ts";
import {
  applyEntry,
  decodeEntry,
  EMPTY_LOG,
  type LogEntry,
  type LogExtent,
  type RegionLogState,
} from "../protocols/model-state/region-log.ts";
import { roleOf } from "../protocols/model-state/role.ts";
import { type VirtualClock } from "../runtime/clock.ts";
import { type Answer } from "../runtime/router.ts";
import { type StoredRecord, type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";

const ASKED = ["append", "read", "last", "purge", "reset", "kv-get", "kv-write"] as const;
type Asked = (typeof ASKED)[number];
export type StreamAsk = {
  readonly [K in Asked]: { readonly message: K; readonly body: StreamProtocol[K]["request"] };
}[Asked];

export class PlayedStreams {
  readonly #clock: VirtualClock;
  readonly #streams = new Map<string, StreamMessage[]>();
  /** Of the own region's key-value store. */
  readonly #records = new Map<string, StoredRecord>();
  #waiters: (() => void)[] = [];
  /** Told of a stream that begins anew. */
  onReset: (region: string, stream: string) => void = () => undefined;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  of(region: string, stream = "LOG"): StreamMessage[] {
    const name = `${region} ${stream}`;
    const held = this.#streams.get(name) ?? [];
    this.#streams.set(name, held);
    return held;
  }

  /** How far the own region's LOG must have come to count. */
  least(): LogExtent {
    const [epoch = 0, last = 0] = (this.#records.get("log")?.value ?? "").split(" ").map(Number);
    return { epoch, last };
  }

  require({ epoch, last }: LogExtent): void {
    this.#records.set("log", { value: `${epoch} ${last}`, revision: 1 });
  }

  /** As `nats kv del` leaves it. */
  deleteLeast(): void {
    this.#records.set("log", { value: "", revision: 2 });
  }

  /** A region's disk is lost, or its LOG alone. */
  lose(region: string, what: "all" | "LOG"): void {
    for (const stream of what === "all" ? ["LOG", "SAMPLES"] : [what]) this.#streams.delete(`${region} ${stream}`);
    if (what === "all") this.#records.clear();
  }

  /** What a region's LOG says. */
  logOf(region: string): RegionLogState {
    return replay(this.of(region), Infinity);
  }

  /** Whether the LOG of one of these regions has such a message. */
  hold(regions: readonly string[], body: Uint8Array): boolean {
    return regions.some((region) => this.of(region).some((each) => Buffer.compare(each.body, body) === 0));
  }

  store(region: string, stream: string, body: Uint8Array): number {
    const held = this.of(region, stream);
    const seq = (held.at(-1)?.seq ?? 0) + 1;
    held.push({ seq, timeMs: this.#clock.nowMs(), body });
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const look of waiters) look();
    return seq;
  }

  /** Done now, or, where it waits for a message, when that comes or in time. */
  carryOut(ask: StreamAsk, region: string, reply: (made: unknown) => void): void {
    if (ask.message === "kv-get") return reply({ record: this.#records.get(ask.body.key) });
    if (ask.message === "kv-write") {
      const { key, value, revision } = ask.body;
      const before = this.#records.get(key)?.revision ?? 0;
      if (before !== revision) return reply({ kind: "conflict" });
      this.#records.set(key, { value, revision: before + 1 });
      return reply({ kind: "written", revision: before + 1 });
    }
    const { stream } = ask.body;
    const name = `${region} ${stream}`;
    const held = this.#streams.get(name) ?? [];
    switch (ask.message) {
      case "append": {
        const { body, expectedLastSequence } = ask.body;
        if (expectedLastSequence !== undefined && expectedLastSequence !== (held.at(-1)?.seq ?? 0)) {
          return reply({ kind: "conflict" });
        }
        const seq = this.store(region, stream, body);
        return reply({ kind: "appended", seq, duplicate: false });
      }
      case "read": {
        const { fromSeq, max, waitMs } = ask.body;
        const found = (): readonly StreamMessage[] =>
          (this.#streams.get(name) ?? []).filter(({ seq }) => seq >= fromSeq).slice(0, max);
        let isDone = false;
        const answerNow = (): void => {
          if (isDone) return;
          isDone = true;
          const lastSeq = this.#streams.get(name)?.at(-1)?.seq ?? 0;
          reply({ messages: found(), firstSeq: 1, lastSeq });
        };
        if (found().length > 0 || waitMs === 0) return answerNow();
        const look = (): void => {
          if (found().length > 0) answerNow();
          else if (!isDone) this.#waiters.push(look);
        };
        this.#waiters.push(look);
        this.#clock.after(waitMs, answerNow);
        return;
      }
      case "last":
        return reply(held.length === 0 ? {} : { message: held.at(-1) });
      case "purge":
        return reply({ purged: 0 });
      case "reset":
        this.#streams.set(name, []);
        this.onReset(region, stream);
        return reply({});
    }
  }
}

export function isStreamAsk(ask: { readonly message: string; readonly body: unknown }): ask is StreamAsk {
  return ASKED.some((each) => each === ask.message);
}

export function replay(messages: readonly StreamMessage[], upTo: number): RegionLogState {
  let log = EMPTY_LOG;
  for (const { seq, body } of messages) if (seq <= upTo) log = applyEntry(log, seq, decodeEntry(body));
  return log;
}

export interface Said extends Pick<MembersReply, "number" | "members"> {
  readonly applied: number;
  readonly epoch: number;
  readonly training: string;
  readonly term: number;
  readonly next: string;
}

/** What a log says, in the words of the state manager of a region. */
export function describe(log: RegionLogState, of: { readonly region: string; readonly first: string }): Said {
  const { training, term, next = "", epoch } = roleOf(log, of);
  return {
    applied: log.applied,
    epoch,
    training,
    term,
    next,
    number: membersNumber(log.members),
    members: everyMember(log.members),
  };
}

/** No two entries of a log have one of these in common. */
export function nameOf(entry: LogEntry): string {
  if (entry.kind === "member") return `${entry.region}/${entry.node}`;
  if (entry.kind === "membership" || entry.kind === "verdict") return `${entry.kind} ${entry.atMs}`;
  return `${entry.kind} ${entry.term}`;
}

/** What was asked of a stream of a region. */
export interface Open {
  readonly region: string;
  readonly answer: Answer;
  isAnswered: boolean;
}

/** One chain of reads, so that each region is asked for its part by one of them at a time; and one append beside what is copied. */
export function checkOpen({ reads, appends }: { readonly reads: Open[]; readonly appends: Open[] }): void {
  for (const asked of [reads, appends]) {
    const open = asked.filter(({ answer, isAnswered }) => !isAnswered && !answer.cancelled);
    asked.splice(0, asked.length, ...open);
    const regions = open.map(({ region }) => region);
    assert.equal(
      new Set(regions).size,
      regions.length,
      `${asked === reads ? "Read" : "Appended"} at once: ${regions.join(", ")}`,
    );
  }
}

/** What actors of this thread have to do now is done then. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
