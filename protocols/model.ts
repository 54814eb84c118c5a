/*
 * A model as its owner declares it: which tables, which features, which architecture. What follows from it (layouts of rows,
 * placement of keys) is computed here, the same on every node, and its digest travels with every pull.
 */
import { type AdmissionRule } from "./learning/admission.ts";
import { type Pooling } from "./compute/pooling.ts";
import { type Optimizer } from "./learning/optimizer.ts";

/** One embedding table: a row per distinct value of `key`. */
export interface TableDeclaration {
  readonly name: string;
  /** Where a sample's key comes from: `user`, `item`, or the name of a categorical or derived feature, or of a list. */
  readonly key: string;
  /** The feature is a list, newest last: the rows of its last entries are made one. */
  readonly sequence?: SequenceDeclaration;
  /** How its numbers are held and sent; f32 when left out. f16 halves what a row's numbers cost on the links, i8 quarters it, with 4 bytes for its scale. */
  readonly precision?: "f32" | "f16" | "i8";
  /** A row that was not written for so long, milliseconds on the primary's clock, is gone everywhere; never when left out. */
  readonly ttlMs?: number;
  /** The most memory that its rows, with their optimizer state, may take at the primary, all shards together; those written longest ago go. No bound when left out. */
  readonly budgetBytes?: number;
  /** Of its rows' values and optimizer state, so much is in each node's memory, all shards together, and the rest on its disk; all is in memory when left out. */
  readonly memoryBytes?: number;
  /** When a key gets a row; at its first gradient when left out. */
  readonly admit?: AdmissionRule;
  /**
   * What a key without a row is read as: `initial`, the values that its row would start from, or `zero`. When left out, zero where a rule of admission
   * stands, as its keys are read so for long, and else initial.
   */
  readonly unknown?: "initial" | "zero";
}

/** How the rows of a list become what a sample has of the table. Of an empty list it has zeros. */
export interface SequenceDeclaration {
  /** The feature that is the list: the table's key. */
  readonly of: string;
  /** Entries that count, from the end of the list. */
  readonly last: number;
  readonly pooling: Pooling;
}

/** What is computed of a sample's embeddings and dense features. `architectures/` has the programs. */
export type ArchitectureDeclaration =
  | LogisticDeclaration
  | DlrmDeclaration
  | DcnDeclaration
  | DeepFmDeclaration
  | TwoTowerDeclaration;

/** Logistic regression: one weight a value of each table's key, one a dense feature, and a bias. */
export interface LogisticDeclaration {
  readonly kind: "logistic";
}

/** A DLRM (Naumov et al., 2019): bottom layers over dense features, pairwise dot interactions, top layers to one logit. */
export interface DlrmDeclaration {
  readonly kind: "dlrm";
  /** Floats of an embedding row and of the bottom layers' output. */
  readonly embedding: number;
  readonly bottom: readonly number[];
  readonly top: readonly number[];
}

/** DCN-v2 (Wang et al., 2021), in parallel: cross layers, and deep layers, over all features side by side. */
export interface DcnDeclaration {
  readonly kind: "dcn-v2";
  readonly embedding: number;
  /** How many cross layers. */
  readonly cross: number;
  readonly deep: readonly number[];
}

/** DeepFM (Guo et al., 2017): weights, a factorization machine and deep layers, added up. A row is a weight and an embedding. */
export interface DeepFmDeclaration {
  readonly kind: "deepfm";
  readonly embedding: number;
  readonly deep: readonly number[];
}

/** Two towers: what is known of the item on one side, all else on the other; the logit is the inner product of their outputs, and a bias. */
export interface TwoTowerDeclaration {
  readonly kind: "two-tower";
  readonly embedding: number;
  /** Hidden layers of each tower, and the floats that both end in. */
  readonly user: readonly number[];
  readonly item: readonly number[];
  readonly output: number;
  /** Tables, by name, and dense features of the item's side, beside the table that is keyed by `item`. */
  readonly itemTables: readonly string[];
  readonly itemDense: readonly string[];
}

/** A categorical feature that is made of what a sample has. A table may be keyed by it. */
export type DerivedFeature =
  /** Which of the ranges between the bounds a number lies in: 0 below the first, and so on. A missing number has a value of its own. */
  | { readonly name: string; readonly kind: "bucketised"; readonly of: string; readonly bounds: readonly number[] }
  /** Each combination of values of `user`, `item`, categorical features, or derived ones declared before, is a value of its own. */
  | { readonly name: string; readonly kind: "crossed"; readonly of: readonly string[] };

/** A model, whole. `tables` must hold one with key `user` and one with key `item`. */
export interface ModelDeclaration {
  readonly name: string;
  readonly shards: number;
  readonly architecture: ArchitectureDeclaration;
  readonly tables: readonly TableDeclaration[];
  /** Names of the numeric features, in order. */
  readonly dense: readonly string[];
  readonly derived?: readonly DerivedFeature[];
  /** How rows of its tables learn, and how its dense groups do. */
  readonly optimizer: Optimizer;
  readonly denseOptimizer: Optimizer;
  /** The share of negatives that are learned from, in (0, 1]; all when left out. Predictions stay those of the whole stream. */
  readonly negativesKept?: number;
  /** Features whose values quality is measured apart for. */
  readonly slices?: readonly string[];
  /** Updates above this percentile of the recent ones travel first (urgency.ts); 99 when left out, 100 for none. */
  readonly urgentPercentile?: number;
}
