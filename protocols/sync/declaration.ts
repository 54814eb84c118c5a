import { SYNC_LIMITS } from "../limits.ts";
import { crc32c } from "../wire/checksum.ts";
import { exactBytesOf, valueBytesOf } from "./precision.ts";
import { type TableSpec } from "./row-store.ts";

/** Tables that no store can hold. */
class InvalidDeclaration extends Error {
  override readonly name = "InvalidDeclaration";

  constructor(table: string, why: string) {
    super(`Cannot declare table '${table}': ${why}`);
  }
}

/** Throws `InvalidDeclaration` unless rows of every table have a sound layout and fit a frame. */
export function checkTables(tables: readonly TableSpec[]): void {
  const first = tables[0]?.name ?? "(none)";
  if (tables.length === 0 || tables.length > SYNC_LIMITS.tablesMax) {
    throw new InvalidDeclaration(first, `a shard has 1 to ${SYNC_LIMITS.tablesMax} tables`);
  }
  if (new Set(tables.map((table) => table.name)).size !== tables.length) {
    throw new InvalidDeclaration(first, "two tables have the same name");
  }
  for (const { name, dim, valueBytes, stateBytes, precision } of tables) {
    if (!Number.isSafeInteger(dim) || dim < 1) {
      throw new InvalidDeclaration(name, `its dim is ${dim}, not a whole number from 1`);
    }
    const wanted = valueBytesOf(precision, dim);
    if (valueBytes !== wanted) throw new InvalidDeclaration(name, `its values take ${wanted} bytes, not ${valueBytes}`);
    if (!Number.isSafeInteger(stateBytes) || stateBytes < 0 || stateBytes % 4 !== 0) {
      throw new InvalidDeclaration(name, `its state takes ${stateBytes} bytes, not whole floats`);
    }
    const exact = exactBytesOf(precision, dim);
    if (stateBytes < exact) {
      throw new InvalidDeclaration(name, `its state takes ${stateBytes} bytes, and its exact numbers ${exact}`);
    }
    if (valueBytes + stateBytes > SYNC_LIMITS.rowBytesMax) {
      throw new InvalidDeclaration(name, `a row is larger than ${SYNC_LIMITS.rowBytesMax} bytes`);
    }
  }
}

/** Sixteen hex digits that are equal where the declarations are. Guards against mistakes, not against malice. */
export function declarationDigest(tables: readonly TableSpec[]): string {
  const known = digests.get(tables) ?? digestOf(tables);
  digests.set(tables, known);
  return known;
}

const digests = new WeakMap<readonly TableSpec[], string>();

function digestOf(tables: readonly TableSpec[]): string {
  const text = JSON.stringify(
    tables.map((table) => [
      table.name,
      table.dim,
      table.valueBytes,
      table.stateBytes,
      table.precision,
      table.optimizer,
    ]),
  );
  const forward = Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
  const backward = Uint8Array.from(forward).reverse();
  return hex(crc32c(forward)) + hex(crc32c(backward));
}

function hex(word: number): string {
  return word.toString(16).padStart(8, "0");
}
