import * as z from "zod";
import { integer, token } from "./config-values.ts";

const layers = z
  .array(integer({ min: 1, max: 4096 }))
  .max(8, { error: "at most 8 layers" })
  .readonly();
const embedding = integer({ min: 1, max: 256 }).default(16).meta({ description: "Floats of an embedding" });
const deep = layers.default([64, 32]).meta({ description: "Widths of the deep layers" });

const logistic = z.strictObject({ kind: z.literal("logistic") });

const dlrm = z.strictObject({
  kind: z.literal("dlrm"),
  embedding,
  bottom: layers.default([32]).meta({ description: "Widths of the hidden layers over dense features" }),
  top: layers.default([32, 16]).meta({ description: "Widths of the hidden layers over the interactions" }),
});

const dcn = z.strictObject({
  kind: z.literal("dcn-v2"),
  embedding,
  cross: integer({ min: 0, max: 8 }).default(3).meta({ description: "How many cross layers" }),
  deep,
});

const deepFm = z.strictObject({ kind: z.literal("deepfm"), embedding, deep });

const twoTower = z.strictObject({
  kind: z.literal("two-tower"),
  embedding,
  user: layers.default([32]).meta({ description: "Widths of the hidden layers on the user's side" }),
  item: layers.default([32]).meta({ description: "Widths of the hidden layers on the item's side" }),
  output: integer({ min: 1, max: 256 })
    .default(16)
    .meta({ description: "Floats of the vectors that both towers end in" }),
  itemTables: z.array(token).max(64, { error: "at most 64 tables" }).readonly().default([]).meta({
    description:
      "Names of tables on the item's side, beside those keyed by item: keyed by what is derived of item, age and popularity alone",
  }),
  itemDense: z
    .array(z.string())
    .max(64, { error: "at most 64 dense features" })
    .readonly()
    .default([])
    .meta({ description: "Dense features on the item's side: age, popularity" }),
});

const KINDS = '"dlrm", "dcn-v2", "deepfm", "two-tower", "logistic"';

/** What a model computes, by its `kind`; a DLRM where none is named. */
export const architecture = z.preprocess(
  (given) => (typeof given === "object" && given !== null && !("kind" in given) ? { kind: "dlrm", ...given } : given),
  z.discriminatedUnion("kind", [dlrm, dcn, deepFm, twoTower, logistic], {
    error: (issue) => (issue.code === "invalid_union" ? KINDS : undefined),
  }),
);
