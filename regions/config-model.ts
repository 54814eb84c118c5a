import * as z from "zod";
import { type AdmissionRule } from "../protocols/learning/admission.ts";
import { EVENT_LIMITS } from "../protocols/feedback.ts";
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { architecture } from "./config-architecture.ts";
import { derived, derivedProblems } from "./config-derived.ts";
import { layoutProblems } from "./config-layout.ts";
import { optimizer } from "./config-optimizer.ts";
import { towerProblems } from "./config-towers.ts";
import { duration, featureName, integer, size, token } from "./config-values.ts";

const ADMIT_RULE = '{ "count": 3 }, with "memory": "1MB" if need be, or { "probability": 0.1 }';
const chanceAllowed = "a probability above 0, up to 1";
const admit = z
  .union(
    [
      z.strictObject({
        count: integer({ min: 2, max: 100 }),
        memory: size({ min: "1KB", max: "1GB" }).prefault("1MB").meta({
          description:
            "Of each shard, for counting: 8 bytes remember one sighting of a key without a row. What is older counts half",
        }),
      }),
      z.strictObject({
        probability: z
          .number({ error: chanceAllowed })
          .gt(0, { error: chanceAllowed })
          .max(1, { error: chanceAllowed }),
      }),
    ],
    { error: ADMIT_RULE },
  )
  .transform((it): AdmissionRule =>
    "count" in it
      ? { kind: "count", count: it.count, bytes: it.memory }
      : { kind: "probability", probability: it.probability },
  );

const SEQUENCE_RULE = '{ "of": "recent", "last": 20, "pooling": "mean" }';
const sequence = z.strictObject({
  of: featureName.meta({ description: "A feature that events and requests bring as a list, newest last" }),
  last: integer({ min: 1, max: EVENT_LIMITS.listEntriesMax })
    .default(20)
    .meta({ description: "Entries that count, from the end" }),
  pooling: z
    .enum(["mean", "sum", "max"])
    .default("mean")
    .meta({ description: "How their rows become one; of an empty list they are zeros" }),
});

const table = z
  .strictObject({
    name: token,
    key: featureName.optional().meta({
      description: "Where a sample's key comes from: user, item, or the name of a categorical or derived feature",
    }),
    sequence: sequence.optional().meta({
      description: `In place of key: a row for each of the last entries of a list, such as the items that the user had last: ${SEQUENCE_RULE}`,
    }),
    precision: z.enum(["f32", "f16", "i8"]).default("f32").meta({
      description:
        "How its numbers are held and sent. f16 halves a row's values on every link and disk, i8 (whole numbers times a scale of the row) about quarters them",
    }),
    ttl: duration({ min: "10s", max: "3650d" })
      .optional()
      .meta({ description: "A row that was not trained for so long is gone, in every region; without it, never" }),
    budget: size({ min: "1MB", max: "1TB" }).optional().meta({
      description:
        "The most memory of its rows with their optimizer state, all shards together; beyond it those that were not trained for longest go, in every region",
    }),
    memory: size({ min: "1MB", max: "1TB" }).optional().meta({
      description:
        "Of its rows' values and optimizer state, so much is kept in memory by each node, all shards together: those in use. The others lie on disk, in the state folder. Without it all are in memory",
    }),
    admit: admit.optional().meta({
      description:
        'When a key gets a row: { "count": 3 }, at its third sighting, or { "probability": 0.1 } at each; without it, at once',
    }),
    unknown: z.enum(["initial", "zero"]).exactOptional().meta({
      description:
        "What a key without a row is read as: the values that its row would start from, or zeros. Default: zero where admit stands, else initial",
    }),
  })
  .superRefine(({ key, sequence: list }, context) => {
    if (list === undefined ? key === undefined : key !== undefined && key !== list.of) {
      const path = ["key"];
      context.addIssue({
        code: "custom",
        path,
        message: `either a key such as "user", or a sequence: ${SEQUENCE_RULE}`,
      });
    }
    if (list?.of === "user" || list?.of === "item") {
      context.addIssue({ code: "custom", path: ["sequence", "of"], message: "a feature that is a list" });
    }
  })
  .transform(({ ttl, budget, memory, admit: rule, key = "", sequence: list, name, ...rest }) => ({
    name,
    key: list?.of ?? key,
    ...(list !== undefined && { sequence: list }),
    ...rest,
    ...(budget !== undefined && { budgetBytes: budget }),
    ...(memory !== undefined && { memoryBytes: memory }),
    ...(ttl !== undefined && { ttlMs: ttl }),
    ...(rule !== undefined && { admit: rule }),
  }));

const tables = z
  .array(table)
  .max(SYNC_LIMITS.tablesMax, {
    error: `at most ${SYNC_LIMITS.tablesMax} tables, with those that each model has of its own`,
  })
  .superRefine((list, context) => {
    for (const key of ["user", "item"]) {
      if (!list.some((each) => each.key === key && each.sequence === undefined)) {
        context.addIssue({ code: "custom", message: `tables of which one has the key "${key}"` });
      }
    }
    for (const index of repeated(list.map((each) => each.name))) {
      context.addIssue({
        code: "custom",
        path: [index, "name"],
        message: "a name that no other table of the model has",
      });
    }
  });

const percentileAllowed = "a number from 0 to 100";
const percentile = z
  .number({ error: percentileAllowed })
  .min(0, { error: percentileAllowed })
  .max(100, { error: percentileAllowed });

const keptAllowed = "a share from 0.001 to 1";
const keptShare = z.number({ error: keptAllowed }).min(0.001, { error: keptAllowed }).max(1, { error: keptAllowed });

const dense = z
  .array(featureName)
  .max(64, { error: "at most 64 dense features" })
  .superRefine((names, context) => {
    for (const index of repeated(names)) {
      context.addIssue({ code: "custom", path: [index], message: "a name that stands once in the list" });
    }
  });

/** One model of a config file. What it leaves out has a default; `name` has none. */
export const modelSchema = z
  .strictObject({
    name: token.meta({ description: "The model's name, the same in every region" }),
    shards: integer({ min: 1, max: 1024 }).default(4).meta({
      description:
        "Hash slices; the same in every region. For another number a model needs a new name, and trainer.warmStart",
    }),
    architecture: architecture.prefault({}),
    tables: tables.default([
      { name: "users", key: "user", precision: "f32" },
      { name: "items", key: "item", precision: "f32" },
    ]),
    dense: dense.default([]).meta({ description: "Names of the numeric features, in order" }),
    derived: derived.exactOptional().meta({ description: "Features made of others, for tables to be keyed by" }),
    optimizer: optimizer(0.05).prefault({}).meta({ description: "How the rows of the model's tables learn" }),
    denseOptimizer: optimizer(0.02).prefault({}).meta({ description: "How its dense layers learn" }),
    slices: z
      .array(featureName)
      .max(8, { error: "at most 8 features" })
      .readonly()
      .exactOptional()
      .meta({ description: "Features whose values quality is shown apart for, beside users and items that are new" }),
    negativesKept: keptShare.exactOptional().meta({
      description:
        "The share of negatives that are learned from; all without it. Predictions stay those of the whole stream",
    }),
    urgentPercentile: percentile.default(99).meta({
      description: "Updates above this percentile of the recent ones travel first; 100 for none",
    }),
  })
  .superRefine((model, context) => {
    if (context.issues.length > 0) return; // what is wrong by itself comes first
    const towers = towerProblems(model);
    for (const { path, allowed } of [
      ...derivedProblems(model),
      ...(towers.length > 0 ? towers : layoutProblems(model)),
    ]) {
      context.addIssue({ code: "custom", path: [...path], message: allowed });
    }
  })
  .transform((model): ModelDeclaration => model);

/** Indices of the entries that stood in the list before. */
export function repeated(names: readonly string[]): number[] {
  return names.flatMap((name, index) => (names.indexOf(name) < index ? [index] : []));
}
