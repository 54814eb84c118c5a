export { shard } from "../../actors/shard.ts"; // expect eslint(no-restricted-imports)
export { node } from "../../regions/node.ts"; // expect eslint(no-restricted-imports)
export { joiner } from "../../protocols/learning/joiner.ts"; // expect eslint(no-restricted-imports)
export { keyOf } from "../../protocols/keys.ts"; // expect eslint(no-restricted-imports)
export { codeFolder } from "../permissions.ts";
export { program } from "../../protocols/compute/program.ts";
export { compare } from "../../protocols/sync/version.ts";
export { type RowStore } from "../../protocols/sync/row-store.ts";
