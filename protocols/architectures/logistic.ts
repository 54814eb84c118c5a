import { programBuilder } from "../compute/program-builder.ts";
import { DENSE_FEATURES, EMBEDDINGS, type Program } from "../compute/program.ts";
import { type Declared } from "./layers.ts";

/** The sum of the rows, each of which is one weight, of the weighted dense features, and of a bias. */
export function logisticProgram({ tables, dense }: Declared): Program {
  const builder = programBuilder({ tables: tables.length, dim: 1, denseFeatures: dense.length });
  const weights = builder.columnSum(EMBEDDINGS);
  const logit =
    dense.length === 0
      ? builder.bias(weights, { group: "linear" })
      : builder.sum([weights, builder.dense(DENSE_FEATURES, { group: "linear", width: 1, relu: false })]);
  return builder.build({ logit });
}
