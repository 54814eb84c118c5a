// Parts of a request, each for one memory, by their places in it. joined-rows.ts puts the answers together.
import { type GradientSteps } from "../../../protocols/sync/gradient-steps.ts";
import { type RowBatch, type TableSpec } from "../../../protocols/sync/row-store.ts";
import { bytesOf } from "../../../protocols/wire/bytes.ts";

/** The columns of the rows at these places of a batch. */
export function pickRows(
  batch: RowBatch,
  places: Uint32Array,
  { valueBytes, stateBytes }: TableSpec,
): Omit<RowBatch, "table" | "keys"> {
  return {
    t: Float64Array.from(places, (place) => batch.t[place] ?? 0),
    writers: Uint16Array.from(places, (place) => batch.writers[place] ?? 0),
    flags: Uint8Array.from(places, (place) => batch.flags[place] ?? 0),
    values: pickBytes(batch.values, places, valueBytes),
    state: batch.state && pickBytes(batch.state, places, stateBytes),
  };
}

/** The steps at these places of a request, with columns of their own to fill in. */
export function pickSteps(steps: GradientSteps, places: Uint32Array, dim: number): GradientSteps {
  function floatsAt(floats: Float32Array): Float32Array {
    return new Float32Array(pickBytes(bytesOf(floats), places, 4 * dim).buffer);
  }
  const { delay } = steps;
  return {
    ...steps,
    gradients: floatsAt(steps.gradients),
    ...(delay && { delay: { ...delay, valuesRead: floatsAt(delay.valuesRead) } }),
    norms: new Float64Array(places.length),
    created: new Uint8Array(places.length),
  };
}

/** Puts the rows of a column back to these places of another. */
export function scatterBytes(
  from: Uint8Array,
  { places, width, to }: { readonly places: Uint32Array; readonly width: number; readonly to: Uint8Array },
): void {
  for (const [at, place] of places.entries()) to.set(from.subarray(at * width, (at + 1) * width), place * width);
}

/** What stands at these places of a column of so many bytes, or floats, a row. */
function pickBytes(bytes: Uint8Array, places: Uint32Array, width: number): Uint8Array<ArrayBuffer> {
  const picked = new Uint8Array(places.length * width);
  for (const [at, place] of places.entries()) {
    picked.set(bytes.subarray(place * width, (place + 1) * width), at * width);
  }
  return picked;
}
