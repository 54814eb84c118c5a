/* The operations of a program as TensorFlow's, both ways. Every tensor of a program is samples x width here too. */
import {
  type Bias,
  type Columns,
  type ColumnSum,
  type Concat,
  type CrossLayer,
  type DenseLayer,
  type DotInteraction,
  type DotProduct,
  type FactorizationMachine,
  type Operation,
  type Sum,
} from "../../../protocols/compute/program.ts";
import { type Tensor, type Tfjs } from "./tfjs.ts";

/** Where operations find values and leave gradients. */
export interface Batch {
  readonly tf: Tfjs;
  readonly size: number;
  value(tensor: number): Tensor;
  width(tensor: number): number;
  /** Whether anybody asks for the gradient by it. */
  wants(tensor: number): boolean;
  /** Adds to the gradient by an input. */
  give(tensor: number, gradient: Tensor): void;
  parameters(group: number, at: number, shape: readonly number[]): Tensor;
  giveParameters(group: number, at: number, gradient: Tensor): void;
}

export interface TensorflowStep {
  forward(batch: Batch): Tensor;
  /** Given the gradient by its result and that result. */
  backward(batch: Batch, delta: Tensor, result: Tensor): void;
}

export function stepOf(operation: Operation, tf: Tfjs): TensorflowStep {
  switch (operation.kind) {
    case "dense":
      return denseStep(operation);
    case "cross":
      return crossStep(operation);
    case "bias":
      return biasStep(operation);
    case "concat":
      return concatStep(operation);
    case "columns":
      return columnsStep(operation);
    case "dot-interaction":
      return dotInteractionStep(operation, tf);
    case "factorization-machine":
      return factorizationMachineStep(operation);
    case "sum":
      return sumStep(operation);
    case "column-sum":
      return columnSumStep(operation);
    case "dot-product":
      return dotProductStep(operation);
  }
}

function denseStep(layer: DenseLayer): TensorflowStep {
  return {
    forward(batch) {
      const mapped = mapForward(layer, batch);
      return layer.relu ? batch.tf.relu(mapped) : mapped;
    },
    backward(batch, delta, result) {
      mapBackward(layer, batch, layer.relu ? batch.tf.mul(delta, batch.tf.step(result)) : delta);
    },
  };
}

function crossStep(layer: CrossLayer): TensorflowStep {
  const { first, input } = layer;
  return {
    forward(batch) {
      const { tf } = batch;
      return tf.add(tf.mul(batch.value(first), mapForward(layer, batch)), batch.value(input));
    },
    backward(batch, delta) {
      const { tf } = batch;
      if (batch.wants(first)) batch.give(first, tf.mul(delta, mapForward(layer, batch)));
      batch.give(input, delta);
      mapBackward(layer, batch, tf.mul(delta, batch.value(first)));
    },
  };
}

function mapForward({ input, group, weightsAt, biasesAt, width }: DenseLayer | CrossLayer, batch: Batch): Tensor {
  const { tf } = batch;
  const weights = batch.parameters(group, weightsAt, [width, batch.width(input)]);
  return tf.add(tf.matMul(batch.value(input), weights, false, true), batch.parameters(group, biasesAt, [width]));
}

function mapBackward(layer: DenseLayer | CrossLayer, batch: Batch, delta: Tensor): void {
  const { tf } = batch;
  const { input, group, weightsAt, biasesAt, width } = layer;
  batch.giveParameters(group, weightsAt, tf.matMul(delta, batch.value(input), true, false));
  batch.giveParameters(group, biasesAt, tf.sum(delta, 0));
  if (!batch.wants(input)) return;
  batch.give(input, tf.matMul(delta, batch.parameters(group, weightsAt, [width, batch.width(input)])));
}

function biasStep({ input, group, biasesAt, width }: Bias): TensorflowStep {
  return {
    forward: (batch) => batch.tf.add(batch.value(input), batch.parameters(group, biasesAt, [width])),
    backward(batch, delta) {
      batch.giveParameters(group, biasesAt, batch.tf.sum(delta, 0));
      batch.give(input, delta);
    },
  };
}

function concatStep({ inputs }: Concat): TensorflowStep {
  return {
    forward: (batch) =>
      batch.tf.concat(
        inputs.map((input) => batch.value(input)),
        1,
      ),
    backward: (batch, delta) => giveParts(batch, inputs, delta),
  };
}

function columnsStep({ input, every, from, to, width }: Columns): TensorflowStep {
  return {
    forward(batch) {
      const { tf, size } = batch;
      const blocks = (size * batch.width(input)) / every;
      const rows = tf.reshape(batch.value(input), [blocks, every]);
      return tf.reshape(tf.slice(rows, [0, from], [blocks, to - from]), [size, width]);
    },
    backward(batch, delta) {
      if (!batch.wants(input)) return;
      const { tf, size } = batch;
      const blocks = (size * batch.width(input)) / every;
      const rows = tf.reshape(delta, [blocks, to - from]);
      const around = [[0, 0] as const, [from, every - to] as const];
      batch.give(input, tf.reshape(tf.pad(rows, around), [size, batch.width(input)]));
    },
  };
}

/** All dots are one product of the vectors with themselves; the pairs are picked from it, and put back, by index. */
function dotInteractionStep({ inputs, dim, width }: DotInteraction, tf: Tfjs): TensorflowStep {
  const vectors = (1 + Math.sqrt(1 + 8 * width)) / 2;
  const picked = new Int32Array(width);
  // The diagonal takes from a column of zeros after the pairs.
  const put = new Int32Array(vectors * vectors).fill(width);
  for (let i = 1, pair = 0; i < vectors; i += 1) {
    for (let j = 0; j < i; j += 1, pair += 1) {
      picked[pair] = i * vectors + j;
      put[i * vectors + j] = pair;
      put[j * vectors + i] = pair;
    }
  }
  return {
    forward(batch) {
      const side = sideBySide(batch, { inputs, vectors, dim });
      const dots = tf.reshape(tf.matMul(side, side, false, true), [batch.size, vectors * vectors]);
      return tf.gather(dots, tf.tensor(picked, [width], "int32"), 1);
    },
    backward(batch, delta) {
      const { size } = batch;
      const padded = tf.concat([delta, tf.zeros([size, 1])], 1);
      const pairs = tf.reshape(tf.gather(padded, tf.tensor(put, [put.length], "int32"), 1), [size, vectors, vectors]);
      const gradient = tf.matMul(pairs, sideBySide(batch, { inputs, vectors, dim }));
      giveParts(batch, inputs, tf.reshape(gradient, [size, vectors * dim]));
    },
  };
}

function factorizationMachineStep({ inputs, dim }: FactorizationMachine): TensorflowStep {
  function vectorsOf(batch: Batch): number {
    return inputs.reduce((columns, input) => columns + batch.width(input), 0) / dim;
  }
  return {
    forward(batch) {
      const { tf, size } = batch;
      const side = sideBySide(batch, { inputs, vectors: vectorsOf(batch), dim });
      const squares = tf.sub(tf.square(tf.sum(side, 1)), tf.sum(tf.square(side), 1));
      return tf.mul(tf.reshape(tf.sum(squares, 1), [size, 1]), half(tf));
    },
    backward(batch, delta) {
      const { tf, size } = batch;
      const vectors = vectorsOf(batch);
      const side = sideBySide(batch, { inputs, vectors, dim });
      const others = tf.sub(tf.sum(side, 1, true), side);
      const gradient = tf.mul(others, tf.reshape(delta, [size, 1, 1]));
      giveParts(batch, inputs, tf.reshape(gradient, [size, vectors * dim]));
    },
  };
}

function sumStep({ inputs }: Sum): TensorflowStep {
  return {
    forward: (batch) => batch.tf.addN(inputs.map((input) => batch.value(input))),
    backward(batch, delta) {
      for (const input of inputs) batch.give(input, delta);
    },
  };
}

function columnSumStep({ input }: ColumnSum): TensorflowStep {
  return {
    forward: (batch) => batch.tf.sum(batch.value(input), 1, true),
    backward: (batch, delta) => batch.give(input, batch.tf.tile(delta, [1, batch.width(input)])),
  };
}

function dotProductStep({ left, right }: DotProduct): TensorflowStep {
  return {
    forward: (batch) => batch.tf.sum(batch.tf.mul(batch.value(left), batch.value(right)), 1, true),
    backward(batch, delta) {
      batch.give(left, batch.tf.mul(delta, batch.value(right)));
      batch.give(right, batch.tf.mul(delta, batch.value(left)));
    },
  };
}

/** The inputs' columns as samples x vectors x dim. */
function sideBySide(
  batch: Batch,
  of: { readonly inputs: readonly number[]; readonly vectors: number; readonly dim: number },
): Tensor {
  const { tf, size } = batch;
  return tf.reshape(
    tf.concat(
      of.inputs.map((input) => batch.value(input)),
      1,
    ),
    [size, of.vectors, of.dim],
  );
}

/** Hands each input its own columns of a gradient by all of them side by side. */
function giveParts(batch: Batch, inputs: readonly number[], gradient: Tensor): void {
  let from = 0;
  for (const input of inputs) {
    const columns = batch.width(input);
    if (batch.wants(input) && columns > 0) {
      batch.give(input, batch.tf.slice(gradient, [0, from], [batch.size, columns]));
    }
    from += columns;
  }
}

function half(tf: Tfjs): Tensor {
  return tf.tensor(Float32Array.of(0.5), [1], "float32");
}
