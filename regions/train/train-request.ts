import { type Backend } from "../../protocols/compute/backend.ts";
import { type ModelLayout } from "../../protocols/model-layout.ts";
import { type RunTerminal } from "./run-terminal.ts";
import { type TrainingSettings } from "./training-run.ts";

/** What `freshet train` was asked for. */
export interface TrainRequest {
  /** Undefined: the model of a replay of the clicks. */
  readonly config: string | undefined;
  readonly data: string;
  readonly model: string | undefined;
  readonly out: string | undefined;
  readonly backend: "kernels" | "plain";
  readonly settings: Omit<TrainingSettings, "batch">;
  /** Undefined: what is usual for such data. */
  readonly batch: number | undefined;
  readonly windowMs: number | undefined;
  readonly saveMs: number;
  readonly restart: boolean;
  readonly json: boolean;
  /** Names of the options that were given. */
  readonly given: readonly string[];
}

/** A run that has its model and its folder. */
export interface PreparedRun {
  readonly request: TrainRequest;
  readonly layout: ModelLayout;
  /** What of the model's tables changes a run beside what a layout's digest covers. */
  readonly rules: readonly unknown[];
  readonly out: string;
  readonly backend: Backend;
  readonly terminal: RunTerminal;
  readonly signal: AbortSignal;
}
