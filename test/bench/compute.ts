import { plain } from "../../protocols/compute/plain.ts";
import { type Backend } from "../../protocols/compute/backend.ts";
import { plainMatrix } from "../../protocols/compute/topk.ts";
import { createRandom, nextNormal } from "../../protocols/random.ts";
import { backendChoice, openBackend } from "../../runtime/compute/backends.ts";
import { kernelMatrix } from "../../runtime/compute/kernel-matrix.ts";
import { kernelsBackend } from "../../runtime/compute/kernels-backend.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { filledProgram } from "./compute-model.ts";
import { onnxModel, openOnnx } from "./compute-onnx.ts";
import { compileReference, type Reference } from "./compute-reference.ts";

/** Something that is measured: CPU microseconds of one batch, all threads together. */
interface Contender {
  readonly name: string;
  readonly measure: () => Promise<number>;
}

/** A promise about the kernels beside somebody. */
interface Target {
  readonly beside: string;
  readonly times: number;
}

const TRAINING = 512;
const INFERENCE = [1, 32, 128] as const;
const PLAIN_TIMES = { 1: 8, 32: 10, 128: 10 };
const C_NAME = "C (gcc -O3 -march=native)";
const ROUNDS = 7;
const MEASURE_MS = 60;

/** The same model by everybody who is there, in one run and turn by turn: samples a CPU second. Then the nearest rows. */
export async function* compute(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { progress, signal, peers } = options;
  try {
    const backends = [kernelsBackend(), plain, ...(await tensorflow(progress))];
    const reference = await compileReference(signal);
    if ("why" in reference) progress.write(`compute: no reference in C: ${reference.why}\n`);
    await using inC = "why" in reference ? undefined : reference;
    const onnx = openOnnx(peers);
    if (onnx === undefined) {
      progress.write("compute: no ONNX Runtime: npm install onnxruntime-node in a folder, and name it with --peers\n");
    }

    progress.write(`compute: training, batch ${TRAINING}\n`);
    const trained = backends.map((backend) => trainer(backend));
    const losses = trained.map(({ loss }) => loss);
    const contenders: Contender[] = [...trained];
    if (inC !== undefined) contenders.push(await referenceOf(inC, { what: "train", size: TRAINING, signal, losses }));
    sameLoss(losses);
    const targets = [
      { beside: "plain", times: 11 },
      { beside: "tensorflow", times: 4 },
    ];
    yield* describe(`training, batch ${TRAINING}`, { us: await turns(contenders, signal), size: TRAINING, targets });

    for (const size of INFERENCE) {
      if (signal.aborted) return;
      progress.write(`compute: inference, batch ${size}\n`);
      const all: Contender[] = backends.map((backend) => predictor(backend, size));
      if (inC !== undefined && size === 128) {
        all.push(await referenceOf(inC, { what: "infer", size, signal, losses: [] }));
      }
      if (onnx !== undefined) {
        using compiled = filledProgram(plain, size);
        const expected = compiled.forward(size);
        const model = await onnxModel(onnx, { compiled, size });
        sameProbabilities(await model.predict(), expected);
        all.push({ name: "onnxruntime", measure: () => cpuUsOf(async () => void (await model.predict())) });
      }
      const promised = [
        { beside: "plain", times: PLAIN_TIMES[size] },
        { beside: "onnxruntime", times: 3 },
      ];
      yield* describe(`inference, batch ${size}`, { us: await turns(all, signal), size, targets: promised });
    }
    if (!signal.aborted) yield* nearest(options);
  } catch (error) {
    // Ended by whoever started it: what was measured was in the middle of something.
    if (!signal.aborted) throw error;
  }
}

function trainer(backend: Backend): Contender & { readonly loss: number } {
  const compiled = filledProgram(backend, TRAINING);
  function step(): number {
    compiled.forward(TRAINING);
    return compiled.backward().loss;
  }
  return { name: backend.name, loss: step(), measure: () => cpuUsOf(step) };
}

function predictor(backend: Backend, size: number): Contender {
  const compiled = filledProgram(backend, size);
  return { name: backend.name, measure: () => cpuUsOf(() => void compiled.forward(size)) };
}

async function referenceOf(
  reference: Reference,
  options: {
    readonly what: "train" | "infer";
    readonly size: number;
    readonly signal: AbortSignal;
    readonly losses: number[];
  },
): Promise<Contender> {
  const { what, losses } = options;
  losses.push((await reference.measure(what, options)).loss);
  return { name: C_NAME, measure: async () => (await reference.measure(what, options)).us };
}

async function tensorflow(progress: BenchOptions["progress"]): Promise<readonly Backend[]> {
  try {
    return [await openBackend(backendChoice("tensorflow", process.env))];
  } catch (error) {
    progress.write(`compute: no TensorFlow: ${error instanceof Error ? error.message : String(error)}\n`);
    return [];
  }
}

/** The nearest rows of a catalogue, as the recall of candidates asks for them. */
async function* nearest({ progress, signal, seed }: BenchOptions): AsyncGenerator<BenchFigure> {
  const [rows, dim, k] = [100_000, 32, 100];
  progress.write(`compute: top ${k} of ${rows} rows of ${dim}\n`);
  const random = createRandom(seed);
  function drawn(): Float32Array {
    return Float32Array.from({ length: dim }, () => nextNormal(random));
  }
  const [fast, slow] = [kernelMatrix(dim), plainMatrix(dim)];
  for (let row = 0; row < rows; row += 1) {
    const values = drawn();
    fast.put(row, values);
    slow.put(row, values);
  }
  const queries = Array.from({ length: 50 }, drawn);
  let asked = 0;
  function next(): Float32Array {
    asked += 1;
    return queries[asked % queries.length] ?? new Float32Array(dim);
  }
  let found = 0;
  for (const query of queries.slice(0, 10)) {
    const best = new Set(slow.top(query, k).map(({ index }) => index));
    found += fast.top(query, k).filter(({ index }) => best.has(index)).length / k;
  }
  const us = await turns(
    [
      { name: "kernels", measure: () => cpuUsOf(() => void fast.top(next(), k)) },
      { name: "plain", measure: () => cpuUsOf(() => void slow.top(next(), k)) },
    ],
    signal,
  );
  const [ours, theirs] = [medianOf(us.get("kernels")) / 1000, medianOf(us.get("plain")) / 1000];
  const name = `exact top ${k} of ${rows} x ${dim}`;
  const beside = { compared: `plain: ${round(theirs)} ms`, ratio: ours / theirs };
  yield {
    bench: "compute",
    figure: name,
    value: round(ours),
    unit: "ms",
    ...beside,
    target: "<= 0.3",
    met: ours <= 0.3,
  };
  const recall = found / 10;
  yield { bench: "compute", figure: `${name}: recall`, value: recall, unit: "", target: "1", met: recall === 1 };
}

/** The kernels' rate, and beside it that of each other one. */
function* describe(
  name: string,
  of: {
    readonly us: ReadonlyMap<string, readonly number[]>;
    readonly size: number;
    readonly targets: readonly Target[];
  },
): Generator<BenchFigure> {
  const ours = of.us.get("kernels") ?? [];
  const [value, unit] = [rateOf(ours, of.size), "k samples/CPU s"];
  yield { bench: "compute", figure: `${name}: CPU of a batch`, value: round(medianOf(ours)), unit: "us" };
  for (const [other, theirs] of of.us) {
    if (other === "kernels") continue;
    // Whatever else the machine does bears on both of a turn.
    const ratio = medianOf(ours.map((us, turn) => (theirs[turn] ?? Number.NaN) / us));
    const beside = { compared: `${other}: ${rateOf(theirs, of.size)}`, ratio: round(ratio) };
    const promised = of.targets.find(({ beside: whom }) => whom === other);
    const target =
      promised === undefined ? {} : { target: `>= ${promised.times}x ${other}`, met: ratio >= promised.times };
    yield { bench: "compute", figure: name, value, unit, ...beside, ...target };
  }
}

/** Everybody once a turn, so that what slows the machine slows all. */
async function turns(
  contenders: readonly Contender[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const us = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let turn = 0; turn < ROUNDS && !signal.aborted; turn += 1) {
    for (const { name, measure } of contenders) us.get(name)?.push(await measure());
  }
  return us;
}

/** CPU microseconds a call of this process, all its threads together. */
async function cpuUsOf(work: () => unknown): Promise<number> {
  for (let i = 0; i < 5; i += 1) await work();
  const before = process.cpuUsage();
  const startedMs = performance.now();
  let calls = 0;
  while (performance.now() - startedMs < MEASURE_MS) {
    const result = work();
    if (result instanceof Promise) await result;
    calls += 1;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

function sameLoss(losses: readonly number[]): void {
  const [first = Number.NaN] = losses;
  if (losses.some((loss) => !(Math.abs(loss - first) < 1e-4))) {
    throw new Error(`Cannot compare: the losses of one batch are ${losses.join(", ")}`);
  }
}

function sameProbabilities(given: Float32Array, expected: Float32Array): void {
  for (const [i, p] of expected.entries()) {
    if (!(Math.abs((given[i] ?? Number.NaN) - p) < 1e-4)) throw new Error(`Cannot compare: ${given[i]} is not ${p}`);
  }
}

function rateOf(us: readonly number[], size: number): number {
  return round((size / medianOf(us)) * 1000);
}

function medianOf(values: readonly number[] | undefined): number {
  return values?.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
