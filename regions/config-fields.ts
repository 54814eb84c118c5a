import type * as z from "zod";
import { regionConfigJsonSchema } from "./config.ts";

/** What is allowed where a schema says no more than its type. */
export function allowedText(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return kindName(issue.expected);
    case "invalid_value":
      return issue.values.map((value) => JSON.stringify(value)).join(", ");
    case "invalid_union":
      return "one of the forms that the examples show";
    case "too_small":
      return `at least ${issue.minimum}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    case "invalid_format":
    case "invalid_key":
    case "invalid_element":
    case "not_multiple_of":
    case "unrecognized_keys":
    case "custom":
      return "another value";
  }
}

function kindName(expected: string): string {
  switch (expected) {
    case "object":
      return "an object";
    case "array":
      return "a list";
    case "string":
      return "a text";
    case "boolean":
      return "true or false";
    default:
      return `a ${expected}`;
  }
}

/** The fields that an object at a path of a config file may have, of whichever form; where forms have a `kind`, of the given one's. */
export function fieldsAt(path: readonly PropertyKey[], given?: unknown): readonly string[] {
  let at: readonly unknown[] = [regionConfigJsonSchema()];
  for (const part of path) {
    at = at.flatMap(alternatives).flatMap((schema) => {
      const next =
        typeof part === "number" ? member(schema, "items") : member(member(schema, "properties"), String(part));
      return next === undefined ? [] : [next];
    });
  }
  const fields = ofKind(at.flatMap(alternatives), given).flatMap((schema) => {
    const properties = member(schema, "properties");
    return typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
  });
  return [...new Set(fields)].filter((name) => name !== "$schema");
}

/** A missing kind means the first form, as in `config-architecture.ts`. */
function ofKind(forms: readonly unknown[], given: unknown): readonly unknown[] {
  const kinds = forms.map((form) => member(member(member(form, "properties"), "kind"), "const"));
  const wanted = member(given, "kind") ?? kinds[0];
  const chosen = forms.filter((_, at) => wanted !== undefined && kinds[at] === wanted);
  return chosen.length === 0 ? forms : chosen;
}

function alternatives(schema: unknown): readonly unknown[] {
  const forms = member(schema, "anyOf") ?? member(schema, "oneOf");
  return Array.isArray(forms) ? forms.flatMap(alternatives) : [schema];
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}
