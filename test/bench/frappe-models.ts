import { type ArchitectureDeclaration, type ModelDeclaration } from "../../protocols/model.ts";
import { type TrainingSettings } from "../../regions/train/training-run.ts";

/** A model, how it is trained, and what others published for its like (BARS, frappe_x1; embedding 10, Adam 0.001, batch 4096). */
export interface FrappeModel {
  readonly model: ModelDeclaration;
  readonly settings: Omit<TrainingSettings, "seed">;
  readonly published?: { readonly auc: number; readonly logLoss: number };
  readonly aucTarget?: number;
}

const FIELDS = ["user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"];
const RULES = { passesMax: 40, patience: 2, slowdown: 0.2, watch: "auc", batch: 1024 } as const;

/** Chosen by the validation part alone. */
export const FRAPPE_MODELS: readonly FrappeModel[] = [
  {
    model: declare("logistic", { kind: "logistic" }, { embeddings: 0.02, layers: 0.02 }),
    settings: { ...RULES, batch: 4096, l2: 0, dropout: 0 },
    published: { auc: 0.9356, logLoss: 0.3076 },
    aucTarget: 0.932,
  },
  {
    model: declare(
      "dlrm",
      { kind: "dlrm", embedding: 16, bottom: [], top: [192, 96] },
      { embeddings: 0.003, layers: 0.001 },
    ),
    settings: { ...RULES, l2: 0.006, dropout: 0.1 },
    published: { auc: 0.984, logLoss: 0.1444 },
    aucTarget: 0.981,
  },
  {
    model: declare("deepfm", { kind: "deepfm", embedding: 16, deep: [128, 64] }, { embeddings: 0.003, layers: 0.002 }),
    settings: { ...RULES, l2: 0.006, dropout: 0.1 },
    published: { auc: 0.9842, logLoss: 0.1482 },
  },
  {
    model: declare(
      "dcn-v2",
      { kind: "dcn-v2", embedding: 16, cross: 2, deep: [128, 64] },
      { embeddings: 0.005, layers: 0.002 },
    ),
    settings: { ...RULES, l2: 0.006, dropout: 0.1 },
    published: { auc: 0.9845, logLoss: 0.1491 },
  },
  {
    model: declare(
      "two-tower",
      { kind: "two-tower", embedding: 10, user: [128], item: [64], output: 32, itemTables: [], itemDense: [] },
      { embeddings: 0.003, layers: 0.002 },
    ),
    settings: { ...RULES, l2: 0.004, dropout: 0.1 },
  },
];

function declare(
  name: string,
  architecture: ArchitectureDeclaration,
  rates: { readonly embeddings: number; readonly layers: number },
): ModelDeclaration {
  return {
    name,
    shards: 1,
    architecture,
    tables: FIELDS.map((key) => ({ name: `by-${key}`, key })),
    dense: [],
    optimizer: { kind: "adam", learningRate: rates.embeddings },
    denseOptimizer: { kind: "adam", learningRate: rates.layers },
  };
}
