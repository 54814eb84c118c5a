/*
 * What must hold across one step of a replica or poller: of what it answers, serves, lists and refuses.
 */
import { type Poller } from "../../protocols/sync/poll.ts";
import { type Known } from "../../protocols/sync/horizon.ts";
import {
  type OpenAnswer,
  type OwnPull,
  type Replica,
  type ReplicaEffect,
  type SendEffect,
} from "../../protocols/sync/replica-state.ts";
import { type Version, type WriterId } from "../../protocols/sync/version.ts";
import { cachedCount, cachedSlots } from "../../protocols/sync/update-cache.ts";
import { type ChangesMessage } from "../../protocols/wire/poll.ts";
import { FLAG_URGENT } from "../../protocols/wire/frame.ts";
import { type ParsedPull, parseRefuse, parseRelease } from "../../protocols/wire/pull.ts";
import { parseReport } from "../../protocols/wire/survey.ts";
import { SENT } from "./counted.ts";
import { type ShardChecker } from "./checkers.ts";
import { heldAs, numbersIn } from "./tables.ts";
import { type Judge } from "./judge.ts";
import { type Knobs } from "./knobs.ts";
import { isOlder, knowsAll, settledBy } from "./seen-row.ts";

/** The steps of all nodes of a world, looked at one by one. */
export class StepChecker {
  readonly #judge: Judge;
  readonly #knobs: Knobs;
  readonly #count: (what: string) => void;
  readonly #opened = new WeakMap<OpenAnswer, number>();
  /** L5, in calm worlds: asker, shard and row version of all that was ever listed for it, with the pull and the answer that this was in. */
  readonly #listed = new Map<string, { readonly pullId: string; readonly number: number }>();
  /**
   * By pull that its asker let go: the answer that it had, or none. Another may cross that word on the link: its asker does not take what it lists, and
   * asks for that again.
   */
  readonly #letGo = new Map<string, number | undefined>();
  /** Pulls whose answers were closed where they were given. Where rows have an age, one is whose end was sent and listed a row that is too old now: its asker starts over. */
  readonly #closed = new Set<string>();
  readonly #writers = new Set<WriterId>();
  readonly #stamps = new Map<number, WriterId>();
  readonly #heldSinceMs = new WeakMap<OwnPull, number>();

  constructor(judge: Judge, { knobs, count }: { knobs: Knobs; count: (what: string) => void }) {
    this.#judge = judge;
    this.#knobs = knobs;
    this.#count = count;
  }

  /** V5: each start has a writer id that no start had before. */
  started(writer: WriterId): void {
    if (this.#writers.has(writer)) this.#judge.breach("V5", `${writer} started twice`);
    this.#writers.add(writer);
  }

  /** Counts ties: only the writer's name then says which row is the newer. */
  stamped({ t, writer }: Version, shard: number): void {
    const other = this.#stamps.get(t * 2 + shard);
    if (other !== undefined && other !== writer) this.#count("same time stamped by two writers");
    this.#stamps.set(t * 2 + shard, writer);
  }

  /** S16: answering changes nothing that others could see. `isOther` is what the checker said of the step. */
  served(isOther: boolean, where: string): void {
    if (isOther) this.#judge.breach("S16", `${where} changed by serving a pull`);
  }

  /** S6, L5: an answer just opened lists every row that its asker lacks, and none that it was given before. */
  answered(
    replica: Replica,
    options: { answer: OpenAnswer; shard: number; asker: ParsedPull; checker: ShardChecker; where: string },
  ): void {
    const { answer, shard, asker, checker, where } = options;
    const from = answer.to;
    const { knowledge } = asker;
    this.#count(answer.list.slots.length === 0 ? "answer without rows" : "answer with rows");
    this.#opened.set(answer, fingerprint(answer.end.knowledge));
    const { store } = replica;
    const listed = Array.from(answer.list.slots, (slot) => store.versionAt(slot));
    for (let key = 0; key < this.#knobs.keys; key += 1) {
      const version = checker.seenVersion(replica, key);
      const known =
        version === undefined ? 0 : Math.max(settledBy(asker, version.writer), knowledge.get(version.writer) ?? 0);
      if (version === undefined || (version.t <= known && !answer.replaces)) continue;
      if (!listed.some(({ t, writer }) => t === version.t && store.writers[writer] === version.writer)) {
        this.#judge.breach("S6", `${where} answers ${from} without row ${key} at ${version.t} of ${version.writer}`);
      }
    }
    this.#checkReach(replica, { answer, checker, where, asker });
    if (!this.#knobs.calm) return;
    for (const { t, writer } of listed) {
      const id = store.writers[writer];
      // A row that the responder itself holds early may be given early, and once more when it is known.
      if (id === undefined || t > Math.max(settledBy(replica.horizon, id), replica.knowledge.get(id) ?? 0)) continue;
      const name = `${where} ${from} ${shard} ${t} ${id}`;
      const before = this.#listed.get(name);
      const isCrossed =
        before !== undefined && this.#letGo.has(before.pullId) && this.#letGo.get(before.pullId) !== before.number;
      const hasAges = this.#knobs.expireEveryMs > 0 || this.#knobs.evictEveryMs > 0;
      const isClosed = hasAges && before !== undefined && this.#closed.has(before.pullId);
      if (before !== undefined && !isCrossed && !isClosed) {
        this.#judge.breach("L5", `${where} gives ${from} ${t} ${id} twice`);
      }
      if (before !== undefined) this.#count("answer that crossed a pull's end");
      this.#listed.set(name, { pullId: answer.pullId, number: answer.id.number });
    }
    this.#count("answer in a calm world");
  }

  /** S15: who may have missed a deletion that is settled here gets everything, in place of what it holds. */
  #checkReach(
    replica: Replica,
    { answer, checker, where, asker }: { answer: OpenAnswer; checker: ShardChecker; where: string; asker: Known },
  ): void {
    if (answer.replaces) this.#count("answer that replaces");
    const { knowledge } = asker;
    const misses = checker.book.misses(
      replica.horizon,
      ({ t, writer }) => t <= settledBy(asker, writer) || t <= (knowledge.get(writer) ?? 0),
    );
    if (misses) this.#count("asker misses a settled deletion");
    if (misses && !answer.replaces) {
      this.#judge.breach("S15", `${where} answers ${answer.to}, who misses a settled deletion, with what it lacks`);
    }
  }

  /** S5: an answer keeps the knowledge of the instant of its list. S20: what a replica keeps for others is bounded. */
  kept(replica: Replica, { checker, where }: { checker: ShardChecker; where: string }): void {
    if (replica.answers.size > this.#knobs.answersMax) {
      this.#judge.breach("S20", `${where} keeps ${replica.answers.size} answers of at most ${this.#knobs.answersMax}`);
    }
    if (replica.held.size > this.#knobs.answersMax || replica.over.size > this.#knobs.answersMax) {
      this.#judge.breach("S20", `${where} keeps ${replica.held.size} pulls and ${replica.over.size} that are over`);
    }
    if (replica.early.size > this.#knobs.keys) {
      this.#judge.breach("S20", `${where} has ${replica.early.size} early rows of ${this.#knobs.keys}`);
    }
    const { cache, urgent } = replica;
    if (urgent.places.size > this.#knobs.urgentRowsMax) {
      this.#judge.breach("S20", `${where} lists ${urgent.places.size} urgent rows`);
    }
    const counted = cachedCount(cache);
    // To find them all takes longer than most steps.
    const cached = replica.counter % 8 === 0 ? new Set(cachedSlots(cache, replica)).size : counted;
    if (cached > cache.rowsMax || cached !== counted) {
      this.#judge.breach("S20", `${where} caches ${cached} rows, ${counted} as it counts, of at most ${cache.rowsMax}`);
    }
    if (cache.counts.gaveUp === 0) {
      for (const slot of replica.early) {
        if (!cache.early.has(slot)) this.#judge.breach("S9", `${where} has an early row that is not in its cache`);
      }
    }
    for (const answer of replica.answers.values()) {
      const opened = this.#opened.get(answer);
      if (opened !== undefined && opened !== fingerprint(answer.end.knowledge)) {
        this.#judge.breach("S5", `${where} answers ${answer.to} with a knowledge later than the list of rows`);
      }
    }
    // S8: an early row is one that knowledge does not cover, and a row that it does not cover is early.
    const ahead = checker.rowsAhead(replica);
    if (ahead !== replica.early.size) {
      this.#judge.breach("S8", `${where} has ${ahead} rows ahead of its knowledge, and ${replica.early.size} early`);
    }
  }

  /** Counts what is sent. V9: what a replica says of itself is so: up to `upTo` it holds nothing that the knowledge it tells does not cover. */
  sent({ store }: Replica, { message, body }: SendEffect, where: string): void {
    this.#count(SENT[message]);
    if (message === "release") {
      const { pullId, answer } = parseRelease(body);
      this.#letGo.set(pullId, answer?.number);
    }
    if (message === "refuse") this.#closed.add(parseRefuse(body).pullId);
    if (message !== "report" || !this.#judge.watches("V9")) return;
    const { upTo, knowledge, horizon } = parseReport(body);
    for (let key = 0; key < this.#knobs.keys; key += 1) {
      const version = store.versionOf(0, BigInt(key));
      if (version === undefined || version.t > upTo) continue;
      if (version.t <= Math.max(settledBy(horizon, version.writer), knowledge.get(version.writer) ?? 0)) continue;
      this.#judge.breach("V9", `${where} holds ${version.t} of ${version.writer}, and reports only what it knows`);
    }
  }

  /** S7: a listed shard that is not to be pulled is one of which we know all that its neighbour does. */
  listed(
    poller: Poller,
    options: {
      from: string;
      body: ChangesMessage;
      replicas: readonly Replica[];
      checkers: readonly ShardChecker[];
      where: string;
    },
  ): void {
    const pending = poller.neighbours.get(options.from)?.pending;
    for (const { shard, counter, generator } of options.body.shards) {
      const index = Number(shard.slice(2));
      const known = options.checkers[index]?.knowledgeBehind({ counter, generator });
      const ours = options.replicas[index];
      if (pending?.get(shard)?.again === true) this.#count("shard listed while it is pending");
      if (pending?.has(shard) === true || known === undefined || ours === undefined) continue;
      this.#count("listed shard was known");
      if (!knowsAll({ ...ours.horizon, knowledge: ours.knowledge }, known)) {
        this.#judge.breach("S7", `${options.where} takes ${counter} of ${generator} for known, and is behind it`);
      }
    }
  }

  /** S13: a damaged frame is refused and does nothing else. */
  damaged(effects: readonly ReplicaEffect[], where: string): void {
    this.#count("damaged frame");
    // Any step may begin to watch the early rows that a start found.
    const [first, ...others] = effects.filter(({ kind }) => kind !== "timer");
    if (others.length > 0 || first?.kind !== "refused" || first.reason !== "undecodable") {
      this.#judge.breach("S13", `${where} took a damaged frame`);
    }
  }

  /** X9: optimizer state travels with its row. Simulated rows have state equal to their value. */
  stateHeld({ store }: Replica, where: string): void {
    if (!store.hasState || !this.#judge.watches("X9")) return;
    const list = store.collect(new Float64Array());
    for (const { keys, values, state } of store.pack(list, { from: 0, to: list.slots.length })) {
      const floats = new Float32Array(state?.slice().buffer ?? new ArrayBuffer());
      const { precision } = this.#knobs;
      // Where values are rounded the state begins with the exact number, and the value is what it rounds to.
      const isWhole = numbersIn(precision, values).every((value, row) =>
        precision === "f32"
          ? floats[row] === value
          : floats[2 * row] === floats[2 * row + 1] && heldAs(precision, floats[2 * row] ?? 0) === value,
      );
      if (!isWhole) this.#judge.breach("X9", `${where} holds one of the rows ${keys.join()} with the state of another`);
    }
    store.release(list);
  }

  /** S8, S9: what to compare after a frame of urgent rows was taken; undefined for any other frame. */
  urgentBefore({ knowledge, urgent }: Replica, body: unknown): UrgentBefore | undefined {
    const isUrgent = body instanceof Uint8Array && ((body[3] ?? 0) & FLAG_URGENT) !== 0;
    if (isUrgent) this.#count("frame of urgent rows");
    return isUrgent ? { knowledge: fingerprint(knowledge), listed: urgent.latest } : undefined;
  }

  urgentTaken(
    { knowledge, urgent }: Replica,
    options: {
      readonly before: UrgentBefore | undefined;
      readonly effects: readonly ReplicaEffect[];
      readonly where: string;
    },
  ): void {
    const { before, effects, where } = options;
    if (before === undefined) return;
    if (fingerprint(knowledge) !== before.knowledge) {
      this.#judge.breach("S8", `urgent rows moved the knowledge of ${where}`);
    }
    const taken = effects.reduce((sum, effect) => sum + (effect.kind === "applied" ? effect.keys.length : 0), 0);
    if (urgent.latest !== before.listed + taken) {
      this.#judge.breach("S9", `${where} took ${taken} urgent rows and lists ${urgent.latest - before.listed}`);
    }
  }

  /** Notes since when a pull is held back. */
  held({ pull }: Replica, nowMs: number): void {
    if (pull?.hold !== "on" || this.#heldSinceMs.has(pull)) return;
    this.#heldSinceMs.set(pull, nowMs);
    this.#count("pull held back for urgent rows");
  }

  /** L3: no pull is held back for urgent rows longer than it may be. Looked at when time has passed at a node that is not paused. */
  waited(
    { pull }: Replica,
    { nowMs, pausedUntilMs, where }: { readonly nowMs: number; readonly pausedUntilMs: number; readonly where: string },
  ): void {
    const sinceMs = pull === undefined ? undefined : this.#heldSinceMs.get(pull);
    if (pull === undefined || sinceMs === undefined || nowMs - sinceMs <= this.#knobs.urgentHoldMs + 1) return;
    if (pull.hold === "over") this.#count("pull held back for long enough");
    if (pull.hold === "on" && nowMs > pausedUntilMs + 1) {
      this.#judge.breach("L3", `${where} holds a pull back for urgent rows since ${nowMs - sinceMs} ms`);
    }
  }

  /** S19: of all versions there were when nobody wrote any more, the newest of each row is what all hold. */
  won(
    replica: Replica,
    { greatest, checker, where }: { greatest: readonly (Version | undefined)[]; checker: ShardChecker; where: string },
  ): void {
    greatest.forEach((version, key) => {
      if (version === undefined || checker.book.isGone(key, version, replica.horizon)) return;
      const held = checker.seenVersion(replica, key);
      if (held === undefined || isOlder(held, version)) {
        this.#judge.breach(
          "S18",
          `${where} lost row ${key} at ${version.t} of ${version.writer}, which was held somewhere`,
        );
      }
      // A newer one may have been under way when all was healed, from a writer that is no more.
      if (held !== undefined && isOlder(held, version)) {
        this.#judge.breach("S19", `${where} holds row ${key} at ${held.t} of ${held.writer}, which did not win`);
      }
    });
  }
}

/** A replica before it takes urgent rows. */
interface UrgentBefore {
  readonly knowledge: number;
  readonly listed: number;
}

function fingerprint(knowledge: ReadonlyMap<WriterId, number>): number {
  let sum = knowledge.size;
  for (const t of knowledge.values()) sum = (Math.imul(sum, 31) + (t % 0x7fff_ffff)) | 0;
  return sum;
}
