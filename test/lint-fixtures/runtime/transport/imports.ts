export { shard } from "../../actors/shard.ts"; // expect eslint(no-restricted-imports)
export { node } from "../../regions/node.ts"; // expect eslint(no-restricted-imports)
export { compare } from "../../protocols/sync/version.ts"; // expect eslint(no-restricted-imports)
export { step } from "../../protocols/leadership/lease.ts"; // expect eslint(no-restricted-imports)
