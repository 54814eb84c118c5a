import { programBuilder } from "../compute/program-builder.ts";
import { DENSE_FEATURES, EMBEDDINGS, type Program } from "../compute/program.ts";
import { type DlrmDeclaration } from "../model.ts";
import { type Declared, layers } from "./layers.ts";

/**
 * Bottom layers over the dense features make a vector like an embedding; pairwise dots; top layers. A model without dense features has
 * no bottom: its interaction is between embeddings alone.
 */
export function dlrmProgram(architecture: DlrmDeclaration, { tables, dense }: Declared): Program {
  const { embedding, bottom, top } = architecture;
  if (dense.length === 0 && tables.length < 2) {
    throw new RangeError("Cannot lay out a model: it has neither dense features nor two tables");
  }
  const builder = programBuilder({ tables: tables.length, dim: embedding, denseFeatures: dense.length });
  const last = { width: embedding, relu: true };
  const lower = dense.length === 0 ? [] : [layers(builder, DENSE_FEATURES, { group: "bottom", hidden: bottom, last })];
  const pairs = builder.dotInteraction([...lower, EMBEDDINGS]);
  const interactions = lower.length === 0 ? pairs : builder.concat([...lower, pairs]);
  const logit = layers(builder, interactions, { group: "top", hidden: top, last: { width: 1, relu: false } });
  return builder.build({ logit });
}
