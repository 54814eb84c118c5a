/*
 * The regions' logs as they come to be beside the node that is looked at. Region a had training first, and c may come to have a log of a later epoch.
 */
import { nextEpoch } from "../actors/later-epoch.ts";
import { type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { encodeEntry, extentOf, type LogEntry } from "../protocols/model-state/region-log.ts";
import { roleOf } from "../protocols/model-state/role.ts";
import { type VirtualClock } from "../runtime/clock.ts";
import { type PlayedStreams } from "./region-log-streams.ts";

export const REGIONS = ["a", "b", "c"];
export const FIRST = "a";
/** The region of the node that is looked at. */
export const OWN = "b";

export class RegionLogs {
  readonly #streams: PlayedStreams;
  readonly #clock: VirtualClock;
  #names = 0;

  constructor({ streams, clock }: { readonly streams: PlayedStreams; readonly clock: VirtualClock }) {
    this.#streams = streams;
    this.#clock = clock;
    this.#append(FIRST, { kind: "membership", atMs: 0, regions: REGIONS, training: FIRST });
    this.growHome();
  }

  /** The region that trains first goes on with its log, unless that goes on elsewhere. */
  growHome(): void {
    if (this.roleOf(FIRST).duty !== "trains") return;
    this.#append(FIRST, { kind: "member", atMs: this.#clock.nowMs(), act: "add", region: "c", node: this.newName() });
  }

  handOver(): void {
    const { duty, term } = this.roleOf(FIRST);
    if (duty !== "trains") return;
    this.#append(FIRST, { kind: "promote", atMs: this.#clock.nowMs(), to: OWN, term: term + 1 });
    this.giveSamples(FIRST, { movedTo: { region: OWN, term: term + 1 } });
  }

  /** A region's joiner says something, and no samples. */
  giveSamples(region: string, more: Pick<SampleBatch, "movedTo"> = {}): void {
    this.#streams.store(region, "SAMPLES", encodeSampleBatch({ keepFrom: 0, positions: [], samples: [], ...more }));
  }

  /** Another node of the own region has the log say something, which it may where the region trains. */
  growOwn(): void {
    if (this.roleOf(OWN).duty !== "trains") return;
    this.#append(OWN, { kind: "member", atMs: this.#clock.nowMs(), act: "add", region: "a", node: this.newName() });
  }

  /** The last region is forced, from a beginning of the first one's log, and its log grows longer than that. */
  beginLaterEpoch(entries: number): void {
    if (this.#streams.of("c").length > 0) return;
    for (const { body } of this.#streams.of(FIRST).slice(0, 1 + entries)) this.#streams.store("c", "LOG", body);
    const log = this.#streams.logOf("c");
    const term = (log.promotion?.term ?? 0) + 1;
    const epoch = nextEpoch(log, { region: "c", full: REGIONS });
    this.#append("c", { kind: "promote", atMs: this.#clock.nowMs(), to: "c", term, epoch });
    this.#append("c", { kind: "training", atMs: this.#clock.nowMs(), region: "c", term });
    for (let more = 0; more < 3; more += 1) {
      this.#append("c", { kind: "member", atMs: this.#clock.nowMs(), act: "add", region: "c", node: this.newName() });
    }
  }

  /** The node that keeps the region's log has a copy of the first one's, and goes on without that. */
  forceOwn(): void {
    for (const { body } of this.#streams.of(FIRST).slice(this.#streams.of(OWN).length)) {
      this.#streams.store(OWN, "LOG", body);
    }
    const { term } = this.roleOf(OWN);
    const epoch = nextEpoch(this.#streams.logOf(OWN), { region: OWN, full: REGIONS });
    this.#append(OWN, { kind: "promote", atMs: this.#clock.nowMs(), to: OWN, term: term + 1, epoch });
    this.#append(OWN, { kind: "training", atMs: this.#clock.nowMs(), region: OWN, term: term + 1 });
  }

  /** The node that keeps the region's log was to copy all of the last region's, and ended before it had. */
  leavePart(): void {
    for (const { body } of this.#streams.of("c").slice(0, 2)) this.#streams.store(OWN, "LOG", body);
    this.#streams.require(extentOf(this.#streams.logOf("c")));
  }

  /** Another region's log is a copy of the first one's as that is now. */
  copyToLast(): void {
    for (const { body } of this.#streams.of(FIRST).slice(this.#streams.of("c").length)) {
      this.#streams.store("c", "LOG", body);
    }
  }

  /** Somebody has the own region go on with what it holds. */
  deleteLeast(): void {
    this.#streams.deleteLeast();
  }

  /** What a region's log has it do. */
  roleOf(region: string): ReturnType<typeof roleOf> {
    return roleOf(this.#streams.logOf(region), { region, first: FIRST });
  }

  /** Of a node that no log has named yet. */
  newName(): string {
    return `n${(this.#names += 1)}`;
  }

  #append(region: string, entry: LogEntry): void {
    this.#streams.store(region, "LOG", encodeEntry(entry));
  }
}
