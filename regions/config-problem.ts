import { type Node, findNodeAtLocation } from "jsonc-parser";
import type * as z from "zod";
import { nearestName } from "./nearest-name.ts";

/** One thing that is wrong in a config file, with all that is needed to mend it. */
export interface ConfigProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Such as `models[0].shards`; empty for the file as a whole. */
  readonly path: string;
  readonly given: string;
  readonly allowed: string;
}

/** `FILE:LINE:COLUMN: PATH is GIVEN; allowed: ALLOWED`. */
export function describeProblem(problem: ConfigProblem): string {
  const what = problem.path === "" ? "the file" : problem.path;
  return `${problem.file}:${problem.line}:${problem.column}: ${what} is ${problem.given}; allowed: ${problem.allowed}`;
}

/** What one finding of the schema says of places in the file: path, what is allowed, and the key where the key itself is wrong. */
export interface Finding {
  readonly path: readonly PropertyKey[];
  readonly allowed: string;
  readonly unknownKey?: string;
}

/** Unrolls the schema's issues: each unknown key is one finding, and of a union the nearest alternative speaks. */
export function findings(
  issues: readonly z.core.$ZodIssue[],
  options: {
    readonly keysAt: (path: readonly PropertyKey[]) => readonly string[];
    readonly under?: readonly PropertyKey[];
  },
): Finding[] {
  const { keysAt, under = [] } = options;
  return issues.flatMap((issue): Finding[] => {
    const path = [...under, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => {
        const known = keysAt(path);
        const nearest = nearestName(key, known);
        const allowed =
          nearest === undefined ? `one of ${known.join(", ")}` : `"${nearest}" is the nearest of ${known.join(", ")}`;
        return { path: [...path, key], allowed, unknownKey: key };
      });
    }
    if (issue.code === "invalid_union") {
      const nearest = nearestAlternative(issue.errors);
      if (nearest !== undefined) return findings(nearest, { keysAt, under: path });
    }
    return [{ path, allowed: issue.message }];
  });
}

/** The alternative that recognises most of what was given, or undefined when none recognises even its kind. */
function nearestAlternative(
  alternatives: readonly (readonly z.core.$ZodIssue[])[],
): readonly z.core.$ZodIssue[] | undefined {
  const shaped = alternatives.filter(
    (issues) =>
      !issues.some(
        (issue) => issue.path.length === 0 && (issue.code === "invalid_type" || issue.code === "invalid_value"),
      ),
  );
  return shaped.toSorted((left, right) => strangeness(left) - strangeness(right))[0];
}

function strangeness(issues: readonly z.core.$ZodIssue[]): number {
  // A wrong value in a known field is a smaller miss than a field that the alternative does not have.
  return issues.reduce((sum, issue) => sum + (issue.code === "unrecognized_keys" ? 10 * issue.keys.length : 1), 0);
}

/** `models[0].shards` for `["models", 0, "shards"]`. */
export function writePath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .replace(/^\./, "");
}

/** What stands at a path, cut to a line; a text where a secret belongs is never shown. */
export function describeGiven(value: unknown, path: readonly PropertyKey[]): string {
  if (value === undefined) return "missing";
  if (isSecretPlace(path) && (typeof value !== "object" || value === null)) return "a value that is not shown";
  if (typeof value === "string" && /^[^/]*\/\/[^/]*@/.test(value)) {
    return "an address with credentials in it, not shown";
  }
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function isSecretPlace(path: readonly PropertyKey[]): boolean {
  return (
    path.some((part) => typeof part === "string" && /pass|token|secret|key$|env|file/i.test(part)) &&
    !path.includes("tables")
  );
}

/** Where in the text a path stands, or the nearest thing round it that does. */
export function offsetAt(root: Node, path: readonly PropertyKey[]): number {
  const steps = path.map((part) => (typeof part === "number" ? part : String(part)));
  for (let length = steps.length; length >= 0; length--) {
    const node = findNodeAtLocation(root, steps.slice(0, length));
    // A field's finding points at its name.
    if (node !== undefined) return node.parent?.type === "property" ? node.parent.offset : node.offset;
  }
  return 0;
}

/** Line and column, both from 1, of an offset in a text. */
export function positionAt(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}
