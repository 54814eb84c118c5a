// What a table's keys are made of, sample by sample: the plain reading that columns are compared with.
import { type Example } from "../protocols/columns/example-columns.ts";
import { type DerivedFeature, type ModelDeclaration, type TableDeclaration } from "../protocols/model.ts";

/** Gives the text that a table's key is made of. */
type KeyReader = (example: Example) => string;

/** The reader for `user`, `item`, or a feature by its name. */
export function keyReader(model: Pick<ModelDeclaration, "derived">, key: string): KeyReader {
  const { derived = [] } = model;
  const at = derived.findIndex(({ name }) => name === key);
  const declared = derived[at];
  if (declared !== undefined) return derivedReader(declared, derived.slice(0, at));
  if (key === "user") return ({ user }) => user;
  if (key === "item") return ({ item }) => item;
  return ({ features }) => features[key] ?? "";
}

function derivedReader(feature: DerivedFeature, before: readonly DerivedFeature[]): KeyReader {
  switch (feature.kind) {
    case "bucketised": {
      const { of, bounds } = feature;
      return ({ dense }) => {
        const value = dense[of];
        if (value === undefined) return "";
        const above = bounds.findIndex((bound) => value < bound);
        return String(above < 0 ? bounds.length : above);
      };
    }
    case "crossed": {
      const readers = feature.of.map((name) => keyReader({ derived: before }, name));
      // With the length before each text, no two combinations are written alike.
      return (example) =>
        readers
          .map((read) => {
            const text = read(example);
            return `${text.length}:${text}`;
          })
          .join("");
    }
  }
}

/** The texts that a table's keys are made of: one an example, or those of a list. */
export function keyTexts(
  model: Pick<ModelDeclaration, "derived">,
  { key, sequence }: Pick<TableDeclaration, "key" | "sequence">,
): (example: Example) => readonly string[] {
  if (sequence !== undefined) return (example) => lastOf(example, key, sequence.last);
  const read = keyReader(model, key);
  return (example) => [read(example)];
}

/** The last entries of a list feature: a text with a line for each (protocols/feedback.ts). */
function lastOf({ features }: Example, name: string, last: number): readonly string[] {
  const text = features[name] ?? "";
  return text === "" ? [] : text.split("\n").slice(-last);
}
