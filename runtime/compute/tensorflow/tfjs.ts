/* What of @tensorflow/tfjs-node-gpu is used here. The package is optional, so its own types are not there when this is checked. */

/** A batch of numbers in TensorFlow's memory. Lives until it is disposed of, or until the `tidy` that it was made in ends. */
export interface Tensor {
  readonly shape: readonly number[];
  /** A copy, once all that it depends on is computed. */
  dataSync(): Float32Array | Int32Array | Uint8Array;
  dispose(): void;
}

export interface Tfjs {
  tidy<T extends Tensor | readonly Tensor[]>(work: () => T): T;
  dispose(tensors: readonly Tensor[]): void;
  tensor(values: Float32Array | Int32Array, shape: readonly number[], type: "float32" | "int32"): Tensor;
  zeros(shape: readonly number[]): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  concat(tensors: readonly Tensor[], axis: number): Tensor;
  slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  pad(x: Tensor, paddings: readonly (readonly [before: number, after: number])[]): Tensor;
  tile(x: Tensor, times: readonly number[]): Tensor;
  gather(x: Tensor, indices: Tensor, axis: number): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  addN(tensors: readonly Tensor[]): Tensor;
  sub(a: Tensor, b: Tensor): Tensor;
  mul(a: Tensor, b: Tensor): Tensor;
  square(x: Tensor): Tensor;
  sum(x: Tensor, axis: number, keepDims?: boolean): Tensor;
  relu(x: Tensor): Tensor;
  step(x: Tensor): Tensor;
  memory(): { readonly numTensors: number };
  backend(): TfjsBackend;
  readonly version: { readonly tfjs: string };
}

interface TfjsBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}

const FUNCTIONS = [
  "tidy",
  "dispose",
  "tensor",
  "zeros",
  "reshape",
  "concat",
  "slice",
  "pad",
  "tile",
  "gather",
  "matMul",
  "add",
  "addN",
  "sub",
  "mul",
  "square",
  "sum",
  "relu",
  "step",
  "memory",
  "backend",
];

/** Whether all that is used is there. Its types are taken on trust: the version is pinned, and what is set up is proven. */
export function isTfjs(loaded: unknown): loaded is Tfjs {
  return (
    typeof loaded === "object" &&
    loaded !== null &&
    FUNCTIONS.every((name) => typeof Reflect.get(loaded, name) === "function")
  );
}
