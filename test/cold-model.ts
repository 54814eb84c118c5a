import { type ModelDeclaration } from "../protocols/model.ts";
import { clicksModel } from "./shard-support.ts";

export const COLD_DIM = 4;

/** Of its users the contents of a hundred rows, of 24 bytes with what OGD keeps, are in memory. */
export const COLD_MODEL: ModelDeclaration = clicksModel(COLD_DIM, { memoryBytes: 2_400 });

/** So many keys, from one on. */
export function keysOf(count: number, from = 0): bigint[] {
  return Array.from({ length: count }, (_, at) => BigInt(from + at));
}
