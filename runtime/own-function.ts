/*
 * A function that the operator brings, in a worker of its own: a module named in the config file, and one of its exports. It is called with
 * data and answers with data; what it throws is an answer too. It has the permissions of its worker, which are to read its own folder.
 */
import { pathToFileURL } from "node:url";
import { messageOf } from "../protocols/wire/error-message.ts";
import { defineActor } from "./actor.ts";
import { type OwnFunctionProtocol } from "./own-function-protocol.ts";

export interface OwnFunctionConfig {
  readonly path: string;
  /** Of the function that it exports. */
  readonly name: string;
}

/** The module cannot be used as it is. */
export class ModuleUnusable extends Error {
  override readonly name = "ModuleUnusable";

  constructor({ path, name }: OwnFunctionConfig, why: string, options?: ErrorOptions) {
    super(`Cannot use the module ${path}: ${why}. It must be an ES module that exports a function '${name}'`, options);
  }
}

/** Calls one function of one module, one call after the other. */
export const ownFunction = defineActor<OwnFunctionProtocol, OwnFunctionConfig>({
  kind: "own-function",
  messages: ["call"],
  setup: async (config) => {
    const run = await load(config);
    return {
      handlers: {
        call: async ({ input }) => {
          try {
            const value: unknown = await run(input);
            return { kind: "returned", value: structuredClone(value) };
          } catch (error) {
            return { kind: "threw", why: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
          }
        },
      },
    };
  },
});

type OwnFunction = (input: unknown) => unknown;

async function load(config: OwnFunctionConfig): Promise<OwnFunction> {
  let loaded: unknown;
  try {
    loaded = await import(pathToFileURL(config.path).href);
  } catch (error) {
    throw new ModuleUnusable(config, messageOf(error), { cause: error });
  }
  const exported = typeof loaded === "object" && loaded !== null ? loaded : {};
  const found = new Map<string, unknown>(Object.entries(exported)).get(config.name);
  if (!isFunction(found)) throw new ModuleUnusable(config, "there is none");
  return found;
}

function isFunction(value: unknown): value is OwnFunction {
  return typeof value === "function";
}
