/*
 * Stands in for vitest's `test` under pure-runner.ts: collects tests instead of running them. The matchers are vitest's own.
 */
import { expect } from "vitest";

export { expect };

type Body = () => unknown;

interface CollectedTest {
  readonly name: string;
  readonly run: Body;
}

export interface CollectedFile {
  readonly tests: CollectedTest[];
  readonly before: Body[];
}

let collecting: CollectedFile = { tests: [], before: [] };

/** Imports a test file and answers what it declares. */
export async function collect(url: string): Promise<CollectedFile> {
  const collected: CollectedFile = { tests: [], before: [] };
  collecting = collected;
  await import(url);
  return collected;
}

/** A test as vitest takes it: the body comes with options or a time limit, which mean nothing here. */
export function test(name: string, ...rest: readonly unknown[]): void {
  const body = rest.find((argument) => typeof argument === "function");
  if (body === undefined) throw new TypeError(`Cannot collect the test '${name}': it has no body`);
  add(name, () => Reflect.apply(body, undefined, []));
}

/** The rows of a table as tests of their own, with the row or its fields in the name. */
test.each = function each(rows: readonly unknown[]) {
  return (name: string, ...rest: readonly unknown[]): void => {
    const body = rest.find((argument) => typeof argument === "function");
    if (body === undefined) throw new TypeError(`Cannot collect the test '${name}': it has no body`);
    for (const row of rows) add(withRow(name, row), () => Reflect.apply(body, undefined, [row]));
  };
};

export function beforeEach(body: Body): void {
  collecting.before.push(body);
}

function add(name: string, run: Body): void {
  collecting.tests.push({ name, run });
}

function withRow(name: string, row: unknown): string {
  return name.replaceAll(/%s|\$(\w+)/g, (whole, field?: string) => {
    if (field === undefined) return String(row);
    const value: unknown = typeof row === "object" && row !== null ? Reflect.get(row, field) : undefined;
    return typeof value === "string" || typeof value === "number" ? `${value}` : whole;
  });
}
