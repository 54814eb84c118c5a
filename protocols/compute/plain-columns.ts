// Operations that move and add columns.
import { type PlainMemory, type PlainStep } from "./plain-memory.ts";
import { type Columns, type ColumnSum, type Concat, type Sum, type Tensor } from "./program.ts";

const NONE = new Float32Array(0);

export function concatStep({ inputs, width }: Concat, memory: PlainMemory, result: Tensor): PlainStep {
  let from = 0;
  const parts = inputs.map((tensor) => {
    const part = { input: tensor, every: width, from, to: from + memory.width(tensor) };
    from = part.to;
    return part;
  });
  const [out, delta] = [memory.values(result), memory.deltas(result) ?? NONE];
  return {
    forward(size) {
      for (const part of parts) {
        const columns = part.to - part.from;
        const x = memory.values(part.input);
        for (let sample = 0; sample < size; sample += 1) {
          const at = sample * width + part.from;
          for (let i = 0; i < columns; i += 1) out[at + i] = x[sample * columns + i] ?? 0;
        }
      }
    },
    backward(size) {
      for (const part of parts) {
        const columns = part.to - part.from;
        const to = memory.deltas(part.input);
        if (to === undefined) continue;
        for (let sample = 0; sample < size; sample += 1) {
          const at = sample * width + part.from;
          const base = sample * columns;
          for (let i = 0; i < columns; i += 1) to[base + i] = (to[base + i] ?? 0) + (delta[at + i] ?? 0);
        }
      }
    },
  };
}

export function columnsStep({ input, every, from, to }: Columns, memory: PlainMemory, result: Tensor): PlainStep {
  const [x, out] = [memory.values(input), memory.values(result)];
  const [inputDelta, delta] = [memory.deltas(input), memory.deltas(result) ?? NONE];
  const blocks = every === 0 ? 0 : memory.width(input) / every;
  const columns = to - from;
  return {
    forward(size) {
      for (let block = 0; block < size * blocks; block += 1) {
        for (let i = 0; i < columns; i += 1) out[block * columns + i] = x[block * every + from + i] ?? 0;
      }
    },
    backward(size) {
      if (inputDelta === undefined) return;
      for (let block = 0; block < size * blocks; block += 1) {
        const at = block * every + from;
        for (let i = 0; i < columns; i += 1) {
          inputDelta[at + i] = (inputDelta[at + i] ?? 0) + (delta[block * columns + i] ?? 0);
        }
      }
    },
  };
}

export function sumStep({ inputs, width }: Sum, memory: PlainMemory, result: Tensor): PlainStep {
  const parts = inputs.map((tensor) => ({ values: memory.values(tensor), deltas: memory.deltas(tensor) }));
  const [out, delta] = [memory.values(result), memory.deltas(result) ?? NONE];
  return {
    forward(size) {
      for (let i = 0; i < size * width; i += 1) {
        let sum = 0;
        for (const { values } of parts) sum += values[i] ?? 0;
        out[i] = sum;
      }
    },
    backward(size) {
      for (const { deltas } of parts) {
        if (deltas === undefined) continue;
        for (let i = 0; i < size * width; i += 1) deltas[i] = (deltas[i] ?? 0) + (delta[i] ?? 0);
      }
    },
  };
}

export function columnSumStep({ input }: ColumnSum, memory: PlainMemory, result: Tensor): PlainStep {
  const [x, out] = [memory.values(input), memory.values(result)];
  const [inputDelta, delta] = [memory.deltas(input), memory.deltas(result) ?? NONE];
  const width = memory.width(input);
  return {
    forward(size) {
      for (let sample = 0; sample < size; sample += 1) {
        let sum = 0;
        for (let i = sample * width; i < (sample + 1) * width; i += 1) sum += x[i] ?? 0;
        out[sample] = sum;
      }
    },
    backward(size) {
      if (inputDelta === undefined) return;
      for (let sample = 0; sample < size; sample += 1) {
        const d = delta[sample] ?? 0;
        for (let i = sample * width; i < (sample + 1) * width; i += 1) inputDelta[i] = (inputDelta[i] ?? 0) + d;
      }
    },
  };
}
