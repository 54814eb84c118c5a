import { type itemNumbers } from "../protocols/architectures/item-side.ts";
import { type RowMatrix } from "../protocols/compute/topk.ts";
import { CATALOGUE_DECAY, readCatalogueRow } from "../protocols/learning/catalogue-row.ts";
import { createTopList, NO_POPULARITY, offerTop, popularityAt, rankedTop } from "../protocols/learning/popularity.ts";

/** An item that may be recommended, and the channel that brought it. */
export interface Candidate {
  readonly item: string;
  readonly key: bigint;
  readonly from: "neighbour" | "popular" | "new";
}

/** Every item of one model, as the synchronisation stream brings them. An item without a name cannot be recommended; one without a row has its first values. */
export interface CandidateIndex {
  /** Catalogue rows, 64 bytes each. */
  putNames(keys: BigUint64Array, values: Uint8Array): void;
  /** What recall multiplies, `dim` numbers each, one after another: rows of the items' table, or vectors of an item tower. */
  putRows(keys: BigUint64Array, floats: Float32Array): void;
  nameOf(key: bigint): string | undefined;
  /** The items that have a row, in the order of their first ones. */
  keyAt(place: number): bigint | undefined;
  /** Distinct candidates of the three channels, neighbours first: items whose rows have the largest inner products with the query. */
  candidates(request: {
    query: Float32Array;
    neighbours: number;
    popular: number;
    newest: number;
  }): readonly Candidate[];
  popular(k: number): readonly { readonly item: string; readonly score: number; readonly from: string }[];
  /** The numeric features that the catalogue gives, as far as they are wanted: `age` is log(1 + hours since first seen), `popularity` log(1 + fresh clicks). */
  denseOf(key: bigint, nowMs: number): Readonly<Record<string, number>>;
  size(): number;
}

interface Named {
  readonly item: string;
  readonly popularity: number;
  readonly firstSeenMs: number;
}

const LIST_MAX = 500;

/** `matrix` has rows of `dim` numbers, and none yet; `numbers` are the features that are wanted of the catalogue. */
export function createCandidateIndex({
  dim,
  matrix,
  numbers,
}: {
  readonly dim: number;
  readonly matrix: RowMatrix;
  readonly numbers: ReturnType<typeof itemNumbers>;
}): CandidateIndex {
  const [givesAge, givesPopularity] = [numbers.includes("age"), numbers.includes("popularity")];
  const names = new Map<bigint, Named>();
  const rowOf = new Map<bigint, number>();
  const keyOfRow: bigint[] = [];
  const popularList = createTopList(LIST_MAX);
  const newestList = createTopList(LIST_MAX);

  function nameOf(key: bigint): string | undefined {
    return names.get(key)?.item;
  }

  return {
    nameOf,
    keyAt: (place) => keyOfRow[place],
    putNames(keys, values) {
      const width = keys.length === 0 ? 0 : values.length / keys.length;
      for (const [at, key] of keys.entries()) {
        const row = readCatalogueRow(values.subarray(at * width, (at + 1) * width));
        if (row === undefined) continue;
        names.set(key, row);
        offerTop(popularList, String(key), row.popularity);
        offerTop(newestList, String(key), row.firstSeenMs);
      }
    },
    putRows(keys, floats) {
      for (const [at, key] of keys.entries()) {
        let row = rowOf.get(key);
        if (row === undefined) {
          row = keyOfRow.length;
          keyOfRow.push(key);
          rowOf.set(key, row);
        }
        matrix.put(row, floats.subarray(at * dim, (at + 1) * dim));
      }
    },
    candidates({ query, neighbours, popular, newest }) {
      const found = new Map<bigint, Candidate>();
      function add(key: bigint, from: Candidate["from"]): void {
        const item = nameOf(key);
        if (item !== undefined && !found.has(key)) found.set(key, { item, key, from });
      }
      for (const { index } of matrix.top(query, neighbours)) {
        add(keyOfRow[index] ?? 0n, "neighbour");
      }
      for (const [key] of rankedTop(popularList).slice(0, popular)) add(BigInt(key), "popular");
      for (const [key] of rankedTop(newestList).slice(0, newest)) add(BigInt(key), "new");
      return [...found.values()];
    },
    popular: (k) =>
      rankedTop(popularList)
        .slice(0, k)
        .flatMap(([key, score]) => {
          const item = nameOf(BigInt(key));
          return item === undefined ? [] : [{ item, score: Number.isFinite(score) ? score : 0, from: "popular" }];
        }),
    denseOf(key, nowMs) {
      const { firstSeenMs = nowMs, popularity = NO_POPULARITY } = names.get(key) ?? {};
      return {
        ...(givesAge && { age: Math.log1p(Math.max(0, nowMs - firstSeenMs) / 3_600_000) }),
        ...(givesPopularity && { popularity: Math.log1p(popularityAt(popularity, nowMs, CATALOGUE_DECAY)) }),
      };
    },
    size: () => names.size,
  };
}
