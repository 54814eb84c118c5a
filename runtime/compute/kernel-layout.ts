import { BATCH_PART, type Place, type Region } from "./kernel-steps.ts";
import {
  DENSE_FEATURES,
  EMBEDDINGS,
  FIRST_RESULT,
  inputsOf,
  type Program,
  type Tensor,
  widthOf,
} from "../../protocols/compute/program.ts";

/** Where everything of a compiled program stands in its memory. */
export interface KernelLayout {
  readonly bytes: number;
  readonly batchMax: number;
  /** Samples of a part of a batch, at most. */
  readonly partMax: number;
  width(tensor: Tensor): number;
  values(tensor: Tensor): Place;
  /** Gradients by a tensor. Of all but the embeddings there are only those of the part of the batch that is worked at. */
  deltas(tensor: Tensor): Place;
  /** One a group, one after the other. */
  readonly parameters: readonly Region[];
  readonly gradients: readonly Region[];
  readonly labels: Region;
  readonly weights: Region;
  readonly probabilities: Region;
  /** Two 64-bit floats: the sum of the losses, and of the weights. */
  readonly sums: Region;
  /** Whether a tensor stands inside the concatenation that reads it, so that joining it moves nothing. */
  isWithin(tensor: Tensor, concat: Tensor): boolean;
  /** Room for something else. */
  take(floats: number): Region;
}

/** Lays out a program for batches of up to `batchMax`. Nothing stands at address 0. */
export function layOut(program: Program, batchMax: number): KernelLayout {
  const tensors = FIRST_RESULT + program.operations.length;
  const widths = Array.from({ length: tensors }, (_, tensor) => widthOf(program, tensor));
  const parents = parentsOf(program);
  const partMax = Math.min(batchMax, BATCH_PART);
  let bytes = LINE;

  function take(floats: number): Region {
    const address = bytes;
    // A line of zeros behind each, because tiles read over ends: of other numbers' bytes they might make slow denormal ones.
    bytes += Math.ceil((4 * floats) / LINE) * LINE + LINE;
    return { address, floats };
  }

  /** From the last to the first, so that a concatenation is placed before what stands in it. */
  function place(samples: (tensor: Tensor) => number, step: (tensor: Tensor) => boolean): readonly Place[] {
    const places: Place[] = [];
    for (let tensor = tensors - 1; tensor >= 0; tensor -= 1) {
      const width = widths[tensor] ?? 0;
      const parent = parents[tensor];
      const outer = parent === undefined ? undefined : places[parent.concat];
      if (outer !== undefined && parent !== undefined) {
        places[tensor] = { ...outer, address: outer.address + 4 * parent.column };
        continue;
      }
      const row = 4 * width;
      places[tensor] = { address: take(samples(tensor) * width).address, row, step: step(tensor) ? row : 0 };
    }
    return places;
  }

  const parameters = groupRegions(program, take);
  const gradients = groupRegions(program, take);
  const [labels, weights, probabilities, sums] = [take(batchMax), take(batchMax), take(batchMax), take(4)];
  const values = place(
    () => batchMax,
    () => true,
  );
  const deltas = place(
    (tensor) => (tensor === DENSE_FEATURES ? 0 : tensor === EMBEDDINGS ? batchMax : partMax),
    (tensor) => tensor === EMBEDDINGS,
  );
  return {
    get bytes() {
      return bytes;
    },
    batchMax,
    partMax,
    width: (tensor) => widths[tensor] ?? 0,
    values: (tensor) => placeOf(values, tensor),
    deltas: (tensor) => placeOf(deltas, tensor),
    parameters,
    gradients,
    labels,
    weights,
    probabilities,
    sums,
    isWithin: (tensor, concat) => parents[tensor]?.concat === concat,
    take,
  };
}

/** Bytes of a line of the cache. */
const LINE = 64;

interface Parent {
  readonly concat: Tensor;
  readonly column: number;
}

/**
 * Which tensors can stand inside a concatenation. Such a one is read by others only before the concatenation is made, so that on the way back its
 * gradient is first what the concatenation's is, and others then add to it. An output stands alone, to be read as one array.
 */
function parentsOf(program: Program): readonly (Parent | undefined)[] {
  const lastReader: Tensor[] = [];
  for (const [at, operation] of program.operations.entries()) {
    for (const input of inputsOf(operation)) lastReader[input] = FIRST_RESULT + at;
  }
  const parents: (Parent | undefined)[] = [];
  for (const [at, operation] of program.operations.entries()) {
    if (operation.kind !== "concat") continue;
    let column = 0;
    for (const input of operation.inputs) {
      const alone = input < FIRST_RESULT || input === program.logit || program.outputs.includes(input);
      const once = operation.inputs.indexOf(input) === operation.inputs.lastIndexOf(input);
      if (!alone && once && lastReader[input] === FIRST_RESULT + at) {
        parents[input] = { concat: FIRST_RESULT + at, column };
      }
      column += widthOf(program, input);
    }
  }
  return parents;
}

function groupRegions(program: Program, take: (floats: number) => Region): readonly Region[] {
  const floats = program.groups.reduce((sum, group) => sum + group.floats, 0);
  let { address } = take(floats);
  return program.groups.map((group) => {
    const region = { address, floats: group.floats };
    address += 4 * group.floats;
    return region;
  });
}

function placeOf(places: readonly Place[], tensor: Tensor): Place {
  const found = places[tensor];
  if (found === undefined) throw new RangeError(`Cannot find tensor ${tensor}: the program has no such one`);
  return found;
}
