import * as z from "zod";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type LayoutProblem } from "./config-layout.ts";
import { featureName } from "./config-values.ts";

const RISING = "1 to 100 numbers, each larger than the one before";
const bounds = z
  .array(z.number({ error: "a number" }))
  .min(1, { error: RISING })
  .max(100, { error: RISING })
  .refine((list) => list.every((bound, at) => at === 0 || bound > (list[at - 1] ?? bound)), { error: RISING })
  .readonly();

/** Features made of others. */
export const derived = z
  .array(
    z.discriminatedUnion(
      "kind",
      [
        z.strictObject({
          name: featureName,
          kind: z.literal("bucketised"),
          of: featureName.meta({ description: "The number, by its name" }),
          bounds: bounds.meta({ description: "Where its ranges meet" }),
        }),
        z.strictObject({
          name: featureName,
          kind: z.literal("crossed"),
          of: z
            .array(featureName)
            .min(2, { error: "2 to 4 features" })
            .max(4, { error: "2 to 4 features" })
            .readonly()
            .meta({ description: "user, item, categorical features, or derived ones declared before" }),
        }),
      ],
      { error: (issue) => (issue.code === "invalid_union" ? '"bucketised", "crossed"' : undefined) },
    ),
  )
  .max(64, { error: "at most 64 derived features" })
  .readonly();

/** Derived features that mean nothing: called like another, made of a later one, used by nobody, or taken for a list. */
export function derivedProblems({ derived: list = [], tables }: ModelDeclaration): readonly LayoutProblem[] {
  const names = list.map(({ name }) => name);
  const used = new Set([
    ...tables.flatMap(({ key, sequence }) => (sequence === undefined ? [key] : [])),
    ...list.flatMap((each) => (each.kind === "crossed" ? each.of : [])),
  ]);
  const listed = tables.flatMap(({ sequence }, index): LayoutProblem[] =>
    sequence !== undefined && names.includes(sequence.of)
      ? [{ path: ["tables", index, "sequence", "of"], allowed: "a feature that events bring, not a derived one" }]
      : [],
  );
  const wrong = list.flatMap((feature, index): LayoutProblem[] => {
    const { name } = feature;
    const path = ["derived", index, "name"];
    if (name === "user" || name === "item" || names.indexOf(name) < index) {
      return [{ path, allowed: "a name other than user, item and those of the features before" }];
    }
    if (!used.has(name)) return [{ path, allowed: "the key of a table, or a part of a crossed feature" }];
    if (feature.kind !== "crossed") return [];
    const later = feature.of.findIndex((part) => names.includes(part, index));
    return later < 0 ? [] : [{ path: ["derived", index, "of", later], allowed: "a feature that is declared before" }];
  });
  return [...wrong, ...listed];
}
