/*
 * One simulated node: the real poller and the real replicas, wired as an actor shell wires them, with a disk of images.
 */
import { encodeImage } from "../../protocols/sync/image.ts";
import { type PollEffect, type Poller, type PollEvent, stepPoller } from "../../protocols/sync/poll.ts";
import { type Replica, type ReplicaEffect, type ReplicaEvent, stepReplica } from "../../protocols/sync/replica.ts";
import { type ShardVersion } from "../../protocols/sync/shard-version.ts";
import { type Version } from "../../protocols/sync/version.ts";
import { type ParsedPull, parsePull } from "../../protocols/wire/pull.ts";
import { parseChanges } from "../../protocols/wire/poll.ts";
import { type ShardChecker } from "./checkers.ts";
import { APPLIED, PULLED_AS, TOLD } from "./counted.ts";
import { type Disk } from "./disk.ts";
import { type Timer } from "./happening.ts";
import { bodyOf, type Envelope } from "./network.ts";
import { regionOf } from "./leases.ts";
import { LateUrgency } from "./late-urgency.ts";
import { nameOfNode, nameOfShard, nodeOf, ofShard, shardOf } from "./names.ts";
import { noteAnswers, notePoll, noteServed } from "./node-checks.ts";
import { ShardStarts } from "./shard-restarts.ts";
import { startPoller } from "./shard-start.ts";
import { type Surroundings } from "./surroundings.ts";
import { editOf, fileWrite, noteOrphans, type Write } from "./writes.ts";

export class SimulatedNode {
  readonly index: number;
  readonly life: number;
  readonly replicas: Replica[];
  readonly poller: Poller;
  readonly late: LateUrgency;
  readonly #world: Surroundings;
  readonly #starts: ShardStarts;
  /** Nothing that this node does is looked at. */
  readonly #isBlind: boolean;
  /** Pulls that came here, by id: some are answered later. */
  readonly #pulls = new Map<string, ParsedPull>();

  /** Starts from the images of the disk, with a writer id that only this life has. */
  constructor(world: Surroundings, start: { index: number; life: number; disk: Disk; peers: readonly number[] }) {
    this.#world = world;
    this.#isBlind = world.judge.isBlind;
    this.index = start.index;
    this.life = start.life;
    this.late = new LateUrgency(world, start);
    this.#starts = new ShardStarts(world, start);
    this.replicas = world.checkers.map((_, shard) => this.#starts.start(shard));
    this.poller = startPoller(world, { index: start.index, writer: this.#starts.writer });
    this.replicas.forEach(({ version }, shard) => this.#tellVersion(shard, version));
    this.setPeers(start.peers, { pulls: true });
  }

  /** A shard starts again from its image, and nothing else of the node does. */
  restart(shard: number, nowMs: number): void {
    this.scan();
    this.late.forget(shard);
    this.replicas[shard] = this.#starts.start(shard);
    this.#tellVersion(shard, this.#replica(shard).version, nowMs);
  }

  /** Writes a value, or deletes the row for 0. */
  write(shard: number, write: Write): Version | undefined {
    const { key, value, nowMs, batch } = write;
    const replica = this.#replica(shard);
    const { seen, mutate } = editOf(this.#world.knobs, value);
    const isUrgent = this.late.isUrgentAtOnce(write);
    const writes = [{ table: 0, keys: BigUint64Array.of(BigInt(key)), mutate, isUrgent: () => isUrgent }];
    const { answersOpened } = replica;
    const effects = stepReplica(replica, { kind: "write", writes, ...(batch && { batch }) }, nowMs);
    // Before the check: the row must be one that was written.
    const filed = { write, seen, replica, checker: this.#checker(shard), shard, effects, node: this.index };
    const version = fileWrite(this.#world, { ...filed, where: this.#place(shard) });
    this.look(shard);
    this.#noteAnswers(shard, answersOpened);
    this.#act(shard, effects, nowMs);
    this.late.wrote(shard, write, version);
    return version;
  }

  /** Polls these, or none. */
  setPeers(peers: readonly number[], { pulls }: { readonly pulls: boolean }): void {
    for (const peer of peers) {
      const isFar = regionOf(this.#world.knobs, peer) !== regionOf(this.#world.knobs, this.index);
      this.#poll(
        pulls
          ? { kind: "neighbour", peer: nameOfNode(peer), isFar }
          : { kind: "neighbour-removed", peer: nameOfNode(peer) },
      );
    }
  }

  receive(envelope: Envelope, nowMs: number): void {
    const { shard, message } = envelope;
    const from = nameOfNode(envelope.from);
    const parsed = this.#isBlind ? envelope.sent : bodyOf(envelope);
    if (shard === undefined) {
      if (message === "poll") {
        if (!this.#isBlind) notePoll(this.#world, parsed, this.poller.writer);
        this.#poll({ kind: "message", from, message, body: parsed }, nowMs);
      } else if (message === "changes") this.#takeChanges({ from, body: parsed }, nowMs);
    } else if (message === "frame") {
      if (this.#isBlind) {
        this.step(shard, { kind: "message", from, message, body: parsed }, nowMs);
        return;
      }
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

  timer({ shard, start, name }: Pick<Timer, "shard" | "start" | "name">, nowMs: number): void {
    if (shard === undefined && name.startsWith("lease ")) this.#world.leases.timer(this.index, name);
    else if (shard === undefined) this.#poll({ kind: "timer", name }, nowMs);
    else if (start === this.#starts.count(shard)) {
      this.step(shard, { kind: "timer", name }, nowMs);
      if (this.#isBlind) return;
      this.#world.steps.waited(this.#replica(shard), {
        nowMs: this.#world.nowMs,
        pausedUntilMs: this.#world.pausedUntilMs(this.index),
        where: this.#place(shard),
      });
    }
  }

  /** Another leads a shard here, or nobody. */
  led(shard: number): void {
    this.#poll({ kind: "led", shard: nameOfShard(shard) });
  }

  step(shard: number, event: ReplicaEvent, nowMs: number): readonly ReplicaEffect[] {
    const [replica, checker] = [this.#replica(shard), this.#checker(shard)];
    const { answersOpened, horizon } = replica;
    const effects = stepReplica(replica, event, nowMs);
    if (this.#isBlind) {
      this.look(shard);
      this.#act(shard, effects, nowMs);
      return effects;
    }
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
    if (replica.answersOpened === openedBefore || this.#isBlind) return;
    const options = { replica, openedBefore, pulls: this.#pulls, shard, checker: this.#checker(shard) };
    noteAnswers(this.#world, { ...options, where: this.#place(shard) });
  }

  /** Checks a replica as it is now; tells whether it is another than before. Every step of a replica is followed by this. */
  look(shard: number): boolean {
    this.#world.stepped();
    if (this.#isBlind) return false;
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
    if (this.#isBlind) {
      this.step(shard, { kind: "message", ...event }, nowMs);
      return;
    }
    const where = this.#place(shard);
    const before = { answersOpened: replica.answersOpened, ...replica.cache.counts };
    const asker = event.message === "pull" ? parsePull(event.body) : undefined;
    if (asker !== undefined) this.#pulls.set(asker.pullId, asker);
    if (event.message === "pull" && replica.answers.size >= this.#world.knobs.answersMax) {
      this.#world.count("pull while all answers are in use");
    }
    const effects = stepReplica(replica, { kind: "message", ...event }, nowMs);
    this.#world.steps.served(this.look(shard), where);
    noteServed(this.#world, { replica, before, asker, shard, checker: this.#checker(shard), where });
    this.#act(shard, effects, nowMs);
  }

  #takeChanges({ from, body }: { readonly from: string; readonly body: unknown }, nowMs: number): void {
    const effects = stepPoller(this.poller, { kind: "message", from, message: "changes", body }, this.#world.nowMs);
    if (!this.#isBlind && effects.every(({ kind }) => kind !== "refused")) {
      const where = `node ${this.index} (life ${this.life})`;
      const { replicas } = this;
      const { checkers, steps } = this.#world;
      steps.listed(this.poller, { from, body: parseChanges(body), replicas, checkers, where });
    }
    this.#actPoll(effects, nowMs);
  }

  #act(shard: number, effects: readonly ReplicaEffect[], nowMs: number): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "send": {
          if (!this.#isBlind) this.#world.steps.sent(this.#replica(shard), effect, this.#place(shard));
          const body = effect.message === "frame" ? effect.body : JSON.stringify(effect.body);
          this.#send(effect.to, { shard, message: effect.message, body, sent: effect.body });
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
          this.#tellVersion(shard, effect.version, nowMs);
          break;
        case "pulled":
          this.#world.count(effect.outcome === "complete" ? "pull complete" : `pull failed: ${effect.reason}`);
          this.#poll({ ...effect, shard: nameOfShard(shard) }, nowMs);
          break;
        case "frame":
          this.#poll({ ...effect, shard: nameOfShard(shard) }, nowMs);
          break;
        case "stalled":
          this.#world.count("pull stalled");
          this.#poll({ ...effect, shard: nameOfShard(shard) }, nowMs);
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

  #tellVersion(shard: number, version: ShardVersion, nowMs = 0): void {
    this.#poll({ kind: "changed", shard: nameOfShard(shard), version, life: this.#starts.life(shard) }, nowMs);
  }

  #poll(event: PollEvent, nowMs = 0): void {
    this.#actPoll(stepPoller(this.poller, event, this.#world.nowMs), nowMs);
  }

  #actPoll(effects: readonly PollEffect[], nowMs: number): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "send":
          this.#send(effect.to, {
            shard: undefined,
            message: effect.message,
            body: JSON.stringify(effect.body),
            sent: effect.body,
          });
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
          this.#world.leases.pulled(this.index, shardOf(effect.shard), effect.role);
          this.step(shardOf(effect.shard), effect, nowMs);
          break;
        }
        case "grant":
        case "hurry":
        case "give-up":
          this.#world.count(TOLD[effect.kind]);
          this.step(shardOf(effect.shard), effect, nowMs);
          break;
        case "refused":
          this.#world.count(`poll refused ${effect.reason}`);
          break;
      }
    }
  }

  #send(to: string, message: Pick<Envelope, "shard" | "message" | "body" | "sent">): void {
    this.#world.send({ from: this.index, to: nodeOf(to), ...message, damaged: false });
  }

  #after(delayMs: number, { shard, name }: Pick<Timer, "shard" | "name">): void {
    const start = shard === undefined ? undefined : this.#starts.count(shard);
    this.#world.after(delayMs, { kind: "timer", node: this.index, life: this.life, shard, start, name });
  }

  #replica(shard: number): Replica {
    return ofShard(this.replicas, shard);
  }

  #checker(shard: number): ShardChecker {
    return ofShard(this.#world.checkers, shard);
  }

  #place(shard: number): string {
    return this.#starts.place(shard);
  }
}
