import { type Backend } from "../../protocols/compute/backend.ts";
import { plain } from "../../protocols/compute/plain.ts";
import { plainMatrix, type RowMatrix } from "../../protocols/compute/topk.ts";
import { type Permissions } from "../permissions.ts";
import { kernelMatrix } from "./kernel-matrix.ts";
import { kernelsBackend } from "./kernels-backend.ts";
import { tensorflowHome } from "./tensorflow/home.ts";

/** What can compute models, by name: the first is the default, `plain` needs nothing but the engine, `tensorflow` has to be set up. */
export const BACKEND_NAMES = ["kernels", "plain", "tensorflow"] as const;

export type BackendName = (typeof BACKEND_NAMES)[number];

/** A backend to open, as data: a thread without an environment cannot find out where TensorFlow is. */
export type BackendChoice =
  | { readonly kind: Exclude<BackendName, "tensorflow"> }
  | { readonly kind: "tensorflow"; readonly home: string };

export function backendChoice(name: BackendName, env: Readonly<Record<string, string | undefined>>): BackendChoice {
  return name === "tensorflow" ? { kind: name, home: tensorflowHome(env) } : { kind: name };
}

/** What a thread needs to open it. */
export function backendPermissions(choice: BackendChoice): Permissions {
  return choice.kind === "tensorflow" ? { read: [choice.home], addons: true } : {};
}

/** A backend of this thread. Rejects with why where it cannot work here. */
export async function openBackend(choice: BackendChoice): Promise<Backend> {
  switch (choice.kind) {
    case "kernels":
      return kernelsBackend();
    case "plain":
      return plain;
    case "tensorflow": {
      // Only who asked for it pays for loading it.
      const { loadTensorflow } = await import("./tensorflow/load.ts");
      const { tensorflowBackend } = await import("./tensorflow/backend.ts");
      return tensorflowBackend(loadTensorflow(choice.home));
    }
  }
}

/** Rows for the largest inner products. A GPU has no part in it: a question is over sooner than its rows would be there. */
export function matrixFor(choice: BackendChoice, dim: number): RowMatrix {
  return choice.kind === "plain" ? plainMatrix(dim) : kernelMatrix(dim);
}
