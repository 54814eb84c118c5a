import { type Backend } from "../../protocols/compute/backend.ts";
import { plain } from "../../protocols/compute/plain.ts";
import { kernelsBackend } from "./kernels-backend.ts";

/** What can compute models, by name: the first is the default, `plain` needs nothing but the engine. */
export const BACKEND_NAMES = ["kernels", "plain"] as const;

export type BackendName = (typeof BACKEND_NAMES)[number];

/** A backend of this thread. Rejects with why where it cannot work here. */
export async function backendNamed(name: BackendName): Promise<Backend> {
  switch (name) {
    case "kernels":
      return kernelsBackend();
    case "plain":
      return plain;
  }
}
