import { type Address, type Context, type Protocol } from "../runtime/actor.ts";

/** Who is told the steps of an actor's pure core, and how many at most. */
export interface TraceConfig {
  readonly to: Address;
  readonly stepsMax: number;
}

/** What the core began with, then each event that it was given, when, and the effects that came of it; and that there were more. */
export type TraceEntry =
  | { readonly kind: "start"; readonly actor: string; readonly start: unknown }
  | {
      readonly kind: "step";
      readonly actor: string;
      readonly nowMs: number;
      readonly event: unknown;
      readonly effects: unknown;
      /** What the core asked its actor meanwhile and was answered, in order. */
      readonly heard: readonly unknown[];
    }
  | { readonly kind: "full"; readonly actor: string };

/** What takes a trace accepts: the entries of each actor in order. */
export interface TraceProtocol {
  readonly entry: { request: TraceEntry; reply: void };
}

/** Where an actor reports its steps. Without a config nothing is made and nothing is sent. */
export interface StepTrace {
  start(describe: () => unknown): void;
  /** Notes an answer that the core is given during a step; gives it on. */
  heard<T>(answer: T): T;
  step(step: { readonly event: unknown; readonly nowMs: number; readonly effects: unknown }): void;
}

/**
 * A trace of one actor. Given again to the same core from the same start, its events must give the same effects: what an actor adds to its core
 * is then neither time nor chance.
 */
export function openTrace<P extends Protocol<P>>(config: TraceConfig | undefined, context: Context<P>): StepTrace {
  if (config === undefined) return { start: () => undefined, heard: (answer) => answer, step: () => undefined };
  const to = context.ref<TraceProtocol>(config.to);
  const actor = `${context.self.kind}.${context.self.id}`;
  let left = config.stepsMax;
  let heard: unknown[] = [];
  return {
    start: (describe) => to.tell("entry", { kind: "start", actor, start: describe() }),
    heard(answer) {
      heard.push(answer);
      return answer;
    },
    step(step) {
      left -= 1;
      const answers = heard;
      heard = [];
      if (left >= 0) to.tell("entry", { kind: "step", actor, heard: answers, ...step });
      else if (left === -1) to.tell("entry", { kind: "full", actor });
    },
  };
}
