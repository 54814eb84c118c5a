// Planted bugs in filling a table from an image. loading-laws.ts finds them.
import { type Mutant } from "./mutant.ts";

const TABLE = "runtime/compute/table/kernel-table.ts";

export const LOADING_MUTANTS: readonly Mutant[] = [
  {
    name: "loaded-rows-are-never-filed",
    file: TABLE,
    edits: [["if (this.#isLoading) this.#code.fileLoaded();", ""]],
  },
  {
    name: "rows-are-counted-before-they-are-filed",
    file: TABLE,
    edits: [
      ["this.#fileLoaded();\n    return this.#head[HEAD.live / 4] ?? 0;", "return this.#head[HEAD.live / 4] ?? 0;"],
    ],
  },
  {
    name: "loaded-over-rows-that-are-there",
    file: TABLE,
    edits: [["const isFirst = this.end === 0 && rows > 0", "const isFirst = rows > 0"]],
  },
  {
    name: "what-was-not-taken-is-lost",
    file: TABLE,
    edits: [
      [
        "if (!this.#isLoading || !this.#loadPiece(batch, piece)) this.mergePiece(batch, piece);",
        "if (!this.#isLoading) this.mergePiece(batch, piece);\n      else this.#loadPiece(batch, piece);",
      ],
    ],
  },
  {
    name: "rows-ahead-are-not-noted",
    file: TABLE,
    edits: [["this.loaded.note(batch);", ""]],
  },
  {
    name: "rows-ahead-as-when-they-were-loaded",
    file: "runtime/compute/table/table-row-store.ts",
    edits: [["this.#frozen.table(index)?.touches === 0", "true"]],
  },
];
