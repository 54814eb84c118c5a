/* How items that a user may like are found among all: what is kept of each item, and what that is multiplied with. */
import { recallQuery } from "../protocols/architectures/recall.ts";
import { type Example } from "../protocols/columns/example-columns.ts";
import { keyOf } from "../protocols/keys.ts";
import { planExamples } from "../protocols/learning/learner.ts";
import { type ModelLayout, requiredTable, unknownValues } from "../protocols/model-layout.ts";
import { type AskedRows, createItemVectors, type ItemVectorsOptions } from "./item-vectors.ts";

/** Keeps the rows of a candidate index, and asks it. */
export interface Recall {
  /** Rows of the items' table have come. */
  took(keys: BigUint64Array, floats: Float32Array): void;
  /** Items have got a name, which they had not. */
  named(keys: BigUint64Array): void;
  query(user: Omit<Example, "item">, asked: AskedRows): Promise<Float32Array>;
  /** Where there is more to do than to take rows: does some of it, and answers after how many milliseconds it wants to go on. */
  readonly turn?: (signal: AbortSignal) => Promise<number>;
}

/** Numbers that are kept of each item. */
export function recallDim({ model, program }: ModelLayout): number {
  return model.architecture.kind === "two-tower" ? model.architecture.output : program.dim;
}

/** By items' rows and the user's; of two towers, by their outputs. */
export function createRecall(options: ItemVectorsOptions): Recall {
  const { layout, index } = options;
  if (layout.model.architecture.kind === "two-tower") {
    const vectors = createItemVectors(options);
    return {
      took: (keys) => vectors.changed(keys),
      named: (keys) => vectors.changed(keys),
      query: (user, asked) => vectors.query(user, asked),
      turn: (signal) => vectors.turn(signal),
    };
  }
  const userTable = requiredTable(layout, "user");

  async function userRow(user: Omit<Example, "item">, { gather, signal }: AskedRows): Promise<Float32Array> {
    const key = keyOf(user.user);
    const { lists } = planExamples(layout, [{ ...user, item: "" }]);
    const shard = lists.findIndex((each) => each.some(({ table }) => table === userTable));
    if (shard < 0) return unknownValues(layout, userTable, key);
    const list = { table: userTable, keys: BigUint64Array.of(key) };
    const values = await gather(
      lists.map((_, at) => (at === shard ? [list] : [])),
      signal,
    );
    return values[shard]?.[0] ?? unknownValues(layout, userTable, key);
  }

  return {
    took: (keys, floats) => index.putRows(keys, floats),
    named: () => undefined,
    query: async (user, asked) => recallQuery(layout.model, await userRow(user, asked)),
  };
}
