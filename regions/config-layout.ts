import { type ModelLayout, modelLayout } from "../protocols/model-layout.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { MEMORIES_TOGETHER_MAX, memoriesOf, memoryBytesOf, SHARD_BYTES_MAX } from "../protocols/table-memories.ts";
import { checkTables } from "../protocols/sync/declaration.ts";
import { rowMemory } from "../protocols/sync/row-store.ts";

/** What keeps a model from being laid out: where in its declaration, and what is allowed there. */
export interface LayoutProblem {
  readonly path: readonly (string | number)[];
  readonly allowed: string;
}

/** Everything that keeps shards from holding a model of sound shape. None exactly where every shard takes its tables. */
export function layoutProblems(model: ModelDeclaration): readonly LayoutProblem[] {
  const named = model.tables.flatMap(({ name }, index): LayoutProblem[] =>
    name === "catalogue" || name.startsWith("dense-")
      ? [
          {
            path: ["tables", index, "name"],
            allowed: 'a name other than "catalogue" and "dense-...", which each model has of its own',
          },
        ]
      : [],
  );
  try {
    const layout = modelLayout(model);
    const found = [
      ...named,
      ...tooMany(layout),
      ...tooLarge(layout),
      ...tooTight(layout),
      ...unfit(layout),
      ...tooWide(layout),
    ];
    if (found.length === 0) checkTables(layout.tables);
    return found;
  } catch (error) {
    // A rule that this file does not know: said in the words of whoever refuses.
    if (!(error instanceof Error)) throw error;
    return [...named, { path: [], allowed: `a model that can be laid out (${error.message})` }];
  }
}

function tooMany({ model, tables }: ModelLayout): LayoutProblem[] {
  const own = tables.length - model.tables.length;
  const max = SYNC_LIMITS.tablesMax - own;
  if (model.tables.length <= max) return [];
  return [{ path: ["tables"], allowed: `at most ${max} tables, beside ${own} that such a model has of its own` }];
}

/** Fewer rows than these in a shard would go before they have learned anything. */
const BUDGET_ROWS_MIN = 1_000;

function tooTight({ model, tables }: ModelLayout): LayoutProblem[] {
  return model.tables.flatMap(({ budgetBytes = Infinity }, index) => {
    const spec = tables[index + 1];
    const least = spec === undefined ? 0 : model.shards * BUDGET_ROWS_MIN * rowMemory(spec);
    if (budgetBytes >= least) return [];
    const allowed = `at least "${Math.ceil(least / 1024)}KB", ${BUDGET_ROWS_MIN} rows in each of ${model.shards} shards`;
    return [{ path: ["tables", index, "budget"], allowed }];
  });
}

/** With fewer rows of a shard in memory each request would wait for the disk, whatever it asks for. */
const WARM_ROWS_MIN = 1_000;

/** Memory for contents that is too small to work with, or that the budget can never fill. */
function unfit({ model, tables }: ModelLayout): LayoutProblem[] {
  return model.tables.flatMap(({ budgetBytes = Infinity, memoryBytes }, index) => {
    const spec = tables[index + 1];
    if (spec === undefined || memoryBytes === undefined) return [];
    const path = ["tables", index, "memory"];
    const rowBytes = 8 * Math.ceil((spec.valueBytes + spec.stateBytes) / 8);
    const least = model.shards * WARM_ROWS_MIN * rowBytes;
    const most = (budgetBytes / rowMemory(spec)) * rowBytes;
    if (memoryBytes < least) {
      const allowed = `at least "${Math.ceil(least / 1024)}KB", the contents of ${WARM_ROWS_MIN} rows in each of ${model.shards} shards`;
      return [{ path, allowed }];
    }
    if (memoryBytes < most) return [];
    const allowed = `less than "${Math.floor(most / 1024)}KB", which is what all rows within the table's budget take; or nothing, and all are in memory`;
    return [{ path, allowed }];
  });
}

function tooWide(layout: ModelLayout): LayoutProblem[] {
  const { model } = layout;
  const found = model.tables.flatMap(({ budgetBytes }, index) => {
    if (memoryBytesOf(layout, index + 1) <= SHARD_BYTES_MAX) return [];
    const [all, each] = [model.shards * SHARD_BYTES_MAX, SHARD_BYTES_MAX].map((bytes) => `${bytes / 2 ** 30}GB`);
    const allowed = `at most "${all}", ${each} in each of ${model.shards} shards; give the model more shards`;
    return [{ path: ["tables", index, budgetBytes === undefined ? "memory" : "budget"], allowed }];
  });
  const memories = memoriesOf(layout);
  const together = memories.reduce((sum, count) => sum + count, 0);
  if (found.length > 0 || together <= MEMORIES_TOGETHER_MAX || Math.max(...memories) === 1) return found;
  const allowed = `tables with at most ${MEMORIES_TOGETHER_MAX} memories of 3.5GB in a shard (these have ${together}); give the model more shards`;
  return [{ path: ["tables"], allowed }];
}

function tooLarge({ model, tables }: ModelLayout): LayoutProblem[] {
  return tables.flatMap(({ name, role, valueBytes, stateBytes }) => {
    const bytes = valueBytes + stateBytes;
    if (bytes <= SYNC_LIMITS.rowBytesMax) return [];
    // A dense group is called like the field that declares it, or like that and a layer's number.
    const field = role === "embedding" ? role : name.replace(/^dense-/, "").replace(/-\d+$/, "");
    return [
      {
        path: ["architecture", ...(Object.hasOwn(model.architecture, field) ? [field] : [])],
        allowed: `layers of at most ${SYNC_LIMITS.rowBytesMax} bytes together, with what the optimizer keeps (these take ${bytes})`,
      },
    ];
  });
}
