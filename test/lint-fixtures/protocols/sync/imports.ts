export { join } from "../../runtime/worker.ts"; // expect eslint(no-restricted-imports)
export { shard } from "../../actors/shard.ts"; // expect eslint(no-restricted-imports)
export { node } from "../../regions/node.ts"; // expect eslint(no-restricted-imports)
export { world } from "../../properties/world.ts"; // expect eslint(no-restricted-imports)
export { rows } from "../../test/rows.ts"; // expect eslint(no-restricted-imports)
export { readFile } from "node:fs"; // expect eslint(no-restricted-imports)
export { z } from "zod"; // expect eslint(no-restricted-imports)
export { type Clock } from "./../../runtime/clock.ts"; // expect eslint(no-restricted-imports)
export { mailbox } from "../wire/../../runtime/mailbox.ts"; // expect eslint(no-restricted-imports)

export async function late(): Promise<unknown> {
  return import("../../runtime/worker.ts"); // expect eslint(no-restricted-imports)
}
