import { programBuilder, type ProgramBuilder } from "../compute/program-builder.ts";
import { DENSE_FEATURES, EMBEDDINGS, type Program, type Tensor } from "../compute/program.ts";
import { type TwoTowerDeclaration } from "../model.ts";
import { type Declared, deepLayers } from "./layers.ts";

/** The outputs of the program: the user's vector and the item's. */
export function twoTowerProgram(architecture: TwoTowerDeclaration, { tables, dense }: Declared): Program {
  const { embedding, user, item, output, itemTables, itemDense } = architecture;
  const ofItem = tables.map(({ name, key }) => key === "item" || itemTables.includes(name));
  const isItems = dense.map((name) => itemDense.includes(name));
  for (const name of itemTables) {
    if (!tables.some((table) => table.name === name)) throw new RangeError(`Cannot lay out a model: no table ${name}`);
  }
  for (const name of itemDense) {
    if (!dense.includes(name)) throw new RangeError(`Cannot lay out a model: no dense feature ${name}`);
  }
  const builder = programBuilder({ tables: tables.length, dim: embedding, denseFeatures: dense.length });

  function tower(side: "user" | "item", hidden: readonly number[]): Tensor {
    const isItem = side === "item";
    const parts = [
      ...runs(builder, { of: DENSE_FEATURES, width: 1, wanted: isItems.map((each) => each === isItem) }),
      ...runs(builder, { of: EMBEDDINGS, width: embedding, wanted: ofItem.map((each) => each === isItem) }),
    ];
    const [first] = parts;
    if (first === undefined) throw new RangeError(`Cannot lay out a model: nothing is on the ${side}'s side`);
    const features = parts.length === 1 ? first : builder.concat(parts);
    const deep = deepLayers(builder, features, { name: side, widths: hidden });
    return builder.dense(deep, { group: `${side}-output`, width: output, relu: false });
  }

  const [users, items] = [tower("user", user), tower("item", item)];
  const logit = builder.bias(builder.dotProduct(users, items), { group: "bias" });
  return builder.build({ logit, outputs: [users, items] });
}

/** The wanted columns, `width` at a time, as slices: one for each unbroken run. */
function runs(
  builder: ProgramBuilder,
  { of, width, wanted }: { readonly of: Tensor; readonly width: number; readonly wanted: readonly boolean[] },
): Tensor[] {
  const slices: Tensor[] = [];
  for (let from = 0; from < wanted.length; from += 1) {
    if (wanted[from] !== true) continue;
    let to = from;
    while (wanted[to] === true) to += 1;
    slices.push(builder.columns(of, { from: from * width, to: to * width }));
    from = to;
  }
  return slices;
}
