import { type Program } from "../compute/program.ts";
import { dcnProgram } from "./dcn-v2.ts";
import { deepFmProgram } from "./deepfm.ts";
import { dlrmProgram } from "./dlrm.ts";
import { type Declared } from "./layers.ts";
import { logisticProgram } from "./logistic.ts";
import { twoTowerProgram } from "./two-tower.ts";

/** The program that a declaration means. Throws a `RangeError` where it means none. */
export function programOf(model: Declared): Program {
  const { architecture } = model;
  switch (architecture.kind) {
    case "logistic":
      return logisticProgram(model);
    case "dlrm":
      return dlrmProgram(architecture, model);
    case "dcn-v2":
      return dcnProgram(architecture, model);
    case "deepfm":
      return deepFmProgram(architecture, model);
    case "two-tower":
      return twoTowerProgram(architecture, model);
  }
}

/**
 * A row's columns from here on are an embedding; those before are weights of their own. Undefined where all of it is one weight.
 */
export function embeddingColumn({ architecture }: Pick<Declared, "architecture">): number | undefined {
  switch (architecture.kind) {
    case "logistic":
      return undefined;
    case "deepfm":
      return 1;
    case "dlrm":
    case "dcn-v2":
    case "two-tower":
      return 0;
  }
}
