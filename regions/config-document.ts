import { getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";

/*
 * The text of a config file as a tree that remembers where each value stands.
 */

const DEPTH_MAX = 64;

/** Something in the text that is no JSON, or a key that stands twice in its object. */
export interface TextProblem {
  readonly offset: number;
  readonly path: readonly PropertyKey[];
  readonly given: string;
  readonly allowed: string;
}

/** A parsed text. `root` is absent when there is nothing to look at. */
export interface ConfigDocument {
  readonly root?: Node;
  readonly value: unknown;
  readonly problems: readonly TextProblem[];
}

/** Parses JSON with comments and trailing commas. With an error in the text there is no value to go by. */
export function parseDocument(text: string): ConfigDocument {
  const allowed = "JSON, with comments and trailing commas";
  // A byte order mark is what some editors put first.
  const source = text.startsWith("\uFEFF") ? ` ${text.slice(1)}` : text;
  function refused(offset: number, given: string): TextProblem {
    return { offset, path: [], given, allowed };
  }
  if (deepest(source) > DEPTH_MAX) {
    return { value: undefined, problems: [refused(0, `nested deeper than ${DEPTH_MAX} levels`)] };
  }
  const errors: ParseError[] = [];
  const root = parseTree(source, errors, { allowTrailingComma: true });
  if (root === undefined && errors.every((error) => printParseErrorCode(error.error) === "ValueExpected")) {
    return { value: undefined, problems: [refused(0, "empty")] };
  }
  if (root === undefined || errors.length > 0) {
    return {
      value: undefined,
      problems: errors
        .slice(0, 20)
        .map((error) => refused(error.offset, `not JSON here (${spaced(printParseErrorCode(error.error))})`)),
    };
  }
  const value: unknown = getNodeValue(root);
  return { root, value, problems: repeatedKeys(root, []) };
}

/** The value at a path, or undefined. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const part of path) {
    if (typeof at !== "object" || at === null) return undefined;
    at = Object.getOwnPropertyDescriptor(at, part)?.value;
  }
  return at;
}

function deepest(text: string): number {
  let depth = 0;
  let most = 0;
  for (const character of text) {
    if (character === "{" || character === "[") most = Math.max(most, ++depth);
    else if (character === "}" || character === "]") depth--;
  }
  return most;
}

function spaced(code: string): string {
  return code.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
}

function repeatedKeys(node: Node, path: readonly PropertyKey[]): TextProblem[] {
  const children = node.children ?? [];
  if (node.type === "array") return children.flatMap((child, index) => repeatedKeys(child, [...path, index]));
  if (node.type !== "object") return [];
  const seen = new Set<string>();
  return children.flatMap((property) => {
    const [key, value] = property.children ?? [];
    const name = String(key?.value);
    const twice = seen.has(name);
    seen.add(name);
    return [
      ...(twice
        ? [{ offset: property.offset, path: [...path, name], given: "written twice", allowed: "once in its object" }]
        : []),
      ...(value === undefined ? [] : repeatedKeys(value, [...path, name])),
    ];
  });
}
