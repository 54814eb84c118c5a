import { type Admission, admits, createAdmission } from "../protocols/learning/admission.ts";
import { type ModelLayout } from "../protocols/model-layout.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { type GradientPart, type Push } from "./shard-protocol.ts";

/** Takes out of a push what is for keys that have no row, and get none yet. What it counts begins anew with each start of the shard. */
export type AdmitKeys = (push: Push) => { readonly push: Push; readonly admitted: number; readonly refused: number };

/** The filter of one shard's primary, by the rules of its model's tables. */
export function createAdmitKeys({ model: { tables } }: ModelLayout, store: RowStore): AdmitKeys {
  // The catalogue stands before the model's own tables.
  const filters = new Map(
    tables.flatMap(({ admit }, index): [number, Admission][] =>
      admit === undefined ? [] : [[index + 1, createAdmission(admit, index)]],
    ),
  );
  if (filters.size === 0) return (push) => ({ push, admitted: 0, refused: 0 });
  return (push) => {
    let admitted = 0;
    let refused = 0;
    const parts = push.parts.flatMap((part): GradientPart[] => {
      const filter = filters.get(part.table);
      if (filter === undefined) return [part];
      const { found } = store.read(part.table, part.keys);
      const taken: number[] = [];
      for (let at = 0; at < part.keys.length; at += 1) {
        if (found[at] === 1) taken.push(at);
        else if (admits(filter, part.keys[at] ?? 0n, push.batch)) {
          taken.push(at);
          admitted += 1;
        } else refused += 1;
      }
      return taken.length === part.keys.length ? [part] : taken.length === 0 ? [] : [pick(part, taken)];
    });
    return { push: { ...push, parts }, admitted, refused };
  };
}

/** These rows of a part. */
function pick(part: GradientPart, rows: readonly number[]): GradientPart {
  const dim = part.gradients.length / part.keys.length;
  function pickRows(all: Float32Array): Float32Array {
    const some = new Float32Array(rows.length * dim);
    for (const [to, from] of rows.entries()) some.set(all.subarray(from * dim, (from + 1) * dim), to * dim);
    return some;
  }
  return {
    table: part.table,
    keys: BigUint64Array.from(rows, (row) => part.keys[row] ?? 0n),
    gradients: pickRows(part.gradients),
    ...(part.read !== undefined && { read: pickRows(part.read) }),
  };
}
