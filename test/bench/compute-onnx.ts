// The model of the bench for ONNX Runtime: the bytes of an ONNX file, and a session of the package that the folder named with --peers has.
import { createRequire } from "node:module";
import { join } from "node:path";
import { type CompiledProgram } from "../../protocols/compute/backend.ts";

/** Predicts a batch of one size. */
export interface OnnxModel {
  predict(): Promise<Float32Array>;
}

interface Onnx {
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
  readonly InferenceSession: {
    create(
      model: Uint8Array,
      options: { readonly intraOpNumThreads: number; readonly interOpNumThreads: number },
    ): Promise<{ run(feeds: Readonly<Record<string, unknown>>): Promise<Record<string, { readonly data: unknown }>> }>;
  };
}

/** The package, or undefined where it is not there. */
export function openOnnx(folder: string | undefined): Onnx | undefined {
  if (folder === undefined) return undefined;
  try {
    // It has the classes that its documentation names; it is no dependency whose types could say so.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return createRequire(join(folder, "package.json"))("onnxruntime-node") as Onnx;
  } catch {
    return undefined;
  }
}

/** The parameters and the batch of a compiled program, in one thread of ONNX Runtime. */
export async function onnxModel(
  onnx: Onnx,
  { compiled, size }: { compiled: CompiledProgram; size: number },
): Promise<OnnxModel> {
  const session = await onnx.InferenceSession.create(modelBytes(compiled), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  const { tables, dim, denseFeatures } = compiled.program;
  const { dense, embeddings } = compiled.inputs;
  const feeds = {
    dense: new onnx.Tensor("float32", Float32Array.from(dense.subarray(0, size * denseFeatures)), [
      size,
      denseFeatures,
    ]),
    embeddings: new onnx.Tensor("float32", Float32Array.from(embeddings.subarray(0, size * tables * dim)), [
      size,
      tables,
      dim,
    ]),
  };
  return {
    async predict() {
      const { probabilities } = await session.run(feeds);
      if (!(probabilities?.data instanceof Float32Array)) throw new TypeError("Cannot read what ONNX Runtime predicts");
      return probabilities.data;
    },
  };
}

function modelBytes({ program, parameters }: CompiledProgram): Uint8Array {
  const { tables, dim } = program;
  const vectors = tables + 1;
  const pairs: number[] = [];
  for (let i = 1; i < vectors; i += 1) for (let j = 0; j < i; j += 1) pairs.push(i * vectors + j);
  const nodes: Uint8Array[] = [];
  const constants: Uint8Array[] = [];

  function node(
    kind: string,
    inputs: readonly string[],
    options: { readonly out: string; readonly attributes?: readonly Uint8Array[] },
  ): string {
    const { out, attributes = [] } = options;
    const named = [...inputs.map((input) => text(1, input)), text(2, out), text(4, kind)];
    nodes.push(message(1, ...named, ...attributes.map((attribute) => message(5, attribute))));
    return out;
  }
  function constant(
    name: string,
    { data, dims }: { data: Float32Array | BigInt64Array; dims: readonly number[] },
  ): string {
    const type = data instanceof Float32Array ? FLOAT : INT64;
    constants.push(message(5, ...dims.map((size) => varint(1, size)), varint(2, type), text(8, name), bytes(9, data)));
    return name;
  }
  function layer(at: number, { input, relu }: { readonly input: string; readonly relu: boolean }): string {
    const operation = program.operations.filter((each) => each.kind === "dense")[at];
    const group = parameters[operation?.group ?? -1];
    if (operation === undefined || group === undefined) throw new RangeError(`Cannot find layer ${at}`);
    const { weightsAt, biasesAt, width } = operation;
    const columns = (biasesAt - weightsAt) / width;
    const weights = constant(`weights ${at}`, { data: group.slice(weightsAt, biasesAt), dims: [width, columns] });
    const biases = constant(`biases ${at}`, { data: group.slice(biasesAt, biasesAt + width), dims: [width] });
    const turned = concat(text(1, "transB"), varint(3, 1), varint(20, INT_ATTRIBUTE));
    const out = node("Gemm", [input, weights, biases], { out: `layer ${at}`, attributes: [turned] });
    return relu ? node("Relu", [out], { out: `relu ${at}` }) : out;
  }
  function reshaped(input: string, { out, dims }: { readonly out: string; readonly dims: readonly number[] }): string {
    const shape = constant(`shape of ${out}`, { data: BigInt64Array.from(dims, BigInt), dims: [dims.length] });
    return node("Reshape", [input, shape], { out });
  }

  const axis1 = concat(text(1, "axis"), varint(3, 1), varint(20, INT_ATTRIBUTE));
  const bottom = layer(1, { input: layer(0, { input: "dense", relu: true }), relu: true });
  const first = reshaped(bottom, { out: "bottom vector", dims: [-1, 1, dim] });
  const all = node("Concat", [first, "embeddings"], { out: "vectors", attributes: [axis1] });
  const order = concat(text(1, "perm"), ...[0, 2, 1].map((axis) => varint(8, axis)), varint(20, INTS_ATTRIBUTE));
  const turned = node("Transpose", [all], { out: "turned", attributes: [order] });
  const square = reshaped(node("MatMul", [all, turned], { out: "dots" }), {
    out: "flat dots",
    dims: [-1, vectors * vectors],
  });
  const which = constant("pairs", { data: BigInt64Array.from(pairs, BigInt), dims: [pairs.length] });
  const chosen = node("Gather", [square, which], { out: "pair dots", attributes: [axis1] });
  const joined = node("Concat", [bottom, chosen], { out: "top input", attributes: [axis1] });
  const hidden = layer(3, { input: layer(2, { input: joined, relu: true }), relu: true });
  node("Sigmoid", [layer(4, { input: hidden, relu: false })], { out: "probabilities" });

  const graph = message(
    7,
    ...nodes,
    text(2, "dlrm"),
    ...constants,
    valueOf(11, { name: "dense", dims: [program.denseFeatures] }),
    valueOf(11, { name: "embeddings", dims: [tables, dim] }),
    valueOf(12, { name: "probabilities", dims: [1] }),
  );
  return concat(varint(1, 8), graph, message(8, varint(2, 13)));
}

// ONNX's protocol buffers: what a field's number means is in onnx.proto.
const FLOAT = 1;
const INT64 = 7;
const INT_ATTRIBUTE = 2;
const INTS_ATTRIBUTE = 7;

/** A tensor whose first dimension is the batch. */
function valueOf(
  field: number,
  { name, dims }: { readonly name: string; readonly dims: readonly number[] },
): Uint8Array {
  const shape = message(2, message(1, text(2, "batch")), ...dims.map((size) => message(1, varint(1, size))));
  return message(field, text(1, name), message(2, message(1, varint(1, FLOAT), shape)));
}

function varint(field: number, value: number): Uint8Array {
  return concat(unsigned(field * 8), unsigned(value));
}

function text(field: number, value: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(value));
}

function message(field: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return bytes(field, concat(...parts));
}

function bytes(field: number, data: Uint8Array | Float32Array | BigInt64Array): Uint8Array {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return concat(unsigned(field * 8 + 2), unsigned(raw.length), raw);
}

function unsigned(value: number): Uint8Array {
  const groups: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) groups.push((rest % 128) + 128);
  return Uint8Array.of(...groups, rest);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
