/*
 * One simulated node: the real poller and the real replicas, wired as an actor shell wires them, with a disk of images.
 */
import { nextFloat } from "../../protocols/random.ts";
import { encodeImage } from "../../protocols/sync/image.ts";
import { createPoller, type PollEffect, type Poller, type PollEvent, stepPoller } from "../../protocols/sync/poll.ts";
import { type Replica, type ReplicaEffect, type ReplicaEvent, stepReplica } from "../../protocols/sync/replica.ts";
import { buildWriterId, type Version } from "../../protocols/sync/version.ts";
import { drawPullId, parsePull } from "../../protocols/wire/pull.ts";
import { parseChanges, parsePoll } from "../../protocols/wire/poll.ts";
import { type ShardChecker } from "./checkers.ts";
import { APPLIED, PULLED_AS, TOLD } from "./counted.ts";
import { type Disk } from "./disk.ts";
import { type Timer } from "./happening.ts";
import { bodyOf, type Envelope } from "./network.ts";
import { regionOf } from "./leases.ts";
import { pollLimitsOf, startShard } from "./shard-start.ts";
import { type Surroundings } from "./surroundings.ts";
import { editOf, fileWrite, noteOrphans, type Write } from "./writes.ts";

export class SimulatedNode {
  readonly index: number;
  readonly life: number;
  readonly replicas: readonly Replica[];
  readonly poller: Poller;
  readonly #world: Surroundings;
  readonly #places: readonly string[];
  /** Pulls that came here, by id: some are answered later. */
  readonly #pulls = new Map<string, unknown>();

  /** Starts from the images of the disk, with a writer id that only this life has. */
  constructor(world: Surroundings, start: { index: number; life: number; disk: Disk; peers: readonly number[] }) {
    const { knobs } = world;
    this.#world = world;
    this.index = start.index;
    this.life = start.life;
    this.#places = world.checkers.map((_, shard) => `node ${start.index} (life ${start.life}) shard ${shard}`);
    const writer = buildWriterId({ epoch: 0, region: "sim", node: `n${start.index}`, nonce: `l${start.life}` });
    world.steps.started(writer);
    this.replicas = world.checkers.map((checker, shard) => {
      const where = this.#place(shard);
      const replica = startShard(world, { index: start.index, writer, image: start.disk.read(shard), where });
      checker.check(replica, where, "S12");
      if (replica.early.size > 0) world.count("restart with early rows");
      return replica;
    });
    this.poller = createPoller(writer, pollLimitsOf(knobs), world.leases.leaderOf(start.index));
    this.replicas.forEach((replica, shard) =>
      this.#poll({ kind: "changed", shard: `s/${shard}`, version: replica.version }),
    );
    this.setPeers(start.peers, { pulls: true });
  }

  /** Writes a value, or deletes the row for 0. */
  write(shard: number, write: Write): Version | undefined {
    const { key, value, urgent, nowMs, batch } = write;
    const replica = this.#replica(shard);
    const { seen, mutate } = editOf(this.#world.knobs, value);
    const writes = [{ table: 0, keys: BigUint64Array.of(BigInt(key)), mutate, isUrgent: () => urgent }];
    const { answersOpened } = replica;
    const effects = stepReplica(replica, { kind: "write", writes, ...(batch && { batch }) }, nowMs);
    // Before the check: the row must be one that was written.
    const filed = { write, seen, replica, checker: this.#checker(shard), shard, effects, node: this.index };
    const version = fileWrite(this.#world, { ...filed, where: this.#place(shard) });
    this.look(shard);
    this.#noteAnswers(shard, answersOpened);
    this.#act(shard, effects, nowMs);
    return version;
  }

  /** Polls these, or none. */
  setPeers(peers: readonly number[], { pulls }: { readonly pulls: boolean }): void {
    for (const peer of peers) {
      const isFar = regionOf(this.#world.knobs, peer) !== regionOf(this.#world.knobs, this.index);
      this.#poll(
        pulls ? { kind: "neighbour", peer: `n${peer}`, isFar } : { kind: "neighbour-removed", peer: `n${peer}` },
      );
    }
  }

  receive(envelope: Envelope, nowMs: number): void {
    const { shard, message } = envelope;
    const from = `n${envelope.from}`;
    const parsed = bodyOf(envelope);
    if (shard === undefined) {
      if (message === "poll") this.#takePoll({ from, body: parsed }, nowMs);
      else if (message === "changes") this.#takeChanges({ from, body: parsed }, nowMs);
    } else if (message === "frame") {
      const before = this.#world.steps.urgentBefore(this.#replica(shard), parsed);
      const effects = this.step(shard, { kind: "message", from, message, body: parsed }, nowMs);
      this.#world.steps.urgentTaken(this.#replica(shard), { before, effects, where: this.#place(shard) });
      if (envelope.damaged) this.#world.steps.damaged(effects, this.#place(shard));
    } else if (message === "refuse" || message === "orphans" || message === "survey" || message === "report") {
      this.step(shard, { kind: "message", from, message, body: parsed }, nowMs);
    } else if (message === "pull" || message === "more" || message === "release") {
      this.#serve(shard, { from, message, body: parsed }, nowMs);
    }
  }

  timer({ shard, name }: { readonly shard: number | undefined; readonly name: string }, nowMs: number): void {
    if (shard === undefined && name.startsWith("lease ")) this.#world.leases.timer(this.index, name);
    else if (shard === undefined) this.#poll({ kind: "timer", name }, nowMs);
    else {
      this.step(shard, { kind: "timer", name }, nowMs);
      this.#world.steps.waited(this.#replica(shard), {
        nowMs: this.#world.nowMs,
        pausedUntilMs: this.#world.pausedUntilMs(this.index),
        where: this.#place(shard),
      });
    }
  }

  /** Another leads a shard here, or nobody. */
  led(shard: number): void {
    this.#poll({ kind: "led", shard: `s/${shard}` });
  }

  step(shard: number, event: ReplicaEvent, nowMs: number): readonly ReplicaEffect[] {
    const [replica, checker] = [this.#replica(shard), this.#checker(shard)];
    const { answersOpened, horizon } = replica;
    const effects = stepReplica(replica, event, nowMs);
    if (event.kind === "lead" && replica.horizon !== horizon) checker.book.began(replica.horizon, horizon);
    const options = { replica, checker, shard, effects, node: this.index };
    noteOrphans(this.#world, options);
    this.look(shard);
    this.#noteAnswers(shard, answersOpened);
    this.#act(shard, effects, nowMs);
    return effects;
  }

  /** Pulls that stood here were answered in this step. */
  #noteAnswers(shard: number, openedBefore: number): void {
    const replica = this.#replica(shard);
    if (replica.answersOpened === openedBefore || this.#world.judge.isBlind) return;
    const options = { shard, checker: this.#checker(shard), where: this.#place(shard) };
    for (const answer of replica.answers.values()) {
      if (answer.id.number <= openedBefore) continue;
      this.#world.count("standing pull answered");
      this.#world.steps.answered(replica, { ...options, answer, body: this.#pulls.get(answer.pullId) });
    }
  }

  /** Checks a replica as it is now; tells whether it is another than before. Every step of a replica is followed by this. */
  look(shard: number): boolean {
    if (this.#world.judge.isBlind) return false;
    const replica = this.#replica(shard);
    const checker = this.#checker(shard);
    const where = this.#place(shard);
    // Before the check: what was dropped must be what a horizon says.
    if (replica.survey !== undefined) this.#world.surveyed(shard, replica);
    const isOther = checker.check(replica, where);
    this.#world.steps.kept(replica, { checker, where });
    this.#world.steps.held(replica, this.#world.nowMs);
    this.#world.promotions.look(replica, { shard, where });
    return isOther;
  }

  /** Checks all rows, also those that no step touched. */
  scan(): void {
    this.replicas.forEach((replica, shard) => this.#checker(shard).scan(replica, this.#place(shard)));
  }

  image(shard: number): Uint8Array<ArrayBuffer> {
    return encodeImage(this.#replica(shard));
  }

  /** The end of the world: looks at everything once more, and whether what won is what was newest. */
  finish(greatest: readonly (readonly (Version | undefined)[])[]): void {
    this.scan();
    this.replicas.forEach((replica, shard) => {
      this.look(shard);
      const [where, checker] = [this.#place(shard), this.#checker(shard)];
      this.#world.steps.won(replica, { greatest: greatest[shard] ?? [], checker, where });
      this.#world.steps.stateHeld(replica, where);
    });
  }

  #serve(
    shard: number,
    event: { readonly from: string; readonly message: "pull" | "more" | "release"; readonly body: unknown },
    nowMs: number,
  ): void {
    const replica = this.#replica(shard);
    const { steps, judge } = this.#world;
    const where = this.#place(shard);
    const { answersOpened, cache } = replica;
    const { scans, gaveUp } = cache.counts;
    if (event.message === "pull") this.#pulls.set(parsePull(event.body).pullId, event.body);
    if (event.message === "pull" && replica.answers.size >= this.#world.knobs.answersMax) {
      this.#world.count("pull while all answers are in use");
    }
    const effects = stepReplica(replica, { kind: "message", ...event }, nowMs);
    steps.served(this.look(shard), where);
    if (replica.answersOpened > answersOpened) {
      this.#world.count(cache.counts.scans > scans ? "answer by a scan" : "answer from the cache");
      if (gaveUp > 0) this.#world.count("answer after the cache gave up");
      const answer = [...replica.answers.values()].at(-1);
      if (!judge.isBlind && answer !== undefined) {
        steps.answered(replica, { answer, body: event.body, shard, checker: this.#checker(shard), where });
      }
    }
    this.#act(shard, effects, nowMs);
  }

  #takePoll({ from, body }: { readonly from: string; readonly body: unknown }, nowMs: number): void {
    if (!this.#world.judge.isBlind) {
      const { cursor } = parsePoll(body);
      if (cursor !== undefined && cursor.writer !== this.poller.writer) {
        this.#world.count("poll cursor of another life");
      }
    }
    this.#poll({ kind: "message", from, message: "poll", body }, nowMs);
  }

  #takeChanges({ from, body }: { readonly from: string; readonly body: unknown }, nowMs: number): void {
    const effects = stepPoller(this.poller, { kind: "message", from, message: "changes", body }, this.#world.nowMs);
    if (!this.#world.judge.isBlind && effects.every(({ kind }) => kind !== "refused")) {
      this.#world.steps.listed(this.poller, {
        from,
        body: parseChanges(body),
        replicas: this.replicas,
        checkers: this.#world.checkers,
        where: `node ${this.index} (life ${this.life})`,
      });
    }
    this.#actPoll(effects, nowMs);
  }

  #act(shard: number, effects: readonly ReplicaEffect[], nowMs: number): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "send": {
          const body = effect.message === "frame" ? effect.body : JSON.stringify(effect.body);
          this.#world.steps.sent(this.#replica(shard), effect, this.#place(shard));
          this.#send(effect.to, { shard, message: effect.message, body });
          break;
        }
        case "timer":
          this.#after(effect.delayMs, { shard, name: effect.name });
          break;
        case "save":
          this.#world.disks[this.index]?.save(shard, this.image(shard));
          break;
        case "changed":
          if (effect.version.generator !== this.poller.writer) this.#world.count("shard version adopted");
          this.#poll({ kind: "changed", shard: `s/${shard}`, version: effect.version }, nowMs);
          break;
        case "pulled":
          this.#world.count(effect.outcome === "complete" ? "pull complete" : `pull failed: ${effect.reason}`);
          this.#poll({ ...effect, shard: `s/${shard}` }, nowMs);
          break;
        case "frame":
          this.#poll({ kind: "frame", shard: `s/${shard}`, bytes: effect.bytes, frames: effect.frames }, nowMs);
          break;
        case "stalled":
          this.#world.count("pull stalled");
          this.#poll({ kind: "stalled", shard: `s/${shard}` }, nowMs);
          break;
        case "applied":
          this.#world.count(APPLIED[effect.origin], effect.keys.length);
          break;
        case "refused":
          this.#world.count(`refused ${effect.reason === "stale" ? effect.detail : effect.reason}`);
          break;
        case "dropped":
          this.#world.count("dropped", effect.keys.length);
          break;
        case "written":
      }
    }
  }

  #poll(event: PollEvent, nowMs = 0): void {
    this.#actPoll(stepPoller(this.poller, event, this.#world.nowMs), nowMs);
  }

  #actPoll(effects: readonly PollEffect[], nowMs: number): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "send":
          this.#send(effect.to, { shard: undefined, message: effect.message, body: JSON.stringify(effect.body) });
          break;
        case "timer":
          this.#after(effect.delayMs, { shard: undefined, name: effect.name });
          break;
        case "left":
          this.#world.count("shard left to its leader");
          break;
        case "pull": {
          this.#world.count(PULLED_AS[effect.role]);
          if (effect.stands === true) this.#world.count("pull left standing");
          this.#world.leases.pulled(this.index, Number(effect.shard.slice(2)), effect.role);
          const pullId = drawPullId(() => nextFloat(this.#world.random));
          this.step(Number(effect.shard.slice(2)), { ...effect, pullId }, nowMs);
          break;
        }
        case "grant":
        case "hurry":
        case "give-up":
          this.#world.count(TOLD[effect.kind]);
          this.step(Number(effect.shard.slice(2)), effect, nowMs);
          break;
        case "refused":
          this.#world.count(`poll refused ${effect.reason}`);
          break;
      }
    }
  }

  #send(to: string, { shard, message, body }: Pick<Envelope, "shard" | "message" | "body">): void {
    this.#world.send({ from: this.index, to: Number(to.slice(1)), shard, message, body, damaged: false });
  }

  #after(delayMs: number, { shard, name }: Pick<Timer, "shard" | "name">): void {
    this.#world.after(delayMs, { kind: "timer", node: this.index, life: this.life, shard, name });
  }

  #replica(shard: number): Replica {
    const replica = this.replicas[shard];
    if (replica === undefined) throw new RangeError(`Cannot use shard ${shard}: there are ${this.replicas.length}`);
    return replica;
  }

  #checker(shard: number): ShardChecker {
    const checker = this.#world.checkers[shard];
    if (checker === undefined) throw new RangeError(`Cannot check shard ${shard}: nothing has looked at it`);
    return checker;
  }

  #place(shard: number): string {
    return this.#places[shard] ?? "";
  }
}
