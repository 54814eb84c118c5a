/*
 * A model as its owner declares it: which tables, which features, which architecture. What follows from it (layouts of rows,
 * placement of keys) is computed here, the same on every node, and its digest travels with every pull.
 */

/** How rows of a table learn. `learning/optimizer.ts` has the arithmetic. */
export interface OptimizerDeclaration {
  readonly kind: "ogd" | "adagrad" | "rowwise-adagrad" | "ftrl" | "adamom" | "adam";
  readonly learningRate: number;
}

/** One embedding table: a row per distinct value of `key`. */
export interface TableDeclaration {
  readonly name: string;
  /** Where a sample's key comes from: `user`, `item`, or the name of a categorical feature. */
  readonly key: string;
  /** How its numbers are held and sent; f32 when left out. f16 halves what a row costs on the links. */
  readonly precision?: "f32" | "f16";
  /** A row that was not written for so long, milliseconds on the primary's clock, is gone everywhere; never when left out. */
  readonly ttlMs?: number;
}

/** A DLRM (Naumov et al., 2019): bottom layers over dense features, pairwise dot interactions, top layers to one logit. */
export interface DlrmDeclaration {
  readonly kind: "dlrm";
  /** Floats of an embedding row and of the bottom layers' output. */
  readonly embedding: number;
  readonly bottom: readonly number[];
  readonly top: readonly number[];
}

/** A model, whole. `tables` must hold one with key `user` and one with key `item`. */
export interface ModelDeclaration {
  readonly name: string;
  readonly shards: number;
  readonly architecture: DlrmDeclaration;
  readonly tables: readonly TableDeclaration[];
  /** Names of the numeric features, in order. */
  readonly dense: readonly string[];
  readonly optimizer: OptimizerDeclaration;
  readonly denseOptimizer: OptimizerDeclaration;
  /** The share of negatives that are learned from, in (0, 1]; all when left out. Predictions stay those of the whole stream. */
  readonly negativesKept?: number;
  /** Updates above this percentile of the recent ones travel first (urgency.ts); 99 when left out, 100 for none. */
  readonly urgentPercentile?: number;
}
