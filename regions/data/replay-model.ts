import { type ModelDeclaration } from "../../protocols/model.ts";
import { type DataSet } from "./open-data.ts";
import { REPLAY_DENSE } from "./replay.ts";

/** A model of all that a replay of these clicks gives. */
export function replayModel({ kind, features }: Pick<DataSet, "kind" | "features">): ModelDeclaration {
  return {
    name: kind,
    shards: 4,
    architecture: { kind: "dlrm", embedding: 16, bottom: [32], top: [32, 16] },
    tables: ["user", "item", ...features].map((key) => ({ name: key, key })),
    dense: REPLAY_DENSE,
    optimizer: { kind: "adagrad", learningRate: 0.05 },
    denseOptimizer: { kind: "adagrad", learningRate: 0.02 },
  };
}
