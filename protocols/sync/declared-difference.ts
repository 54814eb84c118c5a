import { type TableSpec } from "./row-store.ts";

/** Longer values are not shown. */
const SHOWN_CHARS_MAX = 60;

/** Says the first thing in which two declarations differ that are not the same; how they learn last, as that changes with all else. */
export function declaredDifference(held: readonly TableSpec[], wanted: readonly TableSpec[]): string {
  for (const [index, table] of held.entries()) {
    const now = wanted[index];
    if (now?.name !== table.name) return `table '${table.name}' is ${now === undefined ? "gone" : `now '${now.name}'`}`;
  }
  for (const field of ["dim", "precision", "valueBytes", "stateBytes"] as const) {
    for (const [index, { name, [field]: was }] of held.entries()) {
      const is = wanted[index]?.[field];
      if (was !== is) return `'${name}' has ${field} ${was} in the image, now ${is}`;
    }
  }
  for (const [index, { name, optimizer: was }] of held.entries()) {
    const is = wanted[index]?.optimizer ?? "";
    if (was !== is) return `'${name}' ${meaningDifference(was, is)}`;
  }
  return `table '${wanted[held.length]?.name ?? ""}' is new`;
}

/** Beside a table stands what its rows mean, in the first one's case what those of all do, as JSON: the first of its fields that is not the same. */
function meaningDifference(was: string, is: string): string {
  const [before, now] = [fieldsOf(was), fieldsOf(is)];
  for (const name of new Set([...before.keys(), ...now.keys()])) {
    const [old = "none", current = "none"] = [before.get(name), now.get(name)];
    if (old === current) continue;
    const isShort = old.length <= SHOWN_CHARS_MAX && current.length <= SHOWN_CHARS_MAX;
    return isShort ? `has ${name} ${old} in the image, now ${current}` : `has other ${name} in the image than now`;
  }
  return "is learned otherwise, or by another model";
}

function fieldsOf(text: string): ReadonlyMap<string, string> {
  try {
    const value: unknown = JSON.parse(text);
    const fields = typeof value === "object" && value !== null ? Object.entries(value) : [];
    return new Map(fields.map(([name, field]: [string, unknown]) => [name, JSON.stringify(field)]));
  } catch (error) {
    if (error instanceof SyntaxError) return new Map();
    throw error;
  }
}
