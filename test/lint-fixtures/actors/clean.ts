import { compare } from "../protocols/sync/version.ts";
import { type ActorName } from "../runtime/actor.ts";

export { draw } from "./draw.ts";

export function first(names: readonly ActorName[]): ActorName | undefined {
  return compare({ t: 1, writer: "a" }, { t: 2, writer: "b" }) < 0 ? names.at(0) : undefined;
}

export { openBackend } from "../runtime/compute/backends.ts";
export { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";
export { type StreamProtocol } from "../runtime/stream-protocol.ts";
