/*
 * The state manager of region b, as it is, over streams and neighbours that are played: every ask about a log may be lost before it is done or
 * after, be refused, or be done long after its deadline.
 */
import assert from "node:assert/strict";
import { stateManager } from "../actors/state-manager.ts";
import { type StateManagerProtocol } from "../actors/state-manager-protocol.ts";
import { decodeEntry, epochOfLog, extentOf, reaches } from "../protocols/model-state/region-log.ts";
import { roleOf } from "../protocols/model-state/role.ts";
import { type ActorRef, type AskOptions } from "../runtime/actor.ts";
import { ActorHost } from "../runtime/actor-host.ts";
import { virtualClock, type VirtualClock } from "../runtime/clock.ts";
import { type Delivery } from "../runtime/router.ts";
import { type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";
import { CONFIG } from "./region-log-config.ts";
import {
  checkOpen,
  describe,
  isStreamAsk,
  nameOf,
  type Open,
  PlayedStreams,
  replay,
  type Said,
  settled,
  type StreamAsk,
} from "./region-log-streams.ts";
import { ToldRoles } from "./region-log-told.ts";
import { FIRST, OWN, REGIONS, RegionLogs } from "./region-logs.ts";

/** What becomes of one ask about a log. */
export type Fate = "done" | "slow" | "answer-lost" | "never-done" | "late" | "refused";
/** For a log to be looked for and copied, though each ask takes as long as it may. */
const COPIED_MS = 40_000;
/** Whether another region answers, or how it does not. */
export type Reach = "answers" | "refuses" | "silent";

const WHO = { region: OWN, first: FIRST };
/** Longer than any deadline of an ask. */
const LATE_MS = 25_000;
const REFUSED = { code: "refused", why: "it is away" } as const;

interface Life {
  readonly host: ActorHost;
  readonly clock: VirtualClock;
  readonly manager: ActorRef<StateManagerProtocol>;
  readonly reads: Open[];
  readonly appends: Open[];
  unanswered: number;
  /** The node was killed: nothing that it asks for is done any more. */
  isCut: boolean;
  /** The own LOG was begun anew, or had been lost before the start: so many entries are to come then. */
  toCome: number;
}

export class RegionLogWorld {
  /** What all regions' logs hold, and how they go on. */
  readonly logs: RegionLogs;
  readonly #fates: readonly Fate[];
  readonly #keeps: boolean;
  /** Asks about records meet fates as well, not only those about logs. */
  readonly #meetsAll: boolean;
  #next = 0;
  /** From now on asks meet their fates. */
  mayFail = false;
  readonly #clock = virtualClock();
  readonly #streams = new PlayedStreams(this.#clock);
  readonly #reach = new Map<string, Reach>();
  /** What the own LOG held since this start, one more each time that it was begun anew. */
  #generations: StreamMessage[][] = [];
  /** Those that were a part of a copy when they were begun anew: nothing was ever believed of them. */
  readonly #parts = new Set<StreamMessage[]>();
  readonly #told = new ToldRoles();
  #cutAt: number | undefined;
  /** Asks that are still to be done, though nobody waits for them. */
  #late = 0;
  #life: Life | undefined;

  /** The node that keeps the region's log, or another of its nodes. */
  constructor(
    fates: readonly Fate[],
    { keeps, meetsAll = false }: { readonly keeps: boolean; readonly meetsAll?: boolean },
  ) {
    this.#fates = fates;
    this.#keeps = keeps;
    this.#meetsAll = meetsAll;
    this.#streams.onReset = (region, stream) => {
      if (region !== OWN || stream !== "LOG") return;
      this.#noteParts();
      this.#generations.push(this.#streams.of(OWN));
      this.#running().toCome = this.#furthest();
    };
    this.logs = new RegionLogs({ streams: this.#streams, clock: this.#clock });
  }

  /** Whoever waits for the node before hears no more. */
  async start(toCome = 0): Promise<void> {
    this.#noteParts();
    const clock = virtualClock(this.#clock.nowMs());
    const failures: unknown[] = [];
    const host = new ActorHost({
      region: OWN,
      thread: "main",
      clock,
      sink: () => undefined,
      onFailure: (report) => failures.push(report),
    });
    const config = { ...CONFIG, mayTrain: this.#keeps };
    const id = this.#keeps ? "a" : "b";
    const manager = host.ref<StateManagerProtocol>(host.declare({ definition: stateManager, id, config }));
    const life: Life = { host, clock, manager, reads: [], appends: [], unanswered: 0, isCut: false, toCome };
    host.router.addLocal(CONFIG.tells.leader, { deliver: ({ body }) => this.#told.hear(body) });
    host.router.addLocal(CONFIG.stream, { deliver: (delivery) => this.#takeStreamAsk(life, delivery) });
    for (const region of REGIONS) {
      if (region === OWN && this.#keeps) continue;
      const address = { region, kind: "state-manager", id: "a" };
      host.router.addLocal(address, { deliver: (delivery) => this.#takePeerAsk(region, delivery) });
    }
    this.#life = life;
    this.#generations = [this.#streams.of(OWN)];
    await host.start();
    assert.deepEqual(failures, []);
  }

  /** The node is killed once it has written so many entries of another region's log to its own, should that come within a while, and starts again. */
  async cutCopy(entries: number): Promise<void> {
    this.#cutAt = entries;
    await this.pass(COPIED_MS);
    this.#cutAt = undefined;
    if (this.#running().isCut) await this.start();
  }

  /** The node starts without what its region's server had, or its LOG. What is known elsewhere it must come to know before it says anything. */
  async loseOwn(what: "all" | "LOG" = "all"): Promise<void> {
    if (what === "all") this.toldAgain();
    this.#streams.lose(OWN, what);
    this.#life = undefined;
    await this.start(this.#furthest());
  }

  /** What nobody but the own LOG said may be told once more. */
  toldAgain(): void {
    this.#told.forget(["a", "c"].map((region) => this.logs.roleOf(region)));
  }

  /** The own SAMPLES: another list once they were begun anew. */
  samples(): readonly StreamMessage[] {
    return this.#streams.of(OWN, "SAMPLES");
  }

  /** The own LOG is a part of the last region's, left by whoever keeps it: nothing that it says is to be told. */
  leavePart(): void {
    this.logs.leavePart();
    this.#told.forget([this.logs.roleOf("c")]);
  }

  reach(region: string, reach: Reach): void {
    this.#reach.set(region, reach);
  }

  force(): void {
    this.#ask(async ({ manager }, options) => {
      const said = await manager.ask("promote", { region: OWN, force: true }, options);
      return "refused" in said || (said.next ?? said.training) === OWN;
    });
  }

  addMember(): void {
    const node = this.logs.newName();
    this.#ask(async ({ manager }, options) => {
      const said = await manager.ask("change-member", { act: "add", region: OWN, node }, options);
      return "refused" in said || said.members.some((member) => member.node === node);
    });
  }

  async pass(ms: number): Promise<void> {
    const life = this.#running();
    const untilMs = this.#clock.nowMs() + ms;
    for (;;) {
      await settled();
      checkOpen(life);
      const nextMs = Math.min(life.clock.nextMs() ?? Infinity, this.#clock.nextMs() ?? Infinity);
      for (const clock of [this.#clock, life.clock]) clock.advance(Math.min(nextMs, untilMs) - clock.nowMs());
      if (nextMs > untilMs) return;
    }
  }

  /** From now on every ask is done at once. Ends once all that must come has come, or when that takes too long. */
  async settle(reachOfFirst: Reach): Promise<void> {
    this.mayFail = false;
    this.#reach.set(OWN, "answers");
    this.#reach.set("c", "answers");
    this.#reach.set(FIRST, reachOfFirst);
    let missing: string | undefined;
    for (let tries = 0; tries < 90; tries += 1) {
      await this.pass(1_000);
      missing = await this.#missing();
      if (missing === undefined && this.#late === 0) return;
    }
    assert.fail(missing ?? "it never ends");
  }

  /** What the node believes is what its own stream says up to somewhere, or said before it was begun anew. */
  async checkBelief(): Promise<void> {
    this.#told.check();
    const believed = await this.#believed();
    const says = this.#generations.map((held) => JSON.stringify(describe(replay(held, believed.applied), WHO)));
    const believes = JSON.stringify(believed);
    assert.ok(says.includes(believes), `The node believes ${believes}, and its stream says ${says.join(", or ")}`);
  }

  /** The node has told its actors what the log of a region says, and nothing before it. */
  async checkHeard(region: string): Promise<void> {
    const log = this.#streams.logOf(region);
    assert.deepEqual(await this.#believed(), describe(log, WHO));
    this.#told.check(roleOf(log, WHO));
  }

  /** Each entry is there once, and a stream that holds something is begun anew for a log of a later epoch only: what it has besides is lost with that. */
  checkEntries(): void {
    // What could not be written whole is between the first and the last.
    const [first = [], ...anew] = this.#generations;
    const [before = 0, after = 0] = [first, anew.at(-1) ?? []].map((each) => epochOfLog(replay(each, Infinity)));
    const mayGiveWay = first.length === 0 || this.#parts.has(first);
    assert.ok(anew.length === 0 || mayGiveWay || after > before, `Epoch ${before} gave way to ${after}`);
    for (const messages of this.#generations) {
      const names = messages.map(({ body }) => nameOf(decodeEntry(body)));
      assert.equal(new Set(names).size, names.length, `An entry is there twice: ${names.join(", ")}`);
    }
  }

  async #missing(): Promise<string | undefined> {
    const { unanswered } = this.#running();
    if (unanswered > 0) return `${unanswered} requests have no answer, or one that is not so`;
    const own = this.#streams.of(OWN);
    const believed = await this.#believed();
    const log = this.#streams.logOf(OWN);
    const isAll = JSON.stringify(believed) === JSON.stringify(describe(log, WHO));
    if (!isAll) return "the own stream says more than is believed";
    // Whoever holds none of the log waits for all regions that may.
    if (own.length === 0 && this.#reach.get(FIRST) !== "answers") return undefined;
    // Whoever holds a part waits for one that has come as far as it was to.
    const found = REGIONS.filter((region) => region !== OWN && this.#reach.get(region) === "answers");
    const isFound = found.some((region) => reaches(extentOf(this.#streams.logOf(region)), this.#streams.least()));
    if (this.#parts.has(own) && !isFound) return undefined;
    if (epochOfLog(this.#streams.logOf("c")) > epochOfLog(log)) return "another region has a log of a later epoch";
    const { duty, training, next } = this.logs.roleOf(OWN);
    const home = next ?? training;
    const isThere = this.#reach.get(FIRST) === "answers";
    if (home !== OWN && (home !== FIRST || isThere)) {
      const theirs = this.#streams.of(home);
      const differs = own.some(({ body }, at) => Buffer.compare(body, theirs[at]?.body ?? body.subarray(1)) !== 0);
      if (own.length !== theirs.length || differs) return `the own stream is no copy of that of ${home}`;
    }
    if (duty === "takes-over" && (isThere || log.promotion?.epoch !== undefined)) return "training was not taken over";
    return undefined;
  }

  async #believed(): Promise<Said> {
    const { manager } = this.#running();
    const signal = AbortSignal.timeout(20_000);
    const [{ applied, epoch }, { training, term, next }, { number, members }] = await Promise.all([
      manager.ask("summary", {}, { signal }),
      manager.ask("training", {}, { signal }),
      manager.ask("members", {}, { signal }),
    ]);
    return { applied, epoch, training, term, next: next ?? "", number, members };
  }

  /** What it is answered with is a refusal, or is so. */
  #ask(ask: (life: Life, options: AskOptions) => Promise<boolean>): void {
    const life = this.#running();
    life.unanswered += 1;
    async function end(): Promise<void> {
      if (await ask(life, { signal: new AbortController().signal })) life.unanswered -= 1;
    }
    void end();
  }

  #takeStreamAsk(life: Life, { message, body, answer }: Delivery): void {
    const ask = { message, body };
    assert.ok(answer !== undefined && isStreamAsk(ask), `The stream was asked for '${message}'`);
    if (life.isCut) return;
    const isRecord = "bucket" in ask.body;
    const isLog = "stream" in ask.body && ask.body.stream === "LOG";
    const region = ask.message === "read" || ask.message === "last" ? ask.body.region : OWN;
    const entry: Open = { region, answer, isAnswered: false };
    if (isLog && ask.message === "read") life.reads.push(entry);
    if (isLog && ask.message === "append" && !this.#streams.hold(["a", "c"], ask.body.body)) life.appends.push(entry);
    const respond = (made: unknown): void => {
      entry.isAnswered = true;
      if (life === this.#life) answer.reply(made);
    };
    const reach = this.#reach.get(region) ?? "answers";
    const isMet = this.mayFail && (isLog || (isRecord && this.#meetsAll));
    const fate = isMet ? (this.#fates[this.#next++ % this.#fates.length] ?? "done") : "done";
    if (reach === "refuses" || (reach === "answers" && fate === "refused")) {
      this.#clock.after(1, () => {
        entry.isAnswered = true;
        answer.fail(REFUSED);
      });
      return;
    }
    // A reset that is done after everybody gave it up would be no loss of a message, but of a stream.
    if (reach === "silent" || fate === "never-done" || (fate === "late" && ask.message === "reset")) return;
    const delayMs = fate === "late" ? LATE_MS : fate === "slow" ? 3_000 : 1;
    const reply = fate === "answer-lost" || fate === "late" ? () => undefined : respond;
    const isLate = fate === "late";
    if (isLate) this.#late += 1;
    const generation = this.#streams.of(OWN);
    this.#clock.after(delayMs, () => {
      if (isLate) this.#late -= 1;
      if (life.isCut) return;
      // One connection brings them to the own server in order: what was asked before the stream was begun anew is not done after that.
      if (isLog && ask.message === "append" && generation !== this.#streams.of(OWN)) return;
      if (isLog && ask.message === "append") this.#checkAppend(ask.body);
      this.#streams.carryOut(ask, region, reply);
      this.#cut(life, ask);
    });
  }

  /** Kills the node where it has written so many entries of a log that is longer, to its own that was begun anew or lost. */
  #cut(life: Life, { message, body }: StreamAsk): void {
    if (!(message === "append" || message === "reset") || body.stream !== "LOG" || life !== this.#life) return;
    const { length } = this.#streams.of(OWN);
    life.isCut = length === this.#cutAt && length < life.toCome;
  }

  /** The own LOG is no longer copied to as it is. */
  #noteParts(): void {
    const last = this.#generations.at(-1);
    if (last !== undefined && last.length < (this.#life?.toCome ?? 0)) this.#parts.add(last);
  }

  /** The length of the log that has come furthest elsewhere. */
  #furthest(): number {
    const [one, other] = ["a", "c"].map((region) => this.#streams.logOf(region));
    if (one === undefined || other === undefined) return 0;
    return (reaches(extentOf(one), extentOf(other)) ? one : other).applied;
  }

  #takePeerAsk(region: string, { message, answer }: Delivery): void {
    const reach = this.#reach.get(region) ?? "answers";
    if (answer === undefined || reach === "silent") return;
    if (reach === "refuses") return answer.fail(REFUSED);
    const { term, epoch, duty } = this.logs.roleOf(region);
    if (message === "summary") return answer.reply({ epoch, applied: this.#streams.logOf(region).applied });
    assert.equal(message, "standing");
    answer.reply({ regions: REGIONS, mayTrain: true, shards: [], ...(duty === "hands-over" && { handsOver: term }) });
  }

  /** Nobody begins an epoch who trains already. */
  #checkAppend({ body, expectedLastSequence }: StreamProtocol["append"]["request"]): void {
    const { kind, to, epoch } = { to: "", epoch: undefined, ...decodeEntry(body) };
    const isStored = expectedLastSequence === (this.#streams.of(OWN).at(-1)?.seq ?? 0);
    const mustNotTrain = isStored && kind === "promote" && epoch !== undefined && to === OWN;
    assert.ok(!mustNotTrain || this.logs.roleOf(OWN).duty !== "trains");
  }

  #running(): Life {
    assert.ok(this.#life !== undefined);
    return this.#life;
  }
}
