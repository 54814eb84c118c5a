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

/** The rows of a table as tests of their own, each with its number: a row that is a list is the body's arguments, as vitest has it. */
test.each = function each(rows: readonly unknown[]) {
  return (name: string, ...rest: readonly unknown[]): void => {
    const body = rest.find((argument) => typeof argument === "function");
    if (body === undefined) throw new TypeError(`Cannot collect the test '${name}': it has no body`);
    for (const [at, row] of rows.entries()) {
      const given: unknown[] = Array.isArray(row) ? row : [row];
      add(`${name} (${at + 1})`, () => Reflect.apply(body, undefined, given));
    }
  };
};

export function beforeEach(body: Body): void {
  collecting.before.push(body);
}

function add(name: string, run: Body): void {
  collecting.tests.push({ name, run });
}
