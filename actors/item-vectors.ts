/*
 * The items' vectors of a two-tower model, for recall: what its item tower makes of each item. Every step of training moves the tower, and with it all vectors,
 * so they are computed anew in turns for as long as anything moves: what has just changed first, then all others one after another.
 */
import { type Example } from "../protocols/columns/example-columns.ts";
import { type Backend } from "../protocols/compute/backend.ts";
import { createLearner, placeRows, planExamples, predict } from "../protocols/learning/learner.ts";
import { type ModelLayout } from "../protocols/model-layout.ts";
import { type CandidateIndex } from "./candidate-index.ts";
import { type GatherRows } from "./epoch-rows.ts";

export interface ItemVectors {
  /** The rows of these items have changed, or they were named: they come first. */
  changed(keys: BigUint64Array): void;
  /** Computes some vectors, and answers after how many milliseconds it wants to go on. Where rows cannot be had it rejects, and has forgotten nothing. */
  turn(signal: AbortSignal): Promise<number>;
  /** What the vectors are multiplied with: the user tower's output. */
  query(user: Omit<Example, "item">, asked: AskedRows): Promise<Float32Array>;
}

/** Where the rows of one request come from, and until when. */
export interface AskedRows {
  readonly gather: GatherRows;
  readonly signal: AbortSignal;
}

export interface ItemVectorsOptions {
  readonly layout: ModelLayout;
  readonly backend: Backend;
  /** Takes the vectors; knows names and dense features. */
  readonly index: CandidateIndex;
  /** For the vectors: rejects where rows cannot be had. */
  readonly gather: GatherRows;
  readonly nowMs: () => number;
  readonly upMs: () => number;
  /** A round over all items is done, begun so long ago: no vector is older. */
  readonly onRound: (ms: number) => void;
}

/** Items a turn: about a millisecond, in which no request is answered. */
const BATCH = 256;
/** Of the thread's time, for what has changed, and for rounds. */
const SHARE_OF_CHANGED = 0.2;
const SHARE_OF_ROUNDS = 0.05;
/** A round begins so long after the one before, or when that is over. */
const ROUND_MS = 1_000;
const IDLE_MS = 200;

/** Of a model whose program has two outputs: the user's vector and the item's. */
export function createItemVectors({
  layout,
  backend,
  index,
  gather,
  nowMs,
  upMs,
  onRound,
}: ItemVectorsOptions): ItemVectors {
  const learner = createLearner(layout, { backend, batchMax: BATCH });
  const due = new Set<bigint>();
  let round = { next: 0, startsMs: upMs() };

  /** What a tower makes of the examples. The towers are shared, so what they left is taken before anybody else can use them. */
  async function output(tower: "user" | "item", examples: readonly Example[], asked: AskedRows): Promise<Float32Array> {
    const planned = planExamples(layout, examples);
    placeRows(learner, planned, await asked.gather(planned.lists, asked.signal));
    predict(learner, planned);
    const all = learner.compiled.outputs[tower === "user" ? 0 : 1];
    if (all === undefined) throw new RangeError(`Cannot recall by towers: model '${layout.model.name}' has none`);
    return all.slice(0, (all.length / BATCH) * examples.length);
  }

  async function compute(keys: readonly bigint[], signal: AbortSignal): Promise<void> {
    // Without a name it cannot be recommended; it comes again with one.
    const items = keys.flatMap((key) => {
      const item = index.nameOf(key);
      return item === undefined ? [] : [{ key, item }];
    });
    if (items.length === 0) return;
    const examples = items.map(({ key, item }): Example => {
      return { user: "", item, features: {}, dense: index.denseOf(key, nowMs()) };
    });
    const vectors = await output("item", examples, { gather, signal });
    index.putRows(
      BigUint64Array.from(items, ({ key }) => key),
      vectors,
    );
  }

  /** Items of this round that come next, at most so many; none while it has not begun. */
  function ofRound(most: number): readonly bigint[] {
    if (upMs() < round.startsMs) return [];
    const keys = Array.from({ length: most }, (_, at) => index.keyAt(round.next + at));
    return keys.filter((key) => key !== undefined);
  }

  return {
    changed(keys) {
      for (const key of keys) due.add(key);
    },
    async turn(signal) {
      const startedMs = upMs();
      const changed = due.values().take(BATCH).toArray();
      // Who changes while these are computed is due again.
      for (const key of changed) due.delete(key);
      const others = ofRound(BATCH - changed.length);
      try {
        await compute([...changed, ...others], signal);
      } catch (error) {
        for (const key of changed) due.add(key);
        throw error;
      }
      const tookMs = upMs() - startedMs;
      round.next += others.length;
      if (startedMs >= round.startsMs && index.keyAt(round.next) === undefined) {
        onRound(upMs() - round.startsMs);
        round = { next: 0, startsMs: Math.max(upMs(), round.startsMs + ROUND_MS) };
      }
      if (due.size > 0) return Math.max(1, tookMs / SHARE_OF_CHANGED - tookMs);
      return Math.max(1, tookMs / SHARE_OF_ROUNDS - tookMs, Math.min(IDLE_MS, round.startsMs - upMs()));
    },
    query: (user, asked) => output("user", [{ ...user, item: "" }], asked),
  };
}
