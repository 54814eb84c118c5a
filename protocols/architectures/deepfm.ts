import { programBuilder } from "../compute/program-builder.ts";
import { DENSE_FEATURES, EMBEDDINGS, type Program } from "../compute/program.ts";
import { type DeepFmDeclaration } from "../model.ts";
import { type Declared, deepLayers } from "./layers.ts";

/** Column 0 of each row is a weight, the others an embedding that the factorization machine and the deep layers share. */
export function deepFmProgram({ embedding, deep }: DeepFmDeclaration, { tables, dense }: Declared): Program {
  const every = embedding + 1;
  const builder = programBuilder({ tables: tables.length, dim: every, denseFeatures: dense.length });
  const weights = builder.columnSum(builder.columns(EMBEDDINGS, { every, from: 0, to: 1 }));
  const vectors = builder.columns(EMBEDDINGS, { every, from: 1, to: every });
  const pairs = builder.factorizationMachine([vectors], embedding);
  const features = dense.length === 0 ? vectors : builder.concat([DENSE_FEATURES, vectors]);
  const high = builder.dense(deepLayers(builder, features, { name: "deep", widths: deep }), {
    group: "head",
    width: 1,
    relu: false,
  });
  const linear = dense.length === 0 ? [] : [builder.dense(DENSE_FEATURES, { group: "linear", width: 1, relu: false })];
  return builder.build({ logit: builder.sum([weights, pairs, high, ...linear]) });
}
