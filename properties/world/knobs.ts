import { nextBelow, nextFloat, type Random } from "../../protocols/random.ts";

/** What is fixed for one world: everything is drawn from its seed, and about half of the kinds of faults are off in each. */
export interface Knobs {
  readonly nodes: number;
  readonly shards: number;
  readonly keys: number;
  /** The last node serves: it holds no optimizer state, and full nodes do not pull from it. */
  readonly serving: boolean;
  /** Each node polls only the one before and the one after it, instead of all. */
  readonly ring: boolean;
  /** Simulated time with faults and writes, before all is healed. */
  readonly troubleMs: number;
  readonly delayMs: number;
  readonly lossRate: number;
  readonly duplicateRate: number;
  readonly corruptRate: number;
  /** Mean time between events of a kind; 0 for never. */
  readonly writeEveryMs: number;
  readonly cutEveryMs: number;
  readonly crashEveryMs: number;
  readonly saveEveryMs: number;
  readonly jumpEveryMs: number;
  /** Of restarts, how many have lost their disk. */
  readonly amnesiaRate: number;
  /** Clocks tick in steps of this size, so that writers stamp the same t. */
  readonly clockStepMs: number;
  readonly frameBytes: number;
  readonly answersMax: number;
  readonly retryMs: number;
  readonly retriesMax: number;
}

export function drawKnobs(random: Random): Knobs {
  function sometimes(draw: () => number): number {
    return nextFloat(random) < 0.5 ? 0 : draw();
  }
  function between(low: number, high: number): number {
    return low + nextFloat(random) * (high - low);
  }
  const nodes = 2 + nextBelow(random, 4);
  return {
    nodes,
    shards: 1 + nextBelow(random, 2),
    keys: 2 + nextBelow(random, 14),
    serving: nodes > 2 && nextFloat(random) < 0.3,
    ring: nextFloat(random) < 0.3,
    troubleMs: between(5_000, 20_000),
    delayMs: between(1, 120),
    lossRate: sometimes(() => between(0, 0.3)),
    duplicateRate: sometimes(() => between(0, 0.3)),
    corruptRate: sometimes(() => between(0, 0.05)),
    writeEveryMs: between(20, 400),
    cutEveryMs: sometimes(() => between(500, 4_000)),
    crashEveryMs: sometimes(() => between(500, 6_000)),
    saveEveryMs: between(200, 3_000),
    jumpEveryMs: sometimes(() => between(500, 5_000)),
    amnesiaRate: sometimes(() => 0.3),
    clockStepMs: sometimes(() => between(100, 5_000)),
    frameBytes: nextFloat(random) < 0.7 ? 90 : 100_000,
    answersMax: 1 + nextBelow(random, 4),
    retryMs: between(200, 1_000),
    retriesMax: 1 + nextBelow(random, 4),
  };
}
