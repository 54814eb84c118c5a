/*
 * What decoding costs, counted by the engine and not by the code that is judged: how often each block of protocols/ ran, and what was
 * allocated for buffers and for objects.
 */
import { Session } from "node:inspector";
import { getHeapStatistics } from "node:v8";

/** The most that decoders may take. Buffers are judged input by input, blocks and objects over some together. */
const COST_MAX = {
  /** Buffers of one input: twice its bytes, and these. */
  bufferBytes: 64 * 1024,
  /** Runs of blocks of code: for each byte, and for each input whatever it holds. */
  blocksPerByte: 30,
  blocksPerInput: 1_000,
  /** Objects, garbage included: a number or text of one byte becomes an object of some words. */
  heapPerByte: 150,
  heapPerInput: 16 * 1024,
  /** What the allocator sets aside shows in pieces: of some inputs together so much may be others'. */
  heapBytes: 8 * 1024 * 1024,
} as const;

const NOTHING = { "inputs counted": 0, "bytes counted": 0, "blocks run": 0, "bytes of objects": 0 };

/** One thing to decode. */
export interface Decoding {
  readonly bytes: number;
  /** Whatever comes of it: what a decoder may throw is caught in here. */
  readonly run: () => void;
}

/** Counts from its making on. Modules loaded before are not looked into. */
export class DecodeCost {
  readonly #session = new Session();
  #counts = NOTHING;

  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Decodes each twice; says what took too much. */
  judge(decodings: readonly Decoding[]): string | undefined {
    for (const { bytes, run } of decodings) {
      const before = getHeapStatistics().external_memory;
      run();
      // Too few where the collector was at work meanwhile, which is seldom.
      const made = getHeapStatistics().external_memory - before;
      if (made > 2 * bytes + COST_MAX.bufferBytes) return `${bytes} bytes made buffers of ${made}`;
    }
    // Without a look at the heap between them: each look ends what its allocator had set aside, and counts that.
    this.#takeBlocks();
    const before = getHeapStatistics().total_allocated_bytes;
    for (const { run } of decodings) run();
    const heapBytes = getHeapStatistics().total_allocated_bytes - before;
    const blocks = this.#takeBlocks();
    const inputs = decodings.length;
    const bytes = decodings.reduce((sum, decoding) => sum + decoding.bytes, 0);
    this.#counts = {
      "inputs counted": this.#counts["inputs counted"] + inputs,
      "bytes counted": this.#counts["bytes counted"] + bytes,
      "blocks run": this.#counts["blocks run"] + blocks,
      "bytes of objects": this.#counts["bytes of objects"] + heapBytes,
    };
    const what = `${inputs} inputs of ${bytes} bytes together`;
    if (blocks > COST_MAX.blocksPerByte * bytes + COST_MAX.blocksPerInput * inputs) {
      return `${what} ran ${blocks} blocks of code`;
    }
    return heapBytes > COST_MAX.heapPerByte * bytes + COST_MAX.heapPerInput * inputs + COST_MAX.heapBytes
      ? `${what} made objects of ${heapBytes} bytes`
      : undefined;
  }

  /** What was counted since the last call. */
  take(): Readonly<Record<string, number>> {
    const counts = this.#counts;
    this.#counts = NOTHING;
    return counts;
  }

  /** Ends the counting, which takes time; to be used no more. */
  end(): undefined {
    this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  #takeBlocks(): number {
    let blocks = 0;
    this.#session.post("Profiler.takePreciseCoverage", (error, { result }) => {
      if (error !== null) throw error;
      for (const { url, functions } of result) {
        if (!url.includes("/protocols/")) continue;
        for (const { ranges } of functions) for (const { count } of ranges) blocks += count;
      }
    });
    return blocks;
  }
}
