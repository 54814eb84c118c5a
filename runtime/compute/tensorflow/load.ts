import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import util from "node:util";
import { isTfjs, type Tfjs } from "./tfjs.ts";

/** The version that the backend is written for. */
export const TFJS = { package: "@tensorflow/tfjs-node-gpu", version: "4.22.0" } as const;

export interface Tensorflow {
  readonly tf: Tfjs;
  readonly device: "CPU" | "GPU";
  /** Of the library, and of the package that speaks to it. */
  readonly version: string;
  readonly packageVersion: string;
}

/** TensorFlow was asked for by name, and is not there or does not load. */
export class TensorflowUnavailable extends Error {
  override readonly name = "TensorflowUnavailable";
  readonly home: string;

  constructor(home: string, why: string, options?: ErrorOptions) {
    super(`Cannot compute with TensorFlow: ${why}; npx freshet setup tensorflow sets it up`, options);
    this.home = home;
  }
}

/** Whether something was set up there. Whether it works is known once it was loaded. */
export function isSetUp(home: string): boolean {
  return existsSync(join(home, "node_modules", TFJS.package, "package.json"));
}

/** To be called on the main thread, whose environment is what the library sees, before others load it. Throws where it is not set up. */
export function prepareTensorflow(home: string): void {
  if (!isSetUp(home)) throw new TensorflowUnavailable(home, `it is not set up in ${home}`);
  // Or it tells of its CPU's features on standard error.
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "2";
}

/** Loads what was set up in `home`. Several threads may, each for itself; one with permissions needs addons and to read `home`. */
export function loadTensorflow(home: string): Tensorflow {
  prepareTensorflow(home);
  restoreUtil();
  let loaded: unknown;
  try {
    loaded = createRequire(join(home, "package.json"))(TFJS.package);
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
    throw new TensorflowUnavailable(home, `what is set up in ${home} does not load: ${why}`, { cause: error });
  }
  if (!isTfjs(loaded)) throw new TensorflowUnavailable(home, `what is in ${home} is not ${TFJS.package}`);
  const { isUsingGpuDevice, binding } = loaded.backend();
  return {
    tf: loaded,
    device: isUsingGpuDevice ? "GPU" : "CPU",
    version: binding.TF_Version,
    packageVersion: loaded.version.tfjs,
  };
}

/** Functions that the package calls: Node dropped one in version 23, and warns about the other. */
function restoreUtil(): void {
  Reflect.set(util, "isNullOrUndefined", (value: unknown) => value === null || value === undefined);
  Reflect.set(util, "isArray", (value: unknown) => Array.isArray(value));
}
