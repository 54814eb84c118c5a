/*
 * Urgency by the operator's own function (runtime/own-function.ts), in place of the built-in p. The write goes first and waits for nothing; its rows
 * become urgent when the function has answered. Where it is late, throws, answers nonsense or has too much before it, the built-in rule
 * decides, as it had when the rows were written.
 */
import { type ModelLayout } from "../protocols/model-layout.ts";
import { type ReplicaEffect, type ReplicaEvent } from "../protocols/sync/replica.ts";
import { createUrgency, standsOut } from "../protocols/urgency.ts";
import { AskFailed, type Context, type Outcome } from "../runtime/actor.ts";
import { type CallOutcome, type OwnFunctionProtocol } from "../runtime/own-function-protocol.ts";
import { type ShardConfig } from "./shard-config.ts";
import { type ShardProtocol } from "./shard-protocol.ts";
import { createUrgentRule, type IsUrgent, URGENT_PERCENTILE } from "./shard-writes.ts";

/** How long the function may take for the rows of one table that one batch wrote. */
const SCORE_MS = 100;
/** Calls on their way; beyond it the built-in rule decides at once. */
const CALLS_MAX = 8;

/** What the function is given: the rows of one table that a batch wrote. It answers with a number for each, as a list or a Float64Array. */
export interface UrgencyInput {
  readonly model: string;
  readonly table: string;
  readonly keys: BigUint64Array;
  /** L1 norm of each row's change. */
  readonly norms: Float64Array;
  /** 1 where the batch created the row. */
  readonly isNew: Uint8Array;
}

/** Rows of one table that were just written, and which of them the built-in rule takes for urgent. */
interface Written {
  readonly table: number;
  readonly keys: BigUint64Array;
  readonly urgent: Uint8Array;
}

export interface UrgencyScores {
  readonly isUrgent: IsUrgent;
  /** The rule for rows that are learned, while a batch is written: with a function of one's own none is urgent yet. */
  readonly ofLearned: IsUrgent;
  /** After the write: has the rows that were learned scored. */
  written(effects: readonly ReplicaEffect[]): void;
  scored(answer: ScoreAnswer): void;
}

export interface ScoreAnswer {
  readonly written: Written;
  readonly outcome: Outcome<CallOutcome>;
}

/** Which updates of a shard are urgent. `step` is told those that turn out to be. */
export function createUrgencyScores(
  { model, scorer }: ShardConfig,
  context: Context<ShardProtocol>,
  { layout, step }: { readonly layout: ModelLayout; readonly step: (event: ReplicaEvent) => unknown },
): UrgencyScores {
  const builtIn = createUrgentRule(model);
  if (scorer === undefined) {
    return { isUrgent: builtIn, ofLearned: builtIn, written: () => undefined, scored: () => undefined };
  }
  const to = context.ref<OwnFunctionProtocol>(scorer);
  const scores = createUrgency(model.urgentPercentile ?? URGENT_PERCENTILE);
  let noted: { readonly norm: number; readonly isNew: boolean; readonly urgent: boolean }[] = [];
  let calls = 0;

  function settle({ table, keys, urgent }: Written, why?: { readonly outcome: string; readonly text: string }): void {
    context.metrics.count("freshet_urgency_calls_total", 1, { model: model.name, outcome: why?.outcome ?? "scored" });
    if (why !== undefined) {
      context.log.warn("Urgency was decided by the built-in rule, not by the model's own function", {
        model: model.name,
        outcome: why.outcome,
        why: why.text,
      });
    }
    const chosen = keys.filter((_, at) => urgent[at] === 1);
    if (chosen.length > 0) step({ kind: "urge", table, keys: chosen });
  }

  function ask(written: Written, input: UrgencyInput): void {
    if (calls >= CALLS_MAX) {
      settle(written, { outcome: "busy", text: `${CALLS_MAX} calls have not been answered yet` });
      return;
    }
    calls += 1;
    const asked = to.ask("call", { input }, { signal: context.deadline(SCORE_MS) });
    context.pipe(asked, "scored", (outcome) => ({ written, outcome }));
  }

  return {
    isUrgent: builtIn,
    ofLearned(norm, isNew) {
      noted.push({ norm, isNew, urgent: builtIn(norm, isNew) });
      return false;
    },
    written(effects) {
      const all = noted;
      noted = [];
      let from = 0;
      for (const effect of effects) {
        if (effect.kind !== "applied") continue;
        const declared = layout.tables[effect.table];
        if (declared?.role !== "embedding" || declared.learning === undefined) continue;
        const rows = all.slice(from, (from += effect.keys.length));
        const written = { table: effect.table, keys: effect.keys, urgent: Uint8Array.from(rows, bit("urgent")) };
        ask(written, {
          model: model.name,
          table: declared.name,
          keys: effect.keys,
          norms: Float64Array.from(rows, ({ norm }) => norm),
          isNew: Uint8Array.from(rows, bit("isNew")),
        });
      }
    },
    scored({ written, outcome }) {
      calls -= 1;
      const { length } = written.keys;
      if (outcome.kind === "failed") {
        const isLate = outcome.error instanceof AskFailed && outcome.error.code === "deadline";
        const text = isLate ? `it took longer than ${SCORE_MS} ms` : outcome.error.message;
        settle(written, { outcome: isLate ? "late" : "failed", text });
        return;
      }
      if (outcome.value.kind === "threw") {
        settle(written, { outcome: "threw", text: outcome.value.why });
        return;
      }
      const numbers = numbersOf(outcome.value.value, length);
      if (numbers === undefined) {
        settle(written, { outcome: "nonsense", text: `it did not answer with ${length} finite numbers` });
        return;
      }
      settle({ ...written, urgent: Uint8Array.from(numbers, (score) => (standsOut(scores, score) ? 1 : 0)) });
    },
  };
}

function bit<K extends string>(name: K): (row: Readonly<Record<K, boolean>>) => number {
  return (row) => (row[name] ? 1 : 0);
}

/** So many finite numbers; undefined for anything else. */
function numbersOf(value: unknown, length: number): readonly number[] | undefined {
  const list: readonly unknown[] = Array.isArray(value) || value instanceof Float64Array ? [...value] : [];
  const numbers = list.filter((each): each is number => typeof each === "number" && Number.isFinite(each));
  return list.length === length && numbers.length === length ? numbers : undefined;
}
