import { type CountSketch } from "../../protocols/learning/count-sketch.ts";
import { type LocalModel } from "../../protocols/learning/local-model.ts";

/** What a model holds, as bytes: who has a row, what is counted of keys that have none while `counts`, values and state. */
export function modelParts(model: LocalModel, { counts }: { readonly counts: boolean }): Uint8Array<ArrayBuffer>[] {
  return [
    ...model.embeddings.flatMap(({ admission }) => (admission === undefined ? [] : [admission.hasRow])),
    ...(counts ? sketchesOf(model).map(({ counters }) => counters) : []),
    ...floatParts([...model.embeddings, ...model.groups].flatMap(({ values, state }) => [values, state])),
  ];
}

export function floatParts(floats: readonly Float32Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer>[] {
  return floats.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength));
}

/** What is counted of keys without a row. */
export function sketchesOf({ embeddings }: LocalModel): CountSketch[] {
  return embeddings.flatMap(({ admission }) =>
    (admission?.filters ?? []).flatMap(({ sketch }) => (sketch === undefined ? [] : [sketch])),
  );
}
