import { type ToolContext } from "./run-tool.ts";

/** What a route is given: an empty folder, in which the package must be afterwards, and someone to tell what it does. */
export interface RouteContext extends ToolContext {
  /** Whether this machine has an NVIDIA GPU, or the caller wants it treated so. */
  readonly gpu: boolean;
}

/** One way to get the package with its native library. Throws why it cannot. */
export interface Route {
  readonly name: string;
  readonly install: (context: RouteContext) => Promise<void>;
}
