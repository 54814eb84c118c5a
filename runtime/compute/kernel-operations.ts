// Each operation of a program as steps, forward and backward.
import {
  type Affine,
  type Bias,
  type Columns,
  type CrossLayer,
  type DenseLayer,
  type DotInteraction,
  type DotProduct,
  type FactorizationMachine,
  type Operation,
  type Tensor,
} from "../../protocols/compute/program.ts";
import { type KernelLayout } from "./kernel-layout.ts";
import {
  ADD,
  type AffinePlace,
  biasStep,
  columnSumsStep,
  crossStep,
  denseBackStep,
  denseStep,
  factorizeBackStep,
  factorizeStep,
  type Mode,
  moveStep,
  multiplyStep,
  pairDotsBackStep,
  pairDotsStep,
  partWords,
  type Place,
  type Region,
  REPLACE,
  rowDotsStep,
  rowSumsStep,
  scaleRowsStep,
  type Step,
  turnStep,
  type VectorPart,
  zeroStep,
} from "./kernel-steps.ts";

/** What the operations of one program share while they are lowered. */
export interface Lowering {
  readonly layout: KernelLayout;
  /** Where gradients by a tensor go: nowhere for the dense features, by which nobody learns. */
  readonly deltaOf: (tensor: Tensor) => Place | undefined;
  /** The first that writes a gradient replaces what an earlier batch left there; the others add to it. */
  readonly modeFor: (tensor: Tensor) => Mode;
  /** Puts words into memory, and gives their address. */
  readonly record: (words: Int32Array) => number;
}

/** What one operation computes, and what its gradient does. */
export interface Lowered {
  readonly forward: readonly Step[];
  /** Called once, after those of all operations that read the result: so `modeFor` sees them in the order in which they run. */
  backward(): readonly Step[];
}

interface Target {
  readonly lowering: Lowering;
  readonly result: Tensor;
}

export function lowerOperation(operation: Operation, target: Target): Lowered {
  switch (operation.kind) {
    case "dense":
      return lowerDense(operation, target);
    case "cross":
      return lowerCross(operation, target);
    case "bias":
      return lowerBias(operation, target);
    case "concat":
      return lowerConcat(operation.inputs, target);
    case "columns":
      return lowerColumns(operation, target);
    case "dot-interaction":
    case "factorization-machine":
      return lowerVectors(operation, target);
    case "sum":
      return lowerSum(operation.inputs, target);
    case "column-sum":
      return lowerColumnSum(operation.input, target);
    case "dot-product":
      return lowerDotProduct(operation, target);
  }
}

function lowerDense(operation: DenseLayer, { lowering, result }: Target): Lowered {
  const { layout } = lowering;
  const { input, relu } = operation;
  const map = affineMap(operation, { lowering, input });
  const to = layout.values(result);
  return {
    forward: [turnStep(map), denseStep(map, { from: layout.values(input), to, relu })],
    backward: () => [affineBack(map, { lowering, input, delta: layout.deltas(result), to, relu })],
  };
}

function lowerCross(operation: CrossLayer, { lowering, result }: Target): Lowered {
  const { layout, deltaOf, modeFor } = lowering;
  const { first, input, width } = operation;
  const map = affineMap(operation, { lowering, input });
  // What the affine map makes is of the whole batch, because the way back reads it; its gradient is of one part at a time.
  const row = 4 * width;
  const mapped = { address: layout.take(layout.batchMax * width).address, row, step: row };
  const mappedDelta = { address: layout.take(layout.partMax * width).address, row, step: 0 };
  const [x0, x] = [layout.values(first), layout.values(input)];
  return {
    forward: [
      turnStep(map),
      denseStep(map, { from: x, to: mapped, relu: false }),
      crossStep({ first: x0, mapped, x, to: layout.values(result), width }),
    ],
    backward() {
      const delta = layout.deltas(result);
      const steps = [multiplyStep({ left: delta, right: x0, to: mappedDelta, width }, REPLACE)];
      const firstDelta = deltaOf(first);
      if (firstDelta !== undefined) {
        steps.push(multiplyStep({ left: delta, right: mapped, to: firstDelta, width }, modeFor(first)));
      }
      steps.push(...passBack({ lowering, result }, input));
      steps.push(affineBack(map, { lowering, input, delta: mappedDelta, to: mapped, relu: false }));
      return steps;
    },
  };
}

function lowerBias({ input, group, biasesAt, width }: Bias, { lowering, result }: Target): Lowered {
  const { layout } = lowering;
  const [from, to] = [layout.values(input), layout.values(result)];
  return {
    forward: [biasStep({ from, to, width }, at(layout.parameters[group], biasesAt))],
    backward: () => [
      columnSumsStep(layout.deltas(result), { sums: at(layout.gradients[group], biasesAt), width }),
      ...passBack({ lowering, result }, input),
    ],
  };
}

function lowerConcat(inputs: readonly Tensor[], { lowering, result }: Target): Lowered {
  const { layout, deltaOf, modeFor } = lowering;
  const within = inputs.filter((input) => layout.isWithin(input, result));
  let column = 0;
  const beside: { readonly input: Tensor; readonly floats: number; readonly column: number }[] = [];
  for (const input of inputs) {
    const floats = layout.width(input);
    if (floats > 0 && !within.includes(input)) beside.push({ input, floats, column });
    column += floats;
  }
  return {
    forward: beside.map(({ input, floats, column: to }) =>
      moveStep({ from: layout.values(input), to: shifted(layout.values(result), to) }, { floats, mode: REPLACE }),
    ),
    backward() {
      // Those within have their gradients with the concatenation's: whoever has more for them adds.
      for (const input of within) modeFor(input);
      return beside.flatMap(({ input, floats, column: from }) => {
        const to = deltaOf(input);
        if (to === undefined) return [];
        return [moveStep({ from: shifted(layout.deltas(result), from), to }, { floats, mode: modeFor(input) })];
      });
    },
  };
}

function lowerColumns({ input, every, from, to }: Columns, { lowering, result }: Target): Lowered {
  const { layout, deltaOf, modeFor } = lowering;
  const width = layout.width(input);
  const runs = { blocks: width / every, floats: to - from };
  return {
    forward: [
      moveStep(
        { from: shifted(layout.values(input), from), to: layout.values(result) },
        { ...runs, fromEvery: every, toEvery: to - from, mode: REPLACE },
      ),
    ],
    backward() {
      const delta = deltaOf(input);
      if (delta === undefined) return [];
      const mode = modeFor(input);
      const move = moveStep(
        { from: layout.deltas(result), to: shifted(delta, from) },
        { ...runs, fromEvery: to - from, toEvery: every, mode },
      );
      // The other columns have no gradient from here.
      return mode === REPLACE ? [zeroStep(delta, width), move] : [move];
    },
  };
}

function lowerSum(inputs: readonly Tensor[], { lowering, result }: Target): Lowered {
  const { layout } = lowering;
  const to = layout.values(result);
  const floats = layout.width(result);
  return {
    forward: inputs.map((input, index) =>
      moveStep({ from: layout.values(input), to }, { floats, mode: index === 0 ? REPLACE : ADD }),
    ),
    backward: () => inputs.flatMap((input) => passBack({ lowering, result }, input)),
  };
}

function lowerColumnSum(input: Tensor, { lowering, result }: Target): Lowered {
  const { layout } = lowering;
  const from = layout.values(input);
  return {
    forward: [rowSumsStep({ from, to: layout.values(result), width: layout.width(input) })],
    backward: () => scaledBack({ lowering, result }, { input, rows: undefined }),
  };
}

function lowerDotProduct(operation: DotProduct, { lowering, result }: Target): Lowered {
  const { layout } = lowering;
  const [left, right] = [layout.values(operation.left), layout.values(operation.right)];
  return {
    forward: [rowDotsStep({ left, right, to: layout.values(result), width: layout.width(operation.left) })],
    backward: () => [
      ...scaledBack({ lowering, result }, { input: operation.left, rows: right }),
      ...scaledBack({ lowering, result }, { input: operation.right, rows: left }),
    ],
  };
}

function lowerVectors(operation: DotInteraction | FactorizationMachine, { lowering, result }: Target): Lowered {
  const { layout, deltaOf, modeFor, record } = lowering;
  const { inputs, dim, kind } = operation;
  const values = inputs.map((input) => ({ input, vectors: layout.width(input) / dim, values: layout.values(input) }));
  const vectors = values.reduce((sum, part) => sum + part.vectors, 0);
  const stride = Math.ceil(dim / 8) * 8;
  // Tiles read up to three vectors beyond the last, and write up to five.
  const all = { count: inputs.length, dim, vectors, scratch: layout.take((vectors + 3) * stride).address };
  const parts = values.map((part): VectorPart => ({ ...part, deltas: undefined, mode: REPLACE }));
  const forward = { ...all, parts: record(partWords(parts)) };
  const to = layout.values(result);
  const sums = layout.take(stride).address;
  return {
    forward: [kind === "dot-interaction" ? pairDotsStep(forward, to) : factorizeStep(forward, { to, sums })],
    backward() {
      const back = values.map((part) => ({ ...part, deltas: deltaOf(part.input), mode: modeFor(part.input) }));
      const delta = layout.deltas(result);
      const gradients = layout.take((vectors + 5) * stride).address;
      const backward = { ...all, parts: record(partWords(back)) };
      if (kind === "factorization-machine") return [factorizeBackStep(backward, { delta, gradients })];
      const square = layout.take(36).address;
      return [pairDotsBackStep(backward, { delta, gradients, square })];
    },
  };
}

/** The result's gradient is the input's too. */
function passBack({ lowering, result }: Target, input: Tensor): readonly Step[] {
  const to = lowering.deltaOf(input);
  if (to === undefined) return [];
  const floats = lowering.layout.width(input);
  return [moveStep({ from: lowering.layout.deltas(result), to }, { floats, mode: lowering.modeFor(input) })];
}

/** The result's gradient, one number a sample, times that sample's row, or alone. */
function scaledBack(
  { lowering, result }: Target,
  { input, rows }: { readonly input: Tensor; readonly rows: Place | undefined },
): readonly Step[] {
  const { layout, deltaOf, modeFor } = lowering;
  const to = deltaOf(input);
  if (to === undefined) return [];
  return [scaleRowsStep({ factors: layout.deltas(result), rows, to, width: layout.width(input) }, modeFor(input))];
}

function affineMap(
  { group, weightsAt, biasesAt, width }: Affine & { readonly width: number },
  { lowering, input }: { readonly lowering: Lowering; readonly input: Tensor },
): AffinePlace {
  const { layout } = lowering;
  const inputs = layout.width(input);
  const [parameters, gradients] = [layout.parameters[group], layout.gradients[group]];
  // Rows as wide as a tile makes them.
  const columns = Math.ceil(width / 8) * 8;
  return {
    inputs,
    width,
    weights: at(parameters, weightsAt),
    biases: at(parameters, biasesAt),
    turned: { address: layout.take(inputs * columns).address, row: 4 * columns },
    weightGradients: at(gradients, weightsAt),
    biasGradients: at(gradients, biasesAt),
  };
}

function affineBack(
  map: AffinePlace,
  of: {
    readonly lowering: Lowering;
    readonly input: Tensor;
    readonly delta: Place;
    readonly to: Place;
    readonly relu: boolean;
  },
): Step {
  const { lowering, input, delta, to, relu } = of;
  const from = lowering.layout.values(input);
  return denseBackStep(map, {
    delta,
    to,
    from,
    fromDelta: lowering.deltaOf(input),
    relu,
    mode: lowering.modeFor(input),
  });
}

function shifted(place: Place, columns: number): Place {
  return { ...place, address: place.address + 4 * columns };
}

function at(group: Region | undefined, floats: number): number {
  if (group === undefined) throw new RangeError("Cannot find parameters: the program has no such group");
  return group.address + 4 * floats;
}
