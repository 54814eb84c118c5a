/* Loads a compiled subject of assembly/ over a memory. Works in a worker without any permission: what is read is code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../error-code.ts";

/** A WebAssembly memory that threads share. It may be posted to another worker, which then sees the same bytes. */
export interface SharedMemory {
  /** All of it, as of now: after it grew, older buffers still show what they showed. */
  readonly buffer: SharedArrayBuffer;
  /** Adds pages of 64 KiB, and gives how many there were. */
  grow(pages: number): number;
}

/** Functions take and give numbers (an i64 is a bigint), as WebAssembly's do. `(...values: [rows: number, dim: number]) => void` declares one. */
type Functions<T> = { readonly [K in keyof T]: (...values: never[]) => number | bigint | void };

/** How many parameters each function takes, which the interface already says: so the two, and the compiled code, must agree. */
export type Arities<T extends Functions<T>> = { readonly [K in keyof T]: Parameters<T[K]>["length"] };

/** `relaxed` fuses multiply and add, whose last bit then depends on the machine. `plain` gives the same bits everywhere. */
export type Build = "relaxed" | "plain";

// The part of WebAssembly's interface that is used here; TypeScript has it only among what browsers have.
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => CompiledModule;
  readonly Instance: new (
    module: CompiledModule,
    imports: { readonly env: { readonly memory: SharedMemory } },
  ) => { readonly exports: object };
  readonly Memory: new (size: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }) => SharedMemory;
};

interface CompiledModule {
  readonly [Symbol.toStringTag]: string;
}

const PAGE_BYTES = 65_536;
/** 4 GiB: where 32-bit addresses end. */
const PAGES_MAX = 65_536;

/** Nothing was compiled yet, or something else stands in its place. */
class CannotLoad extends Error {
  override readonly name = "CannotLoad";

  constructor(subject: string, why: string, options?: ErrorOptions) {
    super(`Cannot load the compute kernels '${subject}': ${why}`, options);
  }
}

/** A memory of zeros. Only what is touched costs memory of the machine. */
export function createMemory({ bytes, bytesMax }: { readonly bytes: number; readonly bytesMax: number }): SharedMemory {
  const [initial, maximum] = [
    Math.max(1, Math.ceil(bytes / PAGE_BYTES)),
    Math.max(1, Math.ceil(bytesMax / PAGE_BYTES)),
  ];
  if (!(initial <= maximum && maximum <= PAGES_MAX)) {
    throw new RangeError(
      `Cannot make a memory of ${bytes} bytes that grows to ${bytesMax}: at most ${PAGES_MAX * PAGE_BYTES}`,
    );
  }
  return new WebAssembly.Memory({ initial, maximum, shared: true });
}

/** The functions of a subject over `memory`. Code is compiled once a thread; each call gives an instance of its own. */
export function loadSubject<T extends Functions<T>>(
  subject: string,
  options: { readonly memory: SharedMemory; readonly arities: Arities<T>; readonly build?: Build },
): T {
  const compiled = options.build === undefined ? fastest(subject) : moduleOf(subject, options.build);
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory: options.memory } });
  if (!hasFunctions(exports, { compiled, arities: options.arities })) {
    throw new CannotLoad(subject, "what is built does not fit this version; run npm run prepare");
  }
  return exports;
}

/** Whether this engine has relaxed SIMD, by a look at the code in question. */
export function hasRelaxedSimd(subject: string): boolean {
  return WebAssembly.validate(bytesOf(subject, "relaxed"));
}

const modules = new Map<string, CompiledModule>();

function fastest(subject: string): CompiledModule {
  return modules.get(nameOf(subject, "relaxed")) ?? moduleOf(subject, hasRelaxedSimd(subject) ? "relaxed" : "plain");
}

function moduleOf(subject: string, build: Build): CompiledModule {
  const name = nameOf(subject, build);
  const known = modules.get(name);
  if (known !== undefined) return known;
  const made = new WebAssembly.Module(bytesOf(subject, build));
  modules.set(name, made);
  return made;
}

function bytesOf(subject: string, build: Build): Uint8Array {
  try {
    return readFileSync(join(import.meta.dirname, "built", `${nameOf(subject, build)}.wasm`));
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    throw new CannotLoad(subject, "it has not been compiled; run npm install or npm run prepare", { cause: error });
  }
}

function nameOf(subject: string, build: Build): string {
  return build === "relaxed" ? `${subject}-relaxed` : subject;
}

/** Code whose instances were found to have what is declared: to look takes about as long as to make one. */
const checked = new WeakSet<CompiledModule>();

/** Each function is there with as many parameters as declared, and there are no others: else code and declaration are of different versions. */
function hasFunctions<T extends Functions<T>>(
  exports: object,
  { compiled, arities }: { readonly compiled: CompiledModule; readonly arities: Arities<T> },
): exports is T {
  if (checked.has(compiled)) return true;
  const found = Object.entries(exports).map(([name, value]: [string, unknown]) =>
    typeof value === "function" ? `${name}/${value.length}` : name,
  );
  const wanted = Object.entries(arities).map(([name, arity]) => `${name}/${String(arity)}`);
  if (found.toSorted().join() !== wanted.toSorted().join()) return false;
  checked.add(compiled);
  return true;
}
