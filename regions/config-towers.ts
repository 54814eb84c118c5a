import { CATALOGUE_NUMBERS, sourcesOf } from "../protocols/architectures/item-side.ts";
import { type ModelDeclaration, type TwoTowerDeclaration } from "../protocols/model.ts";
import { type LayoutProblem } from "./config-layout.ts";

/** What a replica knows of every item without a request. */
const KNOWN = new Set<string>(["item", ...CATALOGUE_NUMBERS]);
const OF_ITEM = "made of item, age and popularity alone, which are known of each item without a request";

/**
 * Where a two-tower model has features on the wrong side. Recall multiplies the vectors that it keeps of all items with a user's: so the item's tower may see what is known of an item
 * without a request and nothing else, and the user's nothing of the item.
 */
export function towerProblems(model: ModelDeclaration): readonly LayoutProblem[] {
  const { architecture } = model;
  return architecture.kind === "two-tower" ? problemsOf(model, architecture) : [];
}

function problemsOf(
  { tables, dense, derived }: ModelDeclaration,
  { itemTables, itemDense }: TwoTowerDeclaration,
): LayoutProblem[] {
  const problems: LayoutProblem[] = [];
  const ofItem = new Set(["item", ...itemDense]);
  for (const [at, name] of itemTables.entries()) {
    const table = tables.find((each) => each.name === name);
    const made = table === undefined ? [] : sourcesOf(table.key, derived);
    for (const source of made) ofItem.add(source);
    const path = ["architecture", "itemTables", at];
    if (table === undefined) problems.push({ path, allowed: "the name of a table of the model" });
    else if (table.sequence !== undefined || made.some((source) => !KNOWN.has(source))) {
      problems.push({ path, allowed: `a table whose key is ${OF_ITEM}` });
    }
  }
  for (const [at, name] of itemDense.entries()) {
    const path = ["architecture", "itemDense", at];
    if (!dense.includes(name)) problems.push({ path, allowed: 'a name that stands in "dense"' });
    else if (!KNOWN.has(name)) {
      problems.push({ path, allowed: "age or popularity: no other number is known of an item without a request" });
    }
  }
  if (problems.length > 0) return problems;
  for (const [at, { name, key, sequence }] of tables.entries()) {
    if (sequence !== undefined || key === "item" || itemTables.includes(name)) continue;
    if (!sourcesOf(key, derived).some((source) => ofItem.has(source))) continue;
    const allowed = `a key of one side: made of nothing of the item's, or, with the table in itemTables, ${OF_ITEM}`;
    problems.push({ path: ["tables", at, "key"], allowed });
  }
  const missing = dense.filter((name) => ofItem.has(name) && !itemDense.includes(name));
  for (const name of missing) {
    const allowed = `a list with "${name}", which a table on the item's side is keyed by`;
    problems.push({ path: ["architecture", "itemDense"], allowed });
  }
  return problems;
}
