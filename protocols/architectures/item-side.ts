/*
 * What a two-tower model knows of an item: its name, and the numbers that the catalogue has of it. All else comes with a request, and is the same for all items.
 */
import { type DerivedFeature, type ModelDeclaration } from "../model.ts";

/** Numbers that the catalogue gives of each item, by the names that models have them under. */
export const CATALOGUE_NUMBERS = ["age", "popularity"] as const;

/** What events and the catalogue bring that a key is made of. */
export function sourcesOf(key: string, derived: readonly DerivedFeature[] = []): readonly string[] {
  const feature = derived.find(({ name }) => name === key);
  if (feature === undefined) return [key];
  return feature.kind === "bucketised" ? [feature.of] : feature.of.flatMap((part) => sourcesOf(part, derived));
}

/**
 * The catalogue's numbers that a model is given of each item. Of two towers only those on the item's side: one of the user's has to be the same for all items, as recall has the
 * user's vector once.
 */
export function itemNumbers({
  architecture,
  tables,
  derived,
}: Pick<ModelDeclaration, "architecture" | "tables" | "derived">): readonly (typeof CATALOGUE_NUMBERS)[number][] {
  if (architecture.kind !== "two-tower") return CATALOGUE_NUMBERS;
  const { itemTables, itemDense } = architecture;
  const keys = tables.flatMap(({ name, key }) => (itemTables.includes(name) ? sourcesOf(key, derived) : []));
  const ofItem = new Set([...itemDense, ...keys]);
  return CATALOGUE_NUMBERS.filter((name) => ofItem.has(name));
}
