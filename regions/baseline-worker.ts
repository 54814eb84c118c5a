/* What the pool runs to retrain a baseline: all of it comes in with the task, and the figures go out. */
import { constants, setPriority } from "node:os";
import { type JudgedBaseline, judgeBaseline } from "../protocols/learning/baseline.ts";
import { type PublishedSample } from "../protocols/learning/sample-batch.ts";
import { decodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { kernelsBackend } from "../runtime/compute/kernels-backend.ts";

/** Messages of the stream of samples: those before a moment, and those after it. */
export interface BaselineTask {
  readonly model: ModelDeclaration;
  readonly batch: number;
  readonly train: readonly Uint8Array[];
  readonly judge: readonly Uint8Array[];
}

/** Whatever else the machine has to do comes first: on Linux this is of the thread alone. */
export function retrain({ model, batch, train, judge }: BaselineTask): JudgedBaseline {
  if (process.platform === "linux") setPriority(constants.priority.PRIORITY_LOW);
  return judgeBaseline(model, {
    backend: kernelsBackend(),
    batch,
    train: train.flatMap(samplesOf),
    judge: judge.flatMap(samplesOf),
  });
}

/** What cannot be read is passed over here as the trainers do, who say so. */
function samplesOf(body: Uint8Array): readonly PublishedSample[] {
  try {
    return decodeSampleBatch(body).samples;
  } catch (error) {
    if (error instanceof DecodeError) return [];
    throw error;
  }
}
