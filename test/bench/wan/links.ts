import { delayMsBetween, type Place } from "./places.ts";

/** Simulated machines and what joins them. Machine m is in region floor(m / machinesPerRegion). */
export interface LinkPlan {
  readonly places: readonly Place[];
  readonly machinesPerRegion: number;
  /** What a machine can send. */
  readonly machineBytesPerSecond: number;
  /** What one region can send to one other. */
  readonly linkBytesPerSecond: number;
  /** What the first two regions can send to each other. */
  readonly slowBytesPerSecond: number;
}

/** Ekko's test bed: 4.8 Gbps within a region, 256 Mbps between two, one such link at 128 Mbps. */
export const EKKO_RATES = {
  machineBytesPerSecond: 4.8e9 / 8,
  linkBytesPerSecond: 256e6 / 8,
  slowBytesPerSecond: 128e6 / 8,
} as const;

/**
 * Byte rates and delays, and nothing else: no message is lost or overtaken. A message first waits for its machine's sending side, then,
 * across regions, for the link between the two, each of which carries one message after the other; then it is on its way for the delay.
 */
export class Links {
  readonly plan: LinkPlan;
  /** Carried so far, by place of the region sent from times regions plus that sent to. */
  readonly bytes: Float64Array;
  readonly #machines: Float64Array;
  readonly #links: Float64Array;
  readonly #delaysMs: Float64Array;

  constructor(plan: LinkPlan) {
    const { places, machinesPerRegion } = plan;
    this.plan = plan;
    this.bytes = new Float64Array(places.length ** 2);
    this.#machines = new Float64Array(places.length * machinesPerRegion);
    this.#links = new Float64Array(places.length ** 2);
    this.#delaysMs = Float64Array.from(places.flatMap((from) => places.map((to) => delayMsBetween(from, to))));
  }

  get machines(): number {
    return this.#machines.length;
  }

  regionOf(machine: number): number {
    return Math.floor(machine / this.plan.machinesPerRegion);
  }

  /** One way between two regions, milliseconds. */
  delayMs(from: number, to: number): number {
    return this.#delaysMs[from * this.plan.places.length + to] ?? 0;
  }

  /** What one region can send to another in a millisecond. */
  bytesPerMs(from: number, to: number): number {
    const { machineBytesPerSecond, linkBytesPerSecond, slowBytesPerSecond } = this.plan;
    if (from === to) return machineBytesPerSecond / 1_000;
    return (from + to === 1 ? slowBytesPerSecond : linkBytesPerSecond) / 1_000;
  }

  /** Hands over a message; tells when it will have arrived whole. */
  send(message: {
    readonly from: number;
    readonly to: number;
    readonly bytes: number;
    readonly nowMs: number;
  }): number {
    const { from, to, bytes, nowMs } = message;
    const [regionFrom, regionTo] = [this.regionOf(from), this.regionOf(to)];
    const at = regionFrom * this.plan.places.length + regionTo;
    this.bytes[at] = (this.bytes[at] ?? 0) + bytes;
    let sentMs = Math.max(nowMs, this.#machines[from] ?? 0) + bytes / this.bytesPerMs(regionFrom, regionFrom);
    this.#machines[from] = sentMs;
    if (regionFrom !== regionTo) {
      sentMs = Math.max(sentMs, this.#links[at] ?? 0) + bytes / this.bytesPerMs(regionFrom, regionTo);
      this.#links[at] = sentMs;
    }
    return sentMs + this.delayMs(regionFrom, regionTo);
  }

  /** Bytes that crossed between regions. */
  bytesAcross(): number {
    const { length } = this.plan.places;
    return this.bytes.reduce((sum, bytes, at) => (Math.floor(at / length) === at % length ? sum : sum + bytes), 0);
  }
}
