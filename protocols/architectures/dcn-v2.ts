import { programBuilder } from "../compute/program-builder.ts";
import { DENSE_FEATURES, EMBEDDINGS, type Program } from "../compute/program.ts";
import { type DcnDeclaration } from "../model.ts";
import { type Declared, deepLayers } from "./layers.ts";

/** The parallel form: what cross layers and what deep layers make of the same features is weighed together. */
export function dcnProgram(architecture: DcnDeclaration, { tables, dense }: Declared): Program {
  const { embedding, cross, deep } = architecture;
  const builder = programBuilder({ tables: tables.length, dim: embedding, denseFeatures: dense.length });
  const features = dense.length === 0 ? EMBEDDINGS : builder.concat([DENSE_FEATURES, EMBEDDINGS]);
  let crossed = features;
  for (let layer = 1; layer <= cross; layer += 1) {
    crossed = builder.cross(crossed, { group: `cross-${layer}`, first: features });
  }
  const both =
    deep.length === 0
      ? crossed
      : builder.concat([crossed, deepLayers(builder, features, { name: "deep", widths: deep })]);
  return builder.build({ logit: builder.dense(both, { group: "head", width: 1, relu: false }) });
}
