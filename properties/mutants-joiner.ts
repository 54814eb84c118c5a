// Planted bugs in the joiner and in what it takes up after a restart. The laws of its restarts find them.
import { type Mutant } from "./mutant.ts";

const RESUME = "protocols/learning/joiner-resume.ts";
const FORGETTING = "protocols/learning/joiner-forgetting.ts";
const STATE = "protocols/learning/joiner-state.ts";
const JOINER = "protocols/learning/joiner.ts";

export const JOINER_MUTANTS: readonly Mutant[] = [
  {
    name: "a-run-does-not-say-how-far-it-goes",
    file: RESUME,
    edits: [["    resumed.positions = positionsInRun(resumed);\n", ""]],
  },
  {
    name: "a-run-has-the-positions-of-after-it",
    file: RESUME,
    edits: [["resumed.positions = positionsInRun(resumed);", "resumed.positions = positionsOf(resumed);"]],
  },
  {
    name: "positions-of-who-is-not-back-yet",
    file: RESUME,
    edits: [["    if (last !== undefined && applied < last.applied) continue;\n", ""]],
  },
  {
    name: "samples-go-before-all-was-read-again",
    file: RESUME,
    edits: [["  if (resumed.sources.some((source) => isReplaying(resumed, source))) return 0;\n", ""]],
  },
  {
    name: "recalled-as-if-never-told-of-again",
    file: RESUME,
    edits: [["if (again.has(sample.source))", "if (again.size < 0)"]],
  },
  {
    name: "a-sample-corrected-before-is-recalled-twice",
    file: RESUME,
    edits: [["entryOf(joiner, key) ?? toEntry(joiner, key, sample)", "toEntry(joiner, key, sample)"]],
  },
  {
    name: "recalled-and-let-go-of-before-it-was-read-again",
    file: FORGETTING,
    edits: [["isReading ? [settled] : [recalled, settled]", "[recalled, settled]"]],
  },
  {
    name: "recalled-samples-are-not-kept",
    file: FORGETTING,
    edits: [["of [state.recalled, state.settled])", "of [state.settled])"]],
  },
  {
    name: "samples-told-of-again-are-not-kept",
    file: FORGETTING,
    edits: [["isToldAgain(entry, isReadAgain) || isCorrectable(state, entry)", "isCorrectable(state, entry)"]],
  },
  {
    name: "feedback-waits-beside-what-is-let-go-of",
    file: FORGETTING,
    edits: [["held.firstMessage > oldest.shownMessage", "held.firstMessage > 0"]],
  },
  {
    name: "clock-past-what-is-held-to-be-spread",
    file: FORGETTING,
    edits: [["clock = Math.min(clock, positive.clockMs)", "clock = Math.max(clock, positive.clockMs)"]],
  },
  {
    name: "held-to-be-spread-is-not-read-again",
    file: FORGETTING,
    edits: [["if (positive !== undefined) need(positive.origin);", ""]],
  },
  {
    name: "waiting-feedback-is-not-read-again",
    file: FORGETTING,
    edits: [["    else need(held);\n", ""]],
  },
  {
    name: "a-correction-is-no-longer-recalled",
    file: STATE,
    edits: [["(wasRecalled && state.isReading ? state.recalled : state.settled)", "state.settled"]],
  },
  {
    name: "let-go-of-while-older-ones-are-open",
    file: JOINER,
    edits: [["finished.shownMessage < oldest.firstMessage", "finished.shownMessage < Infinity"]],
  },
  {
    name: "a-copy-is-not-noted",
    file: JOINER,
    edits: [["      known.shownMessage = state.messages;\n", ""]],
  },
];
