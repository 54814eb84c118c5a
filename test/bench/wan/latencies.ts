/** Latencies of updates, each counted as often as it stands for. */
export class Latencies {
  readonly #values: { readonly ms: number; readonly times: number }[] = [];
  #times = 0;

  add(ms: number, times: number): void {
    this.#values.push({ ms, times });
    this.#times += times;
  }

  get count(): number {
    return this.#times;
  }

  /** The least value that at least this share (above 0, up to 1) of all does not exceed. NaN of none. */
  quantile(share: number): number {
    const sorted = this.#values.toSorted((a, b) => a.ms - b.ms);
    let left = share * this.#times;
    for (const { ms, times } of sorted) {
      left -= times;
      if (left <= 1e-9) return ms;
    }
    return Number.NaN;
  }
}

/** Who has seen which updates, by groups that were written together to one shard. */
export class Sightings {
  /** Until visible on every machine; and by region, until visible on all of its machines. */
  readonly everywhere = new Latencies();
  readonly byRegion: readonly Latencies[];
  readonly #machinesPerRegion: number;
  #unseen = 0;

  constructor({ regions, machinesPerRegion }: { readonly regions: number; readonly machinesPerRegion: number }) {
    this.byRegion = Array.from({ length: regions }, () => new Latencies());
    this.#machinesPerRegion = machinesPerRegion;
  }

  /** Groups that are not visible everywhere yet. */
  get unseen(): number {
    return this.#unseen;
  }

  /** A group of updates is visible where it was written, and is to be seen on every other machine; gives what to call for each, once. */
  written(group: {
    readonly machine: number;
    readonly atMs: number;
    readonly updates: number;
  }): (machine: number, nowMs: number) => void {
    const { updates, atMs } = group;
    const perRegion = this.#machinesPerRegion;
    const left = this.byRegion.map(() => perRegion);
    let regionsLeft = left.length;
    const see = (machine: number, nowMs: number): void => {
      const region = Math.floor(machine / perRegion);
      left[region] = (left[region] ?? 0) - 1;
      if (left[region] !== 0) return;
      this.byRegion[region]?.add(nowMs - atMs, updates);
      regionsLeft -= 1;
      if (regionsLeft > 0) return;
      this.everywhere.add(nowMs - atMs, updates);
      this.#unseen -= 1;
    };
    this.#unseen += 1;
    see(group.machine, atMs);
    return see;
  }
}
