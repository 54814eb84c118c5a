import { type Program } from "../compute/program.ts";
import { type ModelDeclaration } from "../model.ts";
import { dlrmProgram } from "./dlrm.ts";

/** The program that a declaration means. Throws a `RangeError` where it means none. */
export function programOf(model: Pick<ModelDeclaration, "architecture" | "tables" | "dense">): Program {
  const { architecture } = model;
  switch (architecture.kind) {
    case "dlrm":
      return dlrmProgram(architecture, model);
  }
}
